"""`mlnet calibrate`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from .options import DATASET, DeviceOption, ModelOption


def calibrate(
    dataset: Annotated[list[str], typer.Option(help=f"{DATASET} Several are fitted together.")],
    model: ModelOption = "mini",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Instead of calibration.json in the checkpoint's folder.", metavar="FILE"),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Split to fit, for data sets with splits.")] = None,
    held_out: Annotated[
        float, typer.Option(help="Fraction kept out of the fit and scored, as held_out of `mlnet train`.")
    ] = 0.1,
    device: DeviceOption = "auto",
) -> None:
    """Fit the conversion of a checkpoint's maps to probabilities, and print its gain on images kept out.

    Maps of images that the checkpoint was trained on fit better than others: fitted on its own training images, its
    probabilities are a little too sure. Other images of the same kind are better, where there are enough.

    Example: mlnet calibrate --model runs/mini --dataset osie:/data/OSIE
    """
    from ..hub.checkpoint import checkpoint_folder
    from ..hub.registry import CALIBRATION, WEIGHTS, is_embedded, resolve_model, sha256

    if output is None and is_embedded(model):
        raise typer.BadParameter(f"is needed, as {model} is inside the package", param_hint="--output")
    if output is None and not Path(resolve_model(model).location).is_dir():
        raise typer.BadParameter(f"is needed, as {model} is in the Hub's cache", param_hint="--output")
    folder = checkpoint_folder(model)
    path = folder / CALIBRATION if output is None else output
    if path.is_dir():
        raise typer.BadParameter(f"{path} is a folder; name a file", param_hint="--output")

    from ..data import load
    from ..evaluation.calibrate import calibrate as fit
    from ..inference.predictor import SaliencyPredictor
    from .progress import tracked

    predictor = SaliencyPredictor(model, device=device, dtype="float32")
    rows = {spec: load(spec, split, progress=tracked) for spec in dataset}
    calibration, scores = fit(predictor, rows, held_out, tracked)
    calibration = replace(calibration, weights_sha256=sha256(folder / WEIGHTS))
    calibration.write(path)
    print(f"{path}: {calibration.summary()}")
    print("information gain over the centre bias on the images kept out, in bits per fixation, 95 % interval")
    for spec, results in scores.items():
        print(f"{spec}: {results['images']} images")
        for name, score in results["metrics"].items():
            print(f"  {name:11} {score['mean']:8.4f}   {score['low']:8.4f} .. {score['high']:8.4f}")
