"""Scoring image by image under a protocol, with means and intervals at the end."""

import importlib.metadata
import inspect
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from .inputs import as_map, check_map, to_pixels
from .protocols import Protocol, get_protocol

BOOTSTRAP_SAMPLES = 1000
BOOTSTRAP_SEED = 0


def centre_map(
    height: int, width: int, mean: Iterable[float] = (0.5, 0.5), std: Iterable[float] = (0.25, 0.25)
) -> np.ndarray:
    """A centre bias: one Gaussian, whatever the image shows.

    Args:
        height: Pixels.
        width: Pixels.
        mean: x and y of its centre, relative to width and height.
        std: Standard deviation in x and y, relative to width and height.

    Returns:
        Float64 `(height, width)`, above 0, at most 1.
    """
    (x, y), (std_x, std_y) = mean, std
    columns = ((np.arange(width) + 0.5) / width - x) / std_x
    rows = ((np.arange(height) + 0.5) / height - y) / std_y
    return np.exp(-(rows[:, None] ** 2 + columns**2) / 2)


class FixationPool:
    """The fixations of all images of a data set: negatives of shuffled AUC, and the centre bias.

    Args:
        fixations: `{image_id: (n, 2)}`, x and y relative to the image's width and height (0..1, a pixel's centre
            being half a pixel in).
    """

    def __init__(self, fixations: Mapping[str, Any]):
        self.fixations = {
            name: np.asarray(points, dtype=np.float64).reshape(-1, 2) for name, points in fixations.items()
        }
        points = np.concatenate([np.zeros((0, 2)), *self.fixations.values()])
        self.mean, self.std = (0.5, 0.5), (0.25, 0.25)
        if len(points):
            self.mean = tuple(points.mean(axis=0).tolist())
            self.std = tuple(np.clip(points.std(axis=0), 0.01, None).tolist())

    def pixels(self, image_id: str | None, shape: tuple[int, int]) -> np.ndarray:
        """Flat pixel indices of one image's fixations, on an image of any size.

        Raises:
            ValueError: If the pool does not know the image; `None`, an image that is none of the pool's, has none.
        """
        if image_id is None:
            return np.zeros(0, np.int64)
        if image_id not in self.fixations:
            raise ValueError("the pool has no such image_id, so its own fixations cannot be left out")
        size = np.array(shape[::-1])
        columns, rows = np.clip(np.floor(self.fixations[image_id] * size), 0, size - 1).astype(np.int64).T
        return rows * shape[1] + columns

    def centre_map(self, height: int, width: int) -> np.ndarray:
        """The data set's centre bias: `centre_map` with the mean and the spread of all its fixations."""
        return centre_map(height, width, self.mean, self.std)


class Evaluator:
    """Scores saliency maps image by image under a protocol.

    `update` every image, then `compute`. Where `torch.distributed` runs, every process updates its own images and
    all of them call `compute`, which gathers the scores; an image scored twice counts once.

    Args:
        protocol: A name of `PROTOCOLS` or a `Protocol`.
        pool: Fixations of all images, for shuffled AUC and, as the centre bias, for information gain; without it
            those two are left out.

    Raises:
        ValueError: For an unknown protocol.
    """

    def __init__(self, protocol: str | Protocol = "tuebingen", pool: FixationPool | None = None):
        self.protocol, self.pool = get_protocol(protocol), pool
        self.rows: list[dict[str, Any]] = []
        needs = {name: inspect.signature(function).parameters for name, function in self.protocol.metrics.items()}
        given = {"saliency_map", "fixations", "density", *(("other_fixations", "baseline") if pool else ())}
        self._needs = {
            name: [
                parameter.name
                for parameter in parameters.values()
                if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
            ]
            for name, parameters in needs.items()
        }
        self._metrics = {
            name: function for name, function in self.protocol.metrics.items() if given.issuperset(self._needs[name])
        }
        self._total = lru_cache(maxsize=8)(self._count_all)
        self._centre = lru_cache(maxsize=8)(pool.centre_map) if pool else None

    def __getstate__(self) -> dict[str, Any]:
        return {"protocol": self.protocol, "pool": self.pool, "rows": self.rows}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["protocol"], state["pool"])  # type: ignore[misc]
        self.rows = state["rows"]

    def update(
        self,
        saliency_map: Any,
        fixations: Any,
        density: Any = None,
        *,
        sigma: float | None = None,
        size: tuple[int, int] | None = None,
        image_id: str | None = None,
    ) -> dict[str, Any]:
        """Scores one image and keeps the scores.

        Args:
            saliency_map: Prediction `(height, width)`, at least 0.
            fixations: Points `(n, 2)` in pixels of the image, or a fixation map (see `inputs.to_pixels`).
            density: Fixation density `(height, width)`; made from the fixations as the protocol says if not given.
            sigma: Standard deviation in pixels of the data set's Gaussian, for protocols that take it from there.
            size: Height and width of the image; otherwise the density's, or the map's.
            image_id: Names the image in results and errors, and in the pool, where its own fixations are left out.

        Returns:
            `{"image_id", "fixations"}` and the scores by name. Without any fixation that counts, scores are NaN, but
            for those of a density that was given.

        Raises:
            ValueError: If sizes differ, values are negative or not finite, or a fixation lies outside.
        """
        row = self.score(saliency_map, fixations, density, sigma=sigma, size=size, image_id=image_id)
        self.rows.append(row)
        return row

    def score(
        self,
        saliency_map: Any,
        fixations: Any,
        density: Any = None,
        *,
        sigma: float | None = None,
        size: tuple[int, int] | None = None,
        image_id: str | None = None,
    ) -> dict[str, Any]:
        """As `update`, without keeping anything."""
        try:
            return self._score(saliency_map, fixations, density, sigma, size, image_id)
        except ValueError as error:
            if image_id is None:
                raise
            raise ValueError(f"image {image_id}: {error}") from error

    def _score(
        self,
        saliency_map: Any,
        fixations: Any,
        density: Any,
        sigma: float | None,
        size: tuple[int, int] | None,
        image_id: str | None,
    ) -> dict[str, Any]:
        values = check_map(saliency_map)
        shape = size or (values.shape if density is None else as_map(density).shape)
        pixels = self.protocol.select(to_pixels(fixations, shape))
        is_made = density is None
        if is_made and any("density" in self._needs[name] for name in self._metrics):
            density = self._density(pixels, shape, sigma)
        inputs = {
            "saliency_map": self.protocol.resize(values, shape),
            "fixations": np.stack(np.divmod(pixels, shape[1])[::-1], axis=1),
            "density": density,
        }
        if self.pool is not None and self._centre is not None:
            inputs |= {"other_fixations": self._others(image_id, shape), "baseline": self._centre(*shape)}
        row: dict[str, Any] = {"image_id": image_id, "fixations": len(pixels)}
        for name, function in self._metrics.items():
            is_void = len(pixels) == 0 and is_made  # a density of nothing says nothing
            row[name] = (
                float("nan") if is_void else function(**{argument: inputs[argument] for argument in self._needs[name]})
            )
        return row

    def _density(self, pixels: np.ndarray, shape: tuple[int, int], sigma: float | None) -> np.ndarray:
        if self.protocol.distinct_density:
            pixels = np.unique(pixels)
        if not self.protocol.own_sigma:
            return self.protocol.density(pixels, shape)
        if sigma is None:
            raise ValueError(f"protocol {self.protocol.name} needs the data set's density or its sigma")
        return self.protocol.density(pixels, shape, sigma=sigma)

    def _of_pool(self, image_id: str | None, shape: tuple[int, int]) -> np.ndarray:
        assert self.pool is not None
        pixels = self.protocol.select(self.pool.pixels(image_id, shape))
        return pixels if self.protocol.pool == "all" else np.unique(pixels)

    def _count_all(self, shape: tuple[int, int]) -> np.ndarray:
        assert self.pool is not None
        pixels = np.concatenate([np.zeros(0, np.int64), *(self._of_pool(name, shape) for name in self.pool.fixations)])
        return np.bincount(pixels, minlength=shape[0] * shape[1])

    def _others(self, image_id: str | None, shape: tuple[int, int]) -> np.ndarray:
        """Fixation map of all other images, on an image of this size."""
        own = self._of_pool(image_id, shape)
        counts = self._total(shape).copy()
        np.subtract.at(counts, own, 1)
        if self.protocol.pool == "per_image":
            counts[own] = 0
        elif self.protocol.pool == "union":
            counts = np.minimum(counts, 1)
        return counts.reshape(shape)

    def compute(self, gather: bool = True) -> dict[str, Any]:
        """The scores so far.

        Args:
            gather: Whether those of all processes count; all of them have to call it then.

        Returns:
            `{"protocol", "protocol_definition", "package_version", "images", "images_without_fixations", "metrics",
            "per_image"}`; `protocol_definition` is `Protocol.describe`, `metrics` is
            `{name: {"mean", "low", "high", "n"}}` with a bootstrap 95 % interval over the n images that have the
            score (NaN if none), `per_image` what `update` returned.
        """
        rows = _once(_gathered(self.rows) if gather else self.rows)
        weighted_by = self.protocol.weights
        metrics = {}
        for name in self._metrics:
            weights = np.array(
                [row["fixations"] if weighted_by.get(name) == "fixations" else 1 for row in rows], float
            )
            metrics[name] = mean_with_interval(np.array([row[name] for row in rows], float), weights)
        return {
            "protocol": self.protocol.name,
            "protocol_definition": self.protocol.describe(),
            "package_version": package_version(),
            "images": len(rows),
            "images_without_fixations": sum(row["fixations"] == 0 for row in rows),
            "metrics": metrics,
            "per_image": rows,
        }

    def reset(self) -> None:
        """Forgets all scores."""
        self.rows = []


def _gathered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    torch = sys.modules.get("torch")  # without torch there are no other processes
    if torch is None or not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return rows
    parts: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(parts, rows)
    return [row for part in parts for row in part]


def _once(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the repeats that several processes fill up their last batch with."""
    named = {row["image_id"]: row for row in reversed(rows) if row["image_id"] is not None}
    return [row for row in rows if row["image_id"] is None or named[row["image_id"]] is row]


def mean_with_interval(scores: np.ndarray, weights: np.ndarray | None = None) -> dict[str, Any]:
    """Weighted mean of the scores that are not NaN, and its bootstrap 95 % interval (1,000 resamples, seed 0).

    Returns:
        `{"mean", "low", "high", "n"}`, NaN if there is no score.
    """
    weights = np.ones(len(scores)) if weights is None else weights
    scores, weights = scores[~np.isnan(scores)], weights[~np.isnan(scores)]
    if len(scores) == 0:
        return {"mean": float("nan"), "low": float("nan"), "high": float("nan"), "n": 0}
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    means = []
    for _ in range(BOOTSTRAP_SAMPLES):
        drawn = rng.integers(len(scores), size=len(scores))
        means.append(np.average(scores[drawn], weights=weights[drawn]))
    low, high = np.percentile(means, [2.5, 97.5])
    return {
        "mean": float(np.average(scores, weights=weights)),
        "low": float(low),
        "high": float(high),
        "n": len(scores),
    }


def package_version() -> str:
    """Of the installed distribution; a bare checkout has none."""
    try:
        return importlib.metadata.version("mlnet-saliency")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
