"""Data sets in Parquet, as `mlnet data export` writes them: from a folder or from the Hub."""

import glob
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow.parquet  # type: ignore[import-untyped]
from datasets import Dataset, Image, IterableDataset, get_dataset_split_names, load_dataset
from datasets.exceptions import DatasetGenerationError
from transformers.utils import logging

from .schema import FEATURES

logger = logging.get_logger(__name__)

SHARD = re.compile(r"(\w+)-(\d{5})-of-(\d{5})\.parquet")
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
ENCODED = ("image", "saliency_map")  # columns that need not be decoded to tell rows apart

Rows: TypeAlias = Dataset | IterableDataset
Keep: TypeAlias = Callable[[str], bool]


def parquet_files(directory: Path) -> dict[str, list[Path]]:
    """The shards of each split in a folder or its subfolder `data`; empty if there are none.

    Raises:
        ValueError: If a shard is missing.
    """
    splits: dict[str, dict[int, Path]] = {}
    for path in sorted([*directory.glob("*.parquet"), *directory.glob("data/*.parquet")]):
        if match := SHARD.fullmatch(path.name):
            split, index, count = match[1], int(match[2]), int(match[3])
            splits.setdefault(split, {})[index] = path
            for other in range(count):
                neighbour = path.with_name(f"{split}-{other:05d}-of-{count:05d}.parquet")
                if not neighbour.is_file():
                    raise ValueError(f"{neighbour}: is missing; {split} has {count} files")
    return {split: list(shards.values()) for split, shards in splits.items()}


def load_parquet(directory: Path, split: str | None, streaming: bool, images: Path | None, keep: Keep | None) -> Rows:
    """Rows of the schema from a folder of Parquet files.

    Args:
        split: `None` takes `train`, or the first one.
        streaming: Whether rows are read while they are iterated; each file is a shard.
        images: The folder that the file names of an annotation-only export are relative to; `None` takes `directory`.
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
    return as_rows(rows, str(directory), images or directory, keep)


def _why_unread(paths: list[Path], error: Exception) -> Exception:
    """What keeps some files from being read together: a damaged one, no room for their rows, or different columns."""
    for path in paths:
        try:
            for _ in pyarrow.parquet.ParquetFile(path).iter_batches(batch_size=100):
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


def load_hub(name: str, split: str | None, streaming: bool, images: Path | None, keep: Keep | None) -> Rows:
    """Rows of the schema from a data set on the Hub; arguments and errors as for `load_parquet`."""
    picked = pick_split(hub_splits(name), split, name)
    try:
        rows = load_dataset(name, split=picked, streaming=streaming)
    except Exception as error:
        raise ValueError(f"{name}: cannot be loaded from the Hub: {' '.join(str(error).split())}") from error
    return as_rows(rows, name, images, keep)


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


def as_rows(rows: Rows, source: str, images: Path | None, keep: Keep | None) -> Rows:
    """Rows with exactly the columns of the schema, those for whose image id `keep` holds.

    Raises:
        ValueError: If a column is missing or of another kind, or a column `file_name` stands for the images and
            they are not there.
    """
    is_linked = "image" not in rows.column_names and "file_name" in rows.column_names
    missing = [name for name in FEATURES if name not in rows.column_names and not (is_linked and name == "image")]
    if missing:
        raise ValueError(f"{source}: has no column {missing[0]!r}; those of `mlnet data export` are {list(FEATURES)}")
    if is_linked and images is None:
        raise ValueError(f"{source}: holds annotations only; give the folder of its images with images=DIR")
    linked = images if is_linked else None
    if isinstance(rows, IterableDataset):
        return _select_streamed(rows, linked, keep)
    if keep is not None:
        rows = rows.select([index for index, name in enumerate(rows["image_id"]) if keep(name)])
    if linked is not None:
        rows = _link_images(rows, source, linked)
    rows = rows.select_columns(list(FEATURES))
    try:
        return rows if rows.features == FEATURES else rows.cast(FEATURES)
    except (TypeError, ValueError, pyarrow.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{source}: its columns are not those of `mlnet data export`: {reason}") from error


def _link_images(rows: Dataset, source: str, images: Path) -> Dataset:
    paths = [images / name for name in rows["file_name"]]
    there = [index for index, path in enumerate(paths) if path.is_file()]
    if paths and not there:
        raise ValueError(
            f"{source}: holds annotations only, and {paths[0]}, the first of its images, is not there; give their "
            f"folder with images=DIR, or link them there"
        )
    for path in set(paths) - {paths[index] for index in there}:
        logger.warning(f"{path}: image is missing")
    return rows.select(there).add_column("image", [str(paths[index]) for index in there])


def _select_streamed(rows: IterableDataset, images: Path | None, keep: Keep | None) -> IterableDataset:
    if images is None and keep is None:
        return rows.select_columns(list(FEATURES))
    for name in set(ENCODED) & set(rows.column_names):
        rows = rows.cast_column(name, Image(decode=False))  # nothing is decoded to tell rows apart
    select = partial(_select_batch, images=images, keep=keep)
    others = [name for name in rows.column_names if name not in FEATURES]
    return rows.map(select, batched=True, batch_size=100, remove_columns=others).cast(FEATURES)


def _select_batch(batch: dict[str, list[Any]], images: Path | None, keep: Keep | None) -> dict[str, list[Any]]:
    kept = [keep is None or keep(name) for name in batch["image_id"]]
    if images is not None:
        paths = [images / name for name in batch["file_name"]]
        for index, path in enumerate(paths):
            if kept[index] and not path.is_file():
                logger.warning(f"{path}: image is missing")
                kept[index] = False
        batch = {**batch, "image": [{"path": str(path), "bytes": None} for path in paths]}
    return {name: [value for value, one in zip(batch[name], kept, strict=True) if one] for name in FEATURES}
