"""Overlays that can be read on any image: contrast in CIEDE2000, styles, the scale."""

import numpy as np
import pytest
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

from modeling_mlnet.io.overlay import contour_levels, overlay, to_bytes

VALUES = np.linspace(0, 1, 21, dtype=np.float32)[None]
NOTICEABLE = 2.3  # CIEDE2000 of a just noticeable difference (Mahy, Van Eycken and Oosterlinck, 1994)


def contrasts(shade, colormap, opacity=None):
    """CIEDE2000 between an even image and its overlay, one for each value of the map."""
    image = np.full((1, VALUES.size, 3), shade, np.uint8)
    options = {} if opacity is None else {"opacity": opacity}
    shown = np.asarray(overlay(image, VALUES, colormap, **options))
    return deltaE_ciede2000(rgb2lab(image), rgb2lab(shown))[0]


@pytest.mark.parametrize("colormap", ["inferno", "viridis"])
@pytest.mark.parametrize("shade", [0, 25, 230, 255])
def test_the_contrast_to_light_and_dark_images_rises_with_the_map(colormap, shade):
    contrast = contrasts(shade, colormap)
    assert contrast[0] == 0 and contrast[5] > NOTICEABLE and contrast[-1] > 25
    assert (np.diff(contrast) > -0.3).all(), contrast.round(1)  # to the rounding of colours to bytes
    assert contrast[-1] == pytest.approx(contrast.max(), abs=0.3)


@pytest.mark.parametrize("colormap", ["grey", "gray"])
@pytest.mark.parametrize("shade", [0, 255])
def test_grey_stays_apart_from_black_and_white(colormap, shade):
    contrast = contrasts(shade, colormap)
    assert contrast[0] == 0 and contrast[-1] > 18 and (np.diff(contrast) > -0.3).all()


@pytest.mark.parametrize("shade", [128, (150, 115, 90), (75, 115, 50), (25, 40, 75)])
def test_the_hottest_spot_is_seen_on_middle_colours(shade):
    for colormap in ("inferno", "viridis"):
        assert contrasts(shade, colormap)[-1] > 15


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, np.float16, np.float64])
def test_maps_of_any_type_are_drawn(kind):
    image = np.full((4, 6, 3), 100, np.uint8)
    saliency_map = np.zeros((4, 6), kind)
    saliency_map[1:3, 2:4] = 1
    expected = overlay(image, saliency_map.astype(np.float32))
    np.testing.assert_allclose(np.asarray(overlay(image, saliency_map)), np.asarray(expected), atol=1)
    assert to_bytes(saliency_map).max() == 255


def test_opacity_0_shows_the_image_and_rises():
    assert contrasts(255, "inferno", 0).max() == 0
    assert contrasts(255, "inferno", 0.4)[-1] < contrasts(255, "inferno", 1)[-1]


def test_contours_enclose_stated_parts_of_the_attention():
    rows, columns = np.mgrid[:120, :160]
    saliency_map = np.exp(-((rows - 60) ** 2 + (columns - 80) ** 2) / 800).astype(np.float32)
    for level, part in zip(contour_levels(saliency_map), (0.75, 0.5, 0.25), strict=True):
        assert saliency_map[saliency_map >= level].sum() / saliency_map.sum() == pytest.approx(part, abs=0.01)
    image = np.full((120, 160, 3), 255, np.uint8)
    shown = np.asarray(overlay(image, saliency_map, style="contour"))
    changed = (shown != 255).any(axis=2)
    assert 0 < changed.mean() < 0.3 and not changed[60, 80] and not changed[0, 0]
    assert contour_levels(np.zeros((4, 4))) == []
    for shape in ((1, 1), (1, 9), (4, 4)):  # nothing to draw, and no error
        assert (
            overlay(np.zeros((*shape, 3), np.uint8), np.zeros(shape, np.float32), style="contour").size == shape[::-1]
        )


def test_the_spotlight_dims_where_the_map_is_low():
    image = np.full((1, VALUES.size, 3), 200, np.uint8)
    shown = np.asarray(overlay(image, VALUES, style="spotlight"))[0, :, 0].astype(int)
    assert (np.diff(shown) >= 0).all() and shown[0] == 40 and shown[-1] == 200


@pytest.mark.parametrize("style", ["heat", "contour", "spotlight"])
def test_the_scale_is_added_below_the_image(style):
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    saliency_map = np.random.default_rng(1).random((120, 160)).astype(np.float32)
    plain, scaled = (overlay(image, saliency_map, style=style, colorbar=shown) for shown in (False, True))
    assert scaled.width == 160 and 120 < scaled.height < 160
    np.testing.assert_array_equal(np.asarray(scaled)[:120], np.asarray(plain))


def test_what_cannot_be_drawn_is_named():
    image, saliency_map = np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6), np.float32)
    with pytest.raises(ValueError, match="colormap must be one of inferno, viridis, grey, gray, got 'jet'"):
        overlay(image, saliency_map, "jet")
    with pytest.raises(ValueError, match="style must be one of heat, contour, spotlight, got 'hot'"):
        overlay(image, saliency_map, style="hot")
    with pytest.raises(ValueError, match="must have one size"):
        overlay(image, saliency_map.T)
    for wrong in (image / 255, image[..., :1], image[..., 0], Image.fromarray(image)):
        with pytest.raises(ValueError, match=r"image must be a uint8 array \(height, width, 3\), got "):
            overlay(wrong, saliency_map)
    for value, dtype in ((255, np.uint8), (1.01, float), (-0.01, float), (np.nan, float)):
        with pytest.raises(ValueError, match=r"saliency_map must be scaled to 0\.\.1, got "):
            overlay(image, np.full((4, 6), value, dtype))
