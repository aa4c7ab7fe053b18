"""Reading picture files and addresses, and PIL pictures of any mode as arrays; without PyTorch."""

from io import BytesIO
from os import PathLike, fspath
from typing import Any
from urllib.request import urlopen

import numpy as np
from PIL import ExifTags, Image, ImageOps


def read_image(source: str | PathLike, grey: bool = False) -> Image.Image:
    """Opens and decodes a picture file (or http(s) address) upright, its EXIF rotation applied.

    Args:
        grey: Whether only the luma of a JPEG is wanted; it is then read as stored, without a detour over RGB.

    Raises:
        ValueError: If it cannot be read, with the name and the reason.
    """
    name = fspath(source)
    try:
        if name.startswith(("http://", "https://")):
            with urlopen(name, timeout=30) as answer:
                file: Any = BytesIO(answer.read())
        else:
            file = name
        with Image.open(file) as image:
            if grey and image.format == "JPEG":
                image.draft("L", image.size)
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return image
    except FileNotFoundError:
        raise ValueError(f"{name}: no such file") from None
    except Exception as error:  # every decoder raises its own
        reason = "not a picture file" if isinstance(error, Image.UnidentifiedImageError) else str(error)
        raise ValueError(f"{name}: cannot be read as a picture: {reason}") from error


def pil_to_array(image: Image.Image) -> np.ndarray:
    """A picture upright, `(height, width[, 3 | 4])`: bytes or booleans, or the deep values of a deep mode."""
    if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:  # otherwise it would only be copied
        image = ImageOps.exif_transpose(image)
    is_deep = image.mode in ("I", "F") or image.mode.startswith("I;16")  # converting these would clip them
    if image.mode in ("LA", "La", "PA", "RGBa") or ("transparency" in image.info and not is_deep):
        image = image.convert("RGBA")
    elif image.mode not in ("1", "L", "RGB", "RGBA") and not is_deep:
        image = image.convert("RGB")
    return np.asarray(image)
