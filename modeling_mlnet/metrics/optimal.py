"""The saliency map that a fixation density expects to score best, for each metric.

A density p says more than any map: it says how fixations will fall, and so which map has the highest expected score
under a metric. No map is best under all (Kümmerer, Wallis & Bethge, Saliency Benchmarking Made Easy, ECCV 2018).
Below, s is the map, u the even density, c the density of other images' fixations, and D the density of n fixations
drawn from p that the metric compares with: their counts blurred by a Gaussian G and scaled to sum to 1.

| metric | expected score of s | best map |
|---|---|---|
| AUC | P(s(x) > s(y)), x from p, y from u | p / u, that is p (Neyman-Pearson) |
| sAUC | the same, y from c | p / c (Neyman-Pearson) |
| NSS | sum p (s - mean) / std | p (Cauchy-Schwarz) |
| IG | sum p log2 s | p (Gibbs) |
| KL | sum E[D] ln 1/s and what s does not change | E[D] = G * p (Gibbs) |
| CC | the product of standardised s and E[D standardised] | E[D standardised], about G * p |
| SIM | sum E[min(s, D)], s summing to 1 | per pixel a quantile of D, at one level for all |

E[D] is G * p but for fixations at the edge, where the padding adds a little mass. For CC the two differ as far as the
standard deviation of D depends on its shape, which vanishes for many fixations. For SIM, the derivative of
E[min(s, D)] in one pixel is P(D > s); under the constraint that s sums to 1 it is the same in all pixels where s is
not 0, so that s is the quantile of D at one level everywhere, the level at which the quantiles sum to 1. The paper
maximises over samples by gradient ascent; here the maximum over samples is exact.
"""

import numpy as np
from numpy.typing import ArrayLike

from .inputs import check_map, check_pair, to_distribution
from .protocols import gaussian_density

OPTIMAL_MAPS = ("AUC", "AUC-Judd", "sAUC", "NSS", "IG", "CC", "KL", "SIM")


def optimal_map(
    density: ArrayLike,
    metric: str,
    *,
    sigma: float | None = None,
    centre_bias: ArrayLike | None = None,
    fixations: int = 100,
    samples: int = 100,
    seed: int = 0,
) -> np.ndarray:
    """The map of highest expected score under a metric of the protocol `tuebingen`, if fixations follow a density.

    Args:
        density: `(height, width)`, at least 0; it is scaled to sum to 1.
        metric: One of `OPTIMAL_MAPS`. `AUC-Judd` is with ties counting half.
        sigma: Standard deviation of the Gaussian that makes densities of fixations, in pixels, for CC, KL and SIM.
        centre_bias: Density of other images' fixations `(height, width)`, above 0, for sAUC.
        fixations: How many an image has, for SIM.
        samples: How many sets of fixations are drawn, for SIM.
        seed: Seed of the draws.

    Returns:
        Float64 `(height, width)`, at least 0.

    Raises:
        ValueError: If the metric is unknown, what it needs is missing, or a density is not one.
    """
    if metric not in OPTIMAL_MAPS:
        raise ValueError(f"metric must be one of {list(OPTIMAL_MAPS)}, got {metric!r}")
    if metric == "sAUC":
        if centre_bias is None:
            raise ValueError("sAUC needs centre_bias, the density of other images' fixations")
        first, second = check_pair(density, centre_bias, "centre_bias")
        if not second.all():
            raise ValueError("centre_bias must be above 0 everywhere")
        return to_distribution(first) / to_distribution(second)
    values = to_distribution(check_map(density))
    if metric not in ("CC", "KL", "SIM"):
        return values
    if sigma is None:
        raise ValueError(f"{metric} needs sigma, the standard deviation of the Gaussian behind densities, in pixels")
    if metric == "SIM":
        return _common_quantile(values, sigma, fixations, samples, np.random.default_rng(seed))

    from scipy.ndimage import gaussian_filter

    return gaussian_filter(values, sigma, mode="nearest")


def _common_quantile(
    density: np.ndarray, sigma: float, fixations: int, samples: int, rng: np.random.Generator
) -> np.ndarray:
    """The map with the highest mean SIM over sampled densities: between two order statistics, summing to 1."""
    drawn = rng.choice(density.size, (samples, fixations), p=density.ravel())
    shape: tuple[int, int] = density.shape
    ordered = np.empty((samples, *shape), np.float32)  # as float64 it would need a gigabyte for a large image
    for values, pixels in zip(ordered, drawn, strict=True):
        values[...] = to_distribution(gaussian_density(pixels, shape, sigma))
    ordered.sort(axis=0)
    sums = ordered.sum(axis=(1, 2), dtype=np.float64)  # ascending, and 1 on average
    upper = min(int(np.searchsorted(sums, 1)), samples - 1)
    lower = max(upper - 1, 0)
    share = (1 - sums[lower]) / (sums[upper] - sums[lower]) if sums[upper] > sums[lower] else 0.0
    return to_distribution((1 - share) * ordered[lower].astype(np.float64) + share * ordered[upper])
