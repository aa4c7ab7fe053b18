"""Score the embedded checkpoint under all protocols, and put the tables into its card, README.md and hubconfig.json.

Reads the data sets in the folder named by MLNET_DATA and scores images that the checkpoint was not trained on, beside
the references: the tenth that training kept out; of SALICON at full size all images that training did not see in their
reduced form either; a tenth of MIT1003, which training never saw. Writes experiments/mini_scores.json and the tables
between the markers.

    MLNET_DATA=DIR python experiments/score_mini.py
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from datasets import Dataset

from modeling_mlnet import MINI, SaliencyPredictor
from modeling_mlnet.data import is_held_out, load
from modeling_mlnet.evaluation.evaluate import BASELINES, evaluate, predicted_by, read_truths
from modeling_mlnet.hub.model_card import front_matter, score_lines

HELD_OUT = 0.1  # as in recipes/mini.yaml
SCORES = Path(__file__).parent / "mini_scores.json"
CARD, ROOT = MINI / "README.md", Path(__file__).parent.parent
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


def measure(data: str) -> dict[str, Any]:
    """`{protocol: {data set: {source: results}}}`."""
    predictor = SaliencyPredictor("mini", dtype="float32")
    scores: dict[str, Any] = {protocol: {} for protocol in SHOWN}
    for name in DATASETS:
        rows = unseen_rows(name, data)
        maps = list(predicted_by(predictor)(rows))
        has_observers = all(len(set(truth.observers)) > 1 for truth in read_truths(rows))
        for protocol in SHOWN:
            sources = {"mini": lambda rows, maps=maps: maps, **{one: one for one in BASELINES}}
            if not has_observers:
                del sources["inter-observer"]
            results_of = {source: evaluate(rows, given, protocol) for source, given in sources.items()}
            for results in results_of.values():
                del results["per_image"]
            scores[protocol][name] = results_of
            print(f"{name}, {protocol}: {', '.join(results_of)}", flush=True)
    return scores


def put(path: Path, lines: Iterable[str], markers: tuple[str, str] = MARKERS) -> None:
    """Replaces what is between the markers."""
    text = path.read_text(encoding="utf-8")
    before, after = text.split(markers[0])[0], text.split(markers[1])[1]
    path.write_text("\n".join([f"{before}{markers[0]}", "", *lines, "", f"{markers[1]}{after}"]), encoding="utf-8")


def put_front_matter(datasets: dict[str, Any]) -> None:
    """What the Hub reads of the card."""
    scores = {name: found["mini"]["metrics"] for name, found in datasets.items()}
    data = front_matter("mlnet-mini", scores, "tuebingen", SLUGS, "mit", "timm/tf_efficientnet_lite2.in1k")
    body = CARD.read_text(encoding="utf-8").split("---\n", 2)[2]
    CARD.write_text(f"---\n{data.to_yaml()}\n---\n{body}", encoding="utf-8")


def put_into_manifest(datasets: dict[str, Any]) -> None:
    """The figures that `mlnet models` shows."""
    manifest = json.loads(MANIFEST.read_text(encoding="utf-8"))
    manifest["checkpoints"]["mlnet-mini"]["scores"] = {
        name: {metric: round(found["mini"]["metrics"][metric]["mean"], 3) for metric in IN_MANIFEST}
        for name, found in datasets.items()
    }
    MANIFEST.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Measures, and writes all four files."""
    scores = measure(os.environ["MLNET_DATA"])
    put_into_manifest(scores["tuebingen"])
    put_front_matter(scores["tuebingen"])
    SCORES.write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")
    lines = []
    for protocol, datasets in scores.items():
        lines += ["", f"Protocol `{protocol}`:", "", *score_lines(protocol, datasets, ("mini", *BASELINES))]
    put(CARD, lines[1:])
    put(README, score_lines("tuebingen", scores["tuebingen"], ("mini", "centre", "inter-observer"), intervals=False))


if __name__ == "__main__":
    main()
