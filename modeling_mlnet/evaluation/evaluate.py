"""Scoring of saliency maps on a data set, under a named protocol, in one pass."""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from datasets import Dataset

from ..data.files import encoded_file, upright_size
from ..data.maps import is_constant, read_map
from ..data.plausibility import Orientation
from ..data.schema import SIGMA_FRACTION, undecoded
from ..io.progress import Progress, no_progress
from ..metrics import Evaluator, FixationPool, Protocol, get_protocol
from ..metrics.inputs import as_map
from ..metrics.protocols import gaussian_density

if TYPE_CHECKING:
    from ..prediction import SaliencyPredictor


INTER_OBSERVER = "inter-observer"
BASELINE_ALIASES = {"half-observers": INTER_OBSERVER}  # earlier names


@dataclass(frozen=True)
class Truth:
    """What is known of one image's fixations.

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
            raise ValueError(f"image {self.image_id}: inter-observer needs fixations of two known observers or more")
        sigma = self.sigma or SIGMA_FRACTION * max(self.size)
        return replace(
            self, fixations=self.fixations[rank % 2 == remainder], observers=self.observers[:0], sigma=sigma
        )

    def relative_fixations(self) -> np.ndarray:
        """`(n, 2)` relative to width and height; the first pixel spans -0.5 to 0.5."""
        return (self.fixations + 0.5) / np.array(self.size[::-1])


def truth_of(row: dict[str, Any]) -> Truth:
    """The truth of a row of `undecoded`."""
    width, height = upright_size(encoded_file(row["image"]))
    fixations = np.asarray(row["fixations"], dtype=np.float64).reshape(-1, 2)
    observers = np.asarray(row["observers"], dtype=np.int64)
    return Truth(row["image_id"], (height, width), fixations, observers, row["sigma"], row["saliency_map"])


def read_truths(dataset: Dataset) -> Iterator[Truth]:
    """The truth of every row, without decoding an image."""
    return (truth_of(row) for row in undecoded(dataset))


def dataset_fingerprint(dataset: Dataset) -> str:
    """SHA-256 over ids, images, fixations, observers, sigmas and densities of all rows, in their order.

    Images and densities count as they are stored, so that a set written anew by another program differs.
    """
    whole = sha256()
    for row in undecoded(dataset):
        digest = sha256(repr([row[key] for key in ("image_id", "fixations", "observers", "sigma")]).encode())
        for key in ("image", "saliency_map"):
            stored = row[key]
            if stored is not None:
                content = stored["bytes"] if stored["bytes"] is not None else Path(stored["path"]).read_bytes()
                digest.update(sha256(content).digest())
        whole.update(digest.digest())
    return whole.hexdigest()


def fixation_pool(truths: Iterable[Truth]) -> FixationPool:
    """The pool that `Evaluator` takes.

    Raises:
        ValueError: If two images have the same image_id, naming it: they could not be told apart.
    """
    fixations: dict[str, np.ndarray] = {}
    for truth in truths:
        if truth.image_id in fixations:
            raise ValueError(f"image_id {truth.image_id!r} stands twice in the data set: give every row its own")
        fixations[truth.image_id] = truth.relative_fixations()
    return FixationPool(fixations)


def score_truth(evaluator: Evaluator, saliency_map: np.ndarray, truth: Truth) -> dict[str, Any]:
    """`Evaluator.score` of one image: the data set's own density counts where the protocol wants it."""
    density = None
    if truth.sigma is None and evaluator.protocol.own_sigma:
        density = read_map(encoded_file(truth.density), truth.image_id)
    return evaluator.score(
        saliency_map, truth.fixations, density, sigma=truth.sigma, size=truth.size, image_id=truth.image_id
    )


def centre_maps(truths: Iterable[Truth], pool: FixationPool) -> Iterator[np.ndarray]:
    """The baseline `centre`: one Gaussian with the mean and spread of all fixations of the data set."""
    return (pool.centre_map(*truth.size) for truth in truths)


def uniform_maps(truths: Iterable[Truth], pool: FixationPool) -> Iterator[np.ndarray]:
    """The baseline `uniform`: the same value everywhere."""
    return (np.ones(truth.size) for truth in truths)


def inter_observer_maps(truths: Iterable[Truth], pool: FixationPool) -> Iterator[np.ndarray]:
    """The reference `inter-observer`, the human ceiling: every second observer's density predicts the others."""
    for truth in truths:
        half = truth.of_observers(0)
        pixels = np.floor(half.fixations + 0.5).astype(np.int64) @ [1, truth.size[1]]
        yield gaussian_density(pixels, truth.size, half.sigma or 1.0)


BASELINES = {"centre": centre_maps, "uniform": uniform_maps, INTER_OBSERVER: inter_observer_maps}


def baseline_name(name: str) -> str:
    """The present name of a baseline; raises a ValueError if there is none of that name."""
    name = BASELINE_ALIASES.get(name, name)
    if name not in BASELINES:
        raise ValueError(f"the baseline must be one of {list(BASELINES)}, got {name!r}")
    return name


def predicted_by(predictor: "SaliencyPredictor", recording: str = "auto") -> Callable[[Dataset], Iterator[np.ndarray]]:
    """A model's maps as `evaluate` takes them; of the rows only the images are decoded.

    Args:
        recording: Kind of ground truth that is predicted: one that the model knows (`config.recordings`), or `auto`
            for that of each row where the model knows it, else the model's default.

    Raises:
        ValueError: If the model does not know the kind.
    """
    known = list(predictor.model.config.recordings)
    if recording != "auto" and recording not in known:
        kinds = ", ".join(known) if known else "one kind only"
        raise ValueError(f"recording: the model knows {kinds}, got {recording!r}; auto takes what fits the data set")

    def kind_of(row: dict[str, Any]) -> str | None:
        kind = row.get("recording") if recording == "auto" else recording
        return kind if kind in known else None

    def predict(rows: Dataset) -> Iterator[np.ndarray]:
        columns = rows.select_columns([name for name in ("image", "recording") if name in rows.column_names])
        for kind, group in groupby(columns, kind_of):
            options = {} if kind is None else {"recording": kind}
            yield from predictor.maps((row["image"] for row in group), **options)

    return predict


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
        maps: A baseline (`centre`, `uniform`, `inter-observer`), or a function from the data set to float maps
            `(height, width)` in the order of its rows. With `inter-observer` only the fixations of every second
            observer are the truth.
        protocol: A name of `PROTOCOLS` or a `Protocol`.
        workers: Processes that score; 0 scores in this one.
        progress: Wraps an iteration, `(iterable, description)`, to show a bar.

    Returns:
        As `Evaluator.compute`, and `"truth"`: which observers' fixations were predicted; `"notes"`: lines about what
        makes the scores doubtful.

    Raises:
        ValueError: If an argument is wrong, if two rows have the same image_id, or if a map cannot be scored, naming
            the image.
    """
    protocol = get_protocol(protocol)
    maps = baseline_name(maps) if isinstance(maps, str) else maps
    is_halved = maps == INTER_OBSERVER
    read = partial(_every_second, dataset) if is_halved else partial(read_truths, dataset)
    pool = fixation_pool(progress(read(), "reading fixations"))
    evaluator = Evaluator(protocol, pool)
    doubts = _Doubts()
    jobs: Iterator[tuple[np.ndarray, Truth]]
    if isinstance(maps, str):
        jobs = zip(BASELINES[maps](read_truths(dataset), pool), read(), strict=True)
    else:
        jobs = doubts.watch(zip(maps(dataset), read(), strict=True))
    for row in progress(_scores(evaluator, jobs, workers), "scoring"):
        evaluator.rows.append(row)
    truth = "every second observer" if is_halved else "all"
    return {"truth": truth, "notes": doubts.notes(), **evaluator.compute(gather=False)}


class _Doubts:
    """What makes scores doubtful: constant maps, and fixations that fit the maps better when they are mirrored."""

    def __init__(self) -> None:
        self.orientation = Orientation()
        self.constant: list[str] = []
        self.count = 0

    def watch(self, jobs: Iterable[tuple[np.ndarray, Truth]]) -> Iterator[tuple[np.ndarray, Truth]]:
        """The jobs, looked at as they pass."""
        for saliency_map, truth in jobs:
            values = as_map(saliency_map)
            self.count += 1
            if values.ndim == 2 and values.size and is_constant(values):
                self.constant.append(truth.image_id)
            elif values.ndim == 2 and values.size and np.isfinite(values).all():
                self.orientation.add(values.astype(np.float64), truth.relative_fixations())
            yield saliency_map, truth

    def notes(self) -> list[str]:
        """One line for each doubt."""
        lines = self.orientation.findings("the maps")
        if self.constant:
            many = f"{len(self.constant):,} of {self.count:,} maps are constant, first that of {self.constant[0]}"
            lines.append(f"{many}: a constant map scores as chance")
        return lines


def _every_second(dataset: Dataset) -> Iterator[Truth]:
    return (truth.of_observers(1) for truth in read_truths(dataset))


def _scores(evaluator: Evaluator, jobs: Iterator[tuple[np.ndarray, Truth]], workers: int) -> Iterator[dict[str, Any]]:
    """Scores in the order of the jobs, at most two per worker waiting."""
    if workers < 1:
        yield from (score_truth(evaluator, *job) for job in jobs)
        return
    context = multiprocessing.get_context("spawn")  # a fork of a process that runs torch may hang
    with ProcessPoolExecutor(workers, context, initializer=_set_evaluator, initargs=(evaluator,)) as pool:
        try:
            waiting: deque[Future] = deque(pool.submit(_score_in_worker, *job) for job in islice(jobs, 2 * workers))
            while waiting:
                yield waiting.popleft().result()
                waiting.extend(pool.submit(_score_in_worker, *job) for job in islice(jobs, 1))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


_worker_evaluator: list[Evaluator] = []  # of a worker process


def _set_evaluator(evaluator: Evaluator) -> None:
    _worker_evaluator.append(evaluator)


def _score_in_worker(saliency_map: np.ndarray, truth: Truth) -> dict[str, Any]:
    return score_truth(_worker_evaluator[0], saliency_map, truth)
