"""Fixation densities: from a saliency map to the probability of a fixation on each pixel."""

import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..hub.registry import CALIBRATION, WEIGHTS, sha256
from ..io.atomic import write_whole
from ..io.json_types import JsonObject
from ..metrics.inputs import check_map, to_distribution

FORMAT = "mlnet-calibration-1"
TINY = np.finfo(np.float64).tiny  # of 0, which has no logarithm


@dataclass(frozen=True)
class Calibration:
    """How a checkpoint's maps become fixation densities.

    With s the map, c the fitted centre bias, G a Gaussian and N the number of pixels, the density is

        p = (1 - uniform) q / sum(q) + uniform / N,  q = (G * s)^exponent c^centre_bias_exponent

    The values are those of highest likelihood (`evaluation.calibrate`), after Kümmerer et al., PNAS 2015, who fit a
    nonlinearity, a blur and a centre bias; here the nonlinearity is a power, the inverse of a temperature.

    Args:
        exponent: Exponent of the blurred map; above 0, more than 1 sharpens.
        blur: Standard deviation of G as a fraction of the image's longer side, 0 or more.
        centre_bias_exponent: Exponent of c; 0 or less where the network has learned a centre bias.
        uniform: Share of the even density, which keeps every logarithm finite; above 0, below 1.
        centre_bias: ln c on a grid of `(rows, columns)` over the image, up to a constant. Between the centres of its
            cells it is linear.
        weights_sha256: SHA-256 of the `model.safetensors` whose maps it is for.
        fitted_on: Description of the data it was fitted on.

    Raises:
        ValueError: If a value is out of its range.
    """

    exponent: float
    blur: float
    centre_bias_exponent: float
    uniform: float
    centre_bias: list[list[float]]
    weights_sha256: str | None = None
    fitted_on: JsonObject = field(default_factory=dict)

    def __post_init__(self) -> None:
        ranges = {
            "exponent": self.exponent > 0,
            "blur": 0 <= self.blur <= 1,
            "centre_bias_exponent": True,  # but finite
            "uniform": 0 < self.uniform < 1,
        }
        for name, is_in_range in ranges.items():
            if not (is_in_range and np.isfinite(getattr(self, name))):
                raise ValueError(f"{name} is out of its range: {getattr(self, name)}")
        if self._grid.ndim != 2 or not self._grid.size or not np.isfinite(self._grid).all():
            raise ValueError("centre_bias must be rows of finite numbers, all of one length")

    @cached_property
    def _grid(self) -> np.ndarray:
        return np.array(self.centre_bias, dtype=np.float64)

    def log_centre_bias(self, shape: tuple[int, int]) -> np.ndarray:
        """The fitted centre bias alone, ln c: as `log_density` returns it, for an image of `shape`."""
        rows, columns = map(_interpolation, shape, self._grid.shape)
        return _normalised(rows @ self._grid @ columns.T)

    def log_density(self, saliency_map: Any, centre_bias: bool | np.ndarray = True) -> np.ndarray:
        """The natural logarithm of the probability that a fixation falls on each pixel.

        Args:
            saliency_map: `(height, width)`, at least 0, of any scale.
            centre_bias: A density `(height, width)`, above 0, of where other people look, or look elsewhere: p is
                multiplied by it and divided by c, as Bayes' rule has it for another prior. `False` is an even one, and
                `True` leaves p as it was fitted. A network learns a centre bias of its own, so that leaving c out of q
                would not remove it.

        Returns:
            Float64 `(height, width)`; exp of it sums to 1.

        Raises:
            ValueError: For NaN, infinite or negative values, or a centre bias of another size.
        """
        values = to_distribution(check_map(saliency_map))
        shape: tuple[int, int] = values.shape
        values = blurred(values, self.blur * max(shape))
        logs = self.exponent * np.log(np.maximum(values, TINY))
        logs += self.centre_bias_exponent * self.log_centre_bias(shape)
        logs = np.logaddexp(_normalised(logs) + np.log1p(-self.uniform), np.log(self.uniform / values.size))
        if centre_bias is True:
            return logs
        own = np.ones(shape) if centre_bias is False else check_map(centre_bias, "centre_bias")
        if own.shape != shape or not own.all():
            what = f"must be above 0 everywhere and of the image's size {shape} (height, width)"
            raise ValueError(f"centre_bias {what}, got shape {own.shape} and a minimum of {own.min():g}")
        return _normalised(logs + np.log(own) - self.log_centre_bias(shape))

    def summary(self) -> str:
        """Its values in one line."""
        return (
            f"exponent {self.exponent:.3g}, blur {self.blur:.2%} of the longer side, "
            f"centre bias to the power of {self.centre_bias_exponent:.3g}, {self.uniform:.2%} even"
        )

    def write(self, path: Path) -> None:
        """Writes it whole or not at all, a row of the grid in a line."""
        rows = ",\n".join(f"    {json.dumps(row)}" for row in self.centre_bias)
        text = json.dumps({"format": FORMAT, **asdict(self), "centre_bias": []}, indent=2)
        text = text.replace('"centre_bias": []', f'"centre_bias": [\n{rows}\n  ]')
        write_whole(path, lambda file: file.write(f"{text}\n".encode()))

    @classmethod
    def read(cls, path: Path, checkpoint: Path | None = None) -> "Calibration":
        """Reads what `write` wrote.

        Args:
            path: The file.
            checkpoint: Folder of the checkpoint that it has to be for.

        Raises:
            ValueError: If the file is missing, damaged, of another form, or fitted for other weights, naming it.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
                raise ValueError(f"its format is not {FORMAT}")
            calibration = cls(**values)
        except (OSError, ValueError, TypeError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise ValueError(f"{path}: no calibration of `mlnet calibrate`: {reason}") from error
        weights = checkpoint and checkpoint / WEIGHTS
        if weights and weights.is_file() and calibration.weights_sha256 not in (None, sha256(weights)):
            raise ValueError(f"{path}: was fitted for other weights; fit it anew by `mlnet calibrate --model NAME`")
        return calibration

    @classmethod
    def of_checkpoint(cls, folder: Path | None, name: str) -> "Calibration":
        """Reads `calibration.json` beside a checkpoint.

        Args:
            folder: Folder of the checkpoint; `None` if it is none.
            name: Name of the checkpoint in messages.

        Raises:
            ValueError: If there is none, it cannot be read, or it was fitted for other weights.
        """
        command = f"mlnet calibrate --model {name} --dataset NAME:DIR"
        if folder is None or not (folder / CALIBRATION).is_file():
            raise ValueError(f"{name}: has no {CALIBRATION}, so its maps are no probabilities; make it by `{command}`")
        return cls.read(folder / CALIBRATION, folder)


def blurred(values: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of a map that is mirrored at its edges, by cosine transforms.

    From a width of a pixel on it is exact and keeps the sum. Predictions do not require SciPy, which has such
    transforms.

    Args:
        values: Float64 `(height, width)`, at least 0.
        sigma: Standard deviation in pixels.
    """
    if sigma == 0:
        return values
    for axis, side in enumerate(values.shape):
        gain = np.exp(-((2 * np.pi * sigma * np.fft.rfftfreq(2 * side)) ** 2) / 2)
        spectrum = np.fft.rfft(np.concatenate([values, np.flip(values, axis)], axis), axis=axis)
        spectrum *= gain[:, None] if axis == 0 else gain
        values = np.fft.irfft(spectrum, 2 * side, axis).take(np.arange(side), axis)
    return np.maximum(values, 0)


def sample_fixations(log_density: np.ndarray, n: int, seed: int = 0) -> np.ndarray:
    """Draws fixations independently of each other: int64 `(n, 2)`, x and y in pixels.

    Args:
        log_density: `(height, width)`, as `Calibration.log_density` returns it.
        n: How many, 0 or more.
        seed: The same seed gives the same fixations.

    Raises:
        ValueError: If exp of `log_density` does not sum to 1, as that of a saliency map, or `n` is below 0.
    """
    logs = np.asarray(log_density, dtype=np.float64)
    with np.errstate(over="ignore"):
        probabilities = np.exp(logs).ravel()
    total = probabilities.sum()
    if logs.ndim != 2 or not abs(total - 1) < 1e-3:
        what = "must be (height, width) with a sum of exp of 1, as predictor.log_density(image) gives it"
        raise ValueError(f"log_density {what}, got shape {logs.shape} and a sum of {total:g}")
    if n < 0:
        raise ValueError(f"n must be at least 0, got {n}")
    pixels = np.random.default_rng(seed).choice(probabilities.size, n, p=probabilities / total)
    return np.stack([pixels % logs.shape[1], pixels // logs.shape[1]], axis=1)


def _interpolation(side: int, cells: int) -> np.ndarray:
    """`(side, cells)`: weights of linear interpolation between the centres of cells, constant outside of them."""
    places = np.clip((np.arange(side) + 0.5) / side * cells - 0.5, 0, cells - 1)
    return np.maximum(1 - np.abs(places[:, None] - np.arange(cells)), 0)


def _normalised(logs: np.ndarray) -> np.ndarray:
    """Shifted so that exp of them sums to 1."""
    shifted = logs - logs.max()
    return shifted - np.log(np.exp(shifted).sum())
