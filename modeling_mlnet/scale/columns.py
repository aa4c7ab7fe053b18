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
INTEGERS = ("number", "rank")  # fields of spots and regions; the others are numbers or text
TEXTS = ("name", "where")


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
    """Columns of values as Arrow; maps of float16 are not copied value by value.

    Args:
        columns: By the schema's names, one value per row.
        schema: Of `output_schema`.
    """
    import pyarrow as pa

    halves = pa.list_(pa.list_(pa.float16()))
    arrays = [
        _nested(columns[field.name]) if field.type == halves else pa.array(columns[field.name], field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _struct(kind: type) -> "pa.DataType":
    import pyarrow as pa

    def arrow_type(name: str) -> pa.DataType:
        return pa.int64() if name in INTEGERS else pa.string() if name in TEXTS else pa.float64()

    return pa.struct([(field.name, arrow_type(field.name)) for field in fields(kind)])


def _nested(maps: Sequence[np.ndarray | None]) -> "pa.Array":
    """Maps `(height, width)`, `None` among them, as lists of rows."""
    import pyarrow as pa

    present = [values for values in maps if values is not None]
    flat = np.concatenate([values.ravel() for values in present] or [np.zeros(0)]).astype(np.float16)
    widths = [values.shape[1] for values in present for _ in range(values.shape[0])]
    rows = pa.ListArray.from_arrays(_offsets(widths), pa.array(flat))
    heights = [0 if values is None else values.shape[0] for values in maps]
    is_missing = pa.array([values is None for values in maps], pa.bool_())
    return pa.ListArray.from_arrays(_offsets(heights), rows, mask=is_missing)


def _offsets(lengths: Sequence[int]) -> "pa.Array":
    import pyarrow as pa

    return pa.array(np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int32))
