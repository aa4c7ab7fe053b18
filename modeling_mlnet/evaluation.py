"""Scoring of saliency maps on a data set, under a named protocol."""

import importlib.metadata
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from datasets import Dataset

from .metrics import auc, auc_shuffled, cc, kl, nss, sim

PROTOCOLS = ("tuebingen",)
BOOTSTRAP_SAMPLES = 1000
CENTRE_SIGMA = 0.25  # of each side, the width of the `centre` baseline


class Evaluator:
    """Collects scores picture by picture under the protocol `tuebingen` (saliency-benchmarking and pysaliency).

    Args:
        other_fixations: For shuffled AUC: the fixations of every picture, as `{image_id: (n, 2)}` relative to its
            width and height (0..1); `None` leaves the metric out.
    """

    def __init__(self, other_fixations: dict[str, np.ndarray] | None = None):
        self.scores: dict[str, list[float]] = {}
        self.image_ids: list[str] = []
        self.without_fixations = 0
        self.other_fixations = other_fixations
        if other_fixations is not None:
            self._pool = np.concatenate([np.zeros((0, 2)), *other_fixations.values()])
            self._pool_ids = np.repeat(list(other_fixations), [len(points) for points in other_fixations.values()])

    def update(self, saliency_map: np.ndarray, density: np.ndarray, fixations: np.ndarray, image_id: str) -> None:
        """Scores one picture.

        Args:
            saliency_map: Prediction `(height, width)`, at least 0.
            density: Fixation density of the same shape.
            fixations: `(n, 2)` x and y in pixels.
            image_id: Names the picture in errors.

        Raises:
            ValueError: If shapes differ, values are negative or not finite, or a fixation lies outside.
        """
        try:
            scores = {"CC": cc(saliency_map, density), "SIM": sim(saliency_map, density)}
            scores |= {"KL": kl(saliency_map, density), "NSS": nss(saliency_map, fixations)}
            scores["AUC"] = auc(saliency_map, fixations)
            if self.other_fixations is not None:
                scores["sAUC"] = auc_shuffled(saliency_map, fixations, self._others(image_id, saliency_map.shape))
        except ValueError as error:
            raise ValueError(f"picture {image_id}: {error}") from error
        for name, score in scores.items():
            self.scores.setdefault(name, []).append(score)
        self.image_ids.append(image_id)
        self.without_fixations += len(fixations) == 0

    def update_row(self, saliency_map: np.ndarray, row: dict[str, Any]) -> None:
        """Scores one picture of a data set: `update` with the truth of a row of the schema."""
        density = np.asarray(row["saliency_map"], dtype=np.float64)
        self.update(saliency_map, density, np.asarray(row["fixations"]).reshape(-1, 2), row["image_id"])

    def _others(self, image_id: str, shape: tuple[int, ...]) -> np.ndarray:
        size = np.array([shape[1], shape[0]])
        others = self._pool[self._pool_ids != image_id]
        return np.clip(others * size - 0.5, 0, size - 1)

    def compute(self) -> dict[str, dict[str, float]]:
        """Means over the pictures that have the score, with a bootstrap 95 % interval over pictures.

        Returns:
            `{metric: {"mean", "low", "high", "n"}}`; NaN where no picture has fixations.
        """
        return {name: _mean_with_interval(np.array(scores)) for name, scores in self.scores.items()}


def _mean_with_interval(scores: np.ndarray) -> dict[str, float]:
    scores = scores[~np.isnan(scores)]
    if len(scores) == 0:
        return {"mean": float("nan"), "low": float("nan"), "high": float("nan"), "n": 0}
    drawn = np.random.default_rng(0).integers(len(scores), size=(BOOTSTRAP_SAMPLES, len(scores)))
    low, high = np.percentile(scores[drawn].mean(axis=1), [2.5, 97.5])
    return {"mean": float(scores.mean()), "low": float(low), "high": float(high), "n": len(scores)}


def centre_map(height: int, width: int) -> np.ndarray:
    """The baseline that looks at no picture: a Gaussian on the centre, its width a quarter of each side."""
    rows = (np.arange(height) + 0.5) / height - 0.5
    columns = (np.arange(width) + 0.5) / width - 0.5
    return np.exp(-(rows[:, None] ** 2 + columns**2) / (2 * CENTRE_SIGMA**2))


def relative_fixations(dataset: Dataset) -> dict[str, np.ndarray]:
    """All fixations of a data set by picture, relative to the picture's width and height."""
    pool = {}
    for row in dataset.select_columns(["image", "fixations", "image_id"]):
        points = np.asarray(row["fixations"], dtype=np.float64).reshape(-1, 2)
        pool[row["image_id"]] = (points + 0.5) / np.array(row["image"].size)  # the first pixel spans -0.5 to 0.5
    return pool


def package_version() -> str:
    """Of the installed distribution; a bare checkout has none."""
    try:
        return importlib.metadata.version("mlnet-saliency")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def evaluate(
    predict: Callable[[Iterable[Any]], Iterator[np.ndarray]] | None,
    dataset: Dataset,
    progress: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> dict[str, Any]:
    """Predicts and scores a data set in one pass.

    Args:
        predict: Takes pictures, gives float maps `(height, width)` in the same order; `None` scores `centre_map`.
        dataset: Rows of `modeling_mlnet.data`.
        progress: Wraps the iteration, to show a bar.

    Returns:
        `{"protocol", "package_version", "images", "images_without_fixations", "metrics"}`.
    """
    evaluator = Evaluator(relative_fixations(dataset))
    maps: Iterator[np.ndarray]
    if predict is None:
        maps = (centre_map(row["image"].height, row["image"].width) for row in dataset)
    else:
        maps = predict(row["image"] for row in dataset)
    rows = dataset.remove_columns("image")
    for row, saliency_map in zip(progress(rows), maps, strict=True):
        evaluator.update_row(saliency_map, row)
    return {
        "protocol": "tuebingen",
        "package_version": package_version(),
        "images": len(evaluator.image_ids),
        "images_without_fixations": evaluator.without_fixations,
        "metrics": evaluator.compute(),
    }
