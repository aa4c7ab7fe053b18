"""SALICON in its official 2017 layout (Jiang et al., CVPR 2015; salicon.net)."""

from pathlib import Path

import numpy as np
from scipy.io import loadmat

from .schema import Record, Scan, damaged_pair, join_observers

SPLITS = {"train": "train", "validation": "val"}  # the test split has no ground truth


def read_fixations(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """All fixations of one `.mat` file as 0-based `(n, 2)` x and y in pixels (the file is 1-based), and observers."""
    gaze = loadmat(path)["gaze"]
    fixations, observers = join_observers(list(gaze["fixations"].ravel()))
    return fixations - 1, observers


def scan_salicon(directory: Path, split: str = "train") -> Scan:
    """Finds `images/SPLIT/*.jpg` with `maps/SPLIT/*.png` and `fixations/SPLIT/*.mat` of the same names.

    Raises:
        ValueError: For an unknown split or a folder without that split's pictures.
    """
    if split not in SPLITS:
        raise ValueError(f"SALICON has the splits {list(SPLITS)}, got {split!r}")
    folder = SPLITS[split]
    images = directory / "images" / folder
    if not images.is_dir():
        raise ValueError(f"{images}: no such folder; SALICON {split} pictures belong there")
    scan = Scan()
    for image in sorted(images.glob("*.jpg")):
        saliency_map = directory / "maps" / folder / f"{image.stem}.png"
        mat = directory / "fixations" / folder / f"{image.stem}.mat"
        problem = damaged_pair(image, saliency_map)
        if problem is None:
            if not mat.is_file():
                problem = f"{mat}: fixations are missing"
            else:
                try:
                    fixations, observers = read_fixations(mat)
                except Exception as error:  # scipy raises many types for a damaged file
                    problem = f"{mat}: fixations are damaged: {error}"
        if problem is not None:
            scan.problems.append(problem)
        else:
            scan.records.append(Record(image, image.stem, fixations, saliency_map, observers=observers))
    return scan
