"""Saliency maps as probabilities of a fixation."""

from typing import Any

import numpy as np

from ..metrics.inputs import check_map, to_distribution

TINY = 2.2204e-16  # keeps the logarithm of 0 finite, as in the metrics


def to_density(saliency_map: Any) -> np.ndarray:
    """The map scaled to sum to 1, float64 `(height, width)`: the probability that a fixation falls on each pixel.

    The values are those of the map, not calibrated. A map of zeros becomes even.

    Args:
        saliency_map: `(height, width)`, at least 0.

    Raises:
        ValueError: If the map has another number of dimensions, or NaN, infinite or negative values.
    """
    return to_distribution(check_map(saliency_map))


def to_log_density(saliency_map: Any) -> np.ndarray:
    """The natural logarithm of `to_density`, float64 `(height, width)`, as pysaliency's models give it."""
    return np.log(to_density(saliency_map) + TINY)
