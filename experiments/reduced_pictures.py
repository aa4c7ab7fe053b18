"""What a soft picture does to mlnet-mini: pictures as they are, and reduced to 256x256 and enlarged again.

The SALICON pictures that it was trained on had been reduced so; the other sets' had not. Prints the mean CC under
`tuebingen` of both, and the part of the picture where the map is above a half, on the pictures that training kept out
and on SALICON's ten example pictures in full resolution, none of which is among those trained on.

    MLNET_DATA=DIR python experiments/reduced_pictures.py
"""

import os
from collections.abc import Iterator

import numpy as np
from datasets import Dataset
from PIL import Image
from score_mini import DATASETS, HELD_OUT

from modeling_mlnet import SaliencyPredictor
from modeling_mlnet.data import load
from modeling_mlnet.evaluation.evaluate import evaluate


def reduced(picture: Image.Image) -> Image.Image:
    """As the SALICON pictures at hand were made."""
    bilinear = Image.Resampling.BILINEAR
    return picture.resize((256, 256), bilinear).resize(picture.size, bilinear)


def main() -> None:
    """Measures and prints."""
    data = os.environ["MLNET_DATA"]
    predictor = SaliencyPredictor("mini", dtype="float32")
    sets = {name: load(spec.format(data), held_out=HELD_OUT) for name, spec in DATASETS.items()}
    sets["SALICON's ten examples"] = load(f"salicon:{data}/salicon_examples")
    print("| data set | pictures | CC | reduced | above a half | reduced |\n|---|---|---|---|---|---|")
    for name, rows in sets.items():
        cells = []
        for change in (lambda picture: picture, reduced):
            pictures: Iterator[Image.Image] = (change(row["image"]) for row in rows.select_columns("image"))
            maps = list(predictor.maps(pictures))
            cells.append((mean_cc(rows, maps), float(np.mean([(one > 0.5).mean() for one in maps]))))
        (own, area), (soft, soft_area) = cells
        print(f"| {name} | {len(rows)} | {own:.3f} | {soft:.3f} | {area:.3f} | {soft_area:.3f} |", flush=True)


def mean_cc(rows: Dataset, maps: list[np.ndarray]) -> float:
    """Under `tuebingen`."""
    return evaluate(rows, lambda rows: maps)["metrics"]["CC"]["mean"]


if __name__ == "__main__":
    main()
