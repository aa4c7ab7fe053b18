"""`mlnet crop`."""

from functools import partial
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..io.atomic import reason_of
from ..io.locations import write_file
from .answers import Outcome, PredictedImage, find_files, open_predictor, predicted
from .options import OUTPUT, ImagesArgument, ModelOption, PriorOption, TilesOption, check_folder

if TYPE_CHECKING:
    from ..analysis import Crop

QUALITY = 92  # of a JPEG or WebP


def crop(
    paths: ImagesArgument,
    output: Annotated[Path, OUTPUT],
    aspect: Annotated[
        str,
        typer.Option(
            help="Shapes as width:height, separated by commas; default: the shapes of --size.", metavar="W:H,..."
        ),
    ] = "",
    sizes: Annotated[
        str,
        typer.Option(
            "--size",
            help="Sizes of the crops in pixels, separated by commas; each must have one of the shapes.",
            metavar="WxH,...",
        ),
    ] = "",
    model: ModelOption = "mini",
    prior: PriorOption = True,
    tiles: TilesOption = "auto",
) -> None:
    """Crop images to other shapes where they keep most of the predicted attention.

    photo.jpg becomes photo.1x1.jpg and so on; photo.crops.json holds the windows, what they keep and what the centre
    keeps, and the CSS object-position that shows the same window.

    Example: mlnet crop photo.jpg --aspect 1:1,9:16,16:9 -o crops

    Example: mlnet crop photos/ --size 1080x1080,1080x1920 -o crops

    Exit status: 0 all done, 1 some images failed, 2 nothing could be done.
    """
    from ..analysis import best_crop, crops_document, percent, to_json

    shapes = parse_shapes(aspect, sizes)
    check_folder(output)
    outcome = Outcome()
    jobs = find_files(paths, output, outcome)
    predictor, details = open_predictor(model, prior, tiles)
    for design in predicted(predictor, jobs, details, outcome, "cropping"):
        crops = [best_crop(design.saliency_map, shape) for shape in shapes]
        stem = output / design.job.stem
        try:
            document = crops_document(design.file, crops, details)
            for window in crops:
                _write_crop(design, stem, window, shapes[window.aspect])
            write_file(stem.with_name(f"{stem.name}.crops.json"), to_json(document).encode())
        except (OSError, ValueError) as error:
            outcome.problem(f"{design.job.name}: its crops cannot be written: {reason_of(error)}")
            continue
        outcome.done += 1
        for window in crops:
            gain = f"keeps {percent(window.kept)}, the centre {percent(window.kept_by_centre)}"
            geometry = f"{window.width}x{window.height}+{window.x}+{window.y}"
            size = shapes[window.aspect]
            if size is not None and size[0] > window.width:
                geometry += f", enlarged to {size[0]}x{size[1]}"
            position = window.object_position
            print(f"{design.job.stem} {window.aspect}: {gain}; {geometry}; object-position: {position}")
    outcome.exit()


def parse_shapes(aspect: str, sizes: str) -> dict[str, tuple[int, int] | None]:
    """Every shape with the size its crops are brought to, `None` for the size they have.

    Raises:
        ValueError: If there is none, a size is not of one of the shapes, or two are of one.
    """
    from ..analysis.crops import parse_aspect
    from ..analysis.tiles import parse_size

    shapes: dict[str, tuple[int, int] | None] = {}
    for text in filter(None, aspect.split(",")):
        width, height = parse_aspect(text)
        shapes[f"{width}:{height}"] = None
    for text in filter(None, sizes.split(",")):
        width, height = parse_size(text)
        matching = [shape for shape in shapes if _is_of_shape((width, height), parse_aspect(shape))]
        if matching:
            if size := shapes[matching[0]]:
                both = f"{size[0]}x{size[1]} and {width}x{height}"
                raise ValueError(f"--size {both} are both {matching[0]}; give one size of a shape at a time")
            shapes[matching[0]] = (width, height)
        elif aspect:
            raise ValueError(f"--size {text} is of none of the shapes {aspect}")
        else:
            divisor = gcd(width, height)
            shapes[f"{width // divisor}:{height // divisor}"] = (width, height)
    if not shapes:
        raise ValueError("give the shapes with --aspect, for example 1:1,16:9, or the sizes with --size")
    return shapes


def _is_of_shape(size: tuple[int, int], shape: tuple[int, int]) -> bool:
    """Whether a size has this shape to half a pixel."""
    return abs(size[0] * shape[1] - size[1] * shape[0]) <= max(shape) / 2


def _write_crop(design: PredictedImage, stem: Path, window: "Crop", size: tuple[int, int] | None) -> None:
    """Writes the window of an image, in the image's own format and colours."""
    from PIL import Image

    from ..images_mlnet import open_image
    from ..io.atomic import write_whole

    suffix = design.path.suffix.lower() or ".png"
    image = open_image(design.job.source)
    profile = image.info.get("icc_profile")
    image = image.crop((window.x, window.y, window.x + window.width, window.y + window.height))
    if size is not None:
        image = (image.convert("RGBA") if image.mode in ("P", "PA") else image).resize(size, Image.Resampling.LANCZOS)
    kind = Image.registered_extensions().get(suffix, "PNG")
    options: dict[str, Any] = {"quality": QUALITY} if kind in ("JPEG", "WEBP", "AVIF") else {}
    if profile is not None:
        options["icc_profile"] = profile
    save = partial(image.save, format=kind, **options)
    write_whole(stem.with_name(f"{stem.name}.{window.aspect.replace(':', 'x')}{suffix}"), save)
