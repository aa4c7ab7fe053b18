"""Rows that are found again as long as nothing they were made from has changed."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from datasets import Dataset, IterableDataset
from datasets.exceptions import DatasetGenerationError
from transformers.utils import logging

from ..io.atomic import write_whole
from ..io.progress import Progress, no_progress
from .files import UnusableError
from .fixations import file_stamp
from .schema import FEATURES, Record, Scan, make_row

logger = logging.get_logger(__name__)


def _place(name: str) -> Path:
    return Path(datasets.config.HF_DATASETS_CACHE) / "mlnet" / name


@cache
def _code() -> bytes:
    """The code that makes rows: what an older or newer one made is not taken for its own."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.digest()


def fingerprint(records: list[Record]) -> str:
    """A name for the rows of some images, which changes when one of their files does."""
    digest = hashlib.sha256(_code())
    for record in records:
        digest.update(record.stamp().encode())
    return digest.hexdigest()[:32]


def remembered(path: Path, kind: str, compute: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Arrays that are costly to compute from a file, from the cache where the file has not changed.

    Args:
        kind: What they are, a word for the name of the cache's file.
    """
    name = hashlib.sha256(_code() + file_stamp(path.absolute()).encode()).hexdigest()[:32]
    place = _place(f"{kind}-{name}.npz")
    # not there yet, or damaged: numpy raises many types
    with suppress(Exception), np.load(place, allow_pickle=False) as stored:
        return dict(stored)
    arrays = compute()
    write_whole(place, lambda file: np.savez(file, allow_pickle=False, **arrays))
    return arrays


def _checked_rows(records: tuple[Record, ...], notes: Path, progress: Progress) -> Iterator[dict[str, Any]]:
    problems = []
    for record in progress(records, "reading images and fixations"):
        try:
            yield make_row(record)
        except UnusableError as error:
            problems.append(str(error))
    # beside the rows, so that whoever gets them from the cache learns of the left out images as well
    write_whole(notes, lambda file: file.write(json.dumps(problems).encode()))


def to_dataset(scan: Scan, source: str, progress: Progress = no_progress) -> Dataset:
    """Rows of the schema, kept in the cache of `datasets`; every file that cannot be used is named in a warning.

    Raises:
        ValueError: If the scan found nothing that can be used.
        OSError: If the cache cannot be written.
    """
    name = fingerprint(scan.records)
    notes = _place(f"{name}.json")
    # a tuple: `datasets` would call the generator once per element of a list
    arguments = {"records": tuple(scan.records), "notes": notes, "progress": progress}
    rows = []
    try:
        rows = Dataset.from_generator(_checked_rows, features=FEATURES, gen_kwargs=arguments, fingerprint=name)
    except DatasetGenerationError as error:
        raise OSError(f"{source}: its rows cannot be written to the cache: {error.__cause__}") from error
    except ValueError as error:  # what `datasets` raises for a split without rows
        logger.debug(str(error))
    problems = list(scan.problems)
    if notes.is_file():
        problems += json.loads(notes.read_text(encoding="utf-8"))
    for problem in problems:
        logger.warning(problem)
    if not len(rows):
        raise nothing_usable(source, problems)
    return rows


def nothing_usable(source: str, problems: list[str]) -> ValueError:
    """The error of a data set without a usable image."""
    first = f"; first problem: {problems[0]}" if problems else ""
    return ValueError(f"{source}: no usable image found{first}")


def _streamed_rows(records: list[Record]) -> Iterator[dict[str, Any]]:
    for record in records:
        try:
            yield make_row(record)
        except UnusableError as error:
            logger.warning(str(error))


def to_stream(scan: Scan, source: str) -> IterableDataset:
    """Rows made while they are iterated, each image a shard; files that cannot be used are named when met.

    Raises:
        ValueError: If the scan lists no image.
    """
    for problem in scan.problems:
        logger.warning(problem)
    if not scan.records:
        raise nothing_usable(source, scan.problems)
    return IterableDataset.from_generator(_streamed_rows, features=FEATURES, gen_kwargs={"records": scan.records})
