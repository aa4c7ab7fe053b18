"""Any images with fixations: a folder with a list of them, as JSON or as a table."""

import json
import math
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from .files import IMAGE_SUFFIXES, by_stem, find_file
from .fixations import Points, join_observers
from .layouts import recognise
from .schema import RECORDINGS, Record, Scan
from .tables import TableRow, quoted, read_objects, read_table, rename_keys, table_columns

METADATA = "metadata.jsonl"
LISTS = (METADATA, "fixations.csv", "metadata.csv", "fixations.tsv", "metadata.tsv")  # the first one there counts
TRUTH_KEYS = ("observers", "fixations", "map_file_name")  # of an image; one is needed
KEYS = ("file_name", *TRUTH_KEYS, "sigma", "recording", "log_density")
POINT_COLUMNS = ("file_name", "x", "y")  # of a table with a line per fixation
SPLIT_FOLDERS = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid", "dev"),
    "test": ("test", "testing"),
}


def find_list(directory: Path) -> Path | None:
    """The file in a folder that lists its images; `None` if there is none."""
    return next((directory / name for name in LISTS if (directory / name).is_file()), None)


def split_folders(directory: Path) -> dict[str, Path]:
    """The subfolders of a folder that are splits with a list of their own, by the name of the split."""
    folders = {
        split: next((directory / name for name in names if find_list(directory / name)), None)
        for split, names in SPLIT_FOLDERS.items()
    }
    return {split: folder for split, folder in folders.items() if folder is not None}


def list_folder(directory: Path) -> Scan:
    """Lists the images of `metadata.jsonl`, `fixations.csv`, `metadata.csv` or their `.tsv`.

    Raises:
        ValueError: If there is no list, or the one that is there cannot be read or lists nothing.
    """
    path = find_list(directory)
    if path is None:
        name = recognise(directory)
        hint = f"; this looks like {name}, give {name}:{directory}" if name else ""
        raise ValueError(
            f"{directory / METADATA}: no such file, nor {', nor '.join(LISTS[1:])}; one must list the images{hint}"
        )
    if path.name == METADATA:
        scan = _list_images(path, read_objects(path))
    else:
        columns = table_columns(path, [*KEYS, "x", "y"])
        if {"x", "y"} & set(columns.values()) or path.name.startswith("fixations"):
            scan = _list_points(path)
        elif {*TRUTH_KEYS} & set(columns.values()):
            scan = _list_images(path, _rows_as_objects(path))
        else:
            names = quoted(list(columns))
            raise ValueError(
                f"{path}: names neither x and y nor {', '.join(TRUTH_KEYS)}; the columns found are {names}"
            )
    if not scan.records and not scan.problems:
        raise ValueError(f"{path}: lists no image")
    stems = Counter(str(Path(record.image_id).with_suffix("")) for record in scan.records)
    scan.records = [_shorten(record, stems) for record in scan.records]
    return scan


def not_listed(records: Sequence[Record]) -> list[Path]:
    """The images that lie beside listed ones and are not listed; another list may name them."""
    files = [path for record in records for path in (record.image, record.saliency_map) if isinstance(path, Path)]
    listed = {path.resolve() for path in files}
    folders = sorted({record.image.resolve().parent for record in records if isinstance(record.image, Path)})
    return [path for folder in folders for path in by_stem(folder, IMAGE_SUFFIXES).values() if path not in listed]


def _shorten(record: Record, stems: Counter[str]) -> Record:
    name = str(Path(record.image_id).with_suffix(""))
    return replace(record, image_id=name) if stems[name] == 1 else record


def _image_id(directory: Path, path: Path, name: str) -> str:
    """Name of an image in NFC, relative to the folder, or as written if the file is outside of it."""
    relative = path.relative_to(directory).as_posix() if path.is_relative_to(directory) else name
    return unicodedata.normalize("NFC", relative)


def _list_images(path: Path, entries: Any) -> Scan:
    """One object an image with the keys of `KEYS`, of which `observers`, `fixations` or `map_file_name` is needed.

    `observers` holds one list of `[x, y]` per observer, `fixations` one list for all; 0-based pixels. File names are
    relative to the folder.
    """
    scan = Scan()
    listed: set[str] = set()
    for where, entry in entries:
        try:
            if isinstance(entry, ValueError):
                raise entry
            record = _record(path.parent, entry)
            if record.image_id in listed:
                raise ValueError(f"{record.image_id} was listed before; one line holds all of its observers")
            listed.add(record.image_id)
            scan.records.append(record)
        except (OverflowError, RecursionError, TypeError, ValueError) as error:
            scan.problems.append(f"{path}, {where}: {error}")
    return scan


def _rows_as_objects(path: Path) -> Any:
    """The rows of a table with a line per image; `observers` and `fixations` hold JSON."""
    for row in read_table(path, ["file_name"], KEYS[1:]):
        entry: Any = {key: value for key, value in row.values.items() if value}
        try:
            for key in {"observers", "fixations", "log_density"} & set(entry):
                entry[key] = json.loads(entry[key].lower() if key == "log_density" else entry[key])
            if "sigma" in entry:
                entry["sigma"] = row.number("sigma")
        except (RecursionError, ValueError) as error:
            entry = ValueError(str(error))
        yield f"line {row.line}", entry


def _record(directory: Path, entry: Any) -> Record:
    if not isinstance(entry, dict):
        raise ValueError(f"an object is expected, got {entry!r}"[:200])
    row = {new: entry[old] for old, new in rename_keys(list(entry), KEYS).items()}
    if "file_name" not in row:
        raise ValueError(f"key 'file_name' is missing; keys found are {quoted(list(entry))}")
    for key in ("file_name", "map_file_name"):
        if (key == "file_name" or row.get(key)) and not (isinstance(row[key], str) and Path(row[key]).name):
            raise ValueError(f"{key} must be the name of a file, got {row[key]!r}")
    if not {*TRUTH_KEYS} & set(row):
        raise ValueError(
            f"key 'fixations' (or observers or map_file_name) is missing; keys found are {quoted(list(entry))}"
        )
    image = find_file(directory, row["file_name"].strip())
    saliency_map = find_file(directory, row["map_file_name"].strip()) if row.get("map_file_name") else None
    points = join_observers(row["observers"] if "observers" in row else [row.get("fixations", [])])
    sigma = row.get("sigma")
    if sigma is not None and not (isinstance(sigma, (int, float)) and 0 < sigma < math.inf):
        raise ValueError(f"sigma must be a number of pixels above 0, got {sigma!r}")
    log_density = row.get("log_density") or False
    if not isinstance(log_density, bool):
        raise ValueError(f"log_density must be true or false, got {log_density!r}")
    name = _image_id(directory, image, row["file_name"])
    return Record(image, name, points, saliency_map, sigma, check_recording(row.get("recording")), log_density)


def check_recording(value: Any) -> str | None:
    """How gaze was recorded, one of `RECORDINGS`; `None` if nothing is said.

    Raises:
        ValueError: If it is another word.
    """
    name = str(value).strip().lower() if value is not None else ""
    if name and name not in RECORDINGS:
        raise ValueError(f"recording must be one of {', '.join(RECORDINGS)}, got {value!r}")
    return name or None


@dataclass
class _PointList:
    """The fixations of one image as a table lists them."""

    name: str
    image: Path
    points: list[tuple[float, float]] = field(default_factory=list)
    observers: list[int] = field(default_factory=list)
    recordings: set[str] = field(default_factory=set)


def _list_points(path: Path) -> Scan:
    """A line per fixation: `file_name`, `x`, `y` in 0-based pixels and, if wanted, `observer` and `recording`."""
    scan = Scan()
    images: dict[str, _PointList] = {}
    written: dict[str, _PointList] = {}  # by the name as it is written
    numbers: dict[str, int] = {}
    for row in read_table(path, POINT_COLUMNS, ["observer", "recording"]):
        try:
            name = row.values["file_name"]
            point = (_coordinate(row, "x"), _coordinate(row, "y"))
            if not Path(name).name:
                raise ValueError("file_name is missing")
            recording = check_recording(row.values.get("recording"))
        except ValueError as error:
            scan.problems.append(f"{path}, line {row.line}: {error}")
            continue
        if name not in written:
            image = find_file(path.parent, name)
            image_id = _image_id(path.parent, image, name)
            written[name] = images.setdefault(image_id, _PointList(image_id, image))
        listed = written[name]
        listed.points.append(point)
        if recording:
            listed.recordings.add(recording)
        if observer := row.values.get("observer"):
            listed.observers.append(numbers.setdefault(observer, len(numbers)))
    for listed in images.values():
        count = len(listed.observers)
        if 0 < count < len(listed.points):
            scan.problems.append(
                f"{path}: {len(listed.points) - count} fixations of {listed.name} name no observer; taken as one for "
                "all of them"
            )
        if len(listed.recordings) > 1:
            scan.problems.append(f"{path}: {listed.name} has fixations of {' and '.join(sorted(listed.recordings))}")
            continue
        labels = np.array(listed.observers if count == len(listed.points) else [], np.int32)
        points = Points(np.array(listed.points, np.float32), labels)
        recording = next(iter(listed.recordings), None)
        scan.records.append(Record(listed.image, listed.name, points, recording=recording))
    return scan


def _coordinate(row: TableRow, name: str) -> float:
    value = row.number(name)
    if not math.isfinite(value):
        raise ValueError(f"{name} must be a number of pixels, got {row.values[name]!r}")
    return value
