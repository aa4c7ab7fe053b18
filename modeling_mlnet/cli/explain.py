"""`mlnet explain`."""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from .options import DATASET, PROTOCOL


def explain(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.", metavar="DIR")],
    paths: Annotated[list[str] | None, typer.Argument(help="Images, folders or patterns.", metavar="IMAGE...")] = None,
    dataset: Annotated[str | None, typer.Option(help=f"Instead of images: {DATASET}")] = None,
    split: Annotated[str | None, typer.Option(help="train or validation, where there are splits.")] = None,
    held_out: Annotated[
        float | None, typer.Option(help="Only the fraction that `mlnet train` with this held_out leaves out.")
    ] = None,
    model: Annotated[str, typer.Option(help="mini, a checkpoint's folder or a Hub id.")] = "mini",
    prior: Annotated[bool, typer.Option(help="Explain the map with the learned prior.")] = True,
    samples: Annotated[
        int, typer.Option(min=0, help="Noisy copies of every image for pixel attribution; 0 leaves it out.")
    ] = 16,
    seed: Annotated[int, typer.Option(help="Seed of the noise.")] = 0,
    ablation: Annotated[
        bool, typer.Option("--ablation", help="With --dataset: also score the maps without each level.")
    ] = False,
    protocol: Annotated[str, typer.Option(help=f"With --ablation: {PROTOCOL}")] = "tuebingen",
    batch_size: Annotated[int, typer.Option(min=1, help="Images per pass through the network.")] = 8,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps, ...")] = "auto",
) -> None:
    """Show what moves the map: each level and channel (the paper's Fig. 3), the learned prior, and single pixels.

    Writes importance.png, prior.png and explanation.json; for images photo.explain.png, for data sets with
    --ablation also ablation.png.

    Example: mlnet explain photo.jpg -o why

    Example: mlnet explain --dataset osie:/data/osie --held-out 0.1 --ablation -o why

    Exit status: 0 all done, 1 some images failed, 2 nothing could be done.
    """
    if (dataset is None) == (not paths):
        raise typer.BadParameter("give either images or --dataset", param_hint="IMAGE...")
    if ablation and dataset is None:
        raise typer.BadParameter("needs --dataset: images alone have no fixations to score", param_hint="--ablation")
    if output.exists() and not output.is_dir():
        raise ValueError(f"{output}: is a file; --output must be a folder")
    if dataset is None:
        _explain_files(paths or [], output, samples, seed, model=model, device=device, prior=prior, size=batch_size)
        return

    from ..metrics import get_protocol

    get_protocol(protocol)  # fails before the data set is read

    from ..attribution.explain import explain_dataset, summary_lines
    from ..data import load
    from ..prediction import SaliencyPredictor
    from .progress import quiet_libraries, tracked

    quiet_libraries()
    rows = load(dataset, split, held_out)
    predictor = SaliencyPredictor(model, device=device, dtype="float32", apply_prior=prior, batch_size=batch_size)
    details = {"model": model, "dataset": dataset, "split": split, "held_out": held_out}
    explanation = explain_dataset(
        predictor, rows, output, ablation, protocol, details, partial(tracked, total=len(rows))
    )
    print("\n".join(summary_lines(explanation)))


def _explain_files(
    paths: list[str], output: Path, samples: int, seed: int, model: str, device: str, prior: bool, size: int
) -> None:
    from ..attribution.explain import explain_files
    from ..outputs import find_pictures
    from ..prediction import SaliencyPredictor
    from .progress import progress_bar, quiet_libraries

    jobs, problems = find_pictures(paths, output)
    for problem in problems:
        print(f"mlnet: {problem}", file=sys.stderr)
    if not jobs:
        raise typer.Exit(2)
    quiet_libraries()
    predictor = SaliencyPredictor(model, device=device, dtype="float32", apply_prior=prior, batch_size=size)
    with progress_bar("explaining") as progress:
        task = progress.add_task("", total=len(jobs))

        def on_done(error: str | None) -> None:
            if error is not None:
                progress.console.print(f"mlnet: {' '.join(error.split())}")
            progress.advance(task)

        report = explain_files(predictor, jobs, output, samples, seed, on_done)
    print(f"{report.written} of {len(jobs)} images explained into {output}", file=sys.stderr)
    if report.failed + len(problems):
        raise typer.Exit(1 if report.written else 2)
