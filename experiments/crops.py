"""Share of human fixations that crops keep: the predicted crop, the centre crop and the best possible one.

Reads osie/, eyecrowd/ and mit1003/ in the folder named by MLNET_DATA, the images that mini was not
trained on. Prints the table of docs/analysis.md.

    MLNET_DATA=DIR python experiments/crops.py [--images 300]
"""

import argparse
import os
from functools import partial

import numpy as np
from score_checkpoints import unseen_rows

from modeling_mlnet import SaliencyPredictor
from modeling_mlnet.analysis import best_crop
from modeling_mlnet.analysis.crops import CUT_COST
from modeling_mlnet.data.plausibility import sample_indices

NAMES = ("OSIE", "EyeCrowd", "MIT1003")
ASPECTS = ("1:1", "4:5", "9:16", "16:9")
COSTS = {"most attention": 0.0, "`best_crop`": CUT_COST}
NEAR = 0.03  # of the longer side: a fixation this close to a cut belongs to something that is cut


def windows(saliency_map: np.ndarray, fixations: np.ndarray, aspect: str) -> dict[str, tuple[int, int, int, int]]:
    """Left, top, right and bottom of every crop in pixels."""
    crops = {name: best_crop(saliency_map, aspect, cut_cost=cost) for name, cost in COSTS.items()}
    boxes = {name: (crop.x, crop.y, crop.x + crop.width, crop.y + crop.height) for name, crop in crops.items()}
    left, top, right, bottom = boxes["most attention"]
    height, width = saliency_map.shape
    x, y = (width - (right - left)) // 2, (height - (bottom - top)) // 2
    boxes["centre"] = (x, y, x + right - left, y + bottom - top)
    density = np.zeros_like(saliency_map)  # with fixations for a map, the crop is the best possible one
    columns, rows = np.rint(fixations).astype(int).T
    np.add.at(density, (rows.clip(0, height - 1), columns.clip(0, width - 1)), 1)
    crop = best_crop(density, aspect, cut_cost=0)
    boxes["best possible"] = (crop.x, crop.y, crop.x + crop.width, crop.y + crop.height)
    return boxes


def score(box: tuple[int, int, int, int], fixations: np.ndarray, size: tuple[int, int]) -> tuple[float, float]:
    """Share of the fixations inside a box, and within `NEAR` of an edge that cuts the image."""
    centres = fixations + 0.5  # of pixels, from the image's edge
    x, y = centres.T
    left, top, right, bottom = box
    inside = (x >= left) & (x < right) & (y >= top) & (y < bottom)
    reach = NEAR * max(size)
    cuts = ((left > 0, x - left), (right < size[0], x - right), (top > 0, y - top), (bottom < size[1], y - bottom))
    near = np.zeros(len(x), bool)
    for is_cut, distance in cuts:
        near |= is_cut & (np.abs(distance) < reach)
    return float(inside.mean()), float(near.mean())


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=300, help="at most so many of each set, evenly chosen")
    most = parser.parse_args().images
    predictor = SaliencyPredictor("mini", dtype="float32")
    names = ("centre", *COSTS, "best possible")
    print("| data set | images | shape | " + " | ".join(names) + " | near a cut: centre | " + " | ".join(COSTS) + " |")
    print("|---" * (3 + len(names) + 1 + len(COSTS)) + "|")
    for title in NAMES:
        rows = unseen_rows(title, os.environ["MLNET_DATA"])
        chosen = sample_indices(len(rows), most)
        scores: dict[str, dict[str, list[tuple[float, float]]]] = {aspect: {} for aspect in ASPECTS}
        for index in chosen:
            row = rows[index]
            fixations = np.asarray(row["fixations"], np.float64)
            saliency_map = predictor(row["image"])
            for aspect in ASPECTS:
                boxes = windows(saliency_map, fixations, aspect)
                measure = partial(score, fixations=fixations, size=saliency_map.shape[::-1])
                for name, box in boxes.items():
                    scores[aspect].setdefault(name, []).append(measure(box))
        for aspect in ASPECTS:
            means = {name: np.mean(values, axis=0) for name, values in scores[aspect].items()}
            remaining = [f"{means[name][0]:.3f}" for name in names]
            near = [f"{means[name][1]:.3f}" for name in ("centre", *COSTS)]
            print(f"| {title} | {len(chosen)} | {aspect} | {' | '.join(remaining)} | {' | '.join(near)} |", flush=True)


if __name__ == "__main__":
    main()
