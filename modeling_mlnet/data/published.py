"""Data sets in Parquet, from a folder or from the Hub: `mlnet data export`'s and others with the same columns."""

import glob
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow.compute  # type: ignore[import-untyped]
import pyarrow.parquet  # type: ignore[import-untyped]
from datasets import (
    Dataset,
    Features,
    Image,
    IterableDataset,
    Value,
    concatenate_datasets,
    get_dataset_split_names,
    load_dataset,
)
from datasets.exceptions import DatasetGenerationError
from transformers.utils import logging

from .cache import code_stamp
from .files import UnusableError, find_file
from .fixations import Points, file_stamp, join_observers
from .folder import SPLIT_FOLDERS, check_recording
from .problems import Remarks, summarise
from .schema import FEATURES, Record, make_row

logger = logging.get_logger(__name__)

SHARD = re.compile(r"(\w+)-(\d{5})-of-(\d{5})\.parquet")
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
DEPTH = 3  # folders that are searched for Parquet files: `data/`, `train/`, and the Hub's `default/train/`
BATCH = 100  # rows that are read at a time
PROBLEM, NOTE = "problem", "note"  # columns of what was said of a row
CHECKED = Features({**FEATURES, PROBLEM: Value("string"), NOTE: Value("string")})

Rows: TypeAlias = Dataset | IterableDataset
Keep: TypeAlias = Callable[[str], bool]


def parquet_files(directory: Path) -> dict[str, list[Path]]:
    """The Parquet files of each split in a folder and its subfolders; empty if there are none.

    A file belongs to the split that its name or a folder on the way to it names (`validation-00000-of-00001.parquet`,
    `val/part1.parquet`), otherwise to `train`.

    Raises:
        ValueError: If a shard is missing.
    """
    splits: dict[str, list[Path]] = {}
    for depth in range(DEPTH):
        for path in sorted(directory.glob("*/" * depth + "*.parquet")):
            parts = path.relative_to(directory).parts
            if any(part.startswith(".") for part in parts) or path.name.startswith("metadata."):
                continue
            splits.setdefault(_split_of(parts), []).append(path)
            if shard := SHARD.fullmatch(path.name):
                for index in range(int(shard[3])):
                    neighbour = path.with_name(f"{shard[1]}-{index:05d}-of-{shard[3]}.parquet")
                    if not neighbour.is_file():
                        raise ValueError(f"{neighbour}: is missing; {shard[1]} has {int(shard[3])} files")
    return splits


def _split_of(parts: Sequence[str]) -> str:
    if shard := SHARD.fullmatch(parts[-1]):
        return _split_named(shard[1]) or shard[1]
    names = [word for part in reversed(parts) for word in re.split(r"[\W_]+", part.lower())]
    return next((split for name in names if (split := _split_named(name))), "train")


def _split_named(name: str) -> str | None:
    return next((split for split, names in SPLIT_FOLDERS.items() if name in names), None)


def load_parquet(
    directory: Path, split: str | None, streaming: bool, images: Path | None, keep: Keep | None
) -> tuple[Rows, Remarks]:
    """Rows of the schema from a folder of Parquet files, and what is said about them.

    Args:
        split: `None` takes `train`, or the first one.
        streaming: Whether rows are read while they are iterated; each file is a shard.
        images: The folder that names of image files are relative to; `None` takes `directory`.
        keep: Which image ids to keep; `None` keeps all.

    Raises:
        ValueError: If the split is not there, a file is missing or damaged, or a column of the schema is missing.
    """
    files = parquet_files(directory)
    name = pick_split(list(files), split, str(directory))
    for path in files[name]:
        try:
            pyarrow.parquet.read_metadata(path)
        except (OSError, pyarrow.ArrowException) as error:
            raise ValueError(f"{path}: is damaged: {error}") from error
    paths = {name: [glob.escape(str(path)) for path in files[name]]}
    try:
        rows = load_dataset("parquet", data_files=paths, split=name, streaming=streaming)
    except DatasetGenerationError as error:
        raise _why_unread(files[name], error) from error
    folders = dict.fromkeys([images] if images else [directory, *(path.parent for path in files[name])])
    return as_rows(rows, str(directory), list(folders), keep)


def _why_unread(paths: list[Path], error: Exception) -> Exception:
    """What keeps some files from being read together: a damaged one, no room for their rows, or different columns."""
    for path in paths:
        try:
            for _ in pyarrow.parquet.ParquetFile(path).iter_batches(batch_size=BATCH):
                pass
        except (OSError, pyarrow.ArrowException) as damage:
            return ValueError(f"{path}: is damaged: {damage}")
    reason = " ".join(str(error.__cause__ or error).split())
    if isinstance(error.__cause__, OSError):
        return OSError(f"{paths[0].parent}: its rows cannot be written to the cache: {reason}")
    return ValueError(f"{paths[0].parent}: its files cannot be read together: {reason}")


def hub_splits(name: str) -> list[str]:
    """The splits of a data set on the Hub.

    Raises:
        ValueError: If it cannot be reached or read.
    """
    try:
        return get_dataset_split_names(name)
    except Exception as error:  # the network, the Hub and the files each have their own
        reason = " ".join(str(error).split())
        raise ValueError(f"{name}: no such folder, and no data set of the Hub that can be read: {reason}") from error


def load_hub(
    name: str, split: str | None, streaming: bool, images: Path | None, keep: Keep | None
) -> tuple[Rows, Remarks]:
    """Rows of the schema from a data set on the Hub; arguments and errors as for `load_parquet`."""
    picked = pick_split(hub_splits(name), split, name)
    try:
        rows = load_dataset(name, split=picked, streaming=streaming)
    except Exception as error:
        raise ValueError(f"{name}: cannot be loaded from the Hub: {' '.join(str(error).split())}") from error
    return as_rows(rows, name, [images] if images else [], keep)


def pick_split(splits: list[str], split: str | None, source: str) -> str:
    """The split asked for; `train`, or else the first, if none is.

    Raises:
        ValueError: If it is not there.
    """
    if split is None:
        return "train" if "train" in splits else splits[0]
    if split not in splits:
        raise ValueError(f"{source} has the splits {splits}, got {split!r}")
    return split


def as_rows(rows: Rows, source: str, folders: Sequence[Path], keep: Keep | None) -> tuple[Rows, Remarks]:
    """Rows with exactly the columns of the schema, of the images whose id `keep` holds for.

    Every row is read as the files of a data set are: what is missing, damaged or of another size is named and left
    out, and a missing density is made from the fixations.

    Args:
        source: Names the data set in messages.
        folders: Where image files that rows name are looked for, in this order.

    Returns:
        The rows, and what is said about them; a stream says it when it comes to a row.

    Raises:
        ValueError: If a column is missing or of another kind, or no row can be used.
    """
    names = list(rows.column_names or [])
    if "image" not in names and "file_name" not in names:
        raise ValueError(f"{source}: has no column 'image' (or 'file_name'); its columns are {names}")
    if not {"fixations", "observers", "saliency_map"} & set(names):
        raise ValueError(f"{source}: has no column 'fixations' (or 'saliency_map'); its columns are {names}")
    if "image" not in names and not folders:
        raise ValueError(f"{source}: holds annotations only; give the folder of its images with images=DIR")
    try:
        for name in {"image", "saliency_map"} & set(names):
            rows = rows.cast_column(name, Image(decode=False))
    except (TypeError, ValueError, pyarrow.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{source}: its columns are not those of `mlnet data export`: {reason}") from error
    if isinstance(rows, IterableDataset):
        batch = partial(_checked_batch, folders=tuple(folders), keep=keep)
        checked_rows = rows.map(batch, batched=True, batch_size=BATCH, with_indices=True, remove_columns=names)
        return checked_rows.cast(FEATURES), Remarks()
    if keep is not None:
        ids = rows["image_id"] if "image_id" in names else [_row_name({}, index) for index in range(len(rows))]
        rows = rows.select([index for index, name in enumerate(ids) if keep(name)])
    return _all_checked(rows, folders)


def _all_checked(rows: Dataset, folders: Sequence[Path]) -> tuple[Dataset, Remarks]:
    names = rows.column_names
    is_embedded = "image" in names and not _linked_files(rows)
    features = Features({name: kind for name, kind in CHECKED.items() if not (is_embedded and name == "image")})
    stamp = [code_stamp(), *(map(file_stamp, [] if is_embedded else _paths(rows, folders)))]
    results = rows.map(
        partial(_of_columns, folders=tuple(folders), columns=tuple(features)),
        with_indices=True,
        remove_columns=names,
        features=features,
        fn_kwargs={"stamp": stamp},  # a part of the key in the cache
    )
    problems = results[PROBLEM]
    if is_embedded:  # what is in the cache once is not copied
        results = concatenate_datasets([rows.select_columns("image"), results], axis=1)
    usable = [index for index, line in enumerate(problems) if not line]
    remarks = Remarks(
        [line for line in problems if line],
        [line for line in results[NOTE] if line],
        sum(count for count, line in zip(results["outside"], problems, strict=True) if line),
    )
    return results.select(usable).select_columns(list(FEATURES)).cast(FEATURES), remarks


def _linked_files(rows: Dataset) -> bool:
    """Whether some images are not within the rows but in files that these name."""
    for chunk in rows.data.column("image").chunks:
        content, path = (pyarrow.compute.is_valid(chunk.field(name)) for name in ("bytes", "path"))
        if pyarrow.compute.any(pyarrow.compute.and_not(path, content)).as_py():
            return True
    return False


def _paths(rows: Dataset, folders: Sequence[Path]) -> list[Path]:
    return [path for index, row in enumerate(rows) if isinstance(path := _content(row, index, folders), Path)]


def _of_columns(
    row: dict[str, Any], index: int, folders: Sequence[Path], columns: Sequence[str], stamp: Any
) -> dict[str, Any]:
    result = _checked_row(row, index, folders)
    return {name: result[name] for name in columns}


def _checked_batch(
    batch: dict[str, list[Any]], indices: list[int], folders: Sequence[Path], keep: Keep | None
) -> dict[str, list[Any]]:
    rows = [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]
    results = [
        _checked_row(row, index, folders)
        for row, index in zip(rows, indices, strict=True)
        if keep is None or keep(_row_name(row, index))
    ]
    for line in summarise([line for result in results for line in (result[PROBLEM], result[NOTE]) if line]):
        logger.warning(line)
    return {name: [result[name] for result in results if not result[PROBLEM]] for name in FEATURES}


def _checked_row(row: dict[str, Any], index: int, folders: Sequence[Path]) -> dict[str, Any]:
    """A row of the schema, with what is wrong or unusual in it; what is wrong leaves the rest empty."""
    try:
        record = _record_of(row, index, folders)
        made, note = make_row(record)
    except (TypeError, ValueError) as error:
        reason = str(error) if isinstance(error, UnusableError) else f"{_row_name(row, index)}: {error}"
        outside = error.outside if isinstance(error, UnusableError) else 0
        return {**dict.fromkeys(CHECKED), "fixations": [], "observers": [], "outside": outside, PROBLEM: reason}
    made["outside"] += row.get("outside") or 0
    if record.saliency_map is not None:
        made["sigma"] = row.get("sigma")
    return {**made, PROBLEM: None, NOTE: note}


def _record_of(row: dict[str, Any], index: int, folders: Sequence[Path]) -> Record:
    name = _row_name(row, index)
    image = _content(row, index, folders)
    density = _content(row, index, folders, "saliency_map") if row.get("saliency_map") else None
    annotation = None
    if row.get("fixations") is not None:
        points = join_observers([row["fixations"]]).fixations
        observers = np.asarray(row.get("observers") or [], np.int32)
        if len(observers) not in (0, len(points)):
            raise ValueError(f"{len(points)} fixations need as many observers or none, got {len(observers)}")
        annotation = Points(points, observers)
    elif density is None:
        raise ValueError("it has neither fixations nor a saliency map")
    recording = check_recording(row.get("recording"))
    return Record(image, name, annotation, density, row.get("sigma"), recording, bool(row.get("log_density")))


def _content(row: dict[str, Any], index: int, folders: Sequence[Path], column: str = "image") -> Path | bytes:
    """An image or map of a row: what is in it, or the file that it names."""
    value = row.get(column) or {}
    if value.get("bytes") is not None:
        return value["bytes"]
    name = value.get("path") or (row.get("file_name") if column == "image" else None)
    if not name:
        return b""
    paths = [find_file(folder, name) for folder in folders] or [Path(name)]
    return next((path for path in paths if path.is_file()), paths[0])


def _row_name(row: dict[str, Any], index: int) -> str:
    return row.get("image_id") or row.get("file_name") or f"row {index}"
