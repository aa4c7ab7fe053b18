"""Image files, opened, decoded and turned upright, whole or with damage that leaves the pixels. Needs Pillow only."""

import base64
import sys
import warnings
import zlib
from collections.abc import Mapping
from io import BytesIO
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias
from urllib.request import Request, urlopen

from PIL import ExifTags, Image

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


class OpenFile(Protocol):
    """What is read of an open binary file."""

    def read(self) -> bytes:
        """The rest of its content."""


FileSource: TypeAlias = "str | PathLike[str] | bytes | bytearray | memoryview | OpenFile | Mapping[str, object]"
ImageSource: TypeAlias = "FileSource | Image.Image | np.ndarray | Tensor"  # as `read_image` describes them
Draft: TypeAlias = tuple[str | None, tuple[int, int] | None]  # mode and largest size at which a JPEG may be decoded

TRANSPOSED = {  # by EXIF orientation: what makes the image upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
HEIC = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1")
PNG = b"\x89PNG\r\n\x1a\n"
PNG_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")  # those that the pixels need
SHOWN = 60  # characters of a value that a message quotes


class ImageWarning(UserWarning):
    """An image could be read, but not all of its file, or its units were inferred."""


def open_image(source: ImageSource, draft: Draft | None = None) -> Image.Image:
    """Opens, decodes and turns upright an image file of the kinds that `read_image` takes, or a PIL image.

    A PNG file with damaged metadata and a JPEG file without its end mark are read with an `ImageWarning`.

    Args:
        draft: As `PIL.Image.draft` takes it; a size of `None` is the image's own.

    Raises:
        ValueError: If it cannot be read, with its name and the reason.
    """
    return open_planes(source, allow_urls=False, draft=draft)[0]


def name_of(source: object) -> str:
    """Name of an image in messages: its path or address, or its kind."""
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


def open_heic(file: Path | BytesIO) -> Image.Image:
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


def open_planes(source: ImageSource, allow_urls: bool, draft: Draft | None) -> list[Image.Image]:
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
        for plane in planes:  # so that it is not turned again
            plane.info = {key: value for key, value in plane.info.items() if key == "transparency"}
    return planes


def _open_file(source: Any, allow_urls: bool) -> Path | BytesIO:
    """A path, or a file in memory, for Pillow."""
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


def _decode(file: Path | BytesIO, draft: Draft | None) -> list[Image.Image]:
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


def _decode_repaired(file: Path | BytesIO, draft: Draft | None, error: Exception, name: str) -> list[Image.Image]:
    """Decodes a file whose pixels are whole although something else in it is not; raises what keeps it from that."""
    content = file.getvalue() if isinstance(file, BytesIO) else Path(file).read_bytes()
    if isinstance(error, Image.DecompressionBombError):
        raise ValueError(f"{error}; --max-megapixels allows more (in Python: PIL.Image.MAX_IMAGE_PIXELS)") from error
    if content[4:8] == b"ftyp" and content[8:12] in HEIC:
        with open_heic(BytesIO(content)) as image:
            image.load()
            return [image]
    if content.startswith(PNG):
        try:
            planes = _decode(BytesIO(without_metadata(content)), draft)
        except Image.UnidentifiedImageError:  # whose text names the object in memory
            raise ValueError("it has no pixels, or is damaged") from error
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
    chunks, start = [PNG], len(PNG)
    while start + 12 <= len(content):
        end = start + 12 + int.from_bytes(content[start : start + 4], "big")
        chunk = content[start + 4 : end - 4]
        is_intact = zlib.crc32(chunk) == int.from_bytes(content[end - 4 : end], "big")
        if chunk[:4] in PNG_CHUNKS or (chunk[:4] == b"eXIf" and is_intact):
            chunks.append(content[start:end])
        start = end
    return b"".join(chunks)


def _warn_repaired(name: str, what: str) -> None:
    warnings.warn(f"{name}: {what}", ImageWarning, stacklevel=4)
