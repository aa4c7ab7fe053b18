"""Scoring of saliency maps on a data set, under a named protocol, in one pass."""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from datasets import Dataset, Image
from PIL import Image as PILImage

from ..data.files import encoded_file, upright_size
from ..data.schema import SIGMA_FRACTION
from ..io.progress import Progress, no_progress
from ..metrics import Evaluator, FixationPool, Protocol, get_protocol
from ..metrics.protocols import gaussian_density

if TYPE_CHECKING:
    from ..inference.predictor import SaliencyPredictor


@dataclass(frozen=True)
class Truth:
    """What is known of one picture's fixations.

    Args:
        image_id: Its name in the data set.
        size: Height and width in pixels.
        fixations: `(n, 2)` x and y in pixels.
        observers: `(n,)`, empty where unknown.
        sigma: Standard deviation in pixels of the data set's Gaussian; `None` if it brought its own density.
        density: That density, encoded as it is stored.
    """

    image_id: str
    size: tuple[int, int]
    fixations: np.ndarray
    observers: np.ndarray
    sigma: float | None
    density: dict[str, Any]

    def of_observers(self, remainder: int) -> "Truth":
        """The fixations of every second observer only, without the data set's density, which shows all of them.

        Raises:
            ValueError: If fewer than two observers are known.
        """
        rank = np.unique(self.observers, return_inverse=True)[1]
        if len(np.unique(self.observers)) < 2:
            raise ValueError(f"picture {self.image_id}: half-observers needs fixations of two known observers or more")
        sigma = self.sigma or SIGMA_FRACTION * max(self.size)
        return replace(
            self, fixations=self.fixations[rank % 2 == remainder], observers=self.observers[:0], sigma=sigma
        )

    def relative_fixations(self) -> np.ndarray:
        """`(n, 2)` relative to width and height; the first pixel spans -0.5 to 0.5."""
        return (self.fixations + 0.5) / np.array(self.size[::-1])


def encoded_rows(dataset: Dataset) -> Dataset:
    """The rows with their pictures as they are stored, not decoded."""
    return dataset.cast_column("image", Image(decode=False)).cast_column("saliency_map", Image(decode=False))


def truth_of(row: dict[str, Any]) -> Truth:
    """The truth of one of `encoded_rows`."""
    width, height = upright_size(encoded_file(row["image"]))
    fixations = np.asarray(row["fixations"], dtype=np.float64).reshape(-1, 2)
    observers = np.asarray(row["observers"], dtype=np.int64)
    return Truth(row["image_id"], (height, width), fixations, observers, row["sigma"], row["saliency_map"])


def read_truths(dataset: Dataset) -> Iterator[Truth]:
    """The truth of every row, without decoding a picture."""
    return (truth_of(row) for row in encoded_rows(dataset))


def fingerprint(dataset: Dataset) -> str:
    """SHA-256 over ids, pictures, fixations, observers, sigmas and densities of all rows, in their order.

    Pictures and densities count as they are stored, so that a set written anew by another program differs.
    """
    whole = sha256()
    for row in encoded_rows(dataset):
        one = sha256(repr([row[key] for key in ("image_id", "fixations", "observers", "sigma")]).encode())
        for key in ("image", "saliency_map"):
            stored = row[key]
            if stored is not None:
                content = stored["bytes"] if stored["bytes"] is not None else Path(stored["path"]).read_bytes()
                one.update(sha256(content).digest())
        whole.update(one.digest())
    return whole.hexdigest()


def fixation_pool(truths: Iterable[Truth]) -> FixationPool:
    """The pool that `Evaluator` takes.

    Raises:
        ValueError: If two pictures have the same image_id, naming it: they could not be told apart.
    """
    fixations: dict[str, np.ndarray] = {}
    for truth in truths:
        if truth.image_id in fixations:
            raise ValueError(f"image_id {truth.image_id!r} stands twice in the data set: give every row its own")
        fixations[truth.image_id] = truth.relative_fixations()
    return FixationPool(fixations)


def score_truth(evaluator: Evaluator, saliency_map: np.ndarray, truth: Truth) -> dict[str, Any]:
    """`Evaluator.score` of one picture: the data set's own density counts where the protocol wants it."""
    density = None
    if truth.sigma is None and evaluator.protocol.own_sigma:
        with PILImage.open(encoded_file(truth.density)) as image:
            density = np.asarray(image.convert("L"), dtype=np.float64)
    return evaluator.score(
        saliency_map, truth.fixations, density, sigma=truth.sigma, size=truth.size, image_id=truth.image_id
    )


def centre_maps(truths: Iterable[Truth], pool: FixationPool) -> Iterator[np.ndarray]:
    """The baseline `centre`: one Gaussian with the mean and spread of all fixations of the data set."""
    return (pool.centre_map(*truth.size) for truth in truths)


def uniform_maps(truths: Iterable[Truth], pool: FixationPool) -> Iterator[np.ndarray]:
    """The baseline `uniform`: the same value everywhere."""
    return (np.ones(truth.size) for truth in truths)


def half_observer_maps(truths: Iterable[Truth], pool: FixationPool) -> Iterator[np.ndarray]:
    """The reference `half-observers`, the human ceiling: every second observer's density predicts the others."""
    for truth in truths:
        half = truth.of_observers(0)
        pixels = np.floor(half.fixations + 0.5).astype(np.int64) @ [1, truth.size[1]]
        yield gaussian_density(pixels, truth.size, half.sigma or 1.0)


BASELINES = {"centre": centre_maps, "uniform": uniform_maps, "half-observers": half_observer_maps}


def predicted_by(predictor: "SaliencyPredictor") -> Callable[[Dataset], Iterator[np.ndarray]]:
    """A model's maps as `evaluate` takes them; of the rows only the pictures are decoded."""
    return lambda rows: predictor.maps(row["image"] for row in rows.select_columns("image"))


def evaluate(
    dataset: Dataset,
    maps: str | Callable[[Dataset], Iterable[np.ndarray]],
    protocol: str | Protocol = "tuebingen",
    workers: int = 0,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Predicts and scores a data set in one pass; a few maps are in memory at a time.

    Args:
        dataset: Rows of `modeling_mlnet.data`.
        maps: A baseline (`centre`, `uniform`, `half-observers`), or a function from the data set to float maps
            `(height, width)` in the order of its rows. With `half-observers` only the fixations of every second
            observer are the truth.
        protocol: A name of `PROTOCOLS` or a `Protocol`.
        workers: Processes that score; 0 scores in this one.
        progress: Wraps an iteration, `(iterable, description)`, to show a bar.

    Returns:
        As `Evaluator.compute`, and `"truth"`: which observers' fixations were predicted.

    Raises:
        ValueError: If an argument is wrong, if two rows have the same image_id, or if a map cannot be scored, naming
            the picture.
    """
    protocol = get_protocol(protocol)
    if isinstance(maps, str) and maps not in BASELINES:
        raise ValueError(f"the baseline must be one of {list(BASELINES)}, got {maps!r}")
    read = partial(read_truths, dataset)
    if maps == "half-observers":
        read = partial(_every_second, read)
    pool = fixation_pool(progress(read(), "reading fixations"))
    evaluator = Evaluator(protocol, pool)
    predicted = BASELINES[maps](read_truths(dataset), pool) if isinstance(maps, str) else maps(dataset)
    jobs = zip(predicted, read(), strict=True)
    for row in progress(_scores(evaluator, jobs, workers), "scoring"):
        evaluator.rows.append(row)
    return {"truth": "every second observer" if maps == "half-observers" else "all", **evaluator.compute(gather=False)}


def _every_second(read: Callable[[], Iterator[Truth]]) -> Iterator[Truth]:
    return (truth.of_observers(1) for truth in read())


def _scores(evaluator: Evaluator, jobs: Iterator[tuple[np.ndarray, Truth]], workers: int) -> Iterator[dict[str, Any]]:
    """Scores in the order of the jobs, at most two per worker waiting."""
    if workers < 1:
        yield from (score_truth(evaluator, *job) for job in jobs)
        return
    context = multiprocessing.get_context("spawn")  # a fork of a process that runs torch may hang
    with ProcessPoolExecutor(workers, context, initializer=_keep, initargs=(evaluator,)) as pool:
        try:
            waiting: deque[Future] = deque(pool.submit(_score_kept, *job) for job in islice(jobs, 2 * workers))
            while waiting:
                yield waiting.popleft().result()
                waiting.extend(pool.submit(_score_kept, *job) for job in islice(jobs, 1))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


_kept: list[Evaluator] = []  # of a worker process


def _keep(evaluator: Evaluator) -> None:
    _kept.append(evaluator)


def _score_kept(saliency_map: np.ndarray, truth: Truth) -> dict[str, Any]:
    return score_truth(_kept[0], saliency_map, truth)
