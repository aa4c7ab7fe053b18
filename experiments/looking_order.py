"""Kendall's tau between the rank of boxes by share and the order in which people first look into them.

Boxes are the cells of a grid of 3 x 4 and random ones. A box's human order is its mean index of the first fixation
over observers; for those who never looked it is three after their last one. Reads osie/ and eyecrowd/ in the folder
named by MLNET_DATA, the images that mini was not trained on. Prints the table of docs/analysis.md.

    MLNET_DATA=DIR python experiments/looking_order.py
"""

import os

import numpy as np
from scipy.stats import kendalltau
from score_checkpoints import unseen_rows

from modeling_mlnet import SaliencyPredictor
from modeling_mlnet.analysis import Box, measure_regions

NAMES = ("OSIE", "EyeCrowd")
MEASURES = ("share", "peak", "ratio")
NEVER = 3  # fixations after the last one


def make_boxes(width: int, height: int, draw: np.random.Generator) -> dict[str, list[Box]]:
    """Boxes of both kinds."""
    grid = [
        Box(f"{row}{column}", column * width / 4, row * height / 3, width / 4, height / 3)
        for row in range(3)
        for column in range(4)
    ]
    random = []
    for number in range(8):
        across, down = draw.uniform(0.1, 0.35, 2) * (width, height)
        random.append(Box(str(number), draw.uniform(0, width - across), draw.uniform(0, height - down), across, down))
    return {"grid": grid, "random": random}


def first_looks(box: Box, fixations: np.ndarray, observers: np.ndarray) -> float:
    """Mean index of the first fixation in a box."""
    indices = []
    for observer in np.unique(observers):
        x, y = fixations[observers == observer].T
        inside = (x >= box.x) & (x < box.x + box.width) & (y >= box.y) & (y < box.y + box.height)
        indices.append(int(inside.argmax()) if inside.any() else len(x) + NEVER)
    return float(np.mean(indices))


def main() -> None:
    """Prints the table."""
    predictor = SaliencyPredictor("mini", dtype="float32")
    print("| data set | boxes | images | " + " | ".join(MEASURES) + " |")
    print("|---" * (3 + len(MEASURES)) + "|")
    for title in NAMES:
        rows = unseen_rows(title, os.environ["MLNET_DATA"])
        draw = np.random.default_rng(0)
        taus: dict[str, list[list[float]]] = {"grid": [], "random": []}
        for row in rows:
            saliency_map = predictor(row["image"])
            fixations, observers = np.asarray(row["fixations"], np.float64), np.asarray(row["observers"])
            for kind, boxes in make_boxes(*saliency_map.shape[::-1], draw).items():
                looks = [-first_looks(box, fixations, observers) for box in boxes]
                regions = measure_regions(saliency_map, boxes)
                values = [[getattr(region, measure) for region in regions] for measure in MEASURES]
                taus[kind].append([kendalltau(measured, looks).statistic for measured in values])
        for kind, values in taus.items():
            means = np.nanmean(values, axis=0)
            print(f"| {title} | {kind} | {len(values)} | {' | '.join(f'{mean:.2f}' for mean in means)} |", flush=True)


if __name__ == "__main__":
    main()
