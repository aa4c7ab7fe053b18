"""Files of the server: those that visitors send, of which only uploads are read, and results to download."""

import math
import secrets
import threading
import time
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from glob import iglob  # passes over folders that are gone meanwhile, as Path.rglob does not
from pathlib import Path

import numpy as np
from PIL import Image

from ..images_mlnet import open_image, read_image
from ..inference.uploads import MAX_SHOWN, check_upload

MAX_UPLOAD = 100 * 2**20  # bytes of any file, refused while it arrives
KEPT = 3600  # seconds: files older than that are removed
LARGEST = 4 * 2**30  # bytes of all files; the oldest go first
NOT_UPLOADED = "Only files sent to this page are read: upload the {} itself, not an address or a path."
GONE = "This {} is no longer kept. Choose it again."

_one_large = threading.Lock()  # decoded one at a time, so that several large images at once do not fill the memory


@dataclass(frozen=True)
class Upload:
    """A file that a visitor sent, and the visitor's name for it."""

    path: Path
    name: str


class Files:
    """The files of a server, all in one folder."""

    def __init__(self, folder: Path):
        self.folder = folder

    def receive(self, payload: object, what: str = "image") -> Upload:
        """The file, by gradio's description of it, if it was uploaded to this server, else a ValueError on `what`."""
        if not payload:
            raise ValueError(f"No {what} was sent. Choose one.")
        if hasattr(payload, "model_dump"):
            payload = payload.model_dump()
        file = (payload.get("video") or payload) if isinstance(payload, dict) else {}
        path, name = (file.get("path"), file.get("orig_name")) if isinstance(file, dict) else (None, None)
        uploaded = Path(path).resolve() if isinstance(path, str) and "\0" not in path else Path()
        if self.folder.resolve() not in uploaded.parents:
            raise ValueError(NOT_UPLOADED.format(what))
        if not uploaded.is_file():
            raise ValueError(GONE.format(what))
        return Upload(uploaded, Path(name).name[:80] if isinstance(name, str) and name else uploaded.name[:80])

    def place(self, name: str) -> Path:
        """A path for a new file of this name, which nobody can guess."""
        folder = self.folder / "downloads" / secrets.token_urlsafe(18)
        folder.mkdir(parents=True)
        return folder / name

    def save(self, name: str, content: Image.Image | np.ndarray | str) -> str:
        """Writes a new file of an image, an array as npy, or text; returns its path."""
        path = self.place(name)
        if isinstance(content, Image.Image):  # PNG: a fifth of the time for a few more bytes; JPEG and WebP: quality
            content.save(path, compress_level=1, quality=90)
        elif isinstance(content, str):
            path.write_text(content, encoding="utf-8")
        else:
            np.save(path, content)
        return str(path)

    def sweep(self, age: float = KEPT, spared: frozenset[Path] = frozenset(), largest: int = LARGEST) -> None:
        """Removes files older than `age` seconds, except `spared`, then the oldest above `largest` bytes of all.

        gradio's own `delete_cache` ends for good when a file comes while it looks through the others.
        """
        files, oldest = [], time.time() - age
        for path in map(self.folder.joinpath, iglob("**", root_dir=self.folder, recursive=True, include_hidden=True)):
            with suppress(OSError):  # somebody was faster
                status = path.lstat()
                if path.parent.name == "downloads" and status.st_mtime <= oldest:
                    path.rmdir()  # of a clip that was cancelled; fails if there is a file in it
                elif path.is_file() and path not in spared:
                    files.append((status.st_mtime, status.st_size, path))
        too_many = sum(size for _, size, _ in files) - largest
        for changed, size, path in sorted(files):
            if changed > oldest and too_many <= 0:
                break
            too_many -= size
            with suppress(OSError):  # its folder has other files
                path.unlink(missing_ok=True)
                path.parent.rmdir()


def read_upload(upload: Upload) -> tuple[np.ndarray, tuple[int, int]]:
    """Decodes an image, of an animation the first frame.

    Returns:
        uint8 `(height, width, 3)`, upright, at most `MAX_SHOWN` px long; and the image's own width and height.

    Raises:
        ValueError: As `check_upload`, or if the file is damaged.
    """
    width, height = check_upload(upload.path, upload.name)
    is_large = max(width, height) > MAX_SHOWN
    fitted = (math.ceil(width * MAX_SHOWN / max(width, height)), math.ceil(height * MAX_SHOWN / max(width, height)))
    # JPEG can be decoded at a half, a quarter or an eighth: for a phone's image a tenth of the memory
    draft = ("RGB", fitted) if is_large else None
    with _one_large if is_large else nullcontext():
        try:
            decoded = open_image(upload.path, draft=draft)
        except ValueError:
            raise ValueError(f"{upload.name} is damaged or cut off. Choose another, or save it anew.") from None
        size = (width, height) if (width > height) == (decoded.width > decoded.height) else (height, width)
        if is_large:  # shrunk first: 50 transparent megapixels would take 2 GB as numbers
            if decoded.mode not in ("L", "RGB", "RGBA", "I", "F") or "transparency" in decoded.info:
                decoded = decoded.convert("I" if decoded.mode.startswith("I;16") else "RGBA")
            decoded.thumbnail((MAX_SHOWN, MAX_SHOWN), Image.Resampling.BOX)
        try:
            return read_image(decoded), size
        except ValueError as error:
            raise ValueError(f"{upload.name}: {error}") from None
