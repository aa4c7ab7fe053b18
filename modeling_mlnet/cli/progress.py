"""The progress bar of all commands: on stderr, silent when that is not a terminal."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from ..inference.inputs import Inputs

Item = TypeVar("Item")


@contextmanager
def progress_bar(description: str) -> Iterator[Progress]:
    """A bar with count and time left; its console prints lines above the bar."""
    console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    columns = (TextColumn(description), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns,
        console=console,
        transient=True,
        disable=not console.is_terminal,
        redirect_stdout=sys.stdout.isatty(),  # what is printed into a pipe belongs there
    ) as progress:
        yield progress


def print_inputs(inputs: "Inputs") -> None:
    """Prints which paths have no images and how many files were skipped."""
    for line in [*inputs.problems, *([inputs.note] if inputs.note else [])]:
        print(f"mlnet: {line}", file=sys.stderr)


def tracked(iterable: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """Iterates under a progress bar; `total` is its length, if `len` does not work."""
    with progress_bar(description) as bar:
        yield from bar.track(iterable, total=total)


def quiet_libraries() -> None:
    """Turns off transformers' and, where it is in use, datasets' own bars, which would interleave with ours."""
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"  # read where they are not yet imported, which takes seconds
    if "transformers" in sys.modules:
        sys.modules["transformers"].utils.logging.disable_progress_bar()
    if "datasets" in sys.modules:
        sys.modules["datasets"].disable_progress_bars()
