"""OSIE in its release's layout (Xu et al., Journal of Vision 2014)."""

from pathlib import Path
from typing import Any

import numpy as np

from .files import IMAGE_SUFFIXES, by_stem
from .fixations import join_observers
from .layouts import why_missing
from .mat_files import read_mat
from .schema import Record, Scan


def list_osie(directory: Path) -> Scan:
    """Lists the images in `stimuli/` that `eye/fixations.mat` names (15 observers, 1-based x and y in pixels).

    Raises:
        ValueError: If `eye/fixations.mat` is missing or damaged, or `stimuli/` is packed or lies too deep.
    """
    path = directory / "eye" / "fixations.mat"
    if not path.is_file():
        raise ValueError(f"{path}: no such file; OSIE keeps its fixations there{why_missing(directory, 'eye')}")
    stimuli = directory / "stimuli"
    images = by_stem(stimuli, IMAGE_SUFFIXES)
    if not images and (hint := why_missing(directory, "stimuli")):
        raise ValueError(f"{stimuli}: no such folder with images; OSIE's belong there{hint}")
    try:
        entries = read_mat(path, ["fixations"], squeeze_me=True, struct_as_record=False)["fixations"]
    except Exception as error:  # scipy raises many types for a damaged file
        raise ValueError(f"{path}: fixations are damaged: {error}") from error
    listing = Scan()
    for number, entry in enumerate(np.atleast_1d(entries), start=1):
        try:
            image = stimuli / str(entry.img)
            points = join_observers([_points(observer) - 1 for observer in np.atleast_1d(entry.subjects)])
        except Exception as error:  # an entry of any other form
            listing.problems.append(f"{path}: entry {number} is damaged: {error}")
            continue
        listing.records.append(Record(image, image.stem, points))
    named = {record.image for record in listing.records}
    listing.unmatched = [f"{image}: has no entry in {path.name}" for image in images.values() if image not in named]
    return listing


def _points(observer: Any) -> np.ndarray:
    return np.stack([np.atleast_1d(observer.fix_x), np.atleast_1d(observer.fix_y)], axis=1).astype(np.float32)
