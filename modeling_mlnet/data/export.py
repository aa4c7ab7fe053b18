"""Writing a data set as Parquet, the form in which the Hub keeps, shows and streams it."""

import math
import os
from dataclasses import dataclass
from pathlib import Path

from datasets import Dataset, Image
from datasets.table import embed_table_storage
from transformers.utils import logging

from ..io.atomic import require_new_folder, whole_folder
from ..io.progress import Progress, no_progress
from .card import dataset_card
from .catalog import CATALOG
from .loading import find_data_set, list_images, load, split_spec, splits_of

logger = logging.get_logger(__name__)

SHARD_SIZE = 500_000_000  # bytes, as the Hub's own
BATCH = 100  # rows that are read, and later streamed, at a time


@dataclass
class Export:
    """Summary of an export.

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
    require_new_folder(output)
    kind, location = find_data_set(spec)
    known = CATALOG.get(kind)
    counts: dict[str, int] = {}
    files = 0
    with whole_folder(output) as folder:
        (folder / "data").mkdir()
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
    """The splits that exist; a missing one is reported, as it may only be packed."""
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
