import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from layouts import write_folder
from matplotlib.container import BarContainer
from PIL import Image
from pytest import approx
from typer.testing import CliRunner

from modeling_mlnet import MLNetImageProcessor, SaliencyPredictor
from modeling_mlnet.attribution import level_ablation, level_importance, prior_map
from modeling_mlnet.attribution.explain import image_panels
from modeling_mlnet.attribution.plots import draw_importance
from modeling_mlnet.cli import app
from modeling_mlnet.data import load
from modeling_mlnet.evaluation.evaluate import evaluate
from modeling_mlnet.evaluation.example_sheet import choose_images, draw_sheet, extremes
from modeling_mlnet.evaluation.truths import fixation_pool, read_truths
from modeling_mlnet.inference.inputs import find_images
from modeling_mlnet.io.figures import save_figure
from modeling_mlnet.metrics import Evaluator


@pytest.fixture
def mlnet(small_checkpoint):
    def run(command, *words):
        return CliRunner().invoke(app, [command, *map(str, words), "--model", str(small_checkpoint)])

    return run


@pytest.fixture
def data(tmp_path) -> str:
    return f"folder:{write_folder(tmp_path / 'data', count=8)}"


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def noise(seed):
    """Another model: its map of a picture depends on the picture's name only."""
    return lambda rows: (np.random.default_rng([seed, int(name[-3:])]).random((48, 64)) for name in rows["image_id"])


def test_explain_writes_figures_and_the_numbers_behind_them(mlnet, small_checkpoint, pictures, tmp_path):
    result = mlnet("explain", *pictures[:2], "-o", tmp_path / "why", "--samples", 1)
    assert result.exit_code == 0, result.output
    assert names(tmp_path / "why") == [
        *("a.explain.png", "b.explain.png", "explanation.json", "importance.png", "prior.png")
    ]
    outcome = json.loads((tmp_path / "why" / "explanation.json").read_text(encoding="utf-8"))
    predictor = SaliencyPredictor(small_checkpoint, dtype="float32")
    expected = level_importance(predictor, pictures[:2])
    assert outcome["images"] == 2 and outcome["apply_prior"] is True
    for index, level in enumerate(outcome["levels"]):
        assert level["importance"]["mean"]["mean"] == approx(expected.per_image["mean"][:, index].mean(), rel=1e-4)
    assert outcome["per_channel"]["variance"]["mean"] == approx(expected.channel_mean["variance"].tolist(), rel=1e-3)
    assert outcome["prior"]["words"] == prior_map(predictor.model).words()


def test_explain_without_the_prior_explains_another_map(mlnet, pictures, tmp_path):
    for name, words in (("with", []), ("without", ["--no-prior"])):
        assert mlnet("explain", pictures[0], "-o", tmp_path / name, "--samples", 0, *words).exit_code == 0
    result = [json.loads((tmp_path / name / "explanation.json").read_text()) for name in ("with", "without")]
    assert [item["apply_prior"] for item in result] == [True, False]
    assert result[0]["levels"][0]["importance"]["mean"] != result[1]["levels"][0]["importance"]["mean"]


def test_a_bad_picture_is_named_and_does_not_stop_the_others(mlnet, pictures, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"no")
    result = mlnet("explain", tmp_path / "bad.jpg", pictures[0], "-o", tmp_path / "why", "--samples", 0)
    assert result.exit_code == 1 and "bad.jpg: cannot be read as an image" in result.stderr
    assert "a.explain.png" in names(tmp_path / "why")
    assert mlnet("explain", tmp_path / "bad.jpg", "-o", tmp_path / "none").exit_code == 2
    assert not (tmp_path / "none").exists()


def test_results_are_neither_explained_nor_written_over_a_picture(mlnet, pictures, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(pictures[0].read_bytes())
    assert mlnet("explain", folder / "a.jpg", "-o", folder, "--samples", 0).exit_code == 0
    jobs = find_images([str(folder)], tmp_path / "elsewhere").jobs
    assert "a.explain.png" not in [job.source.name for job in jobs]
    before = (folder / "prior.png").read_bytes()
    result = mlnet("explain", folder / "prior.png", "-o", folder)
    assert isinstance(result.exception, ValueError) and "would overwrite this image" in str(result.exception)
    assert (folder / "prior.png").read_bytes() == before


def test_explain_of_a_data_set_with_ablation(mlnet, data, tmp_path):
    result = mlnet(
        "explain", "--dataset", data, "--ablation", "-o", tmp_path / "why", "--protocol", "salicon2015-unfiltered"
    )
    assert result.exit_code == 0, result.output
    assert names(tmp_path / "why") == ["ablation.png", "explanation.json", "importance.png", "prior.png"]
    outcome = json.loads((tmp_path / "why" / "explanation.json").read_text())
    assert outcome["ablation"]["protocol"] == "salicon2015-unfiltered"
    assert outcome["dataset"] == data and outcome["images"] == outcome["ablation"]["images"] == 8
    assert outcome["prior"]["words"] in result.output and "without stride 8" in result.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "either images or --dataset"),
        (["a.jpg", "--dataset", "x"], "either images or --dataset"),
        (["a.jpg", "--ablation"], "needs --dataset"),
    ],
)
def test_explain_tells_what_is_wrong(mlnet, tmp_path, words, message):
    result = mlnet("explain", *words, "-o", tmp_path / "why")
    assert result.exit_code == 2 and message in result.output + result.stderr


def test_panels_are_the_predictor_s_own_maps_at_the_picture_s_size(small_checkpoint, pictures):
    panels = image_panels(SaliencyPredictor(small_checkpoint, dtype="float32"), pictures[0], samples=1)
    assert {item.shape[:2] for item in panels.values()} == {(40, 60)}
    for title, apply_prior in (("map before the prior", False), ("map behind the prior", True)):
        expected = SaliencyPredictor(small_checkpoint, dtype="float32")(pictures[0], apply_prior=apply_prior)
        assert np.array_equal(panels[title], expected)
    assert panels["pixels that moved it"].max() == 1


def bars(axes):
    return next(item for item in axes.containers if isinstance(item, BarContainer))


def test_bars_have_the_heights_and_intervals_of_the_numbers(small_checkpoint, pictures):
    importance = level_importance(small_checkpoint, pictures)
    axes = draw_importance(importance).axes[0]
    assert [bar.get_height() for bar in axes.patches] == approx(
        [item["mean"] for item in importance.intervals("mean")]
    )
    [[low, high], *_] = bars(axes).errorbar.lines[2][0].get_segments()
    first = importance.intervals("mean")[0]
    assert (low[1], high[1]) == approx((first["low"], first["high"]))
    single = draw_importance(level_importance(small_checkpoint, pictures[:1]))
    assert bars(single.axes[0]).errorbar is None  # one picture has no interval


def test_pictures_that_all_agree_are_drawn(small_checkpoint, pictures):
    axes = draw_importance(level_importance(small_checkpoint, pictures[:1] * 3)).axes[0]
    assert len(bars(axes)) == 3


@pytest.mark.parametrize(("suffix", "head"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_a_figure_is_written_by_its_suffix_and_the_same_twice(small_checkpoint, pictures, tmp_path, suffix, head):
    importance = level_importance(small_checkpoint, pictures[:1])
    for name in "ab":
        save_figure(draw_importance(importance), tmp_path / f"{name}.{suffix}")
    first, second = ((tmp_path / f"{name}.{suffix}").read_bytes() for name in "ab")
    assert first == second and first.startswith(head)
    with pytest.raises(ValueError, match=r"c\.gif: a figure's name must end in"):
        save_figure(draw_importance(importance), tmp_path / "c.gif")


@pytest.mark.parametrize(
    ("highest", "expected"), [(True, [3, 0, 4]), (False, [2, 4, 0])], ids=["highest first", "lowest first"]
)
def test_extremes_are_in_order_and_never_pictures_without_a_score(highest, expected):
    values = np.array([0.5, np.nan, -1.0, 0.9, 0.2])
    assert extremes(values, highest, 3) == expected
    assert len(extremes(values, highest, 9)) == 4
    with pytest.raises(ValueError, match="no image has a score"):
        extremes(values[1:2], highest, 1)


@pytest.mark.parametrize(("rule", "metric", "order"), [("worst", "CC", 1), ("best", "CC", -1), ("worst", "KL", -1)])
def test_best_and_worst_are_by_the_first_model_s_score(data, rule, metric, order):
    rows = load(data)
    sheet = choose_images(rows, {"first": noise(1), "second": noise(2)}, rule, metric, count=3)
    scores = {row["image_id"]: row[metric] for row in evaluate(rows, noise(1))["per_image"]}
    assert sheet.rows["image_id"] == sorted(scores, key=lambda name: order * scores[name])[:3]
    assert [row[metric] for row in sheet.scores["first"]] == approx([scores[name] for name in sheet.rows["image_id"]])
    assert sheet.metrics[0] == metric and sheet.rule == f"the 3 {rule} of 8 images by {metric} of first"


def test_random_pictures_follow_the_seed_and_are_scored_against_the_whole_data_set(data):
    rows = load(data)
    first, again, second = (choose_images(rows, {"noise": noise(1)}, count=4, seed=seed) for seed in (5, 5, 6))
    assert first.rows["image_id"] == again.rows["image_id"] != second.rows["image_id"]
    evaluator = Evaluator("tuebingen", fixation_pool(read_truths(rows)))
    truth = next(item for item in read_truths(rows) if item.image_id == first.rows["image_id"][0])
    expected = evaluator.score(
        next(noise(1)(first.rows)), truth.fixations, sigma=truth.sigma, size=truth.size, image_id=truth.image_id
    )
    assert first.scores["noise"][0]["sAUC"] == expected["sAUC"]


def test_a_sheet_shows_photographs_only_when_asked(data):
    sheet = choose_images(load(data), {"one": noise(1), "two": noise(2)}, count=2)
    assert [axes.get_title() for axes in draw_sheet(sheet).axes[:4]] == ["image", "truth", "one", "two"]
    bare = draw_sheet(sheet, photos=False)
    assert [axes.get_title() for axes in bare.axes[:3]] == ["truth", "one", "two"]
    assert all(axes.images[0].get_array().ndim == 2 for axes in bare.axes)
    assert f"CC {sheet.scores['two'][1]['CC']:.2f}" in bare.axes[5].get_xlabel()


def test_figure_writes_a_sheet_of_models_and_maps(mlnet, small_checkpoint, data, tmp_path):
    (tmp_path / "maps").mkdir()
    for number in range(8):
        np.save(tmp_path / "maps" / f"{number:03d}.npy", np.random.default_rng(number).random((48, 64)))
    words = ["--dataset", data, "--maps", tmp_path / "maps", "--rule", "worst", "--metric", "NSS", "--count", 2]
    words += ["--baseline", "gbvs"]
    result = mlnet("figure", *words, "-o", tmp_path / "worst.png", "--no-photos")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"the 2 worst of 8 images by NSS of {small_checkpoint.name}\n")
    assert result.stdout.count("  maps  ") == result.stdout.count("  gbvs  ") == 2
    assert Image.open(tmp_path / "worst.png").size[0] > 500


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rule": "nice"}, "rule must be one of"),
        ({"metric": "XY"}, "metric must be one of"),
        ({"count": 0}, "count must be at least 1"),
        ({"sources": {}}, "at least one model"),
    ],
)
def test_wrong_arguments_of_a_sheet_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        choose_images(SimpleNamespace(), **{"sources": {"noise": noise(1)}} | arguments)


def test_every_kind_of_recording_has_an_explanation_of_its_own(small_model, small_checkpoint, pictures):
    small_model.set_recordings(["eye", "mouse"])
    with torch.no_grad():
        small_model.encoder.out.weight[1].uniform_(0, 1)
        small_model.prior.weight[1].uniform_(-0.5, 0.5)
    processor = MLNetImageProcessor.from_pretrained(small_checkpoint)
    predictor = SaliencyPredictor(small_model, processor, device="cpu", dtype="float32")
    eye, mouse = (level_importance(predictor, pictures[:1], recording=kind).per_image for kind in (None, "mouse"))
    assert not np.allclose(eye["mean"], mouse["mean"])
    rows, columns = prior_map(small_model, recording="mouse").factor.shape
    factor = small_model.prior(rows, columns, 1).detach().numpy()
    np.testing.assert_array_equal(prior_map(small_model, recording="mouse").factor, factor)
    panels = image_panels(predictor, pictures[0], samples=1, recording="mouse")
    np.testing.assert_array_equal(panels["map behind the prior"], predictor(pictures[0], recording="mouse"))
    default = image_panels(predictor, pictures[0], samples=1)
    for title in ("map before the prior", "prior", "pixels that moved it"):
        assert not np.allclose(panels[title], default[title])
    with pytest.raises(ValueError, match="recording must be one of"):
        level_importance(predictor, pictures[:1], recording="nose")
    with pytest.raises(ValueError, match="recording must be one of"):
        level_ablation(predictor, None, recording="nose")  # before the data set is read
