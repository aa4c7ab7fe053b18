"""A second opinion: pysaliency, the code of the MIT/Tuebingen benchmark, on the maps of the golden set."""

import numpy as np
import pytest
import scores
from pytest import approx

from modeling_mlnet.metrics import PROTOCOLS, Evaluator, FixationPool

np.trapz = np.trapezoid  # pysaliency 0.2.22 still calls it by the name that NumPy 2.4 dropped
pysaliency = pytest.importorskip("pysaliency", reason="pysaliency is not installed (pip install -e '.[dev]')")
PICTURES = scores.pictures()


class Maps(pysaliency.SaliencyMapModel):
    """Gives the stored maps of one model for the stimuli, which carry their number in the first pixel."""

    def __init__(self, model: str):
        super().__init__()
        self.maps = [item.maps[model] for item in PICTURES]

    def _saliency_map(self, stimulus):
        return self.maps[stimulus[0, 0, 0]]


@pytest.fixture(scope="module")
def stimuli():
    numbered = [np.full((480, 640, 3), number, dtype=np.uint8) for number in range(len(PICTURES))]
    return pysaliency.Stimuli(numbered)


@pytest.fixture(scope="module")
def points():
    """Fixations `(x, y)` of every picture, every third of them twice: repeats count in this protocol."""
    result = [np.argwhere(item.fixations)[:, ::-1] for item in PICTURES]
    return [np.concatenate([item, item[::3]]) for item in result]


@pytest.fixture(scope="module")
def fixations(points):
    x, y = np.concatenate(points).T
    numbers = np.repeat(np.arange(len(points)), [len(item) for item in points])
    return pysaliency.Fixations.create_without_history(x, y, numbers)


@pytest.fixture(scope="module")
def rows(points):
    """Our scores under `tuebingen`, by model."""
    pool = FixationPool({item.name: (xy + 0.5) / [640, 480] for item, xy in zip(PICTURES, points, strict=True)})
    evaluator = Evaluator("tuebingen", pool)
    return {
        model: [
            evaluator.score(item.maps[model], xy, item.density, image_id=item.name)
            for item, xy in zip(PICTURES, points, strict=True)
        ]
        for model in scores.MODELS
    }


@pytest.mark.parametrize("model", scores.MODELS)
def test_the_auc_family_agrees(model, stimuli, fixations, rows):
    theirs = Maps(model)
    uniform = theirs.AUC_per_image(stimuli, fixations, nonfixations="uniform")
    shuffled = theirs.AUC_per_image(stimuli, fixations, nonfixations="shuffled")
    assert [row["AUC"] for row in rows[model]] == approx(list(uniform), abs=1e-7)
    assert [row["sAUC"] for row in rows[model]] == approx(list(shuffled), abs=1e-7)


@pytest.mark.parametrize("model", scores.MODELS)
def test_nss_cc_sim_and_kl_agree(model, points, rows):
    from pysaliency import metrics

    for item, xy, row in zip(PICTURES, points, rows[model], strict=True):
        saliency_map = item.maps[model]
        assert row["NSS"] == approx(metrics.NSS(saliency_map, *xy.T).mean(), abs=1e-7)
        assert row["CC"] == approx(metrics.CC(saliency_map, item.density), abs=1e-7)
        assert row["SIM"] == approx(metrics.SIM(saliency_map, item.density), abs=1e-7)
        assert row["KL"] == approx(metrics.MIT_KLDiv(saliency_map, item.density), abs=1e-7)


def test_densities_agree(stimuli, fixations, points):
    theirs = pysaliency.FixationMap(stimuli, fixations, kernel_size=24.0, convolution_mode="nearest")
    density = PROTOCOLS["tuebingen"].density(points[0] @ [1, 640], (480, 640), sigma=24.0)
    expected = theirs.saliency_map(stimuli[0])
    assert density / density.sum() == approx(expected / expected.sum(), abs=1e-12)
