"""How concentrated attention is, and where its strongest spots are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..metrics.inputs import check_floats
from .sums import SHARE_DIGITS, grid_sums
from .words import name_ninth

GRID = 48  # cells along the longer side on which spots are found: mlnet-mini's own map has 56
SADDLE = 0.8  # two peaks are two spots if the map between them falls below this part of the lower one
FLOOR = 0.05  # of the map's highest point; a lower peak is no spot
LEAST_SHARE = 0.01  # of all attention; a weaker spot is left out


@dataclass(frozen=True)
class Spot:
    """A peak of the map with what lies around it.

    Args:
        number: 1 for the spot with the largest share.
        x: Coordinate of its centre of mass, in pixels of the image.
        y: Coordinate of its centre of mass, in pixels of the image.
        share: Share of all predicted attention, 0..1.
        area: Fraction of the image, 0..1.
        peak: Its highest cell over the map's highest cell, 0..1.
        where: The ninth of the image it lies in, for example "top left".
    """

    number: int
    x: float
    y: float
    share: float
    area: float
    peak: float
    where: str


@dataclass(frozen=True)
class Focus:
    """How attention is spread over an image.

    Args:
        effective_area: Result of `effective_area`.
        spots: Result of `find_spots`.
    """

    effective_area: float
    spots: list[Spot]


def focus(saliency_map: ArrayLike, image_size: tuple[int, int] | None = None, count: int = 5) -> Focus:
    """The effective area and the strongest spots of a map.

    Args:
        saliency_map: `(height, width)`, at least 0.
        image_size: As in `find_spots`.
        count: As in `find_spots`.

    Raises:
        ValueError: If the map has another number of dimensions, or NaN, infinite or negative values.
    """
    values, _, _ = check_floats(saliency_map)
    grid = grid_sums(values, GRID)
    return Focus(_effective_area(grid), _find_spots(grid, count, image_size or values.shape[::-1]))


def effective_area(saliency_map: ArrayLike) -> float:
    """The part of the image, 0..1, that attention would fill if it were even. The smaller, the more focused.

    With p the map's sums over a grid of n cells, as parts of their total, it is exp(-sum p log p) / n, the exponential
    of the entropy over the number of cells: 1 for an even map, 1/n if all attention lies in one cell, 0 for an empty
    map. The grid has 48 cells along the longer side, so that the image's resolution does not matter.

    Args:
        saliency_map: `(height, width)`, at least 0.

    Raises:
        ValueError: If the map has another number of dimensions, or NaN, infinite or negative values.
    """
    values, _, _ = check_floats(saliency_map)
    return _effective_area(grid_sums(values, GRID))


def _effective_area(grid: np.ndarray) -> float:
    total = grid.sum()
    if not total > 0:
        return 0.0
    p = grid[grid > 0] / total
    return float(np.exp(-(p * np.log(p)).sum()) / grid.size)


def find_spots(saliency_map: ArrayLike, count: int = 5, image_size: tuple[int, int] | None = None) -> list[Spot]:
    """The spots that hold most of the predicted attention, the strongest first.

    Every peak of the map, on a grid of 48 cells, holds what lies downhill of it. Two peaks are one spot where the map
    between them stays above 0.8 of the lower one. A spot is the part of this that is at least half as high as its
    peak. Peaks below 0.05 of the highest one and spots below 1 % of all attention are left out.

    Args:
        saliency_map: `(height, width)`, at least 0.
        count: At most so many.
        image_size: Width and height of the image in pixels, if the map has another resolution.

    Returns:
        Fewer than `count` where the map has fewer; none for an empty map.

    Raises:
        ValueError: If the map has another number of dimensions, or NaN, infinite or negative values.
    """
    values, _, _ = check_floats(saliency_map)
    return _find_spots(grid_sums(values, GRID), count, image_size or values.shape[::-1])


def _find_spots(grid: np.ndarray, count: int, image_size: tuple[int, ...]) -> list[Spot]:
    total = grid.sum()
    if not total > 0:
        return []
    width, height = image_size
    labels = _basins(grid)
    rows, columns = grid.shape
    spots = []
    for label in np.unique(labels[labels >= 0]):
        cells = labels == label
        peak = grid[cells].max()
        cells &= grid >= peak / 2
        mass = grid * cells
        share = float(mass.sum() / total)
        if share < LEAST_SHARE:
            continue
        x = float((mass.sum(axis=0) @ (np.arange(columns) + 0.5)) / mass.sum() / columns)
        y = float((mass.sum(axis=1) @ (np.arange(rows) + 0.5)) / mass.sum() / rows)
        spots.append((share, x, y, float(cells.mean()), float(peak / grid.max())))
    spots.sort(key=lambda spot: (round(spot[0], SHARE_DIGITS), *spot[1:]), reverse=True)
    return [
        Spot(number, x * width, y * height, share, area, peak, name_ninth(x, y))
        for number, (share, x, y, area, peak) in enumerate(spots[:count], 1)
    ]


def _basins(grid: np.ndarray) -> np.ndarray:
    """For every cell the number of the peak it belongs to, -1 below `FLOOR`: cells join from the highest down."""
    padded = np.pad(grid, 1, constant_values=-1)  # a border that is never visited, so that every cell has 8 around it
    width = padded.shape[1]
    steps = [row * width + column for row in (-1, 0, 1) for column in (-1, 0, 1) if row or column]
    order = np.argsort(-padded, axis=None, kind="stable")
    high = order[padded.ravel()[order] >= FLOOR * grid.max()].tolist()
    values = padded.ravel().tolist()  # a list's items are read several times as fast as an array's
    parent = [-1] * len(values)  # -1: not visited

    def peak_of(cell: int) -> int:
        while parent[cell] != cell:
            parent[cell] = parent[parent[cell]]
            cell = parent[cell]
        return cell

    for cell in high:
        around = {peak_of(cell + step) for step in steps if parent[cell + step] >= 0}
        peaks = sorted(around, key=lambda peak: (-values[peak], peak)) if len(around) > 1 else list(around)
        parent[cell] = peaks[0] if peaks else cell
        for lower in peaks[1:]:
            if values[cell] >= SADDLE * values[lower]:
                parent[lower] = peaks[0]
    labels = np.full(padded.shape, -1)
    labels.ravel()[high] = [peak_of(cell) for cell in high]
    return labels[1:-1, 1:-1]
