"""Inputs of metrics: maps, fixations as points or as a map, one image or a batch."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def as_map(values: Any) -> np.ndarray:
    """Arrays, tensors of any device and type, or nested lists as a NumPy array.

    `(height, width, 1)` loses its channel.
    """
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = values.double() if values.is_floating_point() else values
    array = np.asarray(values)
    return array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array


def check_map(values: ArrayLike, name: str = "saliency_map") -> np.ndarray:
    """A map as float64.

    Raises:
        ValueError: If it is not a two-dimensional array of finite values of at least 0.
    """
    return check_range(values, name)[0]


def check_range(values: ArrayLike, name: str = "saliency_map") -> tuple[np.ndarray, float, float]:
    """As `check_map`, with the least and the highest value."""
    array, low, high = check_floats(values, name)
    return np.ascontiguousarray(array, dtype=np.float64), low, high


def check_floats(values: ArrayLike, name: str = "saliency_map") -> tuple[np.ndarray, float, float]:
    """As `check_range`, but a map of floating-point numbers keeps their type and is not copied."""
    array = as_map(values)
    if array.dtype.kind != "f" or array.dtype.itemsize > 8:
        with np.errstate(over="ignore"):  # to infinity, which is refused below
            array = array.astype(np.float64)
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"{name} must be (height, width), got shape {array.shape}")
    low, high = array.min(), array.max()  # NaN if any value is NaN
    if not (low >= 0 and high < np.inf):
        raise ValueError(f"{name} must hold finite values of at least 0, got {low:g} to {high:g}")
    return array, float(low), float(high)


def check_pair(saliency_map: ArrayLike, reference: ArrayLike, name: str = "density") -> tuple[np.ndarray, np.ndarray]:
    """Two maps of one size, as float64; else a ValueError."""
    first, second = check_map(saliency_map), check_map(reference, name)
    if first.shape != second.shape:
        raise ValueError(f"saliency_map and {name} must have one shape, got {first.shape} and {second.shape}")
    return first, second


def min_max(values: np.ndarray) -> np.ndarray:
    """Shifted and scaled to 0..1; all 0 if constant."""
    low = values.min()
    shifted = values - low
    if shifted.size and (highest := values.max() - low) > 0:
        shifted /= highest
    return shifted


def sane(values: np.ndarray) -> np.ndarray:
    """The values if their squares and sums neither overflow nor vanish, otherwise shifted and scaled to 0..1."""
    highest = values.max()
    return values if 1e-100 < highest < 1e100 else min_max(values)


def to_distribution(values: np.ndarray) -> np.ndarray:
    """Scaled to sum to 1; uniform if all 0."""
    highest = values.max()
    if highest == 0:
        return np.full_like(values, 1 / values.size)
    if not 1e-100 < highest < 1e100:  # the sum or its inverse could overflow
        values = values / highest
    return values / values.sum()


def to_distributions(
    saliency_map: ArrayLike, reference: ArrayLike, rescale: bool = False, name: str = "density"
) -> tuple[np.ndarray, np.ndarray]:
    """As `check_pair`, both scaled to sum to 1; with `rescale`, shifted and scaled to 0..1 before."""
    first, second = check_pair(saliency_map, reference, name)
    if rescale:
        first, second = min_max(first), min_max(second)
    return to_distribution(first), to_distribution(second)


def to_pixels(fixations: ArrayLike, shape: tuple[int, int], name: str = "fixations") -> np.ndarray:
    """The pixel of every fixation.

    Args:
        fixations: Points `(n, 2)`, x and y in pixels, 0-based, the centre of the first pixel being 0; or a fixation
            map `(height, width)` or `(height, width, 1)` of whole numbers (or booleans) that counts the fixations of
            every pixel; one of bytes that are all 0 or 255, as images hold masks, counts one for 255. `(n, 2)` is
            always taken as points.
        shape: Height and width in pixels.

    Returns:
        Flat indices, int64 `(n,)`, with repeats; points keep their order.

    Raises:
        ValueError: If a fixation lies outside, is not finite, or a fixation map holds anything but counts.
    """
    array = as_map(fixations)
    height, width = shape
    if array.shape == shape and width != 2:
        if (array.dtype.kind not in "bu" and (array < 0).any()) or (array != np.floor(array)).any():
            raise ValueError(f"{name}: a fixation map counts fixations in whole numbers; is this a density?")
        pixels = np.flatnonzero(array)
        if array.dtype == np.uint8 and (array.ravel()[pixels] == 255).all():
            return pixels
        return np.repeat(pixels, array.ravel()[pixels].astype(np.int64))
    if array.size and (array.ndim != 2 or array.shape[1] != 2):
        raise ValueError(f"{name} must be points (n, 2) or a map of shape {shape}, got shape {array.shape}")
    columns, rows = array.reshape(-1, 2).T
    if array.dtype.kind not in "iu":
        columns, rows = np.floor(columns + 0.5), np.floor(rows + 0.5)
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    if not inside.all():
        x, y = array.reshape(-1, 2)[~inside][0]
        raise ValueError(f"{name}: ({x:g}, {y:g}) lies outside the map of {width}x{height} px")
    return rows.astype(np.int64) * width + columns.astype(np.int64)


def arguments_of(metric: Callable[..., float]) -> list[str]:
    """The names of what a metric is given for each image; its options are arguments by keyword only."""
    parameters = inspect.signature(metric).parameters.values()
    return [parameter.name for parameter in parameters if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]


def batched(metric: Callable[..., float]) -> Callable[..., Any]:
    """Extends a metric of one image to batches, for which it returns a float64 array `(batch,)`.

    A batch is a list of maps or an array `(batch, height, width)`, with a channel axis of 1 after the others or, in an
    array, before height; `(height, width, 1)` is one map. Everything else the metric needs is given once per
    image, in a list or along the first axis; only a single array of two dimensions is used for all of them.
    """
    signature = inspect.signature(metric)
    names = arguments_of(metric)

    @functools.wraps(metric)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        arguments = signature.bind(*args, **kwargs).arguments
        maps = arguments[names[0]]
        if not _is_batch(maps):
            return metric(**arguments)
        size = len(maps)
        scores = []
        for index in range(size):
            items = {name: _item(name, arguments[name], index, size) for name in names}
            try:
                scores.append(metric(**{**arguments, **items}))
            except ValueError as error:
                raise ValueError(f"image {index} of the batch: {error}") from error
        return np.array(scores)

    return wrapper


def _is_batch(maps: Any) -> bool:
    if isinstance(maps, (list, tuple)):
        return len(maps) > 0 and (getattr(maps[0], "ndim", 0) == 2 or _has_channel(maps[0]))
    return getattr(maps, "ndim", 0) == 4 or (getattr(maps, "ndim", 0) == 3 and not _has_channel(maps))


def _has_channel(maps: Any) -> bool:
    """Whether it is one map `(height, width, 1)`."""
    return getattr(maps, "ndim", 0) == 3 and maps.shape[2] == 1


def _item(name: str, argument: Sequence[Any], index: int, size: int) -> Any:
    if getattr(argument, "ndim", 0) == 2 or _has_channel(argument):
        return argument
    if len(argument) != size:
        raise ValueError(f"{name}: {size} maps need as many entries, got {len(argument)}")
    item = argument[index]
    is_channel_first = getattr(argument, "ndim", 0) == 4 and item.shape[0] == 1 and item.shape[2] != 1
    return item[0] if is_channel_first else item
