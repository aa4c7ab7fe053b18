"""Any pictures with fixations: a folder with `metadata.jsonl`, one JSON object a line."""

import json
from collections import Counter
from pathlib import Path

import numpy as np

from .schema import SIGMA_FRACTION, Record, Scan, damaged_pair, join_observers, upright_size


def _read_fixations(row: dict) -> tuple[np.ndarray, np.ndarray]:
    return join_observers(row["observers"] if "observers" in row else [row["fixations"]])


def scan_folder(directory: Path, sigma: float | None = None) -> Scan:
    """Reads `metadata.jsonl`: `file_name`, `observers` or `fixations`, and if there is one `map_file_name`.

    `observers` holds one list of `[x, y]` per observer, `fixations` one list for all; 0-based pixels. File names are
    relative to the folder.

    Args:
        sigma: Pixels; `None` takes 3 % of a picture's longer side.

    Raises:
        ValueError: If `metadata.jsonl` is missing or not UTF-8.
    """
    metadata = directory / "metadata.jsonl"
    if not metadata.is_file():
        raise ValueError(f"{metadata}: no such file; it must list the pictures, one JSON object a line")
    scan = Scan()
    try:
        lines = metadata.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{metadata}: is not UTF-8: {error}") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            image = directory / row["file_name"]
            saliency_map = directory / row["map_file_name"] if row.get("map_file_name") else None
            fixations, observers = _read_fixations(row)
        except (KeyError, TypeError, ValueError) as error:
            reason = f"key {error} is missing" if isinstance(error, KeyError) else str(error)
            scan.problems.append(f"{metadata}, line {number}: {reason}")
            continue
        problem = damaged_pair(image, saliency_map)
        if problem is not None:
            scan.problems.append(problem)
            continue
        width = sigma or SIGMA_FRACTION * max(upright_size(image))
        scan.records.append(Record(image, row["file_name"], fixations, saliency_map, width, observers))
    short = Counter(str(Path(record.image_id).with_suffix("")) for record in scan.records)
    for record in scan.records:
        name = str(Path(record.image_id).with_suffix(""))
        if short[name] == 1:
            record.image_id = name
    return scan
