"""`mlnet compare`."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..io.locations import write_file
from .answers import Outcome, PredictedImage, check_conditions, find_files, open_predictor, predicted
from .options import (
    FORMATS,
    OUTPUT,
    BoxesOption,
    BoxOption,
    FailOption,
    ModelOption,
    PriorOption,
    TilesOption,
    UnitsOption,
    check_folder,
    parse_formats,
)

if TYPE_CHECKING:
    from ..analysis import Answer, Comparison
    from ..analysis.documents import Model


def compare(
    first: Annotated[str, typer.Argument(help="The first design, A.", metavar="A")],
    second: Annotated[str, typer.Argument(help="The second design, B.", metavar="B")],
    box: BoxOption = None,
    boxes: BoxesOption = None,
    second_box: Annotated[
        list[str] | None,
        typer.Option("--second-box", help="Box of the second design, as --box.", metavar="NAME:X,Y,W,H"),
    ] = None,
    second_boxes: Annotated[
        list[str] | None,
        typer.Option("--second-boxes", help="Box file of the second design, as --boxes.", metavar="FILE"),
    ] = None,
    units: UnitsOption = "auto",
    output: Annotated[Path | None, OUTPUT] = None,
    formats: Annotated[
        str, typer.Option("--format", help="json, csv, png, html: comparison.json and so on; several with commas.")
    ] = "json,csv,png",
    fail_if: FailOption = None,
    model: ModelOption = "mini",
    prior: PriorOption = True,
    tiles: TilesOption = "auto",
) -> None:
    """Compare how much predicted attention named boxes hold in two designs.

    Boxes belong to a design and are matched by name. Without boxes of the second design the same place is measured in
    both, and a line says so; without any boxes, the nine ninths of the image.

    Example: mlnet compare old.png new.png --boxes old.csv --second-boxes new.csv -o answers

    Example: mlnet compare old.png new.png --boxes old.csv --second-boxes new.csv --fail-if 'button.difference<-1%'

    Exit status: 0 all done, 1 a box failed or a --fail-if is true, 2 nothing could be done.
    """
    from ..analysis import Answer, BoxSource, ComparedRegion, compare_regions, focus, ninths, parse_condition

    chosen = parse_formats(formats, FORMATS)
    conditions = [parse_condition(text, ComparedRegion) for text in fail_if or ()]
    source = BoxSource(box or (), boxes or (), units)
    second_source = BoxSource(second_box or (), second_boxes or (), units)
    if second_source and not source:
        raise typer.BadParameter("is needed, too: the boxes of both designs are matched by name", param_hint="--boxes")
    if output is not None:
        check_folder(output)
    outcome = Outcome()
    jobs = find_files([first], Path("."), outcome) + find_files([second], Path("."), outcome)
    if len(jobs) != 2:
        raise ValueError(f"give two image files, got {len(jobs)}")
    for line in [*source.problems(), *second_source.problems()]:
        outcome.problem(line)
    predictor, details = open_predictor(model, prior, tiles)
    designs = list(predicted(predictor, jobs, details, outcome, "comparing"))
    if len(designs) != 2:
        raise typer.Exit(2)
    outcome.done = 1
    before, after = designs
    boxes_before, problems = before.find_boxes(source, outcome) if source else (ninths(before.size), [])
    if not second_source and source.names_image(after.path):
        second_source = source
    boxes_after, second_problems = after.find_boxes(second_source, outcome) if second_source else (None, [])
    comparison = compare_regions(before.saliency_map, after.saliency_map, boxes_before, boxes_after)
    _print_comparison(comparison)
    check_conditions(conditions, comparison.regions, outcome)
    if output is not None:
        answers = (
            Answer(before.file, focus(before.saliency_map), comparison.first, None, problems),
            Answer(after.file, focus(after.saliency_map), comparison.second, None, second_problems),
        )
        _write_comparison(output, chosen, (before, after), answers, comparison, details)
    outcome.exit()


def _print_comparison(comparison: "Comparison") -> None:
    from ..analysis import SAME_PLACE, by_change, in_words

    for line in [*([SAME_PLACE] if comparison.same_place else []), *comparison.warnings]:
        print(f"mlnet: {line}", file=sys.stderr)
    alone = [region for region in comparison.regions if region.difference is None]
    for region in [*by_change(comparison.regions), *alone]:
        print(in_words(region))


def _write_comparison(
    output: Path,
    formats: list[str],
    designs: tuple[PredictedImage, PredictedImage],
    answers: "tuple[Answer, Answer]",
    comparison: "Comparison",
    details: "Model",
) -> None:
    """Writes `comparison.*`."""
    from ..analysis import (
        comparison_document,
        comparison_html,
        draw_answer,
        side_by_side,
        to_csv,
        to_json,
        to_one_scale,
    )
    from ..io.overlay import overlay, to_png

    if "json" in formats:
        document = comparison_document(*answers, comparison, details)
        write_file(output / "comparison.json", to_json(document).encode())
    if "csv" in formats:
        rows = [asdict(region) for region in comparison.regions]
        write_file(output / "comparison.csv", to_csv(rows).encode())
    first_map, second_map = to_one_scale(designs[0].saliency_map, designs[1].saliency_map)
    shown = (
        draw_answer(overlay(designs[0].image, first_map), answers[0]),
        draw_answer(overlay(designs[1].image, second_map), answers[1]),
    )
    if "png" in formats:
        write_file(output / "comparison.png", to_png(side_by_side(*shown)))
    if "html" in formats:
        page = comparison_html(answers, shown, comparison, details)
        write_file(output / "comparison.html", page.encode())
