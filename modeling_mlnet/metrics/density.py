"""Metrics that compare a saliency map with a fixation density: CC, SIM, KL and EMD.

S is the saliency map and G the density of the fixations, both `(height, width)` of one size and at least 0; sums run
over all pixels, in float64. All functions also take batches (see `inputs.batched`).
"""

import numpy as np
from numpy.typing import ArrayLike

from .inputs import batched, check_pair, sane, to_distribution, to_distributions

EPS = 2.2204e-16  # as pysaliency has it; Matlab's own, 2.220446e-16, is an option, as 0 at a fixation makes it count


@batched
def cc(saliency_map: ArrayLike, density: ArrayLike) -> float:
    """Pearson's linear correlation between S and G.

    cov(S, G) / (std(S) std(G)); -1..1, higher is better; shifting or scaling a map changes nothing. 0 if one of them
    is constant. Le Meur et al., Vision Research 2007; equal in all three protocols.

    Args:
        saliency_map: `(height, width)`.
        density: `(height, width)`.

    Raises:
        ValueError: For maps of different sizes, maps that are not `(height, width)`, NaN, infinite or negative values.
    """
    pair = check_pair(saliency_map, density)
    if any(values.min() == values.max() for values in pair):  # the remainder would be a rounding error
        return 0.0
    first, second = (values - values.mean() for values in map(sane, pair))
    norm = np.sqrt(np.vdot(first, first) * np.vdot(second, second))
    return float(np.vdot(first, second) / norm) if norm > 0 else 0.0


@batched
def sim(saliency_map: ArrayLike, density: ArrayLike, *, min_max: bool = False) -> float:
    """Similarity, or histogram intersection: sum of min(S, G), both scaled to sum to 1.

    0..1, higher is better. All 0 counts as uniform. Judd et al., MIT-CSAIL-TR-2012-001.

    Args:
        saliency_map: `(height, width)`.
        density: `(height, width)`.
        min_max: Whether both are first shifted and scaled to 0..1, as the protocol `mit` does.

    Raises:
        ValueError: For maps of different sizes, NaN, infinite or negative values.
    """
    first, second = to_distributions(saliency_map, density, min_max)
    return float(np.minimum(first, second, out=first).sum())


@batched
def kl(saliency_map: ArrayLike, density: ArrayLike, *, eps: float = EPS) -> float:
    """Kullback-Leibler divergence of S from G: sum of G ln(eps + G / (S + eps)), both scaled to sum to 1.

    In nats; 0 or more, lower is better. It punishes missed fixations hard: a map of exact zeros where people looked
    scores worse than no map. All 0 counts as uniform. Bylinskii et al., TPAMI 2019.

    Args:
        saliency_map: `(height, width)`.
        density: `(height, width)`.
        eps: Keeps the logarithm finite; `mit` takes Matlab's.

    Raises:
        ValueError: For maps of different sizes, NaN, infinite or negative values.
    """
    first, second = to_distributions(saliency_map, density)
    first += eps
    np.divide(second, first, out=first)
    first += eps
    return float(np.vdot(second, np.log(first, out=first)))


@batched
def emd(saliency_map: ArrayLike, density: ArrayLike, *, cell: int = 32) -> float:
    """Earth mover's distance: the least work that turns S into G, both averaged over cells and scaled to sum to 1.

    min over flows f >= 0 of sum f(i, j) |i - j|, where f takes S(i) out of every cell i and brings G(j) into every
    cell j. Exact, by linear programming (POT). In cells (the distance between neighbouring cells is 1); from 0 to the
    grid's diagonal, lower is better. All 0 counts as uniform. Rubner et al., IJCV 2000; the protocol `mit` reduces
    maps to 1/32.

    Args:
        saliency_map: `(height, width)`.
        density: `(height, width)`.
        cell: Side of a cell in pixels. Where sides are no multiple of it, cells are a little smaller.

    Raises:
        ValueError: For maps of different sizes, NaN, infinite or negative values.
        ModuleNotFoundError: If POT is not installed (`pip install 'mlnet-saliency[eval]'`).
    """
    import ot

    pair = check_pair(saliency_map, density)
    first, second = (to_distribution(_cell_means(values, cell)) for values in pair)
    places = np.argwhere(np.ones_like(first))  # row and column of every cell
    cost = np.linalg.norm(places[:, None] - places, axis=2)
    return float(ot.emd2(first.ravel(), second.ravel(), cost, numItermax=10**7))


def _cell_means(values: np.ndarray, cell: int) -> np.ndarray:
    """Means over a grid of ceil(side / cell) equal cells; a pixel on a border counts to both sides by its share."""
    rows, columns = (_shares(side, -(-side // cell)) for side in values.shape)
    return rows @ values @ columns.T


def _shares(side: int, cells: int) -> np.ndarray:
    """`(cells, side)`: which share of a cell each pixel covers."""
    edges = np.arange(cells + 1) * side / cells
    pixels = np.arange(side)
    covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.clip(covered, 0, None) * cells / side
