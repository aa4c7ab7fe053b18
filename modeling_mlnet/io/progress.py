"""Progress of long computations: callers pass a function that wraps an iterable, to show a bar or to count."""

from collections.abc import Callable, Iterable
from typing import Any

Progress = Callable[[Iterable[Any], str], Iterable[Any]]


def no_progress(iterable: Iterable[Any], description: str) -> Iterable[Any]:
    """A `Progress` that shows nothing."""
    return iterable
