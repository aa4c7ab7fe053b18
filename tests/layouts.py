"""Small data sets written in the layouts people download."""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat


def write_picture(path: Path, size: tuple[int, int] = (64, 48), seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, size=(6, 8, 3), dtype=np.uint8)
    Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).save(path)
    return path


def write_salicon(directory: Path, count: int = 6, split: str = "train") -> Path:
    """Official 2017 layout; picture k has the 1-based fixations (1, 1), (64, 48) and (k + 1, 2)."""
    for k in range(count):
        stem = f"COCO_{split}2014_{k:012d}"
        write_picture(directory / "images" / split / f"{stem}.jpg", seed=k)
        density = np.zeros((48, 64), dtype=np.uint8)
        density[10 + k : 20 + k, 20:40] = 255
        (directory / "maps" / split).mkdir(parents=True, exist_ok=True)
        Image.fromarray(density).save(directory / "maps" / split / f"{stem}.png")
        gaze = np.zeros((2, 1), dtype=[("location", "O"), ("timestamp", "O"), ("fixations", "O")])
        for observer, points in enumerate([[[1, 1], [64, 48]], [[k + 1, 2]]]):
            gaze[observer, 0] = (np.array(points), np.zeros((len(points), 1)), np.array(points, dtype=np.uint16))
        (directory / "fixations" / split).mkdir(parents=True, exist_ok=True)
        savemat(
            directory / "fixations" / split / f"{stem}.mat",
            {"image": stem, "resolution": np.array([[48, 64]]), "gaze": gaze},
        )
    return directory


def write_osie(directory: Path, count: int = 3, observers: int = 2) -> Path:
    """OSIE's layout; observer j of picture k has the 1-based fixations (10.5, 20.5) and (k + 1, j + 1)."""
    entries = np.zeros((count, 1), dtype="O")
    for k in range(count):
        write_picture(directory / "stimuli" / f"{1001 + k}.jpg", seed=k)
        subjects = np.zeros((observers, 1), dtype="O")
        for j in range(observers):
            subjects[j, 0] = {"fix_x": [[10.5, k + 1.0]], "fix_y": [[20.5, j + 1.0]], "fix_duration": [[100.0, 200.0]]}
        entries[k, 0] = {"img": f"{1001 + k}.jpg", "subjects": subjects}
    (directory / "eye").mkdir(parents=True, exist_ok=True)
    savemat(directory / "eye" / "fixations.mat", {"fixations": entries})
    return directory


def write_folder(directory: Path, count: int = 12) -> Path:
    """metadata.jsonl with observers; picture k has fixations (5, 6), (k, 1) and one beside the picture."""
    lines = []
    for k in range(count):
        write_picture(directory / "images" / f"{k:03d}.png", seed=k)
        lines.append({"file_name": f"images/{k:03d}.png", "observers": [[[5, 6]], [[k, 1], [400.0, 3.0]]]})
    (directory / "metadata.jsonl").write_text("\n".join(json.dumps(line) for line in lines) + "\n")
    return directory
