"""Draws examples.jpg for README.md and the card: four images above the embedded checkpoint's overlays.

python experiments/make_figures.py
"""

from pathlib import Path

import numpy as np
from PIL import Image

from modeling_mlnet import MINI, SaliencyPredictor
from modeling_mlnet.io.overlay import overlay

ROOT = Path(__file__).parent.parent
NAMES = ("astronaut", "chelsea", "coffee", "rocket")
HEIGHT, GAP = 240, 8


def main() -> None:
    """Writes the image."""
    predictor = SaliencyPredictor("mini")
    columns = []
    for name in NAMES:
        image = Image.open(ROOT / "tests" / "fixtures" / "images" / f"{name}.jpg").convert("RGB")
        image = image.resize((image.width * HEIGHT // image.height, HEIGHT), Image.Resampling.LANCZOS)
        gap = np.full((GAP, image.width, 3), 255, dtype=np.uint8)
        columns.append(np.vstack([image, gap, overlay(np.asarray(image), predictor(image))]))
        columns.append(np.full((2 * HEIGHT + GAP, GAP, 3), 255, dtype=np.uint8))
    Image.fromarray(np.hstack(columns[:-1])).save(MINI / "images" / "examples.jpg", quality=85)


if __name__ == "__main__":
    main()
