"""pysaliency both ways: ML-Net as one of its models, and its models and data sets scored here.

Needs the extra `pysaliency`. A fixation (x, y) of pysaliency lies in the pixel of column floor(x); here the centre of
a pixel is a whole number. Pixels are the same both ways.
"""

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import numpy as np
import pysaliency
from datasets import Dataset
from PIL import Image

from ..data.fixations import Points
from ..data.schema import FEATURES, Record, make_row
from ..images_mlnet import read_image
from ..inference.predictor import SaliencyPredictor
from .truths import read_truths


class MLNetSaliencyModel(pysaliency.Model):
    """A calibrated checkpoint as a pysaliency model of fixation densities.

    Args:
        predictor: A `SaliencyPredictor`, or what it takes as its model.
        centre_bias: `False` removes the centre bias of the data that it was calibrated on.
        arguments: Arguments of `pysaliency.Model`; nothing is cached unless they say so.

    Raises:
        ValueError: If the checkpoint cannot be loaded or has no calibration.
    """

    def __init__(self, predictor: Any = "mini", centre_bias: bool = True, **arguments: Any):
        super().__init__(**{"caching": False, **arguments})
        is_given = isinstance(predictor, SaliencyPredictor)
        self.predictor = predictor if is_given else SaliencyPredictor(predictor, dtype="float32")
        self.centre_bias = centre_bias
        self.predictor.calibration  # noqa: B018 - refused now if there is none

    def _log_density(self, stimulus: np.ndarray) -> np.ndarray:
        return self.predictor.log_density(stimulus, self.centre_bias)


def maps_of(model: Any) -> Callable[[Dataset], Iterator[np.ndarray]]:
    """A pysaliency model's maps as `evaluate` takes them.

    Args:
        model: A `pysaliency.Model`, whose densities are the maps, or a `pysaliency.SaliencyMapModel`; maps below 0 are
            shifted to 0, as pysaliency does where a metric needs a density.

    Raises:
        ValueError: If it is neither.
    """
    if not isinstance(model, (pysaliency.Model, pysaliency.SaliencyMapModel)):
        raise ValueError(f"expected a Model or SaliencyMapModel of pysaliency, got {type(model).__name__}")

    def predict(rows: Dataset) -> Iterator[np.ndarray]:
        for image in rows.select_columns(["image"]):
            stimulus = read_image(image["image"])
            if isinstance(model, pysaliency.Model):
                yield np.exp(model.log_density(stimulus))
            else:
                values = np.asarray(model.saliency_map(stimulus), dtype=np.float64)
                yield values - min(0.0, values.min())

    return predict


def to_rows(stimuli: Any, fixations: Any, sigma: float | None = None) -> Dataset:
    """A data set of pysaliency as rows of `modeling_mlnet.data`, all of it in memory.

    Args:
        stimuli: `pysaliency.Stimuli` or a kind of it.
        fixations: `pysaliency.Fixations` or a kind of it.
        sigma: Standard deviation in pixels of the Gaussian that makes densities; `None` takes 3 % of the longer side.

    Raises:
        UnusableError: If an image cannot be used, or no fixation of it lies inside.
    """
    rows = []
    for index in range(len(stimuli)):
        content = BytesIO()
        Image.fromarray(np.asarray(stimuli[index].stimulus_data)).save(content, "PNG")
        chosen = fixations.n == index
        points = np.floor(np.stack([fixations.x[chosen], fixations.y[chosen]], axis=1)).astype(np.float32)
        observers = np.asarray(fixations.subjects)[chosen].astype(np.int32)
        record = Record(content.getvalue(), f"{index:06d}", Points(points, observers), sigma=sigma)
        rows.append(make_row(record)[0])
    return Dataset.from_list(rows, features=FEATURES)


def from_rows(rows: Dataset) -> tuple[Any, Any]:
    """Rows of `modeling_mlnet.data` as `pysaliency.Stimuli` and `pysaliency.Fixations`, all of them in memory.

    The fixations have no history, as rows do not keep their order.
    """
    stimuli = [read_image(row["image"]) for row in rows.select_columns(["image"])]
    truths = list(read_truths(rows))
    pixels = [np.floor(truth.fixations + 0.5) for truth in truths]
    x, y = np.concatenate([np.zeros((0, 2)), *pixels]).T
    numbers = np.repeat(np.arange(len(truths)), [len(truth.fixations) for truth in truths])
    observers = [truth.observers if len(truth.observers) else np.zeros(len(truth.fixations), int) for truth in truths]
    fixations = pysaliency.Fixations.create_without_history(x, y, numbers, np.concatenate(observers))
    return pysaliency.Stimuli(stimuli), fixations
