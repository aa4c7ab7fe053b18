"""Images far from 4:3, scored with and without overlapping windows.

Two kinds of real data: strips cut from images, where fixations in the strip are scored; and pages, images above or
beside each other, where every image is scored against its own fixations. Reads osie/, eyecrowd/ and mit1003/ in the
folder named by MLNET_DATA, the images that mini was not trained on. Prints the table of
docs/analysis.md.

    MLNET_DATA=DIR python experiments/tiles.py [--images 48]
"""

import argparse
import os
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from score_checkpoints import unseen_rows

from modeling_mlnet import SaliencyPredictor
from modeling_mlnet.analysis import predict_tiled
from modeling_mlnet.data import fixation_density
from modeling_mlnet.data.plausibility import sample_indices
from modeling_mlnet.metrics import auc_judd, cc, nss

NAMES = ("OSIE", "EyeCrowd", "MIT1003")
SIGMA = 0.03  # of the longer side of an image: blur of its density
LEAST = 20  # fixations in a strip that is scored


class Part(NamedTuple):
    """A part of an image that is scored by itself."""

    left: int
    top: int
    width: int
    height: int
    fixations: np.ndarray
    sigma: float


def strips(image: np.ndarray, fixations: np.ndarray, ratio: float) -> Iterator[tuple[np.ndarray, list[Part]]]:
    """The wide and the tall strip of an image with most fixations."""
    height, width = image.shape[:2]
    for is_wide in (True, False):
        size = (width, round(width / ratio)) if is_wide else (round(height / ratio), height)
        best: tuple[int, int, np.ndarray] = (0, 0, fixations[:0])
        for start in range(0, (height - size[1] if is_wide else width - size[0]) + 1, max(1, min(size) // 4)):
            corner = np.array([0, start] if is_wide else [start, 0])
            inside = ((fixations >= corner) & (fixations < corner + size)).all(axis=1)
            if inside.sum() > best[0]:
                best = (int(inside.sum()), start, fixations[inside] - corner)
        count, start, own = best
        if count >= LEAST:
            left, top = (0, start) if is_wide else (start, 0)
            part = Part(0, 0, *size, own, SIGMA * max(width, height))
            yield np.ascontiguousarray(image[top : top + size[1], left : left + size[0]]), [part]


def pages(images: list[tuple[np.ndarray, np.ndarray]], count: int) -> Iterator[tuple[np.ndarray, list[Part]]]:
    """Images of one size above each other, and beside each other, `count` at a time."""
    for start in range(0, len(images) - count + 1, count):
        chosen = images[start : start + count]
        height, width = chosen[0][0].shape[:2]
        for is_wide in (False, True):
            parts = []
            for number, (_, fixations) in enumerate(chosen):
                left, top = (number * width, 0) if is_wide else (0, number * height)
                parts.append(Part(left, top, width, height, fixations, SIGMA * max(width, height)))
            yield np.concatenate([image for image, _ in chosen], axis=int(is_wide)), parts


def score(saliency_map: np.ndarray, part: Part) -> list[float]:
    """NSS, AUC and CC of a part of a map."""
    values = saliency_map[part.top : part.top + part.height, part.left : part.left + part.width]
    pixels = np.rint(part.fixations).clip(0, [part.width - 1, part.height - 1])
    density = fixation_density(part.fixations, part.height, part.width, part.sigma)
    return [nss(values, pixels), auc_judd(values, pixels), cc(values, density)]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=48, help="at most so many of each set, evenly chosen")
    most = parser.parse_args().images
    predictor = SaliencyPredictor("mini", dtype="float32")
    print("| data set | shape | scored | NSS whole | windows | AUC whole | windows | CC whole | windows |")
    print("|---|---|---|---|---|---|---|---|---|")
    for title in NAMES:
        rows = unseen_rows(title, os.environ["MLNET_DATA"])
        images = []
        for index in sample_indices(len(rows), most):
            row = rows[index]
            images.append((np.asarray(row["image"].convert("RGB")), np.asarray(row["fixations"], np.float64)))
        shapes = [image.shape for image, _ in images]
        usual = max(set(shapes), key=shapes.count)
        alike = [image for image in images if image[0].shape == usual]
        kinds = {
            f"strip {ratio:g}:1": [case for image in images for case in strips(*image, ratio)] for ratio in (2.5, 4)
        }
        kinds |= {f"page of {count}": list(pages(alike, count)) for count in (3, 6)}
        for kind, cases in kinds.items():
            scores: list[list[list[float]]] = [[], []]
            for image, parts in cases:
                for number, tiles in enumerate(("off", "auto")):
                    saliency_map = predict_tiled(predictor, image, tiles)
                    scores[number] += [score(saliency_map, part) for part in parts]
            whole, tiled = np.mean(scores, axis=1)
            cells = [f"{value:.3f}" for pair in zip(whole, tiled, strict=True) for value in pair]
            print(f"| {title} | {kind} | {len(scores[0])} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
