"""Saliency models from before deep learning, for comparison: NumPy and SciPy, each written from its paper.

Every model is a function from an RGB image `(height, width, 3)`, uint8, to a saliency map `(height, width)`, float32
in 0..1 with maximum 1; of an image without structure it is 0 everywhere. None was fitted to fixations, and none is
told that people look at the centre, though the random walks of `gbvs` prefer it.
"""

from collections.abc import Callable

import numpy as np

from .bms import bms
from .gbvs import gbvs
from .itti import itti
from .rare2012 import rare2012
from .spectral_residual import spectral_residual

BASELINES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "itti": itti,
    "gbvs": gbvs,
    "spectral-residual": spectral_residual,
    "bms": bms,
    "rare2012": rare2012,
}

__all__ = ["BASELINES", "bms", "gbvs", "itti", "rare2012", "saliency_baseline", "spectral_residual"]


def saliency_baseline(name: str, image: np.ndarray) -> np.ndarray:
    """The saliency map of an image by a model of `BASELINES`.

    Args:
        name: A name of `BASELINES`.
        image: RGB, uint8 `(height, width, 3)`.

    Returns:
        float32 `(height, width)`, 0..1.

    Raises:
        ValueError: If there is no such model, or the image has another shape or type.
    """
    if name not in BASELINES:
        raise ValueError(f"the baseline must be one of {list(BASELINES)}, got {name!r}")
    if not isinstance(image, np.ndarray):
        raise ValueError(f"image must be an array, uint8 (height, width, 3), got {type(image).__name__}")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(f"image must be uint8 (height, width, 3), got {image.dtype} {image.shape}")
    return BASELINES[name](image)
