"""What to expect on images of another kind: a network of mlnet-mini's kind on three data sets, scored on the fourth.

Trains four times with leave_one_out.yaml for two epochs, the second on whole images, on a canvas of 240x320, into
runs/without_NAME (about six minutes each on two cores); writes experiments/leave_one_out.json and the table between
the markers of mlnet-mini's card. Runs that ended are not repeated.

    MLNET_DATA=DIR MLNET_BACKBONE=lite2.safetensors python experiments/leave_one_out.py
"""

import json
import os
from pathlib import Path
from typing import Any

import yaml
from score_checkpoints import DATASETS, put

from modeling_mlnet import MINI, SaliencyPredictor
from modeling_mlnet.data import load
from modeling_mlnet.evaluation.evaluate import evaluate, predicted_by
from modeling_mlnet.training.run import train

ROOT = Path(__file__).parent.parent
RECIPE = Path(__file__).with_suffix(".yaml")
RESULTS = Path(__file__).parent / "leave_one_out.json"
MARKERS = ("<!-- leave one out -->", "<!-- end of leave one out -->")
TRAINED = "trained on the others"
LEFT_OUT = ("SALICON, reduced", "OSIE", "EyeCrowd", "SUN")
SETS = {name.removesuffix(", reduced"): DATASETS[name] for name in LEFT_OUT}
SHOWN = ("AUC", "sAUC", "NSS", "CC", "SIM", "KL")


def measure(name: str, data: str) -> dict[str, Any]:
    """The scores on the data set `name` of a model that was trained on the others, and of its centre bias."""
    specs = {item: spec.format(data) for item, spec in SETS.items()}
    run = ROOT / "runs" / f"without_{name.lower()}"
    if not (run / "eval_results.json").is_file():
        others = [spec for item, spec in specs.items() if item != name]
        config = yaml.safe_load(RECIPE.read_text(encoding="utf-8"))["config"] | {"image_size": [240, 320]}
        words = ["--datasets", *others, "--output_dir", str(run), "--num_train_epochs", "2", "--crop_off_epoch", "1"]
        words += ["--config", json.dumps(config), "--disable_tqdm", "true"]
        train(RECIPE, words)
    predictor = SaliencyPredictor(run, dtype="float32")
    rows = load(specs[name])
    result = {
        TRAINED: evaluate(rows, predicted_by(predictor)),
        "centre": evaluate(rows, "centre"),
    }
    return {source: {key: item[key] for key in ("images", "metrics")} for source, item in result.items()}


def main() -> None:
    """Trains, measures, and writes both files."""
    results = {}
    for name in SETS:
        results[name] = measure(name, os.environ["MLNET_DATA"])
        print(name, {key: round(item["mean"], 3) for key, item in results[name][TRAINED]["metrics"].items()})
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    lines = [f"| left out | images | | {' | '.join(SHOWN)} |", "|---|---|---|" + "---|" * len(SHOWN)]
    for name, result in results.items():
        for source, item in result.items():
            first = f"{name} | {item['images']}" if source != "centre" else " | "
            cells = " | ".join(f"{item['metrics'][score]['mean']:.3f}" for score in SHOWN)
            lines.append(f"| {first} | {source} | {cells} |")
    put(MINI / "README.md", lines, MARKERS)


if __name__ == "__main__":
    main()
