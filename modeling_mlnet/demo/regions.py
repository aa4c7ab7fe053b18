"""Shares of predicted attention: of boxes that somebody drew, and of the strongest regions of a map."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .limits import MAX_BOXES
from .words import COLUMNS, ROWS, place

GRID = 48  # cells along the longer side on which regions are found: mlnet-mini's own map has 56
SEPARATE = 0.8  # two peaks are two regions if the map between them falls below this part of the lower one
FLOOR = 0.05  # of the map's highest point; what is lower makes no region
SEEN = 0.01  # of all attention; weaker regions are not worth a word


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels of the upright picture; `x` and `y` are its left and top edges."""

    name: str
    x: float
    y: float
    width: float
    height: float


def parse_boxes(text: str, size: tuple[int, int]) -> list[Box]:
    """Boxes from text, one a line: `x, y, width, height` in pixels, a name and a colon before it if wanted.

    Args:
        text: For example `title: 10, 20, 300, 80`.
        size: Width and height of the picture, in which every box must lie.

    Raises:
        ValueError: If a line is no box, naming it, or if there are too many.
    """
    boxes: list[Box] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        name, _, values = line.rpartition(":")
        try:
            x, y, width, height = (float(value) for value in values.replace(";", ",").split(","))
        except ValueError:
            raise ValueError(f"Line {number}: expected x, y, width, height, got {line.strip()[:60]!r}.") from None
        inside = x >= 0 and y >= 0 and x + width <= size[0] and y + height <= size[1]
        if not (width > 0 and height > 0 and inside):  # not (...): NaN ends here too
            raise ValueError(
                f"Line {number}: the box {values.strip()[:60]} must lie inside the picture of "
                f"{size[0]} x {size[1]} px."
            )
        if len(boxes) == MAX_BOXES:
            raise ValueError(f"At most {MAX_BOXES} boxes at once; this is box {MAX_BOXES + 1}.")
        boxes.append(Box(name.strip()[:40] or str(len(boxes) + 1), x, y, width, height))
    return boxes


def ninths(size: tuple[int, int]) -> list[Box]:
    """The picture cut in three by three, for those who give no boxes."""
    width, height = size[0] / 3, size[1] / 3
    return [
        Box(place((column + 0.5) / 3, (row + 0.5) / 3), column * width, row * height, width, height)
        for row in range(len(ROWS))
        for column in range(len(COLUMNS))
    ]


def coverage(start: float, stop: float, cells: int) -> np.ndarray:
    """How much of each of `cells` unit cells an interval covers, `(cells,)` in 0..1."""
    edges = np.arange(cells, dtype=np.float64)
    return np.clip(np.minimum(edges + 1, stop) - np.maximum(edges, start), 0, 1)


def box_share(saliency_map: np.ndarray, box: Box, size: tuple[int, int]) -> float:
    """The part of all predicted attention that lies in a box, 0..1; pixels on its edge count in part.

    Args:
        saliency_map: `(height, width)`, at least 0, of any resolution.
        box: In pixels of the picture.
        size: Width and height of the picture.
    """
    rows, columns = saliency_map.shape
    total = float(saliency_map.sum(dtype=np.float64))
    if not total > 0:
        return 0.0
    across, down = columns / size[0], rows / size[1]
    horizontal = coverage(box.x * across, (box.x + box.width) * across, columns)
    vertical = coverage(box.y * down, (box.y + box.height) * down, rows)
    return float(vertical @ (saliency_map @ horizontal)) / total


def ranks(values: Iterable[float]) -> list[int]:
    """1 for the largest; equal values have the same rank."""
    values = list(values)
    return [1 + sum(other > one for other in values) for one in values]


def measure(saliency_map: np.ndarray, boxes: list[Box], size: tuple[int, int]) -> list[dict[str, Any]]:
    """What boxes hold of the predicted attention.

    Args:
        saliency_map: As in `box_share`.
        boxes: In pixels of the picture.
        size: Width and height of the picture.

    Returns:
        A dictionary per box: `region`, `x`, `y`, `width`, `height` in pixels, `share` (of all predicted attention,
        0..1), `area` (of the picture, 0..1), `relative` (share over area; 1 is what an even spread would give) and
        `rank` by share.
    """
    shares = [box_share(saliency_map, box, size) for box in boxes]
    areas = [box.width * box.height / (size[0] * size[1]) for box in boxes]
    return [
        {
            **{"region": box.name, "x": box.x, "y": box.y, "width": box.width, "height": box.height},
            **{"share": share, "area": area, "relative": share / area, "rank": rank},
        }
        for box, share, area, rank in zip(boxes, shares, areas, ranks(shares), strict=True)
    ]


def as_csv(rows: list[dict[str, Any]]) -> str:
    """Rows as CSV with a header; a name that a spreadsheet would take for a formula is quoted with an apostrophe."""
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        name = row["region"]
        writer.writerow({**row, "region": f"'{name}" if name[:1] in "=+-@" else name})
    return file.getvalue()


def to_grid(saliency_map: np.ndarray, cells: int = GRID) -> np.ndarray:
    """The map's sums over equal cells, at most `cells` along its longer side."""
    rows, columns = saliency_map.shape
    scale = min(1.0, cells / max(rows, columns))
    down, across = (max(1, round(count * scale)) for count in (rows, columns))
    return _sums(_sums(saliency_map, down).T, across).T


def _sums(values: np.ndarray, cells: int) -> np.ndarray:
    """Sums over equal parts of the first axis: differences of the running sum, interpolated at the parts' edges."""
    running = np.concatenate([np.zeros((1, values.shape[1])), values.cumsum(axis=0, dtype=np.float64)])
    edges = np.linspace(0, len(values), cells + 1)
    below = np.minimum(edges.astype(int), len(values) - 1)
    beyond = (edges - below)[:, None]
    return np.diff(running[below] * (1 - beyond) + running[below + 1] * beyond, axis=0).clip(0)


def strongest(saliency_map: np.ndarray, count: int = 3) -> list[dict[str, Any]]:
    """The regions that hold most of the predicted attention.

    Every peak of the map claims what lies downhill of it; two peaks are one where the map between them stays above
    `SEPARATE` of the lower one. A region is what is at least half as high as its peak, and above `FLOOR`.

    Args:
        saliency_map: `(height, width)`, at least 0.
        count: At most so many.

    Returns:
        The strongest first: `where` in words, `share` and `area` in 0..1, and the centre of mass `x`, `y` relative to
        width and height. Empty for an empty map.
    """
    grid = to_grid(saliency_map)
    total = grid.sum()
    if not total > 0:
        return []
    labels = _basins(grid)
    rows, columns = grid.shape
    regions: list[dict[str, Any]] = []
    for label in np.unique(labels[labels >= 0]):
        mine = labels == label
        mine &= grid >= grid[mine].max() / 2
        mass = grid * mine
        x = float((mass.sum(axis=0) @ (np.arange(columns) + 0.5)) / mass.sum() / columns)
        y = float((mass.sum(axis=1) @ (np.arange(rows) + 0.5)) / mass.sum() / rows)
        share = float(mass.sum() / total)
        regions.append({"where": place(x, y), "share": share, "area": float(mine.mean()), "x": x, "y": y})
    regions.sort(key=lambda one: -one["share"])
    return [one for one in regions[:count] if one["share"] >= SEEN]


def _basins(grid: np.ndarray) -> np.ndarray:
    """For every cell the index of the peak it belongs to, -1 below `FLOOR`: cells join from the highest down."""
    rows, columns = grid.shape
    values = grid.ravel()
    parent = np.full(values.size, -1)  # -1: not yet seen

    def peak_of(cell: int) -> int:
        while parent[cell] != cell:
            parent[cell] = parent[parent[cell]]
            cell = parent[cell]
        return cell

    order = np.argsort(-values, kind="stable")
    high = order[values[order] >= FLOOR * values.max()]
    for cell in high:
        row, column = divmod(int(cell), columns)
        around = (
            near * columns + beside
            for near in range(max(row - 1, 0), min(row + 2, rows))
            for beside in range(max(column - 1, 0), min(column + 2, columns))
        )
        peaks = sorted({peak_of(one) for one in around if parent[one] >= 0}, key=lambda peak: -values[peak])
        parent[cell] = peaks[0] if peaks else cell
        for lower in peaks[1:]:
            if values[cell] >= SEPARATE * values[lower]:
                parent[lower] = peaks[0]
    labels = np.full(values.size, -1)
    labels[high] = [peak_of(int(cell)) for cell in high]
    return labels.reshape(rows, columns)
