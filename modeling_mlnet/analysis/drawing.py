"""Boxes, spots and crops drawn on images: light lines on dark ones, which stand out from any image."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from ..io.overlay import line_width, text_font
from .boxes import Box
from .documents import Answer
from .regions import Region
from .spots import Spot
from .words import percent

Rectangle = tuple[float, float, float, float]  # left, top, right, bottom in pixels


def draw_regions(image: Image.Image, regions: Iterable[Region | Box], image_size: tuple[int, int]) -> Image.Image:
    """The image with boxes, their names and, of regions, their shares.

    Args:
        image: The image, at any resolution.
        regions: In pixels of the image whose size is `image_size`.
        image_size: Width and height in pixels.
    """
    shown = image.copy()
    draw = ImageDraw.Draw(shown)
    across, down = shown.width / image_size[0], shown.height / image_size[1]
    line = line_width(shown.size)
    labels: list[tuple[str, Rectangle]] = []
    for region in regions:
        left, top = region.x * across, region.y * down
        right, bottom = left + region.width * across - 1, top + region.height * down - 1
        corners = (left, top, max(right, left), max(bottom, top))
        draw.rectangle(corners, outline="black", width=3 * line)
        draw.rectangle(corners, outline="white", width=line)
        text = f"{region.name} {percent(region.share)}" if isinstance(region, Region) else region.name
        labels.append((text, corners))
    used: list[Rectangle] = []  # after all boxes, so that no line crosses a label
    for text, corners in labels:
        used.append(_label(draw, text, corners, shown.size, used))
    return shown


def draw_spots(image: Image.Image, spots: Iterable[Spot], image_size: tuple[int, int]) -> Image.Image:
    """The image with the number of every spot in a circle at its centre.

    Args:
        image: The image, at any resolution.
        spots: In pixels of the image whose size is `image_size`.
        image_size: Width and height in pixels.
    """
    shown = image.copy()
    draw = ImageDraw.Draw(shown)
    font, line = text_font(shown.size), line_width(shown.size)
    radius = round(0.85 * font.size)
    for spot in spots:
        x = min(max(spot.x * shown.width / image_size[0], radius), max(shown.width - radius, radius))
        y = min(max(spot.y * shown.height / image_size[1], radius), max(shown.height - radius, radius))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill="black", outline="white", width=line)
        draw.text((x, y), str(spot.number), font=font, fill="white", anchor="mm")
    return shown


def draw_answer(image: Image.Image, answer: Answer) -> Image.Image:
    """The image with the spots and regions of an answer.

    Args:
        image: The image, at any resolution.
        answer: Measurements of the image.
    """
    size = (answer.image.width, answer.image.height)
    return draw_regions(draw_spots(image, answer.focus.spots, size), answer.regions, size)


def side_by_side(first: Image.Image, second: Image.Image) -> Image.Image:
    """Two images of one height on white."""
    height = min(first.height, second.height)
    images = [image.resize((max(1, round(image.width * height / image.height)), height)) for image in (first, second)]
    gap = max(4, height // 40)
    result = Image.new("RGB", (images[0].width + gap + images[1].width, height), "white")
    result.paste(images[0])
    result.paste(images[1], (images[0].width + gap, 0))
    return result


def _label(
    draw: ImageDraw.ImageDraw, text: str, box: Rectangle, size: tuple[int, int], used: list[Rectangle]
) -> Rectangle:
    """White text on black: above the box, below it or inside, where there is room and no other label."""
    font: Any = text_font(size)
    pad = max(2, font.size // 4)
    width, height = draw.textlength(text, font=font) + 2 * pad, font.size + 2 * pad
    left, top, _, bottom = box
    x = float(np.clip(left, 0, max(size[0] - width, 0)))
    rectangles = [(x, y, x + width, y + height) for y in (top - height, bottom + 1, top, bottom - height)]
    free = [
        rectangle
        for rectangle in rectangles
        if rectangle[1] >= 0 and rectangle[3] <= size[1] and not _hits(rectangle, used)
    ]
    rectangle = free[0] if free else rectangles[2]
    draw.rectangle(rectangle, fill="black")
    draw.text((x + pad, (rectangle[1] + rectangle[3]) / 2), text, font=font, fill="white", anchor="lm")
    return rectangle


def _hits(rectangle: Rectangle, used: list[Rectangle]) -> bool:
    left, top, right, bottom = rectangle
    return any(left < x1 and x0 < right and top < y1 and y0 < bottom for x0, y0, x1, y1 in used)
