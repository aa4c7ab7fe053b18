"""On real fixation data, read from the folder named by MLNET_DATA (layout in the docstring of `specs`)."""

import os
from pathlib import Path

import numpy as np
import pytest

from modeling_mlnet import SaliencyPredictor
from modeling_mlnet.data import load, scan
from modeling_mlnet.evaluation import evaluate

DATA = os.environ.get("MLNET_DATA")
pytestmark = pytest.mark.skipif(DATA is None, reason="MLNET_DATA does not name a folder with salicon/, osie/, ...")


def specs() -> dict[str, tuple[str, int]]:
    """Data set specification and number of pictures: salicon/, osie/, eyecrowd/ and sun500/ below MLNET_DATA."""
    folder = Path(DATA or "")
    return {
        "salicon": (f"salicon:{folder / 'salicon'}", 590),
        "osie": (f"osie:{folder / 'osie'}", 500),
        "eyecrowd": (f"folder:{folder / 'eyecrowd'}", 400),
        "sun500": (f"folder:{folder / 'sun500'}", 400),
    }


@pytest.mark.parametrize("name", ["salicon", "osie", "eyecrowd", "sun500"])
def test_every_picture_is_found_whole_with_fixations(name):
    spec, count = specs()[name]
    found = scan(spec)
    assert len(found.records) == count and not found.problems
    assert min(len(record.fixations) for record in found.records) > 10


def test_salicon_maps_are_where_the_fixations_are():
    rows = load(specs()["salicon"][0]).select(range(20))
    for row in rows:
        density = np.asarray(row["saliency_map"], dtype=float)
        points = np.asarray(row["fixations"]).astype(int)
        assert density[points[:, 1], points[:, 0]].mean() > 1.5 * density.mean()


@pytest.mark.parametrize(("name", "least"), [("salicon", 0.82), ("osie", 0.80)])
def test_mini_beats_the_centre_on_pictures_it_was_not_trained_on(name, least):
    rows = load(specs()[name][0], held_out=0.1)
    predictor = SaliencyPredictor("mini")
    ours = evaluate(rows, lambda dataset: predictor.maps(row["image"] for row in dataset))["metrics"]
    centre = evaluate(rows, "centre")["metrics"]
    assert ours["CC"]["mean"] > least
    for metric in ("CC", "SIM", "NSS", "AUC", "sAUC"):
        assert ours[metric]["low"] > centre[metric]["high"], metric
    assert ours["KL"]["high"] < centre["KL"]["low"]
