"""Metrics that look at a saliency map where people fixated: NSS, information gain and the AUC family.

S is the saliency map `(height, width)`, at least 0. Fixations are points `(n, 2)`, x and y in pixels, 0-based, the
centre of the first pixel being 0, or a fixation map that counts them (see `inputs.to_pixels`). Every fixation counts,
repeats too; a protocol that counts pixels instead removes repeats before. Without fixations every score is NaN. All
functions also take batches (see `inputs.batched`).

Every AUC is linear in how many negatives reach each threshold, so one exact count serves them all (`_reaching`), and
what official code draws at random is computed as its expectation: that of a false-positive rate is the share of all
candidates that reach the threshold.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from .density import EPS
from .inputs import as_map, batched, check_map, check_range, sane, to_distributions, to_pixels

THRESHOLDS = np.arange(11) * 0.1  # Matlab's 0:.1:1; its rounding decides where 8-bit values equal a threshold

BUCKETS = 2**16  # enough to leave few pixels to compare, few enough for their table to stay in the cache
BLOCK = 2**15  # values at once, so that intermediate results stay in the cache
FEW = 16  # thresholds: a pass over the map for each is faster than the table


@batched
def nss(saliency_map: ArrayLike, fixations: ArrayLike, *, ddof: int = 0) -> float:
    """Normalised scanpath saliency: mean of (S - mean(S)) / std(S) at the fixations.

    In standard deviations of the map; any number, 0 is chance, higher is better. 0 for a constant map, NaN without
    fixations. Peters et al., Vision Research 2005.

    Args:
        saliency_map: `(height, width)`.
        fixations: Points or a fixation map.
        ddof: The standard deviation divides by pixels - ddof: 1 in the protocol `mit`, 0 in the others.

    Raises:
        ValueError: For NaN, infinite or negative values, or a fixation outside the map.
    """
    values = sane(check_map(saliency_map))  # NSS ignores scale
    pixels = to_pixels(fixations, values.shape)
    if len(pixels) == 0:
        return float("nan")
    if values.min() == values.max():  # the standard deviation would be a rounding error
        return 0.0
    std = values.std(ddof=ddof) if values.size > ddof else 0.0
    return float((values.ravel()[pixels].mean() - values.mean()) / std) if std > 0 else 0.0


@batched
def information_gain(
    saliency_map: ArrayLike, fixations: ArrayLike, baseline: ArrayLike, *, min_max: bool = False, eps: float = EPS
) -> float:
    """Information gain over a baseline: mean of log2(eps + S) - log2(eps + B) at the fixations, both summing to 1.

    In bits per fixation; from -log2(1 + 1/eps), about -52, to as much above 0; 0 is as good as the baseline, higher is
    better. It takes the map for the probability of a fixation, so a fixation on an exact 0 costs up to 52 bits. All 0
    counts as uniform; NaN without fixations. Kümmerer et al., PNAS 2015.

    Args:
        saliency_map: `(height, width)`.
        fixations: Points or a fixation map.
        baseline: Usually a centre bias, `(height, width)`.
        min_max: Whether both maps are first shifted and scaled to 0..1, as the protocol `mit` does.
        eps: Keeps the logarithm finite; `mit` takes Matlab's.

    Raises:
        ValueError: For maps of different sizes, NaN, infinite or negative values, or a fixation outside them.
    """
    first, second = to_distributions(saliency_map, baseline, min_max, "baseline")
    pixels = to_pixels(fixations, first.shape)
    if len(pixels) == 0:
        return float("nan")
    gain, loss = (np.log2(eps + values.ravel()[pixels]).mean() for values in (first, second))
    return float(gain - loss)


@batched
def log_likelihood(log_density: ArrayLike, fixations: ArrayLike) -> float:
    """Log-likelihood of a density: mean of ln p at the fixations, in nats per fixation; higher is better.

    Without anything that keeps it finite: minus infinity where the density holds a fixation for impossible. NaN
    without fixations. Less that of another density, and divided by ln 2, it is the information gain.

    Args:
        log_density: ln p `(height, width)`; exp of it sums to 1.
        fixations: Points or a fixation map.

    Raises:
        ValueError: If exp of the density does not sum to 1, or a fixation lies outside.
    """
    values = np.asarray(as_map(log_density), dtype=np.float64)
    total = np.exp(values).sum()
    if values.ndim != 2 or not abs(total - 1) < 1e-3:  # NaN, too; float32 rounds to 1e-6
        raise ValueError(f"exp of log_density (height, width) must sum to 1, got {total:g} of shape {values.shape}")
    shape: tuple[int, int] = values.shape
    pixels = to_pixels(fixations, shape)
    return float(values.ravel()[pixels].mean()) if len(pixels) else float("nan")


@batched
def auc_judd(
    saliency_map: ArrayLike,
    fixations: ArrayLike,
    *,
    negatives: Literal["unfixated", "all"] = "unfixated",
    ties: Literal["half", "ordered", "jitter"] = "half",
    seed: int = 0,
) -> float:
    """AUC-Judd: area under the ROC curve of fixated pixels against the rest of the image.

    The probability that the map is higher at a fixation than at a negative, equal values counting half
    (Mann-Whitney): 0..1, 0.5 is chance and a constant map, higher is better; any monotone change of the map changes
    nothing. NaN without fixations or without negatives. Judd et al., ICCV 2009; Bylinskii et al., TPAMI 2019.

    Args:
        saliency_map: `(height, width)`.
        fixations: Points or a fixation map.
        negatives: `"unfixated"`: all pixels without a fixation (`mit`); `"all"`: all pixels (`tuebingen`).
        ties: `"half"` is exact. For comparison with old tables, both over distinct pixels as in the official Matlab
            code: `"ordered"` takes the fixations of equal values one after the other, far too low on maps with many
            equal values; `"jitter"` does so after adding noise of up to 1e-7, a random number.
        seed: Seed of the noise.

    Raises:
        ValueError: For NaN, infinite or negative values, a fixation outside the map, or unknown options.
    """
    if negatives not in ("unfixated", "all"):
        raise ValueError(f"negatives must be 'unfixated' or 'all', got {negatives!r}")
    if ties not in ("half", "ordered", "jitter") or (ties != "half" and negatives == "all"):
        raise ValueError(f"ties must be 'half', or with unfixated negatives 'ordered' or 'jitter', got {ties!r}")
    values, _, high = check_range(saliency_map)
    pixels = to_pixels(fixations, values.shape)
    values, distinct = values.ravel(), np.unique(pixels)
    if ties != "half":
        return _ordered_area(values, distinct, seed if ties == "jitter" else None)
    wins, total = _wins(values[pixels], values, high), values.size
    if negatives == "unfixated":
        wins, total = wins - _wins(values[pixels], values[distinct], high), total - len(distinct)
    return wins / (total * len(pixels)) if total and len(pixels) else float("nan")


@batched
def auc_borji(saliency_map: ArrayLike, fixations: ArrayLike, *, thresholds: np.ndarray = THRESHOLDS) -> float:
    """AUC-Borji: fixations against pixels drawn uniformly, over fixed thresholds of the map scaled to 0..1.

    0..1, 0.5 is chance and a constant map, higher is better. The exact expectation over the draws. NaN without
    fixations. Borji et al., TIP 2013. With thresholds 0, .01, .., .99 it is the AUC of the SALICON challenge of 2015.

    Args:
        saliency_map: `(height, width)`.
        fixations: Points or a fixation map.
        thresholds: Ascending, in 0..1.

    Raises:
        ValueError: For NaN, infinite or negative values, or a fixation outside the map.
    """
    values, low, high = check_range(saliency_map)
    pixels = to_pixels(fixations, values.shape)
    return _threshold_area(values.ravel()[pixels], values.ravel(), thresholds, low, high)


@batched
def auc_shuffled(
    saliency_map: ArrayLike, fixations: ArrayLike, other_fixations: ArrayLike, *, thresholds: np.ndarray | None = None
) -> float:
    """Shuffled AUC (sAUC): fixations against those of other images, so that a centre bias earns nothing.

    0..1, 0.5 is chance and a constant map, higher is better. Exact, equal values counting half, or the exact
    expectation over fixed thresholds. NaN without fixations or other fixations. Tatler et al., Vision Research 2005;
    Zhang et al., Journal of Vision 2008.

    Args:
        saliency_map: `(height, width)`.
        fixations: Points or a fixation map.
        other_fixations: Points or a fixation map, in pixels of this image.
        thresholds: Ascending, in 0..1, for the map scaled to 0..1: `mit` takes 0, .1, .., 1 and `salicon2015`
            0, .01, .., .99; `None` (`tuebingen`) compares every fixation with every other one.

    Raises:
        ValueError: For NaN, infinite or negative values, or a fixation outside the map.
    """
    values, low, high = check_range(saliency_map)
    pixels = to_pixels(fixations, values.shape)
    other_pixels = to_pixels(other_fixations, values.shape, "other_fixations")
    at_fixations, at_others = (values.ravel()[at] for at in (pixels, other_pixels))
    if thresholds is not None:
        return _threshold_area(at_fixations, at_others, thresholds, low, high)
    pairs = len(at_fixations) * len(at_others)
    return _wins(at_fixations, at_others, high) / pairs if pairs else float("nan")


def _wins(positives: np.ndarray, negatives: np.ndarray, high: float) -> float:
    """In how many of all pairs the positive is the higher one, equal ones counting half; `high` as in `_reaching`."""
    thresholds = np.concatenate([positives, np.nextafter(positives, np.inf)])  # at least, and more than
    return len(positives) * len(negatives) - _reaching(negatives, thresholds, np.ones(len(thresholds)), high) / 2


def _reaching(values: np.ndarray, thresholds: np.ndarray, weights: np.ndarray, high: float) -> float:
    """How many values reach each threshold, summed with whole weights of at least 0; exact.

    Of many values only those are compared that share one of BUCKETS equal parts of the range from 0 with a threshold.
    What any other adds stands in a table.

    Args:
        values: From 0 to `high`.
    """
    if len(thresholds) <= FEW:
        return float(weights @ [np.count_nonzero(values >= threshold) for threshold in thresholds])
    order = np.argsort(thresholds)
    thresholds, adding = thresholds[order], np.concatenate([[0.0], np.cumsum(weights[order])])
    total = 0.0
    if len(values) > BUCKETS:
        scale = BUCKETS / max(high, 1e-300)
        taken = (np.minimum(thresholds, high) * scale).astype(np.int32)
        table = np.repeat(adding, np.diff(taken, prepend=0, append=BUCKETS + 1))
        table[taken] = -1.0
        ones, close = np.ones(BLOCK), []
        for start in range(0, len(values), BLOCK):
            block = values[start : start + BLOCK]
            added = table.take((block * scale).astype(np.int32), mode="clip")
            unsure = np.flatnonzero(added < 0)
            total += float(added @ ones[: len(added)]) + len(unsure)  # the product adds up faster than sum()
            close.append(block[unsure])
        values = np.sort(np.concatenate(close))
    return float(total + adding[np.searchsorted(thresholds, values, side="right")].sum())


def _ordered_area(values: np.ndarray, pixels: np.ndarray, seed: int | None) -> float:
    """The trapezoid of the official AUC_Judd.m: the i-th highest fixated value as the i-th threshold."""
    if len(pixels) == 0 or len(pixels) == values.size:
        return float("nan")
    if seed is not None:
        values = values + np.random.default_rng(seed).random(values.size) / 1e7
    thresholds = np.sort(values[pixels])[::-1]
    reached = values.size - np.searchsorted(np.sort(values), thresholds)
    rank = np.arange(1, len(pixels) + 1)
    hits = np.concatenate([[0.0], rank / len(pixels), [1.0]])
    false_alarms = np.concatenate([[0.0], (reached - rank) / (values.size - len(pixels)), [1.0]])
    return float(np.trapezoid(hits, false_alarms))


def _threshold_area(
    positives: np.ndarray, negatives: np.ndarray, thresholds: np.ndarray, low: float, high: float
) -> float:
    """Trapezoid over the points (1, 1), (share of negatives, share of positives reaching a threshold).., (0, 0).

    Args:
        thresholds: For the map scaled to 0..1, ascending.
        low: Least value of the map; `high`, its highest one.
    """
    if len(positives) == 0 or len(negatives) == 0:
        return float("nan")
    thresholds = _unscaled(thresholds, low, high)
    around = np.array([len(positives), *(np.count_nonzero(positives >= threshold) for threshold in thresholds), 0])
    above = thresholds > low  # all values reach the others
    weights = around[:-2] - around[2:]
    lost = _reaching(negatives, thresholds[above], weights[above], high) / len(negatives) + weights[~above].sum()
    return float((len(positives) + around[1] - lost) / (2 * len(positives)))


def _unscaled(thresholds: np.ndarray, low: float, high: float) -> np.ndarray:
    """For thresholds of a map scaled to 0..1, the least values that reach them, to the last digit."""
    scale = max(high - low, np.finfo(np.float64).smallest_subnormal)
    thresholds = np.asarray(thresholds, dtype=np.float64)
    least = thresholds * scale + low
    while (below := (least - low) / scale < thresholds).any():
        least[below] = np.nextafter(least[below], np.inf)
    while (reaching := (np.nextafter(least, -np.inf) - low) / scale >= thresholds).any():
        least[reaching] = np.nextafter(least[reaching], -np.inf)
    return least
