"""The letterbox: how an image lies on the network's canvas, and how its map comes back; NumPy and Pillow only."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

STRIDE = 8  # input pixels per cell of the saliency map, whatever the backbone
SIZE_DIVISOR = 32  # with `do_resize=False` a side of the canvas is the next multiple of this


def letterbox_size(height: int, width: int, canvas: tuple[int, int]) -> tuple[int, int]:
    """Height and width of an image that is fitted into `canvas`, in the integers of the release; at least 1."""
    rows, columns = canvas
    if height * columns > width * rows:
        return rows, max(1, width * rows // height)
    return max(1, height * columns // width), columns


def check_tone_curve(tone_curve: Any) -> None:
    """Raises a ValueError if it is not `None` or an exponent and a toe above 0."""
    if tone_curve is not None:
        is_pair = isinstance(tone_curve, (list, tuple)) and len(tone_curve) == 2
        if not is_pair or not all(isinstance(one, (int, float)) and 0 < one < np.inf for one in tone_curve):
            raise ValueError(f"tone_curve must be None or [exponent, toe], both above 0, got {tone_curve!r}")


def divide_by_maximum(values: Any) -> Any:
    """An array or a tensor divided by its maximum; as it is if that is not above 0."""
    peak = values.max()
    return values / peak if peak > 0 else values


def put_tone_curve(cells: Any, tone_curve: Sequence[float] | None) -> Any:
    """A map whose values p, as fractions of its maximum, became p^exponent * p / (p + toe).

    An exponent below 1 lifts what is between; the toe lowers what is not far above it, which is where a network that
    is not sure leaves a little everywhere. 0 stays 0, and no order changes.

    Args:
        cells: Map `(height, width)` of any scale, at least 0: an array or a tensor, which it stays.
        tone_curve: Exponent and toe; `None` changes nothing.
    """
    if tone_curve is None:
        return cells
    exponent, toe = tone_curve
    fractions = divide_by_maximum(cells)
    return fractions ** (1 + exponent) / (fractions + toe)


def _positions(size: int, source: int) -> np.ndarray:
    """Along one axis: where every output lies in the source."""
    return ((np.arange(size) + 0.5) * (source / size) - 0.5).clip(0, source - 1)


def _opencv_weights(size: int, source: int) -> tuple[np.ndarray, ...]:
    """Along one axis: the two source indices of every output and their weights in units of 1/2048."""
    position = _positions(size, source).astype(np.float32)
    index = position.astype(np.int64)
    weight = position - index.astype(np.float32)
    weights = (np.rint(one * np.float32(2048)).astype(np.int32) for one in (1 - weight, weight))
    return index, np.minimum(index + 1, source - 1), *weights


def resize_like_opencv(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear resizing of bytes `(height, width[, channels])` in OpenCV's integer arithmetic.

    Gives the very bytes of the release's `cv2.resize`; floating point would differ by one in every tenth pixel.
    """
    top, bottom, top_weight, bottom_weight = _opencv_weights(height, image.shape[0])
    left, right, left_weight, right_weight = _opencv_weights(width, image.shape[1])

    needed, index = np.unique(np.concatenate([top, bottom]), return_inverse=True)
    above, below = index[:height], index[height:]
    resized = np.empty((height, width, *image.shape[2:]), np.uint8)
    for channel in np.ndindex(image.shape[2:]):  # one at a time stays in the processor's cache
        rows = image[(slice(None), slice(None), *channel)][needed]
        lines = rows.take(left, 1) * left_weight
        lines += rows.take(right, 1) * right_weight
        lines >>= 4
        upper, lower = lines.take(above, 0), lines.take(below, 0)
        upper *= top_weight[:, None]
        lower *= bottom_weight[:, None]
        upper >>= 16
        lower >>= 16
        upper += lower
        upper += 2
        resized[(slice(None), slice(None), *channel)] = upper >> 2
    return resized


def inverse_positions(size: tuple[int, int], cells: tuple[int, int], do_resize: bool) -> list[np.ndarray]:
    """For every row and every column of an image, the position on the map's grid it lies on, in float64.

    Args:
        size: Height and width of the image.
        cells: Height and width of the map.
        do_resize: Whether the image was fitted into the canvas; else it stands there in its own size.
    """
    canvas = (cells[0] * STRIDE, cells[1] * STRIDE)
    (height, width), (rows, columns) = size, cells
    if not do_resize or (height < rows and width < columns):
        inner = letterbox_size(height, width, canvas) if do_resize else size
        offset = [(side - one) // 2 for side, one in zip(canvas, inner, strict=True)]
        step = [one / side for one, side in zip(inner, size, strict=True)]
        unit: list[float] = [STRIDE, STRIDE]
    else:
        tall = height * columns > width * rows
        cover = (height, columns * height // rows) if tall else (rows * width // columns, width)
        offset = [(one - side) // 2 for one, side in zip(cover, size, strict=True)]
        step = [1.0, 1.0]
        unit = [one / cell for one, cell in zip(cover, cells, strict=True)]
    return [(offset[axis] + (np.arange(size[axis]) + 0.5) * step[axis]) / unit[axis] - 0.5 for axis in (0, 1)]


@dataclass(frozen=True)
class Letterbox:
    """Fits an image into the canvas, centred on black, and brings maps back to the image's own size.

    The fields are the keys of a checkpoint's preprocessor_config.json; the defaults are the release's.

    Args:
        size: Height and width in pixels of the canvas.
        do_resize: `False` leaves the image at its size, centred on the next multiples of 32.
        resample: Filter of Pillow. Without `antialias` only bilinear and nearest are defined.
        antialias: Whether shrinking averages over the pixels it skips, as Pillow does. The release, which resizes with
            OpenCV, does not.
        tone_curve: Exponent and toe of the curve over a map (`put_tone_curve`), or `None`.
        do_rescale: Whether values are multiplied by `rescale_factor`.
        rescale_factor: Of values in 0..255.
        do_normalize: Whether `image_mean` is subtracted, and the result divided by `image_std`.
        image_mean: In red, green and blue, on the scale that rescaling leaves.
        image_std: As `image_mean`.

    Raises:
        ValueError: If a value is out of range.
    """

    size: tuple[int, int] = (480, 640)
    do_resize: bool = True
    resample: int = Image.Resampling.BILINEAR
    antialias: bool = False
    tone_curve: Sequence[float] | None = None
    do_rescale: bool = False
    rescale_factor: float = 1 / 255
    do_normalize: bool = True
    image_mean: Sequence[float] = (123.68, 116.779, 103.939)
    image_std: Sequence[float] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        if any(not side or side < SIZE_DIVISOR or side % STRIDE for side in self.size):
            raise ValueError(
                f"size must hold a height and a width, multiples of {STRIDE} of at least {SIZE_DIVISOR}, "
                f"got {self.size}"
            )
        if not self.antialias and self.resample not in (Image.Resampling.BILINEAR, Image.Resampling.NEAREST):
            raise ValueError(
                f"without antialias only bilinear resampling (2) is defined, got resample={self.resample}"
            )
        check_tone_curve(self.tone_curve)

    @classmethod
    def read(cls, path: Path) -> "Letterbox":
        """The letterbox of a preprocessor_config.json.

        Raises:
            ValueError: If it cannot be read.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            known = {one.name: values[one.name] for one in fields(cls) if one.name in values}
            if "size" in known:
                known["size"] = (known["size"]["height"], known["size"]["width"])
            return cls(**known)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{path}: cannot be read: {error}") from error

    def canvas(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the canvas of an image."""
        if self.do_resize:
            return self.size
        rows, columns = (-(-side // SIZE_DIVISOR) * SIZE_DIVISOR for side in (height, width))
        return rows, columns

    def pixel_values(self, image: np.ndarray) -> np.ndarray:
        """The network's input `(3, rows, columns)`, float32, of an image `(height, width, 3)` in bytes."""
        placed = self._place(image, self.canvas(*image.shape[:2]))
        values = placed.transpose(2, 0, 1).astype(np.float32, order="C")
        if self.do_rescale:
            values *= np.float32(self.rescale_factor)
        if self.do_normalize:
            mean, std = (np.asarray(one, np.float32).reshape(-1, 1, 1) for one in (self.image_mean, self.image_std))
            values -= mean
            values /= std
        return values

    def label(self, saliency_map: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
        """A training label `(rows/8, columns/8)`, float32 in 0..1.

        Args:
            saliency_map: `(height, width)` in 0..255, bytes or float32; any size with the image's aspect ratio.
            image_size: Height and width in pixels of the image.
        """
        rows, columns = self.canvas(*image_size)
        if self.do_resize:
            return self._place(saliency_map, (rows // STRIDE, columns // STRIDE)) / np.float32(255)
        # the image lies on the canvas at its own size, and so does its map
        resized = _resize(saliency_map.astype(np.float32), *image_size, Image.Resampling.BILINEAR)
        placed = self._place(resized, (rows, columns))
        cells = placed.reshape(rows // STRIDE, STRIDE, columns // STRIDE, STRIDE)
        return cells.mean(axis=(1, 3)) / np.float32(255)

    def _place(self, image: np.ndarray, canvas: tuple[int, int]) -> np.ndarray:
        """An image `(height, width[, 3])` fitted into the canvas and centred on zeros."""
        height, width = image.shape[:2]
        if self.do_resize:
            height, width = letterbox_size(height, width, canvas)
            if self.antialias or self.resample == Image.Resampling.NEAREST:
                image = _resize(image, height, width, self.resample)
            elif image.dtype == np.uint8:
                image = resize_like_opencv(image, height, width)
            else:
                rows, columns = (_positions(*sides) for sides in zip((height, width), image.shape, strict=True))
                image = _sample(_sample(image, 1, columns), 0, rows)
        if (height, width) == canvas:
            return image
        placed = np.zeros((*canvas, *image.shape[2:]), dtype=image.dtype)
        top, left = (canvas[0] - height) // 2, (canvas[1] - width) // 2
        placed[top : top + height, left : left + width] = image
        return placed

    def saliency_map(self, cells: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
        """The map of an image: the network's cells under the tone curve, at the image's size, of maximum 1.

        Args:
            cells: Float32 `(rows, columns)`, at least 0, of any scale.
            size: Height and width in pixels of the image; `None` keeps the cells' own.

        Returns:
            Float32 `(height, width)` in 0..1; all 0 where nothing was predicted.
        """
        # in float64, as the rounding of a power in float32 could exchange neighbouring values
        values = put_tone_curve(cells.astype(np.float64), self.tone_curve).astype(np.float32)
        if size is not None:
            values = self.invert(values, size)
        return divide_by_maximum(values)

    def invert(self, values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Anything that lies on the map's grid, `(rows, columns)`, at an image's own size, on its own scale.

        It is bilinearly enlarged until it covers the image and cut to it around the centre, with the release's integer
        rounding. That rounding would shift images smaller than the map by whole cells: for these the letterbox is
        inverted at its exact positions.
        """
        rows, columns = inverse_positions(size, (values.shape[0], values.shape[1]), self.do_resize)
        return _sample(_sample(values, 1, columns), 0, rows)  # rows last: whole rows are copied faster than columns


def _resize(image: np.ndarray, height: int, width: int, resample: int) -> np.ndarray:
    """Pillow's resizing, which averages where it shrinks: bytes `(height, width[, 3])`, floats `(height, width)`."""
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling(resample)))


def _sample(values: np.ndarray, axis: int, positions: np.ndarray) -> np.ndarray:
    """Linear interpolation along one axis at fractional positions, edges replicated."""
    positions = positions.clip(0, values.shape[axis] - 1)
    lower = positions.astype(int)
    upper = np.minimum(lower + 1, values.shape[axis] - 1)
    weight = (positions - lower).astype(values.dtype)
    result = values.take(upper, axis)
    first = values.take(lower, axis)
    result -= first
    result *= weight[:, None] if axis == 0 else weight
    result += first
    return result
