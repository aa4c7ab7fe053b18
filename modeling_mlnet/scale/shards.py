"""Shards: predicted, written whole, recorded, and checked against their record."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from .batch import BatchPredictor
from .collection import Collection, read_rows
from .plan import GROUP, Plan, Shard, output_columns, output_table
from .storage import OWN, Folder

RECORDS = f"{OWN}/shards"


@dataclass(frozen=True)
class Record:
    """What was written of a shard.

    Args:
        rows: All of them.
        errors: Rows with an error.
        bytes: Of the file.
        sha256: Of the file.
    """

    rows: int
    errors: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Outcome:
    """What became of a shard.

    Args:
        name: Of the shard.
        status: `"written"`, `"there"` (whole already), `"redone"` (it was damaged), or `"failed"`.
        record: Of the shard; `None` if it failed.
        problem: Why it failed, in one line.
    """

    name: str
    status: str
    record: Record | None = None
    problem: str | None = None


class ShardWriter:
    """Makes the shards of a plan, each by itself; may be pickled and run in any number of processes.

    A shard is written whole first, and then its record, so that one with a record is complete. The same shard has the
    same bytes whoever writes it, on the same kind of processor with the same versions of the libraries.

    Args:
        plan: Of the run.
        folder: For the shards.
    """

    def __init__(self, plan: Plan, folder: Folder):
        self.folder = folder
        self.predictor: BatchPredictor = plan.predictor
        self.schema = output_columns(plan.collection, plan.predictor)
        # what a shard needs of the inputs comes with it
        self.collection: Collection = replace(plan.collection, inputs=plan.collection.inputs.slice(0, 0))

    def ensure(self, shard: Shard, on_rows: Callable[[int], None]) -> Outcome:
        """Leaves a shard that is whole, and writes one that is missing or damaged.

        Args:
            shard: Of the plan.
            on_rows: Called with the number of rows that are done, again and again.

        Raises:
            OSError: If it cannot be written.
            ValueError: If an input cannot be read or changed since it was planned.
        """
        record = self.read_record(shard)
        if record is not None and self.is_whole(shard, record):
            on_rows(record.rows)
            return Outcome(shard.name, "there", record)
        was_there = self.folder.size(shard.name) is not None
        self.folder.remove(self._record_name(shard))  # a record means that nobody writes the shard any more
        record = self.write(shard, on_rows)
        return Outcome(shard.name, "redone" if was_there else "written", record)

    def read_record(self, shard: Shard) -> Record | None:
        """The record of a shard; `None` if there is none that can be read."""
        try:
            return Record(**json.loads(self.folder.read(self._record_name(shard)) or b"{}"))
        except (ValueError, TypeError):
            return None

    def is_whole(self, shard: Shard, record: Record) -> bool:
        """Whether a shard's file is what its record says: rows, size and content."""
        size = self.folder.size(shard.name)
        return (record.rows, record.bytes) == (shard.rows, size) and self.folder.sha256(shard.name) == record.sha256

    def write(self, shard: Shard, on_rows: Callable[[int], None]) -> Record:
        """Predicts and writes a shard and its record, as `ensure`."""
        rows = errors = 0
        with self.folder.whole_file(shard.name) as file:
            sink = _Sink(file)
            with pq.ParquetWriter(sink, self.schema) as writer:
                for table in read_rows(shard.parts, self.collection, GROUP):
                    start = shard.first_row + rows
                    done = output_table(table, start, self.collection, self.predictor, self.schema)
                    writer.write_table(done, row_group_size=GROUP)
                    rows += len(done)
                    errors += len(done) - done[self.predictor.names[-1]].null_count
                    on_rows(len(done))
            if rows != shard.rows:
                raise ValueError(f"{shard.name}: its inputs have {rows} rows, {shard.rows} were planned; they changed")
        record = Record(rows, errors, sink.size, sink.digest.hexdigest())
        self.folder.write(self._record_name(shard), (json.dumps(asdict(record)) + "\n").encode())
        return record

    @staticmethod
    def _record_name(shard: Shard) -> str:
        return f"{RECORDS}/{shard.name.removesuffix('.parquet')}.json"


class _Sink:
    """A file to which pyarrow writes, with the size and SHA-256 of what was written."""

    closed = False

    def __init__(self, file: IO[bytes]):
        self._file, self.size, self.digest = file, 0, hashlib.sha256()

    def write(self, content: bytes | memoryview | pa.Buffer) -> int:
        view = memoryview(content)
        self.digest.update(view)
        self._file.write(view)
        self.size += view.nbytes
        return view.nbytes

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        """What was written is flushed when the file is closed."""
