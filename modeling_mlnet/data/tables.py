"""Reading lists that people write: tables (CSV and its relatives) and JSON objects, in any common encoding."""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from .numbers import Numbers

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
SEPARATOR_LINE = re.compile(r"sep=(.)\s*")  # Excel's own first line


@dataclass(frozen=True)
class TableRow:
    """One line of a table.

    Args:
        line: Its number in the file, from 1.
        values: By the name of the column as the reader calls it, without blanks around; empty where it is missing.
        numbers: Reads the values of the table that are numbers.
    """

    line: int
    values: dict[str, str]
    numbers: Numbers

    def number(self, name: str) -> float:
        """A value as a number; NaN for other text."""
        return self.numbers.read(self.line, name, self.values.get(name, ""))


def normal_name(name: object) -> str:
    """A name of a column or key without case, blanks, underscores and hyphens: `File_Name` is `filename`."""
    return re.sub(r"[\s_-]", "", str(name)).casefold()


def rename_keys(names: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """For every name that is one of the known ones but for case, blanks and underscores, the known one.

    Raises:
        ValueError: If two of the names mean the same.
    """
    meant = {normal_name(name): name for name in known}
    renamed = [(name, meant[normal_name(name)]) for name in names if normal_name(name) in meant]
    for name, count in Counter(new for _, new in renamed).items():
        if count > 1:
            both = [repr(old) for old, new in renamed if new == name]
            raise ValueError(f"{' and '.join(both)} both mean {name}")
    return dict(renamed)


def quoted(names: Sequence[str], shown: int = 12) -> str:
    """Names for a message, in quotes, the first ones of many."""
    rest = f" and {len(names) - shown} more" if len(names) > shown else ""
    return (", ".join(repr(name) for name in names[:shown]) or "none") + rest


def read_table(
    path: Path,
    required: Sequence[str],
    optional: Sequence[str] = (),
    separator: str | None = None,
    encoding: str | None = None,
) -> Iterator[TableRow]:
    """The lines of a table whose first line names the columns.

    Values may stand between commas, semicolons, tabs or bars, in UTF-8 or UTF-16 with or without a byte order mark,
    and each row in one line, whose last values may be missing. Names of columns may differ in case, blanks and
    underscores.

    Args:
        required: Columns that must be there; of alternatives, give the others as optional.
        optional: Columns that may be there.
        separator: Separator of values; `None` detects it.
        encoding: `None` finds it.

    Raises:
        ValueError: If a column is missing, with those that are there, or there twice; a row has more values than there
            are columns or is cut off; or numbers may have thousands separators.
    """
    known = [*required, *optional]
    with open_text(path, encoding) as file:
        lines = enumerate(file, start=1)
        columns, delimiter = _header((line for _, line in lines), known, separator)
        renamed = _renamed(path, columns, known)
        missing = [name for name in required if name not in renamed.values()]
        if missing:
            between = DELIMITERS.get(delimiter, repr(delimiter))
            raise ValueError(
                f"{path}: the first line must name the columns {', '.join(required)}; no {', no '.join(missing)} "
                f"there, the columns found (between {between}) are {quoted(columns)}"
            )
        numbers = Numbers(delimiter != ",")
        for number, line in lines:
            try:
                cells = _cells(line, delimiter, len(columns))
            except ValueError as error:
                raise ValueError(f"{path}, line {number}: {error}: {line.strip()[:80]!r}") from error
            if not any(cell.strip() for cell in cells):
                continue
            values = dict.fromkeys(renamed.values(), "")
            values |= {
                renamed[name]: cell.strip() for name, cell in zip(columns, cells, strict=False) if name in renamed
            }
            yield TableRow(number, values, numbers)
        numbers.require_clear(path)


def _cells(line: str, delimiter: str, count: int) -> list[str]:
    """The values of a line, each in a column; a value that went on in the next line would swallow rows."""
    try:
        cells = next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise ValueError(
            f"{error}; quotation marks of a value must be closed on its line, and doubled inside"
        ) from error
    if any(cell.strip() for cell in cells[count:]):
        raise ValueError(
            f"{len(cells)} values for {count} columns; each needs its column in the first line, and a value that "
            f"contains {DELIMITERS.get(delimiter, repr(delimiter))} needs quotation marks"
        )
    if line.strip() and len(cells) < count and not line.endswith(("\n", "\r")):
        raise ValueError(f"the last line is cut off: {len(cells)} values for {count} columns")
    return cells


def table_columns(path: Path, known: Sequence[str]) -> dict[str, str | None]:
    """The columns that the first line of a table names, and which of the known ones each is."""
    columns = table_header(path, known)[0]
    renamed = _renamed(path, columns, known)
    return {name: renamed.get(name) for name in columns}


def table_header(
    path: Path, known: Sequence[str], separator: str | None = None, encoding: str | None = None
) -> tuple[list[str], str]:
    """Names of columns in the first line of a table, and their separator; arguments as `read_table`."""
    with open_text(path, encoding) as file:
        return _header(file, known, separator)


def _header(lines: Iterator[str], known: Sequence[str], separator: str | None = None) -> tuple[list[str], str]:
    """Names of the columns, and their separator."""
    header = next(lines, "").removeprefix("\ufeff")
    if declared := SEPARATOR_LINE.fullmatch(header):
        header = next(lines, "")
    delimiter = separator or (declared[1] if declared else _delimiter(header, known))
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


def find_encoding(path: Path) -> str:
    """UTF-8, UTF-16 or UTF-32, detected by the first bytes of a file."""
    with path.open("rb") as file:
        return json.detect_encoding(file.read(4))


@contextmanager
def open_text(path: Path, encoding: str | None = None) -> Iterator[IO[str]]:
    """Opens a text file.

    Args:
        encoding: `None` takes `find_encoding`; callers that give one let people choose it.

    Raises:
        ValueError: If it is in another encoding or no table.
    """
    remedy = "save it as UTF-8" + (" or give its --encoding, such as cp1252" if encoding else "")
    encoding = encoding or find_encoding(path)
    try:
        with path.open(encoding=encoding, newline="") as text:
            yield text
    except UnicodeError as error:
        what = encoding.upper().removesuffix("-SIG")
        raise ValueError(f"{path}: is not {what}: {error}; {remedy}") from error
    except csv.Error as error:
        raise ValueError(f"{path}: cannot be read as a table: {error}") from error


def _delimiter(header: str, known: Sequence[str]) -> str:
    """The separator of columns: the one that yields most known names, else the most frequent."""
    names = {normal_name(name) for name in known}

    def score(sign: str) -> tuple[int, int]:
        columns = next(csv.reader([header], delimiter=sign), [])
        return len(names & {normal_name(column) for column in columns}), header.count(sign)

    return max(DELIMITERS, key=score)
