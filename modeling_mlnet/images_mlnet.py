"""Images of every kind that a user may give, as upright RGB arrays. Needs NumPy and Pillow only."""

import warnings
from os import PathLike
from typing import Any

import numpy as np
from PIL import Image

from .image_files_mlnet import Draft, ImageSource, ImageWarning, name_of, open_image, open_planes

FLOAT_SCALES, INTEGER_SCALES = (1, 255), (255, 4095, 65535)  # white: of 8, 12 and 16 bits
OVERSHOOT = 0.15  # of the scale: cubic and Lanczos resizing go so far beyond it
DARKEST = 1 / 16  # of the scale: an image whose brightest value is below is taken for one of a smaller scale


def is_image(value: object) -> bool:
    """Whether a value is meant as one image; otherwise it is an iterable of images, such as a list or a column."""
    kinds = (str, bytes, bytearray, memoryview, PathLike, dict, Image.Image)
    is_file = hasattr(value, "read") or not hasattr(value, "__iter__")
    return isinstance(value, kinds) or is_file or getattr(value, "ndim", 1) != 1


def is_single(images: Any) -> bool:
    """Whether this is one image; an array of four dimensions is several."""
    return is_image(images) and getattr(images, "ndim", 3) < 4


def read_image(source: ImageSource, data_format: str | None = None, allow_urls: bool = False) -> np.ndarray:
    """Reads an image of any kind: upright, its transparency laid over white, grey as three equal channels.

    Args:
        source: A path; bytes of an image file, an open file, base64 text, a data URL, or a dictionary with `bytes` or
            `path` as `datasets` has it; a PIL image; an array `(height, width[, 1 | 3 | 4])` or a tensor
            `([1 | 3 | 4, ]height, width)` with floats in 0..1 or 0..255, or integers of 8, 12 or 16 bits. Values
            slightly beyond their range are clipped.
        data_format: `"channels_first"` or `"channels_last"`, of arrays and tensors that could be either.
        allow_urls: Whether http(s) addresses are fetched.

    Returns:
        uint8 `(height, width, 3)`; deeper values are rounded to 8 bits.

    Raises:
        ValueError: If it cannot be read, with its name and the reason.
    """
    values = _read_values(source, data_format, allow_urls)
    color = _to_255(values[..., :3], source)
    if values.shape[2] == 4:
        alpha = _to_255(values[..., 3:], source).astype(np.float32) / 255
        color = color * alpha + 255 * (1 - alpha)
    if color.dtype != np.uint8:
        color = np.rint(color).astype(np.uint8)
    return color if color.shape[2] == 3 else np.repeat(color, 3, axis=2)


def read_grey(source: ImageSource) -> np.ndarray:
    """Reads a grey image, such as a saliency map, of the kinds that `read_image` takes; colour becomes its luma.

    Returns:
        `(height, width)` in 0..255: uint8, or float32, not rounded, where the values are deeper.

    Raises:
        ValueError: If it cannot be read, with its name and the reason.
    """
    values = _read_values(source, None, draft=("L", None))
    if values.shape[2] > 1:
        return np.asarray(Image.fromarray(read_image(values)).convert("L"))
    grey = _to_255(values, source)[..., 0]
    return grey if grey.dtype == np.uint8 else grey.astype(np.float32)


def _read_values(
    source: Any, data_format: str | None, allow_urls: bool = False, draft: Draft | None = None
) -> np.ndarray:
    """Values of an image `(height, width, 1 | 3 | 4)`, of whatever type and range they have."""
    channels: tuple[int, ...] = (2, 0)  # where they are looked for
    if hasattr(source, "is_floating_point"):  # a tensor of PyTorch, which is not imported for it
        source, channels = source.detach().cpu(), (0, 2)
        values = (source.double() if source.is_floating_point() else source).numpy()
    elif hasattr(source, "__array__") and not isinstance(source, (str, bytes)):
        values = np.asarray(source)
    else:
        planes = [np.asarray(_plain_mode(plane)) for plane in open_planes(source, allow_urls, draft)]
        values = planes[0] if len(planes) == 1 else planes[0].astype(np.uint16) * 256 + planes[1]
        data_format = None
    if values.dtype.kind not in "buif":
        raise ValueError(f"an array of {values.dtype} is not an image")
    if values.size == 0:
        raise ValueError(f"it is empty, shape {values.shape}")
    if values.ndim == 2:
        return values[..., None]
    if values.ndim != 3:
        batch = ": a batch is given as a list of images" if values.ndim == 4 else ""
        raise ValueError(f"expected 2 or 3 dimensions, got shape {values.shape}{batch}")
    if data_format is not None:
        channels = (0,) if getattr(data_format, "value", data_format) == "channels_first" else (2,)
    axis = next((axis for axis in channels if values.shape[axis] in (1, 3, 4)), None)
    if axis is None:
        raise ValueError(f"expected 1, 3 or 4 channels, got shape {values.shape}")
    return np.moveaxis(values, axis, 2)


def _to_255(values: np.ndarray, source: ImageSource) -> np.ndarray:
    """Values in 0..255: bytes stay bytes, everything else becomes float64."""
    if values.dtype == np.uint8:
        return values
    is_float, is_wide = values.dtype.kind == "f", values.dtype in (np.uint16, np.int16)
    values = values.astype(np.float64) * (255 if values.dtype == bool else 1)
    low, high = values.min(), values.max()
    scales = FLOAT_SCALES if is_float else INTEGER_SCALES
    fitting = (top for top in scales if low >= -OVERSHOOT * top and high <= (1 + OVERSHOOT) * top)  # none of NaN
    scale = next((top for top in fitting if top == scales[0] or high >= DARKEST * top), None)
    if scale is None:
        is_between = is_float and low >= 0 and 1 < high < 255
        dark = "; as 0..1 it goes beyond, as 0..255 it would be almost black" if is_between else ""
        got = f"{low:g} to {high:g}{dark}" if np.isfinite((low, high)).all() else "NaN or infinite ones"
        name = f"{name_of(source)}: " if isinstance(source, (str, PathLike, dict)) else ""
        raise ValueError(f"{name}expected values in 0..1 or 0..255 (integers also in 0..4095 or 0..65535), got {got}")
    if is_wide and high > 0 and scale < 65535:
        bits = 8 if scale == 255 else 12
        warnings.warn(
            f"{name_of(source)}: 16-bit values of at most {high:g} are read as {bits} bits", ImageWarning, stacklevel=3
        )
    return np.clip(values * (255 / scale), 0, 255)


def _plain_mode(image: Image.Image) -> Image.Image:
    """A PIL image in a mode whose array has 1, 3 or 4 channels; deep greys stay, as converting would clip them."""
    is_deep = image.mode in ("I", "F") or image.mode.startswith("I;16")
    if image.mode in ("LA", "La", "PA", "RGBa") or ("transparency" in image.info and not is_deep):
        return image.convert("RGBA")
    return image if is_deep or image.mode in ("1", "L", "RGB", "RGBA") else image.convert("RGB")


__all__ = ["ImageWarning", "is_image", "is_single", "name_of", "open_image", "read_grey", "read_image"]
