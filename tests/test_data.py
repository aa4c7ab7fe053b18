import json
import logging

import numpy as np
import pytest
from layouts import write_folder, write_osie, write_salicon
from PIL import Image
from scipy.io import savemat
from scipy.ndimage import gaussian_filter

from modeling_mlnet.data import FEATURES, fixation_density, is_held_out, load, scan


@pytest.fixture
def warnings_seen(caplog):
    """transformers' loggers do not propagate by default."""
    logger = logging.getLogger("modeling_mlnet.data.schema")
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)


def test_salicon_rows_have_the_schema_and_0_based_fixations(tmp_path):
    rows = load(f"salicon:{write_salicon(tmp_path)}")
    assert rows.features == FEATURES and len(rows) == 6
    assert rows[2]["fixations"] == [[0, 0], [63, 47], [2, 1]]
    assert rows[2]["image_id"] == "COCO_train2014_000000000002"
    assert rows[2]["image"].size == (64, 48) and rows[2]["saliency_map"].mode == "L"
    assert np.asarray(rows[2]["saliency_map"])[15, 30] == 255


def test_salicon_splits_are_the_official_folders(tmp_path):
    write_salicon(tmp_path, count=2)
    write_salicon(tmp_path, count=3, split="val")
    assert len(load(f"salicon:{tmp_path}", "train")) == 2
    assert len(load(f"salicon:{tmp_path}", "validation")) == 3
    with pytest.raises(ValueError, match=r"'valid'"):
        load(f"salicon:{tmp_path}", "valid")


def test_osie_rows_join_the_observers_and_make_densities(tmp_path):
    rows = load(f"osie:{write_osie(tmp_path)}")
    assert rows[1]["fixations"] == [[9.5, 19.5], [1, 0], [9.5, 19.5], [1, 1]]
    expected = fixation_density(rows[1]["fixations"], 48, 64, sigma=24)
    assert np.abs(np.asarray(rows[1]["saliency_map"]) / 255 - expected).max() < 0.5 / 255 + 1e-6


def test_osie_with_one_picture_and_one_observer_is_read(tmp_path):
    assert len(load(f"osie:{write_osie(tmp_path, count=1, observers=1)}")[0]["fixations"]) == 2


def test_folder_rows_leave_out_fixations_beside_the_picture(tmp_path):
    rows = load(str(write_folder(tmp_path)))
    assert rows[3]["fixations"] == [[5, 6], [3, 1]] and rows[3]["image_id"] == "images/003"
    assert load(f"folder:{tmp_path}")[3]["fixations"] == rows[3]["fixations"]


def test_folder_may_bring_its_own_maps_and_plain_fixations(tmp_path):
    write_folder(tmp_path)
    line = {"file_name": "images/000.png", "map_file_name": "images/001.png", "fixations": [[1, 2]]}
    (tmp_path / "metadata.jsonl").write_text(json.dumps(line))
    [row] = load(str(tmp_path))
    assert row["fixations"] == [[1, 2]] and row["saliency_map"].mode == "L"


def test_salicon_names_every_missing_or_damaged_file_and_goes_on(tmp_path, warnings_seen):
    write_salicon(tmp_path)
    stem = "COCO_train2014_00000000000"
    (tmp_path / f"maps/train/{stem}0.png").unlink()
    (tmp_path / f"fixations/train/{stem}1.mat").write_bytes(b"not a mat file at all")
    (tmp_path / f"fixations/train/{stem}2.mat").unlink()
    image = tmp_path / f"images/train/{stem}3.jpg"
    image.write_bytes(image.read_bytes()[:300])
    rows = load(f"salicon:{tmp_path}")
    assert rows["image_id"] == [f"{stem}4", f"{stem}5"]
    for name, reason in {
        f"{stem}0.png": "saliency map is missing",
        f"{stem}1.mat": "fixations are damaged",
        f"{stem}2.mat": "fixations are missing",
        f"{stem}3.jpg": "picture is damaged",
    }.items():
        assert any(name in record.message and reason in record.message for record in warnings_seen.records), name


def test_folder_names_bad_lines_by_number(tmp_path):
    write_folder(tmp_path, count=3)
    lines = (tmp_path / "metadata.jsonl").read_text().splitlines()
    lines += ["{broken", json.dumps({"observers": []}), json.dumps({"file_name": "gone.png", "fixations": []}), ""]
    lines += [json.dumps({"file_name": "images/001.png", "fixations": [[1, 2, 3]]})]
    (tmp_path / "metadata.jsonl").write_text("\n".join(lines))
    found = scan(str(tmp_path))
    assert len(found.records) == 3 and len(found.problems) == 4
    assert "line 4" in found.problems[0]
    assert "line 5: key 'file_name' is missing" in found.problems[1]
    assert "gone.png: picture is missing" in found.problems[2]
    assert "line 8" in found.problems[3]


def test_maps_of_another_size_than_their_picture_are_named(tmp_path):
    write_salicon(tmp_path, count=2)
    path = sorted((tmp_path / "maps" / "train").iterdir())[0]
    Image.new("L", (16, 12)).save(path)
    found = scan(f"salicon:{tmp_path}")
    assert len(found.records) == 1
    assert found.problems == [f"{path}: saliency map is 16x12 px, its picture 64x48 px"]


def test_rotated_pictures_have_fixations_and_density_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (64, 48), "red").save(tmp_path / "turned.jpg", exif=exif)
    (tmp_path / "metadata.jsonl").write_text(json.dumps({"file_name": "turned.jpg", "fixations": [[5, 60], [60, 5]]}))
    [row] = load(str(tmp_path))
    assert row["image"].size == row["saliency_map"].size == (48, 64)
    assert row["fixations"] == [[5, 60]]


def test_pictures_that_differ_in_their_ending_only_keep_it_in_their_id(tmp_path):
    for name in ("a.jpg", "a.png", "b.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    lines = [json.dumps({"file_name": name, "fixations": [[1, 1]]}) for name in ("a.jpg", "a.png", "b.png")]
    (tmp_path / "metadata.jsonl").write_text("\n".join(lines))
    assert [record.image_id for record in scan(str(tmp_path)).records] == ["a.jpg", "a.png", "b"]


def test_damaged_index_files_are_named(tmp_path):
    (tmp_path / "metadata.jsonl").write_bytes('{"file_name": "caf\xe9.jpg"}'.encode("latin-1"))
    with pytest.raises(ValueError, match=r"metadata\.jsonl: is not UTF-8"):
        load(str(tmp_path))
    (tmp_path / "eye").mkdir()
    savemat(tmp_path / "eye" / "fixations.mat", {"fixations": np.ones((2, 1))})
    found = scan(f"osie:{tmp_path}")
    assert len(found.problems) == 2 and "fixations.mat: entry 1 is damaged" in found.problems[0]


def test_osie_names_missing_pictures(tmp_path):
    write_osie(tmp_path)
    (tmp_path / "stimuli" / "1002.jpg").unlink()
    found = scan(f"osie:{tmp_path}")
    assert [record.image_id for record in found.records] == ["1001", "1003"]
    assert "1002.jpg: picture is missing" in found.problems[0]


def test_nothing_left_is_an_error_with_the_first_problem(tmp_path):
    write_salicon(tmp_path, count=1)
    next((tmp_path / "maps" / "train").iterdir()).unlink()
    with pytest.raises(ValueError, match=r"no usable picture found; first problem: .*saliency map is missing"):
        load(f"salicon:{tmp_path}")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("salcon:/nowhere", "unknown data set 'salcon'"),
        ("salicon:/nowhere", "no such folder"),
        ("/nowhere/at/all", "no such folder"),
    ],
)
def test_unknown_places_are_refused(spec, message):
    with pytest.raises(ValueError, match=message):
        load(spec)


def test_missing_index_files_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"metadata\.jsonl: no such file"):
        load(str(tmp_path))
    with pytest.raises(ValueError, match=r"fixations\.mat: no such file"):
        load(f"osie:{tmp_path}")
    with pytest.raises(ValueError, match="images/train: no such folder"):
        load(f"salicon:{tmp_path}")


def test_split_of_a_set_without_splits_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no official splits"):
        load(f"osie:{write_osie(tmp_path)}", "train")


def test_density_is_a_gaussian_blur_of_the_fixations():
    points = np.array([[30, 20], [30, 20], [50, 40]])
    impulses = np.zeros((60, 80))
    np.add.at(impulses, (points[:, 1], points[:, 0]), 1)
    expected = gaussian_filter(impulses, 4, mode="constant", truncate=8)
    np.testing.assert_allclose(fixation_density(points, 60, 80, 4), expected / expected.max(), atol=1e-6)
    assert fixation_density(np.zeros((0, 2)), 5, 6, 4).shape == (5, 6)


def test_held_out_part_has_its_size_and_does_not_depend_on_the_rest():
    names = [f"picture-{index}" for index in range(5000)]
    tenth = {name for name in names if is_held_out(name, 0.1)}
    assert 420 < len(tenth) < 580
    assert tenth < {name for name in names if is_held_out(name, 0.2)}
    assert not any(is_held_out(name, 0) for name in names) and all(is_held_out(name, 1) for name in names)
