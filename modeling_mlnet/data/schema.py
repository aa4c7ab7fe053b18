"""The one row schema of every data set, and the way a row is made from the files of an image."""

import hashlib
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from datasets import Dataset, Features, Image, List, Value

from .files import UnusableError, check_image
from .fixations import Annotation, Points, file_stamp
from .maps import is_constant, is_stored_in_8_bits, map_png, read_map

FEATURES = Features(
    {
        "image": Image(),
        "saliency_map": Image(mode="L"),
        "fixations": List(List(Value("float32"))),
        "image_id": Value("string"),
        "observers": List(Value("int32")),
        "sigma": Value("float64"),
        "recording": Value("string"),
        "outside": Value("int32"),
    }
)
Row: TypeAlias = dict[str, Any]  # one of a data set, by the names of FEATURES
RECORDINGS = ("eye", "mouse")  # how gaze was recorded: by an eye tracker, or as movements of the mouse
SIGMA_FRACTION = 0.03  # of the longer side: SALICON's 19 px at 640 px, OSIE's 24 px at 800 px

NO_POINTS = Points(np.zeros((0, 2), np.float32))


@dataclass(frozen=True)
class Record:
    """One image of a data set as its loader lists it; its files are opened when its row is made.

    Args:
        image: The image's file, or its content.
        image_id: Unique within the data set.
        annotation: Source of its fixations; `None` if there is only a saliency map.
        saliency_map: The density's file, or its content; `None` if it has to be made from the fixations.
        sigma: Standard deviation in pixels of the Gaussian that makes it; `None` takes 3 % of the longer side.
        recording: One of `RECORDINGS`; `None` where it is not known.
        log_density: Whether the density's file holds its logarithm.
    """

    image: Path | bytes
    image_id: str
    annotation: Annotation | None = None
    saliency_map: Path | bytes | None = None
    sigma: float | None = None
    recording: str | None = None
    log_density: bool = False

    @property
    def fixations(self) -> np.ndarray:
        """`(n, 2)` x and y in pixels, 0-based, as the file has them; read at every call."""
        return NO_POINTS.fixations if self.annotation is None else self.annotation.read().fixations

    def name(self, content: Path | bytes) -> str:
        """How messages call one of its files."""
        return str(content) if isinstance(content, Path) else self.image_id

    def stamp(self) -> str:
        """Text that differs when one of its files was changed."""
        parts = [self.image_id, str(self.sigma), str(self.recording), str(self.log_density)]
        parts.append("none" if self.annotation is None else self.annotation.stamp())
        for content in (self.image, self.saliency_map):
            parts.append(file_stamp(content) if isinstance(content, Path) else _content_stamp(content))
        return "\n".join(parts)


def _content_stamp(content: bytes | None) -> str:
    return "none" if content is None else hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class RecordContent:
    """Content of the files of a record.

    Args:
        size: Width and height of the image in pixels.
        points: The fixations on the image.
        density: The density that the data set brings, float64 `(height, width)`.
        repaired: As `check_image` returns it.
    """

    size: tuple[int, int]
    points: Points
    density: np.ndarray | None = None
    repaired: bytes | None = None


@dataclass
class Scan:
    """The images found in a data set.

    Args:
        records: Its images.
        problems: One line for every file that is missing or damaged.
        unmatched: One line for every annotation without an image; nobody needs them, so only the check tells.
    """

    records: list[Record] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)


def fixation_density(
    fixations: np.ndarray, height: int, width: int, sigma: float, weights: np.ndarray | None = None
) -> np.ndarray:
    """Sum of one Gaussian per fixation, the field's density of fixations.

    Computed exactly as the product of the two axes' Gaussians, without a cut-off radius; mass beyond the image is
    lost, as in a convolution with zero padding.

    Args:
        fixations: `(n, 2)` x and y in pixels, 0-based.
        sigma: Standard deviation in pixels.
        weights: `(n,)`, at least 0, what each fixation counts for, such as its duration; `None` counts each once.

    Returns:
        Float64 `(height, width)`, at least 0, of maximum 1 unless there is no fixation.
    """
    points = np.asarray(fixations, dtype=np.float64).reshape(-1, 2)
    (x, column), (y, row) = (np.unique(points[:, axis], return_inverse=True) for axis in (0, 1))
    counts = np.zeros((len(y), len(x)))  # thousands of mouse positions share few coordinates
    np.add.at(counts, (row, column), 1 if weights is None else weights)
    columns = np.exp(-((np.arange(width) - x[:, None]) ** 2) / (2 * sigma**2))  # (len(x), width)
    rows = np.exp(-((np.arange(height) - y[:, None]) ** 2) / (2 * sigma**2))  # (len(y), height)
    density = rows.T @ (counts @ columns)
    return density / density.max() if len(points) else density


def inside(fixations: np.ndarray, height: int, width: int) -> np.ndarray:
    """Which fixations lie on the image, bool `(n,)`; trackers also report gazes beside it."""
    return np.all((fixations > -0.5) & (fixations < np.array([width, height]) - 0.5), axis=1)


def open_record(record: Record) -> RecordContent:
    """Opens every file of an image.

    Raises:
        UnusableError: If one is missing, damaged, or belongs to an image of another size, if a saliency map is no
            grey map, or if no fixation lies on the image and it has no saliency map.
    """
    name = record.name(record.image)
    if not record.image:
        raise UnusableError(f"{name}: image is missing, the row holds none")
    size, repaired = check_image(_openable(record.image), name)
    density = None
    if record.saliency_map is not None:
        map_name = record.name(record.saliency_map)
        density = read_map(_openable(record.saliency_map), map_name, record.log_density)
        check_size(f"{map_name}: saliency map is", (density.shape[1], density.shape[0]), size)
    if record.annotation is None:
        return RecordContent(size, NO_POINTS, density, repaired)
    points = record.annotation.read()
    if points.size is not None:
        check_size(f"{name}: its fixations are for", points.size, size)
    if not np.isfinite(points.fixations).all():
        raise UnusableError(f"{name}: its fixations hold NaN or infinite coordinates")
    on_image = inside(points.fixations, size[1], size[0])
    outside = int(np.count_nonzero(~on_image))
    if density is None and not on_image.any():
        x, y = points.fixations[0] if outside else (0, 0)
        reason = f"all {outside} lie outside it, the first at ({x:g}, {y:g})" if outside else "it has none"
        raise UnusableError(f"{name}: no fixation lies on the image, {reason}", outside)
    observers = points.observers[on_image] if len(points.observers) else points.observers
    return RecordContent(size, Points(points.fixations[on_image], observers, size, outside), density, repaired)


def _openable(content: Path | bytes) -> Path | BytesIO:
    return content if isinstance(content, Path) else BytesIO(content)


def check_size(what: str, size: tuple[int, int], image: tuple[int, int]) -> None:
    """Raises an UnusableError if something has not its image's width and height."""
    if size != image:
        raise UnusableError("{} {}x{} px, its image {}x{} px".format(what, *size, *image))


def make_row(record: Record) -> tuple[Row, str | None]:
    """One row of the schema; its image and, where there is one of 8 bits, its saliency map stay where they are.

    Returns:
        The row, and a line about what is unusual in it but no fault.

    Raises:
        UnusableError: As `open_record`.
    """
    content = open_record(record)
    size, points, density = content.size, content.points, content.density
    note, sigma = None, None
    if record.saliency_map is not None and density is not None:
        if is_constant(density):
            note = constant_note(record)
        keeps_its_file = is_stored_in_8_bits(_openable(record.saliency_map))
        saliency_map = _stored(record.saliency_map if keeps_its_file else map_png(density))
    else:
        sigma = record.sigma or SIGMA_FRACTION * max(size)
        saliency_map = _stored(map_png(fixation_density(points.fixations, size[1], size[0], sigma)))
    row = {
        "image": _stored(content.repaired or record.image),
        "saliency_map": saliency_map,
        "fixations": points.fixations.tolist(),
        "image_id": record.image_id,
        "observers": points.observers.tolist(),
        "sigma": sigma,
        "recording": record.recording,
        "outside": points.outside,
    }
    return row, note


def constant_note(record: Record) -> str:
    """The line about a density that has the same value everywhere."""
    return f"{record.name(record.saliency_map or b'')}: saliency map is constant, so it says nothing about the image"


def undecoded(rows: Dataset) -> Dataset:
    """Rows with their images and densities as they are stored, `{"path", "bytes"}`."""
    return rows.cast_column("image", Image(decode=False)).cast_column("saliency_map", Image(decode=False))


def _stored(content: Path | bytes) -> dict | str:
    return str(content) if isinstance(content, Path) else {"path": None, "bytes": content}


def is_held_out(image_id: str, fraction: float) -> bool:
    """Whether an image belongs to the part kept for validation: decided by a hash of its id, so no seed is needed.

    The same image falls on the same side whatever else the data set holds.
    """
    digest = hashlib.sha256(image_id.encode()).digest()
    return int.from_bytes(digest[:8], "big") < fraction * 2**64


def split_held_out(rows: Dataset, fraction: float) -> tuple[Dataset, Dataset]:
    """The rows that are not held out, and those for which `is_held_out` holds."""
    held_out = [is_held_out(image_id, fraction) for image_id in rows["image_id"]]
    return (
        rows.select([index for index, held in enumerate(held_out) if not held]),
        rows.select([index for index, held in enumerate(held_out) if held]),
    )
