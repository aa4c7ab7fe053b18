"""`mlnet report`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ..io.locations import write_file
from .answers import Outcome, find_files, open_predictor, predicted
from .options import BoxesOption, BoxOption, ModelOption, PriorOption, TilesOption, UnitsOption


def report(
    paths: Annotated[list[str], typer.Argument(help="Folders, images or patterns.", metavar="FOLDER...")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The report; report.csv is written beside it.", metavar="FILE.html")
    ],
    box: BoxOption = None,
    boxes: BoxesOption = None,
    units: UnitsOption = "auto",
    title: Annotated[str, typer.Option(help="Title of the page.")] = "Predicted attention",
    model: ModelOption = "mini",
    prior: PriorOption = True,
    tiles: TilesOption = "auto",
) -> None:
    """Rank a folder of images: one HTML file with overlays, sortable by focus, strongest spot and shares of boxes.

    The file needs no other file and no network, and prints to PDF. The same rows are written as CSV.

    Example: mlnet report banners/ -o report.html --boxes boxes.csv

    Exit status: 0 all done, 1 some images or boxes failed, 2 nothing could be done.
    """
    from ..analysis import (
        Answer,
        BoxSource,
        ReportRow,
        focus,
        measure_regions,
        report_html,
        report_rows,
        to_csv,
    )

    if output.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{output}: the report's name must end in .html")
    source = BoxSource(box or (), boxes or (), units)
    outcome = Outcome()
    jobs = find_files(paths, output.parent, outcome)
    for line in source.problems():
        outcome.problem(line)
    predictor, details = open_predictor(model, prior, tiles)
    rows = []
    with outcome.until_stopped(len(jobs)):
        for design in predicted(predictor, jobs, details, outcome, "reporting"):
            image, saliency_map = design.image, design.saliency_map
            image_boxes, _ = design.find_boxes(source, outcome)
            answer = Answer(design.file, focus(saliency_map), measure_regions(saliency_map, image_boxes))
            rows.append(ReportRow.from_map(answer, design.name, image, saliency_map))
            outcome.done += 1
    if not rows:
        outcome.exit()
    page = report_html(rows, title, details, outcome.problems).encode()
    write_file(output, page)
    write_file(output.with_suffix(".csv"), to_csv(report_rows(rows)).encode())
    print(f"{len(rows)} of {len(jobs)} images in {output} ({len(page) / 1e6:.1f} MB)", file=sys.stderr)
    outcome.exit()
