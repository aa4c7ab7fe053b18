"""Checks of uploads: only uploaded files, of known types and bounded size; anything else is refused in one line."""

import threading
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ..images_mlnet import open_image
from ..inference.uploads import MAX_SHOWN, check_upload

MAX_UPLOAD = 100 * 2**20  # bytes of any file, refused while it arrives
UNAVERAGED = ("P", "1", "CMYK", "YCbCr", "LAB", "PA", "La", "RGBa")  # modes that cannot be shrunk as they are

_one_large = threading.Lock()  # decoded one at a time, so that several large images at once do not fill the memory


@dataclass(frozen=True)
class Upload:
    """A file that a visitor sent.

    Args:
        path: Its path.
        name: The visitor's name for it.
    """

    path: Path
    name: str


def receive(payload: object, folder: Path, what: str = "image") -> Upload:
    """The file that a component or an API client sent, if it really was uploaded to this server.

    Args:
        payload: gradio's description of a file, or its dictionary; `None` if there is none.
        folder: Folder of the uploads.
        what: Name of the expected file in messages.

    Raises:
        ValueError: If there is no file, or it is anything but an upload.
    """
    if not payload:
        raise ValueError(f"Choose {'an' if what[0] in 'aeiou' else 'a'} {what} first.")
    if not isinstance(payload, dict):
        payload = payload.model_dump() if hasattr(payload, "model_dump") else {"path": None}
    payload = payload.get("video") or payload
    path = payload.get("path") if isinstance(payload, dict) else None
    refusal = f"Only files sent to this page are read: upload the {what} itself, not an address or a path."
    if not isinstance(path, str) or "\0" in path:
        raise ValueError(refusal)
    upload_path = Path(path).resolve()
    if folder.resolve() not in upload_path.parents:
        raise ValueError(refusal)
    if not upload_path.is_file():
        raise ValueError(f"This {what} is no longer kept. Choose it again.")
    name = payload.get("orig_name")
    return Upload(upload_path, Path(name).name[:80] if isinstance(name, str) and name else upload_path.name[:80])


def decode_image(upload: Upload) -> tuple[Image.Image, tuple[int, int]]:
    """Decodes an image, of an animation the first frame, upright and at most `MAX_SHOWN` px long.

    Returns:
        The image, and its own width and height in pixels, upright.

    Raises:
        ValueError: As `check_upload`, or if the file is damaged.
    """
    width, height = check_upload(upload.path, upload.name)
    if max(width, height) <= MAX_SHOWN:
        image = _decode(upload)
        return image, image.size
    with _one_large:
        image = _decode(upload, small=True)
        # a JPEG may have come smaller, any image turned
        size = (width, height) if (width > height) == (image.width > image.height) else (height, width)
        if image.mode in UNAVERAGED:
            image = image.convert("RGBA" if "transparency" in image.info or image.mode in ("PA", "RGBa") else "RGB")
        image.thumbnail((MAX_SHOWN, MAX_SHOWN), Image.Resampling.BOX)
        return image, size


def _decode(upload: Upload, small: bool = False) -> Image.Image:
    # JPEG can be decoded at a half, a quarter or an eighth: for a phone's image a tenth of the memory
    draft = ("RGB", (MAX_SHOWN, MAX_SHOWN)) if small else None
    try:
        return open_image(upload.path, draft=draft)
    except ValueError:
        raise ValueError(_damaged(upload)) from None


def _damaged(upload: Upload) -> str:
    return f"{upload.name} is damaged or cut off. Choose another image, or save it anew."
