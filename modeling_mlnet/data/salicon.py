"""SALICON in its official 2017 layout (Jiang et al., CVPR 2015; salicon.net)."""

from pathlib import Path

import numpy as np
from scipy.io import loadmat

from .schema import Record, Scan, damaged_pair

SPLITS = {"train": "train", "validation": "val"}  # the test split has no ground truth


def read_fixations(path: Path) -> np.ndarray:
    """All observers' fixations of one `.mat` file as 0-based `(n, 2)` x and y in pixels (the file is 1-based)."""
    gaze = loadmat(path)["gaze"]
    observers = [np.asarray(one, dtype=np.float32).reshape(-1, 2) for one in gaze["fixations"].ravel()]
    return np.concatenate(observers) - 1 if observers else np.zeros((0, 2), np.float32)


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
        fixations = np.zeros((0, 2), np.float32)
        if problem is None:
            if not mat.is_file():
                problem = f"{mat}: fixations are missing"
            else:
                try:
                    fixations = read_fixations(mat)
                except Exception as error:  # scipy raises many types for a damaged file
                    problem = f"{mat}: fixations are damaged: {error}"
        if problem is not None:
            scan.problems.append(problem)
        else:
            scan.records.append(Record(image, image.stem, fixations, saliency_map))
    return scan
