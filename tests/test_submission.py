"""`mlnet submit`: what the benchmarks take, complete or not at all."""

import base64
import io
import json
import shutil
import zipfile
from dataclasses import replace

import h5py
import numpy as np
import pytest
from layouts import write_image
from PIL import Image
from scipy.special import logsumexp
from typer.testing import CliRunner

from modeling_mlnet import SaliencyPredictor
from modeling_mlnet.cli import app
from modeling_mlnet.data.maps import map_png
from modeling_mlnet.evaluation import submission
from modeling_mlnet.inference.density import Calibration


@pytest.fixture
def calibrated(small_checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("calibrated") / "checkpoint"
    shutil.copytree(small_checkpoint, folder)
    Calibration(1.0, 0.0, 0.0, 0.01, [[0.0, 0.0], [0.0, 0.0]]).write(folder / "calibration.json")
    return folder


@pytest.fixture
def submit(calibrated, tmp_path):
    def run(name, *words, folder="images", file="out.h5"):
        words = [
            "submit",
            name,
            str(tmp_path / folder),
            "-o",
            str(tmp_path / file),
            "--model",
            str(calibrated),
            *words,
        ]
        return CliRunner().invoke(app, words)

    return run


def of_size(monkeypatch, name, **counts):
    """Makes a benchmark as small as its images here."""
    benchmark = submission.BENCHMARKS[name]
    monkeypatch.setitem(submission.BENCHMARKS, name, replace(benchmark, counts=counts or {"": 2}))


def test_mit300_takes_log_densities_that_sum_to_1_under_the_images_names(
    submit, tmp_path, monkeypatch, small_checkpoint
):
    of_size(monkeypatch, "mit300")
    paths = [write_image(tmp_path / "images" / f"i{k}.jpg", (60 + k, 40), k) for k in (1, 2)]
    assert submit("mit300").exit_code == 0
    with h5py.File(tmp_path / "out.h5") as file:
        assert sorted(file) == ["i1.jpg", "i2.jpg"]
        for path in paths:
            values = file[path.name][:]
            assert values.dtype == np.float32 and values.shape == Image.open(path).size[::-1]
            assert abs(logsumexp(values)) < 1e-3
    expected = SaliencyPredictor(small_checkpoint, dtype="float32")(paths[1])
    with h5py.File(tmp_path / "out.h5") as file:
        assert np.argmax(file["i2.jpg"][:]) == np.argmax(expected)


def test_cat2000_keeps_its_categories(submit, tmp_path, monkeypatch):
    of_size(monkeypatch, "cat2000", Action=1, Social=1)
    for name in ("Action/001.jpg", "Social/001.jpg", "Social/Output/001.jpg", "Output/1.jpg"):
        write_image(tmp_path / "images" / "Stimuli" / name)
    assert submit("cat2000").exit_code == 0
    with h5py.File(tmp_path / "out.h5") as file:
        assert [f"{category}/{name}" for category in file for name in file[category]] == [
            "Action/001.jpg",
            "Social/001.jpg",
        ]
    assert submit("cat2000", file="out.zip").exit_code == 0
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert archive.namelist() == ["Action/001.png", "Social/001.png"]
        image = Image.open(io.BytesIO(archive.read("Social/001.png")))
        assert image.mode == "L" and image.size == (64, 48) and np.asarray(image).max() == 255


def test_salicon_takes_two_lists_of_pngs_by_number(submit, tmp_path, monkeypatch):
    of_size(monkeypatch, "salicon", val=2, test=1)
    for name in (
        "val/COCO_val2014_000000000042.jpg",
        "val/COCO_val2014_000000000007.jpg",
        "test/COCO_test2014_000000000001.jpg",
    ):
        write_image(tmp_path / "images" / name)
    assert submit("salicon", "--name", "small", file="results.zip").exit_code == 0
    with zipfile.ZipFile(tmp_path / "results.zip") as archive:
        names = [f"fixations_{split}2014_small_results.json" for split in ("val", "test")]
        assert archive.namelist() == names
        entries = json.loads(archive.read(names[0]))
    assert [entry["image_id"] for entry in entries] == [7, 42]
    image = Image.open(io.BytesIO(base64.b64decode(entries[0]["saliency_map"])))
    assert (image.format, image.mode, image.size) == ("PNG", "L", (64, 48))


def test_salicon_is_predicted_as_mouse_tracking_where_the_model_knows_it(tmp_path, monkeypatch):
    of_size(monkeypatch, "salicon", val=1, test=1)
    for split in ("val", "test"):
        path = write_image(tmp_path / "images" / split / f"COCO_{split}2014_000000000001.jpg")
    words = ["submit", "salicon", str(tmp_path / "images"), "-o", str(tmp_path / "out.zip")]
    assert CliRunner().invoke(app, words).exit_code == 0
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        [entry] = json.loads(archive.read("fixations_test2014_mlnet_results.json"))
    [expected] = SaliencyPredictor("mini", dtype="float32").maps([path], recording="mouse")
    assert base64.b64decode(entry["saliency_map"]) == map_png(expected)


@pytest.mark.parametrize(
    ("words", "file", "message"),
    [
        (
            ["mit300"],
            "out.h5",
            r"images: 1 images .*, MIT300, of which i2.jpg is missing, has 300; .*, or --incomplete",
        ),
        (["mit300"], "out.mat", r"out.mat: MIT300 takes .h5 or .hdf5 or .zip, got '.mat'"),
        (["salicon", "--incomplete"], "out.zip", r"images: 0 images .* in val, SALICON has 5,000"),
        (["cat2000", "--incomplete"], "out.zip", r"images: 0 images .* in Action, CAT2000's test set has 100"),
        (["mit30"], "out.h5", "benchmark must be one of mit300, cat2000, salicon, got 'mit30'"),
    ],
)
def test_what_is_not_complete_or_not_known_is_one_error(submit, tmp_path, words, file, message):
    write_image(tmp_path / "images" / "i1.jpg")
    with pytest.raises(ValueError, match=message):
        raise submit(*words, file=file).exception
    assert not (tmp_path / file).exists()


@pytest.mark.parametrize(
    ("name", "place", "example"),
    [
        ("mit300", "holiday.jpg", "i1.jpg"),
        ("mit300", "i0.jpg", "i1.jpg"),
        ("mit300", "i301.jpg", "i1.jpg"),
        ("mit300", "i7.png", "i1.jpg"),
        ("cat2000", "Stimuli/Action/201.jpg", "Action/002.jpg"),
        ("cat2000", "Stimuli/Holiday/002.jpg", "Action/002.jpg"),
        ("salicon", "test/COCO_train2014_000000000001.jpg", "COCO_test2014_000000000042.jpg"),
        ("salicon", "val/COCO_val2014_1.jpg", "COCO_val2014_000000000042.jpg"),
    ],
)
def test_a_name_that_the_benchmark_does_not_have_is_an_error(submit, tmp_path, name, place, example):
    write_image(tmp_path / "images" / place)
    message = (
        rf"{place}: {submission.BENCHMARKS[name].title}.* has no such image; its names are like {example}; rename"
    )
    with pytest.raises(ValueError, match=message):
        raise submit(name, "--incomplete", file="out.zip").exception


def test_the_first_missing_image_is_named_and_every_official_name_is_known(submit, tmp_path):
    mit300 = submission.BENCHMARKS["mit300"]
    (tmp_path / "images").mkdir()
    for name in mit300.names:
        (tmp_path / "images" / name).touch()
    (tmp_path / "images" / "i7.jpg").unlink()
    with pytest.raises(ValueError, match=r"299 images .*, MIT300, of which i7\.jpg is missing, has 300"):
        raise submit("mit300").exception
    (tmp_path / "images" / "holiday.jpg").touch()
    with pytest.raises(ValueError, match=r"holiday\.jpg: MIT300, of which i7\.jpg is missing, has no such image"):
        raise submit("mit300").exception


@pytest.mark.parametrize("folder", ["images", "images/Stimuli"])
def test_the_training_set_of_cat2000_is_not_its_test_set(submit, tmp_path, folder):
    for place in ("Stimuli/Action/001.jpg", "FIXATIONLOCS/Action/001.jpg"):
        write_image(tmp_path / "images" / place)
    with pytest.raises(ValueError, match=r"images: .*FIXATIONLOCS.*training set; give the folder testSet"):
        raise submit("cat2000", "--incomplete", folder=folder).exception


def test_a_damaged_image_leaves_no_file_behind_and_a_rehearsal_may_be_incomplete(submit, tmp_path):
    write_image(tmp_path / "images" / "i1.jpg")
    assert submit("mit300", "--incomplete", file="out.zip").stdout == f"1 images in {tmp_path}/out.zip\n"
    (tmp_path / "images" / "i2.jpg").write_bytes(b"no image")
    for file in ("out.h5", "more.zip"):
        assert "i2.jpg" in str(submit("mit300", "--incomplete", file=file).exception)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "out.zip"]


def test_damage_is_found_before_anything_is_predicted(submit, tmp_path, monkeypatch):
    write_image(tmp_path / "images" / "i1.jpg")
    (tmp_path / "images" / "i2.jpg").write_bytes(b"no image")
    monkeypatch.setattr(SaliencyPredictor, "maps", lambda *_, **__: pytest.fail("predicted"))
    result = submit("mit300", "--incomplete", file="out.zip")
    assert str(result.exception) == f"{tmp_path}/images/i2.jpg: image is damaged: it is no image file"
