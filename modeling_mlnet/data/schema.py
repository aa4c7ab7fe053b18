"""The one row schema of every data set, and the way a row is made from the files of an image."""

import hashlib
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Features, Image, List, Value
from PIL import Image as PILImage

from .files import UnusableError, check_image
from .fixations import Annotation, Points, file_stamp

FEATURES = Features(
    {
        "image": Image(),
        "saliency_map": Image(mode="L"),
        "fixations": List(List(Value("float32"))),
        "image_id": Value("string"),
        "observers": List(Value("int32")),
        "sigma": Value("float64"),
    }
)
SIGMA_FRACTION = 0.03  # of the longer side: SALICON's 19 px at 640 px, OSIE's 24 px at 800 px

NO_POINTS = Points(np.zeros((0, 2), np.float32))


@dataclass(frozen=True)
class Record:
    """One image of a data set as its loader lists it; its files are opened when its row is made.

    Args:
        image: The image file.
        image_id: Unique within the data set.
        annotation: Where its fixations come from; `None` if only a saliency map is there.
        saliency_map: The density's file; `None` if it has to be made from the fixations.
        sigma: Standard deviation in pixels of the Gaussian that makes it; `None` takes 3 % of the longer side.
    """

    image: Path
    image_id: str
    annotation: Annotation | None = None
    saliency_map: Path | None = None
    sigma: float | None = None

    @property
    def fixations(self) -> np.ndarray:
        """`(n, 2)` x and y in pixels, 0-based, as the file has them; read at every call."""
        return NO_POINTS.fixations if self.annotation is None else self.annotation.read().fixations

    def stamp(self) -> str:
        """A word that differs when one of its files was changed."""
        parts = [self.image_id, str(self.sigma), file_stamp(self.image)]
        parts.append("none" if self.annotation is None else self.annotation.stamp())
        parts.append("none" if self.saliency_map is None else file_stamp(self.saliency_map))
        return "\n".join(parts)


@dataclass
class Scan:
    """What is there of a data set.

    Args:
        records: Its images.
        problems: One line for every file that is missing or damaged.
        unmatched: One line for every annotation without an image; nobody needs them, so only the check tells.
    """

    records: list[Record] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)


def fixation_density(fixations: np.ndarray, height: int, width: int, sigma: float) -> np.ndarray:
    """Sum of one Gaussian per fixation, the field's density of fixations.

    Computed exactly as the product of the two axes' Gaussians, without a cut-off radius; mass beyond the image is
    lost, as in a convolution with zero padding.

    Args:
        fixations: `(n, 2)` x and y in pixels, 0-based.
        sigma: Standard deviation in pixels.

    Returns:
        Float64 `(height, width)`, at least 0, of maximum 1 unless there is no fixation.
    """
    points = np.asarray(fixations, dtype=np.float64).reshape(-1, 2)
    (x, column), (y, row) = (np.unique(points[:, axis], return_inverse=True) for axis in (0, 1))
    counts = np.zeros((len(y), len(x)))  # thousands of mouse positions share few coordinates
    np.add.at(counts, (row, column), 1)
    columns = np.exp(-((np.arange(width) - x[:, None]) ** 2) / (2 * sigma**2))  # (len(x), width)
    rows = np.exp(-((np.arange(height) - y[:, None]) ** 2) / (2 * sigma**2))  # (len(y), height)
    density = rows.T @ (counts @ columns)
    return density / density.max() if len(points) else density


def inside(fixations: np.ndarray, height: int, width: int) -> np.ndarray:
    """Which fixations lie on the image, bool `(n,)`; trackers also report gazes beside it."""
    return np.all((fixations > -0.5) & (fixations < np.array([width, height]) - 0.5), axis=1)


def read_record(record: Record) -> tuple[tuple[int, int], Points]:
    """Opens every file of an image.

    Returns:
        Width and height in pixels, and the fixations that lie on the image.

    Raises:
        UnusableError: If one is missing, damaged, or belongs to an image of another size, or if no fixation lies on
            the image and it has no saliency map.
    """
    size = check_image(record.image, "image")
    if record.saliency_map is not None:
        check_size(f"{record.saliency_map}: saliency map is", check_image(record.saliency_map, "saliency map"), size)
    if record.annotation is None:
        return size, NO_POINTS
    points = record.annotation.read()
    if points.size is not None:
        check_size(f"{record.image}: its fixations are for", points.size, size)
    on_image = inside(points.fixations, size[1], size[0])
    beside = int(np.count_nonzero(~on_image))
    if record.saliency_map is None and not on_image.any():
        reason = f"all {beside} lie beside it" if beside else "it has none"
        raise UnusableError(f"{record.image}: no fixation lies on the image, {reason}")
    observers = points.observers[on_image] if len(points.observers) else points.observers
    return size, Points(points.fixations[on_image], observers, size, beside)


def check_size(what: str, found: tuple[int, int], image: tuple[int, int]) -> None:
    """Raises an UnusableError if something has not its image's width and height."""
    if found != image:
        raise UnusableError("{} {}x{} px, its image {}x{} px".format(what, *found, *image))


def make_row(record: Record) -> dict[str, Any]:
    """One row of the schema; its image and, where there is one, its saliency map stay where they are.

    Raises:
        UnusableError: As `read_record`.
    """
    size, points = read_record(record)
    sigma = None
    saliency_map: dict | str
    if record.saliency_map is not None:
        saliency_map = _in_bytes(record.saliency_map)
    else:
        sigma = record.sigma or SIGMA_FRACTION * max(size)
        saliency_map = _encoded(fixation_density(points.fixations, size[1], size[0], sigma) * 255)
    return {
        "image": str(record.image),
        "saliency_map": saliency_map,
        "fixations": points.fixations.tolist(),
        "image_id": record.image_id,
        "observers": points.observers.tolist(),
        "sigma": sigma,
    }


def _in_bytes(path: Path) -> dict | str:
    """The map's file, or, of 16 bits or floats, its values in 8 bits: what reads the row would cut them at 255."""
    with PILImage.open(path) as image:
        if image.mode[0] not in "IF":
            return str(path)
        from ..pictures_mlnet import image_to_tensor  # torch, for such maps only

        return _encoded(image_to_tensor(image)[0].numpy())


def _encoded(values: np.ndarray) -> dict:
    """Values in 0..255 as a grey PNG."""
    buffer = io.BytesIO()
    PILImage.fromarray(np.rint(values).astype(np.uint8)).save(buffer, "PNG", compress_level=3)
    return {"path": None, "bytes": buffer.getvalue()}


def is_held_out(image_id: str, fraction: float) -> bool:
    """Whether an image belongs to the part kept for validation: decided by a hash of its id, so no seed is needed.

    The same image falls on the same side whatever else the data set holds.
    """
    digest = hashlib.sha256(image_id.encode()).digest()
    return int.from_bytes(digest[:8], "big") < fraction * 2**64
