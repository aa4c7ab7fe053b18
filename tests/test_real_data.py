"""On real fixation data, read from the folder named by MLNET_DATA (layout in the docstring of `specs`)."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset

from modeling_mlnet import SaliencyPredictor
from modeling_mlnet.data import check, export_parquet, load, scan
from modeling_mlnet.data.schema import FEATURES
from modeling_mlnet.evaluation.evaluate import evaluate, predicted_by

DATA = os.environ.get("MLNET_DATA")
pytestmark = pytest.mark.skipif(DATA is None, reason="MLNET_DATA does not name a folder with salicon/, osie/, ...")


def specs() -> dict[str, tuple[str, int]]:
    """Data set specification and number of images: salicon/, osie/, eyecrowd/ and sun500/ below MLNET_DATA."""
    folder = Path(DATA or "")
    return {
        "salicon": (f"salicon:{folder / 'salicon'}", 590),
        "osie": (f"osie:{folder / 'osie'}", 500),
        "eyecrowd": (f"folder:{folder / 'eyecrowd'}", 400),
        "sun500": (f"folder:{folder / 'sun500'}", 400),
    }


@pytest.mark.parametrize("name", ["salicon", "osie", "eyecrowd", "sun500"])
def test_every_picture_is_found_whole_with_fixations(name):
    spec, count = specs()[name]
    result = scan(spec)
    assert len(result.records) == count and not result.problems
    assert min(len(record.fixations) for record in result.records) > 10


def test_salicon_maps_are_where_the_fixations_are():
    for row in load(specs()["salicon"][0], streaming=True).take(20):
        density = np.asarray(row["saliency_map"], dtype=float)
        points = np.asarray(row["fixations"]).astype(int)
        assert density[points[:, 1], points[:, 0]].mean() > 1.5 * density.mean()


def test_the_annotations_of_2015_are_those_of_the_file():
    folder = Path(DATA or "") / "salicon_examples"
    content = json.loads((folder / "annotations" / "fixations_train2014examples.json").read_text())
    names = {item["id"]: Path(item["file_name"]).stem for item in content["images"]}
    rows = load(f"salicon:{folder}")
    assert sorted(rows["image_id"]) == sorted(names.values()) and set(rows["sigma"]) == {19}
    for row in rows:
        entries = [item for item in content["annotations"] if names[item["image_id"]] == row["image_id"]]
        points = [[column - 1, line - 1] for item in entries for line, column in item["fixations"]]
        assert row["fixations"] == points and len(points) > 1000
        assert row["observers"] == [item["worker_id"] for item in entries for _ in item["fixations"]]


@pytest.mark.parametrize(("name", "size"), [("salicon", (640, 480)), ("osie", (800, 600))])
def test_a_part_of_a_set_is_whole_but_for_the_images_that_are_elsewhere(name, size):
    spec, count = specs()[name]
    result = check(spec, "train" if name == "salicon" else None)
    [split] = result.splits
    assert not result.problems and not result.notes and not result.is_complete
    assert split.usable == split.with_fixations == count < split.official
    assert split.sizes == {size: count} and len(result.rows) == 24


def test_an_unchanged_set_is_found_in_the_cache():
    spec = f"salicon:{Path(DATA or '') / 'salicon_examples'}"
    first, again = load(spec), load(spec)
    assert len(again) == 10 and first.cache_files and first.cache_files == again.cache_files


def test_an_export_of_real_images_comes_back_byte_for_byte(tmp_path):
    spec = f"salicon:{Path(DATA or '') / 'salicon_examples'}"
    export_parquet(spec, tmp_path / "out", split="train")
    for ours, theirs in zip(load(str(tmp_path / "out")), load(spec), strict=True):
        assert np.array_equal(np.asarray(ours["image"]), np.asarray(theirs["image"]))
        assert np.array_equal(np.asarray(ours["saliency_map"]), np.asarray(theirs["saliency_map"]))
        assert ours["fixations"] == theirs["fixations"] and ours["observers"] == theirs["observers"]


@pytest.mark.parametrize(("name", "least"), [("salicon", 0.86), ("osie", 0.85)])
def test_mini_beats_the_centre_on_images_it_was_not_trained_on(name, least):
    stream = load(specs()[name][0], held_out=0.1, streaming=True)  # without making the density of every image
    rows = Dataset.from_list(list(stream), features=FEATURES)
    ours = evaluate(rows, predicted_by(SaliencyPredictor("mini")))["metrics"]
    centre = evaluate(rows, "centre")["metrics"]
    assert ours["CC"]["mean"] > least
    for metric in ("CC", "SIM", "NSS", "AUC", "sAUC"):
        assert ours[metric]["low"] > centre[metric]["high"], metric
    assert ours["KL"]["high"] < centre["KL"]["low"]
