from functools import partial

import numpy as np
import pytest
from layouts import WRITERS, warnings_seen, write_folder, write_osie, write_salicon, write_toronto
from PIL import Image
from scipy.ndimage import gaussian_filter

from modeling_mlnet.data import FEATURES, LISTERS, fixation_density, has_splits, is_held_out, load, scan, splits_of

OTHER_FORMS = {
    "salicon": partial(write_salicon, fixations="json"),
    "toronto": partial(write_toronto, densities=True),
}


@pytest.fixture(params=sorted(LISTERS))
def spec(request, tmp_path) -> str:
    """Every data set there is, in its own layout."""
    write = OTHER_FORMS.get(request.param, WRITERS[request.param])
    return f"{request.param}:{write(tmp_path / 'set')}"


def test_every_data_set_has_the_one_schema(spec):
    rows = load(spec)
    assert rows.features == FEATURES and len(rows) > 1
    assert len(set(rows["image_id"])) == len(rows)
    for row in rows:
        assert row["image"].size == row["saliency_map"].size and row["saliency_map"].mode == "L"
        points = np.array(row["fixations"])
        assert len(points) > 1 and (points >= 0).all() and (points <= np.array(row["image"].size) - 1).all()
        assert len(row["observers"]) in (0, len(points))
        assert (row["sigma"] is None) or row["sigma"] > 0


def test_densities_are_made_with_the_sigma_that_the_row_states(spec):
    for row in load(spec):
        if row["sigma"] is not None:
            expected = fixation_density(row["fixations"], *row["image"].size[::-1], row["sigma"])
            assert np.abs(np.asarray(row["saliency_map"]) / 255 - expected).max() < 0.5 / 255 + 1e-6


def test_a_scan_finds_what_is_loaded_and_nothing_wrong(spec):
    result = scan(spec)
    assert [record.image_id for record in result.records] == load(spec)["image_id"]
    assert not result.problems and not result.unmatched


def test_images_are_decoded_late_and_not_copied_into_the_cache(spec):
    rows = load(spec)
    encoded = rows.cast_column("image", FEATURES["image"].__class__(decode=False))
    assert all(row["image"]["bytes"] is None for row in encoded)


def test_a_scan_shows_its_progress(tmp_path):
    seen = []

    def progress(iterable, description):
        seen.append((len(iterable), description))
        return iterable

    scan(f"osie:{write_osie(tmp_path)}", progress=progress)
    assert seen == [(3, "checking images and fixations")]


def test_a_damaged_image_is_named_and_left_out_and_the_rest_goes_on(spec):
    victim = scan(spec).records[0].image
    count = len(load(spec))
    victim.write_bytes(victim.read_bytes()[:200])
    for _ in range(2):  # made anew and found in the cache
        with warnings_seen() as seen:
            rows = load(spec)
        assert len(rows) == count - 1
        assert [line for line in seen if line.startswith(f"{victim}: image is damaged")] == seen[:1]


def test_nothing_left_is_an_error_with_the_first_problem(tmp_path):
    write_salicon(tmp_path, count=1)
    next((tmp_path / "maps" / "train").iterdir()).unlink()
    for _ in range(2):  # made anew and found in the cache
        with pytest.raises(ValueError, match=r"no usable image found; first problem: .*saliency map is missing"):
            load(f"salicon:{tmp_path}")


def test_maps_of_another_size_than_their_image_are_named(tmp_path):
    write_salicon(tmp_path, count=2)
    path = sorted((tmp_path / "maps" / "train").iterdir())[0]
    Image.new("L", (16, 12)).save(path)
    result = scan(f"salicon:{tmp_path}")
    assert len(result.records) == 1
    assert result.problems == [f"{path}: saliency map is 16x12 px, its image 64x48 px"]


@pytest.mark.parametrize("fixations", ["gaze", "I", "png", "json"])
def test_fixations_of_a_image_of_another_size_are_named(tmp_path, fixations):
    write_salicon(tmp_path, count=2, fixations=fixations)
    stem = "COCO_train2014_000000000000"
    for path in tmp_path.glob(f"*/train/{stem}.*"):
        if path.parts[-3] != "fixations":
            Image.open(path).resize((32, 24)).save(path)
    result = scan(f"salicon:{tmp_path}")
    assert len(result.records) == 1
    assert result.problems == [
        f"{tmp_path / 'images' / 'train' / stem}.jpg: its fixations are for 64x48 px, its image 32x24 px"
    ]


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


def test_split_of_a_set_without_splits_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no official splits"):
        load(f"osie:{write_osie(tmp_path)}", "train")


def test_which_sets_have_splits_is_known_without_looking_at_them():
    assert splits_of("salicon:/anywhere") == ["train", "validation", "test"] and has_splits("salicon:/anywhere")
    assert not has_splits("osie:/anywhere") and not has_splits("cat2000:/anywhere")


def test_density_is_a_gaussian_blur_of_the_fixations():
    points = np.array([[30, 20], [30, 20], [50, 40], [50, 20]])
    impulses = np.zeros((60, 80))
    np.add.at(impulses, (points[:, 1], points[:, 0]), 1)
    expected = gaussian_filter(impulses, 4, mode="constant", truncate=8)
    np.testing.assert_allclose(fixation_density(points, 60, 80, 4), expected / expected.max(), atol=1e-6)
    assert fixation_density(np.zeros((0, 2)), 5, 6, 4).shape == (5, 6)


def test_held_out_part_has_its_size_and_does_not_depend_on_the_rest():
    names = [f"image-{index}" for index in range(5000)]
    tenth = {name for name in names if is_held_out(name, 0.1)}
    assert 420 < len(tenth) < 580
    assert tenth < {name for name in names if is_held_out(name, 0.2)}
    assert not any(is_held_out(name, 0) for name in names) and all(is_held_out(name, 1) for name in names)


def test_held_out_rows_are_those_and_none_left_is_an_error(tmp_path):
    spec = f"folder:{write_folder(tmp_path)}"
    names = load(spec)["image_id"]
    assert load(spec, held_out=0.5)["image_id"] == [name for name in names if is_held_out(name, 0.5)]
    with pytest.raises(ValueError, match=r"held_out=0.0 leaves no image"):
        load(spec, held_out=0.0)
    with pytest.raises(ValueError, match=r"held_out must lie in 0\.\.1, got 2"):
        load(spec, held_out=2)
