"""Pictures of every kind as tensors: PIL modes, arrays and tensors, their ranges and channels."""

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as tvF
from transformers.image_utils import ChannelDimension

from .reading_mlnet import pil_to_array


def image_to_tensor(image: Any, input_data_format: str | ChannelDimension | None = None) -> Tensor:
    """A picture of any kind as `(channels, height, width)` in 0..255, with 1, 3 or 4 channels; uint8 where it can be.

    Floats are taken as 0..1 if none is above 1 and as 0..255 otherwise; integers wider than a byte as 16-bit if they
    are uint16 or one is above 255. EXIF rotation is applied; PIL modes other than grey, RGB and RGBA are converted.

    Raises:
        ValueError: If it is not a picture, with the reason.
    """
    if isinstance(image, Image.Image):
        try:
            image, input_data_format = pil_to_array(image), ChannelDimension.LAST
        except Exception as error:  # PIL decodes only now, and every decoder raises its own
            raise ValueError(f"cannot be read as a picture: {error}") from error
    if isinstance(image, np.ndarray):
        if image.dtype.kind not in "buif" or image.dtype.itemsize > 8:
            raise ValueError(f"an array of {image.dtype} is not a picture")
        prefer_last = True
        values = torch.from_numpy(np.ascontiguousarray(image.astype(image.dtype.newbyteorder("="))))
    elif isinstance(image, Tensor):
        prefer_last, values = False, image
    else:
        raise ValueError(f"expected a path, a PIL image, an array or a tensor, got {type(image).__name__}")
    if values.ndim == 2:
        values = values[None]
    elif values.ndim == 3:
        values = _channels_first(values, input_data_format, prefer_last)
    else:
        raise ValueError(f"expected 2 or 3 dimensions, got shape {tuple(values.shape)}")
    if values.numel() == 0:
        raise ValueError(f"it is empty, shape {tuple(values.shape)}")
    return _to_byte_range(values)


def _channels_first(values: Tensor, data_format: str | ChannelDimension | None, prefer_last: bool) -> Tensor:
    possible = [axis for axis in ((2, 0) if prefer_last else (0, 2)) if values.shape[axis] in (1, 3, 4)]
    if data_format is not None:
        possible = [
            axis for axis in possible if axis == (2 if ChannelDimension(data_format).value == "channels_last" else 0)
        ]
    if not possible:
        raise ValueError(f"expected 1, 3 or 4 channels, got shape {tuple(values.shape)}")
    return values.movedim(possible[0], 0)


def _to_byte_range(values: Tensor) -> Tensor:
    if values.dtype == torch.uint8:
        return values
    if values.dtype == torch.bool:
        return values.to(torch.uint8) * 255
    is_float, is_16_bit = values.is_floating_point(), values.dtype == torch.uint16
    values = values.to(torch.float64)
    low, high = values.min().item(), values.max().item()
    if not (low >= 0 and high <= (255 if is_float else 65535)):  # not (...): NaN ends here too
        raise ValueError(f"expected values in 0..1 or 0..255 (integers also in 0..65535), got {low:g} to {high:g}")
    if is_float and high <= 1:
        values = values * 255
    elif is_16_bit or high > 255:
        values = values / 257
    rounded = values.round()
    # What was bytes before somebody divided by 255 becomes the same bytes again.
    return rounded.to(torch.uint8) if (values - rounded).abs().max() < 1e-3 else values.to(torch.float32)


def to_rgb(values: Tensor) -> Tensor:
    """Grey becomes three equal channels; transparency is laid over white, as a page would show it."""
    if values.shape[0] == 1:
        return values.expand(3, -1, -1)
    if values.shape[0] == 3:
        return values
    alpha = values[3:].to(torch.float32) / 255
    blended = values[:3] * alpha + 255 * (1 - alpha)
    return blended.round().to(torch.uint8) if values.dtype == torch.uint8 else blended


def pil_rgb(image: Image.Image) -> Image.Image:
    """The picture in RGB, read as `image_to_tensor` and `to_rgb` do it: 16 bits scaled, transparency over white."""
    if image.mode == "RGB":
        return image
    return Image.fromarray(to_rgb(image_to_tensor(image)).round().byte().permute(1, 2, 0).numpy())


def to_grey(values: Tensor) -> Tensor:
    """One channel: colour is weighted as in PIL (ITU-R 601-2 luma)."""
    return values if values.shape[0] == 1 else tvF.rgb_to_grayscale(to_rgb(values))
