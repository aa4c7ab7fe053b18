"""Regions, comparison, spots and crops of saliency maps."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeling_mlnet.analysis import (
    Box,
    best_crop,
    compare_regions,
    effective_area,
    find_spots,
    focus,
    measure_regions,
    name_ninth,
    ninths,
    percent,
    to_one_scale,
)
from modeling_mlnet.analysis.regions import ranks
from modeling_mlnet.analysis.sums import grid_sums


def peak(height, width, y, x, sigma):
    rows, columns = np.mgrid[:height, :width]
    return np.exp(-((rows + 0.5 - y) ** 2 + (columns + 0.5 - x) ** 2) / (2 * sigma**2))


def blobs(seed, shape):
    """A map of a few blobs, drawn at any resolution."""
    draw = np.random.default_rng(seed)
    height, width = shape
    side = max(shape)
    return sum(
        draw.uniform(0.2, 1)
        * peak(height, width, *(draw.uniform(0.1, 0.9, 2) * shape), draw.uniform(0.06, 0.15) * side)
        for _ in range(4)
    )


# --- regions


def test_share_of_whole_pixels_is_their_sum():
    saliency_map = np.random.default_rng(1).random((30, 40))
    [region] = measure_regions(saliency_map, [Box("a", 10, 4, 8, 6)])
    inside = saliency_map[4:10, 10:18]
    assert region.share == pytest.approx(inside.sum() / saliency_map.sum())
    assert region.area == pytest.approx(48 / 1200) and region.ratio == pytest.approx(region.share / region.area)
    assert region.peak == inside.max() / saliency_map.max() and region.first_fixation == pytest.approx(
        1 / region.share
    )
    [empty] = measure_regions(np.zeros((30, 40)), [Box("a", 10, 4, 8, 6)])
    assert (empty.share, empty.peak, empty.first_fixation) == (0, 0, None)


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 60), st.integers(1, 7), st.integers(1, 7))
def test_shares_of_a_partition_sum_to_1(seed, height, width, down, across):
    saliency_map = np.random.default_rng(seed).random((height, width)) + 1e-3
    size = (4 * width + 1, 3 * height + 2)  # of the image, at another resolution
    xs, ys = (np.linspace(0, side, parts + 1) for side, parts in zip(size, (across, down), strict=True))
    boxes = [
        Box(f"{i},{j}", xs[i], ys[j], xs[i + 1] - xs[i], ys[j + 1] - ys[j]) for i in range(across) for j in range(down)
    ]
    regions = measure_regions(saliency_map, boxes, size)
    assert sum(region.share for region in regions) == pytest.approx(1)
    assert sum(region.area for region in regions) == pytest.approx(1)
    assert all(0 <= region.peak <= 1 for region in regions) and max(region.peak for region in regions) == 1


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_measures_hardly_depend_on_the_resolution(seed):
    """The bounds that docs/analysis.md states, from 200 px on: shares to 0.005, effective area to 0.01."""
    coarse, fine = blobs(seed, (150, 200)), blobs(seed, (600, 800))
    boxes = [Box("a", 100, 50, 321, 222), Box("b", 400.5, 300.5, 100, 80), Box("c", 0, 0, 33, 600)]
    pairs = zip(*(measure_regions(saliency_map, boxes, (800, 600)) for saliency_map in (coarse, fine)), strict=True)
    for item, two in pairs:
        assert item.share == pytest.approx(two.share, abs=0.005) and item.peak == pytest.approx(two.peak, abs=0.02)
    assert effective_area(coarse) == pytest.approx(effective_area(fine), abs=0.01)
    for aspect in ("1:1", "9:16", "3:1"):
        item, two = (best_crop(saliency_map, aspect, (800, 600)) for saliency_map in (coarse, fine))
        assert item.kept == pytest.approx(two.kept, abs=0.02)


def test_equal_shares_have_equal_ranks():
    assert ranks([0.2, 0.5, 0.2, 0.1]) == [2, 1, 2, 4]
    regions = measure_regions(np.ones((6, 9)), ninths((9, 6)))
    assert {region.rank for region in regions} == {1} and {round(region.ratio, 9) for region in regions} == {1}
    for size in ((500, 500), (480, 640), (1, 500)):  # shares that are equal but for rounding
        regions = measure_regions(np.full(size, 0.3, np.float32), ninths(size[::-1]))
        assert {region.rank for region in regions} == {1}


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([Box("a", 0, 0, 0, 5)], "box 'a' .* has no area"),
        ([Box("a", 0, 0, -3, 5)], "has no area"),
        ([Box("a", 55, 0, 20, 5)], "box 'a' .* reaches beyond the image of 60 x 40 px"),
        ([Box("a", 100, 100, 5, 5)], "reaches beyond"),
        ([Box("a", float("nan"), 0, 5, 5)], "not finite"),
        ([Box("a", 0, 0, float("inf"), 5)], "not finite"),
        ([Box("a", 0, 0, 5, 5), Box("a", 9, 9, 5, 5)], "name 'a' is used twice"),
        ([np.ones((40, 60), bool)], "expected a Box, got ndarray; of a mask, take the bounding box"),
    ],
)
def test_a_box_that_cannot_be_measured_is_named(boxes, message):
    with pytest.raises(ValueError, match=message):
        measure_regions(np.ones((40, 60)), boxes)


def test_a_box_may_reach_less_than_a_pixel_beyond_the_image():
    [region] = measure_regions(np.ones((40, 60)), [Box("a", -0.4, 0, 60.9, 40.2)])
    assert (region.x, region.y, region.width, region.height, region.share) == (0, 0, 60, 40, 1)


@pytest.mark.parametrize("wrong", [np.full((4, 4), np.nan), -np.ones((4, 4)), np.ones((4, 4, 3))])
def test_a_map_that_is_none_is_refused(wrong):
    for measure in (focus, lambda values: measure_regions(values, []), lambda values: best_crop(values, "1:1")):
        with pytest.raises(ValueError, match="saliency_map"):
            measure(wrong)


# --- comparison


def test_boxes_are_matched_by_name_wherever_they_lie():
    button = peak(100, 200, 50, 40, 8)
    moved = np.roll(button, 120, axis=1)
    first, second = [Box("button", 20, 30, 40, 40)], [Box("button", 140, 30, 40, 40)]
    compared = compare_regions(button, moved, first, second)
    [region] = compared.regions
    assert region.first == pytest.approx(region.second) and region.factor == pytest.approx(1)
    assert not compared.same_place and not compared.warnings
    [same_place] = compare_regions(button, moved, first).regions  # what the same place would have said
    assert same_place.second < 0.01 and compare_regions(button, moved, first).same_place


def test_a_box_that_one_design_lacks_has_no_value():
    saliency_map = np.ones((10, 10))
    compared = compare_regions(
        saliency_map,
        saliency_map,
        [Box("a", 0, 0, 5, 5), Box("b", 0, 0, 1, 1)],
        [Box("c", 0, 0, 2, 2), Box("a", 0, 0, 5, 5)],
    )
    assert [region.name for region in compared.regions] == ["a", "b", "c"]
    _, b, c = compared.regions
    assert (b.second, b.difference, b.factor) == (None, None, None) and (c.first, c.difference) == (None, None)
    assert compared.warnings == [
        "the second design has no box 'b': nothing to compare",
        "the first design has no box 'c': nothing to compare",
    ]


def test_images_of_different_shape_are_compared_with_a_warning():
    wide, square = np.ones((10, 20)), np.ones((30, 30))
    compared = compare_regions(wide, square, [Box("a", 0, 0, 10, 10)])
    assert "differ in shape (20 x 10 and 30 x 30 px)" in compared.warnings[0]
    [region] = compared.second
    assert (region.width, region.height) == (15, 30)  # the same place: its left half
    assert compare_regions(wide, np.ones((20, 40)), [Box("a", 0, 0, 10, 10)]).warnings == []


def test_two_designs_share_one_scale():
    wide, narrow = np.ones((20, 20), np.float32), np.zeros((20, 20), np.float32)
    narrow[:10, :10] = 1  # four times as much attention per area, though both maps' maximum is 1
    first, second = to_one_scale(wide, narrow)
    assert first.max() == pytest.approx(0.25) and second.max() == 1
    empty, _ = to_one_scale(np.zeros((4, 4)), narrow)
    assert empty.max() == 0


# --- spots


def test_the_strongest_spots_are_the_peaks():
    saliency_map = peak(300, 400, 60, 70, 20) + 0.6 * peak(300, 400, 250, 350, 15)
    first, second = find_spots(saliency_map)
    assert (first.where, second.where) == ("top left", "bottom right") and (first.number, second.number) == (1, 2)
    assert first.x == pytest.approx(70, abs=4) and first.y == pytest.approx(60, abs=3)
    assert second.peak == pytest.approx(0.6, abs=0.06)  # of cells of 8 px
    # of a Gaussian, half lies where it is above half of its peak
    whole = 2 * np.pi * 20**2
    assert first.share == pytest.approx(0.5 * whole / saliency_map.sum(), rel=0.1)
    assert find_spots(np.zeros((30, 40))) == []
    five = sum(peak(300, 400, 50 + 50 * (k % 2), 50 + 75 * k, 12) for k in range(5))
    assert len(find_spots(five, 3)) == 3
    [larger, *_] = find_spots(saliency_map, image_size=(800, 600))
    assert (larger.x, larger.y) == (2 * first.x, 2 * first.y)


def test_a_ripple_on_a_peak_is_no_spot_of_its_own():
    near = peak(300, 400, 150, 180, 20) + peak(300, 400, 150, 205, 20)
    assert len(find_spots(near)) == 1
    far = peak(300, 400, 150, 100, 20) + peak(300, 400, 150, 300, 20)
    assert len(find_spots(far)) == 2


def test_the_grid_keeps_the_sum_at_any_size():
    for shape in ((1, 1), (1, 500), (333, 77), (30, 40)):
        saliency_map = np.random.default_rng(2).random(shape)
        grid = grid_sums(saliency_map, 48)
        assert grid.sum() == pytest.approx(saliency_map.sum()) and max(grid.shape) <= 48


def test_effective_area_goes_from_one_cell_to_the_image():
    assert effective_area(np.ones((90, 120))) == pytest.approx(1)
    point = np.zeros((48, 48))
    point[10, 10] = 1
    assert effective_area(point) == pytest.approx(1 / 48**2)
    half = np.ones((96, 96))
    half[:48] = 0
    assert effective_area(half) == pytest.approx(0.5)
    assert effective_area(np.zeros((10, 10))) == 0


def test_places_and_shares_in_words():
    assert name_ninth(0, 0) == "top left" and name_ninth(0.5, 0.5) == "middle" and name_ninth(1, 1) == "bottom right"
    shown = [percent(share) for share in (0, 0.0001, 0.004, 0.0994, 0.0996, 0.34, 1)]
    assert shown == ["0 %", "< 0.1 %", "0.4 %", "9.9 %", "10 %", "34 %", "100 %"]


# --- crops


def brute_force(saliency_map, window):
    shares = [saliency_map[:, x : x + window].sum() for x in range(saliency_map.shape[1] - window + 1)]
    return max(shares) / saliency_map.sum()


@given(st.integers(0, 2**32 - 1), st.integers(4, 40), st.integers(4, 40))
def test_without_a_cost_the_crop_keeps_what_a_search_of_all_windows_finds(seed, height, width):
    saliency_map = np.random.default_rng(seed).random((height, width)) ** 4
    crop = best_crop(saliency_map, "1:1", cut_cost=0)
    values = saliency_map if width >= height else saliency_map.T
    assert crop.kept == pytest.approx(brute_force(values, min(height, width)))
    inside = saliency_map[crop.y : crop.y + crop.height, crop.x : crop.x + crop.width]
    assert crop.kept == pytest.approx(inside.sum() / saliency_map.sum())
    assert crop.kept >= crop.kept_by_centre - 1e-9


@given(st.integers(60, 200), st.integers(-20, 60))
def test_a_shifted_image_shifts_the_crop(x, shift):
    crops = [best_crop(peak(100, 320, 50, position, 12), "1:1") for position in (x, x + shift)]
    first, second = ((crop.x if 0 < crop.x < 220 else None) for crop in crops)
    if first is not None and second is not None:
        assert second - first == pytest.approx(shift, abs=1)


def test_the_crop_avoids_cutting_a_peak():
    """A face, and weak attention on its right: without the cost the window's edge comes close to the face."""
    saliency_map = peak(100, 300, 50, 60, 8)
    saliency_map[:, 100:] += 0.03
    greedy, careful = best_crop(saliency_map, "1:1", cut_cost=0), best_crop(saliency_map, "1:1")
    value = saliency_map.max(axis=0) / saliency_map.max()
    assert value[greedy.x] > 0.1 and value[careful.x] < 0.7 * value[greedy.x]
    assert greedy.kept - 0.01 < careful.kept < greedy.kept
    dear = best_crop(saliency_map, "1:1", cut_cost=1)
    assert value[dear.x] < 0.01


def test_the_object_position_shows_the_window():
    saliency_map = peak(100, 300, 50, 250, 10)
    crop = best_crop(saliency_map, "1:1")
    horizontal, vertical = (float(part.rstrip("%")) / 100 for part in crop.object_position.split())
    assert horizontal * (300 - 100) == pytest.approx(crop.x, abs=0.5) and vertical == 0.5
    assert (crop.width, crop.height) == (100, 100) and crop.kept > 0.99 and crop.kept_by_centre < 0.01
    tall = best_crop(saliency_map.T, "1:1")
    assert (tall.y, tall.kept) == (crop.x, crop.kept) and tall.object_position.startswith("50% ")
    assert best_crop(np.ones((60, 80)), "4:3").object_position == "50% 50%"


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (2, 3)])
def test_tiny_images_have_crops_inside_them(size):
    for aspect in ("1:1", "16:9", "1:20"):
        crop = best_crop(np.ones(size[::-1]), aspect)
        assert crop.x >= 0 and crop.y >= 0 and crop.x + crop.width <= size[0] and crop.y + crop.height <= size[1]
    assert best_crop(np.zeros(size[::-1]), "1:1").kept == 0


@pytest.mark.parametrize("aspect", ["1", "0:1", "16:9:1", "a:b", "-1:2", "1.5:1"])
def test_a_wrong_aspect_is_named(aspect):
    with pytest.raises(ValueError, match="an aspect is two whole numbers such as 16:9, got"):
        best_crop(np.ones((4, 4)), aspect)
    with pytest.raises(ValueError, match=r"^aspect must be text such as \"16:9\", got \(9, 16\)$"):
        best_crop(np.ones((4, 4)), (9, 16))


def test_the_analysis_of_maps_needs_no_network():
    code = (
        "import sys, numpy as np; from modeling_mlnet.analysis import *; m = np.eye(9); "
        "focus(m); best_crop(m, '1:1'); measure_regions(m, ninths((9, 9))); "
        "print([n for n in ('torch', 'transformers', 'onnxruntime', 'openvino') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
