"""The plan of a run: which rows go into which shard, and the manifest that keeps it for the next run."""

import hashlib
import io
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .batch import BatchPredictor
from .collection import Collection, Part, read_rows
from .storage import MANIFEST, OWN, Folder

FORMAT = "mlnet-shards-1"
INPUTS = f"{OWN}/inputs.parquet"
ROW = "input_row"  # column: number of the row in the whole collection, from 0
GROUP = 64  # rows of a row group, which are predicted as one batch
SAMPLE = 32  # rows by which the size of a shard is estimated
SHARD_BYTES = 500_000_000


class Shard(NamedTuple):
    """One file of the output.

    Args:
        name: Of the file.
        first_row: Number of its first row in the collection.
        parts: Where its rows come from, in their order.
    """

    name: str
    first_row: int
    parts: list[Part]

    @property
    def rows(self) -> int:
        """How many it has."""
        return sum(part.stop - part.start for part in self.parts)


@dataclass(frozen=True)
class Plan:
    """A collection divided into shards.

    Args:
        collection: The images.
        predictor: What predicts them.
        rows_per_shard: The last shard has what is left.
        size: What the number of rows was made from: `{"rows": N}` or `{"bytes": N}` of a shard.
    """

    collection: Collection
    predictor: BatchPredictor
    rows_per_shard: int
    size: dict[str, int]

    @cached_property
    def _ends(self) -> np.ndarray:
        return np.cumsum(self.collection.inputs["rows"].to_numpy())

    @property
    def rows(self) -> int:
        """Images of the collection."""
        return int(self._ends[-1]) if len(self._ends) else 0

    @property
    def count(self) -> int:
        """Of shards."""
        return -(-self.rows // self.rows_per_shard)

    def shard(self, index: int) -> Shard:
        """The shard of an index from 0, whose name says so: `part-00012-of-00200.parquet`."""
        start, stop = index * self.rows_per_shard, min((index + 1) * self.rows_per_shard, self.rows)
        first, last = np.searchsorted(self._ends, [start, stop - 1], side="right")
        uris, rows = (self.collection.inputs[name][first : last + 1].to_pylist() for name in ("uri", "rows"))
        parts, begin = [], int(self._ends[first]) - rows[0]
        for uri, length in zip(uris, rows, strict=True):
            low, high = max(start - begin, 0), min(stop - begin, length)
            if low < high:
                parts.append(Part(uri, low, high))
            begin += length
        return Shard(f"part-{index:05d}-of-{self.count:05d}.parquet", start, parts)

    @cached_property
    def inputs_file(self) -> bytes:
        """The list of inputs as a Parquet file."""
        content = io.BytesIO()
        pq.write_table(self.collection.inputs, content)
        return content.getvalue()

    def manifest(self) -> dict[str, Any]:
        """What the output depends on, in values of JSON."""
        return {
            "format": FORMAT,
            "inputs": len(self.collection.inputs),
            "inputs_sha256": hashlib.sha256(self.inputs_file).hexdigest(),
            "rows": self.rows,
            "shards": self.count,
            "rows_per_shard": self.rows_per_shard,
            "shard_size": self.size,
            "image_column": self.collection.image_column,
            "options": self.predictor.settings(),
        }


def output_columns(collection: Collection, predictor: BatchPredictor) -> pa.Schema:
    """The schema of the shards: the collection's columns without the images, `input_row`, and what is added.

    Types that `datasets` notes in a schema's metadata, such as names of classes, stay.

    Raises:
        ValueError: If the collection has a column of such a name.
    """
    given = collection.schema
    fields = [field for field in given if collection.is_files or field.name != collection.image_column]
    added = [pa.field(ROW, pa.int64()), *predictor.schema]
    if taken := [field.name for field in added if field.name in given.names]:
        raise ValueError(f"the collection has a column {taken[0]!r} already; give a prefix (--prefix)")
    schema = pa.schema([*(field.remove_metadata() for field in fields), *added])
    note = (given.metadata or {}).get(b"huggingface")
    if note is None:
        return schema
    from datasets import Features

    features = Features.from_arrow_schema(schema.with_metadata({b"huggingface": note}))
    return schema.with_metadata(features.arrow_schema.metadata)


def make_plan(
    collection: Collection,
    predictor: BatchPredictor,
    folder: Folder,
    shard_bytes: int = SHARD_BYTES,
    rows_per_shard: int | None = None,
) -> Plan:
    """Divides a collection into shards, or takes up the plan that a run wrote into the same folder.

    Every process of a run may do this: the same collection and options give the same plan, byte for byte.

    Args:
        collection: The images.
        predictor: What predicts them.
        folder: Of the output.
        shard_bytes: About how large a shard becomes, estimated by the first rows.
        rows_per_shard: In place of `shard_bytes`.

    Raises:
        ValueError: If the collection is empty, a number is below 1, or the folder has shards of other inputs or
            options, naming what differs.
    """
    for name, number in (("shard_bytes", shard_bytes), ("rows_per_shard", rows_per_shard)):
        if number is not None and number < 1:
            raise ValueError(f"{name} must be at least 1, got {number}")
    if not sum(collection.inputs["rows"].to_pylist()):
        raise ValueError("the collection is empty: no images in its inputs")
    size = {"bytes": shard_bytes} if rows_per_shard is None else {"rows": rows_per_shard}
    written = _read_manifest(folder)
    rows = rows_per_shard
    if rows is None:
        if written is not None and written.get("shard_size") == size:
            rows = int(written["rows_per_shard"])
        else:
            rows = _estimate(collection, predictor, shard_bytes)
    plan = Plan(collection, predictor, rows, size)
    manifest = plan.manifest()
    if written is None:
        folder.write(INPUTS, plan.inputs_file)
        folder.write(MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode())
    elif written != manifest:
        raise ValueError(f"{folder.uri}: {_difference(written, manifest)}; name a new output, or give what was given")
    return plan


def _read_manifest(folder: Folder) -> dict[str, Any] | None:
    """What an earlier run wrote; `None` in a folder that is new.

    Raises:
        ValueError: If it is damaged, or the folder has Parquet files without it.
    """
    content = folder.read(MANIFEST)
    if content is None:
        if any(name.endswith(".parquet") for name in folder.names()):
            raise ValueError(f"{folder.uri}: has Parquet files that no run of this command wrote; name a new output")
        return None
    try:
        manifest = json.loads(content)
        if manifest["format"] == FORMAT:
            return manifest
    except (ValueError, TypeError, KeyError):
        pass
    raise ValueError(f"{folder.uri}/{MANIFEST}: is damaged or of another version; name a new output")


def _difference(written: dict[str, Any], now: dict[str, Any]) -> str:
    """The first thing in which two manifests differ, in words."""
    before, after = {**written, **written["options"]}, {**now, **now["options"]}
    names = ["inputs_sha256", *now["options"], "image_column", "shard_size", "rows_per_shard"]
    name = next((name for name in names if before.get(name) != after.get(name)), "options")
    if name == "inputs_sha256":
        return f"was begun with other inputs ({before['inputs']} of {before['rows']} rows, now {after['rows']} rows)"
    return f"was begun with {name} {before.get(name)!r}, not {after.get(name)!r}"


def _estimate(collection: Collection, predictor: BatchPredictor, shard_bytes: int) -> int:
    """How many rows make a shard of about that size, by the first rows of the collection."""
    schema = output_columns(collection, predictor)
    first = Plan(collection, predictor, SAMPLE, {"rows": SAMPLE}).shard(0)
    [table] = read_rows(first.parts, collection, SAMPLE)
    content = io.BytesIO()
    pq.write_table(output_table(table, 0, collection, predictor, schema), content)
    return max(1, shard_bytes * len(table) // content.tell())


def output_table(
    table: pa.Table, first_row: int, collection: Collection, predictor: BatchPredictor, schema: pa.Schema
) -> pa.Table:
    """Rows of the collection as rows of the output.

    Args:
        table: Rows of the collection.
        first_row: Number of the first of them.
        collection: Of which only the image column and the kind of inputs are read.
        predictor: What predicts them.
        schema: Of `output_columns`.
    """
    table = predictor(table.append_column(ROW, pa.array(range(first_row, first_row + len(table)), pa.int64())))
    return table.select(schema.names).cast(schema)
