"""Collections of images, Parquet files with a column of images or image files: a list of inputs with row counts."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from ..io.locations import PATTERN, file_system, is_uri
from .storage import MANIFEST

READERS = 16  # threads that read footers, which is waiting for a store
INPUTS = pa.schema([("uri", pa.string()), ("rows", pa.int64()), ("bytes", pa.int64()), ("sha256", pa.string())])
PATH = "path"  # column of image files
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")


class Part(NamedTuple):
    """Rows of one input, from `start` up to `stop`."""

    uri: str
    start: int
    stop: int


@dataclass(frozen=True)
class Collection:
    """Inputs in their order.

    Args:
        inputs: Rows of `INPUTS`: where an input is, how many images it has, its size in bytes, and for Parquet the
            SHA-256 of what its footer says. The last two are null for image files.
        schema: Of the rows.
        image_column: The column of images.
        is_files: Whether every input is an image file, whose path is the only column.
    """

    inputs: pa.Table
    schema: pa.Schema
    image_column: str
    is_files: bool = False


def image_files(paths: Iterable[str]) -> Collection:
    """A collection of image files.

    Args:
        paths: Local paths, URIs and http(s) addresses.
    """
    uris = list(paths)
    empty = [None] * len(uris)
    columns = {"uri": uris, "rows": [1] * len(uris), "bytes": empty, "sha256": empty}
    return Collection(pa.table(columns, INPUTS), pa.schema([(PATH, pa.string())]), PATH, is_files=True)


def parquet_files(dataset: str, image_column: str = "image", split: str | None = None) -> Collection:
    """A collection in Parquet files, with their footers read.

    Args:
        dataset: A data set on the Hub (`OWNER/NAME`, `OWNER/NAME@REVISION`), or a folder, a file or a pattern, local
            or at a URI of fsspec.
        image_column: The column of images.
        split: Needed where the data set on the Hub has several; of files, those with this word in their names.

    Raises:
        ValueError: If there are no Parquet files, one cannot be read or has other columns, or the image column is
            missing; it names the file.
    """
    is_hub = HUB_ID.fullmatch(dataset) and not os.path.exists(dataset) and not dataset.endswith(".parquet")
    uris = _on_hub(dataset, split) if is_hub else _in_folder(dataset, split)
    with ThreadPoolExecutor(READERS) as readers:
        footers = list(readers.map(_footer, uris))
    schema = footers[0][0]
    for uri, (columns, *_) in zip(uris, footers, strict=True):
        if not columns.equals(schema):
            raise ValueError(f"{uri}: its columns {columns.names} or their types differ from those of {uris[0]}")
    if image_column not in schema.names:
        raise ValueError(f"{uris[0]}: no column {image_column!r} (--image-column); it has {', '.join(schema.names)}")
    _, rows, sizes, digests = zip(*footers, strict=True)
    inputs = pa.table({"uri": uris, "rows": rows, "bytes": sizes, "sha256": digests}, INPUTS)
    return Collection(inputs, schema, image_column)


def read_rows(parts: Sequence[Part], collection: Collection, rows: int) -> Iterator[pa.Table]:
    """The rows of parts in their order, in tables of `rows` rows, the last with what is left.

    Args:
        parts: Of the collection's inputs.
        collection: Of which only the columns and the kind of inputs are read.
        rows: At least 1.

    Raises:
        ValueError: If an input has fewer rows than its part.
    """
    if collection.is_files:
        paths = [part.uri for part in parts]
        for start in range(0, len(paths), rows):
            yield pa.table({PATH: paths[start : start + rows]}, collection.schema)
        return
    pending: list[pa.Table] = []
    for part in parts:
        for table in _read_part(part, collection.schema.names, rows):
            pending.append(table)
            while sum(map(len, pending)) >= rows:
                joined = pa.concat_tables(pending)
                yield joined.slice(0, rows)
                pending = [joined.slice(rows)]
    if any(map(len, pending)):
        yield pa.concat_tables(pending)


def _read_part(part: Part, columns: list[str], rows: int) -> Iterator[pa.Table]:
    system, path = file_system(part.uri)
    with system.open(path, "rb") as file:
        parquet = pq.ParquetFile(file)
        if parquet.metadata.num_rows < part.stop:
            raise ValueError(f"{part.uri}: has {parquet.metadata.num_rows} rows, {part.stop} were planned; it changed")
        group_start = 0
        for number in range(parquet.num_row_groups):
            group_rows = parquet.metadata.row_group(number).num_rows
            if group_start < part.stop and group_start + group_rows > part.start:
                start = group_start
                for batch in parquet.iter_batches(rows, row_groups=[number], columns=columns):
                    low, high = max(part.start - start, 0), min(part.stop - start, batch.num_rows)
                    if low < high:
                        yield pa.Table.from_batches([batch.slice(low, high - low)])
                    start += batch.num_rows
            group_start += group_rows


def _footer(uri: str) -> tuple[pa.Schema, int, int, str]:
    """Columns, rows, bytes, and a digest of all that a Parquet file's footer says."""
    system, path = file_system(uri)
    try:
        with system.open(path, "rb") as file:
            parquet = pq.ParquetFile(file)
            metadata = parquet.metadata
        digest = hashlib.sha256(repr(metadata.to_dict()).encode()).hexdigest()
        return parquet.schema_arrow, metadata.num_rows, system.size(path), digest
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"{uri}: cannot be read as Parquet: {error}") from error


def _in_folder(dataset: str, split: str | None) -> list[str]:
    """Parquet files of a folder, with those below it, or of a pattern, sorted."""
    system, path = file_system(dataset)
    pattern = PATTERN.search(path)
    paths = system.glob(path) if pattern else system.find(path)  # a file finds itself
    top = pattern.start() if pattern else len(path)
    results = {
        name.removesuffix(MANIFEST) for name in paths if name[top:].count("/") > 2 and name.endswith(f"/{MANIFEST}")
    }
    paths = [
        name
        for name in paths
        if name.endswith(".parquet") and "/." not in name[top:] and not name.startswith(tuple(results))
    ]
    if split is not None:
        paths = [name for name in paths if re.search(rf"(^|[/_.-]){re.escape(split)}[/_.-]", name[top:])]
    if not paths:
        of_split = "" if split is None else f" of the split {split!r}"
        raise ValueError(f"{dataset}: no Parquet files{of_split} there; image files are given as PATH, not --dataset")
    return sorted(system.unstrip_protocol(name) if is_uri(dataset) else name for name in paths)


def _on_hub(dataset: str, split: str | None) -> list[str]:
    """URIs of a data set's Parquet files on the Hub, at the commit that its revision names now."""
    from datasets import load_dataset_builder

    name, _, revision = dataset.partition("@")
    try:
        files = load_dataset_builder(name, revision=revision or None).config.data_files or {}
    except Exception as error:  # of many kinds: no such data set, no network, no right
        raise ValueError(f"{dataset}: cannot be opened on the Hub: {error}") from error
    splits = [str(key) for key in files]
    if (split is None and len(splits) > 1) or (split is not None and split not in splits):
        raise ValueError(f"--split must be one of {', '.join(splits)} for {dataset}, got {split!r}")
    uris = [str(uri) for uri in files[split or splits[0]]] if splits else []
    if not uris or not all(uri.endswith(".parquet") for uri in uris):
        converted = f"hf://datasets/{name}@~parquet"
        raise ValueError(f"{dataset}: is not in Parquet files; the Hub's conversion is --dataset {converted}")
    return uris
