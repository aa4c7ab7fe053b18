"""Pictures of saliency maps."""

import numpy as np
from PIL import Image

OPACITY = 0.7  # of the heat map where the saliency map is 1


def to_bytes(saliency_map: np.ndarray) -> np.ndarray:
    """A map `(height, width)` in 0..1 as uint8."""
    return np.rint(saliency_map * 255).astype(np.uint8)


def overlay(
    image: np.ndarray, saliency_map: np.ndarray, colormap: str = "inferno", opacity: float = OPACITY
) -> Image.Image:
    """The picture under its saliency map: the more salient, the more of the heat map's colour.

    Args:
        image: uint8 `(height, width, 3)`.
        saliency_map: `(height, width)` in 0..1.
        colormap: Name of a matplotlib colour map.
        opacity: Of the heat map where the saliency map is 1, in 0..1.
    """
    import matplotlib  # half a second that only overlays need

    table = (255 * matplotlib.colormaps[colormap](np.arange(256))[:, :3]).astype(np.float32)
    colors = table[to_bytes(saliency_map)]  # float32: a quarter of the memory
    weight = opacity * saliency_map[..., None]
    blended = image * (1 - weight) + colors * weight
    return Image.fromarray(np.rint(blended).astype(np.uint8))
