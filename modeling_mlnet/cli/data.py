"""`mlnet data check` and `mlnet data export`."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(no_args_is_help=True, help="Look through data sets of fixations and export them.")

SHOWN = 20  # problems that are printed

LINES: dict[str, Callable[[Any], str]] = {
    "images": lambda one: f"{one.images:,}",
    "usable": lambda one: f"{one.usable:,}",
    "official count": lambda one: "not known" if one.official is None else f"{one.official:,}",
    "difference": lambda one: "" if one.official is None else f"{one.usable - one.official:+,}",
    "with fixations": lambda one: f"{one.with_fixations:,}",
    "with known observers": lambda one: f"{one.with_observers:,}",
    "with a density of their own": lambda one: f"{one.own_maps:,}",
    "fixations": lambda one: f"{one.fixations:,}",
    "outside the images": lambda one: f"{one.outside:,}",
    "size": lambda one: (
        " or ".join(f"{width}x{height}" for width, height in one.sizes) if len(one.sizes) < 3 else "several"
    ),
    "problems": lambda one: f"{len(one.problems):,}",
}

Name = Annotated[str, typer.Argument(help="salicon, mit1003, cat2000, osie, toronto or folder.", metavar="NAME")]
Directory = Annotated[Path, typer.Argument(help="Where it was unpacked.", metavar="DIR")]


@app.command()
def check(
    name: Name,
    directory: Directory,
    split: Annotated[str | None, typer.Option(help="Look at one split only: train, validation, test.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The drawing; NAME-rows.png if not given.", metavar="FILE.png"),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help=f"Print all problems, not the first {SHOWN}.")] = False,
) -> None:
    """Say what is there of a data set and what is missing or damaged, and draw four rows with their fixations.

    Example: mlnet data check salicon /data/SALICON --output rows.png

    Exit status: 0 everything is there and whole, 1 something is missing or damaged, 2 nothing could be looked at.
    """
    from ..data import check as look
    from ..data import check_drawing, draw_rows
    from .progress import quiet_libraries, tracked

    quiet_libraries()
    path = output or Path(f"{name}-rows.png")
    check_drawing(path)
    found = look(f"{name}:{directory}", split, tracked)
    _print_table(found)
    for note in found.notes:
        print(f"note: {note}")
    problems = found.problems
    for problem in problems if everything else problems[:SHOWN]:
        print(f"problem: {' '.join(problem.split())}")
    if len(problems) > SHOWN and not everything:
        print(f"... and {len(problems) - SHOWN} more problems; --all prints them")
    if found.rows:
        draw_rows(found.rows, path)
        print(f"{len(found.rows)} rows are drawn in {path}")
    if not found.is_complete:
        raise typer.Exit(1)


def _print_table(found: Any) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", title=found.title)
    for one in found.splits:
        table.add_column(one.split, justify="right")
    for title, value in LINES.items():
        table.add_row(title, *(value(one) for one in found.splits))
    Console(soft_wrap=True).print(table)


@app.command()
def export(
    name: Name,
    directory: Directory,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A new folder; NAME-parquet if not given.", metavar="OUT")
    ] = None,
    to: Annotated[str, typer.Option(help="The form; parquet is the only one.")] = "parquet",
    split: Annotated[str | None, typer.Option(help="One split only: train or validation.")] = None,
    annotations_only: Annotated[
        bool, typer.Option("--annotations-only", help="Leave the images out and name their files.")
    ] = False,
) -> None:
    """Write a data set as Parquet with a dataset card, ready for the Hub.

    Example: mlnet data export osie /data/OSIE --to parquet --output osie-parquet
    """
    if to != "parquet":
        raise typer.BadParameter(f"must be parquet, got {to!r}", param_hint="--to")

    from ..data import export_parquet
    from .progress import quiet_libraries, tracked

    quiet_libraries()
    output = output or Path(f"{name}-parquet")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing half-written stays
    done = export_parquet(f"{name}:{directory}", output, split, annotations_only, progress=tracked)
    if done.warning is not None:
        print(f"mlnet: {done.warning}", file=sys.stderr)
    rows = ", ".join(f"{count} rows of {split}" for split, count in done.rows.items())
    print(f"{rows} in {done.files} Parquet files in {output}")
