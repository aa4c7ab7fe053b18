"""Files that visitors send: only uploads are read, of known types and bounded size."""

import threading
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ..images_mlnet import open_image, read_image
from ..inference.uploads import MAX_SHOWN, check_upload

MAX_UPLOAD = 100 * 2**20  # bytes of any file, refused while it arrives
GONE = "This {} is no longer kept. Choose it again."

_one_large = threading.Lock()  # decoded one at a time, so that several large images at once do not fill the memory


@dataclass(frozen=True)
class Upload:
    """A file that a visitor sent, and the visitor's name for it."""

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
    if hasattr(payload, "model_dump"):
        payload = payload.model_dump()
    file = (payload.get("video") or payload) if isinstance(payload, dict) else {}
    path, name = (file.get("path"), file.get("orig_name")) if isinstance(file, dict) else (None, None)
    uploaded = Path(path).resolve() if isinstance(path, str) and "\0" not in path else Path()
    if folder.resolve() not in uploaded.parents:
        raise ValueError(f"Only files sent to this page are read: upload the {what} itself, not an address or a path.")
    if not uploaded.is_file():
        raise ValueError(GONE.format(what))
    return Upload(uploaded, Path(name).name[:80] if isinstance(name, str) and name else uploaded.name[:80])


def read_upload(upload: Upload) -> tuple[np.ndarray, tuple[int, int]]:
    """Decodes an image, of an animation the first frame.

    Returns:
        uint8 `(height, width, 3)`, upright, at most `MAX_SHOWN` px long; and the image's own width and height.

    Raises:
        ValueError: As `check_upload`, or if the file is damaged.
    """
    width, height = check_upload(upload.path, upload.name)
    is_large = max(width, height) > MAX_SHOWN
    # JPEG can be decoded at a half, a quarter or an eighth: for a phone's image a tenth of the memory
    draft = ("RGB", (MAX_SHOWN, MAX_SHOWN)) if is_large else None
    with _one_large if is_large else nullcontext():
        try:
            decoded = open_image(upload.path, draft=draft)
        except ValueError:
            message = f"{upload.name} is damaged or cut off. Choose another image, or save it anew."
            raise ValueError(message) from None
        image = read_image(decoded)
        if not is_large:
            return image, decoded.size
        is_turned = (width > height) != (decoded.width > decoded.height)
        shown = Image.fromarray(image)
        shown.thumbnail((MAX_SHOWN, MAX_SHOWN), Image.Resampling.BOX)
        return np.asarray(shown), (height, width) if is_turned else (width, height)
