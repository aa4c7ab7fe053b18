import json
import tracemalloc

import numpy as np
import pytest
from layouts import warnings_seen, write_density, write_image, write_mat, write_salicon, write_salicon_json

from modeling_mlnet.data import CATALOG, load, scan
from modeling_mlnet.data.json_stream import stream_items

STEM = "COCO_train2014_00000000000"


def test_official_counts_are_those_of_the_release():
    assert CATALOG["salicon"].images == {"train": 10_000, "validation": 5_000, "test": 5_000}
    assert CATALOG["salicon"].size == (640, 480)


@pytest.mark.parametrize(
    ("fixations", "points", "observers", "sigma"),
    [
        ("gaze", [[0, 0], [63, 47], [2, 1]], [0, 0, 1], None),
        ("json", [[0, 0], [63, 47], [2, 1]], [7, 7, 8], 19),
        ("I", [[0, 0], [2, 1], [63, 47]], [], None),
        ("png", [[0, 0], [2, 1], [63, 47]], [], None),
        ("none", [], [], None),
    ],
)
def test_every_form_of_the_release_gives_the_same_fixations(tmp_path, fixations, points, observers, sigma):
    row = load(f"salicon:{write_salicon(tmp_path, fixations=fixations)}")[2]
    assert row["image_id"] == f"{STEM}2" and row["image"].size == (64, 48)
    assert (row["fixations"], row["observers"], row["sigma"]) == (points, observers, sigma)
    if sigma is None:  # the data set's own
        assert np.asarray(row["saliency_map"])[15, 30] == 255


def test_splits_are_the_official_folders(tmp_path):
    write_salicon(tmp_path, count=2)
    write_salicon(tmp_path, count=3, split="val")
    assert len(load(f"salicon:{tmp_path}", "train")) == 2
    assert len(load(f"salicon:{tmp_path}", "validation")) == 3
    with pytest.raises(ValueError, match=r"'valid'"):
        load(f"salicon:{tmp_path}", "valid")


@pytest.mark.parametrize("streaming", [False, True])
def test_the_test_split_has_no_ground_truth_but_is_looked_through(tmp_path, streaming):
    write_salicon(tmp_path, count=3, split="test")
    with pytest.raises(ValueError, match="test split has no ground truth"):
        load(f"salicon:{tmp_path}", "test", streaming=streaming)
    assert len(scan(f"salicon:{tmp_path}", "test").records) == 3


def test_every_missing_or_damaged_file_is_named_and_the_rest_goes_on(tmp_path):
    write_salicon(tmp_path)
    (tmp_path / f"maps/train/{STEM}0.png").unlink()
    (tmp_path / f"fixations/train/{STEM}1.mat").write_bytes(b"not a mat file at all")
    (tmp_path / f"fixations/train/{STEM}2.mat").unlink()
    image = tmp_path / f"images/train/{STEM}3.jpg"
    image.write_bytes(image.read_bytes()[:300])
    with warnings_seen() as seen:
        rows = load(f"salicon:{tmp_path}")
    assert rows["image_id"] == [f"{STEM}4", f"{STEM}5"] and len(seen) == 4
    for line, (name, reason) in zip(
        seen,
        {
            f"{STEM}0.png": "saliency map is missing",
            f"{STEM}1.mat": "fixations are damaged",
            f"{STEM}2.mat": "fixations are missing",
            f"{STEM}3.jpg": "image is damaged",
        }.items(),
        strict=True,
    ):
        assert name in line and reason in line


def test_a_mat_file_of_another_kind_is_named(tmp_path):
    write_salicon(tmp_path, count=2)
    path = write_mat(tmp_path / f"fixations/train/{STEM}0.mat", something=[[1]])
    assert scan(f"salicon:{tmp_path}").problems == [
        f"{path}: fixations are damaged: it holds none of the variables gaze, resolution, I"
    ]


def test_annotations_without_image_are_told_by_a_scan_only(tmp_path):
    write_salicon(tmp_path, count=2)
    (tmp_path / f"images/train/{STEM}1.jpg").unlink()
    result = scan(f"salicon:{tmp_path}")
    assert len(result.records) == 1 and not result.problems
    assert sorted(result.unmatched) == [
        f"{tmp_path}/fixations/train/{STEM}1.mat: has no image of its name",
        f"{tmp_path}/maps/train/{STEM}1.png: has no image of its name",
    ]
    with warnings_seen() as seen:
        load(f"salicon:{tmp_path}")
    assert not seen


def test_hidden_files_of_a_mac_are_no_images(tmp_path):
    write_salicon(tmp_path, count=2)
    (tmp_path / f"images/train/._{STEM}0.jpg").write_bytes(b"\0")
    assert len(scan(f"salicon:{tmp_path}").records) == 2


def test_images_without_any_ground_truth_are_an_error(tmp_path):
    write_image(tmp_path / "images" / "train" / "a.jpg")
    with pytest.raises(ValueError, match=r"neither maps/train, fixations/train nor annotations/fixations_train2014"):
        load(f"salicon:{tmp_path}")


# --- the JSON of 2015


def test_the_archives_of_2015_are_found_where_they_unpack_themselves(tmp_path):
    for k in range(2):
        write_image(tmp_path / "val" / f"COCO_val2014_{k:012d}.jpg")
    write_salicon_json(tmp_path / "fixations_val2014.json", count=2, split="val")
    rows = load(f"salicon:{tmp_path}", "validation")
    assert rows[1]["fixations"] == [[0, 0], [63, 47], [1, 1]]


def test_own_maps_are_taken_beside_the_json(tmp_path):
    write_salicon(tmp_path, count=2, fixations="json")
    for k in range(2):
        write_density(tmp_path / "maps" / "train" / f"{STEM}{k}.png")
    assert load(f"salicon:{tmp_path}")[0]["sigma"] is None


def test_images_and_entries_of_the_json_that_lack_the_other_are_named(tmp_path):
    write_salicon(tmp_path, count=3, fixations="json")
    path = write_salicon_json(tmp_path / "annotations" / "fixations_train2014.json", count=2)
    (tmp_path / f"images/train/{STEM}0.jpg").unlink()
    result = scan(f"salicon:{tmp_path}")
    assert [record.image_id for record in result.records] == [f"{STEM}1"]
    assert result.problems == [f"{path}: fixations for {STEM}2.jpg are missing"]
    assert result.unmatched == [f"{path}: has fixations for {STEM}0.jpg, which is missing"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"images": [], "annotations": []}', '{"images": [{"id": 1}]}'])
def test_another_json_is_refused(tmp_path, content):
    write_salicon(tmp_path, count=1, fixations="json")
    path = tmp_path / "annotations" / "fixations_train2014.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=rf"^{path}: "):
        load(f"salicon:{tmp_path}")


def test_a_json_that_was_cut_off_is_refused_with_the_place(tmp_path):
    path = write_salicon_json(tmp_path / "annotations" / "fixations_train2014.json")
    write_image(tmp_path / "images" / "train" / f"{STEM}0.jpg")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match=r"fixations_train2014.json: is damaged or cut off at byte \d+"):
        load(f"salicon:{tmp_path}")


def test_a_changed_json_is_indexed_again(tmp_path):
    write_salicon(tmp_path, count=2, fixations="json")
    assert load(f"salicon:{tmp_path}")[1]["observers"] == [7, 7, 8]
    write_salicon_json(tmp_path / "annotations" / "fixations_train2014.json", count=2, workers=1)
    assert load(f"salicon:{tmp_path}")[1]["fixations"] == [[0, 0], [63, 47]]


@pytest.mark.parametrize("chunk", [1, 7, 64, 1 << 20])
@pytest.mark.parametrize("indent", [None, 2])
def test_items_are_the_same_however_the_file_is_cut_up(tmp_path, monkeypatch, chunk, indent):
    monkeypatch.setattr("modeling_mlnet.data.json_stream.CHUNK", chunk)
    content = {
        "info": {"a": [1, {"b": "]}"}], "n": 12},
        "images": [{"id": 1, "name": 'caf\xe9 "x" \\'}, {"id": 2}],
        "empty": [],
        "numbers": [1, 23, -4.5e3, True, None, "a, b"],
    }
    path = tmp_path / "some.json"
    path.write_text(json.dumps(content, indent=indent, ensure_ascii=False), encoding="utf-8")
    items = list(stream_items(path))
    raw = path.read_bytes()
    assert [(item.key, json.loads(raw[item.start : item.end])) for item in items] == [
        (key, item) for key, values in content.items() if isinstance(values, list) for item in values
    ]


def test_a_large_json_is_never_in_memory(tmp_path):
    path = tmp_path / "large.json"
    points = json.dumps([[240, 320]] * 80)
    with path.open("w") as file:
        file.write('{"images": [{"id": 1}], "annotations": [{"id": 0}')
        for number in range(30_000):
            file.write(f', {{"image_id": {number}, "fixations": {points}, "worker_id": 3}}')
        file.write("]}")
    assert path.stat().st_size > 28_000_000
    tracemalloc.start()
    try:
        assert sum(1 for _ in stream_items(path)) == 30_002
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8_000_000


def test_a_image_without_an_entry_of_its_own_in_the_json_is_a_problem(tmp_path):
    write_salicon(tmp_path, count=3, fixations="json")
    path = tmp_path / "annotations" / "fixations_train2014.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["annotations"] = [item for item in content["annotations"] if item["image_id"] != 101]
    path.write_text(json.dumps(content))
    assert scan(f"salicon:{tmp_path}").problems == [f"{path}: fixations for {STEM}1.jpg are missing"]


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("images", {"width": "a"}, r"the entry of images at byte \d+ is damaged: invalid literal"),
        ("images", {"file_name": 3}, r"the entry of images at byte \d+ is damaged: 'int' object"),
        ("annotations", {"image_id": []}, r"the entry of annotations at byte \d+ is damaged: .*unhashable"),
        ("annotations", {"worker_id": None}, r"fixations are damaged near byte \d+: "),
        ("annotations", {"worker_id": "abc"}, r"fixations are damaged near byte \d+: "),
    ],
)
def test_a_wrong_value_in_the_json_is_named_with_its_place(tmp_path, key, change, message):
    write_salicon(tmp_path, count=1, fixations="json")
    path = tmp_path / "annotations" / "fixations_train2014.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content[key][0].update(change)
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        load(f"salicon:{tmp_path}")
