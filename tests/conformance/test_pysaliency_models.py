"""ML-Net as a model of pysaliency, and pysaliency's models and data sets scored here: both score alike."""

import numpy as np
import pytest

np.trapz = np.trapezoid  # pysaliency 0.2.22 still calls it by the name that NumPy 2.4 dropped
pysaliency = pytest.importorskip("pysaliency", reason="pysaliency is not installed (pip install -e '.[dev]')")

from modeling_mlnet import SaliencyPredictor  # noqa: E402
from modeling_mlnet.evaluation.evaluate import evaluate  # noqa: E402
from modeling_mlnet.evaluation.pysaliency_models import (  # noqa: E402
    MLNetSaliencyModel,
    from_rows,
    maps_of,
    to_rows,
)
from modeling_mlnet.evaluation.truths import fixation_pool, read_truths  # noqa: E402
from modeling_mlnet.inference.density import Calibration  # noqa: E402
from modeling_mlnet.metrics import log_likelihood  # noqa: E402


@pytest.fixture(scope="module")
def data():
    """Stimuli of two sizes, colour and grey, and fixations between pixels."""
    rng = np.random.default_rng(0)
    shapes = [(48, 64, 3), (60, 40, 3), (48, 64)]
    stimuli = pysaliency.Stimuli([rng.integers(0, 256, shape, np.uint8) for shape in shapes])
    numbers = np.repeat(np.arange(3), [20, 30, 25])
    x, y = (rng.random(75) * np.array([shapes[n][axis] for n in numbers]) for axis in (1, 0))
    return stimuli, pysaliency.Fixations.create_without_history(x, y, numbers, np.arange(75) % 4)


@pytest.fixture
def model(small_checkpoint):
    predictor = SaliencyPredictor(small_checkpoint, dtype="float32")
    predictor.calibration = Calibration(1.3, 0.02, 0.5, 0.05, [[-1.0, 0.0, -1.0]] * 2)
    return MLNetSaliencyModel(predictor)


class Centre(pysaliency.Model):
    """The centre bias that information gain is measured over here."""

    def __init__(self, pool):
        super().__init__()
        self.pool = pool

    def _log_density(self, stimulus):
        values = self.pool.centre_map(*stimulus.shape[:2])
        return np.log(values / values.sum())


def test_log_likelihood_and_information_gain_are_the_same(data, model):
    stimuli, fixations = data
    rows = to_rows(stimuli, fixations)
    truths = list(read_truths(rows))
    ours = [log_likelihood(model.log_density(stimuli[n]), truth.fixations) for n, truth in enumerate(truths)]
    theirs = model.log_likelihoods(stimuli, fixations)
    assert ours == pytest.approx([theirs[fixations.n == n].mean() for n in range(3)], abs=1e-9)
    scores = evaluate(rows, maps_of(model))["metrics"]
    centre = Centre(fixation_pool(truths))
    assert scores["IG"]["mean"] == pytest.approx(model.information_gain(stimuli, fixations, centre), abs=1e-6)
    aucs = pysaliency.DensitySaliencyMapModel(model).AUC_per_image(stimuli, fixations, nonfixations="uniform")
    assert scores["AUC"]["mean"] == pytest.approx(np.mean(aucs), abs=1e-7)


def test_saliency_map_models_are_scored_too(data):
    stimuli, fixations = data

    class BelowZero(pysaliency.GaussianSaliencyMapModel):
        def _saliency_map(self, stimulus):
            return super()._saliency_map(stimulus) - 1.0

    theirs = BelowZero(width=0.2)
    scores = evaluate(to_rows(stimuli, fixations), maps_of(theirs))["metrics"]
    per_image = [theirs.NSSs(stimuli, fixations)[fixations.n == n].mean() for n in range(3)]
    assert scores["NSS"]["mean"] == pytest.approx(np.mean(per_image), abs=1e-7)
    with pytest.raises(ValueError, match="expected a Model or SaliencyMapModel of pysaliency, got str"):
        maps_of("AIM")


def test_data_sets_go_there_and_back(data):
    stimuli, fixations = data
    rows = to_rows(stimuli, fixations, sigma=3.0)
    again, points = from_rows(rows)
    for before, after in zip(stimuli, again, strict=True):
        before = before.stimulus_data
        np.testing.assert_array_equal(after.stimulus_data, before if before.ndim == 3 else np.stack([before] * 3, 2))
    for name in ("x_int", "y_int", "n", "subjects"):
        np.testing.assert_array_equal(getattr(points, name), getattr(fixations, name))
    assert set(rows["sigma"]) == {3.0}
