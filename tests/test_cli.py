import json
import re
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
import torch
from layouts import write_folder, write_image
from PIL import Image
from typer.testing import CliRunner

from modeling_mlnet.cli import app
from modeling_mlnet.inference.inputs import find_images
from modeling_mlnet.io.atomic import write_whole

ROOT = Path(__file__).parent.parent


@pytest.fixture
def predict(small_checkpoint):
    def run(*words):
        return CliRunner().invoke(app, ["predict", *map(str, words), "--model", str(small_checkpoint)])

    return run


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_every_format_is_written_under_the_picture_s_name(predict, pictures, tmp_path):
    result = predict(*pictures[:2], "-o", tmp_path / "out", "--format", "map,overlay,npy")
    assert result.exit_code == 0, result.output
    assert names(tmp_path / "out") == [f"{item}{end}" for item in "ab" for end in (".map.png", ".npy", ".overlay.png")]
    saliency_map = np.load(tmp_path / "out" / "a.npy")
    assert saliency_map.shape == (40, 60) and saliency_map.dtype == np.float32 and saliency_map.max() == 1
    grey = Image.open(tmp_path / "out" / "a.map.png")
    assert grey.mode == "L" and np.abs(np.asarray(grey) / 255 - saliency_map).max() <= 0.5 / 255 + 1e-6
    assert Image.open(tmp_path / "out" / "a.overlay.png").size == (60, 40)


def test_folders_are_searched_and_their_subfolders_kept(predict, tmp_path):
    write_image(tmp_path / "in" / "x.jpg")
    write_image(tmp_path / "in" / "deep" / "er" / "y.JPG")
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    write_image(tmp_path / "in" / ".hidden.png")
    assert predict(tmp_path / "in", "-o", tmp_path / "out").exit_code == 0
    assert names(tmp_path / "out") == ["deep/er/y.map.png", "x.map.png"]


def test_patterns_are_expanded(predict, tmp_path):
    for name in ("one.png", "two.png", "three.jpg"):
        write_image(tmp_path / "in" / name)
    assert predict(tmp_path / "in" / "*.png", "-o", tmp_path / "out").exit_code == 0
    assert names(tmp_path / "out") == ["one.map.png", "two.map.png"]


def test_names_that_would_collide_keep_what_tells_them_apart(predict, tmp_path):
    for name in ("in/a.jpg", "in/a.png", "in/b.png", "other/b.png"):
        write_image(tmp_path / name)
    assert predict(tmp_path / "in", tmp_path / "other", "-o", tmp_path / "out").exit_code == 0
    assert names(tmp_path / "out") == ["a.jpg.map.png", "a.png.map.png", "in/b.map.png", "other/b.map.png"]


def test_one_bad_file_is_named_and_does_not_stop_the_rest(predict, pictures, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(pictures[0].read_bytes()[:300])
    result = predict(pictures[0], tmp_path / "bad.jpg", tmp_path / "gone.jpg", pictures[1], "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "bad.jpg: cannot be read as an image" in result.stderr and "gone.jpg: no such file" in result.stderr
    assert "Traceback" not in result.stderr
    assert names(tmp_path / "out") == ["a.map.png", "b.map.png"]


def test_nothing_that_could_be_done_is_status_2(predict, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"no")
    (tmp_path / "empty").mkdir()
    assert predict(tmp_path / "bad.jpg", "-o", tmp_path / "out").exit_code == 2
    assert predict(tmp_path / "gone.jpg", "-o", tmp_path / "out").exit_code == 2
    assert predict(tmp_path / "empty", "-o", tmp_path / "out").exit_code == 2


def test_resume_leaves_whole_results_alone_and_does_the_rest(predict, pictures, tmp_path):
    out, words = tmp_path / "out", ["--format", "map,overlay,npy", "--resume"]
    assert predict(pictures[0], "-o", out, *words).exit_code == 0
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    result = predict(*pictures[:2], "-o", out, *words)
    assert result.exit_code == 0 and "1 of 2 images" in result.stderr and "1 already there" in result.stderr
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert names(out) == [f"{item}{end}" for item in "ab" for end in (".map.png", ".npy", ".overlay.png")]
    (out / "a.npy").unlink()
    assert "1 of 1 images" in predict(pictures[0], "-o", out, *words).stderr


def test_several_processes_share_a_folder_without_doubles_or_gaps(predict, tmp_path, monkeypatch):
    for name in "abcdefg":
        write_image(tmp_path / "in" / f"{name}.jpg")
    write_image(tmp_path / "in" / "a.png")  # collides with a.jpg, wherever that is predicted
    monkeypatch.setenv("WORLD_SIZE", "3")
    for rank in range(3):
        monkeypatch.setenv("RANK", str(rank))
        result = predict(tmp_path / "in", "-o", tmp_path / f"out{rank}")
        assert result.exit_code == 0, result.output
    written = [names(tmp_path / f"out{rank}") for rank in range(3)]
    assert [len(item) for item in written] == [3, 3, 2]
    monkeypatch.delenv("WORLD_SIZE")
    monkeypatch.delenv("RANK")
    predict(tmp_path / "in", "-o", tmp_path / "whole")
    assert sorted([name for item in written for name in item]) == names(tmp_path / "whole")


def test_an_input_is_never_overwritten(predict, tmp_path):
    write_image(tmp_path / "a.jpg")
    second = write_image(tmp_path / "a.map.png", seed=1)
    before = second.read_bytes()
    result = predict(tmp_path / "a.jpg", second, "-o", tmp_path)
    assert result.exit_code == 1 and "would overwrite an input" in result.stderr
    assert second.read_bytes() == before


def test_results_are_not_taken_for_pictures_by_the_next_run(predict, tmp_path):
    write_image(tmp_path / "in" / "a.jpg")
    for _ in range(2):
        assert predict(tmp_path / "in", "-o", tmp_path / "in", "--format", "map,overlay").exit_code == 0
    assert names(tmp_path / "in") == ["a.jpg", "a.map.png", "a.overlay.png"]
    jobs = find_images([str(tmp_path / "in")], tmp_path / "in" / "maps").jobs
    assert len(jobs) == 1


def test_a_pattern_does_not_take_results_for_pictures_nor_a_picture_twice(predict, tmp_path):
    picture = write_image(tmp_path / "in" / "a.jpg")
    for _ in range(2):
        result = predict(tmp_path / "in" / "*", picture, "-o", tmp_path / "in", "--format", "map,npy")
        assert result.exit_code == 0 and "1 of 1 images" in result.stderr
    assert names(tmp_path / "in") == ["a.jpg", "a.map.png", "a.npy"]


def test_a_name_the_system_cannot_have_is_reported(predict, pictures, tmp_path):
    result = predict("x" * 300, pictures[0], "-o", tmp_path / "out")
    assert result.exit_code == 1 and "File name too long" in result.stderr


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    (tmp_path / "map.png").write_bytes(b"old")

    def fail(file):
        file.write(b"half")
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_whole(tmp_path / "map.png", fail)
    assert names(tmp_path) == ["map.png"] and (tmp_path / "map.png").read_bytes() == b"old"


def test_several_may_write_one_file_at_once(tmp_path):
    together = Barrier(4)

    def write(number):
        write_whole(tmp_path / "map.png", lambda file: (file.write(bytes([number]) * 1000), together.wait(10)))

    with ThreadPoolExecutor(4) as writers:
        list(writers.map(write, range(4)))
    assert names(tmp_path) == ["map.png"] and len(set((tmp_path / "map.png").read_bytes())) == 1


def test_a_folder_that_cannot_be_written_is_reported_per_picture(predict, pictures, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.map.png").mkdir()
    result = predict(*pictures[:2], "-o", tmp_path / "out")
    reason = f"a.jpg: its result cannot be written: {tmp_path / 'out' / 'a.map.png'}: Is a directory"
    assert result.exit_code == 1 and reason in result.stderr
    assert (tmp_path / "out" / "b.map.png").is_file()


def test_no_prior_changes_the_map(predict, pictures, tmp_path):
    predict(pictures[0], "-o", tmp_path / "with", "--format", "npy")
    predict(pictures[0], "-o", tmp_path / "without", "--format", "npy", "--no-prior")
    maps = [np.load(tmp_path / name / "a.npy") for name in ("with", "without")]
    assert np.abs(maps[0] - maps[1]).max() > 0.01


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--format", "jpeg"], "'jpeg' is not one of map, overlay, jpg"),
        (["--batch-size", "0"], "batch-size"),
        (["--colour"], "--colour"),
    ],
)
def test_wrong_options_are_status_2(predict, pictures, tmp_path, words, message):
    result = predict(pictures[0], "-o", tmp_path / "out", *words)
    assert result.exit_code == 2 and message in result.output + result.stderr


def test_wrong_model_is_one_line_and_status_2(mlnet, pictures, tmp_path):
    result = mlnet("predict", pictures[0], "-o", tmp_path / "out", "--dtype", "float8")
    assert result.returncode == 2 and result.stderr.startswith("mlnet: error: dtype must be one of")
    result = mlnet("predict", pictures[0], "-o", tmp_path / "out", "--model", "minni")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1 and result.stderr.startswith("mlnet: error: minni: no such checkpoint")
    assert not (tmp_path / "out").exists()


def test_every_command_has_help_with_an_example():
    for command in ("predict", "evaluate", "table", "explain", "figure", "train"):
        result = CliRunner().invoke(app, [command, "--help"])
        assert result.exit_code == 0 and f"Example: mlnet {command}" in result.output


def test_evaluate_prints_a_table_and_writes_json(small_checkpoint, tmp_path):
    words = ["--dataset", f"folder:{write_folder(tmp_path / 'data')}", "--output", str(tmp_path / "scores.json")]
    result = CliRunner().invoke(app, ["evaluate", *words, "--model", str(small_checkpoint), "--held-out", "0.5"])
    assert result.exit_code == 0, result.output
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["protocol"] == "tuebingen" and 0 < scores["images"] < 12 and scores["held_out"] == 0.5
    assert list(scores["metrics"]) == ["AUC", "sAUC", "NSS", "CC", "SIM", "KL", "IG"]
    assert f"{scores['metrics']['CC']['mean']:.4f}" in result.output
    assert scores["prediction"]["sha256"] == sha256((small_checkpoint / "model.safetensors").read_bytes()).hexdigest()
    assert scores["protocol_definition"]["metrics"]["AUC"] == "auc_judd(negatives='all')"
    assert len(scores["per_image"]) == scores["images"] and torch.__version__.startswith(scores["versions"]["torch"])
    assert scores["package_version"] == version("mlnet-saliency") and scores["bootstrap"] == {
        "samples": 1000,
        "seed": 0,
    }
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8").partition("`--output results.json`:")[2]
    cells = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    assert set(re.findall(r"`(\w+)`", " ".join(cells))) == {*scores, "maps_sha256"}  # what the page explains


def test_evaluate_scores_the_human_ceiling_and_tells_which_data_it_saw(tmp_path):
    files = []
    for name in ("first", "second", "changed"):
        data = write_folder(tmp_path / name)
        if name == "changed":
            Image.new("RGB", (64, 48)).save(data / "images" / "000.png")
        words = ["--dataset", f"folder:{data}", "--baseline", "half-observers", "--output", tmp_path / f"{name}.json"]
        result = CliRunner().invoke(app, ["evaluate", *map(str, words)])
        assert result.exit_code == 0 and "inter-observer on folder:" in result.output
        files.append(json.loads(words[-1].read_text()))
    first, second, changed = files
    assert first["kind"] == "baseline" and first["truth"] == "every second observer"
    assert {row["fixations"] for row in first["per_image"]} == {1}
    assert first["dataset_sha256"] == second["dataset_sha256"] != changed["dataset_sha256"]
    words = ["evaluate", "--compare", str(tmp_path / "first.json"), str(tmp_path / "second.json")]
    assert "no difference" in CliRunner().invoke(app, words).output  # the same data in another place


def test_evaluate_scores_baselines_and_maps_and_compares_them(tmp_path):
    data = f"folder:{write_folder(tmp_path / 'data')}"
    for number in range(12):
        (tmp_path / "maps").mkdir(exist_ok=True)
        np.save(tmp_path / "maps" / f"{number:03d}.npy", np.random.default_rng(number).random((48, 64)))
    words = ["evaluate", "--dataset", data, "--protocol", "mit", "--workers", "1"]
    files = [str(tmp_path / "a.json"), str(tmp_path / "b.json")]
    scores = str(tmp_path / "scores.csv")
    first = CliRunner().invoke(app, [*words, "--maps", str(tmp_path / "maps"), "--output", files[0]])
    second = CliRunner().invoke(app, [*words, "--baseline", "centre", "--output", files[1], "--per-image", scores])
    assert first.exit_code == second.exit_code == 0, first.output + second.output
    sums = [json.loads(Path(item).read_bytes()).get("maps_sha256") for item in files]
    assert re.fullmatch("[0-9a-f]{64}", sums[0]) and sums[1] is None
    np.save(tmp_path / "maps" / "011.npy", np.ones((48, 64)))
    changed = ["--maps", str(tmp_path / "maps"), "--output", str(tmp_path / "c.json"), "--protocol", "salicon2015"]
    CliRunner().invoke(app, [*words, *changed])
    assert json.loads((tmp_path / "c.json").read_text())["maps_sha256"] != sums[0]
    assert f"{tmp_path}/maps on folder:" in first.output and "centre on folder:" in second.output
    header = Path(scores).read_text(encoding="utf-8").splitlines()[0]
    assert header == "image_id,fixations,AUC-Judd,AUC-Borji,sAUC,NSS,CC,SIM,KL,IG,EMD"
    result = CliRunner().invoke(app, ["evaluate", "--compare", *files])
    assert result.exit_code == 0 and "12 images in both" in result.output and "B is better" in result.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--dataset"),
        (["--dataset", "osie:/none", "--protocol", "mti"], "protocol must be one of"),
        (["--dataset", "osie:/none"], "/none: no such folder"),
        (["--dataset", "osie:/none", "--maps", "a", "--baseline", "centre"], "either --maps or --baseline"),
    ],
)
def test_evaluate_tells_what_is_wrong_in_one_line(mlnet, words, message):
    result = mlnet("evaluate", *words)
    assert result.returncode == 2 and message in result.stderr and "Traceback" not in result.stderr


def test_train_takes_overrides_and_reports_errors_in_one_line(mlnet, tmp_path):
    result = mlnet("train", tmp_path / "gone.yaml", "--seed", "3")
    assert result.returncode == 2 and "gone.yaml: no such recipe" in result.stderr
    assert result.stderr.count("\n") == 1
