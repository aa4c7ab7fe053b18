"""Filters shared by baselines: resizing, pyramids, Gabor energy and colour opponency."""

import numpy as np
from PIL import Image
from scipy.ndimage import convolve1d

FLAT = 1e-4  # of a filter's range for inputs in 0..1: a smaller range is the noise of float32, not structure

# Gabor filters of Walther and Koch, Modeling attention to salient proto-objects, Neural Networks 2006
WAVELENGTH = 7.0  # px
SIGMA = WAVELENGTH / 3  # px, of the round Gaussian envelope
RADIUS = 9  # px: 19x19 px


def fit_size(shape: tuple[int, ...], longer_side: int) -> tuple[int, int]:
    """Height and width of an image of `shape` after its longer side was brought to `longer_side` px."""
    scale = longer_side / max(shape[:2])
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def resized(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A map at another size, float32; bilinear, with the filter widened by the factor of a reduction.

    For a reduction by 2 that is the binomial filter (1, 3, 3, 1) / 8 in each direction. Centres of images fall on one
    another, so that a mirrored image gives the mirrored result at any size.
    """
    image = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    return np.asarray(image.resize(shape[::-1], Image.Resampling.BILINEAR))


def pyramid(values: np.ndarray, levels: int) -> list[np.ndarray]:
    """A Gaussian pyramid of `levels` maps: the first is the map itself, each further one has half the size."""
    maps = [np.asarray(values, dtype=np.float32)]
    for _ in range(levels - 1):
        height, width = maps[-1].shape
        maps.append(resized(maps[-1], ((height + 1) // 2, (width + 1) // 2)))
    return maps


def to_unit_range(values: np.ndarray) -> np.ndarray:
    """Values scaled to 0..1, float32; those of a flat map become 0."""
    low, high = float(values.min()), float(values.max())
    if high - low <= FLAT * max(1.0, abs(high)):
        return np.zeros(values.shape, dtype=np.float32)
    return ((values - low) / (high - low)).astype(np.float32)


def gabor_energy(values: np.ndarray, degrees: float) -> np.ndarray:
    """How much of a grating there is at each point: the absolute answers of an even and an odd Gabor filter, summed.

    Args:
        values: `(height, width)`.
        degrees: The direction across the grating's bars, anticlockwise from the horizontal.
    """
    offsets = np.arange(-RADIUS, RADIUS + 1)
    envelope = np.exp(-(offsets**2) / (2 * SIGMA**2))
    envelope /= envelope.sum()
    turn = 2 * np.pi / WAVELENGTH * np.exp(1j * np.deg2rad(degrees))
    across, down = (envelope * np.exp(1j * frequency * offsets) for frequency in (turn.real, -turn.imag))
    # A round Gabor filter is separable; without the last term it would also answer to even brightness
    grating = _separable(values.astype(np.complex64), down, across)
    answer = grating - (down.sum() * across.sum()).real * _separable(values, envelope, envelope)
    return np.abs(answer.real) + np.abs(answer.imag)


def _separable(values: np.ndarray, down: np.ndarray, across: np.ndarray) -> np.ndarray:
    return convolve1d(convolve1d(values, down, axis=0, mode="reflect"), across, axis=1, mode="reflect")


def intensity(image: np.ndarray) -> np.ndarray:
    """The mean of red, green and blue, 0..1."""
    return image.mean(axis=2, dtype=np.float32) / 255


def opponent_colours(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Red minus green and blue minus yellow of the broadly tuned channels of Itti et al. (1998), Sec. 2.1.

    Hue is taken relative to intensity, and only where that exceeds a tenth of its maximum: in the dark no hue is seen.
    """
    brightness = intensity(image)
    bright = brightness > brightness.max() / 10
    hue = np.where(bright[..., None], image / (255 * np.maximum(brightness, 1 / 765)[..., None]), 0).astype(np.float32)
    r, g, b = hue[..., 0], hue[..., 1], hue[..., 2]
    red, green, blue = r - (g + b) / 2, g - (r + b) / 2, b - (r + g) / 2
    yellow = (r + g) / 2 - np.abs(r - g) / 2 - b
    red, green, blue, yellow = (np.maximum(channel, 0) for channel in (red, green, blue, yellow))
    return red - green, blue - yellow
