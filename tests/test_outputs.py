"""Results: written whole, and done again when they do not fit."""

import json
import os

import numpy as np
import pytest
from layouts import write_image
from PIL import Image
from typer.testing import CliRunner

from modeling_mlnet.cli import app
from modeling_mlnet.inference.inputs import find_images
from modeling_mlnet.inference.outputs import Prediction, predict_files, read_record, write_result
from modeling_mlnet.io.atomic import write_whole

FORMATS = ["--format", "map,overlay,npy"]
SUFFIXES = (".map.png", ".npy", ".overlay.png")


@pytest.fixture
def predict(small_checkpoint, tmp_path):
    """`mlnet predict` of the folder `in` into `out`: its last line, and the results it wrote."""

    def run(*words, model=small_checkpoint):
        before = times(tmp_path / "out")
        words = ["predict", str(tmp_path / "in"), "-o", str(tmp_path / "out"), *FORMATS, *words]
        result = CliRunner().invoke(app, [*words, "--model", str(model)])
        assert result.exit_code == 0, result.output
        after = times(tmp_path / "out")
        return result.stderr.splitlines()[-1], {name for name in after if after[name] != before.get(name)}

    return run


def times(folder):
    return {path.name: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.glob("*")}


def results(*stems):
    return {f"{stem}{suffix}" for stem in stems for suffix in SUFFIXES}


def test_resume_does_again_what_was_made_of_another_image(predict, tmp_path):
    write_image(tmp_path / "in" / "a.bmp", seed=1)
    write_image(tmp_path / "in" / "b.bmp", seed=2)
    assert predict("--resume")[1] == results("a", "b")
    line, written = predict("--resume")
    assert not written and line.startswith("0 of 2 images") and line.endswith(", 2 already there")
    stat = (tmp_path / "in" / "a.bmp").stat()
    write_image(tmp_path / "in" / "a.bmp", seed=3)  # of the same size, and
    os.utime(tmp_path / "in" / "a.bmp", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    line, written = predict("--resume")
    assert written == results("a") and "1 anew" in line and "1 already there" in line
    os.utime(tmp_path / "in" / "b.bmp")  # only touched
    assert not predict("--resume")[1]


def test_resume_does_again_what_was_made_under_other_settings(predict, tmp_path, small_checkpoint, recipe):
    write_image(tmp_path / "in" / "a.jpg")
    predict()
    assert predict("--resume", "--no-prior")[1] == results("a")
    assert not predict("--resume", "--no-prior")[1]
    assert predict("--resume")[1] == results("a")
    second = tmp_path / "other"
    second.mkdir()
    for path in small_checkpoint.iterdir():
        (second / path.name).write_bytes(path.read_bytes())
    settings = json.loads((second / "preprocessor_config.json").read_text())
    assert not predict("--resume", model=second)[1]  # the same checkpoint in another place
    (second / "preprocessor_config.json").write_text(json.dumps({**settings, "antialias": False}))
    line, written = predict("--resume", model=second)
    assert written == results("a") and "1 of 1 images" in line and "1 anew" in line


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("damage", ["empty", "cut", "foreign", "gone"])
def test_resume_does_again_what_is_no_whole_result(predict, tmp_path, suffix, damage):
    write_image(tmp_path / "in" / "a.jpg")
    predict()
    path = tmp_path / "out" / f"a{suffix}"
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "foreign" and suffix == ".npy":
        np.save(path, np.load(path))
    elif damage == "foreign":
        Image.open(path).save(path)
    else:
        path.write_bytes(b"" if damage == "empty" else content[:-20])
    line, written = predict("--resume")
    assert path.name in written and "1 of 1 images" in line and "anew" in line
    assert path.read_bytes() == content


def test_a_result_says_what_it_was_made_from_and_is_read_as_before(tmp_path):
    saliency_map = np.random.default_rng(0).random((40, 50), dtype=np.float32)
    record = {"image": "0" * 64, "prior": True}
    image = np.zeros((40, 50, 3), np.uint8)
    for name, suffix in (("map", ".map.png"), ("overlay", ".overlay.png"), ("npy", ".npy")):
        path = tmp_path / f"a{suffix}"
        write_result(path, Prediction("a", saliency_map, image), name, record)
        assert read_record(path) == record
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), saliency_map)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy", mmap_mode="r"), saliency_map)
    grey = np.asarray(Image.open(tmp_path / "a.map.png"))
    np.testing.assert_array_equal(grey, np.rint(saliency_map * 255))


def test_the_longest_legal_name_is_written(tmp_path):
    path = tmp_path / ("a" * (os.pathconf(tmp_path, "PC_NAME_MAX") - 4) + ".png")
    write_whole(path, lambda file: file.write(b"map"))
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("name", ["map", "npy"])
def test_a_disk_that_is_full_ends_the_run_with_the_reason(small_predictor, tmp_path, monkeypatch, name):
    for stem in "abc":
        write_image(tmp_path / "in" / f"{stem}.jpg")
    jobs = find_images([str(tmp_path / "in")], tmp_path / "out").jobs
    usual = open

    def on_full_disk(path, mode="r", *words, **options):
        return usual("/dev/full", "wb") if str(path).endswith(".tmp") else usual(path, mode, *words, **options)

    monkeypatch.setattr("builtins.open", on_full_disk)
    with pytest.raises(OSError, match="No space left on device") as caught:
        predict_files(small_predictor, jobs, tmp_path / "out", [name])
    assert str(caught.value.filename).startswith(str(tmp_path / "out"))
    assert not list((tmp_path / "out").iterdir())
