"""Sums of a map over rectangles. A pixel is a unit square of constant value; one covered in part counts in part."""

from collections.abc import Sequence

import numpy as np


def box_sums(values: np.ndarray, edges: Sequence[tuple[float, float, float, float]]) -> np.ndarray:
    """Sums over rectangles, shape `(len(edges),)`.

    Args:
        values: Float64 `(height, width)`.
        edges: Left, top, right and bottom of each in pixels.
    """
    left, top, right, bottom = np.array(edges, np.float64).reshape(-1, 4).T
    rows, columns = (
        coverage(*ends, side) for ends, side in zip(((top, bottom), (left, right)), values.shape, strict=True)
    )
    return ((rows @ values) * columns).sum(axis=1)


def grid_sums(values: np.ndarray, cells: int) -> np.ndarray:
    """Sums over a grid of equal cells, `cells` along the longer side, or one per pixel where the map is smaller.

    Args:
        values: Float64 `(height, width)`.
        cells: At least 1.
    """
    scale = min(1.0, cells / max(values.shape))
    edges = [np.linspace(0, side, max(1, round(side * scale)) + 1) for side in values.shape]
    rows, columns = (coverage(ends[:-1], ends[1:], side) for ends, side in zip(edges, values.shape, strict=True))
    return rows @ values @ columns.T


def coverage(starts: np.ndarray, stops: np.ndarray, side: int) -> np.ndarray:
    """How much of every pixel along an axis an interval covers, `(len(starts), side)` in 0..1.

    Args:
        starts: Starts of the intervals, in pixels.
        stops: Ends of the intervals, in pixels.
        side: Pixels along the axis.
    """
    pixels = np.arange(side, dtype=np.float64)
    return (np.minimum(pixels + 1, stops[:, None]) - np.maximum(pixels, starts[:, None])).clip(0, 1)
