"""`mlnet predict` on collections: Parquet shards."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from .options import find_inputs

if TYPE_CHECKING:
    from ..scale.collection import Collection
    from ..scale.run import RunReport

MAP_FORMATS = {"map": "png", "npy": "float16"}  # in a column, by --format


def predict_shards(
    collection: "Collection", output: str, formats: Sequence[str], columns: str, options: dict[str, Any], **how: Any
) -> None:
    """Predicts a collection into a folder of Parquet shards.

    Args:
        collection: Of `open_collection`.
        output: The folder, or a URI.
        formats: Of `--format`; one of `MAP_FORMATS`.
        columns: Of `--columns`.
        options: Further arguments of `BatchPredictor`.
        how: Further arguments of `predict_collection`.

    Raises:
        typer.Exit: With status 1 if rows or shards failed, 2 if all did.
    """
    if len(formats) != 1 or formats[0] not in MAP_FORMATS:
        message = f"{','.join(formats)!r}: a column of Parquet holds one of {', '.join(MAP_FORMATS)}"
        raise typer.BadParameter(message, param_hint="--format")
    from ..scale.batch import BatchPredictor
    from ..scale.run import predict_collection
    from .progress import progress_bar

    predictor = BatchPredictor(
        image_column=collection.image_column,
        outputs=[name.strip() for name in columns.split(",")],
        map_format=MAP_FORMATS[formats[0]],
        allow_urls=collection.is_files,
        **options,
    )
    with progress_bar("predicting") as progress:
        task = progress.add_task("", total=None)

        def on_rows(rows: int, total: int) -> None:
            progress.update(task, advance=rows, total=total)

        try:
            report = predict_collection(collection, output, predictor, on_rows=on_rows, **how)
        except (SystemExit, OSError):
            print("mlnet: the same command goes on at the next missing shard", file=sys.stderr)
            raise
    _print_report(report, output)


def open_collection(
    paths: Sequence[str], dataset: str | None, image_column: str, split: str | None, output: str
) -> "Collection":
    """The images of PATH... or of `--dataset`.

    Raises:
        ValueError: If both are given, or the data set cannot be read.
        typer.Exit: With status 2, if there is no image.
    """
    from ..scale.collection import image_files, parquet_files

    if dataset is not None:
        if paths:
            raise ValueError(f"--dataset {dataset}: give either PATH... or --dataset, got also {paths[0]}")
        return parquet_files(dataset, image_column, split)
    inputs = find_inputs(paths, output, allow_uris=True)
    if inputs.problems:
        raise ValueError("a collection is fixed when it is begun: leave out the paths that lead nowhere")
    if any(isinstance(job.source, bytes) for job in inputs.jobs):
        raise ValueError("-: standard input has no name; save the image as a file first")
    sources = [job.source for job in inputs.jobs]
    return image_files(os.path.abspath(source) if isinstance(source, Path) else str(source) for source in sources)


def _print_report(report: "RunReport", output: str) -> None:
    """The last lines of the command, and its exit status."""
    for problem in report.problems:
        print(f"mlnet: {problem}", file=sys.stderr)
    counts = report.shards
    there = f", {counts['there']} already there" if counts["there"] else ""
    redone = f" ({counts['redone']} anew: they were damaged)" if counts["redone"] else ""
    failed = f", {counts['failed']} failed" if counts["failed"] else ""
    errors = f"; {report.errors} of their {report.rows} rows have an error" if report.errors else ""
    written = counts["written"] + counts["redone"]
    print(f"{written} shards written into {output}{redone}{there}{failed}{errors}", file=sys.stderr)
    if report.problems or report.errors:
        raise typer.Exit(1 if report.rows > report.errors else 2)
