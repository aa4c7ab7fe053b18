"""Parquet that others wrote: rows are read as robustly as files."""

import json
import re

import datasets
import numpy as np
import pyarrow.parquet
import pytest
from layouts import warnings_seen, write_density, write_folder, write_image
from PIL import Image

from modeling_mlnet.data import FEATURES, check, export_parquet, load, splits_of
from modeling_mlnet.evaluation.evaluate import evaluate


def encoded(path):
    return {"bytes": path.read_bytes(), "path": None}


@pytest.fixture
def columns(tmp_path):
    """Four rows with everything inside."""
    images = [write_image(tmp_path / "source" / f"{k}.png", seed=k) for k in range(4)]
    maps = [write_density(tmp_path / "source" / f"map{k}.png", k) for k in range(4)]
    return {
        "image": list(map(encoded, images)),
        "saliency_map": list(map(encoded, maps)),
        "fixations": [[[25, 15], [30, 16 + k]] for k in range(4)],
        "image_id": [f"im{k}" for k in range(4)],
    }


def write(columns, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    images = {name: datasets.Image() for name in ("image", "saliency_map") if name in columns}
    rows = datasets.Dataset.from_dict(columns)
    for name, feature in images.items():
        rows = rows.cast_column(name, feature)
    pyarrow.parquet.write_table(rows.with_format("arrow")[:], path)  # `to_parquet` would embed what is linked
    return str(path.parent)


@pytest.mark.parametrize("streaming", [False, True])
def test_rows_with_a_fault_are_left_out_by_name_and_the_rest_goes_on(tmp_path, columns, streaming):
    columns["image"][0] = None
    columns["image"][1]["bytes"] = columns["image"][1]["bytes"][:200]
    columns["saliency_map"][2] = encoded(write_density(tmp_path / "other.png", size=(32, 48)))
    folder = write(columns, tmp_path / "out" / "data.parquet")
    with warnings_seen() as seen:
        rows = list(load(folder, streaming=streaming))
    assert [row["image_id"] for row in rows] == ["im3"] and rows[0]["image"].size == (64, 48)
    assert seen[0] == "im0: image is missing, the row holds none"
    assert seen[1].startswith("im1: image is damaged: ")
    assert seen[2] == "im2: saliency map is 32x48 px, its image 64x48 px"
    assert len(seen) == 3
    if not streaming:
        result = check(folder)
        assert (result.splits[0].images, result.splits[0].usable, result.problems) == (4, 1, seen)
        assert evaluate(load(folder), "centre")["images"] == 1


@pytest.mark.parametrize("streaming", [False, True])
def test_a_density_that_is_missing_is_made_from_the_fixations(tmp_path, columns, streaming):
    expected = np.asarray(load(write(columns, tmp_path / "whole" / "a.parquet"))[1]["saliency_map"])
    columns["saliency_map"][0] = None
    columns["sigma"] = [4.0, None, None, None]
    rows = list(load(write(columns, tmp_path / "out" / "a.parquet"), streaming=streaming))
    assert len(rows) == 4 and rows[0]["sigma"] == 4 and rows[1]["sigma"] is None
    made = np.asarray(rows[0]["saliency_map"])
    assert made.shape == (48, 64) and made[15, 25] > 200 and made[40, 5] == 0
    assert np.array_equal(np.asarray(rows[1]["saliency_map"]), expected)
    del columns["saliency_map"], columns["sigma"], columns["image_id"]
    rows = list(load(write(columns, tmp_path / "bare" / "a.parquet"), streaming=streaming))
    assert [row["image_id"] for row in rows] == ["row 0", "row 1", "row 2", "row 3"]
    assert rows[0]["sigma"] == pytest.approx(0.03 * 64) and np.asarray(rows[0]["saliency_map"])[15, 25] > 0


def test_columns_are_listed_where_one_is_missing(tmp_path, columns):
    del columns["fixations"], columns["saliency_map"]
    with pytest.raises(ValueError, match=r"no column 'fixations' .* its columns are \['image', 'image_id'\]"):
        load(write(columns, tmp_path / "out" / "a.parquet"))


@pytest.mark.parametrize("streaming", [False, True])
def test_links_are_relative_to_the_data_set_not_to_the_current_folder(tmp_path, columns, monkeypatch, streaming):
    columns["image"] = [{"bytes": None, "path": f"pictures/{k}.png"} for k in range(4)]
    for k in range(3):
        write_image(tmp_path / "out" / "pictures" / f"{k}.png", seed=k)
    folder = write(columns, tmp_path / "out" / "data" / "train.parquet")
    (tmp_path / "elsewhere" / "pictures").mkdir(parents=True)
    Image.new("RGB", (5, 5)).save(tmp_path / "elsewhere" / "pictures" / "0.png")
    monkeypatch.chdir(tmp_path / "elsewhere")
    with warnings_seen() as seen:
        rows = list(load(str(tmp_path / "out"), streaming=streaming))
    assert [row["image"].size for row in rows] == [(64, 48)] * 3
    assert seen == [f"{tmp_path}/out/pictures/3.png: image is missing"]
    assert folder == str(tmp_path / "out" / "data")


def test_a_changed_linked_image_is_not_served_from_the_cache(tmp_path, columns):
    columns["image"] = [{"bytes": None, "path": f"{k}.png"} for k in range(4)]
    for k in range(4):
        write_image(tmp_path / "out" / f"{k}.png", seed=k)
    folder = write(columns, tmp_path / "out" / "data.parquet")
    assert len(load(folder)) == 4
    (tmp_path / "out" / "2.png").write_bytes(b"no image")
    with warnings_seen() as seen:
        assert load(folder)["image_id"] == ["im0", "im1", "im3"]
    assert seen == [f"{tmp_path}/out/2.png: image is damaged: it is no image file"]


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["data.parquet"], ["train"]),
        (["train.parquet", "validation.parquet"], ["train", "validation"]),
        (["train/part1.parquet", "train/part2.parquet", "val/part1.parquet"], ["train", "validation"]),
        (["data/test-00000-of-00001.parquet"], ["test"]),
        (["default/train/0000.parquet", "default/validation/0000.parquet"], ["train", "validation"]),
    ],
)
def test_files_belong_to_the_split_that_their_name_or_folder_says(tmp_path, columns, names, splits):
    for name in names:
        write(columns, tmp_path / "out" / name)
    assert splits_of(str(tmp_path / "out")) == splits
    for split in splits:
        assert len(load(str(tmp_path / "out"), split)) == 4 * sum(
            (split if split == "train" else split[:3]) in name or name == "data.parquet" for name in names
        )


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"fixations": [[1, 2, 3]]}, "pairs of x and y are expected"),
        ({"fixations": [[float("nan"), 2], [3, 4]]}, "its fixations hold NaN or infinite coordinates"),
        ({"fixations": [[900, 900]], "saliency_map": None}, r"all 1 lie outside it, the first at \(900, 900\)"),
        ({"fixations": None, "saliency_map": None}, "it has neither fixations nor a saliency map"),
    ],
)
def test_fixations_with_a_fault_are_named(tmp_path, columns, row, reason):
    for name, value in row.items():
        columns[name][1] = value
    with warnings_seen() as seen:
        rows = load(write(columns, tmp_path / "out" / "a.parquet"))
    assert rows["image_id"] == ["im0", "im2", "im3"]
    assert re.match(f"im1: .*{reason}", seen[0])


def test_fixations_outside_are_left_out_and_counted(tmp_path, columns):
    columns["fixations"][0] = [[25, 15], [-3, 5], [640, 480]]
    rows = load(write(columns, tmp_path / "out" / "a.parquet"))
    assert rows[0]["fixations"] == [[25, 15]] and rows["outside"] == [2, 0, 0, 0]
    assert evaluate(rows, "centre")["images"] == 4


def test_rows_say_how_gaze_was_recorded_and_older_exports_say_nothing(tmp_path, columns):
    rows = load(write(columns, tmp_path / "old" / "a.parquet"))
    assert rows.features == FEATURES and rows["recording"] == [None] * 4
    columns["recording"] = ["mouse"] * 4
    assert load(write(columns, tmp_path / "new" / "a.parquet"))["recording"] == ["mouse"] * 4


def test_the_kind_of_recording_comes_back_from_an_export(tmp_path):
    path = write_folder(tmp_path / "set", count=3) / "metadata.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("\n".join(json.dumps({**line, "recording": "Mouse"}) for line in lines))
    assert load(str(tmp_path / "set"))["recording"] == ["mouse"] * 3
    export_parquet(str(tmp_path / "set"), tmp_path / "out")
    back = load(str(tmp_path / "out"))
    assert back["recording"] == ["mouse"] * 3 and back["outside"] == [1, 1, 1]
