"""Fixations of one image, and their formats in the files of data sets."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image as PILImage

from .files import UnusableError
from .mat_files import read_mat

# A lone white pixel stays at 194 or more through JPEG at qualities 50 to 95, and its ringing at 101 or less.
JPEG_THRESHOLD = 127


@dataclass(frozen=True)
class Points:
    """Fixations in memory.

    Args:
        fixations: `(n, 2)` x and y in pixels, 0-based, the centre of the first pixel being 0.
        observers: `(n,)`, which observer made each; empty where that is not known.
        size: Width and height in pixels of the image they belong to; `None` where the file does not say.
        outside: How many more lay outside the image and were left out.
    """

    fixations: np.ndarray
    observers: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    size: tuple[int, int] | None = None
    outside: int = 0

    def read(self) -> "Points":
        """Return self."""
        return self

    def stamp(self) -> str:
        """Hash of the values."""
        digest = hashlib.sha256(np.ascontiguousarray(self.fixations, dtype=np.float32).tobytes())
        digest.update(np.ascontiguousarray(self.observers, dtype=np.int32).tobytes())
        return digest.hexdigest()


class Annotation(Protocol):
    """Source of an image's fixations, read on demand."""

    def read(self) -> Points:
        """Reads the fixations; raises an UnusableError for missing or damaged files."""
        ...

    def stamp(self) -> str:
        """Text that differs when the fixations do."""
        ...


def file_stamp(path: Path) -> str:
    """Text that differs when a file was changed: its name, size and the times of its last changes."""
    try:
        status = path.stat()
    except OSError:
        return f"{path} is not there"
    # the second time cannot be set back, as tools do that copy or unpack with the old date
    return f"{path} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


@dataclass(frozen=True)
class PointFile:
    """Fixations in a file of their own.

    Args:
        path: The file.
        reader: Makes points of it.
    """

    path: Path
    reader: Callable[[Path], Points]

    def read(self) -> Points:
        """The fixations; an UnusableError names the file if it is missing or damaged."""
        if not self.path.is_file():
            raise UnusableError(f"{self.path}: fixations are missing")
        try:
            return self.reader(self.path)
        except Exception as error:  # scipy raises many types for a damaged file
            raise UnusableError(f"{self.path}: fixations are damaged: {error}") from error

    def stamp(self) -> str:
        """Text that differs when the file was changed."""
        return file_stamp(self.path)


@dataclass(frozen=True)
class NoPoints:
    """Fixations that ought to be there and are not.

    Args:
        reason: One line that says so.
    """

    reason: str

    def read(self) -> Points:
        """Raises the reason as an UnusableError."""
        raise UnusableError(self.reason)

    def stamp(self) -> str:
        """The reason."""
        return self.reason


def join_observers(fixations: Sequence[Any], names: Sequence[int] | None = None) -> Points:
    """Points from one array `(n, 2)` per observer; one observer alone counts as unknown, as pooled fixations look so.

    Args:
        names: A number for each observer; `None` counts them.
    """
    points = [_pairs(pairs) for pairs in fixations]
    joined = np.concatenate([np.zeros((0, 2), np.float32), *points])
    labels = np.arange(len(points)) if names is None else np.asarray(names)
    observers = np.repeat(labels.astype(np.int32), [len(pairs) for pairs in points])
    return Points(joined, observers if len(points) > 1 else observers[:0])


def _pairs(values: Any) -> np.ndarray:
    pairs = np.asarray(values, dtype=np.float32)
    if pairs.size == 0:  # of any shape, as Matlab writes it
        return np.zeros((0, 2), np.float32)
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise ValueError(f"pairs of x and y are expected, got shape {pairs.shape}")
    return pairs


def points_of_mask(mask: Any) -> Points:
    """Points where a binary map `(height, width)` is not 0; observers and repeated fixations are unknown."""
    mask = np.asarray(mask)
    if mask.ndim != 2:
        raise ValueError(f"a map (height, width) is expected, got shape {mask.shape}")
    rows, columns = np.nonzero(mask)
    size = (mask.shape[1], mask.shape[0])
    return Points(np.stack([columns, rows], axis=1).astype(np.float32), size=size)


def read_mask_image(path: Path) -> Points:
    """A fixation map kept as an image: white pixels on black."""
    with PILImage.open(path) as image:
        threshold = JPEG_THRESHOLD if image.format == "JPEG" else 0
        return points_of_mask(np.asarray(image.convert("L")) > threshold)


def read_gaze_mat(path: Path) -> Points:
    """SALICON's `.mat`: `gaze` of 2017, one entry with 1-based x and y per observer, or the older binary map `I`."""
    content = read_mat(path, ["gaze", "resolution", "I"])
    if "gaze" not in content:
        return points_of_mask(content["I"])
    points = join_observers(list(content["gaze"]["fixations"].ravel()))
    size = None
    if "resolution" in content:
        height, width = (int(side) for side in content["resolution"].ravel())
        size = (width, height)
    return Points(points.fixations - 1, points.observers, size)
