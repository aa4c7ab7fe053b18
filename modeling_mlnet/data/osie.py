"""OSIE in its release's layout (Xu et al., Journal of Vision 2014)."""

from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat

from .schema import Record, Scan, damaged, join_observers

SIGMA = 24.0  # px at 800x600, about one degree of visual angle


def scan_osie(directory: Path) -> Scan:
    """Finds `stimuli/*.jpg` named in `eye/fixations.mat` (15 observers, 1-based x and y in pixels).

    Raises:
        ValueError: If `eye/fixations.mat` is missing or damaged.
    """
    path = directory / "eye" / "fixations.mat"
    if not path.is_file():
        raise ValueError(f"{path}: no such file; OSIE keeps its fixations there")
    try:
        entries = loadmat(path, squeeze_me=True, struct_as_record=False)["fixations"]
    except Exception as error:  # scipy raises many types for a damaged file
        raise ValueError(f"{path}: fixations are damaged: {error}") from error
    scan = Scan()
    for number, entry in enumerate(np.atleast_1d(entries), start=1):
        try:
            image = directory / "stimuli" / str(entry.img)
            fixations, observers = join_observers([_points(one) - 1 for one in np.atleast_1d(entry.subjects)])
        except Exception as error:  # an entry of any other form
            scan.problems.append(f"{path}: entry {number} is damaged: {error}")
            continue
        problem = damaged(image, "picture")
        if problem is not None:
            scan.problems.append(problem)
        else:
            scan.records.append(Record(image, image.stem, fixations, sigma=SIGMA, observers=observers))
    return scan


def _points(observer: Any) -> np.ndarray:
    return np.stack([np.atleast_1d(observer.fix_x), np.atleast_1d(observer.fix_y)], axis=1).astype(np.float32)
