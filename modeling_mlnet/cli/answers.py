"""Code shared by `mlnet regions`, `compare`, `crop` and `report`: options, prediction and error messages."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    import numpy as np

    from ..analysis.documents import ImageFile, Model
    from ..inference.inputs import Job
    from ..inference.predictor import SaliencyPredictor

ImagesArgument = Annotated[list[str], typer.Argument(help="Images, folders or patterns.", metavar="IMAGE...")]
ModelOption = Annotated[str, typer.Option(help="mini, vgg16, a checkpoint's folder or a Hub id.")]
PriorOption = Annotated[bool, typer.Option(help="Apply the learned prior.")]
TilesOption = Annotated[
    str,
    typer.Option(
        help="Overlapping windows for images far from 4:3: auto, off, or their size, WIDTHxHEIGHT in pixels."
    ),
]
BoxOption = Annotated[
    list[str] | None,
    typer.Option("--box", help="A box, as logo:48,18,197,34. May be repeated.", metavar="NAME:X,Y,W,H"),
]
BoxesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--boxes",
        help="A box file: CSV (name,x,y,width,height), labelme, COCO or YOLO; or a folder with one for each image.",
        metavar="FILE",
    ),
]
UnitsOption = Annotated[
    str, typer.Option(help="Units of boxes that do not state them: pixels, fractions, or auto, which infers them.")
]
FailOption = Annotated[
    list[str] | None,
    typer.Option(
        "--fail-if", help="Exit with status 1 if this condition is true. May be repeated.", metavar="CONDITION"
    ),
]


@dataclass
class Outcome:
    """Counts the images that a command finished; prints every problem as a line on stderr.

    Args:
        done: Images that gave a result.
        problems: The lines.
    """

    done: int = 0
    problems: list[str] = field(default_factory=list)

    def problem(self, text: str) -> None:
        """Reports a problem; the command continues."""
        self.problems.append(" ".join(text.split()))
        print(f"mlnet: {self.problems[-1]}", file=sys.stderr)

    def exit(self) -> NoReturn:
        """Ends with status 0, 1 if there were problems, or 2 if nothing could be done."""
        raise typer.Exit(0 if not self.problems else 1 if self.done else 2)


def open_predictor(model: str, prior: bool, tiles: str) -> "tuple[SaliencyPredictor, Model]":
    """The predictor of a command, in float32 for the same numbers on every processor, and its description.

    Raises:
        ValueError: If the checkpoint cannot be loaded or `tiles` is not of its form.
    """
    from ..analysis.documents import Model
    from ..inference.predictor import SaliencyPredictor
    from .progress import quiet_libraries

    quiet_libraries()
    return SaliencyPredictor(model, dtype="float32"), Model.describe(model, prior, tiles)


def find_files(paths: Iterable[str], output: Path, outcome: Outcome) -> "list[Job]":
    """The images named by files, folders and patterns; what leads nowhere is reported.

    Raises:
        typer.Exit: With status 2, if there is none.
    """
    from ..inference import inputs

    given = inputs.find_images(paths, output)
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


@contextmanager
def predicted(
    predictor: "SaliencyPredictor", jobs: "Sequence[Job]", model: "Model", outcome: Outcome, description: str
) -> "Iterator[Iterator[tuple[Job, np.ndarray, np.ndarray]]]":
    """Every image, uint8 `(height, width, 3)`, with its map; one that cannot be read is reported and left out."""
    from ..analysis.tiles import TiledPredictor
    from .progress import progress_bar

    tiled = TiledPredictor(predictor, model.tiles)
    with progress_bar(description) as progress:
        task = progress.add_task("", total=len(jobs))

        def results() -> "Iterator[tuple[Job, np.ndarray, np.ndarray]]":
            sources = (job.source for job in jobs)
            predictions = tiled.stream(sources, keep_images=True, apply_prior=model.apply_prior)
            for job, prediction in zip(jobs, predictions, strict=True):
                if prediction.image is not None and prediction.saliency_map is not None:
                    yield job, prediction.image, prediction.saliency_map
                else:
                    outcome.problem(str(prediction.error))
                progress.advance(task)

        yield results()


def check_folder(output: Path) -> None:
    """Raises a ValueError if an output folder is a file."""
    if output.exists() and not output.is_dir():
        raise ValueError(f"{output}: is a file; --output must be a folder")


def parse_choices(value: str, choices: Sequence[str], option: str) -> list[str]:
    """`json,csv` as a list without repeats."""
    chosen = list(dict.fromkeys(part.strip() for part in value.split(",")))
    for choice in chosen:
        if choice not in choices:
            raise typer.BadParameter(f"{choice!r} is not one of {', '.join(choices)}", param_hint=option)
    return chosen


def write_text(path: Path, text: str) -> None:
    """Writes a text file whole or not at all."""
    from ..io.atomic import write_whole

    write_whole(path, lambda file: file.write(text.encode("utf-8")))


def image_path(job: "Job") -> Path:
    """The path of an image, to which box files are compared."""
    return job.source if isinstance(job.source, Path) else job.stem


def image_name(job: "Job") -> str:
    """Name of an image in results: its file name with the folders below the input folder."""
    return (job.stem.parent / image_path(job).name).as_posix()


def describe_image(job: "Job", image: "np.ndarray") -> "ImageFile":
    """The image in documents.

    Args:
        job: It was read from.
        image: uint8 `(height, width, 3)`.
    """
    from ..analysis.documents import ImageFile

    content = job.source if isinstance(job.source, bytes) else image_path(job).read_bytes()
    return ImageFile.describe(image_path(job).name, content, (image.shape[1], image.shape[0]))
