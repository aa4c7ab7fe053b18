"""Test the paper's claims on its levels, prior and loss, and put the table into docs/reproduce.md.

Trains recipes/claims.yaml once for each row, all with the same steps, seed and data, and scores the images of three
data sets that the training kept out. What is in the folder already is not made again.

    MLNET_BACKBONE=vgg16.safetensors MLNET_DATA=DIR python experiments/paper_claims.py runs/claims
"""

import json
import os
from pathlib import Path

import typer
from score_baselines import PAGE
from score_checkpoints import put, unseen_rows

from modeling_mlnet import SaliencyPredictor
from modeling_mlnet.evaluation.evaluate import evaluate, predicted_by
from modeling_mlnet.evaluation.results import describe_run, read_json, write_json
from modeling_mlnet.evaluation.tables import markdown_table, table_rows
from modeling_mlnet.evaluation.truths import dataset_fingerprint
from modeling_mlnet.hub.registry import WEIGHTS
from modeling_mlnet.training.arguments import parse_recipe
from modeling_mlnet.training.run import train

RECIPE = Path(__file__).parent.parent / "recipes" / "claims.yaml"
AS_RELEASED = "as released"
ROWS = {  # changes of the configuration; without a prior that is learned, its factor stays 1
    AS_RELEASED: {},
    "conv5 alone": {"feature_levels": [5]},
    "conv4 and conv5": {"feature_levels": [4, 5]},
    "no prior": {},
    "loss of Eq. 2": {"loss": "paper"},
    "squared error": {"loss": "mse"},
    "KL": {"loss": "kl"},
}
DATASETS = ("SALICON, reduced", "OSIE", "MIT1003")
METRICS = ("AUC", "sAUC", "NSS", "CC", "SIM", "KL")
MARKERS = ("<!-- claims -->", "<!-- end of claims -->")


def train_row(name: str, output: Path) -> None:
    """Trains a row, unless it was."""
    if (output / WEIGHTS).is_file():
        return
    model_arguments = parse_recipe(RECIPE)[0]
    frozen = [*model_arguments.frozen_modules, *(["prior"] if name == "no prior" else [])]
    config = {**model_arguments.config, **ROWS[name]}
    words = ["--output_dir", str(output), "--config", json.dumps(config), "--frozen_modules", *frozen]
    train(RECIPE, words)


def score_row(name: str, run: Path) -> list[Path]:
    """The results of a row, a file for each data set."""
    files = [run / f"{dataset}.json" for dataset in DATASETS]
    for dataset, path in zip(DATASETS, files, strict=True):
        if not path.is_file():
            rows = unseen_rows(dataset, os.environ["MLNET_DATA"])
            predictor = SaliencyPredictor(str(run), dtype="float32")
            results = evaluate(rows, predicted_by(predictor), "tuebingen")
            facts = {"model": name, "dataset": dataset, "dataset_sha256": dataset_fingerprint(rows)}
            write_json(path, {**facts, **results, **describe_run(str(run), predictor)})
    return files


def main(folder: Path) -> None:
    """Trains and scores what is missing, and writes the tables of scores and of differences to the released form."""
    files: dict[str, Path] = {}
    for name in ROWS:
        run = folder / name.replace(" ", "_")
        train_row(name, run)
        files |= {f"{dataset}, {name}": path for dataset, path in zip(DATASETS, score_row(name, run), strict=True)}
    results = {name: read_json(files[name]) for dataset in DATASETS for name in files if name.startswith(dataset)}
    scores = markdown_table(*table_rows(results, METRICS), intervals=False)
    differences = markdown_table(*table_rows(results, ("NSS", "CC", "SIM"), against=AS_RELEASED))
    lines = [scores, "", f"The differences to {AS_RELEASED}, with their 95 % intervals:", "", differences]
    put(PAGE, lines, MARKERS)


if __name__ == "__main__":
    typer.run(main)
