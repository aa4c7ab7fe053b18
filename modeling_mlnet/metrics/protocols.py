"""The protocols of the field as data: which variant of each metric, which density, which fixations, which pool.

A protocol of one's own is another `Protocol`, given to `Evaluator` as it is or added to `PROTOCOLS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Literal, TypedDict

import numpy as np
from PIL import Image

from .density import cc, emd, kl, sim
from .fixation import auc_borji, auc_judd, auc_shuffled, information_gain, nss

MATLAB_EPS = float(np.finfo(np.float64).eps)
LOWER_IS_BETTER = frozenset(["KL", "EMD"])


def all_fixations(pixels: np.ndarray) -> np.ndarray:
    """Every fixation counts, repeats too."""
    return pixels


def distinct_fixations(pixels: np.ndarray) -> np.ndarray:
    """Every fixated pixel counts once."""
    return np.unique(pixels)


def repeated_fixations(pixels: np.ndarray) -> np.ndarray:
    """Only samples equal to the one before them in sorted order, as the SALICON challenge's evaluator keeps them.

    Made for raw mouse samples, where repeats mark a rest; of detected fixations it leaves almost nothing.
    """
    ordered = np.sort(pixels)
    return ordered[1:][ordered[1:] == ordered[:-1]]


def gaussian_density(
    pixels: np.ndarray, shape: tuple[int, int], sigma: float, padding: Literal["nearest", "reflect"] = "nearest"
) -> np.ndarray:
    """Fixation density: counts blurred by a Gaussian cut off at four sigma, equal to `scipy.ndimage.gaussian_filter`.

    Args:
        pixels: Flat indices of fixations, `(n,)`.
        shape: Height and width in pixels.
        sigma: Standard deviation in pixels.
        padding: Padding of the image: scipy's mode `nearest` or `reflect`.

    Returns:
        Float64 `(height, width)` of sum n, up to what padding changes.
    """
    return _blur(pixels, shape, partial(_gaussian_operator, sigma=sigma, padding=padding))


def cutoff_density(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Fixation density of the MIT benchmark: a low-pass filter of 8 cycles per image in the Fourier domain.

    The image is padded with zeros to a square whose side n is a power of two; sigma is n sqrt(ln 2 / 2) / (8 pi),
    23.99 px for n = 1024 (antonioGaussian.m).

    Args:
        pixels: Flat indices of fixations, `(n,)`.
        shape: Height and width in pixels.
    """
    side = 2 ** int(np.ceil(np.log2(max(shape))))
    return np.clip(_blur(pixels, shape, partial(_cutoff_operator, side=side)), 0, None)


def _blur(pixels: np.ndarray, shape: tuple[int, int], operator: Callable[[int], np.ndarray]) -> np.ndarray:
    """A separable filter over fixations as one product of matrices: exact, and cheap for few fixations."""
    rows, columns = np.divmod(pixels, shape[1])
    return operator(shape[0])[:, rows] @ operator(shape[1])[:, columns].T


@lru_cache(maxsize=32)
def _gaussian_operator(side: int, sigma: float, padding: str) -> np.ndarray:
    from scipy.ndimage import gaussian_filter1d

    return gaussian_filter1d(np.eye(side), sigma, axis=0, mode=padding)


@lru_cache(maxsize=32)
def _cutoff_operator(side_of_image: int, side: int, cycles: float = 8.0) -> np.ndarray:
    frequencies = np.fft.fftfreq(side, 1 / side)
    transfer = np.exp(-np.log(2) * (frequencies / cycles) ** 2)
    padded = np.fft.fft(np.eye(side, side_of_image), axis=0)
    return np.fft.ifft(padded * transfer[:, None], axis=0).real[:side_of_image]


def resize_bicubic(saliency_map: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Bicubic with antialiasing, like Matlab's imresize; only maps of another size. Overshoots below 0 are cut."""
    if saliency_map.shape == shape:
        return saliency_map
    image = Image.fromarray(np.asarray(saliency_map, dtype=np.float32))
    return np.clip(np.asarray(image.resize(shape[::-1], Image.Resampling.BICUBIC), dtype=np.float64), 0, None)


def resize_spline(saliency_map: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Cubic spline zoom, as the SALICON challenge's evaluator: scipy's, also for maps that have the size already.

    Those change in the last digit only, but on 8-bit maps that decides which values reach a threshold. A map that
    overshoots below 0 is lifted, which changes no score of that protocol.
    """
    from scipy.ndimage import spline_filter, zoom

    if saliency_map.min() == saliency_map.max():
        return np.full(shape, saliency_map.flat[0])  # the last digits of a constant map would be scored as a map
    factors = [wanted / side for wanted, side in zip(shape, saliency_map.shape, strict=True)]
    splines = spline_filter(saliency_map, order=3)
    resized = zoom(splines, factors, order=3, prefilter=False)
    return resized - min(resized.min(), 0)


def same_size(saliency_map: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Raises a ValueError for a map of another size, because resizing is the predictor's choice."""
    if saliency_map.shape != shape:
        raise ValueError(f"saliency_map must have the image's size {shape} (height, width), got {saliency_map.shape}")
    return saliency_map


class Definition(TypedDict):
    """A protocol in words."""

    source: str
    metrics: dict[str, str]
    fixations: str
    density: str
    distinct_density: bool
    pool: str
    resize: str
    mean_over: dict[str, str]


@dataclass(frozen=True)
class Protocol:
    """How maps are scored.

    Args:
        name: As results carry it.
        source: The benchmark's code or paper.
        metrics: Function by name of the score. The functions' arguments say what they are given: `density`,
            `fixations`, `other_fixations`, `baseline`.
        select: Selects the valid fixations: flat pixel indices in, flat pixel indices out.
        density: Makes the density from selected fixations, `(pixels, shape)`, with `own_sigma` also `sigma`.
        distinct_density: Whether a pixel counts once for the density.
        own_sigma: Whether the density takes the data set's sigma (or its published map) instead of one of its own.
        pool: The negatives of sAUC, from the selected fixations of all other images: every one (`all`), each pixel
            once per image and none that is fixated here (`per_image`), or each pixel once (`union`).
        resize: Brings a map to its image's size.
        weights: `{score: "fixations"}` for means over fixations instead of images.
    """

    name: str
    source: str
    metrics: Mapping[str, Callable[..., float]]
    select: Callable[[np.ndarray], np.ndarray] = all_fixations
    density: Callable[..., np.ndarray] = gaussian_density
    distinct_density: bool = False
    own_sigma: bool = False
    pool: Literal["all", "per_image", "union"] = "all"
    resize: Callable[[np.ndarray, tuple[int, int]], np.ndarray] = same_size
    weights: Mapping[str, Literal["images", "fixations"]] = field(default_factory=dict)

    def describe(self) -> Definition:
        """The definition in words for results."""
        density = _spelled(self.density)
        if self.own_sigma:
            density = f"the data set's own sigma or map, {density}"
        return {
            "source": self.source,
            "metrics": {name: _spelled(function) for name, function in self.metrics.items()},
            "fixations": _spelled(self.select),
            "density": density,
            "distinct_density": self.distinct_density,
            "pool": self.pool,
            "resize": _spelled(self.resize),
            "mean_over": {name: self.weights.get(name, "images") for name in self.metrics},
        }


def _spelled(function: Callable) -> str:
    if not isinstance(function, partial):
        return function.__name__
    options = (f"{name}={_value(value)}" for name, value in function.keywords.items())
    return f"{function.func.__name__}({', '.join(options)})"


def _value(value: object) -> str:
    return f"{value[0]:g}..{value[-1]:g} in {len(value)}" if isinstance(value, np.ndarray) else repr(value)


MIT = Protocol(
    name="mit",
    source="MIT Saliency Benchmark, github.com/cvzoya/saliency, Matlab code of 2016",
    metrics={
        "AUC-Judd": auc_judd,
        "AUC-Borji": auc_borji,
        "sAUC": partial(auc_shuffled, thresholds=np.arange(11) * 0.1),
        "NSS": partial(nss, ddof=1),
        "CC": cc,
        "SIM": partial(sim, min_max=True),
        "KL": partial(kl, eps=MATLAB_EPS),
        "IG": partial(information_gain, min_max=True, eps=MATLAB_EPS),
        "EMD": emd,
    },
    select=distinct_fixations,
    density=cutoff_density,
    pool="union",
    resize=resize_bicubic,
)

TUEBINGEN = Protocol(
    name="tuebingen",
    source="MIT/Tuebingen Saliency Benchmark, github.com/matthias-k/saliency-benchmarking and pysaliency",
    metrics={
        "AUC": partial(auc_judd, negatives="all"),
        "sAUC": auc_shuffled,
        "NSS": nss,
        "CC": cc,
        "SIM": sim,
        "KL": kl,
        "IG": information_gain,
    },
    density=partial(gaussian_density, padding="nearest"),
    own_sigma=True,
    weights={"IG": "fixations"},
)

SALICON2015 = Protocol(
    name="salicon2015",
    source="SALICON challenge 2015 (LSUN), github.com/NUS-VIP/salicon-evaluation",
    metrics={
        "AUC": partial(auc_borji, thresholds=np.arange(100) * 0.01),
        "sAUC": partial(auc_shuffled, thresholds=np.arange(100) * 0.01),
        "NSS": nss,
        "CC": cc,
    },
    select=repeated_fixations,
    density=partial(gaussian_density, sigma=19.0, padding="reflect"),
    distinct_density=True,
    pool="per_image",
    resize=resize_spline,
)

PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        MIT,
        TUEBINGEN,
        SALICON2015,
        # For fixations that were detected already, of which the challenge's filter for raw samples leaves nothing.
        replace(SALICON2015, name="salicon2015-unfiltered", select=all_fixations),
    )
}


def get_protocol(protocol: str | Protocol) -> Protocol:
    """The protocol of a name; a `Protocol` is returned unchanged.

    Raises:
        ValueError: For an unknown name.
    """
    if isinstance(protocol, Protocol):
        return protocol
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol must be one of {list(PROTOCOLS)}, got {protocol!r}")
    return PROTOCOLS[protocol]
