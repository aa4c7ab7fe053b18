"""Any images with fixations: a folder with `metadata.jsonl` or `fixations.csv`."""

import csv
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from .files import IMAGE_SUFFIXES, by_stem
from .fixations import Points, join_observers
from .layouts import recognise
from .schema import Record, Scan

METADATA = "metadata.jsonl"
TABLE = "fixations.csv"
COLUMNS = ("file_name", "x", "y")  # `observer` may follow


def list_folder(directory: Path) -> Scan:
    """Lists the images of `metadata.jsonl` or, where there is none, of `fixations.csv`.

    Raises:
        ValueError: If both are missing, or the one that is there cannot be read or lists nothing.
    """
    if (directory / METADATA).is_file():
        found = _list_metadata(directory)
    elif (directory / TABLE).is_file():
        found = _list_table(directory)
    else:
        name = recognise(directory)
        hint = f"; this looks like {name}, give {name}:{directory}" if name else ""
        raise ValueError(f"{directory / METADATA}: no such file, nor {TABLE}; one must list the images{hint}")
    if not found.records and not found.problems:
        raise ValueError(f"{directory / (METADATA if (directory / METADATA).is_file() else TABLE)}: lists no image")
    short = Counter(str(Path(record.image_id).with_suffix("")) for record in found.records)
    found.records = [_shorten(record, short) for record in found.records]
    return found


def not_listed(records: Sequence[Record]) -> list[Path]:
    """The images that lie beside listed ones and are not listed; another list may name them."""
    files = [path for record in records for path in (record.image, record.saliency_map) if path is not None]
    listed = {path.resolve() for path in files}
    folders = sorted({record.image.resolve().parent for record in records})
    return [path for folder in folders for path in by_stem(folder, IMAGE_SUFFIXES).values() if path not in listed]


def _shorten(record: Record, short: Counter) -> Record:
    name = str(Path(record.image_id).with_suffix(""))
    return replace(record, image_id=name) if short[name] == 1 else record


def _list_metadata(directory: Path) -> Scan:
    """One JSON object a line: `file_name`, `observers` or `fixations`, and, if wanted, `map_file_name` and `sigma`.

    `observers` holds one list of `[x, y]` per observer, `fixations` one list for all; 0-based pixels. File names are
    relative to the folder.
    """
    found = Scan()
    seen: set[str] = set()
    with _open(directory / METADATA) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                record = _record(directory, json.loads(line))
                if record.image_id in seen:
                    raise ValueError(f"{record.image_id} was listed before; one line holds all of its observers")
                seen.add(record.image_id)
                found.records.append(record)
            except (KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
                reason = f"key {error} is missing" if isinstance(error, KeyError) else str(error)
                found.problems.append(f"{directory / METADATA}, line {number}: {reason}")
    return found


def _record(directory: Path, row: Any) -> Record:
    if not isinstance(row, dict):
        raise ValueError(f"an object is expected, got {row!r}")
    for key in ("file_name", "map_file_name"):
        if (key == "file_name" or row.get(key)) and not (isinstance(row[key], str) and Path(row[key]).name):
            raise ValueError(f"{key} must be the name of a file, got {row[key]!r}")
    saliency_map = directory / row["map_file_name"] if row.get("map_file_name") else None
    points = join_observers(row["observers"] if "observers" in row else [row["fixations"]])
    sigma = row.get("sigma")
    if sigma is not None and not (isinstance(sigma, (int, float)) and 0 < sigma < math.inf):
        raise ValueError(f"sigma must be a number of pixels above 0, got {sigma!r}")
    return Record(directory / row["file_name"], row["file_name"], points, saliency_map, sigma)


def _list_table(directory: Path) -> Scan:
    """A line per fixation: `file_name`, `x`, `y` in 0-based pixels and, if wanted, `observer`, any name."""
    path = directory / TABLE
    found = Scan()
    fixations: dict[str, list[tuple[float, float]]] = {}
    observers: dict[str, list[int]] = {}
    numbers: dict[str, int] = {}
    with _open(path) as file:
        rows = csv.DictReader(file)
        missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
        if missing:
            raise ValueError(
                f"{path}: the first line must name the columns {', '.join(COLUMNS)}; no {missing[0]} there"
            )
        for row in rows:
            try:
                point = (_number(row, "x"), _number(row, "y"))
                if not Path(row["file_name"] or "").name:
                    raise ValueError("file_name is missing")
            except ValueError as error:
                found.problems.append(f"{path}, line {rows.line_num}: {error}")
                continue
            fixations.setdefault(row["file_name"], []).append(point)
            if row.get("observer"):
                number = numbers.setdefault(row["observer"], len(numbers))
                observers.setdefault(row["file_name"], []).append(number)
    for name, points in fixations.items():
        known = observers.get(name, [])
        if 0 < len(known) < len(points):
            rest = len(points) - len(known)
            found.problems.append(f"{path}: {rest} fixations of {name} name no observer; taken as one for all of them")
        labels = np.array(known if len(known) == len(points) else [], np.int32)
        found.records.append(Record(directory / name, name, Points(np.array(points, np.float32), labels)))
    return found


def _number(row: dict[str, Any], name: str) -> float:
    try:
        value = float(row[name])
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{name} must be a number of pixels, got {row[name]!r}")
    return value


@contextmanager
def _open(path: Path) -> Iterator[IO[str]]:
    """A text file that may begin with a byte order mark, as spreadsheets write it."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield file
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is not UTF-8: {error}") from error
    except csv.Error as error:
        raise ValueError(f"{path}: is no table of values between commas: {error}") from error
