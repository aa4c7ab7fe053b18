"""Whether fixations count from the upper left corner of their images, judged by a model's maps of these."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from datasets import Dataset, IterableDataset

from ..data.plausibility import (
    DENSITIES,
    FEWEST,
    ORIENTATION_GAIN,
    ORIENTATION_SHARE,
    Orientation,
    sample_indices,
)
from ..data.schema import FEATURES, Row

if TYPE_CHECKING:
    from ..inference.predictor import SaliencyPredictor

CELLS = 40  # of the images' longer side: shifts are tried in steps of one,
REACH = 20  # up to half of it
# In fewer images a shift may fit by chance. In draws of 8, 16 and 24 images of OSIE, EyeCrowd, SUN500, MIT1003 and
# SALICON none does better; of points scattered about the centre instead, in 8 % of the draws of 8 at most.
FEWEST_SHIFTED = 8


def sample_rows(rows: Dataset | IterableDataset) -> Iterable[Row]:
    """Some rows for `find_turned`: evenly spaced ones, or the first ones of a stream."""
    if isinstance(rows, IterableDataset):
        return rows.take(DENSITIES)
    return rows.select(sample_indices(len(rows), DENSITIES))


def find_turned(predictor: "SaliencyPredictor", rows: Iterable[Row]) -> list[str]:
    """One line if the fixations of some rows fit a model's maps clearly better mirrored, turned or shifted, else none.

    Args:
        predictor: A model that predicts well: mlnet-mini does.
        rows: Rows of the schema, decoded or not.
    """
    decoded = [FEATURES.decode_example(row) for row in rows if len(row["fixations"])]
    if sum(len(row["fixations"]) for row in decoded) < FEWEST:
        return []
    cell = max(1, round(np.median([max(row["image"].size) for row in decoded]) / CELLS))
    orientation, grids, points = Orientation(), [], []
    for row, values in zip(decoded, predictor.maps(row["image"] for row in decoded), strict=True):
        fixations = np.asarray(row["fixations"], np.float64)
        orientation.add(values, (fixations + 0.5) / row["image"].size)
        if min(values.shape) >= cell:
            points.append(fixations)
            grids.append(((values - values.mean()) / (values.std() or 1))[cell // 2 :: cell, cell // 2 :: cell])
    turned = orientation.findings("a model's maps")
    shifted, nss = _find_shift(grids, points, cell)
    if turned and shifted:  # a mirrored set may come near to a shifted one, and the reverse
        return shifted if nss > np.mean(orientation.scores, axis=0).max() else turned
    return turned or shifted


def _find_shift(grids: list[np.ndarray], points: list[np.ndarray], cell: int) -> tuple[list[str], float]:
    """One line if fixations fit maps clearly better shifted, else none; and the NSS of the best shift.

    It must be better than what a shift makes of the map of another image, too: a tendency to the centre is no more.

    Args:
        grids: Standardised maps at the middle of each cell.
        points: `(n, 2)` x and y in pixels, for each map.
        cell: Side of a cell in pixels.
    """
    if len(grids) < FEWEST_SHIFTED:
        return [], 0.0
    scores = np.array([_nss_at_shifts(*pair, cell) for pair in zip(grids, points, strict=True)])
    others = np.array([_nss_at_shifts(*pair, cell) for pair in zip(grids, points[1:] + points[:1], strict=True)])
    means = scores.mean(axis=0)
    row, column = np.unravel_index(means.argmax(), means.shape)
    best, as_is = means[row, column], means[REACH, REACH]
    better = np.count_nonzero(scores[:, row, column] > scores[:, REACH, REACH])
    gain = best - max(as_is, others.mean(axis=0).max())
    if gain < ORIENTATION_GAIN or better < ORIENTATION_SHARE * len(scores):
        return [], best
    text = (
        f"moved by {(column - REACH) * cell} px in x and {(row - REACH) * cell} px in y (steps of {cell} px), the "
        f"fixations fit a model's maps better (NSS {best:.2f}, as they are {as_is:.2f}; better in {better} of "
        f"{len(scores)} images): they may be shifted or scaled; give pixels of the image file from its upper left "
        "corner, not of the screen"
    )
    return [text], best


def _nss_at_shifts(grid: np.ndarray, fixations: np.ndarray, cell: int) -> np.ndarray:
    """NSS by the shift in y and x, each from -REACH to REACH cells; fixations moved off the map count as chance, 0."""
    from scipy.signal import correlate

    spans = [(0, length * cell) for length in grid.shape]
    counts, _, _ = np.histogram2d(fixations[:, 1], fixations[:, 0], grid.shape, spans)
    return correlate(np.pad(grid, REACH), counts, mode="valid") / len(fixations)
