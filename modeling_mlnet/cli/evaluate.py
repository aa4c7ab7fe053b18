"""`mlnet evaluate`."""

import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer


def evaluate(
    dataset: Annotated[str, typer.Option(help="NAME:DIR (salicon, osie, folder) or a folder with metadata.jsonl.")],
    model: Annotated[str, typer.Option(help="mini, a checkpoint's folder or a Hub id.")] = "mini",
    baseline: Annotated[str | None, typer.Option(help="Score `centre` (a central Gaussian) instead.")] = None,
    protocol: Annotated[str, typer.Option(help="tuebingen")] = "tuebingen",
    split: Annotated[str | None, typer.Option(help="train or validation, where there are splits.")] = None,
    held_out: Annotated[
        float | None, typer.Option(help="Score only the fraction that `mlnet train` with this held_out leaves out.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="JSON file for the results.", metavar="FILE.json")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps, ...")] = "auto",
) -> None:
    """Score a model on a data set of fixations, under a named protocol.

    Example: mlnet evaluate --dataset salicon:/data/SALICON --split validation --output results.json
    """
    from ..evaluation import PROTOCOLS

    if protocol not in PROTOCOLS:
        raise typer.BadParameter(f"{protocol!r} is not one of {', '.join(PROTOCOLS)}", param_hint="--protocol")
    if baseline not in (None, "centre"):
        raise typer.BadParameter(f"{baseline!r} is not 'centre'", param_hint="--baseline")

    if output is not None and output.is_dir():
        raise typer.BadParameter(f"{output} is a folder; name a file", param_hint="--output")

    from ..data import is_held_out, load
    from ..evaluation import evaluate as score
    from ..outputs import write_whole
    from ..prediction import SaliencyPredictor
    from .progress import progress_bar, quiet_libraries

    quiet_libraries()
    rows = load(dataset, split)
    if held_out is not None:
        rows = rows.select([i for i, name in enumerate(rows["image_id"]) if is_held_out(name, held_out)])
        if not len(rows):
            raise ValueError(f"{dataset}: held_out={held_out} leaves no picture to score")
    predict = None if baseline else SaliencyPredictor(model, device=device).maps
    with progress_bar("scoring") as progress:
        results = score(predict, rows, lambda iterable: progress.track(iterable, total=len(rows)))
    results = {"model": baseline or model, "dataset": dataset, "held_out": held_out, "split": split, **results}
    _print_table(results)
    if output is not None:
        text = json.dumps(_without_nan(results), indent=2, allow_nan=False)
        write_whole(output, lambda file: file.write(f"{text}\n".encode()))


def _without_nan(value: Any) -> Any:
    """JSON has no NaN: a score without any fixation becomes null."""
    if isinstance(value, dict):
        return {key: _without_nan(one) for key, one in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


def _print_table(results: dict[str, Any]) -> None:
    print(f"{results['model']} on {results['dataset']}: {results['images']} pictures, protocol {results['protocol']}")
    for name, score in results["metrics"].items():
        print(f"  {name:5} {score['mean']:.4f}   95 % interval {score['low']:.4f} .. {score['high']:.4f}")
