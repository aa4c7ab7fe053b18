"""From the name of a data set to its rows."""

from collections.abc import Callable
from functools import partial
from os import PathLike
from pathlib import Path

from ..io.progress import Progress, no_progress
from .cache import to_dataset, to_stream
from .cat2000 import list_cat2000
from .catalog import CATALOG
from .files import UnusableError
from .folder import METADATA, TABLE, list_folder
from .layouts import ARCHIVES, find_root, unpack_command
from .mit1003 import list_mit1003
from .osie import list_osie
from .published import HUB_ID, Keep, Rows, hub_splits, load_hub, load_parquet, parquet_files, pick_split
from .salicon import list_salicon
from .schema import Scan, is_held_out, read_record
from .toronto import list_toronto

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


def locate(spec: str) -> tuple[str, Path]:
    """What a specification means.

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
    if not path.is_dir():
        if HUB_ID.fullmatch(spec):
            return "hub", path
        raise ValueError(f"{path}: " + ("is a file; give its folder" if path.is_file() else "no such folder"))
    path = path.absolute()  # rows name their files, and may be read from the cache in another folder
    if name != "folder":
        return name, find_root(name, path)
    is_listed = any((path / index).is_file() for index in (METADATA, TABLE))
    return ("folder" if is_listed or not parquet_files(path) else "parquet"), path


def splits_of(spec: str) -> list[str]:
    """The splits of a data set: the official ones, or those that were exported; none if all images are one set.

    Raises:
        ValueError: As `locate`, except that a `NAME:DIR` is not looked at.
    """
    name = spec.partition(":")[0]
    if name in CATALOG:
        return list(CATALOG[name].splits)
    kind, place = locate(spec)
    if kind == "hub":
        return hub_splits(place.as_posix())
    return list(parquet_files(place)) if kind == "parquet" else []


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
    kind, directory = locate(spec)
    if kind not in LISTERS:
        raise ValueError(f"{spec}: is a data set in Parquet; it has no files to look through")
    splits = list(CATALOG[kind].splits) if kind in CATALOG else []
    if split is not None and not splits:
        raise ValueError(f"{kind} has no official splits, got split {split!r}")
    if not splits:
        return LISTERS[kind](directory)
    return LISTERS[kind](directory, pick_split(splits, split, CATALOG[kind].title), progress)


def scan(spec: str, split: str | None = None, progress: Progress = no_progress) -> Scan:
    """Looks through a data set: opens every file, and sorts out what is missing or damaged.

    Args:
        spec: `NAME:DIR` with a name of `LISTERS`, or a folder with `metadata.jsonl` or `fixations.csv`.
        split: `train`, `validation` or `test` where the data set has official splits; `None` means the first.
        progress: Wraps an iteration, `(iterable, description)`, to show a bar.

    Raises:
        ValueError: If the name, the folder or the split does not exist.
    """
    listed = list_images(spec, split, progress)
    found = Scan(problems=listed.problems, unmatched=listed.unmatched)
    for record in progress(listed.records, "checking images and fixations"):
        try:
            read_record(record)
        except UnusableError as error:
            found.problems.append(str(error))
        else:
            found.records.append(record)
    return found


def load(
    spec: str,
    split: str | None = None,
    held_out: float | None = None,
    streaming: bool = False,
    images: str | PathLike | None = None,
    progress: Progress = no_progress,
) -> Rows:
    """Loads a data set as rows of the schema.

    Files that are missing or damaged are named in a warning each and left out. Rows are kept in the cache of
    `datasets` and found there again until one of the files they were made from changes.

    Args:
        spec: As in `locate`.
        split: As in `scan`.
        held_out: Keeps only the fraction for which `is_held_out` holds.
        streaming: Gives an `IterableDataset`, whose rows are made while they are iterated and nothing is kept.
        images: The folder of the images, for an annotation-only export.
        progress: As in `scan`.

    Raises:
        ValueError: If it does not exist, has no ground truth, or nothing in it can be used.
    """
    kind, place = locate(spec)
    if kind in LISTERS and images is not None:
        raise ValueError(f"{spec}: brings its images; images is for an annotation-only export")
    keep = None if held_out is None else partial(is_held_out, fraction=held_out)
    if kind in LISTERS:
        rows = _load_files(spec, split, keep, streaming, progress)
    else:
        images = None if images is None else Path(images).expanduser()
        if kind == "parquet":
            rows = load_parquet(place, split, streaming, images, keep)
        else:
            rows = load_hub(place.as_posix(), split, streaming, images, keep)
    if not streaming and not len(rows):
        raise ValueError(f"{spec}: held_out={held_out} leaves no image")
    return rows


def _load_files(spec: str, split: str | None, keep: Keep | None, streaming: bool, progress: Progress) -> Rows:
    known = CATALOG.get(spec.partition(":")[0])
    if known is not None and split in known.without_truth:
        raise ValueError(
            f"{spec}: {known.title}'s {split} split has no ground truth; nothing can be learned or scored"
        )
    found = list_images(spec, split, progress)
    if not streaming:
        rows = to_dataset(found, spec, progress)
        if keep is None:
            return rows
        return rows.select([index for index, name in enumerate(rows["image_id"]) if keep(name)])
    if keep is not None:
        found.records = [record for record in found.records if keep(record.image_id)]
    return to_stream(found, spec)
