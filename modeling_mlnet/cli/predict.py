"""`mlnet predict`."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from .answers import TilesOption
from .options import MEGAPIXELS, PATHS, allow_pixels

FORMATS = ("map", "overlay", "jpg", "npy", "density", "logdensity")
STYLES = ("heat", "contour", "spotlight")


def parse_formats(value: str) -> list[str]:
    """`map,overlay` as a list without repeats."""
    formats = list(dict.fromkeys(one.strip() for one in value.split(",")))
    for one in formats:
        if one not in FORMATS:
            raise typer.BadParameter(f"{one!r} is not one of {', '.join(FORMATS)}", param_hint="--format")
    return formats


def predict(
    paths: Annotated[list[str], typer.Argument(help=PATHS, metavar="PATH...")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.", metavar="DIR")],
    model: Annotated[str, typer.Option(help="mini, a checkpoint's folder or a Hub id.")] = "mini",
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            help="map (8-bit grey PNG), overlay (PNG), jpg (the overlay as JPEG), npy (float32, to score), density "
            "(sums to 1), logdensity (its natural logarithm): one or several, with commas.",
        ),
    ] = "map",
    style: Annotated[
        str,
        typer.Option(help="Of overlays: heat, contour (lines around 25, 50, 75 % of attention), spotlight (dimmed)."),
    ] = "heat",
    colorbar: Annotated[bool, typer.Option("--colorbar", help="Add a scale below overlays.")] = False,
    tiles: TilesOption = "auto",
    prior: Annotated[bool, typer.Option(help="Apply the learned prior.")] = True,
    recording: Annotated[
        str | None,
        typer.Option(
            help="Kind of recording that is predicted: eye or mouse, if the model knows both.", metavar="KIND"
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            min=1, help="Images in memory at a time; changes no map. Twice the number of cores if it is not given."
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto (a GPU if PyTorch can use one), cpu, cuda, mps, ...")] = "auto",
    dtype: Annotated[
        str, typer.Option(help="auto (bfloat16 on a CPU that multiplies it in hardware), float32, bfloat16, float16.")
    ] = "auto",
    max_megapixels: Annotated[float, typer.Option(min=0.001, help=MEGAPIXELS)] = 178,
    compile: Annotated[
        bool, typer.Option("--compile", help="Run the network through torch.compile: for many thousands on a GPU.")
    ] = False,
    resume: Annotated[
        bool,
        typer.Option(help="Leave out images whose results are there, of the same content, model and options."),
    ] = False,
) -> None:
    """Predict saliency maps: photo.jpg becomes photo.map.png, photo.overlay.png or photo.npy.

    Example: mlnet predict photo.jpg holiday/ -o maps --format map,overlay

    Several processes share a folder: torchrun --nproc_per_node 2 -m modeling_mlnet.cli predict holiday/ -o maps

    Exit status: 0 all done, 1 some images failed, 2 nothing could be done.
    """
    chosen = parse_formats(formats)
    if style not in STYLES:
        raise typer.BadParameter(f"{style!r} is not one of {', '.join(STYLES)}", param_hint="--style")
    allow_pixels(max_megapixels)

    from ..analysis.tiles import TiledPredictor
    from ..inference.inputs import find_images
    from ..inference.network import default_device
    from ..inference.outputs import predict_files
    from ..inference.predictor import SaliencyPredictor
    from .progress import print_inputs, progress_bar, quiet_libraries

    if output.exists() and not output.is_dir():
        raise ValueError(f"{output}: is a file; --output must be a folder")
    inputs = find_images(paths, output)
    print_inputs(inputs)
    jobs = inputs.jobs
    if not jobs:
        raise typer.Exit(2)
    rank, processes = (int(os.environ.get(name, default)) for name, default in (("RANK", 0), ("WORLD_SIZE", 1)))
    # They have their names already, which so do not depend on the number of processes.
    jobs = jobs[rank::processes]
    quiet_libraries()
    if device == "auto" and "LOCAL_RANK" in os.environ:
        device = default_device(int(os.environ["LOCAL_RANK"]))
    predictor = SaliencyPredictor(model, device=device, dtype=dtype, batch_size=batch_size, compile=compile)
    tiled = TiledPredictor(predictor, tiles)
    options, look = {"apply_prior": prior, "recording": recording}, {"style": style, "colorbar": colorbar}
    with progress_bar("predicting") as progress:
        task, done = progress.add_task("", total=len(jobs)), 0

        def on_done(error: str | None) -> None:
            nonlocal done
            done += error is None
            if error is not None:
                progress.console.print(f"mlnet: {' '.join(error.split())}")
            progress.advance(task)

        try:
            report = predict_files(tiled, jobs, output, chosen, options, resume, on_done, look)
        except (SystemExit, OSError):
            print(f"mlnet: {done} of {len(jobs)} images are done; --resume does the rest", file=sys.stderr)
            raise
    skipped = f", {report.skipped} already there" if report.skipped else ""
    redone = f" ({report.redone} anew: their results did not fit)" if report.redone else ""
    failed = report.failed + len(inputs.problems)
    if report.written:
        print(f"network: {predictor.network.description}", file=sys.stderr)
    print(f"{report.written} of {len(jobs)} images predicted into {output}{redone}{skipped}", file=sys.stderr)
    if failed:
        raise typer.Exit(1 if report.written or report.skipped else 2)
