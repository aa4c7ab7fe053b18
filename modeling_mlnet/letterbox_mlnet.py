"""Where a picture lies on its canvas and on the map, in NumPy: the numbers of the letterbox and of its inverse."""

from collections.abc import Sequence
from typing import Any

import numpy as np

STRIDE = 8  # input pixels per cell of the saliency map, whatever the backbone


def letterbox_size(height: int, width: int, canvas: tuple[int, int]) -> tuple[int, int]:
    """Height and width of a picture that is fitted into `canvas`, in the integers of the release; at least 1."""
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


def _opencv_weights(size: int, source: int) -> tuple[np.ndarray, ...]:
    """Along one axis: the two source indices of every output and their weights in units of 1/2048."""
    position = ((np.arange(size) + 0.5) * (source / size) - 0.5).astype(np.float32).clip(0, source - 1)
    index = position.astype(np.int64)
    weight = position - index.astype(np.float32)
    weights = (np.rint(one * np.float32(2048)).astype(np.int32) for one in (1 - weight, weight))
    return index, np.minimum(index + 1, source - 1), *weights


def resize_like_opencv(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear resizing of a uint8 picture `(channels, height, width)` in OpenCV's integer arithmetic.

    Gives the very bytes of the release's `cv2.resize`; floating point would differ by one in every tenth pixel.
    """
    top, bottom, top_weight, bottom_weight = _opencv_weights(height, picture.shape[1])
    left, right, left_weight, right_weight = _opencv_weights(width, picture.shape[2])

    needed, place = np.unique(np.concatenate([top, bottom]), return_inverse=True)
    above, below = place[:height], place[height:]
    resized = np.empty((len(picture), height, width), np.uint8)
    for channel, result in zip(picture, resized, strict=True):  # one at a time stays in the processor's cache
        rows = channel[needed]
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
        result[:] = upper >> 2
    return resized


def inverse_positions(size: tuple[int, int], cells: tuple[int, int], do_resize: bool) -> list[np.ndarray]:
    """For every row and every column of a picture, the position on the map's grid it lies on, in float64.

    Args:
        size: Height and width of the picture.
        cells: Height and width of the map.
        do_resize: Whether the picture was fitted into the canvas; else it stands there in its own size.
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
