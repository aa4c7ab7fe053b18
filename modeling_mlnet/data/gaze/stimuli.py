"""The images that a table of gaze names, and where each was shown."""

import math
import unicodedata
from pathlib import Path, PureWindowsPath
from typing import Literal, get_args

from PIL import Image as PILImage

from ..files import IMAGE_SUFFIXES, check_image
from ..tables import read_table
from .display import Rect

Place = Literal["fit", "centre", "image"]
PLACES: tuple[Place, ...] = get_args(Place)
STIMULI = (*IMAGE_SUFFIXES, ".bmp", ".tif", ".tiff", ".webp")


class Stimuli:
    """The images of a folder and the folders in it, found by what a tracker's software calls them.

    That may be a path, also of Windows, or a name with or without its ending, in any case. An image with the whole
    path counts before one with the name, and that before one with the name but for the ending.

    Raises:
        ValueError: If there is no image.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.sizes: dict[Path, tuple[int, int]] = {}
        images = [
            path
            for path in sorted(folder.rglob("*"))
            if path.suffix.lower() in STIMULI and not any(part[0] == "." for part in path.relative_to(folder).parts)
        ]
        if not images:
            raise ValueError(f"{folder}: no images there ({', '.join(STIMULI)})")
        self._indices: list[dict[str, list[Path]]] = [{}, {}, {}]
        for path in images:
            relative = path.relative_to(folder)
            for index, name in zip(self._indices, (relative.as_posix(), path.name, path.stem), strict=True):
                index.setdefault(_normal(name), []).append(path)

    def find(self, name: str) -> Path | None:
        """The image of a name; `None` if there is none.

        Raises:
            ValueError: If there are several.
        """
        path = PureWindowsPath(name)
        is_ending = path.suffix.lower() in PILImage.registered_extensions()
        stem = path.stem if is_ending else path.name
        for index, names in zip(self._indices, ([name], [path.name], [path.name, stem]), strict=True):
            for key in names:
                matches = index.get(_normal(key), [])
                if len(matches) > 1:
                    both = " and ".join(str(match.relative_to(self.folder)) for match in matches[:2])
                    raise ValueError(f"{self.folder}: {name!r} may be {both}; name images so that one fits")
                if matches:
                    return matches[0]
        return None

    def size(self, path: Path) -> tuple[int, int]:
        """Width and height in pixels, upright, of an image that is whole."""
        if path not in self.sizes:
            self.sizes[path], _ = check_image(path)
        return self.sizes[path]

    def read_rects(self, table: Path) -> dict[Path, Rect]:
        """Rectangle of each image, from a table with the columns `stimulus`, `left`, `top`, `width`, `height`.

        Raises:
            ValueError: If the table cannot be read or names an image that is not there.
        """
        rects = {}
        sides = ("left", "top", "width", "height")
        for row in read_table(table, ["stimulus", *sides]):
            image = self.find(row.values["stimulus"])
            if image is None:
                raise ValueError(f"{table}, line {row.line}: {row.values['stimulus']!r} is no image of {self.folder}")
            left, top, width, height = (row.number(side) for side in sides)
            if not (math.isfinite(left + top) and 0 < width < math.inf and 0 < height < math.inf):
                raise ValueError(f"{table}, line {row.line}: left, top, width and height must be pixels of the screen")
            rects[image] = (left, top, width, height)
        return rects


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", name.strip().replace("\\", "/")).casefold()
