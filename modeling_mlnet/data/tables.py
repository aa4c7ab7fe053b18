"""Reading lists that people write: tables (CSV and its relatives) and JSON objects, in any common encoding."""

import codecs
import csv
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
# Byte order marks; that of UTF-32 begins as that of UTF-16 does, so it comes first.
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SEPARATOR_LINE = re.compile(r"sep=(.)\s*")  # Excel's own first line


@dataclass(frozen=True)
class TableRow:
    """One line of a table.

    Args:
        line: Its number in the file, from 1.
        values: By the name of the column as the reader calls it, without blanks around; empty where it is missing.
        decimal_comma: Whether a comma may stand in a number, as the values are not between commas.
    """

    line: int
    values: dict[str, str]
    decimal_comma: bool

    def number(self, name: str) -> float:
        """A value as a number; NaN if it is none."""
        text = self.values.get(name, "")
        if self.decimal_comma and "." not in text:
            text = text.replace(",", ".", 1)
        try:
            return float(text)
        except ValueError:
            return float("nan")


def normal_name(name: object) -> str:
    """A name of a column or key without case, blanks, underscores and hyphens: `File_Name` is `filename`."""
    return re.sub(r"[\s_-]", "", str(name)).casefold()


def rename_keys(names: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """For every name that is one of the known ones but for case, blanks and underscores, the known one.

    Raises:
        ValueError: If two of the names mean the same.
    """
    meant = {normal_name(name): name for name in known}
    renamed = {name: meant[normal_name(name)] for name in names if normal_name(name) in meant}
    for name, count in Counter(renamed.values()).items():
        if count > 1:
            both = [repr(old) for old, new in renamed.items() if new == name]
            raise ValueError(f"{' and '.join(both)} both mean {name}")
    return renamed


def quoted(names: Sequence[str], shown: int = 12) -> str:
    """Names for a message, in quotes, the first ones of many."""
    rest = f" and {len(names) - shown} more" if len(names) > shown else ""
    return (", ".join(repr(name) for name in names[:shown]) or "none") + rest


def read_table(path: Path, required: Sequence[str], optional: Sequence[str] = ()) -> Iterator[TableRow]:
    """The lines of a table whose first line names the columns.

    Values may stand between commas, semicolons, tabs or bars, in UTF-8 or UTF-16 with or without a byte order mark.
    Names of columns may differ in case, blanks and underscores.

    Args:
        required: Columns that must be there; of alternatives, give the others as optional.
        optional: Columns that may be there.

    Raises:
        ValueError: If a column is missing, with those that are there, or the file is no such table.
    """
    known = [*required, *optional]
    with open_text(path) as file:
        lines = _Lines(file)
        columns, delimiter = _header(lines, known)
        renamed = _renamed(path, columns, known)
        missing = [name for name in required if name not in renamed.values()]
        if missing:
            between = DELIMITERS.get(delimiter, repr(delimiter))
            raise ValueError(
                f"{path}: the first line must name the columns {', '.join(required)}; no {', no '.join(missing)} "
                f"there, the columns found (between {between}) are {quoted(columns)}"
            )
        rows = csv.reader(lines, delimiter=delimiter)
        for cells in rows:
            if not any(cell.strip() for cell in cells):
                continue
            values = dict.fromkeys(renamed.values(), "")
            values |= {
                renamed[name]: cell.strip() for name, cell in zip(columns, cells, strict=False) if name in renamed
            }
            yield TableRow(lines.number, values, delimiter != ",")


def table_columns(path: Path, known: Sequence[str]) -> dict[str, str | None]:
    """The columns that the first line of a table names, and which of the known ones each is."""
    with open_text(path) as file:
        columns = _header(_Lines(file), known)[0]
    renamed = _renamed(path, columns, known)
    return {name: renamed.get(name) for name in columns}


def _header(lines: Iterator[str], known: Sequence[str]) -> tuple[list[str], str]:
    """The names of the columns, and what stands between them."""
    header = next(lines, "")
    if declared := SEPARATOR_LINE.fullmatch(header):
        header = next(lines, "")
    delimiter = declared[1] if declared else _delimiter(header, known)
    return [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])], delimiter


def _renamed(path: Path, columns: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    try:
        return rename_keys(columns, known)
    except ValueError as error:
        raise ValueError(f"{path}: {error}; name each column once") from error


def read_objects(path: Path) -> Iterator[tuple[str, Any]]:
    """The JSON objects of a file: one a line, or all in one list.

    Returns:
        Where each stands (`line 3`, `entry 3`), and the object or the ValueError that reading it raised.

    Raises:
        ValueError: If the encoding is not known, or the list is damaged.
    """
    with open_text(path) as file:
        first = file.read(1)
        while first.isspace():
            first = file.read(1)
        file.seek(0)
        if first == "[" and (entries := _list_of_objects(file)) is not None:
            yield from ((f"entry {number}", entry) for number, entry in enumerate(entries, start=1))
            return
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                value: Any = json.loads(line)
            except (RecursionError, ValueError) as error:
                value = ValueError(str(error))
            yield f"line {number}", value


def _list_of_objects(file: IO[str]) -> list[Any] | None:
    """The content of a file that is one list of objects; `None`, at the file's beginning, if it is anything else."""
    try:
        entries = json.load(file)
        if isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries):
            return entries
    except (RecursionError, ValueError):
        pass
    file.seek(0)
    return None


@contextmanager
def open_text(path: Path) -> Iterator[IO[str]]:
    """Opens a text file in UTF-8, UTF-16 or UTF-32, told apart by its first bytes.

    Raises:
        ValueError: If it is in another encoding or no table.
    """
    with path.open("rb") as file:
        head = file.read(4)
    encoding = next((name for mark, name in MARKS if head.startswith(mark)), None)
    if encoding is None and 0 in head[:2] and len(head) > 1:  # UTF-16 without its mark: every second byte is 0
        encoding = "utf-16-le" if head[1] == 0 else "utf-16-be"
    encoding = encoding or "utf-8-sig"
    try:
        with path.open(encoding=encoding, newline="") as text:
            yield text
    except UnicodeError as error:
        what = "UTF-8" if encoding == "utf-8-sig" else encoding.upper()
        raise ValueError(f"{path}: is not {what}: {error}; save it as UTF-8") from error
    except csv.Error as error:
        raise ValueError(f"{path}: cannot be read as a table: {error}") from error


class _Lines(Iterator[str]):
    """The lines of a file with the number of the last one read, which a reader of quoted values goes on from."""

    def __init__(self, file: IO[str]):
        self.file, self.number = file, 0

    def __next__(self) -> str:
        line = next(self.file)
        self.number += 1
        return line


def _delimiter(header: str, known: Sequence[str]) -> str:
    """What stands between the columns: by which most of the known names are found, else the most frequent sign."""
    names = {normal_name(name) for name in known}

    def score(sign: str) -> tuple[int, int]:
        columns = next(csv.reader([header], delimiter=sign), [])
        return len(names & {normal_name(column) for column in columns}), header.count(sign)

    return max(DELIMITERS, key=score)
