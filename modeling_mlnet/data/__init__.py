"""Fixation data sets in one row schema: `image`, `saliency_map`, `fixations`, `image_id`."""

from pathlib import Path

from datasets import Dataset

from .folder import scan_folder
from .osie import scan_osie
from .salicon import scan_salicon
from .schema import FEATURES, Record, Scan, fixation_density, is_held_out, to_dataset

SCANNERS = {"folder": scan_folder, "osie": scan_osie, "salicon": scan_salicon}


def has_splits(spec: str) -> bool:
    """Whether the data set comes with official splits."""
    return spec.startswith("salicon:")


def scan(spec: str, split: str | None = None) -> Scan:
    """Looks through a data set without loading it.

    Args:
        spec: `NAME:DIR` with a name of `SCANNERS`, or the path of a folder with `metadata.jsonl`.
        split: `train` or `validation` where the data set has official splits; `None` means the first.

    Raises:
        ValueError: If the name, the folder or the split does not exist.
    """
    name, separator, directory = spec.partition(":")
    if not separator or name not in SCANNERS:
        if separator and not Path(spec).exists():
            raise ValueError(f"{spec}: unknown data set {name!r}; known are {sorted(SCANNERS)}")
        name, directory = "folder", spec
    path = Path(directory).expanduser()
    if not path.is_dir():
        raise ValueError(f"{path}: no such folder")
    if split is None:
        return SCANNERS[name](path)
    if not has_splits(spec):
        raise ValueError(f"{name} has no official splits, got split {split!r}")
    return scan_salicon(path, split)


def load(spec: str, split: str | None = None, held_out: float | None = None) -> Dataset:
    """Loads a data set as rows of the schema.

    Files that are missing or damaged are named in a warning each and left out.

    Args:
        spec: As in `scan`.
        split: As in `scan`.
        held_out: Keeps only the fraction for which `is_held_out` holds.

    Raises:
        ValueError: If it does not exist or nothing in it can be used.
    """
    rows = to_dataset(scan(spec, split), spec)
    if held_out is None:
        return rows
    rows = rows.select([index for index, name in enumerate(rows["image_id"]) if is_held_out(name, held_out)])
    if not len(rows):
        raise ValueError(f"{spec}: held_out={held_out} leaves no picture")
    return rows


__all__ = [
    "FEATURES",
    "SCANNERS",
    "Record",
    "Scan",
    "fixation_density",
    "has_splits",
    "is_held_out",
    "load",
    "scan",
    "to_dataset",
]
