"""The columns that a batch of images gets, as values and as Arrow."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from ..analysis import Focus, Region, Spot
from ..analysis.documents import rounded

if TYPE_CHECKING:
    import pyarrow as pa

OUTPUTS = ("saliency_map", "spots", "effective_area", "regions")  # what may be asked for, in the columns' order
ERROR = "error"
MAP_FORMATS = ("png", "float16")


def spot_values(focus: Focus) -> list[dict[str, Any]]:
    """The spots of an image as dictionaries, numbers rounded to six decimals as in the documents of `analysis`."""
    return rounded([asdict(spot) for spot in focus.spots])


def region_values(regions: Sequence[Region]) -> list[dict[str, Any]]:
    """The regions of an image as dictionaries, rounded as `spot_values`."""
    return rounded([asdict(region) for region in regions])


def output_schema(outputs: Sequence[str], map_format: str, prefix: str = "") -> "pa.Schema":
    """The Arrow schema of the columns that are added.

    Args:
        outputs: Of `OUTPUTS`; `error` is always the last column.
        map_format: Of `MAP_FORMATS`: binary, or lists of rows of float16.
        prefix: Of every name.
    """
    import pyarrow as pa

    types = {
        "saliency_map": pa.binary() if map_format == "png" else pa.list_(pa.list_(pa.float16())),
        "spots": pa.list_(_struct(Spot)),
        "effective_area": pa.float64(),
        "regions": pa.list_(_struct(Region)),
        ERROR: pa.string(),
    }
    return pa.schema([(prefix + name, types[name]) for name in (*outputs, ERROR)])


def to_table(columns: Mapping[str, Sequence[Any]], schema: "pa.Schema") -> "pa.Table":
    """Columns of values as Arrow.

    Args:
        columns: By the schema's names, one value per row.
        schema: Of `output_schema`.
    """
    import pyarrow as pa

    arrays = []
    for field in schema:
        # pyarrow takes arrays of one dimension only: a map is the list of its rows
        values = [list(value) if isinstance(value, np.ndarray) else value for value in columns[field.name]]
        arrays.append(pa.array(values, field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def _struct(kind: type) -> "pa.DataType":
    import pyarrow as pa

    types: dict[Any, pa.DataType] = {int: pa.int64(), str: pa.string()}  # the others are numbers, or may be missing
    return pa.struct([(field.name, types.get(field.type, pa.float64())) for field in fields(kind)])
