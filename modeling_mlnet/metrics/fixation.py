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

BUCKETS = 2**16  # enough to leave few pixels to sort, few enough for their table to stay in the cache
CHUNK = 2**15  # pixels at a time, for the same reason


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
    pixels = to_pixels(fixations, values.shape)
    if len(pixels) == 0:
        return float("nan")
    std = values.std(ddof=ddof) if values.size > ddof else 0.0
    return float((values.ravel()[pixels].mean() - values.mean()) / std) if std > 0 else 0.0


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
    pixels = to_pixels(fixations, first.shape)
    if len(pixels) == 0:
        return float("nan")
    rescale = _min_max if min_max else np.asarray
    gain, loss = (np.log2(eps + to_distribution(rescale(one)).ravel()[pixels]).mean() for one in (first, second))
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
    pixels = to_pixels(fixations, np.shape(saliency_map))
    distinct = np.unique(pixels)
    if ties != "half":
        return _ordered_area(values, distinct, seed if ties == "jitter" else None)
    below, equal = _counts_below(values[pixels], values)
    total = values.size
    if negatives == "unfixated":
        below_fixated, equal_fixated = _counts_below(values[pixels], values[distinct])
        below, equal, total = below - below_fixated, equal - equal_fixated, total - len(distinct)
    return _mean_share(below, equal, total)


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
    values = min_max(check_map(saliency_map)).ravel()
    return _threshold_area(values[to_pixels(fixations, np.shape(saliency_map))], values, thresholds)


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
    pixels = to_pixels(fixations, values.shape)
    other_pixels = to_pixels(other_fixations, values.shape, "other_fixations")
    at_fixations, at_others = (values.ravel()[one] for one in (pixels, other_pixels))
    if thresholds is None:
        return _mean_share(*_counts_below(at_fixations, at_others), len(at_others))
    low, scale = values.min(), max(np.ptp(values), np.finfo(np.float64).smallest_subnormal)
    return _threshold_area((at_fixations - low) / scale, (at_others - low) / scale, thresholds)


def _mean_share(below: np.ndarray, equal: np.ndarray, total: int) -> float:
    """Mean over fixations of the share of negatives below them, equal ones counting half."""
    return float(np.mean(below + equal / 2) / total) if total and len(below) else float("nan")


def _counts_below(positives: np.ndarray, negatives: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many negatives lie below each positive, and how many equal it; exact.

    Of many negatives only those that share a bucket with a positive are sorted. Of the others, which lie in gaps
    between such buckets, it is enough to count how many each gap holds.
    """
    far = np.zeros(len(positives), np.intp)
    if len(negatives) > BUCKETS and len(positives):
        low, high = negatives.min(), negatives.max()
        taken, which = np.unique(_buckets(positives, low, high), return_inverse=True)
        codes = 2 * np.searchsorted(taken, np.arange(BUCKETS + 1))  # even: how many taken buckets lie below a gap
        codes[taken] += 1  # odd: taken
        filled, close = np.zeros(2 * len(taken) + 1, np.intp), []
        for start in range(0, len(negatives), CHUNK):
            some = negatives[start : start + CHUNK]
            of_some = codes[_buckets(some, low, high)]
            filled += np.bincount(of_some, minlength=len(filled))
            close.append(some[(of_some & 1).astype(bool)])
        far = np.cumsum(filled[::2])[which]
        negatives = np.concatenate(close)
    ordered = np.sort(negatives)
    left, right = (np.searchsorted(ordered, positives, side=side) for side in ("left", "right"))
    return far + left, right - left


def _buckets(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Which of BUCKETS equal parts of low..high a value falls into: never a higher one for a lower value."""
    parts = values - low
    if high > low:
        parts /= (high - low) / BUCKETS or np.finfo(np.float64).smallest_subnormal
    return np.clip(parts, 0, BUCKETS, out=parts).astype(np.intp)


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


def _threshold_area(positives: np.ndarray, negatives: np.ndarray, thresholds: np.ndarray) -> float:
    """Trapezoid over the points (1, 1), (share of negatives, share of positives reaching a threshold).., (0, 0)."""
    if len(positives) == 0 or len(negatives) == 0:
        return float("nan")
    hits, false_alarms = (
        np.array([1.0, *(np.count_nonzero(one >= threshold) / len(one) for threshold in thresholds), 0.0])
        for one in (positives, negatives)
    )
    return float(-np.trapezoid(hits, false_alarms))
