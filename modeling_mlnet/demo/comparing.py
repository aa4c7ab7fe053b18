"""Two designs side by side, on one scale."""

from dataclasses import replace
from typing import Any

import numpy as np

from .regions import Box, box_share
from .store import Result


def densities(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two maps as attention per area, on one scale whose 1 is the highest of both.

    A map alone is relative to its own highest point, so that two of them cannot be compared by their values. Their
    shares can: each map is divided by its mean (1 is then an even spread), and both by the higher of their maxima.

    Args:
        first: `(height, width)`, at least 0.
        second: As `first`, of any size.
    """
    per_area = [one / max(float(one.mean(dtype=np.float64)), np.finfo(np.float32).tiny) for one in (first, second)]
    highest = max(float(one.max()) for one in per_area)
    scale = highest if highest > 0 else 1.0
    return (per_area[0] / scale).astype(np.float32), (per_area[1] / scale).astype(np.float32)


def on_one_scale(first: Result, second: Result) -> tuple[Result, Result]:
    """Both results with the maps of `densities`, for overlays."""
    one, other = densities(first.saliency_map, second.saliency_map)
    return replace(first, saliency_map=one), replace(second, saliency_map=other)


def differences(first: Result, second: Result, boxes: list[Box]) -> list[dict[str, Any]]:
    """What each box holds of either design's predicted attention.

    Args:
        first: One design, in whose pixels the boxes are meant.
        second: Another one; where its size differs, the boxes are stretched with it.
        boxes: Of `parse_boxes` or `ninths`.

    Returns:
        A dictionary per box: `region`, `x`, `y`, `width`, `height`, the shares `first` and `second` in 0..1, and
        `difference`, second minus first.
    """
    rows = []
    for box in boxes:
        one = box_share(first.saliency_map, box, first.size)
        other = box_share(second.saliency_map, box, first.size)
        rows.append(
            {
                **{"region": box.name, "x": box.x, "y": box.y, "width": box.width, "height": box.height},
                **{"first": one, "second": other, "difference": other - one},
            }
        )
    return rows
