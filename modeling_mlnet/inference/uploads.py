"""Which image files are taken from people who are not known: kinds, bytes and pixels, of the page and the service."""

from io import BytesIO
from pathlib import Path

from PIL import Image

from ..image_files_mlnet import PNG, explain_content, open_heic, without_metadata

MAX_BYTES = 40 * 2**20  # of an image file
MAX_PIXELS = 50_000_000  # phones go up to 48 megapixels; decoded, that is 150 MB
MAX_SHOWN = 1600  # px of the longer side of an image that is drawn on
MAX_BOXES = 50
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")  # EPS and the like would start other programs
KINDS = "JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF"


class TooLargeError(ValueError):
    """A file has more bytes or pixels than are taken."""


def check_upload(source: Path | bytes, name: str) -> tuple[int, int]:
    """Looks at an image file's header, before anything is decoded.

    Args:
        source: The file, or its content.
        name: For the messages.

    Returns:
        Width and height in pixels, as stored.

    Raises:
        TooLargeError: If it has too many bytes or pixels.
        ValueError: If it is empty, or not an image of a known kind.
    """
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    if size == 0:
        raise ValueError(f"{name} is empty (0 bytes). Choose another image.")
    if size > MAX_BYTES:
        limit = MAX_BYTES // 2**20
        raise TooLargeError(f"{name} has {size / 2**20:.0f} MB; images may have up to {limit} MB. Shrink it first.")
    Image.init()
    formats = [kind for kind in FORMATS if kind in Image.OPEN]  # not every build of Pillow reads AVIF
    try:
        with Image.open(BytesIO(source) if isinstance(source, bytes) else source, formats=formats) as image:
            width, height = image.size
    except Image.DecompressionBombError:
        raise TooLargeError(_too_many(name)) from None
    except Exception:  # every decoder raises its own
        content = source if isinstance(source, bytes) else source.read_bytes()
        try:
            width, height = _size_despite(content)
        except Exception:
            reason = explain_content(content[:512])
            raise ValueError(f"{name} cannot be read as {KINDS}: {reason}.") from None
    if width * height > MAX_PIXELS:
        raise TooLargeError(_too_many(name, f"{width} x {height} px, "))
    return width, height


def _size_despite(content: bytes) -> tuple[int, int]:
    """Width and height of a PNG whose metadata is damaged, or of HEIC, which Pillow leaves to an extra."""
    is_png = content.startswith(PNG)
    file = BytesIO(without_metadata(content) if is_png else content)
    with Image.open(file, formats=["PNG"]) if is_png else open_heic(file) as image:
        return image.size


def _too_many(name: str, size: str = "") -> str:
    return f"{name} is too large: {size}more than {MAX_PIXELS // 10**6} megapixels. Shrink it first."
