"""What the page takes: uploaded files only, of known kinds and bounded size, with a clear line for everything else."""

import threading
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from ..images_mlnet import PNG, explain_content, open_heic, open_image, without_metadata

MAX_UPLOAD = 100 * 2**20  # bytes of any file, refused while it arrives
MAX_PICTURE = 40 * 2**20  # bytes
MAX_PIXELS = 50_000_000  # phones go up to 48 megapixels; decoded, that is 150 MB
MAX_SIDE = 1600  # px; larger pictures are shrunk first, the network itself sees far less
MAX_BOXES = 50
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")  # EPS and the like would start other programs
KINDS = "JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF"
UNAVERAGED = ("P", "1", "CMYK", "YCbCr", "LAB", "PA", "La", "RGBa")  # modes that cannot be shrunk as they are

_one_large = threading.Lock()  # decoded one at a time, so that several large pictures at once do not fill the memory


@dataclass(frozen=True)
class Upload:
    """A file that a visitor sent.

    Args:
        path: Where it lies now.
        name: What the visitor called it.
    """

    path: Path
    name: str


def receive(payload: Any, folder: Path, what: str = "picture") -> Upload:
    """The file that a component or an API client sent, if it really was uploaded to this server.

    Args:
        payload: gradio's description of a file, or its dictionary; `None` if there is none.
        folder: Where uploads are kept.
        what: What is expected, for the messages.

    Raises:
        ValueError: If there is no file, or it is anything but an upload.
    """
    if not payload:
        raise ValueError(f"Choose a {what} first.")
    if not isinstance(payload, dict):
        payload = payload.model_dump() if hasattr(payload, "model_dump") else {"path": None}
    payload = payload.get("video") or payload
    path = payload.get("path") if isinstance(payload, dict) else None
    refusal = f"Only files sent to this page are read: upload the {what} itself, not an address or a path."
    if not isinstance(path, str) or "\0" in path:
        raise ValueError(refusal)
    found = Path(path).resolve()
    if folder.resolve() not in found.parents:
        raise ValueError(refusal)
    if not found.is_file():
        raise ValueError(f"This {what} is no longer kept. Choose it again.")
    name = payload.get("orig_name")
    return Upload(found, Path(name).name[:80] if isinstance(name, str) and name else found.name[:80])


def check_picture(upload: Upload) -> tuple[int, int]:
    """Looks at the file's header, before anything is decoded.

    Returns:
        Width and height in pixels, as stored.

    Raises:
        ValueError: If it is empty, too large, or not a picture of a known kind.
    """
    size = upload.path.stat().st_size
    if size == 0:
        raise ValueError(f"{upload.name} is empty (0 bytes). Choose another picture.")
    if size > MAX_PICTURE:
        raise ValueError(
            f"{upload.name} has {size / 2**20:.0f} MB; pictures may have up to {MAX_PICTURE // 2**20} MB. "
            "Shrink it first."
        )
    Image.init()
    formats = [one for one in FORMATS if one in Image.OPEN]  # not every build of Pillow reads AVIF
    try:
        with Image.open(upload.path, formats=formats) as image:
            width, height = image.size
    except Image.DecompressionBombError:
        raise ValueError(_too_many(upload.name)) from None
    except Exception:  # every decoder raises its own
        try:
            width, height = _size_despite(upload)
        except Exception:
            raise ValueError(_not_a_picture(upload)) from None
    if width * height > MAX_PIXELS:
        raise ValueError(_too_many(upload.name, f"{width} x {height} px, "))
    return width, height


def _size_despite(upload: Upload) -> tuple[int, int]:
    """Width and height of a PNG whose metadata is damaged, or of HEIC, which Pillow leaves to an extra."""
    content = upload.path.read_bytes()
    is_png = content.startswith(PNG)
    file = BytesIO(without_metadata(content) if is_png else content)
    with Image.open(file, formats=["PNG"]) if is_png else open_heic(file) as image:
        return image.size


def _too_many(name: str, size: str = "") -> str:
    return f"{name} is too large: {size}more than {MAX_PIXELS // 10**6} megapixels. Shrink it first."


def _not_a_picture(upload: Upload) -> str:
    with open(upload.path, "rb") as file:
        reason = explain_content(file.read(512))
    return f"{upload.name} cannot be read as {KINDS}: {reason}."


def open_picture(upload: Upload) -> tuple[Image.Image, tuple[int, int]]:
    """Decodes a picture, of an animation the first frame, upright and at most `MAX_SIDE` px long.

    Returns:
        The picture, and its own width and height in pixels, upright.

    Raises:
        ValueError: As `check_picture`, or if the file is damaged.
    """
    width, height = check_picture(upload)
    if max(width, height) <= MAX_SIDE:
        image = _decode(upload)
        return image, image.size
    with _one_large:
        image = _decode(upload, small=True)
        # a JPEG may have come smaller, any picture turned
        size = (width, height) if (width > height) == (image.width > image.height) else (height, width)
        if image.mode in UNAVERAGED:
            image = image.convert("RGBA" if "transparency" in image.info or image.mode in ("PA", "RGBa") else "RGB")
        image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.BOX)
        return image, size


def _decode(upload: Upload, small: bool = False) -> Image.Image:
    # JPEG can be decoded at a half, a quarter or an eighth: for a phone's picture a tenth of the memory
    draft = ("RGB", (MAX_SIDE, MAX_SIDE)) if small else None
    try:
        return open_image(upload.path, draft=draft)
    except ValueError:
        raise ValueError(_damaged(upload)) from None


def _damaged(upload: Upload) -> str:
    return f"{upload.name} is damaged or cut off. Choose another picture, or save it anew."
