"""Saliency models from before deep learning do what their papers say of them."""

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy.ndimage import label

from modeling_mlnet.baselines import BASELINES, saliency_baseline
from modeling_mlnet.baselines.bms import border_levels, lab
from modeling_mlnet.baselines.filters import gabor_energy, resized
from modeling_mlnet.baselines.gbvs import activate, closeness, concentrate, gbvs
from modeling_mlnet.baselines.itti import few_peaks
from modeling_mlnet.baselines.rare2012 import principal_components, rarity

ODD = {  # colours of the common bars and of the odd one, and whether that lies
    "brighter": ((160,) * 3, (250,) * 3, False),
    "red among grey": ((115,) * 3, (210, 40, 40), False),
    "red among green": ((40, 140, 40), (210, 40, 40), False),
    "lying": ((250,) * 3, (250,) * 3, True),
}
FOUND = {  # spectral residual sees grey only, BMS no orientation
    "itti": ("brighter", "red among grey", "lying"),
    "gbvs": ("brighter", "red among grey"),
    "spectral-residual": ("brighter",),
    "bms": ("brighter", "red among grey", "red among green"),
    "rare2012": ("brighter", "red among grey", "red among green", "lying"),
}


def odd_one_out(kind: str, seed: int) -> tuple[np.ndarray, tuple[int, ...]]:
    """48 bars, one of which differs, and that one's row and column of 6 and 8."""
    image = Image.new("RGB", (640, 480), (128,) * 3)
    generator = np.random.default_rng(seed)
    odd = tuple(generator.integers((6, 8)))
    common, special, lies = ODD[kind]
    for row, column in np.ndindex(6, 8):
        is_odd = (row, column) == odd
        half = (18, 5) if is_odd and lies else (5, 18)
        x, y = (80 * cell + 40 + generator.uniform(-8, 8) for cell in (column, row))
        box = (x - half[0], y - half[1], x + half[0], y + half[1])
        ImageDraw.Draw(image).rectangle(box, fill=special if is_odd else common)
    return np.asarray(image), odd


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name, kinds in FOUND.items() for kind in kinds])
def test_the_odd_item_has_the_largest_value(name, kind):
    for seed in range(3):
        image, odd = odd_one_out(kind, seed)
        items = saliency_baseline(name, image).reshape(6, 80, 8, 80).max(axis=(1, 3))
        others = np.delete(items.ravel(), np.ravel_multi_index(odd, items.shape))
        assert items[odd] == 1 and others.max() < 0.97


@pytest.mark.parametrize("name", BASELINES)
def test_an_image_without_structure_gives_zeros_and_any_size_a_finite_map(name):
    for shape in [(1, 7), (33, 5)]:
        assert (saliency_baseline(name, np.full((*shape, 3), 77, np.uint8)) == 0).all()
        noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
        saliency_map = saliency_baseline(name, noise)
        assert saliency_map.shape == shape and saliency_map.dtype == np.float32
        assert np.isfinite(saliency_map).all() and saliency_map.min() >= 0 and saliency_map.max() <= 1


@pytest.mark.parametrize("name", BASELINES)
def test_a_mirrored_or_turned_image_gives_the_mirrored_or_turned_map(name, pictures):
    image = np.asarray(Image.open(pictures[0]).convert("RGB").resize((203, 151)))
    saliency_map = saliency_baseline(name, image)
    assert saliency_map.max() == 1
    for turn in (np.fliplr, np.rot90):
        turned = saliency_baseline(name, np.ascontiguousarray(turn(image)))
        np.testing.assert_allclose(turned, turn(saliency_map), atol=1e-2)  # histograms have edges


@pytest.mark.parametrize("name", BASELINES)
def test_the_map_hardly_changes_with_the_size_of_the_image(name, pictures):
    image = Image.open(pictures[0]).convert("RGB").resize((640, 480))
    expected = saliency_baseline(name, np.asarray(image)).ravel()
    for size in ((320, 240), (1280, 960)):
        saliency_map = Image.fromarray(saliency_baseline(name, np.asarray(image.resize(size))))
        correlation = np.corrcoef(np.asarray(saliency_map.resize((640, 480))).ravel(), expected)[0, 1]
        assert correlation > (0.8 if name == "itti" else 0.97)  # Itti's scales are counted in pixels


def test_wrong_names_and_images_are_refused():
    with pytest.raises(ValueError, match=r"must be one of \['itti', .*'rare2012'\], got 'iti'"):
        saliency_baseline("iti", np.zeros((4, 4, 3), np.uint8))
    for image in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(ValueError, match="image must be uint8"):
            saliency_baseline("itti", image)
    with pytest.raises(ValueError, match=r"image must be an array, .*, got Image"):
        saliency_baseline("itti", Image.new("RGB", (4, 4)))


def test_gbvs_is_the_equilibrium_of_its_markov_chains_and_prefers_the_centre():
    values = np.random.default_rng(0).random(35)
    near = closeness((5, 7), 2.0)
    assert near[0, 8] == pytest.approx(np.exp(-2 / 8))  # one row and one column apart
    weights = np.abs(np.subtract.outer(values, values)) * near
    activation = activate(values, near)
    for shares, edges in ((activation, weights), (concentrate(activation, near), near * activation)):
        np.testing.assert_allclose(shares @ (edges / edges.sum(axis=1, keepdims=True)), shares, atol=1e-12)
        assert shares.sum() == pytest.approx(1)
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    saliency_map = gbvs(noise)
    assert saliency_map[120:360, 160:480].mean() > 1.5 * saliency_map.mean()


def test_bms_knows_for_every_threshold_which_regions_are_surrounded():
    maps = np.random.default_rng(0).integers(0, 5, (2, 20, 31), dtype=np.uint8)
    for values, inner, outer in zip(maps, *border_levels(maps), strict=True):
        for cut in range(5):
            expected = np.zeros(values.shape, dtype=bool)
            for region in (values > cut, values <= cut):
                labels = label(region, np.ones((3, 3)))[0]
                at_border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
                expected |= region & ~np.isin(labels, at_border)
            surrounded = ((inner <= cut) & (cut < values)) | ((values <= cut) & (cut < outer))
            np.testing.assert_array_equal(surrounded, expected)


def test_bms_does_not_care_for_what_touches_the_border():
    image = np.full((150, 200, 3), 90, np.uint8)
    image[60:90, 90:120] = 200  # surrounded
    image[100:, 20:60] = 250  # stands on the border, and is brighter
    saliency_map = saliency_baseline("bms", image)
    assert saliency_map[60:90, 90:120].min() > 0.5 and saliency_map[140:, 20:60].max() < 0.05


def test_parts_of_the_models():
    colours = np.array([[[255, 255, 255], [0, 0, 0], [255, 0, 0]]], np.uint8)
    expected = [[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.20]]  # CIE Lab under D65, as in any colour calculator
    np.testing.assert_allclose(lab(colours)[0] * [100 / 255, 1, 1] - [0, 128, 128], expected, atol=0.1)
    x = np.arange(64)
    bars = np.tile(np.sin(2 * np.pi * x / 7), (64, 1))
    assert gabor_energy(bars, 0).mean() > 10 * gabor_energy(bars, 90).mean()
    diagonal = np.sin(2 * np.pi * np.add.outer(-x, x) / (7 * np.sqrt(2)))  # y goes down, angles go up
    assert gabor_energy(diagonal, 45).mean() > 10 * gabor_energy(diagonal, 135).mean()
    assert np.abs(gabor_energy(np.ones((40, 40), np.float32), 30)).max() < 1e-5
    item, many = np.zeros((9, 9)), np.zeros((9, 9))
    item[4, 4], many[1::3, 1::3] = 1, 1
    assert few_peaks(item).max() == 1 and few_peaks(many).max() == 0
    np.testing.assert_allclose(resized(np.arange(8.0).reshape(1, 8), (1, 4)).mean(), 3.5)
    components = principal_components(np.random.default_rng(0).random((8, 9, 3)) @ np.diag([1.0, 2, 3])).reshape(-1, 3)
    np.testing.assert_allclose(np.corrcoef(components.T), np.eye(3), atol=1e-9)
    values = np.repeat([0.0, 1.0], [60, 4]).reshape(8, 8)
    assert rarity(values)[-1, -1] == 1 and rarity(values)[0, 0] == 0
