"""Rows kept in the cache of `datasets` as long as nothing that they were made from changes."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path

import datasets
import numpy as np
from datasets import Dataset, IterableDataset
from datasets.exceptions import DatasetGenerationError
from transformers.utils import logging

from ..io.atomic import write_whole
from ..io.progress import Progress, no_progress
from .files import UnusableError
from .fixations import file_stamp
from .problems import Remarks, summarise
from .schema import FEATURES, Record, Row, Scan, make_row

logger = logging.get_logger(__name__)


def _cache_path(name: str) -> Path:
    return Path(datasets.config.HF_DATASETS_CACHE) / "mlnet" / name


@cache
def code_stamp() -> str:
    """Hash of the code that makes rows: what an older or newer one made is not read from the cache."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def records_fingerprint(records: list[Record]) -> str:
    """A name for the rows of some images, which changes when one of their files does."""
    digest = hashlib.sha256(code_stamp().encode())
    for record in records:
        digest.update(record.stamp().encode())
    return digest.hexdigest()[:32]


def remembered(path: Path, compute: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Arrays that are costly to compute from a file, from the cache where the file has not changed."""
    name = hashlib.sha256((code_stamp() + file_stamp(path.absolute())).encode()).hexdigest()[:32]
    path_in_cache = _cache_path(f"{name}.npz")
    # not there yet, or damaged: numpy raises many types
    with suppress(Exception), np.load(path_in_cache, allow_pickle=False) as stored:
        return dict(stored)
    arrays = compute()
    write_whole(path_in_cache, lambda file: np.savez(file, allow_pickle=False, **arrays))
    return arrays


def _checked_rows(records: tuple[Record, ...], notes: Path, progress: Progress) -> Iterator[Row]:
    remarks = Remarks()
    for record in progress(records, "reading images and fixations"):
        try:
            row, note = make_row(record)
        except UnusableError as error:
            remarks.problems.append(str(error))
            remarks.outside += error.outside
            continue
        if note:
            remarks.notes.append(note)
        yield row
    # beside the rows, so that skipped images are reported also when the rows come from the cache
    write_whole(notes, lambda file: file.write(json.dumps(asdict(remarks)).encode()))


def to_dataset(scan: Scan, source: str, progress: Progress = no_progress) -> tuple[Dataset, Remarks]:
    """Rows of the schema in the cache of `datasets`, with their problems and notes.

    Raises:
        OSError: If the cache cannot be written.
    """
    name = records_fingerprint(scan.records)
    notes = _cache_path(f"{name}.json")
    # a tuple: `datasets` would call the generator once per element of a list
    arguments = {"records": tuple(scan.records), "notes": notes, "progress": progress}
    try:
        rows = Dataset.from_generator(_checked_rows, features=FEATURES, gen_kwargs=arguments, fingerprint=name)
    except DatasetGenerationError as error:
        raise OSError(f"{source}: its rows cannot be written to the cache: {error.__cause__}") from error
    except ValueError as error:  # what `datasets` raises for a split without rows
        logger.debug(str(error))
        rows = Dataset.from_dict({name: [] for name in FEATURES}, features=FEATURES)
    remarks = Remarks(**json.loads(notes.read_text(encoding="utf-8"))) if notes.is_file() else Remarks()
    remarks.problems = [*scan.problems, *remarks.problems]
    return rows, remarks


def nothing_usable(source: str, problems: list[str]) -> ValueError:
    """The error of a data set without a usable image."""
    first = f"; first problem: {problems[0]}" if problems else ""
    return ValueError(f"{source}: no usable image found{first}")


def _streamed_rows(records: list[Record]) -> Iterator[Row]:
    for record in records:
        try:
            row, note = make_row(record)
        except UnusableError as error:
            logger.warning(str(error))
            continue
        if note:
            logger.warning(note)
        yield row


def to_stream(scan: Scan, source: str) -> IterableDataset:
    """Rows made while they are iterated, each image a shard; files that cannot be used are named when met.

    Raises:
        ValueError: If the scan lists no image.
    """
    for line in summarise(scan.problems):
        logger.warning(line)
    if not scan.records:
        raise nothing_usable(source, scan.problems)
    return IterableDataset.from_generator(_streamed_rows, features=FEATURES, gen_kwargs={"records": scan.records})
