"""Code shared by `mlnet regions`, `compare`, `crop` and `report`: images with their maps, and error messages."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from ..inference.inputs import Job, find_images

if TYPE_CHECKING:
    import numpy as np

    from ..analysis import Box, BoxSource, ComparedRegion, Condition, Region
    from ..analysis.documents import ImageFile, Model
    from ..inference.predictor import SaliencyPredictor


@dataclass
class Outcome:
    """Counts the images that a command finished; prints every problem as a line on stderr.

    Args:
        done: Images that gave a result.
        problems: The lines.
        stopped: The exit status of a command that was stopped by a signal.
    """

    done: int = 0
    problems: list[str] = field(default_factory=list)
    stopped: int | None = None

    def problem(self, text: str) -> None:
        """Reports a problem; the command continues."""
        self.problems.append(" ".join(text.split()))
        print(f"mlnet: {self.problems[-1]}", file=sys.stderr)

    @contextmanager
    def until_stopped(self, total: int) -> Iterator[None]:
        """A loop over `total` images that a signal ends; the command goes on with what is done, and says how much."""
        try:
            yield
        except SystemExit as end:
            self.stopped = int(end.code or 0)
            self.problem(f"stopped: {self.done} of {total} images are done")

    def exit(self) -> NoReturn:
        """Ends with status 0, 1 if there were problems, 2 if nothing could be done, or that of the signal."""
        if self.stopped is not None:
            raise typer.Exit(self.stopped)
        raise typer.Exit(0 if not self.problems else 1 if self.done else 2)


@dataclass(frozen=True)
class PredictedImage:
    """An image with its map.

    Args:
        job: The image's file.
        file: Its description in documents.
        image: uint8 `(height, width, 3)`.
        saliency_map: Float32 `(height, width)` in 0..1.
    """

    job: Job
    file: "ImageFile"
    image: "np.ndarray"
    saliency_map: "np.ndarray"

    @property
    def path(self) -> Path:
        """The path of the image, to which box files are compared."""
        return _path(self.job)

    @property
    def name(self) -> str:
        """Name of the image in results: its file name with the folders below the input folder."""
        from ..analysis.documents import printable

        return printable((self.job.stem.parent / self.path.name).as_posix())

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.image.shape[1], self.image.shape[0]

    def find_boxes(self, source: "BoxSource", outcome: Outcome) -> "tuple[list[Box], list[str]]":
        """The boxes of the image in pixels, and the problems of the others, which are reported."""
        boxes, problems = source.for_image(self.path, self.size)
        for line in problems:
            outcome.problem(line)
        return boxes, problems


def open_predictor(model: str, prior: bool, tiles: str) -> "tuple[SaliencyPredictor, Model]":
    """The predictor of a command, in float32 for the same numbers on every processor, and its description.

    Raises:
        ValueError: If the checkpoint cannot be loaded or `tiles` is not of its form.
    """
    from ..analysis.documents import Model
    from ..inference.predictor import SaliencyPredictor

    return SaliencyPredictor(model, dtype="float32"), Model.describe(model, prior, tiles)


def find_files(paths: Iterable[str], output: Path, outcome: Outcome) -> list[Job]:
    """The images named by files, folders and patterns; what leads nowhere is reported.

    Raises:
        typer.Exit: With status 2, if there is none.
    """
    given = find_images(paths, output)
    for line in given.problems:
        outcome.problem(line)
    if given.note:
        print(f"mlnet: {given.note}", file=sys.stderr)
    for job in given.jobs:
        if isinstance(job.source, str):  # a result names its image by the file's content, which an address can change
            outcome.problem(f"{job.name}: is an address; save the image as a file first")
    jobs = [job for job in given.jobs if not isinstance(job.source, str)]
    if not jobs:
        raise typer.Exit(2)
    return jobs


def predicted(
    predictor: "SaliencyPredictor", jobs: Sequence[Job], model: "Model", outcome: Outcome, description: str
) -> Iterator[PredictedImage]:
    """Every image with its map; one that cannot be read, or is gone meanwhile, is reported and left out."""
    from ..analysis.documents import ImageFile
    from ..analysis.tiles import TiledPredictor
    from .progress import tracked

    sources = (job.source for job in jobs)
    tiled = TiledPredictor(predictor, model.tiles)
    predictions = tiled.stream(sources, keep_images=True, apply_prior=model.apply_prior)
    for job, prediction in tracked(zip(jobs, predictions, strict=True), description, len(jobs)):
        if prediction.image is None or prediction.saliency_map is None:
            outcome.problem(str(prediction.error))
            continue
        try:
            content = job.source if isinstance(job.source, bytes) else _path(job).read_bytes()
        except OSError as error:
            outcome.problem(f"{job.name}: {error.strerror}")
            continue
        height, width = prediction.image.shape[:2]
        file = ImageFile.describe(_path(job).name, content, (width, height))
        yield PredictedImage(job, file, prediction.image, prediction.saliency_map)


def _path(job: Job) -> Path:
    """The path of an image; that of its results for one from standard input."""
    return job.source if isinstance(job.source, Path) else job.stem


def check_conditions(
    conditions: "Iterable[Condition]",
    regions: "Sequence[Region | ComparedRegion]",
    outcome: Outcome,
    effective_area: float | None = None,
    where: str = "",
) -> None:
    """Reports every condition that is true, or cannot be checked; `where` begins its line."""
    for condition in conditions:
        try:
            value = condition.find_value(regions, effective_area)
        except ValueError as error:
            outcome.problem(f"{where}--fail-if {error}")
            continue
        if condition.holds(value):
            outcome.problem(f"{where}--fail-if {condition.text} is true: it is {value:.4f}")
