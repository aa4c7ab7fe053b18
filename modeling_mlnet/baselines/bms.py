"""Zhang, Sclaroff: Saliency detection: a Boolean map approach. ICCV 2013."""

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, grey_closing, grey_opening, maximum_filter

from .filters import fit_size, resized, to_unit_range

LONGER_SIDE = 600  # px; this and the next five as in the paper and the authors' program
STEP = 8  # delta: between thresholds of a channel in 0..255
OPENING = 5  # omega_o, px
DILATION = 7  # omega_d1, px, of every attention map
FINAL_DILATION = 23  # omega_d2, px, of their sum
SIGMA = 20  # px, of the final blur


def bms(image: np.ndarray) -> np.ndarray:
    """Figure on ground: how often a place belongs to a region that does not touch the border, over all thresholds.

    Every CIE Lab channel is cut at equidistant thresholds. Of each Boolean map and of its inverse, both opened, the
    regions of ones and of zeros that are surrounded are dilated, divided by their L2 norm, and summed (Algorithm 1).

    Args:
        image: RGB, uint8 `(height, width, 3)`.

    Returns:
        float32 `(height, width)`, 0..1.
    """
    shape = fit_size(image.shape, LONGER_SIDE)
    small = np.asarray(Image.fromarray(image).resize(shape[::-1], Image.Resampling.BOX))
    total = np.zeros(shape, dtype=np.float32)
    for channel in np.moveaxis(lab(small), 2, 0):
        # How many thresholds lie below a value; opening and cutting can be swapped, and the opening of the inverse map
        # is the inverse of the closing
        cuts = np.ceil((channel - channel.min()) / STEP).astype(np.uint8)
        maps = np.stack([grey_opening(cuts, (OPENING, OPENING)), grey_closing(cuts, (OPENING, OPENING))])
        for values, inner, outer in zip(maps, *border_levels(maps), strict=True):
            for cut in range(int(cuts.max())):
                surrounded = ((inner <= cut) & (cut < values)) | ((values <= cut) & (cut < outer))
                attention = maximum_filter(surrounded, DILATION)
                if size := np.count_nonzero(attention):
                    total += attention / np.float32(np.sqrt(size))
    total = gaussian_filter(maximum_filter(total, FINAL_DILATION), SIGMA, mode="nearest")
    return to_unit_range(resized(to_unit_range(total), image.shape[:2]))


def lab(image: np.ndarray) -> np.ndarray:
    """CIE Lab of sRGB under D65, each channel on the scale 0..255 of 8-bit images: `(height, width, 3)`, float32."""
    table = np.arange(256) / 255
    linear = np.where(table <= 0.04045, table / 12.92, ((table + 0.055) / 1.055) ** 2.4).astype(np.float32)[image]
    to_xyz = np.array([[0.4125, 0.3576, 0.1804], [0.2127, 0.7152, 0.0722], [0.0193, 0.1192, 0.9502]])  # IEC 61966-2-1
    xyz = linear @ (to_xyz / to_xyz.sum(axis=1, keepdims=True)).T.astype(np.float32)
    roots = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = np.moveaxis(roots, 2, 0)
    return np.stack([255 * (1.16 * y - 0.16), 500 * (x - y) + 128, 200 * (y - z) + 128], axis=2)


def border_levels(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For every pixel, at which cuts its region touches the border; pixels touch at corners, too.

    Args:
        maps: uint8 `(maps, height, width)`.

    Returns:
        The highest minimum and the lowest maximum on a way to the border, of the same shape. The region of a pixel
        above a cut is surrounded if the first is at most that cut; of one at or below it, if the second is greater.
    """
    highest = maps.max()
    ways = _ways_out(np.concatenate([maps, highest - maps]))
    return ways[: len(maps)], highest - ways[len(maps) :]


def _ways_out(maps: np.ndarray) -> np.ndarray:
    """The highest minimum on a way to the border: the morphological reconstruction of the maps from their borders."""
    ways = maps.copy()
    ways[:, 1:-1, 1:-1] = 0
    while True:
        before = ways.copy()
        for axis in (1, 2):  # rows, then columns
            _sweep(np.moveaxis(ways, axis, 0), np.moveaxis(maps, axis, 0), corners=axis == 1)
        if np.array_equal(ways, before):
            return ways


def _sweep(ways: np.ndarray, ceiling: np.ndarray, corners: bool) -> None:
    """Carries the values from row to row, down and up, in place."""
    for order in (range(1, len(ways)), range(len(ways) - 2, -1, -1)):
        step = order.step
        for row in order:
            reached, last = ways[row], ways[row - step]
            np.maximum(reached, last, out=reached)
            if corners:
                np.maximum(reached[:, 1:], last[:, :-1], out=reached[:, 1:])
                np.maximum(reached[:, :-1], last[:, 1:], out=reached[:, :-1])
            np.minimum(reached, ceiling[row], out=reached)
