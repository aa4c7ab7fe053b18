"""Crops of an image to another shape."""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike

from ..metrics.inputs import check_map

CUT_COST = 0.05  # share of attention that a cut through the map's highest point has to gain; see docs/analysis.md
SURROUNDINGS = 0.1  # of the shorter side: the extent of an object around its peak, as of a head around a face


@dataclass(frozen=True)
class Crop:
    """A window of a wanted shape.

    Args:
        aspect: Width and height of the shape, for example `"16:9"`.
        x: Left edge in pixels of the image.
        y: Top edge in pixels of the image.
        width: In pixels of the image.
        height: In pixels of the image.
        kept: Share of all predicted attention inside it, 0..1.
        kept_by_centre: Share inside the window of this size in the middle of the image, 0..1.
        object_position: CSS value that makes `object-fit: cover` show this window, for example `"37.5% 50%"`.
    """

    aspect: str
    x: int
    y: int
    width: int
    height: int
    kept: float
    kept_by_centre: float
    object_position: str


def parse_aspect(text: str) -> tuple[int, int]:
    """Width and height from `16:9`.

    Raises:
        ValueError: If the text is not of this form.
    """
    if not isinstance(text, str):
        raise ValueError(f'aspect must be text such as "16:9", got {text!r}')
    width, _, height = text.strip().partition(":")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise ValueError(f"an aspect is two whole numbers such as 16:9, got {text!r}")
    return int(width), int(height)


def best_crop(
    saliency_map: ArrayLike, aspect: str, image_size: tuple[int, int] | None = None, cut_cost: float = CUT_COST
) -> Crop:
    """The largest window of a shape, where it keeps most of the predicted attention without cutting through a peak.

    The window slides along the axis in which it is shorter than the image. The best position has the highest share of
    attention less `cut_cost` times the height of the peaks at its two edges. This height is the map's highest value
    along the edge, over its maximum anywhere; a peak beside the edge counts less with its distance, and not at all
    from a tenth of the image's shorter side. An edge of the image itself costs nothing. Shares are differences of
    running sums, so that every position costs the same few operations.

    Args:
        saliency_map: `(height, width)`, at least 0. For an empty map the window is in the middle.
        aspect: Width and height of the shape, for example `"16:9"`.
        image_size: Width and height of the image in pixels, if the map has another resolution.
        cut_cost: At least 0; 0 keeps most attention, whatever is cut.

    Raises:
        ValueError: If the aspect is not of this form, the cost is below 0, or the map is not two-dimensional or has
            NaN, infinite or negative values.
    """
    if not cut_cost >= 0:
        raise ValueError(f"cut_cost must be at least 0, got {cut_cost}")
    ratio_width, ratio_height = parse_aspect(aspect)
    values = check_map(saliency_map)
    width, height = image_size or values.shape[::-1]
    slides_across = width * ratio_height >= height * ratio_width
    if slides_across:
        side, window, axis = width, max(1, round(height * ratio_width / ratio_height)), 0
    else:
        side, window, axis = height, max(1, round(width * ratio_height / ratio_width)), 1
    shares = _shares(values.sum(axis=axis), side, window)
    reach = SURROUNDINGS * min(width, height) / side
    costs = _edge_costs(values.max(axis=axis), reach, side, window)
    offset = _best_offset(shares - cut_cost * costs)
    x, y = (offset, 0) if slides_across else (0, offset)
    position = f"{100 * offset / (len(shares) - 1):.4g}%" if len(shares) > 1 else "50%"
    return Crop(
        aspect=f"{ratio_width}:{ratio_height}",
        x=x,
        y=y,
        width=window if slides_across else width,
        height=height if slides_across else window,
        kept=float(shares[offset]),
        kept_by_centre=float(shares[(len(shares) - 1) // 2]),
        object_position=f"{position} 50%" if slides_across else f"50% {position}",
    )


def _shares(profile: np.ndarray, side: int, window: int) -> np.ndarray:
    """Share of attention in a window at every offset along an axis of `side` pixels, `(side - window + 1,)`.

    Args:
        profile: The map's sums over every row or column, `(cells,)`.
        side: In pixels of the image.
        window: In pixels of the image.
    """
    integral = np.concatenate([[0.0], profile.cumsum()])
    running = np.interp(np.linspace(0, len(profile), side + 1), np.arange(len(integral)), integral)
    return (running[window:] - running[:-window]) / (integral[-1] or 1.0)


def _edge_costs(profile: np.ndarray, reach: float, side: int, window: int) -> np.ndarray:
    """Height of the peaks at the two edges of a window at every offset, 0..2; 0 at the edges of the image.

    Args:
        profile: The map's maximum in every row or column, `(cells,)`.
        reach: Over which a peak falls to 0, as a part of the axis.
        side: In pixels of the image.
        window: In pixels of the image.
    """
    radius = int(reach * len(profile))
    falling = 1 - np.abs(np.arange(-radius, radius + 1)) / (radius + 1)
    near = (sliding_window_view(np.pad(profile, radius), 2 * radius + 1) * falling).max(axis=1)
    edges = np.linspace(0, len(profile), side + 1)  # in cells; an edge may lie between two
    before, after = (np.clip(cells, 0, len(near) - 1).astype(int) for cells in (np.ceil(edges) - 1, np.floor(edges)))
    costs = np.maximum(near[before], near[after]) / (profile.max() or 1.0)
    costs[[0, -1]] = 0
    return costs[: side - window + 1] + costs[window:]


def _best_offset(scores: np.ndarray) -> int:
    """The offset with the highest score; of several, the one nearest to the middle."""
    best = np.flatnonzero(scores >= scores.max() - 1e-12)
    return int(best[np.abs(best - (len(scores) - 1) / 2).argmin()])
