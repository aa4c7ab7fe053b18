"""`mlnet regions`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..io.atomic import reason_of
from ..io.locations import write_file
from .answers import Outcome, PredictedImage, check_conditions, find_files, open_predictor, predicted
from .options import (
    FORMATS,
    OUTPUT,
    BoxesOption,
    BoxOption,
    FailOption,
    ImagesArgument,
    ModelOption,
    PriorOption,
    TilesOption,
    UnitsOption,
    check_folder,
    parse_formats,
)

if TYPE_CHECKING:
    import numpy as np

    from ..analysis import Answer
    from ..analysis.documents import Model

PAGE_SIDE = 640  # px of an image in regions.html


def regions(
    paths: ImagesArgument,
    box: BoxOption = None,
    boxes: BoxesOption = None,
    units: UnitsOption = "auto",
    output: Annotated[Path | None, OUTPUT] = None,
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            help="json (photo.regions.json), png (photo.regions.png), csv and html (regions.csv, regions.html): "
            "one or several, with commas.",
        ),
    ] = "json,csv,png",
    fail_if: FailOption = None,
    model: ModelOption = "mini",
    prior: PriorOption = True,
    tiles: TilesOption = "auto",
    screen: Annotated[
        str, typer.Option(help="Shape of a screen; of images taller than two, the first is measured separately.")
    ] = "1280x800",
) -> None:
    """Measure how much of the predicted attention each box holds, how focused the image is, and its strongest spots.

    Prints a table, and writes files into --output. Per box: its share of all predicted attention, its part of the
    image, share over area, and its rank, which is also the expected order of looking.

    Example: mlnet regions page.png --box button:40,240,120,40 --box logo:48,18,197,34 -o answers

    Example: mlnet regions designs/ --boxes boxes.csv -o answers --format csv,html --fail-if 'button.share<4%'

    Exit status: 0 all done, 1 some images or boxes failed or a --fail-if is true, 2 nothing could be done.
    """
    from ..analysis import (
        BoxSource,
        ReportRow,
        measure_image,
        parse_condition,
        region_rows,
        report_html,
        to_csv,
    )
    from ..analysis.tiles import parse_size

    chosen = parse_formats(formats, FORMATS)
    conditions = [parse_condition(text) for text in fail_if or ()]
    screen_size = parse_size(screen)
    source = BoxSource(box or (), boxes or (), units)
    if output is not None:
        check_folder(output)
    outcome = Outcome()
    jobs = find_files(paths, output or Path("."), outcome)
    for line in source.problems():
        outcome.problem(line)
    predictor, details = open_predictor(model, prior, tiles)

    def predict(image: "np.ndarray") -> "np.ndarray":
        return next(predictor.maps([image], prior))

    rows, report = [], []
    with outcome.until_stopped(len(jobs)):
        for design in predicted(predictor, jobs, details, outcome, "measuring"):
            image, saliency_map = design.image, design.saliency_map
            image_boxes, problems = design.find_boxes(source, outcome)
            answer = measure_image(predict, design.file, image, saliency_map, image_boxes, problems, screen_size)
            outcome.done += 1
            rows += region_rows(answer)
            print_answer(design.name, answer)
            where = f"{answer.image.file}: "
            check_conditions(conditions, answer.regions, outcome, answer.focus.effective_area, where)
            if output is None:
                continue
            try:
                _write_answer(output / design.job.stem, chosen, design, answer, details)
            except OSError as error:
                outcome.problem(f"{design.job.name}: its result cannot be written: {reason_of(error)}")
                continue
            if "html" in chosen:
                report.append(ReportRow.from_map(answer, design.name, image, saliency_map, PAGE_SIDE))
    if output is not None and "csv" in chosen and rows:
        write_file(output / "regions.csv", to_csv(rows).encode())
    if output is not None and report:
        stopped = outcome.problems[-1:] if outcome.stopped is not None else []
        lines = [*(line for row in report for line in row.answer.problems), *stopped]
        page = report_html(report, "Regions of predicted attention", details, lines)
        write_file(output / "regions.html", page.encode())
    outcome.exit()


def _write_answer(stem: Path, formats: list[str], design: PredictedImage, answer: "Answer", details: "Model") -> None:
    """Writes the files on one image."""
    from ..analysis import draw_answer, regions_document, to_json
    from ..io.overlay import overlay, to_png

    if "json" in formats:
        document = regions_document(answer, details)
        write_file(stem.with_name(f"{stem.name}.regions.json"), to_json(document).encode())
    if "png" in formats:
        shown = draw_answer(overlay(design.image, design.saliency_map), answer)
        write_file(stem.with_name(f"{stem.name}.regions.png"), to_png(shown))


def print_answer(name: str, answer: "Answer") -> None:
    """Prints the measurements of an image as a table."""
    from ..analysis import percent

    print(f"{name}: focus {percent(answer.focus.effective_area)} (effective area)")
    for spot in answer.focus.spots:
        print(f"  spot {spot.number}: {percent(spot.share)} at {spot.x:.0f},{spot.y:.0f} ({spot.where})")
    width = max([len(region.name) for region in answer.regions], default=0)
    for region in answer.regions:
        print(
            f"  {region.name:{width}}  share {percent(region.share):>7}  area {percent(region.area):>7}  "
            f"ratio {region.ratio:5.2f}  rank {region.rank}"
        )
    if answer.first_screen is not None:
        height = answer.first_screen.image.height
        print_answer(f"{name}, first screenful ({height} px)", answer.first_screen)
