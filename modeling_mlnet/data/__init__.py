"""Fixation data sets in one row schema: images, fixation densities and fixations."""

from .cache import to_dataset
from .catalog import CATALOG, DataSet
from .check import Check, check, check_drawing, draw_rows
from .export import export_parquet
from .loading import LISTERS, has_splits, load, scan, splits_of
from .maps import read_map
from .plausibility import Finding, find_implausible, images_of
from .schema import FEATURES, RECORDINGS, Record, Scan, fixation_density, is_held_out

__all__ = [
    "CATALOG",
    "FEATURES",
    "LISTERS",
    "RECORDINGS",
    "Check",
    "DataSet",
    "Finding",
    "Record",
    "Scan",
    "check",
    "check_drawing",
    "draw_rows",
    "export_parquet",
    "find_implausible",
    "fixation_density",
    "has_splits",
    "images_of",
    "is_held_out",
    "load",
    "read_map",
    "scan",
    "splits_of",
    "to_dataset",
]
