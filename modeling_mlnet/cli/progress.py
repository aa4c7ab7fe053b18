"""The progress bar of all commands: on stderr, silent when that is not a terminal."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Item = TypeVar("Item")


def progress_bar(description: str) -> Progress:
    """A bar with count and time left; its console prints lines above the bar."""
    console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    return Progress(
        TextColumn(description),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
        redirect_stdout=sys.stdout.isatty(),  # what is printed into a pipe belongs there
    )


def tracked(iterable: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """Iterates under a progress bar; `total` is its length, if `len` does not work."""
    with progress_bar(description) as bar:
        yield from bar.track(iterable, total=total)
