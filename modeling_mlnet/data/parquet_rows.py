"""Rows of Parquet as rows of the schema: every one is read as the files of a data set are."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow
import pyarrow.compute
from datasets import Dataset, Features, Image, IterableDataset, Value, concatenate_datasets
from transformers.utils import logging

from .cache import code_stamp
from .files import UnusableError, find_file
from .fixations import Points, file_stamp, join_observers
from .folder import check_recording
from .problems import Remarks, summarise
from .schema import FEATURES, Record, Row, make_row

logger = logging.get_logger(__name__)

BATCH = 100  # rows of a stream that are read at a time
PROBLEM, NOTE = "problem", "note"  # columns of problems and notes
CHECKED = Features({**FEATURES, PROBLEM: Value("string"), NOTE: Value("string")})

Rows: TypeAlias = Dataset | IterableDataset
Keep: TypeAlias = Callable[[str], bool]


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
    is_embedded = "image" in names and not _names_files(rows, "image")
    features = Features({name: kind for name, kind in CHECKED.items() if not (is_embedded and name == "image")})
    stamp = [code_stamp(), *map(file_stamp, _linked_files(rows, folders))]
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


def _names_files(rows: Dataset, column: str) -> bool:
    """Whether some images or maps are not within the rows but in files that these name."""
    if column not in rows.column_names:
        return column == "image"
    for chunk in rows.data.column(column).chunks:
        content, path = (pyarrow.compute.is_valid(chunk.field(name)) for name in ("bytes", "path"))
        if pyarrow.compute.any(pyarrow.compute.and_not(path, content)).as_py():
            return True
    return False


def _linked_files(rows: Dataset, folders: Sequence[Path]) -> list[Path]:
    """The files that rows name; rows that hold everything are not read for it."""
    columns = [column for column in ("image", "saliency_map") if _names_files(rows, column)]
    contents = [_content(row, folders, column) for row in (rows if columns else ()) for column in columns]
    return [content for content in contents if isinstance(content, Path)]


def _of_columns(row: Row, index: int, folders: Sequence[Path], columns: Sequence[str], stamp: Any) -> Row:
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


def _checked_row(row: Row, index: int, folders: Sequence[Path]) -> Row:
    """A row of the schema with its problems and notes; a row with a problem is otherwise empty."""
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


def _record_of(row: Row, index: int, folders: Sequence[Path]) -> Record:
    name = _row_name(row, index)
    image = _content(row, folders)
    density = _content(row, folders, "saliency_map") or None
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


def _content(row: Row, folders: Sequence[Path], column: str = "image") -> Path | bytes:
    """An image or map of a row: its bytes, or the file that it names; empty if it has neither."""
    value = row.get(column) or {}
    if value.get("bytes") is not None:
        return value["bytes"]
    name = value.get("path") or (row.get("file_name") if column == "image" else None)
    if not name:
        return b""
    paths = [find_file(folder, name) for folder in folders] or [Path(name)]
    return next((path for path in paths if path.is_file()), paths[0])


def _row_name(row: Row, index: int) -> str:
    return str(row.get("image_id") or row.get("file_name") or f"row {index}")
