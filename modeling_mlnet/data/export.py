"""Writing a data set as Parquet, the form in which the Hub keeps, shows and streams it."""

import glob
import math
import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from datasets import Dataset, Image
from datasets.table import embed_table_storage
from transformers.utils import logging

from ..io.progress import Progress, no_progress
from .card import dataset_card
from .catalog import CATALOG
from .loading import find_data_set, list_images, load, split_spec, splits_of

logger = logging.get_logger(__name__)

SHARD_SIZE = 500_000_000  # bytes, as the Hub's own
BATCH = 100  # rows that are read, and later streamed, at a time


@dataclass
class Export:
    """What was written.

    Args:
        rows: Number of rows of each split.
        files: Number of Parquet files.
        warning: One line on what must not be done with them; `None` if there is nothing.
    """

    rows: dict[str, int]
    files: int
    warning: str | None


def export_parquet(
    spec: str,
    output: Path,
    split: str | None = None,
    annotations_only: bool = False,
    shard_size: int = SHARD_SIZE,
    progress: Progress = no_progress,
) -> Export:
    """Writes a data set as `data/SPLIT-00000-of-00001.parquet` with a dataset card, whole or not at all.

    `load(str(output))`, and `datasets.load_dataset` from the folder or the Hub, give the same rows.

    Args:
        spec: As in `load`.
        output: The folder to write; it must not exist or be empty.
        split: `None` writes every split that is there and has ground truth.
        annotations_only: Whether a column `file_name` stands for the images, relative to the data set's folder.
        shard_size: Bytes that a file holds about.
        progress: Wraps an iteration, `(iterable, description)`, to show a bar.

    Raises:
        ValueError: If the data set cannot be loaded or `output` is not empty.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ValueError(f"{output}: is there already; name a folder that is new or empty")
    kind, location = find_data_set(spec)
    known = CATALOG.get(kind)
    counts: dict[str, int] = {}
    files = 0
    with _whole_folder(output) as folder:
        for name in [split] if split else _exported_splits(spec):
            rows = load(spec, name, progress=progress)
            if annotations_only:
                rows = _name_images(rows, split_spec(spec)[1])
            counts[name or "train"] = len(rows)
            files += _write_split(rows, folder / "data", name or "train", shard_size, progress)
        title = known.title if known else location.name
        dataset_card(title, known, counts, rows.column_names).save(folder / "README.md")
    warning = None
    if known is not None and not annotations_only and not known.photos_are_free:
        warning = f"the photographs of {known.title} are inside ({known.photos}): keep the files to yourself"
    return Export(counts, files, warning)


def _exported_splits(spec: str) -> list[str | None]:
    """Those that are there; one that is not is named, for it may only be packed."""
    splits = splits_of(spec)
    known = CATALOG.get(split_spec(spec)[0])
    if known is None or not splits:
        return list(splits) or [None]
    exported: list[str | None] = []
    for split in splits:
        if split in known.without_truth:
            continue
        try:
            list_images(spec, split)
        except ValueError as error:
            logger.warning(f"{split} is left out: {error}")
        else:
            exported.append(split)
    return exported or [splits[0]]  # whose loading says what is missing


@contextmanager
def _whole_folder(output: Path) -> Iterator[Path]:
    """A temporary folder that becomes `output` if nothing fails; what killed exports left of theirs is removed.

    Raises:
        OSError: If it cannot be written; it names `output`.
    """
    output = output.absolute()
    ours = f".{output.name}.{platform.node()}"  # a disk may be shared
    temporary = output.with_name(f"{ours}.{os.getpid()}.tmp")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        for abandoned in output.parent.glob(f"{glob.escape(ours)}.*.tmp"):
            if not _is_running(abandoned.name.split(".")[-2]):
                shutil.rmtree(abandoned, ignore_errors=True)
        (temporary / "data").mkdir(parents=True)
        yield temporary
        if output.exists():
            output.rmdir()
        temporary.rename(output)
    except OSError as error:
        # of the data set, or of the cache
        if error.errno is None or not str(error.filename or temporary).startswith(str(temporary)):
            raise
        raise OSError(f"{output}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _is_running(number: str) -> bool:
    """Whether there is a process of that number; on Windows, where asking would end it, always."""
    if os.name == "nt" or not number.isdecimal():
        return True
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except (OverflowError, PermissionError):  # no number of a process, or another user's
        return True
    return True


def _name_images(rows: Dataset, directory: Path) -> Dataset:
    names = []
    for encoded in rows.cast_column("image", Image(decode=False))["image"]:
        if encoded["bytes"] is not None:
            raise ValueError(f"{directory}: its images are inside; export the annotations from the original folder")
        names.append(Path(os.path.relpath(encoded["path"], directory)).as_posix())
    order = ["file_name", *(name for name in rows.column_names if name != "image")]
    return rows.remove_columns("image").add_column("file_name", names).select_columns(order)


def _write_split(rows: Dataset, folder: Path, split: str, shard_size: int, progress: Progress) -> int:
    count = max(1, min(len(rows), math.ceil(_size(rows) / shard_size)))
    for index in progress(range(count), f"writing {split}"):
        shard = rows.shard(count, index, contiguous=True).with_format("arrow")
        # as `push_to_hub` does it: what lies in files goes into the table first
        embedded = shard.map(embed_table_storage, batched=True, batch_size=BATCH, keep_in_memory=True)
        path = folder / f"{split}-{index:05d}-of-{count:05d}.parquet"
        embedded.with_format(None).to_parquet(str(path), batch_size=BATCH)
    return count


def _size(rows: Dataset) -> int:
    """About how many bytes the rows take with the files they name."""
    size = rows.data.nbytes
    for name, feature in rows.features.items():
        if isinstance(feature, Image):
            column = rows.select_columns(name).cast_column(name, Image(decode=False))[name]
            size += sum(os.stat(file["path"]).st_size for file in column if file["bytes"] is None)
    return size
