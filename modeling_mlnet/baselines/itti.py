"""Itti, Koch, Niebur: A model of saliency-based visual attention for rapid scene analysis. TPAMI 20(11), 1998."""

from collections.abc import Iterable

import numpy as np
from scipy.ndimage import maximum_filter

from .filters import gabor_energy, intensity, opponent_colours, pyramid, resized, to_unit_range

CENTRES, STEPS = (2, 3, 4), (3, 4)  # scales c, and s - c of the surround (Sec. 2.1)
SCALES = 9  # 0 to 8
ORIENTATIONS = (0, 45, 90, 135)  # degrees
SUMMED_AT = 4  # the scale of the conspicuity and saliency maps
PEAK = 0.1  # of a map's range: lower local maxima do not count (Walther's SaliencyToolbox)


def itti(image: np.ndarray) -> np.ndarray:
    """Centre-surround differences of intensity, colour and orientation over scales; maps with few peaks count more.

    The numbers are the paper's, but for the Gabor filters, those of `filters`, and `PEAK`. Read literally, the paper's
    Eq. 2 and 3 would give 0 for a red spot on green; as in the authors' later programs, red minus green (blue minus
    yellow) of the surround is subtracted from the same of the centre.

    Args:
        image: RGB, uint8 `(height, width, 3)`; the scales are meant for 640x480 px.

    Returns:
        float32 `(height, width)`, 0..1.
    """
    grey = pyramid(intensity(image), SCALES)
    shape = grey[SUMMED_AT].shape
    intensities = _conspicuity([grey], shape)
    colours = _conspicuity([pyramid(channel, SCALES) for channel in opponent_colours(image)], shape)
    orientations = np.zeros(shape, dtype=np.float32)
    for degrees in ORIENTATIONS:
        energies = grey[: CENTRES[0]] + [
            gabor_energy(level, degrees) for level in grey[CENTRES[0] :]
        ]  # finer: not used
        orientations += few_peaks(_conspicuity([energies], shape))
    total = few_peaks(intensities) + few_peaks(colours) + few_peaks(orientations)
    return to_unit_range(resized(total / 3, image.shape[:2]))


def _conspicuity(pyramids: Iterable[list[np.ndarray]], shape: tuple[int, int]) -> np.ndarray:
    """The sum of N(|centre - surround|) over pyramids and pairs of scales, at the size `shape` (Eq. 5 to 7)."""
    total = np.zeros(shape, dtype=np.float32)
    for levels in pyramids:
        for centre in CENTRES:
            for step in STEPS:
                surround = resized(levels[centre + step], levels[centre].shape)
                total += resized(few_peaks(np.abs(levels[centre] - surround)), shape)
    return total


def few_peaks(values: np.ndarray) -> np.ndarray:
    """The paper's N: a map with one strong peak keeps it, one with many alike is suppressed.

    Scaled to 0..1, and multiplied by the squared difference between the maximum and the mean of the other maxima.
    """
    scaled = to_unit_range(values)
    peaks = scaled[(scaled == maximum_filter(scaled, 3)) & (scaled > PEAK)]
    other_peaks = (peaks.sum() - 1) / (len(peaks) - 1) if len(peaks) > 1 else 0.0
    return scaled * (1 - other_peaks) ** 2
