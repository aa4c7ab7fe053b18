"""Metrics that look at a saliency map where people fixated: NSS, information gain and the AUC family.

S is the saliency map `(height, width)`, at least 0. Fixations are points `(n, 2)`, x and y in pixels, 0-based, the
centre of the first pixel being 0, or a fixation map that counts them (see `inputs.to_pixels`). Every fixation counts,
repeats too; a protocol that counts pixels instead removes repeats before. Without fixations every score is NaN. All
functions also take batches (see `inputs.batched`).

What official code draws at random is computed here as its exact expectation: the area under a curve over fixed
thresholds is linear in the false-positive rates, and the expected rate is the share of all candidates that reach a
threshold.
"""

from typing import Any, Literal

import numpy as np

from .density import EPS
from .inputs import batched, check_map, check_pair, min_max, sane, to_distribution, to_pixels

THRESHOLDS = np.arange(11) * 0.1  # Matlab's 0:.1:1; its rounding decides where 8-bit values equal a threshold

BUCKETS = 2**16  # enough to leave few pixels to sort, few enough to stay in the cache


@batched
def nss(saliency_map: Any, fixations: Any, *, ddof: int = 0) -> float:
    """Normalised scanpath saliency: mean of (S - mean(S)) / std(S) at the fixations.

    In standard deviations of the map; 0 is chance, higher is better. 0 for a constant map. Peters et al., Vision
    Research 2005.

    Args:
        saliency_map: `(height, width)`.
        fixations: Points or a fixation map.
        ddof: The standard deviation divides by pixels - ddof: 1 in the protocol `mit`, 0 in the others.

    Raises:
        ValueError: For NaN, infinite or negative values, or a fixation outside the map.
    """
    values = sane(check_map(saliency_map))  # NSS ignores scale
    pixels, counts = to_pixels(fixations, values.shape)
    if not counts.sum():
        return float("nan")
    std = values.std(ddof=ddof) if values.size > ddof else 0.0
    return float((np.average(values.ravel()[pixels], weights=counts) - values.mean()) / std) if std > 0 else 0.0


@batched
def information_gain(
    saliency_map: Any, fixations: Any, baseline: Any, *, min_max: bool = False, eps: float = EPS
) -> float:
    """Information gain over a baseline: mean of log2(eps + S) - log2(eps + B) at the fixations, both summing to 1.

    In bits per fixation; 0 is as good as the baseline, higher is better. It takes the map for the probability of a
    fixation, so a fixation on an exact 0 costs up to 52 bits. All 0 counts as uniform. Kümmerer et al., PNAS 2015.

    Args:
        saliency_map: `(height, width)`.
        fixations: Points or a fixation map.
        baseline: Usually a centre bias, `(height, width)`.
        min_max: Whether both maps are first shifted and scaled to 0..1, as the protocol `mit` does.
        eps: Keeps the logarithm finite; `mit` takes Matlab's.

    Raises:
        ValueError: As `nss`, and for a baseline of another size.
    """
    first, second = check_pair(saliency_map, baseline, "baseline")
    pixels, counts = to_pixels(fixations, first.shape)
    if not counts.sum():
        return float("nan")
    rescale = _min_max if min_max else np.asarray
    at_fixations = (np.log2(eps + to_distribution(rescale(one)).ravel()[pixels]) for one in (first, second))
    gain, loss = (np.average(one, weights=counts) for one in at_fixations)
    return float(gain - loss)


_min_max = min_max  # `information_gain` has an argument of this name


@batched
def auc_judd(
    saliency_map: Any,
    fixations: Any,
    *,
    negatives: Literal["unfixated", "all"] = "unfixated",
    ties: Literal["half", "ordered", "jitter"] = "half",
    seed: int = 0,
) -> float:
    """AUC-Judd: area under the ROC curve of fixated pixels against the rest of the picture.

    The probability that the map is higher at a fixation than at a negative, equal values counting half
    (Mann-Whitney): 0..1, 0.5 is chance and a constant map, higher is better; any monotone change of the map changes
    nothing. NaN if there is no negative. Judd et al., ICCV 2009; Bylinskii et al., TPAMI 2019.

    Args:
        saliency_map: `(height, width)`.
        fixations: Points or a fixation map.
        negatives: `"unfixated"`: all pixels without a fixation (`mit`); `"all"`: all pixels (`tuebingen`).
        ties: `"half"` is exact. For comparison with old tables, both over distinct pixels as in the official Matlab
            code: `"ordered"` takes the fixations of equal values one after the other, far too low on maps with many
            equal values; `"jitter"` does so after adding noise of up to 1e-7, a random number.
        seed: Of the noise.

    Raises:
        ValueError: As `nss`, and for unknown options.
    """
    if negatives not in ("unfixated", "all"):
        raise ValueError(f"negatives must be 'unfixated' or 'all', got {negatives!r}")
    if ties not in ("half", "ordered", "jitter") or (ties != "half" and negatives == "all"):
        raise ValueError(f"ties must be 'half', or with unfixated negatives 'ordered' or 'jitter', got {ties!r}")
    values = check_map(saliency_map).ravel()
    pixels, counts = to_pixels(fixations, np.shape(saliency_map))
    distinct = np.unique(pixels)
    if ties != "half":
        return _ordered_area(values, distinct, seed if ties == "jitter" else None)
    below, equal = _counts_below(values[pixels], values)
    total = values.size
    if negatives == "unfixated":
        below_fixated, equal_fixated = _counts_below(values[pixels], values[distinct])
        below, equal, total = below - below_fixated, equal - equal_fixated, total - len(distinct)
    return _mean_share(below, equal, total, counts)


@batched
def auc_borji(saliency_map: Any, fixations: Any, *, thresholds: np.ndarray = THRESHOLDS) -> float:
    """AUC-Borji: fixations against pixels drawn uniformly, over fixed thresholds of the map scaled to 0..1.

    0..1, 0.5 is chance and a constant map, higher is better. The exact expectation over the draws. Borji et al., TIP
    2013. With thresholds 0, .01, .., .99 it is the AUC of the SALICON challenge of 2015.

    Args:
        saliency_map: `(height, width)`.
        fixations: Points or a fixation map.
        thresholds: Ascending, in 0..1.

    Raises:
        ValueError: As `nss`.
    """
    values = min_max(check_map(saliency_map))
    pixels, counts = to_pixels(fixations, values.shape)
    flat = values.ravel()
    return _threshold_area(flat[pixels], counts, flat, None, thresholds)


@batched
def auc_shuffled(
    saliency_map: Any, fixations: Any, other_fixations: Any, *, thresholds: np.ndarray | None = None
) -> float:
    """Shuffled AUC (sAUC): fixations against those of other pictures, so that a centre bias earns nothing.

    0..1, 0.5 is chance and a constant map, higher is better. Exact, equal values counting half, or the exact
    expectation over fixed thresholds. NaN without other fixations. Tatler et al., Vision Research 2005; Zhang et al.,
    Journal of Vision 2008.

    Args:
        saliency_map: `(height, width)`.
        fixations: Points or a fixation map.
        other_fixations: Points or a fixation map, in pixels of this picture.
        thresholds: Ascending, in 0..1, for the map scaled to 0..1: `mit` takes 0, .1, .., 1 and `salicon2015`
            0, .01, .., .99; `None` (`tuebingen`) compares every fixation with every other one.

    Raises:
        ValueError: As `nss`.
    """
    values = check_map(saliency_map)
    pixels, counts = to_pixels(fixations, values.shape)
    other_pixels, other_counts = to_pixels(other_fixations, values.shape, "other_fixations")
    if thresholds is not None:
        low, scale = values.min(), max(np.ptp(values), np.finfo(np.float64).smallest_subnormal)
        at_fixations, at_others = ((values.ravel()[one] - low) / scale for one in (pixels, other_pixels))
        return _threshold_area(at_fixations, counts, at_others, other_counts, thresholds)
    flat = values.ravel()
    below, equal = _counts_below(flat[pixels], flat[other_pixels], other_counts)
    return _mean_share(below, equal, other_counts.sum(), counts)


def _mean_share(below: np.ndarray, equal: np.ndarray, total: int, counts: np.ndarray) -> float:
    """Mean over fixations of the share of negatives below them, equal ones counting half."""
    if total == 0 or not counts.sum():
        return float("nan")
    return float(np.average(below + equal / 2, weights=counts) / total)


def _counts_below(
    positives: np.ndarray, negatives: np.ndarray, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """How many negatives (or how much of their weight) lie below each positive, and how many equal it; exact.

    Only negatives that share a bucket with a positive are sorted; of the others it is enough to know the bucket.
    """
    if len(positives) == 0 or len(negatives) == 0:
        return np.zeros(len(positives)), np.zeros(len(positives))
    low, high = min(positives.min(), negatives.min()), max(positives.max(), negatives.max())
    of_positives, of_negatives = _buckets(positives, low, high), _buckets(negatives, low, high)
    shared = np.zeros(BUCKETS + 1, bool)
    shared[of_positives] = True
    far = np.bincount(of_negatives, weights, minlength=BUCKETS + 1)
    far[shared] = 0
    close = shared[of_negatives]
    candidates = negatives[close]
    if weights is None:
        candidates = np.sort(candidates)
        cumulated = np.arange(len(candidates) + 1.0)
    else:
        order = np.argsort(candidates)
        candidates = candidates[order]
        cumulated = np.concatenate([[0.0], np.cumsum(weights[close][order])])
    left = cumulated[np.searchsorted(candidates, positives, side="left")]
    right = cumulated[np.searchsorted(candidates, positives, side="right")]
    return np.cumsum(far)[of_positives] + left, right - left


def _buckets(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Which of BUCKETS equal parts of low..high a value falls into: never a higher one for a lower value."""
    parts = values - low
    scale = (high - low) / BUCKETS
    if scale > 0:
        parts /= scale
    return np.minimum(parts, BUCKETS, out=parts).astype(np.intp)


def _ordered_area(values: np.ndarray, pixels: np.ndarray, seed: int | None) -> float:
    """The trapezoid of the official AUC_Judd.m: the i-th highest fixated value as the i-th threshold."""
    if len(pixels) == 0 or len(pixels) == values.size:
        return float("nan")
    if seed is not None:
        values = values + np.random.default_rng(seed).random(values.size) / 1e7
    thresholds = np.sort(values[pixels])[::-1]
    reached = values.size - _counts_below(thresholds, values)[0]
    rank = np.arange(1, len(pixels) + 1)
    hits = np.concatenate([[0.0], rank / len(pixels), [1.0]])
    false_alarms = np.concatenate([[0.0], (reached - rank) / (values.size - len(pixels)), [1.0]])
    return float(np.trapezoid(hits, false_alarms))


def _threshold_area(
    positives: np.ndarray,
    counts: np.ndarray,
    negatives: np.ndarray,
    weights: np.ndarray | None,
    thresholds: np.ndarray,
) -> float:
    """Trapezoid over the points (1, 1), (share of negatives, share of positives reaching a threshold).., (0, 0)."""
    total = len(negatives) if weights is None else weights.sum()
    if total == 0 or not counts.sum():
        return float("nan")
    hits, false_alarms = [1.0], [1.0]
    for threshold in thresholds:  # they ascend: what does not reach one will reach none after it
        reached = negatives >= threshold
        negatives = negatives[reached]
        weights = None if weights is None else weights[reached]
        hits.append(counts @ (positives >= threshold) / counts.sum())
        false_alarms.append((len(negatives) if weights is None else weights.sum()) / total)
    return float(-np.trapezoid([*hits, 0.0], [*false_alarms, 0.0]))
