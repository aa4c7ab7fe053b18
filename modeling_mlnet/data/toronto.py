"""The Toronto set (Bruce and Tsotsos, Journal of Vision 2007)."""

from pathlib import Path

import numpy as np
from scipy.sparse import issparse

from .files import IMAGE_SUFFIXES, by_stem, upright_size
from .fixations import Annotation, NoPoints, points_of_mask
from .layouts import why_missing
from .mat_files import read_mat
from .schema import Record, Scan

DENSITIES = "Density Maps*"


def list_toronto(directory: Path) -> Scan:
    """Lists `Original Image Set/NUMBER.jpg` with the binary map of that number in `origfixdata.mat` (key `white`).

    The archive's own density maps, `Density Maps .../dNUMBER.jpg`, are taken if they have the images' size.
    Observers are pooled.

    Raises:
        ValueError: If the images are not there, or `origfixdata.mat` is missing or damaged.
    """
    images = by_stem(directory / "Original Image Set", IMAGE_SUFFIXES)
    if not images:
        hint = why_missing(directory, "Original Image Set")
        raise ValueError(f"{directory / 'Original Image Set'}: no such folder with images of Toronto{hint}")
    path = directory / "origfixdata.mat"
    if not path.is_file():
        raise ValueError(f"{path}: no such file; Toronto keeps its fixations there")
    try:
        masks = read_mat(path, ["white"])["white"].ravel()
    except Exception as error:  # scipy raises many types for a damaged file
        raise ValueError(f"{path}: fixations are damaged: {error}") from error
    densities = _densities(directory, images)
    listing = Scan()
    for stem in sorted(images, key=lambda stem: (len(stem), stem)):  # 2 before 10
        annotation = _points(masks, stem, path)
        listing.records.append(Record(images[stem], stem, annotation, densities.get(stem)))
    numbers = {str(number) for number in range(1, len(masks) + 1)}
    listing.unmatched = [f"{path}: map {number} has no image" for number in sorted(numbers - set(images), key=int)]
    return listing


def _points(masks: np.ndarray, stem: str, path: Path) -> Annotation:
    if not stem.isdecimal() or not 1 <= int(stem) <= len(masks):
        return NoPoints(f"{path}: fixations for image {stem} are missing")
    mask = masks[int(stem) - 1]
    try:
        return points_of_mask(mask.toarray() if issparse(mask) else mask)
    except ValueError as error:
        return NoPoints(f"{path}: fixations for image {stem} are damaged: {error}")


def _densities(directory: Path, images: dict[str, Path]) -> dict[str, Path]:
    """Paths of all densities, existing or not; empty if none has the images' size."""
    folder = next(iter(sorted(directory.glob(DENSITIES))), directory / "none")
    files = by_stem(folder, IMAGE_SUFFIXES)
    for stem, image in images.items():
        try:
            if f"d{stem}" in files and upright_size(files[f"d{stem}"]) != upright_size(image):
                return {}
        except OSError:  # damaged: the reading of the record names it
            continue
    return {stem: files.get(f"d{stem}", folder / f"d{stem}.jpg") for stem in images} if files else {}
