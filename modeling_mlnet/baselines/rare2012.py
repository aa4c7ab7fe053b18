"""Riche et al.: RARE2012: a multi-scale rarity-based saliency detection with its comparative statistical analysis.

Signal Processing: Image Communication 28(6), 2013.
"""

import numpy as np

from .filters import FLAT, fit_size, gabor_energy, pyramid, resized, to_unit_range

ORIENTATIONS = 8  # this and the next three are the defaults of the authors' program (genParams)
SCALES = 3  # of the Gabor filters
LEVELS = 4  # of the rarity
THRESHOLD = 0.3  # of the greatest efficiency: less efficient maps are left out
LONGER_SIDE = 320  # px
BINS = 11  # of the histograms, as in the same group's DeepRare2019


def rare2012(image: np.ndarray) -> np.ndarray:
    """Saliency by rarity: how improbable a pixel's colour and orientation are within its image.

    The three principal components of the colours, and the answers of Gabor filters to them, are each measured by the
    self-information of their values at several resolutions; maps are summed with weights for having few, high peaks.

    The authors' program is distributed compiled and this one has not been compared with it. `LONGER_SIDE`, the Gabor
    filters, which are those of `filters`, and the number of bins are this package's.

    Args:
        image: RGB, uint8 `(height, width, 3)`.

    Returns:
        float32 `(height, width)`, 0..1.
    """
    shape = fit_size(image.shape, LONGER_SIDE)
    colours = np.stack([resized(channel / 255, shape) for channel in np.moveaxis(image, 2, 0)], axis=2)
    channels = []
    for component in np.moveaxis(principal_components(colours), 2, 0):
        levels = pyramid(component, SCALES)
        maps = []
        for degrees in np.arange(ORIENTATIONS) * 180 / ORIENTATIONS:
            energies = [resized(gabor_energy(level, degrees), shape) for level in levels]
            maps.append(rarity(np.sum(energies, axis=0)))
        orientation = fused(maps)
        channels.append(fused([rarity(component), orientation]))
    return to_unit_range(resized(fused(channels), image.shape[:2]))


def principal_components(colours: np.ndarray) -> np.ndarray:
    """Decorrelated colours: `(height, width, 3)` along the principal axes of those in the image."""
    centred = colours.reshape(-1, 3) - colours.mean(axis=(0, 1), dtype=np.float64)
    axes = np.linalg.eigh(centred.T @ centred)[1]
    return (centred @ axes).reshape(colours.shape)


def rarity(values: np.ndarray) -> np.ndarray:
    """The self-information -log p of every value in the histogram of its map, summed over a pyramid, 0..1."""
    total = np.zeros(values.shape, dtype=np.float32)
    for level in pyramid(values, LEVELS):
        if np.ptp(level) <= FLAT:
            continue
        bins = np.minimum(to_unit_range(level) * BINS, BINS - 1).astype(np.intp)
        counts = np.bincount(bins.ravel(), minlength=BINS)
        total += resized(-np.log(counts / bins.size, where=counts > 0, out=np.zeros(BINS))[bins], values.shape)
    return to_unit_range(total)


def fused(maps: list[np.ndarray]) -> np.ndarray:
    """A weighted sum of maps in 0..1, scaled to 0..1 again.

    The efficiency of a map is the squared distance of its maximum and its mean. The least efficient of n maps gets 1/n
    of it as its weight, the most efficient n/n.
    """
    efficiencies = np.array([(float(values.max()) - float(values.mean())) ** 2 for values in maps])
    ranks = np.empty(len(maps))
    ranks[np.argsort(efficiencies, kind="stable")] = np.arange(1, len(maps) + 1)
    weights = np.where(efficiencies >= THRESHOLD * efficiencies.max(), ranks / len(maps) * efficiencies, 0)
    return to_unit_range(np.tensordot(weights, np.stack(maps), axes=1))
