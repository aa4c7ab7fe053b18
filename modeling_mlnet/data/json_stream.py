"""Reading a JSON file that is too large for memory: the items of its lists, one at a time."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

CHUNK = 1 << 20  # bytes read at a time
LARGEST_ITEM = 1 << 26  # bytes; past it a damaged file would be read into memory whole

AFTER_VALUE = frozenset(" \t\r\n,:]}")


@dataclass(frozen=True)
class Item:
    """One item of a list.

    Args:
        key: The key of the list.
        value: The item, decoded. Text in it is latin-1.
        start: Offset in the file, in bytes.
        end: Offset of its end.
    """

    key: str
    value: Any
    start: int
    end: int


def stream_items(path: Path) -> Iterator[Item]:
    """The items of all lists directly in a file's one object, in their order.

    Raises:
        ValueError: If it is not a JSON object or is cut off, with the place.
    """
    with path.open("rb") as file:
        window = _Window(file)
        try:
            yield from _items(window)
        except (json.JSONDecodeError, RecursionError) as error:
            reason = getattr(error, "msg", error)
            raise ValueError(f"{path}: is damaged or cut off at byte {window.place}: {reason}") from error


def _items(window: "_Window") -> Iterator[Item]:
    window.take("{")
    while window.peek() != "}":
        key, _, _ = window.value()
        window.take(":")
        if window.peek() == "[":
            window.take("[")
            while window.peek() != "]":
                yield Item(str(key), *window.value())
                window.separator("]")
            window.take("]")
        else:
            window.value()
        window.separator("}")


class _Window:
    """The part of a file that is in memory.

    Bytes are taken as latin-1, in which a character is a byte, so that places in the text are places in the file;
    JSON's own signs are the same in UTF-8.
    """

    def __init__(self, file: IO[bytes]):
        self.file = file
        self.text, self.position, self.offset = "", 0, 0
        self.ended = False
        self.decoder = json.JSONDecoder()

    @property
    def place(self) -> int:
        return self.offset + self.position

    def peek(self) -> str:
        """The next character that is no blank; empty at the end."""
        while True:
            while self.position < len(self.text) and self.text[self.position] in " \t\r\n":
                self.position += 1
            if self.position < len(self.text) or self.ended:
                return self.text[self.position : self.position + 1]
            self._grow()

    def take(self, sign: str) -> None:
        if self.peek() != sign:
            raise json.JSONDecodeError(f"{sign!r} is expected", self.text, self.position)
        self.position += 1

    def separator(self, closing: str) -> None:
        if self.peek() != closing:
            self.take(",")

    def value(self) -> tuple[Any, int, int]:
        """The next value and where it begins and ends."""
        self.peek()
        while True:
            start, is_last = self.place, self.ended or len(self.text) - self.position > LARGEST_ITEM
            try:
                value, end = self.decoder.raw_decode(self.text, self.position)
            except json.JSONDecodeError:
                if is_last:
                    raise
            else:
                if is_last or self.text[end : end + 1] in AFTER_VALUE:  # not within a number
                    self.position = end
                    return value, start, self.place
            self._grow()

    def _grow(self) -> None:
        rest = self.text[self.position :]
        data = self.file.read(max(CHUNK, len(rest)))  # doubling: a long item is not decoded over and over
        self.ended = not data
        self.offset += self.position
        self.text, self.position = rest + data.decode("latin-1"), 0
