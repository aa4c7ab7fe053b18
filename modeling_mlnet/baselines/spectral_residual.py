"""Hou, Zhang: Saliency detection: a spectral residual approach. CVPR 2007."""

import numpy as np
from scipy.ndimage import gaussian_filter, uniform_filter

from .filters import FLAT, fit_size, intensity, resized, to_unit_range

LONGER_SIDE = 64  # px
AVERAGED = 3  # frequencies on a side
SIGMA = 2.5  # px, of the authors' program; the paper says 8


def spectral_residual(image: np.ndarray) -> np.ndarray:
    """What is unexpected in the spectrum: the image rebuilt from its log amplitude's excess over the local average.

    Args:
        image: RGB, uint8 `(height, width, 3)`.

    Returns:
        float32 `(height, width)`, 0..1.
    """
    small = resized(intensity(image), fit_size(image.shape, LONGER_SIDE))
    if np.ptp(small) <= FLAT:
        return np.zeros(image.shape[:2], dtype=np.float32)
    spectrum = np.fft.fft2(small.astype(np.float64))
    amplitude = np.log(np.maximum(np.abs(spectrum), 1e-6))
    residual = amplitude - uniform_filter(amplitude, AVERAGED, mode="wrap")  # a spectrum is periodic
    rebuilt = np.abs(np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))) ** 2
    blurred = gaussian_filter(rebuilt, SIGMA, mode="constant")  # nothing beyond the border, as in the program
    return to_unit_range(resized(to_unit_range(blurred / blurred.max()), image.shape[:2]))
