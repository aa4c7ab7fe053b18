"""Harel, Koch, Perona: Graph-based visual saliency. NIPS 2006."""

import numpy as np

from .filters import fit_size, gabor_energy, intensity, opponent_colours, pyramid, resized, to_unit_range

LONGER_SIDE = 32  # nodes; this and the next four are the defaults of the authors' program (makeGBVSParams)
SCALES = (2, 3, 4)  # 1/4, 1/8 and 1/16 of the image
ORIENTATIONS = (0, 45, 90, 135)  # degrees
ACTIVATION_SIGMA = 0.15  # of the longer side; the paper: between a tenth and a fifth
NORMALIZATION_SIGMA = 0.06


def gbvs(image: np.ndarray) -> np.ndarray:
    """Places that differ from those around them, found by a random walk on a complete graph of the image's places.

    A walker on a feature map M steps from i to j with a probability proportional to |M(i) - M(j)| times their
    closeness; where it dwells is the activation A. A second walk, with weights A(j) times closeness, gathers the mass
    at the strongest places (of the two dissimilarities that the paper offers, the one without a logarithm).

    Feature maps are intensity, opponent colours and orientations; maps are averaged within a kind and summed over the
    kinds. The authors' program blurs the result a little and attenuates its borders, which the paper does not.

    Args:
        image: RGB, uint8 `(height, width, 3)`.

    Returns:
        float32 `(height, width)`, 0..1.
    """
    shape = fit_size(image.shape, LONGER_SIDE)
    near, nearer = (closeness(shape, fraction * LONGER_SIDE) for fraction in (ACTIVATION_SIGMA, NORMALIZATION_SIGMA))
    grey = pyramid(intensity(image), SCALES[-1] + 1)
    colours = [pyramid(channel, SCALES[-1] + 1) for channel in opponent_colours(image)]
    kinds = [
        [grey[scale] for scale in SCALES],
        [levels[scale] for levels in colours for scale in SCALES],
        [gabor_energy(grey[scale], degrees) for degrees in ORIENTATIONS for scale in SCALES],
    ]
    total = np.zeros(shape)
    for maps in kinds:
        for values in maps:
            activation = activate(resized(values, shape).ravel(), near)
            total += concentrate(activation, nearer).reshape(shape) / len(maps)
    return to_unit_range(resized(to_unit_range(total * total.size), image.shape[:2]))


def closeness(shape: tuple[int, int], sigma: float) -> np.ndarray:
    """`(n, n)`, F of the paper: a Gaussian of the distance between every two of the n places of a grid."""
    squares = (np.subtract.outer(np.arange(size), np.arange(size)) ** 2 for size in shape)
    down, across = (np.exp(-distances / (2 * sigma**2)) for distances in squares)
    return np.kron(down, across)


def activate(values: np.ndarray, near: np.ndarray) -> np.ndarray:
    """The share of time that the first walk spends at each place; none if all are alike.

    Its weights are symmetric, so the walk is in balance step by step: the equilibrium is every node's sum of weights,
    and no eigenvector has to be computed.

    Args:
        values: Feature map, `(n,)`.
        near: Result of `closeness`.
    """
    return _shares((np.abs(np.subtract.outer(values, values)) * near).sum(axis=1))


def concentrate(activation: np.ndarray, near: np.ndarray) -> np.ndarray:
    """The share of time that the second walk spends at each place.

    Weights A(j) F(i, j) lead to the same probabilities as A(i) A(j) F(i, j), which is symmetric, as above.
    """
    return _shares(activation * (near @ activation))


def _shares(strengths: np.ndarray) -> np.ndarray:
    total = strengths.sum()
    return strengths / total if total > 0 else strengths
