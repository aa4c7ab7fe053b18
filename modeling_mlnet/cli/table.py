"""`mlnet table`."""

from pathlib import Path
from typing import Annotated

import typer

FORMATS = ("markdown", "latex")


def table(
    results: Annotated[
        list[Path], typer.Argument(help="Results files of `mlnet evaluate --output`, for any models and data sets.")
    ],
    format: Annotated[str, typer.Option(help="markdown, or latex with the rules of booktabs.")] = "markdown",
    metric: Annotated[
        list[str] | None,
        typer.Option(help="Metric to show; may be repeated. Default: every metric that all files have."),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(help="Show the paired differences to this row, in bold if their interval excludes 0."),
    ] = None,
    intervals: Annotated[bool, typer.Option(help="Show the 95 % intervals.")] = True,
) -> None:
    """Put results into one table: a row per model and data set, a column per metric, with intervals.

    Example: mlnet table centre.json gbvs.json mini.json --against mini --format latex
    """
    if format not in FORMATS:
        raise typer.BadParameter(f"must be one of {list(FORMATS)}, got {format!r}", param_hint="--format")

    from ..evaluation.results import read_json
    from ..evaluation.tables import latex_table, markdown_table, table_rows

    columns, rows = table_rows({str(path): read_json(path) for path in results}, metric or (), against)
    print((latex_table if format == "latex" else markdown_table)(columns, rows, intervals))
