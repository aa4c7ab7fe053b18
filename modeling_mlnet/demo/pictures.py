"""The page's pictures as files: overlays, bare maps, boxes with their numbers."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..inference.outputs import encode_map
from ..io.overlay import OPACITY, overlay
from .store import Result, Store

COLORMAPS = ("inferno", "viridis", "grey")


def check_look(opacity: Any, colormap: Any) -> tuple[float, str]:
    """Opacity and colour map, if they are among those there are.

    Raises:
        ValueError: If not.
    """
    if colormap not in COLORMAPS:
        raise ValueError(f"The colour map must be one of {', '.join(COLORMAPS)}, got {str(colormap)[:40]!r}.")
    if not isinstance(opacity, (int, float)) or not 0 <= opacity <= 1:
        raise ValueError(f"The opacity must be a number from 0 to 1, got {str(opacity)[:40]!r}.")
    return float(opacity), colormap


def save_png(image: Image.Image, path: Path) -> str:
    """Writes a PNG; light compression, which takes a fifth of the time for a few more bytes."""
    image.save(path, format="PNG", compress_level=1)
    return str(path)


def save_picture(result: Result, store: Store) -> str:
    """The picture itself, upright and at the size of its map."""
    path = store.place(f"{result.stem}.jpg")
    Image.fromarray(result.image).save(path, quality=92)
    return str(path)


def save_overlay(result: Result, store: Store, opacity: float = OPACITY, colormap: str = "inferno") -> str:
    """The picture under its map."""
    picture = overlay(result.image, result.saliency_map, colormap, opacity)
    return save_png(picture, store.place(f"{result.stem}.overlay.png"))


def save_map(result: Result, store: Store) -> str:
    """The map as 8-bit grey, as `mlnet predict` writes it."""
    return save_png(encode_map(result.saliency_map), store.place(f"{result.stem}.map.png"))


def save_colored_map(result: Result, store: Store, colormap: str) -> str:
    """The map alone in the colours of the overlay."""
    picture = Image.fromarray(colored(result.saliency_map, colormap))
    return save_png(picture, store.place(f"{result.stem}.colour.png"))


def colored(saliency_map: np.ndarray, colormap: str) -> np.ndarray:
    """A map in 0..1 in colours, uint8 `(height, width, 3)`."""
    import matplotlib

    levels = np.rint(np.clip(saliency_map, 0, 1) * 255).astype(np.uint8)
    return matplotlib.colormaps[colormap](levels, bytes=True)[..., :3]


def save_values(result: Result, store: Store) -> str:
    """The map as float32 `(height, width)`."""
    return save_array(result.saliency_map, store.place(f"{result.stem}.npy"))


def save_array(values: np.ndarray, path: Path) -> str:
    """Writes an npy file."""
    np.save(path, values)
    return str(path)
