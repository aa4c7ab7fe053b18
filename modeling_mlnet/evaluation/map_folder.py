"""Saliency maps in files, of any model: reading a folder of them in the order of a data set."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from PIL import Image

from ..hub.registry import sha256 as file_sha256

SUFFIXES = (".npy", ".map.png", ".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg")  # in the order of preference
HIGHEST = {"u1": 255, "u2": 65535}


def read_map(path: Path) -> np.ndarray:
    """A saliency map from a file.

    Returns:
        `(height, width)`: an array as it is stored, a grey image of 8 or 16 bits as float64 in 0..1.

    Raises:
        ValueError: If it cannot be read or is not one map, naming the file.
    """
    try:
        if path.suffix == ".npy":
            values = np.load(path, allow_pickle=False)
        else:
            with Image.open(path) as image:
                plain = {"1": "L", "P": "RGB", "PA": "RGB", "LA": "RGB", "RGBA": "RGB"}.get(image.mode)
                values = np.asarray(image if plain is None else image.convert(plain))
    except Exception as error:  # every decoder raises its own
        raise ValueError(f"{path}: cannot be read as a saliency map: {error}") from error
    if values.ndim == 3 and (values == values[..., :1]).all():
        values = values[..., 0]  # grey, stored as colour
    if values.ndim != 2 or values.dtype.kind not in "uif":
        kind = f"shape {values.shape}, {values.dtype}"
        raise ValueError(f"{path}: not a saliency map (height, width) of numbers, but {kind}")
    highest = HIGHEST.get(values.dtype.str[1:]) if path.suffix != ".npy" else None
    return values if highest is None else values * (1 / highest)


class MapFolder:
    """Maps of somebody's model: a file `IMAGE_ID.npy`, `IMAGE_ID.png` or the like for every image.

    An image id with folders (`images/001`) is looked for as it is and without them.

    Args:
        directory: Where the files are.
    """

    def __init__(self, directory: Path):
        self.directory = directory
        self.digest = sha256()  # of the files' names and contents so far, in the order of reading

    def find(self, image_id: str) -> Path | None:
        """The image's file."""
        names = dict.fromkeys([image_id, Path(image_id).name])
        candidates = (self.directory / f"{name}{suffix}" for name in names for suffix in SUFFIXES)
        return next((path for path in candidates if path.is_file()), None)

    def __call__(self, dataset: Dataset) -> Iterator[Any]:
        """The maps in the order of the rows.

        Raises:
            ValueError: If the folder or a map is missing, before anything is scored, or if one cannot be read.
        """
        if not self.directory.is_dir():
            raise ValueError(f"{self.directory}: no such folder of saliency maps")
        paths = {image_id: self.find(image_id) for image_id in dataset["image_id"]}
        missing = [image_id for image_id, path in paths.items() if path is None]
        if missing:
            raise ValueError(
                f"{self.directory}: no map for {len(missing)} of {len(paths)} images; the first would be "
                f"{missing[0]}.npy or {missing[0]}.png"
            )
        found = [paths[image_id] for image_id in dataset["image_id"]]
        self.digest = sha256()
        return (self._read(path) for path in found if path is not None)

    def _read(self, path: Path) -> np.ndarray:
        values = read_map(path)
        self.digest.update(f"{path.name} {file_sha256(path)}".encode())
        return values
