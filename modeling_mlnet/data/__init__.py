"""Fixation data sets in one row schema: `image`, `saliency_map`, `fixations`, `image_id`, `observers`, `sigma`."""

from .cache import to_dataset
from .catalog import CATALOG, DataSet
from .check import Check, check, check_drawing, draw_rows
from .export import export_parquet
from .loading import LISTERS, has_splits, load, scan, splits_of
from .schema import FEATURES, Record, Scan, fixation_density, is_held_out

__all__ = [
    "CATALOG",
    "FEATURES",
    "LISTERS",
    "Check",
    "DataSet",
    "Record",
    "Scan",
    "check",
    "check_drawing",
    "draw_rows",
    "export_parquet",
    "fixation_density",
    "has_splits",
    "is_held_out",
    "load",
    "scan",
    "splits_of",
    "to_dataset",
]
