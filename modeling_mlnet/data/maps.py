"""Reading a saliency map or a fixation density from any file that holds one."""

from io import BytesIO
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image as PILImage
from PIL import ImageOps

from .files import OpenableFile, UnusableError, why_undecoded

NPY = b"\x93NUMPY"  # how a file of numpy.save begins
HIGHEST = {"u1": 255, "u2": 65535}  # of the types of integers whose range is known
# Largest difference between the channels of a grey image stored as colour: JPEG and colour profiles round.
GREY_TOLERANCE = 8
LOG_HINT = "if these are log densities, say so (log_density in a data set, --log-maps for a folder of maps)"


def read_map(file: OpenableFile, name: object = None, log_density: bool = False) -> np.ndarray:
    """Reads a saliency map or density.

    Args:
        file: A path or an open binary file: `numpy.save`, or an image that PIL reads.
        name: How messages name it; `None` takes the path.
        log_density: Whether the file holds the logarithm of a density, as floats.

    Returns:
        Float64 `(height, width)`, at least 0: integers of 8 and 16 bits as 0..1 by their type, floats as stored,
        log densities as exp(value - maximum).

    Raises:
        UnusableError: If it is missing, damaged, coloured, transparent or anything else but one map of finite values
            of at least 0.
    """
    name = file if name is None else name
    try:
        if isinstance(file, Path):
            with file.open("rb") as opened:
                values = _read(opened)
        else:
            values = _read(file)
        return _from_log(values) if log_density else _checked(values)
    except FileNotFoundError:
        raise UnusableError(f"{name}: saliency map is missing") from None
    except UnusableError as error:
        raise UnusableError(f"{name}: {error}") from error.__cause__
    except Exception as error:  # every decoder raises its own
        raise UnusableError(f"{name}: saliency map is damaged: {why_undecoded(error)}") from error


def is_constant(values: np.ndarray) -> bool:
    """Whether a map has the same value everywhere."""
    return bool(values.min() == values.max())


def is_stored_in_8_bits(file: OpenableFile) -> bool:
    """Whether a map's own values are a grey of 8 bits, which `datasets` decodes without loss."""
    try:
        with PILImage.open(file) as image:
            return image.mode[0] not in "IF"
    except PILImage.UnidentifiedImageError:  # a file of `numpy.save`
        return False


def map_png(values: np.ndarray) -> bytes:
    """A map as a grey PNG of 8 bits whose maximum is white."""
    highest = values.max(initial=0)
    scaled = values * (255 / highest) if highest > 0 else values
    buffer = BytesIO()
    PILImage.fromarray(np.rint(scaled).astype(np.uint8)).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def _read(file: IO[bytes]) -> np.ndarray:
    file.seek(0)
    is_array = file.read(len(NPY)) == NPY
    file.seek(0)
    values = np.load(file, allow_pickle=False) if is_array else _image_values(file)
    if values.dtype.kind not in "buif":
        raise UnusableError(f"saliency map holds {values.dtype}, not numbers")
    if values.ndim == 3 and 1 in (values.shape[0], values.shape[2]):
        values = values[..., 0] if values.shape[2] == 1 else values[0]
    elif values.ndim == 3 and values.shape[2] == 3 and (values == values[..., :1]).all():
        values = values[..., 0]
    if values.ndim != 2 or values.size == 0:
        raise UnusableError(f"saliency map must be one map (height, width), got shape {values.shape}")
    highest = None if is_array else HIGHEST.get(values.dtype.str[1:])
    return values if highest is None else values * (1 / highest)


def _image_values(file: IO[bytes]) -> np.ndarray:
    with PILImage.open(file) as image:
        count = getattr(image, "n_frames", 1)
        if count > 1 and image.format != "MPO":  # the other frames of an MPO are its previews
            raise UnusableError(f"saliency map must be one image, the file holds {count}")
        image.load()
        upright = ImageOps.exif_transpose(image)
    if upright.mode[0] in "IF":
        return np.asarray(upright)
    if upright.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in upright.info:
        upright = upright.convert("RGBA")
        alpha = np.asarray(upright.getchannel("A"))
        low, high = int(alpha.min()), int(alpha.max())
        if low < 255:
            raise UnusableError(f"saliency map is transparent (alpha {low} to {high} of 255); save it as plain grey")
    elif upright.mode in ("1", "L"):
        return np.asarray(upright.convert("L"))
    colour = np.asarray(upright.convert("RGB")).astype(np.int16)
    spread = int((colour.max(axis=2) - colour.min(axis=2)).max())
    if spread > GREY_TOLERANCE:
        raise UnusableError(
            f"saliency map is in colour (channels differ by up to {spread} of 255), as a heat map for people to look "
            "at; its values cannot be told from its colours: give the grey map"
        )
    return np.asarray(upright.convert("L"))


def _checked(values: np.ndarray) -> np.ndarray:
    values = values.astype(np.float64)
    low, high = values.min(), values.max()  # NaN if any value is NaN
    if not (np.isfinite(low) and np.isfinite(high)):
        raise UnusableError(f"saliency map holds NaN or infinite values ({low:g} to {high:g}); {LOG_HINT}")
    if low < 0:
        raise UnusableError(f"saliency map holds values below 0 ({low:g} to {high:g}); {LOG_HINT}")
    return values


def _from_log(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind != "f" or (values.min() >= 0 and values.max() <= 1):
        raise UnusableError("a log density is expected, got the values of a grey image")
    values = values.astype(np.float64)
    highest = values.max()
    if not np.isfinite(highest):
        raise UnusableError(f"a log density must be below infinity and not NaN, got {highest:g}")
    return np.exp(values - highest)
