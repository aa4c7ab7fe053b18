"""Fill a table like the paper's Table I and II for the data sets at hand, and put it into docs/reproduce.md.

Rows: the centre, every model of `modeling_mlnet.baselines`, the checkpoints that are named, and inter-observer, on the
images of `score_checkpoints.py`, on which no checkpoint was trained. Every row of every data set is kept as a file in
a folder, which `mlnet table` reads, too, and made again only if it is missing or the weights of the checkpoint have
changed; after a change of a baseline, remove its files.

    MLNET_DATA=DIR python experiments/score_baselines.py runs/baselines [--model mini --model FOLDER ...]
"""

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from score_checkpoints import DATASETS, put, unseen_rows

from modeling_mlnet import SaliencyPredictor
from modeling_mlnet.baselines import BASELINES
from modeling_mlnet.evaluation.evaluate import INTER_OBSERVER, evaluate, predicted_by
from modeling_mlnet.evaluation.results import describe_run, read_json, write_json
from modeling_mlnet.evaluation.tables import markdown_table, table_rows
from modeling_mlnet.evaluation.truths import dataset_fingerprint, read_truths
from modeling_mlnet.hub.checkpoint import checkpoint_folder
from modeling_mlnet.hub.registry import WEIGHTS, sha256

PAGE = Path(__file__).parent.parent / "docs" / "reproduce.md"
COMPARED = ("sAUC", "NSS", "CC")  # KL and IG are for densities; AUC and SIM say little that these do not
MARKERS = ("<!-- baselines -->", "<!-- end of baselines -->")


def is_present(path: Path, model: str | None) -> bool:
    """Whether a row was scored already, a checkpoint's with its present weights."""
    if not path.exists():
        return False
    return model is None or read_json(path)["prediction"]["sha256"] == sha256(checkpoint_folder(model) / WEIGHTS)


def score(folder: Path, models: list[str], protocol: str) -> dict[str, dict[str, Any]]:
    """The results of all rows on the data sets, by file."""
    files = []
    for dataset in DATASETS:
        rows = unseen_rows(dataset, os.environ["MLNET_DATA"])
        has_observers = all(len(set(truth.observers)) > 1 for truth in read_truths(rows))
        for source in ("centre", *BASELINES, *models, *([INTER_OBSERVER] if has_observers else [])):
            name = Path(source).name
            path, model = folder / f"{dataset}.{name}.{protocol}.json", source if source in models else None
            files.append(path)
            if is_present(path, model):
                continue
            predictor = None if model is None else SaliencyPredictor(model, dtype="float32")
            results = evaluate(rows, source if predictor is None else predicted_by(predictor), protocol)
            facts = {"model": name, "dataset": dataset, "dataset_sha256": dataset_fingerprint(rows)}
            write_json(path, {**facts, **results, **describe_run(model or "", predictor)})
            print(path, flush=True)
    return {str(path): read_json(path) for path in files}


def main(
    folder: Path,
    model: Annotated[list[str] | None, typer.Option(help="A checkpoint; may be repeated.")] = None,
    protocol: str = "tuebingen",
) -> None:
    """Scores what is missing, and writes the tables of scores and of differences to the first checkpoint."""
    models = model or ["mini"]
    folder.mkdir(parents=True, exist_ok=True)
    results = score(folder, models, protocol)
    scores = markdown_table(*table_rows(results))
    differences = markdown_table(*table_rows(results, COMPARED, against=Path(models[0]).name))
    lines = [scores, "", f"The differences to {models[0]}, with their 95 % intervals:", "", differences]
    put(PAGE, lines, MARKERS)


if __name__ == "__main__":
    typer.run(main)
