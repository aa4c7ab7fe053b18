"""OSIE in its release's layout (Xu et al., Journal of Vision 2014)."""

from pathlib import Path

import numpy as np
from scipy.io import loadmat

from .schema import Record, Scan, damaged

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
    for entry in np.atleast_1d(entries):
        image = directory / "stimuli" / str(entry.img)
        problem = damaged(image, "picture")
        if problem is not None:
            scan.problems.append(problem)
            continue
        observers = [
            np.stack([np.atleast_1d(one.fix_x), np.atleast_1d(one.fix_y)], axis=1).astype(np.float32)
            for one in np.atleast_1d(entry.subjects)
        ]
        scan.records.append(Record(image, image.stem, np.concatenate(observers) - 1, sigma=SIGMA))
    return scan
