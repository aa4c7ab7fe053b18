"""Fit of a checkpoint's `Calibration` to the fixations of data sets, and its gain on images kept out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from datasets import Dataset
from PIL import Image

from ..data.schema import split_held_out
from ..inference.density import Calibration
from ..inference.predictor import SaliencyPredictor
from ..io.progress import Progress, no_progress
from ..metrics import Protocol, information_gain
from ..metrics.inputs import check_map
from ..metrics.pool import flat_indices
from .evaluate import EvaluationResults, evaluate, predicted_by
from .truths import read_truths

IMAGES = 250  # of a data set, at most: four values need no more
LONGER_SIDE = 96  # px to which maps are reduced while fitting: networks of stride 8 on 640 px have 80 cells across
GRID = (24, 32)  # cells of the centre bias
BANDWIDTHS = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0)  # cells; standard deviations of the centre bias's Gaussian kernel
EVEN = 0.01  # weight of the uniform part of the centre bias, so that no density is 0
START = (1.0, 0.01, 0.1, 0.05)  # exponent, blur, exponent of the centre bias, uniform
BOUNDS = ((0.1, 10.0), (0.0, 0.1), (-1.0, 2.0), (1e-6, 0.5))
SCALES = np.array([1.0, 0.01, 1.0, 0.1])  # of one step, as the optimiser wants values of one order


@dataclass(frozen=True)
class Sample:
    """Data of one image for the fit.

    Args:
        saliency_map: Float64 `(height, width)`, reduced.
        pixels: Flat index in it of every fixation, `(n,)`, n at least 1.
        cells: Flat index in `GRID` of every fixation, `(n,)`.
    """

    saliency_map: np.ndarray
    pixels: np.ndarray
    cells: np.ndarray

    @classmethod
    def of(cls, saliency_map: np.ndarray, relative_fixations: np.ndarray) -> "Sample":
        """Sample of a map of any size and fixations `(n, 2)`, x and y as fractions of width and height."""
        height, width = saliency_map.shape
        scale = min(1.0, LONGER_SIDE / max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        reduced = Image.fromarray(saliency_map.astype(np.float32)).resize(size, Image.Resampling.BOX)
        values = check_map(np.asarray(reduced))
        return cls(values, flat_indices(relative_fixations, values.shape), flat_indices(relative_fixations, GRID))


def fit_centre_bias(samples: Sequence[Sample]) -> list[list[float]]:
    """The centre bias as `Calibration` takes it: a Gaussian kernel density of all fixations on `GRID`, and 1 % even.

    Every image counts the same. The bandwidth is that of `BANDWIDTHS` under which the fixations of each image are
    likeliest if those of all other images make the density.

    Raises:
        ValueError: If there are fewer than two images.
    """
    from scipy.ndimage import gaussian_filter

    if len(samples) < 2:
        raise ValueError(f"a centre bias needs two images with fixations or more, got {len(samples)}")
    cells = GRID[0] * GRID[1]
    counts = np.stack([np.bincount(sample.cells, minlength=cells) / len(sample.cells) for sample in samples])
    counts = counts.reshape(-1, *GRID)
    total = counts.sum(axis=0)

    def density(counts: np.ndarray, bandwidth: float) -> np.ndarray:
        smooth = gaussian_filter(counts, bandwidth, axes=(-2, -1))  # mirrored at the edges
        return (1 - EVEN) * smooth / smooth.sum(axis=(-2, -1), keepdims=True) + EVEN / cells

    def likelihood(bandwidth: float) -> float:
        return float(np.vdot(counts, np.log(density(total - counts, bandwidth))))

    fitted = density(total, max(BANDWIDTHS, key=likelihood))
    return np.log(fitted * cells).round(3).tolist()


def fit(samples: Sequence[Sample]) -> Calibration:
    """The calibration of highest likelihood: of the mean over images of the mean of ln p over their fixations.

    Every image counts the same, so that a data set of many observers does not outweigh the others. The four values
    are found by L-BFGS-B within `BOUNDS`, under the centre bias of `fit_centre_bias`.

    Args:
        samples: Samples of two images or more.

    Raises:
        ValueError: If there are fewer than two images.
    """
    from scipy.optimize import minimize

    centre_bias = fit_centre_bias(samples)

    def calibration(values: np.ndarray) -> Calibration:
        exponent, blur, centre_bias_exponent, uniform = np.clip(values * SCALES, *np.transpose(BOUNDS)).tolist()
        return Calibration(exponent, blur, centre_bias_exponent, uniform, centre_bias)

    def loss(values: np.ndarray) -> float:
        return -mean_gain(calibration(values), samples)

    bounds = [(low / scale, high / scale) for (low, high), scale in zip(BOUNDS, SCALES, strict=True)]
    options = {"eps": 1e-5, "ftol": 1e-8}  # of a step, and in nats
    values = minimize(loss, np.array(START) / SCALES, method="L-BFGS-B", bounds=bounds, options=options).x
    exponent, blur, centre_bias_exponent, uniform = (float(f"{value:.4g}") for value in values * SCALES)
    return Calibration(exponent, blur, centre_bias_exponent, uniform, centre_bias)


def mean_gain(calibration: Calibration, samples: Sequence[Sample]) -> float:
    """The mean over images of the mean of ln p / u over their fixations, u being even; in nats per fixation.

    The quotient is that of densities over the image, and so hardly depends on how far the map is reduced.
    """
    gains = []
    for sample in samples:
        log_density = calibration.log_density(sample.saliency_map)
        gains.append(log_density.ravel()[sample.pixels].mean() + np.log(log_density.size))
    return float(np.mean(gains))


def training_and_held_out(rows: Dataset, held_out: float) -> tuple[Dataset, Dataset]:
    """The rows that `mlnet train` with this `held_out` learns from, and those it leaves out.

    Raises:
        ValueError: If one of them is empty.
    """
    parts = split_held_out(rows, held_out)
    if not all(map(len, parts)):
        raise ValueError(f"held_out={held_out} leaves {len(parts[0])} images to fit and {len(parts[1])} to score")
    return parts


def read_samples(predictor: SaliencyPredictor, rows: Dataset, progress: Progress = no_progress) -> list[Sample]:
    """Samples of at most `IMAGES` evenly spaced rows; images without fixations are skipped."""
    rows = rows.select(np.unique(np.linspace(0, len(rows) - 1, IMAGES).astype(int)))
    pairs = progress(zip(predicted_by(predictor)(rows), read_truths(rows), strict=True), "predicting")
    return [Sample.of(values, truth.relative_fixations()) for values, truth in pairs if len(truth.fixations)]


def held_out_protocol(calibration: Calibration) -> Protocol:
    """Information gain, in bits per fixation, of the map as it is (`before`), of the calibrated density (`after`), and
    of the fitted centre bias alone (`centre bias`); over a Gaussian centre bias, as in the protocol `tuebingen`."""

    def after(saliency_map: np.ndarray, fixations: np.ndarray, baseline: np.ndarray) -> float:
        return information_gain(np.exp(calibration.log_density(saliency_map)), fixations, baseline)

    def centre_bias(saliency_map: np.ndarray, fixations: np.ndarray, baseline: np.ndarray) -> float:
        shape: tuple[int, int] = saliency_map.shape
        return information_gain(np.exp(calibration.log_centre_bias(shape)), fixations, baseline)

    metrics = {"before": information_gain, "after": after, "centre bias": centre_bias}
    return Protocol("calibration", "tuebingen", metrics, weights=dict.fromkeys(metrics, "fixations"))


def calibrate(
    predictor: SaliencyPredictor,
    datasets: Mapping[str, Dataset],
    held_out: float = 0.1,
    progress: Progress = no_progress,
) -> tuple[Calibration, dict[str, EvaluationResults]]:
    """Fits a checkpoint's calibration, and scores it on the held-out parts, which are not used before.

    Args:
        predictor: Predictor of the checkpoint, in float32.
        datasets: Rows by the name of their data set; all are fitted together.
        held_out: Fraction of each, chosen by a hash of the image id, that is not fitted.
        progress: Wraps an iteration, `(iterable, description)`, to show a bar.

    Returns:
        The calibration, and for each data set what `Evaluator.compute` gives under `held_out_protocol`.

    Raises:
        ValueError: If a part is empty, or an image cannot be read.
    """
    parts = {name: training_and_held_out(rows, held_out) for name, rows in datasets.items()}
    samples = {name: read_samples(predictor, fitted, progress) for name, (fitted, _) in parts.items()}
    calibration = fit([sample for part in samples.values() for sample in part])
    counts = [  # without the places of the data sets, which are nobody's business where the file is published
        {"data_set": Path(name).name, "images": len(part), "of": len(parts[name][0])} for name, part in samples.items()
    ]
    calibration = replace(calibration, fitted_on={"data_sets": counts, "held_out": held_out})
    protocol = held_out_protocol(calibration)
    scores = {name: evaluate(rows, predicted_by(predictor), protocol) for name, (_, rows) in parts.items()}
    return calibration, scores
