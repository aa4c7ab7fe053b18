"""The field's scores of a saliency map, one short function each.

Maps and densities are float arrays `(height, width)`, at least 0; fixations are `(n, 2)` x and y in pixels of the map,
0-based, the centre of the first pixel being 0. All sums run in float64.
"""

import numpy as np

EPS = 2.2204e-16  # the constant of the official Matlab code


def check_map(saliency_map: np.ndarray, name: str = "saliency_map") -> np.ndarray:
    """The map as float64.

    Raises:
        ValueError: If it is not a two-dimensional array of finite values of at least 0.
    """
    values = np.asarray(saliency_map, dtype=np.float64)
    if values.ndim != 2 or values.size == 0:
        raise ValueError(f"{name} must be (height, width), got shape {values.shape}")
    if not np.isfinite(values).all() or values.min() < 0:
        raise ValueError(f"{name} must hold finite values of at least 0, got {values.min():g} to {values.max():g}")
    return values


def _check_pair(saliency_map: np.ndarray, density: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    first, second = check_map(saliency_map), check_map(density, "density")
    if first.shape != second.shape:
        raise ValueError(f"saliency_map and density must have one shape, got {first.shape} and {second.shape}")
    return first, second


def values_at(saliency_map: np.ndarray, fixations: np.ndarray) -> np.ndarray:
    """The map's values at the pixels of fixations, one per fixation, repeats included.

    Raises:
        ValueError: If a fixation lies outside the map.
    """
    points = np.floor(np.asarray(fixations, dtype=np.float64).reshape(-1, 2) + 0.5).astype(np.int64)
    height, width = saliency_map.shape
    outside = (points < 0).any(axis=1) | (points[:, 0] >= width) | (points[:, 1] >= height)
    if outside.any():
        x, y = np.asarray(fixations).reshape(-1, 2)[outside][0]
        raise ValueError(f"fixation ({x:g}, {y:g}) lies outside the map of {width}x{height} px")
    return saliency_map[points[:, 1], points[:, 0]]


def cc(saliency_map: np.ndarray, density: np.ndarray) -> float:
    """Pearson's correlation between map and density, -1..1, higher is better; 0 if one of them is constant."""
    first, second = (one - one.mean() for one in _check_pair(saliency_map, density))
    norm = np.sqrt((first**2).sum() * (second**2).sum())
    return float((first * second).sum() / norm) if norm > 0 else 0.0


def sim(saliency_map: np.ndarray, density: np.ndarray) -> float:
    """Histogram intersection, the sum of min(S, G) with both summing to 1; 0..1, higher is better.

    A map or density that is 0 everywhere counts as uniform. Judd et al., MIT-CSAIL-TR-2012-001.
    """
    first, second = (_to_distribution(one) for one in _check_pair(saliency_map, density))
    return float(np.minimum(first, second).sum())


def kl(saliency_map: np.ndarray, density: np.ndarray) -> float:
    """Kullback-Leibler divergence, sum of G ln(eps + G / (S + eps)) in nats; 0 or more, lower is better.

    Both sum to 1; eps = 2.2204e-16 as in the MIT Saliency Benchmark. All 0 counts as uniform.
    """
    first, second = (_to_distribution(one) for one in _check_pair(saliency_map, density))
    return float((second * np.log(EPS + second / (first + EPS))).sum())


def _to_distribution(values: np.ndarray) -> np.ndarray:
    total = values.sum()
    return values / total if total > 0 else np.full_like(values, 1 / values.size)


def nss(saliency_map: np.ndarray, fixations: np.ndarray) -> float:
    """Normalised scanpath saliency: mean of (S - mean) / std at the fixations; 0 is chance, higher is better.

    The standard deviation divides by the number of pixels, every fixation counts (Peters et al., Vision Research
    2005; protocol `tuebingen`). 0 for a constant map, NaN without fixations.
    """
    values = check_map(saliency_map)
    at_fixations = values_at(values, fixations)
    if len(at_fixations) == 0:
        return float("nan")
    std = values.std()
    return float((at_fixations.mean() - values.mean()) / std) if std > 0 else 0.0


def auc(saliency_map: np.ndarray, fixations: np.ndarray) -> float:
    """Area under the ROC curve of fixations against all pixels, exact, equal values counting half.

    0..1, 0.5 is chance, higher is better; NaN without fixations (protocol `tuebingen`).
    """
    values = check_map(saliency_map)
    return _area(values_at(values, fixations), values.ravel())


def auc_shuffled(saliency_map: np.ndarray, fixations: np.ndarray, other_fixations: np.ndarray) -> float:
    """Shuffled AUC: the negatives are the fixations of all other pictures, so that a centre bias earns nothing.

    0..1, 0.5 is chance, higher is better; exact, equal values count half; NaN without fixations on either side
    (protocol `tuebingen`; Tatler et al., Vision Research 2005).
    """
    values = check_map(saliency_map)
    return _area(values_at(values, fixations), values_at(values, other_fixations))


def _area(positives: np.ndarray, negatives: np.ndarray) -> float:
    """Probability that a positive exceeds a negative, ties counting half (Mann-Whitney)."""
    if len(positives) == 0 or len(negatives) == 0:
        return float("nan")
    ordered = np.sort(negatives)
    below = np.searchsorted(ordered, positives, side="left")
    not_above = np.searchsorted(ordered, positives, side="right")
    return float((below + not_above).sum() / (2 * len(positives) * len(negatives)))
