"""Writes tests/fixtures/golden_maps.json anew: `python tests/golden_maps.py`, after a shipped checkpoint was changed.

For every shipped checkpoint the SHA-256 of its weights, and of every fixture image's map in float32 the values at 5x5
places, without and with the learned prior, for every kind of recording.
"""

import json
from pathlib import Path

import numpy as np

from modeling_mlnet import SaliencyPredictor
from modeling_mlnet.hub.registry import PACKAGE, WEIGHTS, read_manifest, sha256

FIXTURES = Path(__file__).parent / "fixtures"
GOLDEN = FIXTURES / "golden_maps.json"


def shipped() -> dict[str, Path]:
    """The folders of the checkpoints inside the package."""
    return {name: PACKAGE / entry.path for name, entry in read_manifest().items() if entry.path is not None}


def slices(folder: Path) -> dict[str, list[list[float]]]:
    """By image, prior and recording, 5x5 values of the map."""
    predictor, result = SaliencyPredictor(folder, device="cpu", dtype="float32"), {}
    for image in sorted((FIXTURES / "images").glob("*.jpg")):
        for apply_prior in (True, False):
            for recording in predictor.recordings or [None]:
                saliency_map = predictor(image, apply_prior=apply_prior, recording=recording)
                rows, columns = (np.linspace(0, side - 1, 7).astype(int)[1:-1] for side in saliency_map.shape)
                key = f"{image.name}, {'with' if apply_prior else 'without'} prior, {recording or 'the one kind'}"
                result[key] = saliency_map[np.ix_(rows, columns)].round(4).tolist()
    return result


if __name__ == "__main__":
    golden = {name: {"sha256": sha256(item / WEIGHTS), "maps": slices(item)} for name, item in shipped().items()}
    GOLDEN.write_text(json.dumps(golden, indent=1) + "\n", encoding="utf-8")
