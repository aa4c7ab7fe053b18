"""Sums of a map over rectangles. A pixel is a unit square of constant value; one covered in part counts in part.

Written without matrix products: NumPy's threads for these go on waiting in a loop when they are done, on the cores
that the network needs for the next image (`benchmarks/service_load.py` shows it).
"""

import math
from collections.abc import Sequence

import numpy as np

SHARE_DIGITS = 9  # of shares that are compared: sums of equal parts differ by rounding in later ones


def box_sums(values: np.ndarray, edges: Sequence[tuple[float, float, float, float]]) -> np.ndarray:
    """Sums over rectangles, shape `(len(edges),)`.

    Args:
        values: Float64 `(height, width)`.
        edges: Left, top, right and bottom of each in pixels.
    """
    height, width = values.shape
    sums = np.empty(len(edges))
    for index, (left, top, right, bottom) in enumerate(edges):
        rows, row_weights = _covered(top, bottom, height)
        columns, column_weights = _covered(left, right, width)
        sums[index] = (row_weights[:, None] * values[rows, columns] * column_weights).sum()
    return sums


def grid_sums(values: np.ndarray, cells: int) -> np.ndarray:
    """Sums over a grid of equal cells, `cells` along the longer side, or one per pixel where the map is smaller.

    Args:
        values: Floating-point `(height, width)`; sums are in float64.
        cells: At least 1.
    """
    scale = min(1.0, cells / max(values.shape))
    rows, columns = (max(1, round(side * scale)) for side in values.shape)
    return _band_sums(_band_sums(values, rows).T, columns).T


def _band_sums(values: np.ndarray, count: int) -> np.ndarray:
    """Sums of the rows in `count` bands of equal height, `(count, width)`."""
    edges = np.linspace(0, len(values), count + 1)
    sums = np.empty((count, values.shape[1]))
    for band, top, bottom in zip(sums, edges[:-1], edges[1:], strict=True):
        rows, weights = _covered(top, bottom, len(values))
        band[:] = (weights[:, None] * values[rows]).sum(axis=0)
    return sums


def _covered(start: float, stop: float, side: int) -> tuple[slice, np.ndarray]:
    """The pixels along an axis that an interval touches, and how much of each it covers, in 0..1."""
    pixels = np.arange(int(start), min(math.ceil(stop), side))
    return slice(int(start), int(start) + len(pixels)), np.minimum(pixels + 1, stop) - np.maximum(pixels, start)
