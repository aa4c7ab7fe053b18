"""Scores the embedded checkpoint under all protocols, and puts the tables into its card and README.md.

Reads salicon/, osie/, eyecrowd/ and sun500/ in the folder named by MLNET_DATA; scores the pictures that training kept
out, beside the references; writes docs/mini_scores.json and the tables between the markers.

    MLNET_DATA=DIR python docs/score_mini.py
"""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from modeling_mlnet import MINI, SaliencyPredictor
from modeling_mlnet.data import load
from modeling_mlnet.evaluation import BASELINES, evaluate, read_truths
from modeling_mlnet.metrics import PROTOCOLS

HELD_OUT = 0.1  # as in recipes/mini.yaml
SCORES = Path(__file__).parent / "mini_scores.json"
CARD, README = MINI / "README.md", Path(__file__).parent.parent / "README.md"
MARKERS = ("<!-- scores -->", "<!-- end of scores -->")
DATASETS = {
    "SALICON": "salicon:{}/salicon",
    "OSIE": "osie:{}/osie",
    "EyeCrowd": "folder:{}/eyecrowd",
    "SUN": "folder:{}/sun500",
}
SHOWN = ("tuebingen", "mit", "salicon2015-unfiltered")


def measure(data: str) -> dict[str, Any]:
    """`{protocol: {data set: {source: results}}}`."""
    predictor = SaliencyPredictor("mini")
    scores: dict[str, Any] = {protocol: {} for protocol in SHOWN}
    for name, spec in DATASETS.items():
        rows = load(spec.format(data), held_out=HELD_OUT)
        maps = list(predictor.maps(row["image"] for row in rows.select_columns("image")))
        has_observers = all(len(set(truth.observers)) > 1 for truth in read_truths(rows))
        for protocol in SHOWN:
            sources = {"mini": lambda rows, maps=maps: maps, **{one: one for one in BASELINES}}
            if not has_observers:
                del sources["half-observers"]
            found = {source: evaluate(rows, given, protocol) for source, given in sources.items()}
            for results in found.values():
                del results["per_image"]
            scores[protocol][name] = found
            print(f"{name}, {protocol}: {', '.join(found)}", flush=True)
    return scores


def table(protocol: str, datasets: dict[str, Any], sources: Sequence[str], intervals: bool = True) -> Iterator[str]:
    """Markdown lines."""
    names = list(PROTOCOLS[protocol].metrics)
    yield f"| data set | pictures | | {' | '.join(names)} |"
    yield "|---|---|---|" + "---|" * len(names)
    for dataset, found in datasets.items():
        for source in sources:
            if source in found:
                cells = [_cell(found[source]["metrics"][name], intervals) for name in names]
                first = f"{dataset} | {found[source]['images']}" if source == "mini" else " | "
                yield f"| {first} | {source} | {' | '.join(cells)} |"


def _cell(score: dict[str, float], interval: bool) -> str:
    return f"{score['mean']:.3f}" + f" ({score['low']:.3f}..{score['high']:.3f})" * interval


def put(path: Path, lines: Iterable[str], markers: tuple[str, str] = MARKERS) -> None:
    """Replaces what is between the markers."""
    text = path.read_text(encoding="utf-8")
    before, after = text.split(markers[0])[0], text.split(markers[1])[1]
    path.write_text("\n".join([f"{before}{markers[0]}", "", *lines, "", f"{markers[1]}{after}"]), encoding="utf-8")


def main() -> None:
    """Measures, and writes all three files."""
    scores = measure(os.environ["MLNET_DATA"])
    SCORES.write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")
    lines = []
    for protocol, datasets in scores.items():
        lines += ["", f"Protocol `{protocol}`:", "", *table(protocol, datasets, ("mini", *BASELINES))]
    put(CARD, lines[1:])
    put(README, table("tuebingen", scores["tuebingen"], ("mini", "centre", "half-observers"), intervals=False))


if __name__ == "__main__":
    main()
