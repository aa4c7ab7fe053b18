"""The scores of official evaluators and the maps they were given; see fixtures/README.md."""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

MIT = Path(__file__).parent / "fixtures" / "mit"
SALICON2015 = Path(__file__).parent / "fixtures" / "salicon2015.json"
MODELS = ("bms", "noisy", "sparse")


@dataclass(frozen=True)
class Picture:
    """A picture's fixations, density and saliency maps, all 480x640 and 0..255."""

    name: str
    fixations: np.ndarray
    density: np.ndarray
    maps: dict[str, np.ndarray]


def _read(name: str) -> np.ndarray:
    with Image.open(MIT / "maps" / f"{name}.png") as image:
        return np.asarray(image, dtype=np.float64)


@cache
def pictures() -> list[Picture]:
    return [
        Picture(
            name,
            _read(f"{name}_fixations") > 0,
            _read(f"{name}_density"),
            {model: _read(f"{name}_{model}") for model in MODELS},
        )
        for name in (MIT / "names.txt").read_text().split()
    ]


@cache
def centre() -> np.ndarray:
    """The baseline of the official information gain."""
    return _read("center")


@cache
def official() -> list[dict[str, float | str]]:
    """The 30 rows of the official Matlab code; `index` counts pictures from 1."""
    with open(MIT / "scores.csv", encoding="utf-8") as file:
        return [
            {key: value if key == "model" else float(value) for key, value in row.items()}
            for row in csv.DictReader(file)
        ]
