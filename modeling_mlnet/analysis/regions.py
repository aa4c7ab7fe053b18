"""Share of the predicted attention in named boxes."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..metrics.inputs import check_map
from .boxes import Box, check_boxes
from .sums import SHARE_DIGITS, box_sums
from .words import COLUMNS, ROWS, name_ninth


@dataclass(frozen=True)
class Region:
    """A box and its share of the predicted attention.

    Args:
        name: Name of the box.
        x: Left edge in pixels of the image.
        y: Top edge in pixels of the image.
        width: In pixels of the image.
        height: In pixels of the image.
        share: Share of all predicted attention, 0..1; 0 for an empty map.
        area: Fraction of the image, 0..1.
        ratio: Share over area; 1 is what an even spread would give.
        peak: Highest value of the map in the box over its highest value anywhere, 0..1.
        rank: By share, 1 for the largest; equal shares have the same rank. It is also the expected order of looking.
        first_fixation: Expected number of the first fixation in the box, 1 / share, if fixations are drawn from the
            map independently; `None` if the share is 0.
    """

    name: str
    x: float
    y: float
    width: float
    height: float
    share: float
    area: float
    ratio: float
    peak: float
    rank: int
    first_fixation: float | None


def measure_regions(
    saliency_map: ArrayLike, boxes: Iterable[Box], image_size: tuple[int, int] | None = None
) -> list[Region]:
    """Measures the predicted attention in each box.

    A pixel that a box covers in part counts in part, so the shares of boxes that divide the image sum to 1.

    Args:
        saliency_map: `(height, width)`, at least 0, of any resolution.
        boxes: In pixels of the image, inside it, each with its own name.
        image_size: Width and height of the image in pixels, if the map has another resolution.

    Returns:
        One `Region` per box, in their order.

    Raises:
        ValueError: If a box has no area, is not finite, reaches beyond the image or shares its name, or the map has
            another number of dimensions, or NaN, infinite or negative values.
    """
    values = check_map(saliency_map)
    width, height = image_size or values.shape[::-1]
    checked, problems = check_boxes(boxes, (width, height))
    if problems:
        raise ValueError(problems[0])
    edges = [_edges(box, values.shape[1] / width, values.shape[0] / height) for box in checked]
    total, highest = float(values.sum()), float(values.max())
    shares = [float(held) / total if total > 0 else 0.0 for held in box_sums(values, edges)]
    peaks = [_highest(values, four) / highest if highest > 0 else 0.0 for four in edges]
    areas = [box.width * box.height / (width * height) for box in checked]
    return [
        Region(
            **asdict(box),
            share=share,
            area=area,
            ratio=share / area,
            peak=peak,
            rank=rank,
            first_fixation=1 / share if share > 0 else None,
        )
        for box, share, area, peak, rank in zip(checked, shares, areas, peaks, ranks(shares), strict=True)
    ]


def ranks(shares: Sequence[float]) -> list[int]:
    """1 for the largest; shares that differ by rounding only have the same rank."""
    rounded = [round(share, SHARE_DIGITS) for share in shares]
    return [1 + sum(larger > share for larger in rounded) for share in rounded]


def ninths(image_size: tuple[int, int]) -> list[Box]:
    """The image in three by three boxes, for those who give none.

    Args:
        image_size: Width and height in pixels.
    """
    width, height = image_size[0] / 3, image_size[1] / 3
    return [
        Box(name_ninth((column + 0.5) / 3, (row + 0.5) / 3), column * width, row * height, width, height)
        for row in range(len(ROWS))
        for column in range(len(COLUMNS))
    ]


def _edges(box: Box, across: float, down: float) -> tuple[float, float, float, float]:
    """Left, top, right and bottom in pixels of a map of another resolution."""
    return box.x * across, box.y * down, (box.x + box.width) * across, (box.y + box.height) * down


def _highest(values: np.ndarray, edges: tuple[float, float, float, float]) -> float:
    """The highest value among the pixels that a box touches."""
    left, top, right, bottom = edges
    rows = slice(int(top), max(int(np.ceil(bottom)), int(top) + 1))
    columns = slice(int(left), max(int(np.ceil(right)), int(left) + 1))
    return float(values[rows, columns].max())
