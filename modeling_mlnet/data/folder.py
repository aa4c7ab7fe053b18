"""Any pictures with fixations: a folder with `metadata.jsonl`, one JSON object a line."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from .schema import Record, Scan, damaged

SIGMA_FRACTION = 0.03  # of the longer side: SALICON's 19 px at 640 px, OSIE's 24 px at 800 px


def _read_fixations(row: dict) -> np.ndarray:
    observers = row["observers"] if "observers" in row else [row["fixations"]]
    points = [np.asarray(one, dtype=np.float32).reshape(-1, 2) for one in observers]
    return np.concatenate(points) if points else np.zeros((0, 2), np.float32)


def scan_folder(directory: Path, sigma: float | None = None) -> Scan:
    """Reads `metadata.jsonl`: `file_name`, `observers` or `fixations`, and if there is one `map_file_name`.

    `observers` holds one list of `[x, y]` per observer, `fixations` one list for all; 0-based pixels. File names are
    relative to the folder.

    Args:
        sigma: Pixels; `None` takes 3 % of a picture's longer side.

    Raises:
        ValueError: If `metadata.jsonl` is missing.
    """
    metadata = directory / "metadata.jsonl"
    if not metadata.is_file():
        raise ValueError(f"{metadata}: no such file; it must list the pictures, one JSON object a line")
    scan = Scan()
    for number, line in enumerate(metadata.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            image = directory / row["file_name"]
            saliency_map = directory / row["map_file_name"] if row.get("map_file_name") else None
            fixations = _read_fixations(row)
        except (KeyError, TypeError, ValueError) as error:
            reason = f"key {error} is missing" if isinstance(error, KeyError) else str(error)
            scan.problems.append(f"{metadata}, line {number}: {reason}")
            continue
        problem = damaged(image, "picture") or (saliency_map and damaged(saliency_map, "saliency map"))
        if problem:
            scan.problems.append(problem)
            continue
        with Image.open(image) as picture:
            longer_side = max(picture.size)
        image_id = str(Path(row["file_name"]).with_suffix(""))
        scan.records.append(Record(image, image_id, fixations, saliency_map, sigma or SIGMA_FRACTION * longer_side))
    return scan
