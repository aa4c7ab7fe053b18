"""`mlnet compare`."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .answers import (
    BoxesOption,
    BoxOption,
    FailOption,
    ModelOption,
    Outcome,
    PriorOption,
    TilesOption,
    UnitsOption,
    check_folder,
    describe_image,
    find_files,
    image_path,
    open_predictor,
    parse_choices,
    predicted,
    write_text,
)

if TYPE_CHECKING:
    import numpy as np

    from ..analysis import Box, BoxSource, Comparison, Condition
    from ..analysis.documents import Model
    from ..inference.inputs import Job

FORMATS = ("json", "csv", "png", "html")


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
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the results.", metavar="DIR")
    ] = None,
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
    from ..analysis import BoxSource, ComparedRegion, parse_condition

    chosen = parse_choices(formats, FORMATS, "--format")
    conditions = [parse_condition(text, ComparedRegion) for text in fail_if or ()]
    sources = (
        BoxSource(box or (), boxes or (), units),
        BoxSource(second_box or (), second_boxes or (), units),
    )
    if output is not None:
        check_folder(output)
    outcome = Outcome()
    jobs = find_files([first], Path("."), outcome) + find_files([second], Path("."), outcome)
    if len(jobs) != 2:
        raise ValueError(f"give two image files, got {len(jobs)}")
    for line in (line for source in sources for line in source.problems()):
        outcome.problem(line)
    predictor, details = open_predictor(model, prior, tiles)
    with predicted(predictor, jobs, details, outcome, "comparing") as results:
        designs = [(image, saliency_map) for _, image, saliency_map in results]
    if len(designs) != 2:
        raise typer.Exit(2)
    work = _Comparison(jobs, designs, sources, outcome)
    outcome.done = 1
    work.show(conditions)
    if output is not None:
        work.write(output, chosen, details)
    outcome.exit()


class _Comparison:
    """Two predicted designs with their boxes."""

    def __init__(
        self,
        jobs: "list[Job]",
        designs: "list[tuple[np.ndarray, np.ndarray]]",
        sources: "tuple[BoxSource, BoxSource]",
        outcome: Outcome,
    ):
        from ..analysis import compare_regions, ninths

        self.jobs, self.outcome = jobs, outcome
        self.images, self.maps = zip(*designs, strict=True)
        self.sizes = [(image.shape[1], image.shape[0]) for image in self.images]
        self.problems: list[list[str]] = [[], []]
        boxes = self._boxes(sources[0], 0) if sources[0] else ninths(self.sizes[0])
        own = sources[1] if sources[1] else sources[0] if sources[0].names_image(image_path(jobs[1])) else None
        second_boxes = self._boxes(own, 1) if own is not None else None
        self.comparison: Comparison = compare_regions(self.maps[0], self.maps[1], boxes, second_boxes)

    def _boxes(self, source: "BoxSource", number: int) -> "list[Box]":
        boxes, self.problems[number] = source.for_image(image_path(self.jobs[number]), self.sizes[number])
        for line in self.problems[number]:
            self.outcome.problem(line)
        return boxes

    def show(self, conditions: "list[Condition]") -> None:
        """Prints the comparison, and reports every condition that is true."""
        import sys

        from ..analysis import by_change, in_words
        from ..analysis.report import SAME_PLACE

        notes = [*([SAME_PLACE] if self.comparison.same_place else []), *self.comparison.warnings]
        for line in notes:
            print(f"mlnet: {line}", file=sys.stderr)
        changed = by_change(self.comparison.regions)
        alone = [region for region in self.comparison.regions if region.difference is None]
        for region in [*changed, *alone]:
            print(in_words(region))
        for condition in conditions:
            try:
                value = condition.find_value(self.comparison.regions)
            except ValueError as error:
                self.outcome.problem(f"--fail-if {error}")
                continue
            if condition.holds(value):
                self.outcome.problem(f"--fail-if {condition.text} is true: it is {value:.4f}")

    def write(self, output: Path, formats: list[str], details: "Model") -> None:
        """Writes `comparison.*`."""
        from dataclasses import asdict

        from ..analysis import (
            Answer,
            comparison_document,
            comparison_html,
            draw_answer,
            focus,
            side_by_side,
            to_csv,
            to_json,
            to_one_scale,
        )
        from ..io.atomic import write_whole
        from ..io.overlay import overlay

        measured = (self.comparison.first, self.comparison.second)
        answers = [
            Answer(describe_image(job, image), focus(saliency_map), regions, None, problems)
            for job, image, saliency_map, regions, problems in zip(
                self.jobs, self.images, self.maps, measured, self.problems, strict=True
            )
        ]
        first, second = answers
        if "json" in formats:
            document = comparison_document(first, second, self.comparison, details)
            write_text(output / "comparison.json", to_json(document))
        if "csv" in formats:
            write_text(output / "comparison.csv", to_csv([asdict(region) for region in self.comparison.regions]))
        scaled = zip(self.images, to_one_scale(*self.maps), answers, strict=True)
        shown = [draw_answer(overlay(image, saliency_map), answer) for image, saliency_map, answer in scaled]
        if "png" in formats:
            save = partial(side_by_side(*shown).save, format="PNG", compress_level=1)
            write_whole(output / "comparison.png", save)
        if "html" in formats:
            page = comparison_html((first, second), (shown[0], shown[1]), self.comparison, details)
            write_text(output / "comparison.html", page)
