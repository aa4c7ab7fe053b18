"""`mlnet predict`."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..hub.registry import GRAPH, WEIGHTS, resolve_model

if TYPE_CHECKING:
    from ..outputs import Predictor

ENGINES = ("auto", "fused", "eager", "compiled", "onnx")
FORMATS = ("map", "overlay", "npy")
LITTLE_WORK = 600  # GFLOP: two cores do it in the time that PyTorch, timm and transformers take to be imported


def parse_formats(value: str) -> list[str]:
    """`map,overlay` as a list without repeats."""
    formats = list(dict.fromkeys(one.strip() for one in value.split(",")))
    for one in formats:
        if one not in FORMATS:
            raise typer.BadParameter(f"{one!r} is not one of {', '.join(FORMATS)}", param_hint="--format")
    return formats


def choose_predictor(
    pictures: int, model: str, engine: str, dtype: str, device: str, prior: bool, batch_size: int
) -> "Predictor":
    """What predicts so many pictures soonest: the checkpoint's ONNX graph, or PyTorch.

    Raises:
        ValueError: If an argument is wrong or the checkpoint cannot be loaded, naming it.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {list(ENGINES)}, got {engine!r}")
    is_plain = prior and dtype in ("auto", "float32") and device in ("auto", "cpu")
    if engine == "onnx" and not is_plain:
        raise ValueError("engine 'onnx' predicts in float32, on the CPU and with the prior")
    folder = Path(resolve_model(model).location)
    if engine == "onnx" or (engine == "auto" and is_plain and (folder / GRAPH).is_file()):
        must = engine == "onnx" or not (folder / WEIGHTS).is_file()
        try:
            from ..onnx_prediction import OnnxPredictor

            predictor = OnnxPredictor(model)
            if must or pictures * predictor.graph.gflop <= LITTLE_WORK or not _beats_graph(device, dtype):
                return predictor
        except (ValueError, ImportError) as error:
            if must:
                raise
            print(f"mlnet: {error}; predicting with PyTorch", file=sys.stderr)
    from ..prediction import SaliencyPredictor
    from .progress import quiet_libraries

    quiet_libraries()
    return SaliencyPredictor(
        model, device=device, dtype=dtype, apply_prior=prior, batch_size=batch_size, engine=engine
    )


def _beats_graph(device: str, dtype: str) -> bool:
    """Whether PyTorch may take what is faster than a graph in float32 on the CPU: an accelerator, or bfloat16."""
    import torch

    from ..devices import default_device, wants_float32

    has_accelerator = device == "auto" and default_device() != "cpu"
    return has_accelerator or not wants_float32(dtype, torch.device("cpu"))


def predict(
    paths: Annotated[list[str], typer.Argument(help="Pictures, folders or patterns.", metavar="PATH...")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.", metavar="DIR")],
    model: Annotated[str, typer.Option(help="mini, a checkpoint's folder or a Hub id.")] = "mini",
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            help="map (8-bit grey PNG), overlay (PNG), npy (float32, to score): one or several, with commas.",
        ),
    ] = "map",
    prior: Annotated[bool, typer.Option(help="Apply the learned prior.")] = True,
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures per pass through the network.")] = 8,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps, ...")] = "auto",
    dtype: Annotated[
        str,
        typer.Option(help="auto (bfloat16 for many pictures on CPUs made for it), float32, bfloat16, float16."),
    ] = "auto",
    engine: Annotated[
        str,
        typer.Option(
            help="auto: the fastest for so many pictures; fused: less work; eager: as it is; compiled: torch.compile, "
            "for thousands; onnx: the checkpoint's model.onnx, without PyTorch."
        ),
    ] = "auto",
    resume: Annotated[bool, typer.Option(help="Leave out pictures whose results are in the folder already.")] = False,
) -> None:
    """Predict saliency maps: photo.jpg becomes photo.map.png, photo.overlay.png or photo.npy.

    Example: mlnet predict photo.jpg holiday/ -o maps --format map,overlay

    Several processes share a folder: torchrun --nproc_per_node 2 -m modeling_mlnet.cli predict holiday/ -o maps

    Exit status: 0 all done, 1 some pictures failed, 2 nothing could be done.
    """
    chosen = parse_formats(formats)

    from ..outputs import find_pictures, predict_files
    from .progress import progress_bar

    if output.exists() and not output.is_dir():
        raise ValueError(f"{output}: is a file; --output must be a folder")
    jobs, problems = find_pictures(paths, output)
    for problem in problems:
        print(f"mlnet: {problem}", file=sys.stderr)
    if not jobs:
        raise typer.Exit(2)
    rank, processes = (int(os.environ.get(name, default)) for name, default in (("RANK", 0), ("WORLD_SIZE", 1)))
    waiting = sum(not (resume and job.is_done(output, chosen)) for job in jobs)
    # They have their names already, which so do not depend on the number of processes.
    jobs = jobs[rank::processes]
    if device == "auto" and processes > 1 and "LOCAL_RANK" in os.environ:
        from ..devices import default_device

        device = default_device(int(os.environ["LOCAL_RANK"]))
    predictor = choose_predictor(waiting, model, engine, dtype, device, prior, batch_size)
    with progress_bar("predicting") as progress:
        task = progress.add_task("", total=len(jobs))

        def on_done(error: str | None) -> None:
            if error is not None:
                progress.console.print(f"mlnet: {' '.join(error.split())}")
            progress.advance(task)

        report = predict_files(predictor, jobs, output, chosen, resume, on_done)
    skipped = f", {report.skipped} already there" if report.skipped else ""
    failed = report.failed + len(problems)
    if report.written:
        print(f"network: {predictor.choice}", file=sys.stderr)
    print(f"{report.written} of {len(jobs)} pictures predicted into {output}{skipped}", file=sys.stderr)
    if failed:
        raise typer.Exit(1 if report.written or report.skipped else 2)
