"""No map has a higher expected score under a metric than the optimal one, if fixations follow the density."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from modeling_mlnet.metrics import cc, centre_map, kl, nss, optimal_map, sim
from modeling_mlnet.metrics.protocols import gaussian_density

SHAPE, SIGMA, FIXATIONS = (24, 32), 2.0, 40
RNG = np.random.default_rng(0)
CENTRE = centre_map(*SHAPE)
CENTRE /= CENTRE.sum()
DENSITY = CENTRE * (gaussian_filter(RNG.random(SHAPE) ** 40, 1.5) + 2e-3)
DENSITY /= DENSITY.sum()
PIXELS = RNG.choice(DENSITY.size, (200, FIXATIONS), p=DENSITY.ravel())  # none of those that the map is made of
DENSITIES = [gaussian_density(pixels, SHAPE, SIGMA) for pixels in PIXELS]
OPTIONS = {"sigma": SIGMA, "centre_bias": CENTRE, "fixations": FIXATIONS, "samples": 300, "seed": 5}


def auc(saliency_map, negatives):
    """The probability that the map is higher at x, drawn from DENSITY, than at y, drawn from `negatives`."""
    values = saliency_map.ravel()
    higher = (values[:, None] > values) + 0.5 * (values[:, None] == values)
    return DENSITY.ravel() @ higher @ negatives.ravel()


EXPECTED = {
    "AUC": lambda s: auc(s, np.full(SHAPE, 1 / DENSITY.size)),
    "sAUC": lambda s: auc(s, CENTRE),
    "NSS": lambda s: np.vdot(DENSITY, (s - s.mean()) / s.std()),
    "IG": lambda s: np.vdot(DENSITY, np.log2(s / s.sum())),
    "CC": lambda s: np.mean([cc(s, item) for item in DENSITIES]),
    "KL": lambda s: -np.mean([kl(s, item) for item in DENSITIES]),
    "SIM": lambda s: np.mean([sim(s, item) for item in DENSITIES]),
}


@pytest.mark.parametrize("metric", EXPECTED)
def test_no_other_map_is_expected_to_score_higher(metric):
    best = optimal_map(DENSITY, metric, **OPTIONS)
    score, expected = EXPECTED[metric](best), EXPECTED[metric]
    others = [optimal_map(DENSITY, name, **OPTIONS) for name in EXPECTED]
    others += [gaussian_filter(DENSITY, 1.0), DENSITY**1.3, DENSITY**0.7, DENSITY + 1e-3]
    others += [best * np.exp(RNG.normal(size=SHAPE) * 0.1) for _ in range(3)]
    tolerance = 2e-3 if metric in ("CC", "KL", "SIM") else 1e-12  # of the samples
    assert score >= max(map(expected, others)) - tolerance
    worse = optimal_map(DENSITY, "sAUC" if metric != "sAUC" else "AUC", **OPTIONS)
    assert score > expected(worse) + 5e-3


def test_the_map_for_cc_is_the_mean_of_standardised_densities():
    mean = np.mean([(item - item.mean()) / item.std() for item in DENSITIES], axis=0)
    assert EXPECTED["CC"](optimal_map(DENSITY, "CC", sigma=SIGMA)) > EXPECTED["CC"](mean - mean.min()) - 0.01


def test_the_map_for_sim_is_the_best_for_its_own_samples():
    options = {"sigma": SIGMA, "fixations": FIXATIONS, "samples": 8, "seed": 1}
    best = optimal_map(DENSITY, "SIM", **options)
    drawn = np.random.default_rng(1).choice(DENSITY.size, (8, FIXATIONS), p=DENSITY.ravel())
    densities = [gaussian_density(pixels, SHAPE, SIGMA) for pixels in drawn]
    assert best.sum() == pytest.approx(1)
    score = np.mean([sim(best, item) for item in densities])
    for _ in range(30):  # the mean SIM is concave: what no small change betters, nothing does
        change = gaussian_filter(RNG.normal(size=SHAPE), RNG.choice([0, 1, 3])) * best.max()
        second = np.maximum(best + 0.01 * change, 0)
        assert np.mean([sim(second, item) for item in densities]) <= score + 1e-7


def test_what_is_missing_is_said():
    with pytest.raises(ValueError, match=r"metric must be one of \['AUC', .*, got 'EMD'"):
        optimal_map(DENSITY, "EMD")
    for metric, name in (("CC", "sigma"), ("SIM", "sigma"), ("sAUC", "centre_bias")):
        with pytest.raises(ValueError, match=f"{metric} needs {name}"):
            optimal_map(DENSITY, metric)
    with pytest.raises(ValueError, match="above 0 everywhere"):
        optimal_map(DENSITY, "sAUC", centre_bias=np.zeros(SHAPE))


def test_the_map_for_nss_is_that_of_the_metric():
    points = np.stack([PIXELS[0] % 32, PIXELS[0] // 32], axis=1)
    empirical = np.bincount(PIXELS[0], minlength=DENSITY.size).reshape(SHAPE)
    assert nss(optimal_map(empirical, "NSS"), points) >= nss(DENSITY, points)
