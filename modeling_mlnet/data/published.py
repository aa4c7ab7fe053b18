"""Data sets in Parquet, from a folder or from the Hub: `mlnet data export`'s and others with the same columns."""

import glob
import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet
from datasets import get_dataset_split_names, load_dataset
from datasets.exceptions import DatasetGenerationError

from .folder import SPLIT_FOLDERS
from .parquet_rows import BATCH, Keep, Rows, as_rows
from .problems import Remarks

SHARD = re.compile(r"(\w+)-(\d{5})-of-(\d{5})\.parquet")
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
DEPTH = 3  # folders that are searched for Parquet files: `data/`, `train/`, and the Hub's `default/train/`


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
    """Rows of the schema from a folder of Parquet files, with problems and notes.

    Args:
        split: `None` takes `train`, or the first one.
        streaming: Whether rows are read while they are iterated; each file is a shard.
        images: The folder that names of image files are relative to; `None` takes `directory`.
        keep: Image ids to keep; `None` keeps all.

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
    """Why files cannot be read together: a damaged file, a full disk, or different columns."""
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
