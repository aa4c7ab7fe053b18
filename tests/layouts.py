"""Small data sets written in the layouts people download, with the traps that are in them."""

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

NOT_FOR_US = b"\x00\x05\x16\x07 a file that must not be opened"


@contextmanager
def warnings_seen(name: str = "modeling_mlnet.data") -> Iterator[list[str]]:
    """What a logger, by its name, and those below it warn of meanwhile."""
    seen: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: seen.append(record.getMessage())
    logger = logging.getLogger(name)
    logger.addHandler(handler)
    try:
        yield seen
    finally:
        logger.removeHandler(handler)


def write_image(path: Path, size: tuple[int, int] = (64, 48), seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, size=(6, 8, 3), dtype=np.uint8)
    Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).save(path)
    return path


def write_density(path: Path, k: int = 0, size: tuple[int, int] = (64, 48)) -> Path:
    """White from row 10 + k to 20 + k, columns 20 to 40."""
    density = np.zeros(size[::-1], dtype=np.uint8)
    density[10 + k : 20 + k, 20:40] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(density).save(path)
    return path


def mask(points: Sequence[Sequence[int]], size: tuple[int, int] = (64, 48)) -> np.ndarray:
    """A binary map `(height, width)` of 0-based x and y."""
    result = np.zeros(size[::-1], dtype=np.uint8)
    for x, y in points:
        result[y, x] = 1
    return result


def write_mat(path: Path, **variables) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, variables)
    return path


def write_salicon(directory: Path, count: int = 6, split: str = "train", fixations: str = "gaze") -> Path:
    """Official layout; image k has the fixations (0, 0), (63, 47) and (k, 1) of two observers.

    `fixations`: "gaze" as of 2017, "I" as before, "png", "json" as of 2015, or "none" for maps only.
    """
    for k in range(count):
        stem = f"COCO_{split}2014_{k:012d}"
        write_image(directory / "images" / split / f"{stem}.jpg", seed=k)
        if split != "test" and fixations != "json":
            write_density(directory / "maps" / split / f"{stem}.png", k)
        place = directory / "fixations" / split / stem
        if split == "test" or fixations in ("none", "json"):
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if fixations == "gaze":
            gaze = np.zeros((2, 1), dtype=[("location", "O"), ("timestamp", "O"), ("fixations", "O")])
            for observer, points in enumerate([[[1, 1], [64, 48]], [[k + 1, 2]]]):
                gaze[observer, 0] = (np.array(points), np.zeros((len(points), 1)), np.array(points, dtype=np.uint16))
            write_mat(place.with_suffix(".mat"), image=stem, resolution=np.array([[48, 64]]), gaze=gaze)
        elif fixations == "I":
            write_mat(place.with_suffix(".mat"), I=mask([(0, 0), (63, 47), (k, 1)]))
        else:
            Image.fromarray(255 * mask([(0, 0), (63, 47), (k, 1)])).save(place.with_suffix(".png"))
    if fixations == "json":
        write_salicon_json(directory / "annotations" / f"fixations_{split}2014.json", count, split)
    return directory


def write_salicon_json(path: Path, count: int = 6, split: str = "train", workers: int = 2) -> Path:
    """COCO-style annotations of 2015, 1-based [row, col]; the workers' entries of an image lie apart."""
    images = [
        {"license": 4, "file_name": f"COCO_{split}2014_{k:012d}.jpg", "height": 48, "width": 64, "id": 100 + k}
        for k in range(count)
    ]
    annotations = [
        {"image_id": 100 + k, "fixations": points, "worker_id": 7 + worker, "id": worker * count + k}
        for worker in range(workers)
        for k in reversed(range(count))
        for points in [[[1, 1], [48, 64]] if worker == 0 else [[2, k + 1]]]
    ]
    content = {"info": {"description": "made by a test: caf\xe9"}, "images": images, "licenses": []}
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({**content, "type": "fixations", "annotations": annotations}, ensure_ascii=False)
    path.write_text(text, encoding="utf-8")
    return path


def write_osie(directory: Path, count: int = 3, observers: int = 2) -> Path:
    """OSIE's layout; observer j of image k has the 1-based fixations (10.5, 20.5) and (k + 1, j + 1)."""
    entries = np.zeros((count, 1), dtype="O")
    for k in range(count):
        write_image(directory / "stimuli" / f"{1001 + k}.jpg", seed=k)
        subjects = np.zeros((observers, 1), dtype="O")
        for j in range(observers):
            subjects[j, 0] = {"fix_x": [[10.5, k + 1.0]], "fix_y": [[20.5, j + 1.0]], "fix_duration": [[100.0, 200.0]]}
        entries[k, 0] = {"img": f"{1001 + k}.jpg", "subjects": subjects}
    write_mat(directory / "eye" / "fixations.mat", fixations=entries)
    return directory


def write_mit1003(directory: Path, count: int = 3) -> Path:
    """MIT1003's layout; image k has the fixations (5, 6), (6, 6) and (20 + k, 30).

    With the stray `fixPts` file without underscore, a Mac's hidden files, and `DATA`, which takes Matlab.
    """
    for k in range(count):
        write_image(directory / "ALLSTIMULI" / f"i{k}.jpeg", seed=k)
        write_density(directory / "ALLFIXATIONMAPS" / f"i{k}_fixMap.jpg", k)
        points = Image.fromarray(255 * mask([(5, 6), (6, 6), (20 + k, 30)]))
        points.save(directory / "ALLFIXATIONMAPS" / f"i{k}_fixPts.jpg", quality=75)
    Image.fromarray(255 * mask([(1, 1)])).save(directory / "ALLFIXATIONMAPS" / "i0fixPts.jpg")
    (directory / "ALLSTIMULI" / "._i0.jpeg").write_bytes(NOT_FOR_US)
    (directory / "DATA" / "CNG").mkdir(parents=True)
    (directory / "DATA" / "CNG" / "i0.mat").write_bytes(NOT_FOR_US)
    return directory


def write_cat2000(directory: Path, categories: Sequence[str] = ("Action", "Satelite"), count: int = 2) -> Path:
    """CAT2000's layout; the images have grey borders of 16 columns, and image k a fixation on one, (4, 7 + k)."""
    root = directory / "trainSet"
    for category in categories:
        for k in range(1, count + 1):
            image = write_image(root / "Stimuli" / category / f"{k:03d}.jpg", seed=k)
            grey = Image.new("RGB", (64, 48), (126, 126, 126))
            grey.paste(Image.open(image).resize((32, 48)), (16, 0))
            grey.save(image, quality=95)
            write_mat(root / "FIXATIONLOCS" / category / f"{k:03d}.mat", fixLocs=mask([(4, 7 + k), (30, 20)]))
            write_density(root / "FIXATIONMAPS" / category / f"{k:03d}.jpg", k)
            write_image(root / "Stimuli" / category / "Output" / f"{k:03d}_SaliencyMap.jpg")
    (root / "allFixData.mat").write_bytes(NOT_FOR_US)
    return directory


def write_toronto(directory: Path, count: int = 11, densities: bool = False) -> Path:
    """Toronto's layout; image k (from 1) has the fixations (k, 3) and (40, 30)."""
    root = directory / "eyetrackingdata" / "fixdens"
    white = np.zeros((1, count), dtype="O")
    for k in range(1, count + 1):
        write_image(root / "Original Image Set" / f"{k}.jpg", seed=k)
        white[0, k - 1] = mask([(k, 3), (40, 30)])
        if densities:
            name = "Density Maps produced from raw experimental eye tracking data"
            write_density(root / name / f"d{k}.jpg", k)
    write_mat(root / "origfixdata.mat", white=white)
    return directory


def write_folder(directory: Path, count: int = 12) -> Path:
    """metadata.jsonl with observers; image k has fixations (5, 6), (k, 1) and one beside the image."""
    lines = []
    for k in range(count):
        write_image(directory / "images" / f"{k:03d}.png", seed=k)
        lines.append({"file_name": f"images/{k:03d}.png", "observers": [[[5, 6]], [[k, 1], [400.0, 3.0]]]})
    (directory / "metadata.jsonl").write_text("\n".join(json.dumps(line) for line in lines) + "\n")
    return directory


WRITERS = {
    "cat2000": write_cat2000,
    "folder": write_folder,
    "mit1003": write_mit1003,
    "osie": write_osie,
    "salicon": write_salicon,
    "toronto": write_toronto,
}
