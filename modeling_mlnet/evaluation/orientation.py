"""Whether the fixations of a data set count from the upper left corner, judged by a model's maps of its images."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from datasets import Dataset, IterableDataset

from ..data.plausibility import DENSITIES, FEWEST, Orientation, sample_indices
from ..data.schema import FEATURES

if TYPE_CHECKING:
    from ..prediction import SaliencyPredictor


def sample_rows(rows: Dataset | IterableDataset) -> Iterable[dict[str, Any]]:
    """Some rows for `find_turned`: evenly spaced ones, or the first ones of a stream."""
    if isinstance(rows, IterableDataset):
        return rows.take(DENSITIES)
    return rows.select(sample_indices(len(rows), DENSITIES))


def find_turned(predictor: "SaliencyPredictor", rows: Iterable[dict[str, Any]]) -> list[str]:
    """One line if the fixations of some rows fit a model's maps clearly better mirrored or turned, else none.

    Args:
        predictor: A model that predicts well: mlnet-mini does.
        rows: Rows of the schema, decoded or not.
    """
    decoded = [FEATURES.decode_example(row) for row in rows if len(row["fixations"])]
    if sum(len(row["fixations"]) for row in decoded) < FEWEST:
        return []
    orientation = Orientation()
    for row, values in zip(decoded, predictor.maps(row["image"] for row in decoded), strict=True):
        orientation.add(values, (np.asarray(row["fixations"], np.float64) + 0.5) / row["image"].size)
    return orientation.findings("a model's maps")
