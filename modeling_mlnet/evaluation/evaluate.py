"""Scoring of saliency maps on a data set, under a named protocol, in one pass."""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import groupby, islice
from typing import TYPE_CHECKING, NotRequired

import numpy as np
from datasets import Dataset

from ..baselines import BASELINES, saliency_baseline
from ..data.files import encoded_file
from ..data.maps import is_constant, read_map
from ..data.plausibility import Orientation
from ..data.schema import Row
from ..images_mlnet import read_image
from ..io.progress import Progress, no_progress
from ..metrics import Evaluator, FixationPool, Protocol, get_protocol
from ..metrics.evaluator import ImageScores, Results
from ..metrics.inputs import as_map
from ..metrics.protocols import gaussian_density
from .truths import Truth, fixation_pool, read_truths

if TYPE_CHECKING:
    from ..inference.predictor import SaliencyPredictor


INTER_OBSERVER = "inter-observer"
BASELINE_ALIASES = {"half-observers": INTER_OBSERVER}  # earlier names


class EvaluationResults(Results):
    """Scores of a data set, as `evaluate` describes them."""

    truth: str
    notes: list[str]
    maps: NotRequired[str]


def score_truth(evaluator: Evaluator, saliency_map: np.ndarray, truth: Truth) -> ImageScores:
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


# References that depend on the fixations, not on the images
REFERENCES = {"centre": centre_maps, "uniform": uniform_maps, INTER_OBSERVER: inter_observer_maps}


def baseline_name(name: str) -> str:
    """The present name of a reference or a model of `BASELINES`; raises a ValueError if there is none of that name."""
    name = BASELINE_ALIASES.get(name, name)
    if name not in {*REFERENCES, *BASELINES}:
        raise ValueError(f"the baseline must be one of {[*REFERENCES, *BASELINES]}, got {name!r}")
    return name


def baseline_maps(name: str) -> Callable[[Dataset], Iterator[np.ndarray]]:
    """The maps of a model of `BASELINES` as `evaluate` takes them; of the rows only the images are decoded."""

    def predict(rows: Dataset) -> Iterator[np.ndarray]:
        return (saliency_baseline(name, read_image(row["image"])) for row in rows.select_columns(["image"]))

    return predict


def predicted_by(predictor: "SaliencyPredictor", recording: str = "auto") -> Callable[[Dataset], Iterator[np.ndarray]]:
    """A model's maps as `evaluate` takes them; of the rows only the images are decoded.

    Args:
        recording: Kind of ground truth that is predicted: one that the model knows (`config.recordings`), or `auto`
            for that of each row where the model knows it, else the model's default.

    Raises:
        ValueError: If the model does not know the kind.
    """
    known = predictor.recordings
    if recording != "auto" and recording not in known:
        kinds = ", ".join(known) if known else "one kind only"
        raise ValueError(f"recording: the model knows {kinds}, got {recording!r}; auto takes what fits the data set")

    def kind_of(row: Row) -> str | None:
        kind = row.get("recording") if recording == "auto" else recording
        return kind if kind in known else None

    def predict(rows: Dataset) -> Iterator[np.ndarray]:
        columns = rows.select_columns([name for name in ("image", "recording") if name in rows.column_names])
        for kind, group in groupby(columns, kind_of):
            yield from predictor.maps((row["image"] for row in group), recording=kind)

    return predict


def evaluate(
    dataset: Dataset,
    maps: str | Callable[[Dataset], Iterable[np.ndarray]],
    protocol: str | Protocol = "tuebingen",
    workers: int = 0,
    progress: Progress = no_progress,
) -> EvaluationResults:
    """Predicts and scores a data set in one pass; a few maps are in memory at a time.

    Args:
        dataset: Rows of `modeling_mlnet.data`.
        maps: A reference (`centre`, `uniform`, `inter-observer`), a model of `modeling_mlnet.baselines`, or a function
            from the data set to float maps `(height, width)` in the order of its rows. With `inter-observer` only the
            fixations of every second observer are the truth.
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
    if isinstance(maps, str) and (maps := baseline_name(maps)) in BASELINES:
        maps = baseline_maps(maps)
    is_halved = maps == INTER_OBSERVER

    def read() -> Iterator[Truth]:
        truths = read_truths(dataset)
        return (truth.of_observers(1) for truth in truths) if is_halved else truths

    pool = fixation_pool(progress(read(), "reading fixations"))
    evaluator = Evaluator(protocol, pool)
    doubts = _Doubts()
    jobs: Iterator[tuple[np.ndarray, Truth]]
    if isinstance(maps, str):
        jobs = zip(REFERENCES[maps](read_truths(dataset), pool), read(), strict=True)
    else:
        jobs = doubts.watch(zip(maps(dataset), read(), strict=True))
    for row in progress(_scores(evaluator, jobs, workers), "scoring"):
        evaluator.rows.append(row)
    truth = "every second observer" if is_halved else "all"
    return {"truth": truth, "notes": doubts.notes(), **evaluator.compute(gather=False)}


class _Doubts:
    """Collects warnings about scores: constant maps, and fixations that fit the maps better when mirrored."""

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


def _scores(evaluator: Evaluator, jobs: Iterator[tuple[np.ndarray, Truth]], workers: int) -> Iterator[ImageScores]:
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


def _score_in_worker(saliency_map: np.ndarray, truth: Truth) -> ImageScores:
    return score_truth(_worker_evaluator[0], saliency_map, truth)
