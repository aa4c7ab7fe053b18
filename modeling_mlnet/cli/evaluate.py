"""`mlnet evaluate`."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from .options import DATASET, PROTOCOL, DeviceOption, ModelOption, SplitOption


def evaluate(
    dataset: Annotated[str | None, typer.Option(help=DATASET)] = None,
    model: ModelOption = "mini",
    maps: Annotated[
        Path | None,
        typer.Option(help="Score the maps in this folder (IMAGE_ID.npy, .map.png or .png) instead.", metavar="DIR"),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            help="Score a reference instead: centre, uniform or inter-observer (human ceiling); or an older model: "
            "itti, gbvs, spectral-residual, bms or rare2012."
        ),
    ] = None,
    log_maps: Annotated[bool, typer.Option("--log-maps", help="The maps of --maps are log densities.")] = False,
    optimal_maps: Annotated[
        bool,
        typer.Option(
            "--optimal-maps",
            help="Score each metric on the optimal map of the calibrated density (Kümmerer et al., ECCV 2018).",
        ),
    ] = False,
    recording: Annotated[
        str,
        typer.Option(
            help="Ground truth that is predicted, for a model that knows several: eye, mouse, or auto for the data "
            "set's own where the model knows it."
        ),
    ] = "auto",
    protocol: Annotated[str, typer.Option(help=PROTOCOL)] = "tuebingen",
    split: SplitOption = None,
    held_out: Annotated[
        float | None, typer.Option(help="Score only the fraction that `mlnet train` keeps out with this held_out.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write everything needed to repeat the run.", metavar="FILE.json")
    ] = None,
    per_image: Annotated[
        Path | None, typer.Option(help="Write the scores of every image.", metavar="FILE.csv")
    ] = None,
    workers: Annotated[int, typer.Option(help="Number of processes that score while the model predicts.", min=0)] = 0,
    device: DeviceOption = "auto",
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            help="Compare two results files image by image; no other option is needed.", metavar="A.json B.json"
        ),
    ] = None,
) -> None:
    """Score a model, maps of any model, or a baseline on a data set of fixations, under a named protocol.

    Example: mlnet evaluate --dataset salicon:/data/SALICON --split validation --output results.json
    """
    if compare is not None:
        from ..evaluation.results import compare as compare_results
        from ..evaluation.results import difference_table, read_json

        print(difference_table(compare_results(*map(read_json, compare)), *map(str, compare)))
        return
    if dataset is None:
        raise typer.BadParameter("is needed: NAME:DIR or a folder with metadata.jsonl", param_hint="--dataset")
    if log_maps and maps is None:
        raise typer.BadParameter("applies to the maps of --maps; give --maps", param_hint="--log-maps")
    if recording != "auto" and (maps is not None or baseline is not None):
        raise typer.BadParameter("applies to models; give --model", param_hint="--recording")
    if maps is not None and baseline is not None:
        raise typer.BadParameter("give either --maps or --baseline", param_hint="--baseline")
    if optimal_maps and (maps is not None or baseline is not None or protocol != "tuebingen" or workers):
        what = "needs a calibrated --model and the protocol tuebingen, and takes no --workers"
        raise typer.BadParameter(what, param_hint="--optimal-maps")
    for option, path in (("--output", output), ("--per-image", per_image)):
        if path is not None and path.is_dir():
            raise typer.BadParameter(f"{path} is a folder; name a file", param_hint=option)

    from ..metrics import get_protocol

    get_protocol(protocol)  # a wrong name ends here, not after a data set was read

    from ..data import load
    from ..evaluation.evaluate import baseline_name, predicted_by
    from ..evaluation.evaluate import evaluate as score
    from ..evaluation.results import SavedResults, describe_run, score_table, write_csv, write_json
    from ..evaluation.truths import dataset_fingerprint
    from .progress import tracked

    baseline = baseline_name(baseline) if baseline is not None else None
    rows = load(dataset, split, held_out, progress=tracked)
    source: Any = baseline
    predictor = map_folder = None
    if maps is not None:
        from ..evaluation.map_folder import MapFolder

        source = map_folder = MapFolder(maps, log_maps)
    elif baseline is None:
        from ..inference.predictor import SaliencyPredictor

        predictor = SaliencyPredictor(model, device=device, dtype="float32")
        source = predicted_by(predictor, recording)

    if optimal_maps and predictor is not None:
        from ..evaluation.optimal_maps import evaluate_optimal_maps

        scores = evaluate_optimal_maps(rows, source, predictor.calibration, partial(tracked, total=len(rows)))
    else:
        scores = score(rows, source, protocol, workers, partial(tracked, total=len(rows)))
    results: SavedResults = {
        "model": str(maps) if maps is not None else baseline or model,
        "kind": "maps" if maps is not None else "baseline" if baseline else "model",
        "dataset": dataset,
        "split": split,
        "held_out": held_out,
        "recording": recording,
        **scores,
        **describe_run(model, predictor),
    }
    print(score_table(results))
    if output is not None:
        sums = {"dataset_sha256": dataset_fingerprint(rows)}
        if map_folder is not None:
            sums["maps_sha256"] = map_folder.digest.hexdigest()
        write_json(output, {**results, **sums})
    if per_image is not None:
        write_csv(per_image, results["per_image"])
