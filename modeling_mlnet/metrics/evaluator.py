"""Scoring image by image under a protocol, with means and intervals at the end."""

import importlib.metadata
import sys
from functools import lru_cache
from typing import TypeAlias, TypedDict

import numpy as np
from numpy.typing import ArrayLike

from .inputs import arguments_of, as_map, check_map, to_pixels
from .pool import FixationPool
from .protocols import Definition, Protocol, get_protocol

BOOTSTRAP_SAMPLES = 1000
BOOTSTRAP_DRAWS = 2**16  # at a time, to stay in the cache
BOOTSTRAP_SEED = 0


class Interval(TypedDict):
    """A mean over n images with its 95 % interval; NaN if n is 0."""

    mean: float
    low: float
    high: float
    n: int


ImageScores: TypeAlias = dict[str, str | float | None]  # image_id, the number of fixations, scores by their names


class Results(TypedDict):
    """Scores of a data set, as `Evaluator.compute` describes them."""

    protocol: str
    protocol_definition: Definition
    package_version: str
    images: int
    images_without_fixations: int
    metrics: dict[str, Interval]
    per_image: list[ImageScores]


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
        self.protocol = get_protocol(protocol)
        self.pool = pool
        self.rows: list[ImageScores] = []
        given = {"saliency_map", "fixations", "density"}
        if pool is not None:
            given |= {"other_fixations", "baseline"}
        needs = {name: arguments_of(function) for name, function in self.protocol.metrics.items()}
        self._needs = {name: arguments for name, arguments in needs.items() if given.issuperset(arguments)}
        self._total = lru_cache(maxsize=8)(self._count_all)
        self._centre = lru_cache(maxsize=8)(pool.centre_map) if pool else None

    def __getstate__(self) -> tuple[Protocol, FixationPool | None, list[ImageScores]]:
        return self.protocol, self.pool, self.rows

    def __setstate__(self, state: tuple[Protocol, FixationPool | None, list[ImageScores]]) -> None:
        self.__init__(*state[:2])  # type: ignore[misc]
        self.rows = state[2]

    def update(
        self,
        saliency_map: ArrayLike,
        fixations: ArrayLike,
        density: ArrayLike | None = None,
        *,
        sigma: float | None = None,
        size: tuple[int, int] | None = None,
        image_id: str | None = None,
    ) -> ImageScores:
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
        saliency_map: ArrayLike,
        fixations: ArrayLike,
        density: ArrayLike | None = None,
        *,
        sigma: float | None = None,
        size: tuple[int, int] | None = None,
        image_id: str | None = None,
    ) -> ImageScores:
        """As `update`, without keeping anything."""
        try:
            return self._score(saliency_map, fixations, density, sigma, size, image_id)
        except ValueError as error:
            if image_id is None:
                raise
            raise ValueError(f"image {image_id}: {error}") from error

    def _score(
        self,
        saliency_map: ArrayLike,
        fixations: ArrayLike,
        density: ArrayLike | None,
        sigma: float | None,
        size: tuple[int, int] | None,
        image_id: str | None,
    ) -> ImageScores:
        values = check_map(saliency_map)
        shape = size or (values.shape if density is None else as_map(density).shape)
        pixels = self.protocol.select(to_pixels(fixations, shape))
        is_made = density is None
        if is_made and any("density" in arguments for arguments in self._needs.values()):
            density = self._density(pixels, shape, sigma)
        inputs = {
            "saliency_map": self.protocol.resize(values, shape),
            "fixations": np.stack(np.divmod(pixels, shape[1])[::-1], axis=1),
            "density": density,
        }
        if self.pool is not None and self._centre is not None:
            inputs |= {"other_fixations": self._others(image_id, shape), "baseline": self._centre(*shape)}
        row: ImageScores = {"image_id": image_id, "fixations": len(pixels)}
        is_void = len(pixels) == 0 and is_made  # there is no density without fixations
        for name, arguments in self._needs.items():
            given = {argument: inputs[argument] for argument in arguments}
            row[name] = float("nan") if is_void else self.protocol.metrics[name](**given)
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

    def compute(self, gather: bool = True) -> Results:
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
        for name in self._needs:
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


def _gathered(rows: list[ImageScores]) -> list[ImageScores]:
    torch = sys.modules.get("torch")  # without torch there are no other processes
    if torch is None or not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return rows
    parts: list[list[ImageScores]] = [[]] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(parts, rows)
    return [row for part in parts for row in part]


def _once(rows: list[ImageScores]) -> list[ImageScores]:
    """Without the repeats that several processes fill up their last batch with."""
    named = {row["image_id"]: row for row in reversed(rows) if row["image_id"] is not None}
    return [row for row in rows if row["image_id"] is None or named[row["image_id"]] is row]


def mean_with_interval(scores: np.ndarray, weights: np.ndarray | None = None) -> Interval:
    """Weighted mean of the scores that are not NaN, and its bootstrap 95 % interval (1,000 resamples, seed 0)."""
    weights = np.ones(len(scores)) if weights is None else weights
    scores, weights = scores[~np.isnan(scores)], weights[~np.isnan(scores)]
    if len(scores) == 0:
        return {"mean": float("nan"), "low": float("nan"), "high": float("nan"), "n": 0}
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    means: list[float] = []
    while len(means) < BOOTSTRAP_SAMPLES:
        count = min(BOOTSTRAP_SAMPLES - len(means), max(1, BOOTSTRAP_DRAWS // len(scores)))
        drawn = rng.integers(len(scores), size=(count, len(scores)))
        means.extend(np.average(scores[drawn], axis=1, weights=weights[drawn]))
    low, high = np.percentile(means, [2.5, 97.5])
    return {
        "mean": float(np.average(scores, weights=weights)),
        "low": float(low),
        "high": float(high),
        "n": len(scores),
    }


@lru_cache
def package_version() -> str:
    """Version of the installed distribution, or "not installed"."""
    try:
        return importlib.metadata.version("mlnet-saliency")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
