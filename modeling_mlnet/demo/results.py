"""An image with its map, and what may be asked about it: settings, look and boxes."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from PIL import Image

from ..analysis import Box, ImageFile, check_boxes, parse_box
from ..inference.uploads import MAX_BOXES
from ..io.overlay import OPACITY, overlay, to_bytes
from .files import Upload

VIEWS = ("Heat", "Spotlight", "Map")
COLORMAPS = ("inferno", "viridis", "grey")


class Settings(NamedTuple):
    """What a map depends on besides the image: the model, and whether with its prior."""

    model: str
    apply_prior: bool = True


@dataclass(frozen=True)
class Result:
    """An image and its map.

    Args:
        upload: The file.
        settings: Settings of the map.
        image: uint8 `(height, width, 3)`, upright, at most `MAX_SHOWN` px long.
        saliency_map: Float32 `(height, width)` in 0..1.
        size: Width and height of the image itself in pixels, upright.
    """

    upload: Upload
    settings: Settings
    image: np.ndarray
    saliency_map: np.ndarray
    size: tuple[int, int]

    @property
    def stem(self) -> str:
        """The name without its extension, fit for a file name."""
        return re.sub(r"[^\w.-]+", "_", Path(self.upload.name).stem).strip("._")[:60] or "image"

    def describe(self) -> ImageFile:
        """The file, for documents."""
        return ImageFile.describe(self.upload.name, self.upload.path.read_bytes(), self.size)

    def draw(self, view: str = "Heat", opacity: object = OPACITY, colormap: object = "inferno") -> Image.Image:
        """One of `VIEWS`; a ValueError as of `check_look`."""
        opacity, colormap = check_look(view, opacity, colormap)
        if view == "Map":
            return colored(self.saliency_map, colormap)
        return overlay(self.image, self.saliency_map, colormap, opacity, style=view.lower())


def check_look(view: object, opacity: object, colormap: object) -> tuple[float, str]:
    """Opacity and colour map, if they and the view are among those there are; a ValueError if not."""
    for what, value, known in (("view", view, VIEWS), ("colour map", colormap, COLORMAPS)):
        if value not in known:
            raise ValueError(f"The {what} must be one of {', '.join(known)}, got {str(value)[:40]!r}.")
    if not isinstance(opacity, (int, float)) or not 0 <= opacity <= 1:
        raise ValueError(f"The opacity must be a number from 0 to 1, got {str(opacity)[:40]!r}.")
    return float(opacity), str(colormap)


def colored(saliency_map: np.ndarray, colormap: str) -> Image.Image:
    """A map in 0..1 in colours."""
    levels = to_bytes(np.clip(saliency_map, 0, 1))
    return Image.fromarray(matplotlib.colormaps[colormap](levels, bytes=True)[..., :3])


def parse_boxes(text: str, size: tuple[int, int]) -> list[Box]:
    """Boxes in pixels of an image of this size, from lines such as `title: 10, 20, 300, 80`.

    Raises:
        ValueError: If a line is no box in the image or a name is used twice, quoting it, or if there are too many.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > MAX_BOXES:
        raise ValueError(f"At most {MAX_BOXES} boxes at once, got {len(lines)}.")
    boxes, problems = check_boxes((replace(box, name=box.name[:40]) for box in map(parse_box, lines)), size)
    if problems:
        raise ValueError(problems[0])
    return boxes
