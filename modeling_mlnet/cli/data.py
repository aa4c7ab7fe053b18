"""`mlnet data check` and `mlnet data export`; `mlnet data import` is in `data_import`."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .data_import import import_tables

if TYPE_CHECKING:
    from ..data.check import Check, SplitCheck

app = typer.Typer(no_args_is_help=True, help="Look through data sets of fixations, import and export them.")
app.command("import")(import_tables)

SHOWN = 20  # problems that are printed

LINES: dict[str, Callable[["SplitCheck"], str]] = {
    "images": lambda report: f"{report.images:,}",
    "usable": lambda report: f"{report.usable:,}",
    "official count": lambda report: "not known" if report.official is None else f"{report.official:,}",
    "difference": lambda report: "" if report.official is None else f"{report.usable - report.official:+,}",
    "with fixations": lambda report: f"{report.with_fixations:,}",
    "with known observers": lambda report: f"{report.with_observers:,}",
    "with a density of their own": lambda report: f"{report.own_maps:,}",
    "fixations": lambda report: f"{report.fixations:,}",
    "outside the images": lambda report: f"{report.outside:,}",
    "size": lambda report: (
        " or ".join(f"{width}x{height}" for width, height in report.sizes) if len(report.sizes) < 3 else "several"
    ),
    "problems": lambda report: f"{len(report.problems):,}",
}

Name = Annotated[str, typer.Argument(help="salicon, mit1003, cat2000, osie, toronto or folder.", metavar="NAME")]
Directory = Annotated[
    Path | None, typer.Argument(help="Folder of the unpacked data set; NAME:DIR is taken, too.", metavar="DIR")
]


def parse_spec(name: str, directory: Path | None) -> tuple[str, str]:
    """Name and specification of a data set given as `NAME DIR` or `NAME:DIR`."""
    from ..data.loading import split_spec

    spec = name if directory is None else f"{name}:{directory}"
    return split_spec(spec)[0], spec


@app.command()
def check(
    name: Name,
    directory: Directory = None,
    split: Annotated[str | None, typer.Option(help="Check one split only: train, validation, test.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File for the drawing; default: NAME-rows.png.", metavar="FILE.png"),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help=f"Print all problems, not the first {SHOWN}.")] = False,
) -> None:
    """Check a data set for missing and damaged files, and draw four rows with their fixations.

    Example: mlnet data check salicon /data/SALICON --output rows.png

    Exit status: 0 everything is there and whole, 1 something is missing or damaged, 2 nothing could be looked at.
    """
    from ..data import check as look
    from ..data import check_drawing, draw_rows
    from ..data.problems import summarise
    from ..evaluation.orientation import find_turned
    from ..inference.predictor import SaliencyPredictor
    from .progress import tracked

    name, spec = parse_spec(name, directory)
    path = output or Path(f"{name}-rows.png")
    check_drawing(path)
    result = look(spec, split, tracked)
    _print_table(result)
    for note in [*result.notes, *find_turned(SaliencyPredictor("mini"), result.rows)]:
        print(f"note: {note}")
    kinds = summarise(result.problems)
    shown = result.problems if everything else kinds[:SHOWN]
    for problem in shown:
        print(f"problem: {' '.join(problem.split())}")
    if not everything and len(kinds) > SHOWN:
        print(f"... and {len(kinds) - SHOWN} more kinds of problems")
    if len(shown) < len(result.problems):
        print(f"--all prints all {len(result.problems):,} problems")
    if result.rows:
        count = draw_rows(result.rows, path)
        print(f"{count} rows are drawn in {path}")
    if not result.is_complete:
        raise typer.Exit(1)


def _print_table(result: "Check") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", title=result.title)
    for report in result.splits:
        table.add_column(report.split, justify="right")
    for title, value in LINES.items():
        table.add_row(title, *(value(report) for report in result.splits))
    Console(soft_wrap=True).print(table)


@app.command()
def export(
    name: Name,
    directory: Directory = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A new folder; NAME-parquet if not given.", metavar="OUT")
    ] = None,
    to: Annotated[str, typer.Option(help="File format; parquet is the only one.")] = "parquet",
    split: Annotated[str | None, typer.Option(help="Export one split only: train or validation.")] = None,
    annotations_only: Annotated[
        bool, typer.Option("--annotations-only", help="Leave out the images; write their file names.")
    ] = False,
) -> None:
    """Write a data set as Parquet with a dataset card, ready for the Hub.

    Example: mlnet data export osie /data/OSIE --to parquet --output osie-parquet
    """
    if to != "parquet":
        raise typer.BadParameter(f"must be parquet, got {to!r}", param_hint="--to")

    from ..data import export_parquet
    from .progress import tracked

    name, spec = parse_spec(name, directory)
    output = output or Path(f"{name}-parquet")
    done = export_parquet(spec, output, split, annotations_only, progress=tracked)
    if done.warning is not None:
        print(f"mlnet: {done.warning}", file=sys.stderr)
    rows = ", ".join(f"{count} rows of {split}" for split, count in done.rows.items())
    print(f"{rows} in {done.files} Parquet files in {output}")
