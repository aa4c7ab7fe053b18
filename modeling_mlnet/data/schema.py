"""The one row schema of every data set, and the way rows are made from what a data set's folder holds."""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from datasets import Dataset, Features, Image, List, Value
from PIL import Image as PILImage
from transformers.utils import logging

logger = logging.get_logger(__name__)

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


@dataclass
class Record:
    """One picture of a data set as its loader found it on disk.

    Args:
        image: The picture file.
        image_id: Unique within the data set.
        fixations: `(n, 2)` x and y in pixels, 0-based, the centre of the first pixel being 0.
        saliency_map: The density's file; `None` if it has to be made from the fixations.
        sigma: Standard deviation in pixels of the Gaussian that makes it.
        observers: `(n,)`, which observer made each fixation; empty where that is not known.
    """

    image: Path
    image_id: str
    fixations: np.ndarray
    saliency_map: Path | None = None
    sigma: float = 0.0
    observers: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))


@dataclass
class Scan:
    """What a loader found: usable records, and one line for every file that is missing or damaged."""

    records: list[Record] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def fixation_density(fixations: np.ndarray, height: int, width: int, sigma: float) -> np.ndarray:
    """Sum of one Gaussian per fixation, the field's density of fixations.

    Computed exactly as the product of the two axes' Gaussians, without a cut-off radius; mass beyond the picture is
    lost, as in a convolution with zero padding.

    Args:
        fixations: `(n, 2)` x and y in pixels, 0-based.
        sigma: Standard deviation in pixels.

    Returns:
        Float64 `(height, width)`, at least 0, of maximum 1 unless there is no fixation.
    """
    points = np.asarray(fixations, dtype=np.float64).reshape(-1, 2)
    columns = np.exp(-((np.arange(width) - points[:, :1]) ** 2) / (2 * sigma**2))  # (n, width)
    rows = np.exp(-((np.arange(height) - points[:, 1:]) ** 2) / (2 * sigma**2))  # (n, height)
    density = rows.T @ columns
    return density / density.max() if len(points) else density


def damaged(path: Path, kind: str) -> str | None:
    """Why a picture file cannot be used, in one line that names it; `None` if it can."""
    try:
        with PILImage.open(path) as image:
            image.draft("L", (image.width // 8, image.height // 8))  # a JPEG is then checked at an eighth of its size
            image.load()
        return None
    except FileNotFoundError:
        return f"{path}: {kind} is missing"
    except Exception as error:  # every decoder raises its own
        return f"{path}: {kind} is damaged: {error}"


def upright_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels of a picture file as it is shown, its EXIF rotation applied."""
    with PILImage.open(path) as image:
        sideways = image.getexif().get(PILImage.ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
        return (image.height, image.width) if sideways else image.size


def damaged_pair(image: Path, saliency_map: Path | None) -> str | None:
    """Why a picture and its saliency map cannot be used, in one line that names the file; `None` if they can."""
    problem = damaged(image, "picture")
    if problem is not None or saliency_map is None:
        return problem
    problem = damaged(saliency_map, "saliency map")
    if problem is None and upright_size(image) != upright_size(saliency_map):
        sizes = "{}x{} px, its picture {}x{} px".format(*upright_size(saliency_map), *upright_size(image))
        return f"{saliency_map}: saliency map is {sizes}"
    return problem


def join_observers(fixations: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """`fixations` and `observers` of a `Record` from one array `(n, 2)` per observer; one alone counts as unknown."""
    points = [np.asarray(one, dtype=np.float32).reshape(-1, 2) for one in fixations]
    joined = np.concatenate([np.zeros((0, 2), np.float32), *points])
    observers = np.repeat(np.arange(len(points), dtype=np.int32), [len(one) for one in points])
    return joined, observers if len(points) > 1 else observers[:0]


def inside(fixations: np.ndarray, height: int, width: int) -> np.ndarray:
    """Which fixations lie on the picture, bool `(n,)`; trackers also report gazes beside it."""
    return np.all((fixations > -0.5) & (fixations < np.array([width, height]) - 0.5), axis=1)


def _rows(records: list[Record]) -> Iterator[dict]:
    for record in records:
        width, height = upright_size(record.image)
        points = np.asarray(record.fixations, dtype=np.float32).reshape(-1, 2)
        on_picture = inside(points, height, width)
        fixations = points[on_picture]
        saliency_map: dict | str
        if record.saliency_map is not None:
            saliency_map = str(record.saliency_map)
        else:
            density = fixation_density(fixations, height, width, record.sigma)
            buffer = io.BytesIO()
            PILImage.fromarray(np.rint(density * 255).astype(np.uint8)).save(buffer, "PNG")
            saliency_map = {"path": None, "bytes": buffer.getvalue()}
        yield {
            "image": str(record.image),
            "saliency_map": saliency_map,
            "fixations": fixations.tolist(),
            "image_id": record.image_id,
            "observers": record.observers[on_picture].tolist() if len(record.observers) else [],
            "sigma": record.sigma if record.saliency_map is None else None,
        }


def to_dataset(scan: Scan, source: str) -> Dataset:
    """Rows of the schema from a scan; made densities are kept in the cache of `datasets`.

    Raises:
        ValueError: If the scan found nothing that can be used.
    """
    for problem in scan.problems:
        logger.warning(problem)
    if not scan.records:
        first = f"; first problem: {scan.problems[0]}" if scan.problems else ""
        raise ValueError(f"{source}: no usable picture found{first}")
    return Dataset.from_generator(_rows, features=FEATURES, gen_kwargs={"records": scan.records})


def is_held_out(image_id: str, fraction: float) -> bool:
    """Whether a picture belongs to the part kept for validation: decided by a hash of its id, so no seed is needed.

    The same picture falls on the same side whatever else the data set holds.
    """
    digest = hashlib.sha256(image_id.encode()).digest()
    return int.from_bytes(digest[:8], "big") < fraction * 2**64
