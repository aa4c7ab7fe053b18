"""Two designs, compared box by box."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..metrics.inputs import check_map
from .boxes import Box
from .regions import Region, measure_regions
from .words import percent

ALIKE = 1.05  # a smaller factor is no difference worth a sentence
SAME_PLACE = "the second design has no boxes of its own: the same places are measured in both"
SHAPE = 0.02  # relative difference of the aspect ratios from which a comparison is warned of


@dataclass(frozen=True)
class ComparedRegion:
    """A named box in two designs.

    Args:
        name: Name of the box in both.
        first: Its share of all predicted attention in the first design, 0..1; `None` if the design lacks it.
        second: Its share in the second design.
        difference: Second minus first; `None` if one of them lacks it.
        factor: Second over first; `None` if one lacks it or the first is 0.
    """

    name: str
    first: float | None
    second: float | None
    difference: float | None
    factor: float | None


@dataclass(frozen=True)
class Comparison:
    """Two designs, box by box.

    Args:
        regions: One for every name, in the order of the first design; what only the second has comes last.
        first: Measured boxes of the first design.
        second: Measured boxes of the second design.
        same_place: Whether the first design's boxes were also laid over the second, which has no boxes of its own.
        warnings: Reasons to doubt the comparison, one a line.
    """

    regions: list[ComparedRegion]
    first: list[Region]
    second: list[Region]
    same_place: bool
    warnings: list[str]


def compare_regions(
    first_map: ArrayLike,
    second_map: ArrayLike,
    boxes: Iterable[Box],
    second_boxes: Iterable[Box] | None = None,
    first_size: tuple[int, int] | None = None,
    second_size: tuple[int, int] | None = None,
) -> Comparison:
    """Compares the predicted attention in named boxes of two designs.

    Boxes belong to a design and are matched by name: the button of the first with the button of the second, wherever
    it lies. Without `second_boxes` the same place in the image is compared, which is right only where nothing moved.

    Args:
        first_map: `(height, width)`, at least 0.
        second_map: `(height, width)`, at least 0, of any size.
        boxes: Boxes of the first design, in its pixels.
        second_boxes: Boxes of the second design, in its pixels.
        first_size: Width and height of the first image in pixels, if its map has another resolution.
        second_size: Width and height of the second image in pixels, if its map has another resolution.

    Raises:
        ValueError: As `measure_regions`.
    """
    first_size, second_size = first_size or _size(first_map), second_size or _size(second_map)
    boxes = list(boxes)
    same_place = second_boxes is None
    if second_boxes is None:
        across, down = second_size[0] / first_size[0], second_size[1] / first_size[1]
        second_boxes = [
            Box(box.name, box.x * across, box.y * down, box.width * across, box.height * down) for box in boxes
        ]
    first = measure_regions(first_map, boxes, first_size)
    second = measure_regions(second_map, second_boxes, second_size)
    shares = [{region.name: region.share for region in regions} for regions in (first, second)]
    names = dict.fromkeys([*shares[0], *shares[1]])
    return Comparison(
        [_compare(name, shares[0].get(name), shares[1].get(name)) for name in names],
        first,
        second,
        same_place,
        _warnings(first_size, second_size, shares),
    )


def to_one_scale(first_map: ArrayLike, second_map: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Two maps as attention per area, on one scale whose 1 is the highest of both, for overlays.

    The values of a map are relative to its own highest point, so those of two maps cannot be compared. Their shares
    can: each map is divided by its mean (1 is then an even spread), and both by the higher of their maxima.

    Args:
        first_map: `(height, width)`, at least 0.
        second_map: `(height, width)`, at least 0, of any size.

    Raises:
        ValueError: If a map has another number of dimensions, or NaN, infinite or negative values.
    """
    maps = [check_map(saliency_map) for saliency_map in (first_map, second_map)]
    first, second = (values / max(float(values.mean()), np.finfo(np.float32).tiny) for values in maps)
    scale = max(float(first.max()), float(second.max())) or 1.0
    return (first / scale).astype(np.float32), (second / scale).astype(np.float32)


def _size(saliency_map: ArrayLike) -> tuple[int, int]:
    height, width = np.shape(saliency_map)
    return width, height


def _compare(name: str, first: float | None, second: float | None) -> ComparedRegion:
    if first is None or second is None:
        return ComparedRegion(name, first, second, None, None)
    return ComparedRegion(name, first, second, second - first, second / first if first > 0 else None)


def _warnings(first_size: tuple[int, int], second_size: tuple[int, int], shares: list[dict[str, float]]) -> list[str]:
    warnings = []
    (first_width, first_height), (second_width, second_height) = first_size, second_size
    if abs(np.log(first_width / first_height * second_height / second_width)) > SHAPE:
        warnings.append(
            f"the images differ in shape ({first_width} x {first_height} and {second_width} x {second_height} px): "
            "shares of the same box can differ for this alone"
        )
    first, second = shares
    warnings += [f"the second design has no box {name!r}: nothing to compare" for name in first if name not in second]
    warnings += [f"the first design has no box {name!r}: nothing to compare" for name in second if name not in first]
    return warnings


def in_words(region: ComparedRegion) -> str:
    """A comparison as a sentence: "The button gets half as much in B: 4.4 % -> 2.2 % (-2.2 points)."."""
    if region.first is None or region.second is None:
        return f"The {region.name} is only in {'B' if region.first is None else 'A'}."
    points = 100 * (region.second - region.first)
    figures = f"{percent(region.first)} -> {percent(region.second)} ({points:+.1f} points)"
    factor = region.factor
    if factor is None:
        return f"The {region.name} gets {'attention in B only' if region.second > 0 else 'no attention'}: {figures}."
    much = f"{factor:.1f} times as much" if factor < 10 else f"{factor:.0f} times as much"
    if 1 / ALIKE < factor < ALIKE:
        much = "about as much"
    elif 0.45 <= factor <= 0.55:
        much = "half as much"
    elif 1.9 <= factor <= 2.1:
        much = "twice as much"
    elif factor < 0.1:
        much = "almost nothing"
    return f"The {region.name} gets {much} in B: {figures}."


def by_change(regions: Iterable[ComparedRegion]) -> list[ComparedRegion]:
    """Regions of both designs, the one whose share changes most, in points, first."""
    both = [region for region in regions if region.difference is not None]
    return sorted(both, key=lambda region: -abs(region.difference or 0.0))
