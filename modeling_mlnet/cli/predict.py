"""`mlnet predict`."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ..inference.inputs import SUFFIXES
from ..io.locations import file_system, is_uri
from .options import (
    MEGAPIXELS,
    PATHS,
    ModelOption,
    PriorOption,
    RecordingOption,
    TilesOption,
    allow_pixels,
    check_folder,
    find_inputs,
    parse_formats,
)
from .shards import open_collection, predict_shards

SHARDS = "Parquet shards"
STYLES = ("heat", "contour", "spotlight")


def open_output(output: str) -> Any:
    """The folder for results, a `Path`, or a `UPath` at a URI.

    Raises:
        ValueError: If it is a file.
    """
    if is_uri(output):
        from upath import UPath

        file_system(output)  # says which library is missing
        return UPath(output)
    folder = Path(output)
    check_folder(folder)
    return folder


def predict(
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            help="Folder for the results, or a URI such as s3://bucket/maps; NAME.parquet becomes a folder of Parquet "
            "shards.",
            metavar="DIR",
        ),
    ],
    paths: Annotated[
        list[str] | None, typer.Argument(help=f"{PATHS} Also URIs such as s3://bucket.", metavar="PATH...")
    ] = None,
    model: ModelOption = "mini",
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            help="map (8-bit grey PNG), overlay (PNG), jpg (the overlay as JPEG), npy (float32, to score), density "
            "(calibrated, sums to 1), logdensity (its natural logarithm): one or several, with commas.",
        ),
    ] = "map",
    style: Annotated[
        str,
        typer.Option(help="Of overlays: heat, contour (lines around 25, 50, 75 % of attention), spotlight (dimmed)."),
    ] = "heat",
    colorbar: Annotated[bool, typer.Option("--colorbar", help="Add a scale below overlays.")] = False,
    calibration: Annotated[
        Path | None,
        typer.Option(help="Of densities, from `mlnet calibrate`; the checkpoint's own if not given.", metavar="FILE"),
    ] = None,
    tiles: TilesOption = "auto",
    prior: PriorOption = True,
    recording: RecordingOption = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            min=1, help="Images in memory at a time; changes no map. Twice the number of cores if it is not given."
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto (a GPU if PyTorch can use one), cpu, cuda, mps, ...")] = "auto",
    dtype: Annotated[
        str, typer.Option(help="auto (bfloat16 on a CPU where it is faster), float32, bfloat16, float16.")
    ] = "auto",
    max_megapixels: Annotated[float, typer.Option(min=0.001, help=MEGAPIXELS)] = 178,
    compile: Annotated[
        bool, typer.Option("--compile", help="Run the network through torch.compile: for many thousands on a GPU.")
    ] = False,
    resume: Annotated[
        bool,
        typer.Option(help="Leave out images whose results are there, of the same content, model and options."),
    ] = False,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="In place of PATH, images in Parquet files: OWNER/NAME on the Hub, a folder, a pattern or a URI. The "
            "results are Parquet shards, and the same command continues a run that ended.",
            metavar="NAME",
            rich_help_panel=SHARDS,
        ),
    ] = None,
    image_column: Annotated[str, typer.Option(help="Of --dataset.", metavar="NAME", rich_help_panel=SHARDS)] = "image",
    split: Annotated[
        str | None, typer.Option(help="Of --dataset, where it has several.", metavar="NAME", rich_help_panel=SHARDS)
    ] = None,
    columns: Annotated[
        str, typer.Option(help="What is added to each row.", metavar="NAMES", rich_help_panel=SHARDS)
    ] = "saliency_map,spots,effective_area,regions",
    prefix: Annotated[
        str, typer.Option(help="Of the names of these columns.", metavar="TEXT", rich_help_panel=SHARDS)
    ] = "",
    box: Annotated[
        list[str] | None,
        typer.Option(
            help="A box to measure in every image, as logo:48,18,197,34, for the column regions. May be repeated; "
            "without any, the nine parts of an image.",
            metavar="NAME:X,Y,W,H",
            rich_help_panel=SHARDS,
        ),
    ] = None,
    shard_size: Annotated[
        float, typer.Option(min=0.001, help="Of a shard, about, in megabytes.", rich_help_panel=SHARDS)
    ] = 500,
    shard_rows: Annotated[
        int | None, typer.Option(min=1, help="Images of a shard, in place of --shard-size.", rich_help_panel=SHARDS)
    ] = None,
    engine_workers: Annotated[
        str | None,
        typer.Option(
            help="none (this process), torchrun (its processes) or ray (tasks on the cluster in RAY_ADDRESS, else on "
            "this machine). If it is not given: torchrun in its processes, else none.",
            metavar="ENGINE",
            rich_help_panel=SHARDS,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Tasks of ray at a time; as many as CPUs or GPUs if not given.", rich_help_panel=SHARDS
        ),
    ] = None,
) -> None:
    """Predict saliency maps: photo.jpg becomes photo.map.png, photo.overlay.png or photo.npy.

    Example: mlnet predict photo.jpg holiday/ -o maps --format map,overlay

    Several processes share a folder: torchrun --nproc_per_node 2 -m modeling_mlnet.cli predict holiday/ -o maps

    A large collection: mlnet predict --dataset OWNER/NAME -o s3://bucket/maps.parquet --engine-workers ray

    Exit status: 0 all done, 1 some images failed, 2 nothing could be done.
    """
    chosen = parse_formats(formats, SUFFIXES)
    if style not in STYLES:
        raise typer.BadParameter(f"{style!r} is not one of {', '.join(STYLES)}", param_hint="--style")
    if not paths and dataset is None:
        raise typer.BadParameter("name images, or a data set with --dataset", param_hint="PATH...")
    allow_pixels(max_megapixels)
    if dataset is not None or output.endswith(".parquet"):
        of_files = {
            "--calibration": calibration,
            "--compile": compile,
            "--colorbar": colorbar,
            "--style": style != "heat",
        }
        if unused := [name for name, value in of_files.items() if value]:
            raise typer.BadParameter("Parquet shards have none; leave it out", param_hint=unused[0])
        collection = open_collection(paths or [], dataset, image_column, split, output)
        options = {
            "model": model,
            "tiles": tiles,
            "apply_prior": prior,
            "recording": recording,
            "prefix": prefix,
            "boxes": box or [],
            "device": device,
            "dtype": dtype,
            "batch_size": batch_size,
        }
        predict_shards(
            collection,
            output,
            chosen,
            columns,
            options,
            engine=engine_workers,
            workers=workers,
            rows_per_shard=shard_rows,
            shard_bytes=round(shard_size * 1e6),
        )
        return
    if box:
        raise typer.BadParameter("`mlnet regions` measures boxes; here they need -o NAME.parquet", param_hint="--box")
    if engine_workers == "ray":
        raise typer.BadParameter("ray writes Parquet shards: -o NAME.parquet", param_hint="--engine-workers")

    from ..analysis.tiles import TiledPredictor
    from ..hub.checkpoint import checkpoint_folder
    from ..inference.density import Calibration
    from ..inference.outputs import DENSITIES, predict_files
    from ..inference.predictor import SaliencyPredictor
    from .progress import progress_bar

    folder = open_output(output)
    inputs = find_inputs(paths or [], output, allow_uris=True)
    rank = int(os.environ.get("RANK", 0))
    processes = int(os.environ.get("WORLD_SIZE", 1))
    # They have their names already, which so do not depend on the number of processes.
    jobs = inputs.jobs[rank::processes]
    predictor = SaliencyPredictor(model, device=device, dtype=dtype, batch_size=batch_size, compile=compile)
    if calibration is not None:
        predictor.calibration = Calibration.read(calibration, checkpoint_folder(model))
    fitted = None if set(DENSITIES).isdisjoint(chosen) else predictor.calibration
    tiled = TiledPredictor(predictor, tiles)
    options = {"apply_prior": prior, "recording": recording}
    look = {"style": style, "colorbar": colorbar}
    with progress_bar("predicting") as progress:
        task = progress.add_task("", total=len(jobs))
        done = 0

        def on_done(error: str | None) -> None:
            nonlocal done
            done += error is None
            if error is not None:
                progress.console.print(f"mlnet: {' '.join(error.split())}")
            progress.advance(task)

        try:
            report = predict_files(tiled, jobs, folder, chosen, options, resume, on_done, look, fitted)
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
