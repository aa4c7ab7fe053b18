"""Results kept on disk for a while: one pass through the network per image, whatever is done with its map."""

import json
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np

from ..images_mlnet import read_image
from ..inference.predictor import SaliencyPredictor
from ..io.atomic import write_whole
from .limits import Upload, decode_image

KEPT = 3600  # seconds: results, uploads and downloads older than that are removed
LARGEST = 4 * 2**30  # bytes of all of them; the oldest go first


@dataclass(frozen=True)
class Result:
    """An image and its map.

    Args:
        image: uint8 `(height, width, 3)`, upright, at most `MAX_SHOWN` px long.
        saliency_map: Float32 `(height, width)` in 0..1.
        size: Width and height of the image itself in pixels, upright.
        name: The visitor's name for it.
    """

    image: np.ndarray
    saliency_map: np.ndarray
    size: tuple[int, int]
    name: str

    @property
    def stem(self) -> str:
        """The name without its extension, fit for a file name."""
        return re.sub(r"[^\w.-]+", "_", Path(self.name).stem).strip("._")[:60] or "image"


class Store:
    """Predicts images, keeps their maps in a folder, and hands out places for files to download.

    The first pass, for which the network is loaded, is made at once and with an image of its own: no visitor waits for
    it.

    Args:
        predictor: Predicts all maps.
        folder: Folder of the server's temporary files; nothing in it outlives `sweep`.
    """

    def __init__(self, predictor: SaliencyPredictor, folder: Path):
        self.folder = folder
        self.predictor, self.settings = predictor, json.dumps(predictor.settings())
        predictor(np.zeros((240, 320, 3), dtype=np.uint8))
        self.results = folder / "results"
        self.results.mkdir(parents=True, exist_ok=True)

    def predict(self, upload: Upload, apply_prior: bool = True, recording: str | None = None) -> Result:
        """The map of an uploaded image; the same file is not passed through the network twice.

        Args:
            upload: The file.
            apply_prior: As in `SaliencyPredictor`.
            recording: As in `SaliencyPredictor`.

        Raises:
            ValueError: If it cannot be read, or the recording is unknown.
        """
        settings = f"{self.settings}-{apply_prior}-{recording}"
        with open(upload.path, "rb") as file:
            key = sha256(file.read() + settings.encode()).hexdigest()[:32]
        return self._load(key, upload.name) or self._keep(key, upload, apply_prior, recording)

    def _load(self, key: str, name: str) -> Result | None:
        """A kept result, if it is still there."""
        folder = self.results / key
        try:
            saliency_map = np.load(folder / "map.npy")
            image = np.load(folder / "image.npy")
            width, height = np.load(folder / "size.npy").tolist()
        except (OSError, ValueError, EOFError):
            return None
        return Result(image, saliency_map, (width, height), name)

    def _keep(self, key: str, upload: Upload, apply_prior: bool, recording: str | None) -> Result:
        decoded, size = decode_image(upload)
        image = read_image(decoded)
        prediction = next(self.predictor.stream([image], apply_prior=apply_prior, recording=recording))
        if prediction.saliency_map is None:
            raise ValueError(f"{upload.name} cannot be predicted: {prediction.error}")
        folder = self.results / key
        # the map last, because it is looked for first: a result counts only when all of it is there
        for name, values in (("size", np.array(size)), ("image", image), ("map", prediction.saliency_map)):
            write_whole(folder / f"{name}.npy", partial(np.save, arr=values))
        return Result(image, prediction.saliency_map, size, upload.name)

    def place(self, name: str) -> Path:
        """A path for a new file of this name, in a folder that nobody can guess."""
        folder = self.folder / "downloads" / secrets.token_urlsafe(18)
        folder.mkdir(parents=True)
        return folder / name


def sweep(folder: Path, age: float = KEPT, spared: frozenset[Path] = frozenset(), largest: int = LARGEST) -> None:
    """Removes files older than `age` seconds from a folder, and empty folders, except `spared`.

    If more than `largest` bytes are left, the oldest files go as well.
    """
    oldest = time.time() - age
    files: list[tuple[float, int, Path]] = []
    for path in sorted(folder.rglob("*"), reverse=True):  # what is inside comes before its folder
        try:
            status = path.lstat()
            if path in spared:
                continue
            if path.is_dir() and not path.is_symlink():
                if status.st_mtime <= oldest:
                    path.rmdir()
            elif status.st_mtime <= oldest:
                path.unlink()
            else:
                files.append((status.st_mtime, status.st_size, path))
        except OSError:  # a folder that is not empty, or somebody was faster
            continue
    too_many = sum(size for _, size, _ in files) - largest
    for _, size, path in sorted(files):
        if too_many <= 0:
            break
        path.unlink(missing_ok=True)
        too_many -= size


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
