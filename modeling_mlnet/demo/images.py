"""The page's images as files: with their map, the map alone, its values."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from ..images_mlnet import open_image
from ..io.overlay import OPACITY, grey_image, overlay
from .store import Result, Store

COLORMAPS = ("inferno", "viridis", "grey")
THUMBNAIL = 96  # px
VIEWS = ("Heat", "Spotlight", "Map")


def check_look(opacity: object, colormap: object) -> tuple[float, str]:
    """Opacity and colour map, if they are among those there are.

    Raises:
        ValueError: If not.
    """
    if not isinstance(colormap, str) or colormap not in COLORMAPS:
        raise ValueError(f"The colour map must be one of {', '.join(COLORMAPS)}, got {str(colormap)[:40]!r}.")
    if not isinstance(opacity, (int, float)) or not 0 <= opacity <= 1:
        raise ValueError(f"The opacity must be a number from 0 to 1, got {str(opacity)[:40]!r}.")
    return float(opacity), colormap


def save_png(image: Image.Image, path: Path) -> str:
    """Writes a PNG, compressed lightly: a fifth of the time for a few more bytes."""
    image.save(path, format="PNG", compress_level=1)
    return str(path)


def save_jpeg(image: Image.Image, path: Path) -> str:
    """Writes a JPEG for display."""
    image.save(path, format="JPEG", quality=90)
    return str(path)


def save_image(result: Result, store: Store) -> str:
    """The upright image at the size of its map."""
    return save_jpeg(Image.fromarray(result.image), store.place(f"{result.stem}.jpg"))


def save_overlay(result: Result, store: Store, opacity: float = OPACITY, colormap: str = "inferno") -> str:
    """The image under its map."""
    shown = overlay(result.image, result.saliency_map, colormap, opacity)
    return save_png(shown, store.place(f"{result.stem}.overlay.png"))


def save_view(result: Result, store: Store, view: str, opacity: float, colormap: str) -> str:
    """The image that the page shows of a result.

    Args:
        result: To show.
        store: Store for the file.
        view: One of `VIEWS`.
        opacity: Opacity of the heat map.
        colormap: Colour map of the heat map and of the map alone.

    Raises:
        ValueError: If the view is unknown.
    """
    if view not in VIEWS:
        raise ValueError(f"The view must be one of {', '.join(VIEWS)}, got {str(view)[:40]!r}.")
    if view == "Map":
        shown = Image.fromarray(colored(result.saliency_map, colormap))
    else:
        shown = overlay(result.image, result.saliency_map, colormap, opacity, style=view.lower())
    return save_jpeg(shown, store.place(f"{result.stem}.{view.lower()}.jpg"))


def save_thumbnail(source: Path, path: Path) -> None:
    """Thumbnail of an example: a square from its middle, at twice the displayed resolution."""
    image = ImageOps.fit(open_image(source).convert("RGB"), (2 * THUMBNAIL, 2 * THUMBNAIL))
    image.save(path, "WEBP", quality=80)


def save_map(result: Result, store: Store) -> str:
    """The map as 8-bit grey, as `mlnet predict` writes it."""
    return save_png(grey_image(result.saliency_map), store.place(f"{result.stem}.map.png"))


def colored(saliency_map: np.ndarray, colormap: str) -> np.ndarray:
    """A map in 0..1 in colours, uint8 `(height, width, 3)`."""
    import matplotlib

    levels = np.rint(np.clip(saliency_map, 0, 1) * 255).astype(np.uint8)
    return matplotlib.colormaps[colormap](levels, bytes=True)[..., :3]


def save_array(values: np.ndarray, path: Path) -> str:
    """Writes an npy file."""
    np.save(path, values)
    return str(path)
