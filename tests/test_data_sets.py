"""MIT1003, CAT2000, OSIE and Toronto, each with its traps."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from layouts import (
    mask,
    warnings_seen,
    write_cat2000,
    write_image,
    write_mat,
    write_mit1003,
    write_osie,
    write_toronto,
)
from PIL import Image
from scipy.io import savemat
from scipy.sparse import csc_matrix

from modeling_mlnet.data import CATALOG, LISTERS, fixation_density, load, scan
from modeling_mlnet.data.fixations import read_mask_image

COUNTS = {"mit1003": 1_003, "cat2000": 2_000, "osie": 700, "toronto": 120}


@pytest.mark.parametrize("name", COUNTS)
def test_official_counts_are_those_of_the_papers(name):
    assert CATALOG[name].images == {"all": COUNTS[name]}


@pytest.mark.parametrize("name", CATALOG)
def test_what_is_known_of_a_data_set_is_told_with_its_source(name):
    known = CATALOG[name]
    assert known.citation.startswith("@") and known.citation.count("{") == known.citation.count("}")
    assert known.source and (known.sigma is None) == known.sigma_source.startswith("not stated")


def test_the_documentation_tells_what_the_table_knows():
    text = (Path(__file__).parents[1] / "docs" / "datasets.md").read_text(encoding="utf-8")
    rows = {line.split("`")[1]: line for line in text.splitlines() if line.startswith("| `")}
    assert set(LISTERS) < set(rows)
    for name, known in CATALOG.items():
        assert all(f"{count:,}" in rows[name] for count in known.images.values())
        assert "not stated" in rows[name] if known.sigma is None else f"{known.sigma:g} px" in rows[name]
        assert rows[name].rstrip(" |").endswith("yes" if known.photos_are_free else "no")
        assert known.source.split("/")[0] in text


# --- MIT1003


def test_mit1003_is_read_without_matlab(tmp_path):
    rows = load(f"mit1003:{write_mit1003(tmp_path)}")
    assert rows["image_id"] == ["i0", "i1", "i2"]
    assert rows[1]["fixations"] == [[5, 6], [6, 6], [21, 30]] and rows[1]["observers"] == []
    density = np.asarray(rows[1]["saliency_map"])
    assert rows[1]["sigma"] is None and density[16, 30] > 250 and density[40, 60] < 5


def test_mit1003_s_stray_file_without_underscore_counts_only_if_it_is_alone(tmp_path):
    write_mit1003(tmp_path)
    assert load(f"mit1003:{tmp_path}")[0]["fixations"] == [[5, 6], [6, 6], [20, 30]]
    (tmp_path / "ALLFIXATIONMAPS" / "i0_fixPts.jpg").unlink()
    assert load(f"mit1003:{tmp_path}")[0]["fixations"] == [[1, 1]]


@pytest.mark.parametrize("quality", [50, 75, 90, 95])
def test_points_survive_jpeg_and_its_ringing_makes_none(tmp_path, quality):
    random = np.random.default_rng(quality)
    points = {(int(x), int(y)) for x, y in random.normal([128, 96], [40, 30], (150, 2)).clip(0, [255, 191])}
    path = tmp_path / "points.jpg"
    Image.fromarray(255 * mask(sorted(points), size=(256, 192))).save(path, quality=quality)
    assert len(np.unique(np.asarray(Image.open(path)))) > 2  # the trap is there
    assert {(int(x), int(y)) for x, y in read_mask_image(path).fixations} == points


def test_mit1003_names_what_is_missing(tmp_path):
    write_mit1003(tmp_path)
    maps = tmp_path / "ALLFIXATIONMAPS"
    (maps / "i1_fixPts.jpg").unlink()
    (maps / "i2_fixMap.jpg").unlink()
    write_image(maps / "i9_fixMap.jpg")
    result = scan(f"mit1003:{tmp_path}")
    assert [record.image_id for record in result.records] == ["i0"]
    assert result.problems == [
        f"{maps}/i1_fixPts.jpg: fixations are missing",
        f"{maps}/i2_fixMap.jpg: saliency map is missing",
    ]
    assert result.unmatched == [f"{maps}/i9_fixMap.jpg: has no image of its name"]


def test_mit1003_without_density_maps_makes_them_with_its_own_sigma(tmp_path):
    write_mit1003(tmp_path)
    for path in (tmp_path / "ALLFIXATIONMAPS").glob("*_fixMap.jpg"):
        path.unlink()
    row = load(f"mit1003:{tmp_path}")[0]
    assert row["sigma"] == 35
    expected = fixation_density(row["fixations"], 48, 64, 35)
    assert np.abs(np.asarray(row["saliency_map"]) / 255 - expected).max() < 0.5 / 255 + 1e-6


def test_mit1003_s_raw_gaze_alone_is_not_enough(tmp_path):
    write_image(tmp_path / "ALLSTIMULI" / "i0.jpeg")
    (tmp_path / "DATA").mkdir()
    with pytest.raises(ValueError, match=r"ALLFIXATIONMAPS: no such folder with images; ALLFIXATIONMAPS.zip"):
        load(f"mit1003:{tmp_path}")


# --- CAT2000


def test_cat2000_is_found_in_its_archive_s_own_folder_or_above(tmp_path):
    write_cat2000(tmp_path)
    above, inside = load(f"cat2000:{tmp_path}"), load(f"cat2000:{tmp_path / 'trainSet'}")
    assert above["image_id"] == inside["image_id"] == ["Action/001", "Action/002", "Satelite/001", "Satelite/002"]


def test_cat2000_keeps_the_grey_borders_and_the_fixations_on_them(tmp_path):
    row = load(f"cat2000:{write_cat2000(tmp_path)}")[0]
    image = np.asarray(row["image"]).astype(int)
    assert row["image"].size == (64, 48) and abs(image[:, :12] - 126).max() < 4
    assert row["fixations"] == [[4, 8], [30, 20]]


def test_cat2000_leaves_out_the_maps_of_a_model(tmp_path):
    result = scan(f"cat2000:{write_cat2000(tmp_path)}")
    assert len(result.records) == 4 and not any("Output" in record.image.parts for record in result.records)
    write_image(tmp_path / "trainSet" / "Stimuli" / "Output" / "001.jpg")
    assert len(scan(f"cat2000:{tmp_path}").records) == 4


def test_cat2000_names_missing_and_damaged_files(tmp_path):
    write_cat2000(tmp_path)
    root = tmp_path / "trainSet"
    (root / "FIXATIONLOCS" / "Action" / "001.mat").unlink()
    (root / "FIXATIONMAPS" / "Action" / "002.jpg").unlink()
    write_mat(root / "FIXATIONLOCS" / "Satelite" / "001.mat", fixLocs=mask([(1, 1)], size=(48, 64)))
    write_mat(root / "FIXATIONLOCS" / "Satelite" / "002.mat", other=[1])
    write_mat(root / "FIXATIONLOCS" / "Satelite" / "003.mat", fixLocs=mask([(1, 1)]))
    result = scan(f"cat2000:{tmp_path}")
    assert not result.records
    assert result.problems == [
        f"{root}/FIXATIONLOCS/Action/001.mat: fixations are missing",
        f"{root}/FIXATIONMAPS/Action/002.jpg: saliency map is missing",
        f"{root}/Stimuli/Satelite/001.jpg: its fixations are for 48x64 px, its image 64x48 px",
        f"{root}/FIXATIONLOCS/Satelite/002.mat: fixations are damaged: it holds none of the variables fixLocs",
    ]
    assert result.unmatched == [f"{root}/FIXATIONLOCS/Satelite/003.mat: has no image of its name"]


# --- OSIE


def test_osie_rows_join_the_observers(tmp_path):
    rows = load(f"osie:{write_osie(tmp_path)}")
    assert rows[1]["fixations"] == [[9.5, 19.5], [1, 0], [9.5, 19.5], [1, 1]]
    assert rows[1]["observers"] == [0, 0, 1, 1] and rows[1]["sigma"] == 24


def test_osie_is_found_in_its_repository_s_data_folder(tmp_path):
    write_osie(tmp_path / "data")
    assert len(load(f"osie:{tmp_path}")) == 3


def test_osie_with_one_image_and_one_observer_is_read(tmp_path):
    assert len(load(f"osie:{write_osie(tmp_path, count=1, observers=1)}")[0]["fixations"]) == 2


def test_osie_names_missing_images_and_images_without_entry(tmp_path):
    write_osie(tmp_path)
    (tmp_path / "stimuli" / "1002.jpg").unlink()
    extra = write_image(tmp_path / "stimuli" / "1009.jpg")
    result = scan(f"osie:{tmp_path}")
    assert [record.image_id for record in result.records] == ["1001", "1003"]
    assert result.problems == [f"{tmp_path}/stimuli/1002.jpg: image is missing"]
    assert result.unmatched == [f"{extra}: has no entry in fixations.mat"]


def test_osie_s_damaged_entries_are_named(tmp_path):
    (tmp_path / "eye").mkdir()
    savemat(tmp_path / "eye" / "fixations.mat", {"fixations": np.ones((2, 1))})
    result = scan(f"osie:{tmp_path}")
    assert len(result.problems) == 2 and "fixations.mat: entry 1 is damaged" in result.problems[0]
    (tmp_path / "eye" / "fixations.mat").write_bytes(b"cut off")
    with pytest.raises(ValueError, match=r"fixations.mat: fixations are damaged"):
        scan(f"osie:{tmp_path}")


# --- Toronto


def test_toronto_s_images_and_maps_go_together_by_number(tmp_path):
    rows = load(f"toronto:{write_toronto(tmp_path)}")
    assert rows["image_id"] == [str(k) for k in range(1, 12)]
    assert [row["fixations"][0] for row in rows] == [[k, 3] for k in range(1, 12)]
    assert rows[0]["sigma"] == pytest.approx(0.03 * 64) and rows[0]["observers"] == []


def test_toronto_s_own_densities_are_taken_where_they_fit(tmp_path):
    write_toronto(tmp_path, densities=True)
    row = load(f"toronto:{tmp_path}")[0]
    assert row["sigma"] is None and np.asarray(row["saliency_map"])[15, 30] > 250
    path = next(tmp_path.rglob("d3.jpg"))
    Image.new("L", (8, 8)).save(path)
    assert load(f"toronto:{tmp_path}")[0]["sigma"] is not None


def test_toronto_may_be_kept_in_sparse_matrices(tmp_path):
    write_toronto(tmp_path, count=2)
    path = next(tmp_path.rglob("origfixdata.mat"))
    white = np.zeros((1, 2), dtype="O")
    white[0, 0], white[0, 1] = csc_matrix(mask([(3, 4)]).astype(float)), mask([(5, 6)])
    savemat(path, {"white": white})
    assert [row["fixations"] for row in load(f"toronto:{path.parent}")] == [[[3, 4]], [[5, 6]]]


def test_toronto_names_what_is_missing(tmp_path):
    write_toronto(tmp_path, count=3)
    root = tmp_path / "eyetrackingdata" / "fixdens"
    (root / "Original Image Set" / "2.jpg").unlink()
    write_image(root / "Original Image Set" / "7.jpg")
    with warnings_seen() as seen:
        assert load(f"toronto:{tmp_path}")["image_id"] == ["1", "3"]
    assert seen == [f"{root}/origfixdata.mat: fixations for image 7 are missing"]
    assert scan(f"toronto:{tmp_path}").unmatched == [f"{root}/origfixdata.mat: map 2 has no image"]
    (root / "origfixdata.mat").unlink()
    with pytest.raises(ValueError, match=r"origfixdata.mat: no such file"):
        scan(f"toronto:{tmp_path}")


def test_a_category_without_its_images_is_told_file_by_file(tmp_path):
    write_cat2000(tmp_path)
    shutil.rmtree(tmp_path / "trainSet" / "Stimuli" / "Action")
    result = scan(f"cat2000:{tmp_path}")
    assert len(result.records) == 2 and len(result.unmatched) == 4
    assert f"{tmp_path}/trainSet/FIXATIONLOCS/Action/001.mat: has no image of its name" in result.unmatched


def test_a_density_of_toronto_that_is_missing_is_named(tmp_path):
    write_toronto(tmp_path, densities=True)
    [path] = tmp_path.rglob("d3.jpg")
    path.unlink()
    result = scan(f"toronto:{tmp_path}")
    assert result.problems == [f"{path}: saliency map is missing"] and len(result.records) == 10
