import numpy as np
import pytest
from datasets import concatenate_datasets
from layouts import write_folder, write_salicon
from pytest import approx

from modeling_mlnet.data import load
from modeling_mlnet.evaluation.evaluate import evaluate, fixation_pool, read_truths
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
    results = evaluate(rows, "half-observers")
    assert [row["fixations"] for row in results["per_image"]] == [1] * len(rows)
    expected = cc(blurred(first.of_observers(0)), blurred(first.of_observers(1)))
    assert results["per_image"][0]["CC"] == approx(expected)


def test_half_observers_needs_observers(rows):
    unknown = rows.map(lambda row: {"observers": []})
    with pytest.raises(ValueError, match="image images/000: half-observers needs"):
        evaluate(unknown, "half-observers")


def test_several_processes_score_the_same(rows):
    alone, together = evaluate(rows, "centre"), evaluate(rows, "centre", workers=2)
    assert together == alone


def test_images_of_one_name_are_not_taken_for_one(rows):
    joined = concatenate_datasets([rows, rows.select([1])])
    with pytest.raises(ValueError, match=f"image_id '{rows[1]['image_id']}' stands twice"):
        evaluate(joined, "centre")


def test_too_few_maps_and_unknown_names_are_refused(rows):
    with pytest.raises(ValueError):
        evaluate(rows, lambda dataset: iter([np.ones((48, 64))]))
    with pytest.raises(ValueError, match="the baseline must be one of"):
        evaluate(rows, "center")
    with pytest.raises(ValueError, match="protocol must be one of"):
        evaluate(rows, "centre", "judd")


def test_the_progress_of_both_passes_is_shown(rows):
    shown = []

    def progress(iterable, description):
        shown.append((description, 0))
        for one in iterable:
            shown[-1] = (description, shown[-1][1] + 1)
            yield one

    evaluate(rows, "uniform", progress=progress)
    assert shown == [("reading fixations", 12), ("scoring", 12)]
