"""Calibrate an embedded checkpoint, and measure for mlnet-mini what calibration and optimal maps gain.

A network knows its training images better than others, and a calibration to them would be too confident. So half of
the tenth that training kept out is fitted, and the other half scored, once, after everything was fitted; the seed of
the maps for SIM is the default of `optimal_map`, 0. Writes calibration.json beside the checkpoint and, for mlnet-mini,
experiments/calibration.json and the tables of docs/probabilities.md.

    MLNET_DATA=DIR python experiments/calibrate_checkpoints.py mini
"""

import argparse
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from score_checkpoints import CHECKPOINTS, DATASETS, HELD_OUT, put, unseen_rows

from modeling_mlnet import SaliencyPredictor
from modeling_mlnet.evaluation.calibrate import calibrate, held_out_protocol, training_and_held_out
from modeling_mlnet.evaluation.evaluate import evaluate, predicted_by
from modeling_mlnet.evaluation.optimal_maps import evaluate_optimal_maps
from modeling_mlnet.evaluation.results import compare
from modeling_mlnet.hub.checkpoint import checkpoint_folder
from modeling_mlnet.hub.registry import CALIBRATION, WEIGHTS, sha256
from modeling_mlnet.inference.density import Calibration

SCORES = Path(__file__).parent / "calibration.json"
PAGE = Path(__file__).parent.parent / "docs" / "probabilities.md"
SCORED = [name for name in DATASETS if name != "SALICON, full size"]
SCORED_PART = HELD_OUT / 2  # by the hash of the image ids; the rest of what training kept out is fitted


def measure(predictor: SaliencyPredictor, calibration: Calibration, name: str, unseen: Dataset) -> dict[str, Any]:
    """What the calibration, one fitted to this set alone, and optimal maps are worth on the part that is scored."""
    own, own_scores = calibrate(predictor, {name: unseen}, SCORED_PART)
    rows = training_and_held_out(unseen, SCORED_PART)[1]
    maps = list(predicted_by(predictor)(rows))
    gain = evaluate(rows, lambda rows: maps, held_out_protocol(calibration))
    gain["metrics"]["own"] = own_scores[name]["metrics"]["after"]
    densities = [np.exp(calibration.log_density(values)) for values in maps]
    results = {
        "map": evaluate(rows, lambda rows: maps),
        "density": evaluate(rows, lambda rows: densities),
        "optimal": evaluate_optimal_maps(rows, lambda rows: maps, calibration),
    }
    differences = compare(results["map"], results["optimal"])
    return {
        "images": len(rows),
        "own": own.summary(),
        "gain": gain["metrics"],
        **{kind: scores["metrics"] for kind, scores in results.items()},
        "differs": {metric: scores["better"] for metric, scores in differences.items()},
    }


def gain_lines(scores: dict[str, Any]) -> list[str]:
    """The table of information gain."""
    columns = {"before": "map as it is", "after": "calibrated", "own": "calibrated on the set itself"}
    columns["centre bias"] = "fitted centre bias alone"
    lines = [f"| | images | {' | '.join(columns.values())} |", "|" + "---|" * (2 + len(columns))]
    for name, of_set in scores.items():
        cells = [f"{of_set['gain'][key]['mean']:.3f}" for key in columns]
        lines.append(f"| {name} | {of_set['images']} | {' | '.join(cells)} |")
    return lines


def metric_lines(scores: dict[str, Any]) -> list[str]:
    """The table of all metrics: map, density, optimal maps."""
    metrics = list(next(iter(scores.values()))["map"])
    lines = [f"| | scored | {' | '.join(metrics)} |", "|" + "---|" * (2 + len(metrics))]
    for name, of_set in scores.items():
        for kind in ("map", "density", "optimal"):
            cells = [f"{of_set[kind][metric]['mean']:.3f}" for metric in metrics]
            if kind == "optimal":
                better = [of_set["differs"][metric] == "second" for metric in metrics]
                cells = [f"**{cell}**" if is_better else cell for cell, is_better in zip(cells, better, strict=True)]
            lines.append(f"| {name if kind == 'map' else ''} | {kind} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Calibrates, measures, and writes the files."""
    parser = argparse.ArgumentParser(description="Calibrate an embedded checkpoint.")
    parser.add_argument("checkpoint", choices=CHECKPOINTS)
    checkpoint = parser.parse_args().checkpoint
    unseen = {name: unseen_rows(name, os.environ["MLNET_DATA"]) for name in SCORED}
    predictor, folder = SaliencyPredictor(checkpoint, dtype="float32"), checkpoint_folder(checkpoint)
    calibration, _ = calibrate(predictor, unseen, SCORED_PART)
    calibration = replace(calibration, weights_sha256=sha256(folder / WEIGHTS))
    calibration.write(folder / CALIBRATION)
    print(calibration.summary(), flush=True)
    if checkpoint != "mini":
        return
    scores = {}
    for name, rows in unseen.items():
        scores[name] = measure(predictor, calibration, name, rows)
        print("\n".join([*gain_lines(scores), *metric_lines(scores)]), flush=True)
    SCORES.write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")
    fitted = f"mlnet-mini's: {calibration.summary()}."
    put(PAGE, [fitted, "", *gain_lines(scores)], ("<!-- gain -->", "<!-- end of gain -->"))
    put(PAGE, metric_lines(scores), ("<!-- metrics -->", "<!-- end of metrics -->"))


if __name__ == "__main__":
    main()
