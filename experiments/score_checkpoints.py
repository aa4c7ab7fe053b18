"""Score an embedded checkpoint under all protocols, and put the tables into its card, README.md and hubconfig.json.

Reads the data sets in the folder named by MLNET_DATA and scores images that the checkpoint was not trained on, beside
the references: the tenth that training kept out; of SALICON at full size all images that training did not see in their
reduced form either. Writes experiments/NAME_scores.json and the tables between the markers; README.md's has all
checkpoints.

    MLNET_DATA=DIR python experiments/score_checkpoints.py mini
"""

import argparse
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from datasets import Dataset

from modeling_mlnet import SaliencyPredictor
from modeling_mlnet.data import is_held_out, load
from modeling_mlnet.evaluation.evaluate import REFERENCES, evaluate, predicted_by, read_truths
from modeling_mlnet.hub.checkpoint import checkpoint_folder
from modeling_mlnet.hub.model_card import front_matter, score_lines
from modeling_mlnet.hub.registry import ALIASES, CARD, read_manifest

HELD_OUT = 0.1  # as in recipes/mini.yaml and vgg16.yaml
CHECKPOINTS = {  # where the ImageNet weights come from, if the Hub has them
    "mini": "timm/tf_efficientnet_lite2.in1k",
    "vgg16": None,
}
ROOT = Path(__file__).parent.parent
README, MANIFEST = ROOT / "README.md", ROOT / "hubconfig.json"
MARKERS = ("<!-- scores -->", "<!-- end of scores -->")
DATASETS = {
    "SALICON, reduced": "salicon:{}/salicon",
    "SALICON, full size": "salicon:{}/salicon_sharp",
    "OSIE": "osie:{}/osie",
    "EyeCrowd": "folder:{}/eyecrowd",
    "SUN": "folder:{}/sun500",
    "MIT1003": "folder:{}/mit1003",
}
SLUGS = {
    "SALICON, reduced": "salicon",
    "SALICON, full size": "salicon",
    "OSIE": "osie",
    "EyeCrowd": "eyecrowd",
    "SUN": "sun-scenes",
    "MIT1003": "mit1003",
}
IN_MANIFEST = ("AUC", "NSS", "CC", "SIM")
SHOWN = ("tuebingen", "mit", "salicon2015-unfiltered")


def unseen_rows(name: str, data: str) -> Dataset:
    """The rows of a data set that the checkpoint was not trained on."""
    spec = DATASETS[name].format(data)
    if name != "SALICON, full size":
        return load(spec, held_out=HELD_OUT)
    reduced = set(load(DATASETS["SALICON, reduced"].format(data))["image_id"])
    rows = load(spec)
    unseen = [i for i, name in enumerate(rows["image_id"]) if name not in reduced or is_held_out(name, HELD_OUT)]
    return rows.select(unseen)


def scores_of(checkpoint: str) -> Path:
    """The file with all scores of a checkpoint."""
    return Path(__file__).with_name(f"{checkpoint}_scores.json")


def measure(checkpoint: str, data: str) -> dict[str, Any]:
    """`{protocol: {data set: {source: results}}}`; the references' rows are the same for every checkpoint."""
    references = {} if checkpoint == "mini" else json.loads(scores_of("mini").read_text(encoding="utf-8"))
    predictor = SaliencyPredictor(checkpoint, dtype="float32")
    scores: dict[str, Any] = {protocol: {} for protocol in SHOWN}
    for name in DATASETS:
        rows = unseen_rows(name, data)
        maps = list(predicted_by(predictor)(rows))
        has_observers = all(len(set(truth.observers)) > 1 for truth in read_truths(rows))
        for protocol in SHOWN:
            sources: dict[str, Any] = {checkpoint: lambda rows, maps=maps: maps}
            if not references:
                sources |= {reference: reference for reference in REFERENCES}
                if not has_observers:
                    del sources["inter-observer"]
            results_of = {source: evaluate(rows, given, protocol) for source, given in sources.items()}
            for results in results_of.values():
                del results["per_image"]
            if references:
                measured = references[protocol][name]
                results_of |= {reference: measured[reference] for reference in REFERENCES if reference in measured}
            scores[protocol][name] = results_of
            print(f"{name}, {protocol}: {', '.join(results_of)}", flush=True)
    return scores


def put(path: Path, lines: Iterable[str], markers: tuple[str, str] = MARKERS) -> None:
    """Replaces what is between the markers."""
    text = path.read_text(encoding="utf-8")
    before, after = text.split(markers[0])[0], text.split(markers[1])[1]
    path.write_text("\n".join([f"{before}{markers[0]}", "", *lines, "", f"{markers[1]}{after}"]), encoding="utf-8")


def put_front_matter(checkpoint: str, card: Path, datasets: dict[str, Any]) -> None:
    """What the Hub reads of the card."""
    scores = {name: sources[checkpoint]["metrics"] for name, sources in datasets.items()}
    license = read_manifest()[ALIASES[checkpoint]].license
    data = front_matter(ALIASES[checkpoint], scores, "tuebingen", SLUGS, license, CHECKPOINTS[checkpoint])
    body = card.read_text(encoding="utf-8").split("---\n", 2)[2]
    card.write_text(f"---\n{data.to_yaml()}\n---\n{body}", encoding="utf-8")


def put_into_manifest(checkpoint: str, datasets: dict[str, Any]) -> None:
    """The figures that `mlnet models` shows."""
    manifest = json.loads(MANIFEST.read_text(encoding="utf-8"))
    manifest["checkpoints"][ALIASES[checkpoint]]["scores"] = {
        name: {metric: round(sources[checkpoint]["metrics"][metric]["mean"], 3) for metric in IN_MANIFEST}
        for name, sources in datasets.items()
    }
    MANIFEST.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def put_into_readme() -> None:
    """The rows of all checkpoints, under one protocol."""
    files = {name: scores_of(name) for name in CHECKPOINTS if scores_of(name).is_file()}
    datasets: dict[str, Any] = {}
    for path in files.values():
        for name, sources in json.loads(path.read_text(encoding="utf-8"))["tuebingen"].items():
            datasets[name] = datasets.get(name, {}) | sources
    put(README, score_lines("tuebingen", datasets, (*files, "centre", "inter-observer"), intervals=False))


def main() -> None:
    """Measures, and writes all four files."""
    parser = argparse.ArgumentParser(description="Score an embedded checkpoint.")
    parser.add_argument("checkpoint", choices=CHECKPOINTS)
    checkpoint = parser.parse_args().checkpoint
    scores, card = measure(checkpoint, os.environ["MLNET_DATA"]), checkpoint_folder(checkpoint) / CARD
    put_into_manifest(checkpoint, scores["tuebingen"])
    put_front_matter(checkpoint, card, scores["tuebingen"])
    scores_of(checkpoint).write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")
    lines = []
    for protocol, datasets in scores.items():
        lines += ["", f"Protocol `{protocol}`:", "", *score_lines(protocol, datasets, (checkpoint, *REFERENCES))]
    put(card, lines[1:])
    put_into_readme()


if __name__ == "__main__":
    main()
