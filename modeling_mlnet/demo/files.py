"""Results as files to download, in folders that nobody can guess; old files go."""

import secrets
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

KEPT = 3600  # seconds: results, uploads and downloads older than that are removed
LARGEST = 4 * 2**30  # bytes of all of them; the oldest go first


def place(folder: Path, name: str) -> Path:
    """A path below a folder for a new file of this name."""
    place = folder / "downloads" / secrets.token_urlsafe(18)
    place.mkdir(parents=True)
    return place / name


def write(path: Path, content: Image.Image | np.ndarray | str) -> str:
    """Writes an image, an array as npy, or text; returns the path as text."""
    if isinstance(content, Image.Image):  # compressed lightly: a fifth of the time for a few more bytes
        content.save(path, **({"compress_level": 1} if path.suffix == ".png" else {"quality": 90}))
    elif isinstance(content, str):
        path.write_text(content, encoding="utf-8")
    else:
        np.save(path, content)
    return str(path)


def sweep(folder: Path, age: float = KEPT, spared: frozenset[Path] = frozenset(), largest: int = LARGEST) -> None:
    """Removes files older than `age` seconds from a folder, except `spared`, then the oldest above `largest` bytes.

    gradio's own `delete_cache` ends for good when a file comes while it looks through the others.
    """
    files = []
    for path in folder.rglob("*"):
        try:
            if path not in spared and path.is_file():
                files.append((path.stat().st_mtime, path.stat().st_size, path))
        except OSError:  # somebody was faster
            continue
    too_many, oldest = sum(size for _, size, _ in files) - largest, time.time() - age
    for changed, size, path in sorted(files):
        if changed > oldest and too_many <= 0:
            break
        too_many -= size
        with suppress(OSError):  # its folder has other files
            path.unlink(missing_ok=True)
            path.parent.rmdir()


def keep_swept(folder: Path, age: float = KEPT, every: float = 60) -> Callable[[], None]:
    """Sweeps a folder repeatedly in the background; files that exist already, such as examples, stay.

    Returns:
        A function that ends it and removes the folder.
    """
    ended, spared = threading.Event(), frozenset(folder.rglob("*"))

    def work() -> None:
        while not ended.wait(every):
            sweep(folder, age, spared)

    thread = threading.Thread(target=work, name="sweep", daemon=True)
    thread.start()

    def end() -> None:
        ended.set()
        thread.join()
        shutil.rmtree(folder, ignore_errors=True)

    return end
