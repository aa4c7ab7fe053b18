"""A folder of another model's saliency maps, read in the order of a data set."""

import unicodedata
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
from datasets import Dataset

from ..data.maps import read_map
from ..hub.registry import sha256 as file_sha256

SUFFIXES = (".npy", ".map.png", ".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg")  # in the order of preference


class MapFolder:
    """Maps of any model: a file `IMAGE_ID.npy`, `IMAGE_ID.png` or the like for every image.

    An image id with folders (`images/001`) is looked for as it is and without them. Endings may be written in any
    case, and names with accents in any Unicode form.

    Args:
        directory: Folder of the files.
        log_maps: Whether they hold the logarithm of a density.
    """

    def __init__(self, directory: Path, log_maps: bool = False):
        self.directory, self.log_maps = directory, log_maps
        self.digest = sha256()  # of the files' names and contents so far, in the order of reading
        self._listed: dict[Path, dict[str, Path]] = {}

    def find(self, image_id: str) -> Path | None:
        """The file of an image."""
        for name in dict.fromkeys([Path(image_id), Path(Path(image_id).name)]):
            files = self._files(self.directory / name.parent)
            for suffix in SUFFIXES:
                if (path := files.get(_normal(name.name) + suffix)) is not None:
                    return path
        return None

    def _files(self, folder: Path) -> dict[str, Path]:
        """The files of a folder by their name, its accents composed and its ending in lower case."""
        if folder not in self._listed:
            files: dict[str, Path] = {}
            for path in sorted(folder.iterdir(), reverse=True) if folder.is_dir() else ():
                suffix = next((ending for ending in SUFFIXES if path.name.lower().endswith(ending)), "")
                if suffix and path.is_file():
                    files[_normal(path.name[: -len(suffix)]) + suffix] = path
            self._listed[folder] = files
        return self._listed[folder]

    def __call__(self, dataset: Dataset) -> Iterator[np.ndarray]:
        """The maps in the order of the rows.

        Raises:
            ValueError: If the folder or a map is missing, before anything is scored, or if one cannot be read.
        """
        if not self.directory.is_dir():
            raise ValueError(f"{self.directory}: no such folder of saliency maps")
        self._listed.clear()
        paths = {image_id: self.find(image_id) for image_id in dataset["image_id"]}
        missing = [image_id for image_id, path in paths.items() if path is None]
        if missing:
            raise ValueError(
                f"{self.directory}: no map for {len(missing)} of {len(paths)} images; the first would be "
                f"{missing[0]}.npy or {missing[0]}.png"
            )
        self.digest = sha256()
        return (self._read(path) for image_id in dataset["image_id"] if (path := paths[image_id]) is not None)

    def _read(self, path: Path) -> np.ndarray:
        values = read_map(path, log_density=self.log_maps)
        self.digest.update(f"{path.name} {file_sha256(path)}".encode())
        return values


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", name)
