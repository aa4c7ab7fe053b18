import json
import re

import numpy as np
import pytest
from layouts import write_folder
from PIL import Image

from modeling_mlnet.data import load
from modeling_mlnet.training.report import draw_curves, draw_predictions
from modeling_mlnet.training.run import train


def test_every_evaluation_leaves_curves_the_same_images_and_a_line_with_rate_and_time_left(trained):
    lines = [line for line in trained.said.splitlines() if line.startswith("step ")]
    at = r"step 2 of 4, \d+\.\d\d s a step, \d:\d\d:\d\d left: "
    assert [bool(re.match(at + "loss ", line)) for line in lines].count(True) == 1
    assert [bool(re.match(at + r"eval_loss .*, eval_CC -?0\.\d+", line)) for line in lines].count(True) == 1
    report = trained.folder / "report"
    names = sorted(path.name for path in report.iterdir())
    assert names == ["curves.png", "predictions_000002.png", "predictions_000004.png", "predictions_best.png"]
    sizes = {Image.open(report / name).size for name in names if name.startswith("predictions")}
    assert len(sizes) == 1


def test_curves_show_what_was_logged():
    history = [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.0}, {"step": 2, "eval_loss": 2.5, "eval_CC": 0.5}]
    loss, cc, *_ = draw_curves(history).axes
    assert [list(line.get_ydata()) for line in loss.lines] == [[3.0, 2.0], [2.5]]
    assert [list(line.get_ydata()) for line in cc.lines] == [[0.5]]


def test_predictions_stand_below_their_images_with_their_correlation(tmp_path):
    rows = list(load(str(write_folder(tmp_path, count=2))))
    maps = [np.asarray(row["saliency_map"], dtype=np.float32) / 255 for row in rows]
    figure = draw_predictions(rows, [maps[0], 1 - maps[1]], "step 7")
    assert [axes.get_title() for axes in figure.axes[4:]] == ["CC 1.00", "CC -1.00"]
    assert np.array_equal(figure.axes[5].images[0].get_array(), 1 - maps[1])


def test_a_report_that_cannot_be_written_costs_no_run(recipe, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "report").write_text("a file in the way")
    assert "eval_CC" in train(recipe, ["--max_steps", "1"])


def test_scalars_and_images_go_to_tensorboard(recipe, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(recipe, ["--report_to", "tensorboard", "--logging_steps", "1"])
    [folder] = {path.parent for path in (tmp_path / "run").rglob("events.out.tfevents*")}
    events = EventAccumulator(str(folder)).Reload()
    assert {"train/loss", "eval/CC", "train/learning_rate"} <= set(events.Tags()["scalars"])
    assert len(events.Images("predictions")) == 3
    assert json.loads((tmp_path / "run" / "trainer_state.json").read_text())["global_step"] == 4


def test_a_report_whose_package_is_not_installed_is_told_before_the_run(recipe, monkeypatch):
    monkeypatch.setattr("modeling_mlnet.training.checks.get_available_reporting_integrations", lambda: ["tensorboard"])
    with pytest.raises(ValueError, match="trackio needs a package that is not installed: pip install trackio"):
        train(recipe, ["--report_to", "trackio"])
