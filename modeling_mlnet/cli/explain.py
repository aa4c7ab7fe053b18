"""`mlnet explain`."""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from .options import (
    DATASET,
    MEGAPIXELS,
    OUTPUT,
    PATHS,
    PROTOCOL,
    DeviceOption,
    HeldOutOption,
    ModelOption,
    RecordingOption,
    SplitOption,
    allow_pixels,
    check_folder,
    find_inputs,
)


def explain(
    output: Annotated[Path, OUTPUT],
    paths: Annotated[list[str] | None, typer.Argument(help=PATHS, metavar="IMAGE...")] = None,
    dataset: Annotated[str | None, typer.Option(help=f"Instead of images: {DATASET}")] = None,
    split: SplitOption = None,
    held_out: HeldOutOption = None,
    model: ModelOption = "mini",
    prior: Annotated[bool, typer.Option(help="Explain the map with the learned prior.")] = True,
    recording: RecordingOption = None,
    samples: Annotated[
        int, typer.Option(min=0, help="Number of noisy copies of each image for pixel attribution; 0 skips it.")
    ] = 16,
    seed: Annotated[int, typer.Option(help="Seed of the noise.")] = 0,
    ablation: Annotated[
        bool, typer.Option("--ablation", help="With --dataset: also score the maps without each level.")
    ] = False,
    protocol: Annotated[str, typer.Option(help=f"With --ablation: {PROTOCOL}")] = "tuebingen",
    device: DeviceOption = "auto",
    max_megapixels: Annotated[float, typer.Option(min=0.001, help=MEGAPIXELS)] = 178,
) -> None:
    """Show what moves the map: each level and channel (the paper's Fig. 3), the learned prior, and single pixels.

    Writes importance.png, prior.png and explanation.json; for images photo.explain.png, for data sets with
    --ablation also ablation.png.

    Example: mlnet explain photo.jpg -o why

    Example: mlnet explain --dataset osie:/data/osie --held-out 0.1 --ablation -o why

    Exit status: 0 all done, 1 some images failed, 2 nothing could be done.
    """
    allow_pixels(max_megapixels)
    if (dataset is None) == (not paths):
        raise typer.BadParameter("give either images or --dataset", param_hint="IMAGE...")
    if ablation and dataset is None:
        raise typer.BadParameter("needs --dataset: images alone have no fixations to score", param_hint="--ablation")
    check_folder(output)
    if dataset is None:
        options = {"apply_prior": prior, "recording": recording}
        _explain_files(paths or [], output, samples, seed, model, device, options)
        return

    from ..metrics import get_protocol

    get_protocol(protocol)  # a wrong name ends here, not after a data set was read

    from ..attribution.explain import explain_dataset, summary_lines
    from ..data import load
    from ..inference.predictor import SaliencyPredictor
    from .progress import tracked

    rows = load(dataset, split, held_out)
    predictor = SaliencyPredictor(model, device=device, dtype="float32")
    details = {"model": model, "dataset": dataset, "split": split, "held_out": held_out}
    explanation = explain_dataset(
        predictor, rows, output, ablation, protocol, details, partial(tracked, total=len(rows)), prior, recording
    )
    print("\n".join(summary_lines(explanation)))


def _explain_files(
    paths: list[str], output: Path, samples: int, seed: int, model: str, device: str, options: dict[str, Any]
) -> None:
    from ..attribution.explain import explain_files
    from ..inference.predictor import SaliencyPredictor
    from .progress import progress_bar

    inputs = find_inputs(paths, output)
    predictor = SaliencyPredictor(model, device=device, dtype="float32")
    with progress_bar("explaining") as progress:
        task = progress.add_task("", total=len(inputs.jobs))

        def on_done(error: str | None) -> None:
            if error is not None:
                progress.console.print(f"mlnet: {' '.join(error.split())}")
            progress.advance(task)

        report = explain_files(predictor, inputs.jobs, output, samples, seed, on_done, **options)
    print(f"{report.written} of {len(inputs.jobs)} images explained into {output}", file=sys.stderr)
    if report.failed + len(inputs.problems):
        raise typer.Exit(1 if report.written else 2)
