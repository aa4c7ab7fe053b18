"""From the name of a data set to its rows."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from os import PathLike, fspath
from pathlib import Path

from datasets import IterableDataset
from transformers.utils import logging

from ..io.progress import Progress, no_progress
from .cache import nothing_usable, to_dataset, to_stream
from .cat2000 import list_cat2000
from .catalog import CATALOG
from .files import UnusableError
from .folder import find_list, list_folder, split_folders
from .layouts import ARCHIVES, find_root, unpack_command
from .mit1003 import list_mit1003
from .osie import list_osie
from .parquet_rows import Keep, Rows
from .plausibility import ImageFixations, images_of, require_plausible, sample_indices
from .problems import Remarks
from .published import HUB_ID, hub_splits, load_hub, load_parquet, parquet_files, pick_split
from .salicon import list_salicon
from .schema import Record, Scan, is_held_out, open_record
from .toronto import list_toronto

logger = logging.get_logger(__name__)

STREAM_SAMPLE = 50  # images of a stream whose fixations are looked at before it begins
# Suffixes that no data set on the Hub has
FILE_SUFFIXES = frozenset([".csv", ".json", ".jsonl", ".parquet", ".tsv", ".txt", ".xlsx", *ARCHIVES])

LISTERS: dict[str, Callable[..., Scan]] = {
    "cat2000": list_cat2000,
    "folder": list_folder,
    "mit1003": list_mit1003,
    "osie": list_osie,
    "salicon": list_salicon,
    "toronto": list_toronto,
}


def split_spec(spec: str) -> tuple[str, Path]:
    """The name of a data set, `folder` where none is given, and the folder as it was given.

    Raises:
        ValueError: If the name is not known.
    """
    name, separator, rest = spec.partition(":")
    if separator and name in LISTERS:
        return name, Path(rest).expanduser()
    if separator and not Path(spec).exists():
        raise ValueError(f"{spec}: unknown data set {name!r}; known are {sorted(LISTERS)}")
    return "folder", Path(spec).expanduser()


def find_data_set(spec: str) -> tuple[str, Path]:
    """A parsed specification of a data set.

    Args:
        spec: `NAME:DIR` with a name of `LISTERS`; a folder with `metadata.jsonl`, `fixations.csv` or exported Parquet
            files; or, if no such folder exists, a data set of the Hub, `OWNER/NAME`.

    Returns:
        A name of `LISTERS`, `parquet` or `hub`, and the folder in which the data set begins or its name on the Hub.

    Raises:
        ValueError: If the name or the folder does not exist, or the data set is packed or elsewhere in the folder.
    """
    name, path = split_spec(spec)
    if path.is_file() and path.suffix.lower() in ARCHIVES:
        command = unpack_command(path, path.parent, path.stem)
        raise ValueError(f"{path}: is packed; unpack it and give the folder: {command}")
    if path.is_file():
        raise ValueError(f"{path}: is a file; give its folder, {path.parent}")
    if not path.is_dir():
        if HUB_ID.fullmatch(spec) and path.suffix.lower() not in FILE_SUFFIXES:
            return "hub", path
        raise ValueError(f"{path}: no such folder{_nearest_folder(path)}")
    path = path.absolute()  # rows name their files, and may be read from the cache in another folder
    if name != "folder":
        return name, find_root(name, path)
    is_listed = find_list(path) or split_folders(path)
    return ("folder" if is_listed or not parquet_files(path) else "parquet"), path


def _nearest_folder(path: Path) -> str:
    """A hint at the last existing folder of a path with several parts."""
    there = next((folder for folder in path.absolute().parents if folder.is_dir()), None)
    return f"; {there} is there" if there is not None and len(path.parts) > 1 else ""


def splits_of(spec: str) -> list[str]:
    """The splits of a data set: the official ones, or those that were exported; none if all images are one set.

    Raises:
        ValueError: As `find_data_set`, except that a `NAME:DIR` is not looked at.
    """
    name = spec.partition(":")[0]
    if name in CATALOG:
        return list(CATALOG[name].splits)
    kind, location = find_data_set(spec)
    if kind == "hub":
        return hub_splits(location.as_posix())
    if kind == "folder":
        return [] if find_list(location) else list(split_folders(location))
    return list(parquet_files(location)) if kind == "parquet" else []


def has_splits(spec: str) -> bool:
    """Whether the data set comes with several splits."""
    return len(splits_of(spec)) > 1


def list_images(spec: str, split: str | None = None, progress: Progress = no_progress) -> Scan:
    """Lists a data set's images without opening them.

    Args:
        spec: As in `scan`.
        split: As in `scan`.
        progress: As in `scan`, where a large file has to be looked through for the list.

    Raises:
        ValueError: If it does not exist, has no such split, or is not kept in single files.
    """
    kind, directory = find_data_set(spec)
    if kind not in LISTERS:
        raise ValueError(f"{spec}: is a data set in Parquet; it has no files to look through")
    if kind == "folder":
        return list_folder(_split_folder(directory, split))
    known = CATALOG[kind]
    if split is not None and not known.splits:
        raise ValueError(f"{kind} has no official splits, got split {split!r}")
    if known.splits:
        listed = LISTERS[kind](directory, pick_split(list(known.splits), split, known.title), progress)
    else:
        listed = LISTERS[kind](directory)
    listed.records = [replace(record, sigma=known.sigma, recording=known.recording) for record in listed.records]
    return listed


def _split_folder(directory: Path, split: str | None) -> Path:
    """Folder with the list of images: the folder itself, or that of a split."""
    folders = {} if find_list(directory) else split_folders(directory)
    if folders:
        return folders[pick_split(list(folders), split, str(directory))]
    if split is not None:
        raise ValueError(f"{directory}: has no folders of splits, got split {split!r}")
    return directory


def scan(spec: str, split: str | None = None, progress: Progress = no_progress) -> Scan:
    """Scans a data set: opens every file and skips images with missing or damaged ones.

    Args:
        spec: `NAME:DIR` with a name of `LISTERS`, or a folder with `metadata.jsonl` or `fixations.csv`.
        split: `train`, `validation` or `test` where the data set has official splits; `None` means the first.
        progress: Wraps an iteration, `(iterable, description)`, to show a bar.

    Raises:
        ValueError: If the name, the folder or the split does not exist.
    """
    listed = list_images(spec, split, progress)
    usable = Scan(problems=listed.problems, unmatched=listed.unmatched)
    for record in progress(listed.records, "checking images and fixations"):
        try:
            open_record(record)
        except UnusableError as error:
            usable.problems.append(str(error))
        else:
            usable.records.append(record)
    return usable


def load(
    spec: str | PathLike,
    split: str | None = None,
    held_out: float | None = None,
    streaming: bool = False,
    images: str | PathLike | None = None,
    progress: Progress = no_progress,
    check_plausibility: bool = True,
) -> Rows:
    """Loads a data set as rows of the schema.

    Files that are missing or damaged are named in warnings and left out. Rows are kept in the cache of
    `datasets` and found there again until one of the files they were made from changes.

    Args:
        spec: As in `find_data_set`.
        split: As in `scan`.
        held_out: Keeps only the fraction for which `is_held_out` holds.
        streaming: Gives an `IterableDataset`, whose rows are made while they are iterated and nothing is kept.
        images: The folder of the images, for an annotation-only export.
        progress: As in `scan`.
        check_plausibility: Whether fixations that cannot be right are refused, and others that are unusual named in
            a warning (see `plausibility`).

    Raises:
        ValueError: If it does not exist, has no ground truth, nothing in it can be used, or its fixations cannot be
            right.
    """
    spec = fspath(spec)
    if images is not None and find_data_set(spec)[0] in LISTERS:
        raise ValueError(f"{spec}: brings its images; images is for an annotation-only export")
    if held_out is not None and not 0 <= held_out <= 1:
        raise ValueError(f"held_out must lie in 0..1, got {held_out}")
    keep = None if held_out is None else partial(is_held_out, fraction=held_out)
    rows, remarks = load_rows(spec, split, keep, streaming, images, progress)
    for line in remarks.lines():
        logger.warning(line)
    if isinstance(rows, IterableDataset):
        return rows
    if not len(rows):
        if held_out is not None and not remarks.problems:
            raise ValueError(f"{spec}: held_out={held_out} leaves no image")
        raise nothing_usable(spec, remarks.problems)
    if check_plausibility:
        images_looked_at = images_of(rows)
        require_plausible(images_looked_at, spec, remarks.outside * len(images_looked_at) // len(rows))
    return rows


def load_rows(
    spec: str,
    split: str | None = None,
    keep: Keep | None = None,
    streaming: bool = False,
    images: str | PathLike | None = None,
    progress: Progress = no_progress,
) -> tuple[Rows, Remarks]:
    """The rows of a data set, possibly none, with problems and notes; arguments and errors as for `load`."""
    kind, location = find_data_set(spec)
    if kind in LISTERS:
        return _load_files(spec, split, keep, streaming, progress)
    image_folder = None if images is None else Path(images).expanduser()
    if kind == "parquet":
        return load_parquet(location, split, streaming, image_folder, keep)
    return load_hub(location.as_posix(), split, streaming, image_folder, keep)


def _load_files(
    spec: str, split: str | None, keep: Keep | None, streaming: bool, progress: Progress
) -> tuple[Rows, Remarks]:
    known = CATALOG.get(spec.partition(":")[0])
    if known is not None and split in known.without_truth:
        raise ValueError(
            f"{spec}: {known.title}'s {split} split has no ground truth; nothing can be learned or scored"
        )
    listed = list_images(spec, split, progress)
    if not streaming:
        rows, remarks = to_dataset(listed, spec, progress)
        if keep is not None:
            rows = rows.select([index for index, name in enumerate(rows["image_id"]) if keep(name)])
        return rows, remarks
    if keep is not None:
        listed.records = [record for record in listed.records if keep(record.image_id)]
    stream = to_stream(listed, spec)
    require_plausible(list(_sampled(listed.records)), spec)
    return stream, Remarks()


def _sampled(records: Sequence[Record]) -> Iterator[ImageFixations]:
    for index in sample_indices(len(records), STREAM_SAMPLE):
        with suppress(UnusableError):  # the stream names it when it comes to it
            content = open_record(records[index])
            yield ImageFixations(content.size, content.points.fixations, content.points.outside, content.density)
