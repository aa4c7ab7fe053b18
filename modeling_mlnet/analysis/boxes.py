"""Boxes: named rectangles in an image."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

TOLERANCE = 1.0  # px that a box may reach beyond the image, as annotation tools round; it is cut there
UNITS = ("auto", "pixels", "fractions")


@dataclass(frozen=True)
class Box:
    """A rectangle in an image.

    Args:
        name: Unique among the boxes of an image.
        x: Left edge, in pixels of the upright image from its left edge.
        y: Top edge, in pixels from the image's top edge.
        width: In pixels.
        height: In pixels.
    """

    name: str
    x: float
    y: float
    width: float
    height: float

    def __str__(self) -> str:
        return f"{self.name!r} ({self.x:g},{self.y:g},{self.width:g},{self.height:g})"


def parse_box(text: str) -> Box:
    """A box from `NAME:X,Y,WIDTH,HEIGHT`, for example `logo:48,18,197,34`.

    Raises:
        ValueError: If the text is not of this form.
    """
    name, _, numbers = text.rpartition(":")
    try:
        x, y, width, height = (float(number) for number in re.split(r"\s*[,;]\s*", numbers.strip()))
    except ValueError:
        raise ValueError(f"expected NAME:X,Y,WIDTH,HEIGHT, got {text.strip()[:80]!r}") from None
    return Box(name.strip(), x, y, width, height)


def check_box(box: Any, image_size: tuple[int, int]) -> Box:
    """The box, cut at the image's edges if it reaches less than a pixel beyond them.

    Args:
        box: A `Box`, or an object to be refused.
        image_size: Width and height of the image in pixels.

    Raises:
        ValueError: If it is not a `Box`, has no area, a number that is not finite, or reaches beyond the image.
    """
    if not isinstance(box, Box):
        raise ValueError(f"expected a Box, got {type(box).__name__}; of a mask, take the bounding box")
    if not all(math.isfinite(number) for number in (box.x, box.y, box.width, box.height)):
        raise ValueError(f"box {box} has a number that is not finite")
    if not (box.width > 0 and box.height > 0):
        raise ValueError(f"box {box} has no area: width and height must be above 0")
    left, top = max(box.x, 0.0), max(box.y, 0.0)
    right, bottom = min(box.x + box.width, image_size[0]), min(box.y + box.height, image_size[1])
    beyond = max(left - box.x, top - box.y, box.x + box.width - right, box.y + box.height - bottom)
    if beyond >= TOLERANCE or right <= left or bottom <= top:
        raise ValueError(f"box {box} reaches beyond the image of {image_size[0]} x {image_size[1]} px")
    if beyond == 0:
        return box
    return Box(box.name, left, top, right - left, bottom - top)


def check_boxes(boxes: Iterable[Any], image_size: tuple[int, int]) -> tuple[list[Box], list[str]]:
    """The boxes that can be measured, and one line for every other.

    Args:
        boxes: Boxes of one image. A box without a name is called by its number, from 1.
        image_size: Width and height of the image in pixels.
    """
    checked: dict[str, Box] = {}
    problems = []
    for number, box in enumerate(boxes, 1):
        try:
            box = check_box(box, image_size)
        except ValueError as error:
            problems.append(str(error))
            continue
        name = box.name or str(number)
        if name in checked:
            problems.append(f"box {box}: the name {name!r} is used twice; names must differ")
            continue
        checked[name] = Box(name, box.x, box.y, box.width, box.height)
    return list(checked.values()), problems


def to_pixels(boxes: Sequence[Box], image_size: tuple[int, int], units: str = "auto") -> list[Box]:
    """Boxes in pixels, from pixels or fractions of the image's width and height.

    Args:
        boxes: All in the same units.
        image_size: Width and height of the image in pixels.
        units: `"pixels"`, `"fractions"`, or `"auto"`, which tells them apart: a box with no number above 1 is in
            fractions, every other in pixels.

    Raises:
        ValueError: If `"auto"` cannot tell, because some boxes have no number above 1 and others do, or because all
            numbers are 0 and 1; or if the units are unknown.
    """
    if units not in UNITS:
        raise ValueError(f"units must be one of {', '.join(UNITS)}, got {units!r}")
    if units == "auto":
        units = find_units(boxes)
    if units == "pixels":
        return list(boxes)
    width, height = image_size
    return [Box(box.name, box.x * width, box.y * height, box.width * width, box.height * height) for box in boxes]


def find_units(boxes: Sequence[Box]) -> str:
    """The units of boxes, `"pixels"` or `"fractions"`, inferred as in `to_pixels`.

    Raises:
        ValueError: If they cannot be told apart.
    """
    numbers = [(box.x, box.y, box.width, box.height) for box in boxes]
    small = [all(value <= 1 for value in four) for four in numbers]
    if not any(small):
        return "pixels"
    if not all(small):
        raise ValueError(
            f"box {boxes[small.index(True)]} may be in fractions, box {boxes[small.index(False)]} is in pixels; "
            "state the units: pixels or fractions"
        )
    if all(value in (0, 1) for four in numbers for value in four):
        raise ValueError(f"box {boxes[0]} may be in pixels or in fractions; state the units")
    return "fractions"
