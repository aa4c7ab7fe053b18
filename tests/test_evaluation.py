import json

import numpy as np
import pytest
from datasets import concatenate_datasets
from layouts import write_folder, write_image, write_salicon
from pytest import approx

from modeling_mlnet.baselines import saliency_baseline
from modeling_mlnet.data import load
from modeling_mlnet.evaluation.evaluate import evaluate, predicted_by
from modeling_mlnet.evaluation.results import score_table
from modeling_mlnet.evaluation.truths import fixation_pool, read_truths
from modeling_mlnet.metrics import cc, nss
from modeling_mlnet.metrics.protocols import gaussian_density


@pytest.fixture
def rows(tmp_path):
    return load(str(write_folder(tmp_path)))


def blurred(truth):
    pixels = np.rint(truth.fixations).astype(int) @ [1, truth.size[1]]
    return gaussian_density(pixels, truth.size, truth.sigma)


@pytest.mark.parametrize("protocol", ["mit", "tuebingen", "salicon2015-unfiltered"])
def test_perfect_maps_score_best_and_references_between(rows, protocol):
    def perfect(dataset):
        return (blurred(truth) for truth in read_truths(dataset))

    scores = {
        name: evaluate(rows, maps, protocol)["metrics"]
        for name, maps in {"perfect": perfect, "centre": "centre", "uniform": "uniform"}.items()
    }
    assert scores["uniform"]["CC"]["mean"] == 0 < scores["centre"]["CC"]["mean"]
    assert scores["perfect"]["NSS"]["mean"] > scores["centre"]["NSS"]["mean"] > scores["uniform"]["NSS"]["mean"] == 0
    if protocol == "tuebingen":
        assert scores["perfect"]["CC"]["mean"] == approx(1) and scores["centre"]["IG"]["mean"] == approx(0)
        assert scores["uniform"]["AUC"]["mean"] == scores["uniform"]["sAUC"]["mean"] == 0.5


def test_a_data_set_s_own_maps_are_its_density(tmp_path):
    rows = load(f"salicon:{write_salicon(tmp_path)}")
    results = evaluate(rows, "centre")
    centre = fixation_pool(read_truths(rows)).centre_map(48, 64)
    assert [row["CC"] for row in results["per_image"]] == approx(
        [cc(centre, np.asarray(row["saliency_map"])) for row in rows]
    )
    assert [row["NSS"] for row in results["per_image"]] == approx([nss(centre, row["fixations"]) for row in rows])


def test_half_of_the_observers_predict_the_other_half(rows):
    first = next(read_truths(rows))
    assert first.observers.tolist() == [0, 1]  # (5, 6) by one, (0, 1) by the other; the third was beside the image
    results = evaluate(rows, "inter-observer")
    assert [row["fixations"] for row in results["per_image"]] == [1] * len(rows)
    expected = cc(blurred(first.of_observers(0)), blurred(first.of_observers(1)))
    assert results["per_image"][0]["CC"] == approx(expected)


def test_inter_observer_needs_observers(rows):
    unknown = rows.map(lambda row: {"observers": []})
    with pytest.raises(ValueError, match="image images/000: inter-observer needs"):
        evaluate(unknown, "inter-observer")


def test_the_earlier_name_of_the_reference_is_understood(rows):
    assert evaluate(rows, "half-observers") == evaluate(rows, "inter-observer")


def test_constant_maps_are_noted_with_their_number(rows):
    def mostly_constant(dataset):
        return (np.full((48, 64), 0.5) if k < 9 else np.eye(48, 64) for k in range(len(dataset)))

    note = "9 of 12 maps are constant, first that of images/000: a constant map scores as chance"
    results = evaluate(rows, mostly_constant, workers=1)
    assert results["notes"] == [note]
    assert evaluate(rows, "uniform")["notes"] == []
    assert f"\nnote: {note}" in score_table({"model": "m", "dataset": "d", **results})


def test_fixations_that_fit_the_maps_better_upside_down_are_noted(tmp_path):
    lines = []
    for k in range(6):
        write_image(tmp_path / f"{k}.png", seed=k)
        lines.append(json.dumps({"file_name": f"{k}.png", "fixations": [[10 + 5 * k, 8], [12 + 5 * k, 9]]}))
    (tmp_path / "metadata.jsonl").write_text("\n".join(lines))
    rows = load(str(tmp_path))

    def upright(dataset):
        return (blurred(truth) for truth in read_truths(dataset))

    def upside_down(dataset):
        return (blurred(truth)[::-1] for truth in read_truths(dataset))

    assert evaluate(rows, upright)["notes"] == []
    [note] = evaluate(rows, upside_down)["notes"]
    assert note.startswith("mirrored top to bottom, the fixations fit the maps better (NSS ")
    assert "better in 6 of 6 images): y may count from the bottom" in note


class Recorder:
    """Stands for a predictor of a model that knows two kinds; its maps are the index of the kind."""

    recordings = ("eye", "mouse")

    def maps(self, images, recording=None):
        return (np.full(image.size[::-1], self.recordings.index(recording or "eye")) for image in images)


@pytest.mark.parametrize(("recording", "expected"), [("auto", [0, 1, 1, 0]), ("eye", [0] * 4), ("mouse", [1] * 4)])
def test_every_row_is_predicted_in_its_kind_of_recording(tmp_path, recording, expected):
    path = write_folder(tmp_path, count=4) / "metadata.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line, kind in zip(lines, ("eye", "mouse", "mouse", None), strict=True):
        line["recording"] = kind
    path.write_text("\n".join(map(json.dumps, lines)))
    maps = list(predicted_by(Recorder(), recording)(load(str(tmp_path))))
    assert [int(values[0, 0]) for values in maps] == expected
    with pytest.raises(ValueError, match="recording: the model knows eye, mouse, got 'hand'"):
        predicted_by(Recorder(), "hand")


def test_several_processes_score_the_same(rows):
    alone, together = evaluate(rows, "centre"), evaluate(rows, "centre", workers=2)
    assert together == alone


def test_images_of_one_name_are_not_taken_for_one(rows):
    joined = concatenate_datasets([rows, rows.select([1])])
    with pytest.raises(ValueError, match=f"image_id '{rows[1]['image_id']}' occurs twice"):
        evaluate(joined, "centre")


def test_a_model_from_before_deep_learning_is_scored_by_its_name(rows):
    def predict(dataset):
        return (saliency_baseline("itti", np.asarray(row["image"].convert("RGB"))) for row in dataset)

    assert evaluate(rows, "itti") == evaluate(rows, predict)


def test_too_few_maps_and_unknown_names_are_refused(rows):
    with pytest.raises(ValueError):
        evaluate(rows, lambda dataset: iter([np.ones((48, 64))]))
    with pytest.raises(ValueError, match=r"baseline must be one of .*'centre'.*'inter-observer', 'itti', .*'center'"):
        evaluate(rows, "center")
    with pytest.raises(ValueError, match="protocol must be one of"):
        evaluate(rows, "centre", "judd")


def test_the_progress_of_both_passes_is_shown(rows):
    shown = []

    def progress(iterable, description):
        shown.append((description, 0))
        for item in iterable:
            shown[-1] = (description, shown[-1][1] + 1)
            yield item

    evaluate(rows, "uniform", progress=progress)
    assert shown == [("reading fixations", 12), ("scoring", 12)]
