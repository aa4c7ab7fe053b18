"""Images of every kind that a user may give, as upright RGB arrays. Needs NumPy and Pillow only."""

import base64
import sys
import warnings
import zlib
from io import BytesIO
from os import PathLike, fspath
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
from PIL import ExifTags, Image

TRANSPOSED = {  # by EXIF orientation: what makes the image upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
FLOAT_SCALES, INTEGER_SCALES = (1, 255), (255, 4095, 65535)  # white: of 8, 12 and 16 bits
OVERSHOOT = 0.15  # of the scale: cubic and Lanczos resizing go so far beyond it
DARKEST = 1 / 16  # of the scale: an image whose brightest value is below is taken for one of a smaller scale
HEIC = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1")
PNG = b"\x89PNG\r\n\x1a\n"
PNG_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")  # those that the pixels need
SHOWN = 60  # characters of a value that a message quotes


class ImageWarning(UserWarning):
    """An image could be read, but not all of its file, or its units were inferred."""


def is_image(value: Any) -> bool:
    """Whether a value is meant as one image; otherwise it is an iterable of images, such as a list or a column."""
    kinds = (str, bytes, bytearray, memoryview, PathLike, dict, Image.Image)
    is_file = hasattr(value, "read") or not hasattr(value, "__iter__")
    return isinstance(value, kinds) or is_file or getattr(value, "ndim", 1) != 1


def read_image(source: Any, data_format: str | None = None, allow_urls: bool = False) -> np.ndarray:
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


def read_grey(source: Any) -> np.ndarray:
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


def open_image(source: Any, allow_urls: bool = False, draft: tuple[str | None, Any] | None = None) -> Image.Image:
    """Opens, decodes and turns upright an image file of the kinds that `read_image` takes, or a PIL image.

    A PNG file with damaged metadata and a JPEG file without its end mark are read with an `ImageWarning`.

    Args:
        draft: Mode and largest size at which a JPEG may be decoded, as `PIL.Image.draft` takes them; a size of `None`
            is its own.

    Raises:
        ValueError: If it cannot be read, with its name and the reason.
    """
    return _open_planes(source, allow_urls, draft)[0]


def name_of(source: Any) -> str:
    """What messages call an image: its path or address, or what kind of value it is."""
    if isinstance(source, PathLike):
        return fspath(source)
    if isinstance(source, str):
        return source if len(source) <= SHOWN or _is_file(source) else f"{source[: SHOWN - 21]}...{source[-18:]}"
    if isinstance(source, (bytes, bytearray, memoryview)):
        return f"{len(source):,} bytes"
    if isinstance(source, dict):
        return name_of(source["path"]) if source.get("path") else "image"
    name = getattr(source, "filename", None) or getattr(source, "name", None)  # of a PIL image, of an open file
    return fspath(name) if isinstance(name, (str, PathLike)) else "image"


def explain_content(head: bytes) -> str:
    """Why the beginning of a file, 512 bytes of it, is not an image, and what to do."""
    if head[4:8] == b"ftyp" and head[8:12] in HEIC:
        return "it is a HEIC image; in the phone's settings or a photo program, save it as JPEG"
    if head.startswith(b"%PDF"):
        return "it is a PDF; save the page as an image"
    if b"<svg" in head:
        return "it is an SVG drawing; save it as PNG"
    return "it is empty, 0 bytes" if not head else "its content is not an image"


def open_heic(file: Any) -> Image.Image:
    """Opens a HEIC image, a path or a file in memory.

    Raises:
        ValueError: If the extra `heic` is not installed, or it cannot be read.
    """
    try:
        from pillow_heif import HeifImageFile
    except ImportError:
        advice = "or install what reads it: pip install 'mlnet-saliency[heic]'"
        raise ValueError(f"{explain_content(b'    ftypheic')}, {advice}") from None
    try:
        return HeifImageFile(file)
    except Exception as error:
        raise ValueError(f"it is a HEIC image and damaged: {error}") from error


def _read_values(source: Any, data_format: str | None, allow_urls: bool = False, draft: Any = None) -> np.ndarray:
    """Values of an image `(height, width, 1 | 3 | 4)`, of whatever type and range they have."""
    channels: tuple[int, ...] = (2, 0)  # where they are looked for
    if hasattr(source, "is_floating_point"):  # a tensor of PyTorch, which is not imported for it
        source, channels = source.detach().cpu(), (0, 2)
        values = (source.double() if source.is_floating_point() else source).numpy()
    elif hasattr(source, "__array__") and not isinstance(source, (str, bytes)):
        values = np.asarray(source)
    else:
        planes = [np.asarray(_plain_mode(plane)) for plane in _open_planes(source, allow_urls, draft)]
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


def _to_255(values: np.ndarray, source: Any) -> np.ndarray:
    """Values in 0..255: bytes stay bytes, everything else becomes float64."""
    if values.dtype == np.uint8:
        return values
    is_float, is_wide = values.dtype.kind == "f", values.dtype in (np.uint16, np.int16)
    values = values.astype(np.float64) * (255 if values.dtype == bool else 1)
    low, high = values.min(), values.max()
    scales = FLOAT_SCALES if is_float else INTEGER_SCALES
    fitting = (one for one in scales if low >= -OVERSHOOT * one and high <= (1 + OVERSHOOT) * one)  # none of NaN
    scale = next((one for one in fitting if one == scales[0] or high >= DARKEST * one), None)
    if scale is None:
        is_between = is_float and low >= 0 and 1 < high < 255
        dark = "; as 0..1 it goes beyond, as 0..255 it would be almost black" if is_between else ""
        raise ValueError(
            f"expected values in 0..1 or 0..255 (integers also in 0..4095 or 0..65535), got {low:g} to {high:g}{dark}"
        )
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


def _open_planes(source: Any, allow_urls: bool, draft: Any) -> list[Image.Image]:
    """The decoded, upright image; of 16-bit colour a second one with the lower bytes, which Pillow leaves out."""
    name = name_of(source)
    try:
        if isinstance(source, Image.Image):
            source.load()
            planes = [source]
        else:
            file = _open_file(source, allow_urls)
            try:
                planes = _decode(file, draft)
            except FileNotFoundError:
                raise
            except Exception as error:  # every decoder raises its own
                planes = _decode_repaired(file, draft, error, name)
    except FileNotFoundError:
        raise ValueError(f"{name}: no such file") from None
    except Exception as error:
        raise ValueError(f"{name}: cannot be read as an image: {error}") from error
    try:
        orientation = planes[0].getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # junk in its EXIF data
        _warn_repaired(name, "its EXIF data is damaged; taken as upright")
        orientation = 1
    if orientation in TRANSPOSED:
        planes = [plane.transpose(TRANSPOSED[orientation]) for plane in planes]
        for plane in planes:  # no second turn for what is read again
            plane.info = {key: value for key, value in plane.info.items() if key == "transparency"}
    return planes


def _open_file(source: Any, allow_urls: bool) -> Any:
    """What Pillow opens: a path, or a file in memory."""
    if isinstance(source, dict):
        if source.keys().isdisjoint(("bytes", "path")):
            raise ValueError(f"a dictionary needs bytes or path, got the keys {[str(key)[:20] for key in source][:5]}")
        source = source["path"] if source.get("bytes") is None else source["bytes"]
    if isinstance(source, (bytes, bytearray, memoryview)):
        return BytesIO(source)
    if hasattr(source, "read"):
        if hasattr(source, "seek") and source.seekable():
            source.seek(0)
        content = source.read()
        if isinstance(content, str):
            raise ValueError("it is open as text; open it with mode 'rb'")
        return BytesIO(content)
    if not isinstance(source, (str, PathLike)):
        raise ValueError(f"expected a path, bytes, a PIL image, an array or a tensor, got {type(source).__name__}")
    text = fspath(source)
    if isinstance(source, str):
        if text.startswith(("http://", "https://")):
            return BytesIO(_fetch(text, allow_urls))
        head, comma, content = text.partition(",")
        if head.startswith("data:") and comma:
            if not head.endswith(";base64"):
                raise ValueError("a data URL must be in base64")
            return BytesIO(base64.b64decode(content))
        if len(text) > SHOWN and not _is_file(text):
            try:
                return BytesIO(base64.b64decode("".join(text.split()), validate=True))
            except ValueError:
                raise FileNotFoundError from None
    path = Path(text)
    return path if path.is_file() or not path.exists() or path.is_dir() else BytesIO(path.read_bytes())  # a pipe


def _is_file(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # too long for a name, or with a NUL
        return False


def _fetch(url: str, allow_urls: bool) -> bytes:
    if not allow_urls:
        raise ValueError("addresses are fetched only when asked for (allow_urls=True)")
    with urlopen(Request(url, headers={"User-Agent": "mlnet-saliency"}), timeout=30) as answer:
        return answer.read()


def _decode(file: Any, draft: Any) -> list[Image.Image]:
    with Image.open(file) as image:
        if draft is not None and image.format == "JPEG":
            image.draft(draft[0], draft[1] or image.size)
        tiles = list(image.tile)
        image.load()
    arguments = tiles[0].args if tiles else ""
    layout, *rest = (arguments,) if isinstance(arguments, str) else arguments or ("",)
    if str(layout)[:-1] not in ("RGB;16", "RGBA;16"):  # of the file's values; RGB;16B: the higher byte first
        return [image]
    order = layout[-1] if layout[-1] in "BL" else sys.byteorder[0].upper()  # N stands for the machine's own
    swapped = layout[:-1] + ("L" if order == "B" else "B")
    with Image.open(file) as lower:  # Pillow keeps the higher bytes: in the other order these are the lower ones
        lower.tile = [tiles[0]._replace(args=swapped if not rest else (swapped, *rest))]
        lower.load()
    return [image, lower]


def _decode_repaired(file: Any, draft: Any, error: Exception, name: str) -> list[Image.Image]:
    """Decodes a file whose pixels are whole although something else in it is not; raises what keeps it from that."""
    content = file.getvalue() if isinstance(file, BytesIO) else Path(file).read_bytes()
    if isinstance(error, Image.DecompressionBombError):
        raise ValueError(f"{error}; --max-megapixels allows more (in Python: PIL.Image.MAX_IMAGE_PIXELS)") from error
    if content[4:8] == b"ftyp" and content[8:12] in HEIC:
        with open_heic(BytesIO(content)) as image:
            image.load()
            return [image]
    if content.startswith(PNG):
        planes = _decode(BytesIO(without_metadata(content)), draft)
        _warn_repaired(name, "its metadata is damaged and left out")
        return planes
    if content.startswith(b"\xff\xd8"):
        # What follows the last pixel is skipped, so that it changes nothing unless pixels are missing.
        first, second = (_decode(BytesIO(content + tail + b"\xff\xd9"), draft) for tail in (b"", b"\x5a\xa5" * 4096))
        if first[0].tobytes() == second[0].tobytes():
            _warn_repaired(name, "its end mark is missing")
            return first
    raise error if not isinstance(error, Image.UnidentifiedImageError) else ValueError(explain_content(content[:512]))


def without_metadata(content: bytes) -> bytes:
    """A PNG file without the chunks that its pixels do not need, except intact EXIF data."""
    kept, start = [PNG], len(PNG)
    while start + 12 <= len(content):
        end = start + 12 + int.from_bytes(content[start : start + 4], "big")
        chunk = content[start + 4 : end - 4]
        is_intact = zlib.crc32(chunk) == int.from_bytes(content[end - 4 : end], "big")
        if chunk[:4] in PNG_CHUNKS or (chunk[:4] == b"eXIf" and is_intact):
            kept.append(content[start:end])
        start = end
    return b"".join(kept)


def _warn_repaired(name: str, what: str) -> None:
    warnings.warn(f"{name}: {what}", ImageWarning, stacklevel=4)
