"""Progress of long computations: callers pass a function that wraps an iterable, to show a bar or to count."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

Item = TypeVar("Item")


class Progress(Protocol):
    """Wraps an iterable to show how far its items have come."""

    def __call__(self, iterable: Iterable[Item], description: str, /) -> Iterable[Item]:
        """The same items."""


def no_progress(iterable: Iterable[Item], description: str) -> Iterable[Item]:
    """A `Progress` that shows nothing."""
    return iterable
