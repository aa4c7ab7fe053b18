"""The letterbox: fits images into the network's canvas and brings maps back. Needs NumPy and Pillow only."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from PIL import Image

from .architecture_mlnet import MIN_SIZE, STRIDE

SIZE_DIVISOR = 32  # with `do_resize=False` a side of the canvas is the next multiple of this


def letterbox_size(height: int, width: int, canvas: tuple[int, int]) -> tuple[int, int]:
    """Height and width of an image fitted into `canvas`, at least 1, rounded as in the release."""
    rows, columns = canvas
    if height * columns > width * rows:
        return rows, max(1, width * rows // height)
    return max(1, height * columns // width), columns


def divide_by_maximum(values: np.ndarray) -> np.ndarray:
    """An array divided by its maximum, or unchanged if the maximum is not above 0."""
    peak = values.max()
    return values / peak if peak > 0 else values


def _positions(size: int, source: int) -> np.ndarray:
    """Positions of the output pixels in the source along one axis, float64."""
    return ((np.arange(size) + 0.5) * (source / size) - 0.5).clip(0, source - 1)


def _opencv_weights(size: int, source: int) -> tuple[np.ndarray, ...]:
    """Both source indices of each output pixel along one axis, and their weights in units of 1/2048."""
    position = _positions(size, source).astype(np.float32)
    index = position.astype(np.int64)
    weight = position - index.astype(np.float32)
    weights = (np.rint(part * np.float32(2048)).astype(np.int32) for part in (1 - weight, weight))
    return index, np.minimum(index + 1, source - 1), *weights


def resize_like_opencv(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear resizing of bytes `(height, width[, channels])` in OpenCV's integer arithmetic.

    The result equals `cv2.resize` of the release bit for bit; in floating point every tenth pixel would differ by 1.
    """
    top, bottom, top_weight, bottom_weight = _opencv_weights(height, image.shape[0])
    left, right, left_weight, right_weight = _opencv_weights(width, image.shape[1])

    needed, (above, below) = np.unique([top, bottom], return_inverse=True)
    resized = np.empty((height, width, *image.shape[2:]), np.uint8)
    for channel in np.ndindex(image.shape[2:]):  # one channel at a time, in place, fits into the processor's cache
        rows = image[(..., *channel)][needed]
        lines = rows.take(left, 1) * left_weight
        lines += rows.take(right, 1) * right_weight
        lines >>= 4
        upper, lower = lines.take(above, 0), lines.take(below, 0)
        upper *= top_weight[:, None]
        lower *= bottom_weight[:, None]
        upper >>= 16
        lower >>= 16
        upper += lower + 2
        resized[(..., *channel)] = upper >> 2
    return resized


def inverse_positions(size: tuple[int, int], cells: tuple[int, int], do_resize: bool) -> list[np.ndarray]:
    """Positions of an image's rows and columns on the map's grid, float64.

    Without `do_resize` the image lies on the canvas at its own size.
    """
    (height, width), (rows, columns) = size, cells
    image, grid = np.array(size), np.array(cells)
    if not do_resize or (height < rows and width < columns):
        canvas = (rows * STRIDE, columns * STRIDE)
        inner = np.array(letterbox_size(height, width, canvas) if do_resize else size)
        offset, step, unit = (np.array(canvas) - inner) // 2, inner / image, np.full(2, STRIDE)
    else:
        tall = height * columns > width * rows
        cover = np.array((height, columns * height // rows) if tall else (rows * width // columns, width))
        offset, step, unit = (cover - image) // 2, np.ones(2), cover / grid
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
        do_rescale: Whether values in 0..255 are multiplied by `rescale_factor`.
        do_normalize: Whether `image_mean` is subtracted then, and the result divided by `image_std`, both in red,
            green and blue.

    Raises:
        ValueError: If a value is out of range.
    """

    size: tuple[int, int] = (480, 640)
    do_resize: bool = True
    resample: int = Image.Resampling.BILINEAR
    antialias: bool = False
    do_rescale: bool = False
    rescale_factor: float = 1 / 255
    do_normalize: bool = True
    image_mean: Sequence[float] = (123.68, 116.779, 103.939)
    image_std: Sequence[float] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        if any(not side or side < MIN_SIZE or side % STRIDE for side in self.size):
            least = f"multiples of {STRIDE} of at least {MIN_SIZE}"
            raise ValueError(f"size must hold a height and a width, {least}, got {self.size}")
        if not self.antialias and self.resample not in (Image.Resampling.BILINEAR, Image.Resampling.NEAREST):
            raise ValueError(f"without antialias, resample must be bilinear (2) or nearest (0), got {self.resample}")

    @classmethod
    def read(cls, path: Path) -> "Letterbox":
        """The letterbox of a preprocessor_config.json.

        Raises:
            ValueError: If it cannot be read.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            known = {field.name: values[field.name] for field in fields(cls) if field.name in values}
            if "size" in known:
                known["size"] = (known["size"]["height"], known["size"]["width"])
            return cls(**known)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{path}: cannot be read: {error}") from error

    def canvas(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the canvas of an image."""
        multiples = -(-height // SIZE_DIVISOR) * SIZE_DIVISOR, -(-width // SIZE_DIVISOR) * SIZE_DIVISOR
        return self.size if self.do_resize else multiples

    def pixel_values(self, image: np.ndarray) -> np.ndarray:
        """The network's input `(3, rows, columns)`, float32, for an image `(height, width, 3)` in bytes."""
        canvas = self.canvas(*image.shape[:2])
        values = self.place(image, canvas).transpose(2, 0, 1).astype(np.float32, order="C")
        if self.do_rescale:
            values *= np.float32(self.rescale_factor)
        if self.do_normalize:
            values -= np.asarray(self.image_mean, np.float32).reshape(-1, 1, 1)
            values /= np.asarray(self.image_std, np.float32).reshape(-1, 1, 1)
        return values

    def place(self, image: np.ndarray, canvas: tuple[int, int]) -> np.ndarray:
        """Fits an image or a map, `(height, width[, 3])` in bytes or float32, into the canvas, centred on zeros."""
        size = image.shape[:2]
        height, width = fitted = letterbox_size(size[0], size[1], canvas) if self.do_resize else size
        if fitted != size:
            if self.antialias or self.resample == Image.Resampling.NEAREST:
                image = np.asarray(Image.fromarray(image).resize((width, height), self.resample))
            elif image.dtype == np.uint8:
                image = resize_like_opencv(image, height, width)
            else:
                image = _sample(image, _positions(height, size[0]), _positions(width, size[1]))
        if fitted == canvas:
            return image
        placed = np.zeros((*canvas, *image.shape[2:]), dtype=image.dtype)
        top, left = (canvas[0] - height) // 2, (canvas[1] - width) // 2
        placed[top : top + height, left : left + width] = image
        return placed

    def saliency_map(self, cells: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
        """The map of an image: the network's cells at the image's size, of maximum 1.

        Args:
            cells: Float32 `(rows, columns)`, at least 0, of any scale.
            size: Height and width in pixels of the image; `None` keeps the cells' own.

        Returns:
            Float32 `(height, width)` in 0..1; all 0 where nothing was predicted.
        """
        return divide_by_maximum(cells if size is None else self.invert(cells, size))

    def invert(self, values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Resizes values on the map's grid, `(rows, columns)`, to an image's size without changing their scale.

        They are enlarged bilinearly until they cover the image, then cropped around the centre, with the release's
        integer rounding. It would shift images smaller than the map by whole cells; for these the letterbox is
        inverted at exact positions.
        """
        return _sample(values, *inverse_positions(size, (values.shape[0], values.shape[1]), self.do_resize))


def _sample(values: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Bilinear interpolation at every pair of fractional positions, edges replicated."""
    for axis, positions in ((1, columns), (0, rows)):  # rows last: whole rows are copied faster than columns
        positions = positions.clip(0, values.shape[axis] - 1)
        lower = positions.astype(int)
        upper = np.minimum(lower + 1, values.shape[axis] - 1)
        weight = (positions - lower).astype(values.dtype)
        before, values = values.take(lower, axis), values.take(upper, axis)
        values -= before
        values *= weight[:, None] if axis == 0 else weight
        values += before
    return values
