"""Arguments and options shared by several commands, and checks of their values."""

import math
import sys
import warnings
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Annotated

import typer

from ..inference.inputs import Inputs, find_images

DATASET = "NAME:DIR (salicon, mit1003, cat2000, osie, toronto, folder), a folder or a Hub id."
PROTOCOL = "mit, tuebingen, salicon2015 or salicon2015-unfiltered."
PATHS = "Images, folders, patterns or http(s) addresses; - is standard input."
MEGAPIXELS = "Largest image to be read, in million pixels; more may fill the memory."
FORMATS = ("json", "csv", "png", "html")  # of `mlnet regions` and `compare`

ImagesArgument = Annotated[list[str], typer.Argument(help="Images, folders or patterns.", metavar="IMAGE...")]
OUTPUT = typer.Option("--output", "-o", help="Folder for the results.", metavar="DIR")
ModelOption = Annotated[str, typer.Option(help="mini, vgg16, a checkpoint's folder or a Hub id.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, mps, ...")]
PriorOption = Annotated[bool, typer.Option(help="Apply the learned prior.")]
RecordingOption = Annotated[
    str | None,
    typer.Option(help="Kind of recording that is predicted: eye or mouse, if the model knows both.", metavar="KIND"),
]
TilesOption = Annotated[
    str,
    typer.Option(
        help="Overlapping windows for images far from 4:3: auto, off, or their size, WIDTHxHEIGHT in pixels."
    ),
]
SplitOption = Annotated[str | None, typer.Option(help="train or validation, for data sets with splits.")]
HeldOutOption = Annotated[
    float | None, typer.Option(help="Use only the fraction that `mlnet train` keeps out with this held_out.")
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


def allow_pixels(megapixels: float) -> None:
    """Sets Pillow's limit of pixels for this process; Pillow refuses images of twice its value."""
    from PIL import Image

    if not math.isfinite(megapixels):
        raise typer.BadParameter(f"must be a finite number, got {megapixels}", param_hint="--max-megapixels")
    Image.MAX_IMAGE_PIXELS = int(megapixels * 1e6 / 2)
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)


def check_folder(output: Path) -> None:
    """Raises a ValueError if an output folder is a file."""
    if output.exists() and not output.is_dir():
        raise ValueError(f"{output}: is a file; --output must be a folder")


def parse_formats(value: str, known: Collection[str]) -> list[str]:
    """`json,csv` of `--format` as a list without repeats."""
    formats = list(dict.fromkeys(part.strip() for part in value.split(",")))
    for name in formats:
        if name not in known:
            raise typer.BadParameter(f"{name!r} is not one of {', '.join(known)}", param_hint="--format")
    return formats


def find_inputs(paths: Iterable[str], output: Path | str, allow_uris: bool = False) -> Inputs:
    """The images of `find_images`; prints which paths have none and how many files were skipped.

    Raises:
        typer.Exit: With status 2, if there is no image.
    """
    inputs = find_images(paths, output, allow_uris)
    for line in [*inputs.problems, *([inputs.note] if inputs.note else [])]:
        print(f"mlnet: {line}", file=sys.stderr)
    if not inputs.jobs:
        raise typer.Exit(2)
    return inputs
