"""`mlnet regions`."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..io.json_types import JsonObject
from .answers import (
    BoxesOption,
    BoxOption,
    FailOption,
    ImagesArgument,
    ModelOption,
    Outcome,
    PriorOption,
    TilesOption,
    UnitsOption,
    check_folder,
    describe_image,
    find_files,
    image_name,
    image_path,
    open_predictor,
    parse_choices,
    predicted,
    write_text,
)

if TYPE_CHECKING:
    import numpy as np

    from ..analysis import Answer, BoxSource, Condition, ReportRow
    from ..analysis.documents import Model
    from ..inference.inputs import Job
    from ..inference.predictor import SaliencyPredictor

FORMATS = ("json", "csv", "png", "html")
PAGE_SIDE = 640  # px of an image in regions.html


def regions(
    paths: ImagesArgument,
    box: BoxOption = None,
    boxes: BoxesOption = None,
    units: UnitsOption = "auto",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the results.", metavar="DIR")
    ] = None,
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
        str, typer.Option(help="Shape of the first screenful of a long page, which is measured separately.")
    ] = "1280x800",
) -> None:
    """Measure how much of the predicted attention each box holds, how focused the image is, and its strongest spots.

    Prints a table, and writes files into --output. Per box: its share of all predicted attention, its part of the
    image, share over area, and its rank, which is also the expected order of looking.

    Example: mlnet regions page.png --box button:40,240,120,40 --box logo:48,18,197,34 -o answers

    Example: mlnet regions designs/ --boxes boxes.csv -o answers --format csv,html --fail-if 'button.share<4%'

    Exit status: 0 all done, 1 some images or boxes failed or a --fail-if is true, 2 nothing could be done.
    """
    from ..analysis import BoxSource, parse_condition
    from ..analysis.tiles import parse_size

    chosen = parse_choices(formats, FORMATS, "--format")
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
    work = _Regions(source, conditions, details, predictor, screen_size, output, chosen, outcome)
    with predicted(predictor, jobs, details, outcome, "measuring") as results:
        for job, image, saliency_map in results:
            work.measure(job, image, saliency_map)
    work.end()
    outcome.exit()


class _Regions:
    """Measures images one by one, then writes the files on all of them."""

    def __init__(
        self,
        source: "BoxSource",
        conditions: "list[Condition]",
        details: "Model",
        predictor: "SaliencyPredictor",
        screen: tuple[int, int],
        output: Path | None,
        formats: list[str],
        outcome: Outcome,
    ):
        self.source, self.conditions, self.details, self.predictor = source, conditions, details, predictor
        self.screen, self.output, self.formats, self.outcome = screen, output, formats, outcome
        self.rows: list[JsonObject] = []
        self.report: list[ReportRow] = []

    def measure(self, job: "Job", image: "np.ndarray", saliency_map: "np.ndarray") -> None:
        """Measures one image and writes its own files."""
        from ..analysis import measure_image, region_rows

        size = (image.shape[1], image.shape[0])
        boxes, problems = self.source.for_image(image_path(job), size) if self.source else ([], [])
        for line in problems:
            self.outcome.problem(line)

        def predict(image: "np.ndarray") -> "np.ndarray":
            return next(self.predictor.maps([image], self.details.apply_prior))

        file = describe_image(job, image)
        answer = measure_image(predict, file, image, saliency_map, boxes, problems, self.screen)
        self.outcome.done += 1
        self.rows += region_rows(answer)
        print_answer(image_name(job), answer)
        check_conditions(self.conditions, answer, self.outcome)
        if self.output is not None:
            try:
                self._write(job, image, saliency_map, answer)
            except OSError as error:
                self.outcome.problem(f"{job.name}: its result cannot be written: {error}")

    def _write(self, job: "Job", image: "np.ndarray", saliency_map: "np.ndarray", answer: "Answer") -> None:
        from ..analysis import ReportRow, draw_answer, regions_document, to_json
        from ..io.atomic import write_whole
        from ..io.overlay import overlay

        assert self.output is not None
        stem = self.output / job.stem
        if "json" in self.formats:
            write_text(stem.with_name(f"{stem.name}.regions.json"), to_json(regions_document(answer, self.details)))
        if "png" in self.formats:
            shown = draw_answer(overlay(image, saliency_map), answer)
            save = partial(shown.save, format="PNG", compress_level=1)
            write_whole(stem.with_name(f"{stem.name}.regions.png"), save)
        if "html" in self.formats:
            self.report.append(ReportRow.from_map(answer, image_name(job), image, saliency_map, PAGE_SIDE))

    def end(self) -> None:
        """Writes the files on all images."""
        from ..analysis import report_html, to_csv

        if self.output is None:
            return
        if "csv" in self.formats and self.rows:
            write_text(self.output / "regions.csv", to_csv(self.rows))
        if "html" in self.formats and self.report:
            problems = [line for row in self.report for line in row.answer.problems]
            page = report_html(self.report, "Regions of predicted attention", self.details, problems)
            write_text(self.output / "regions.html", page)


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


def check_conditions(conditions: "list[Condition]", answer: "Answer", outcome: Outcome) -> None:
    """Reports every condition that is true, or cannot be checked."""
    for condition in conditions:
        try:
            value = condition.find_value(answer.regions, answer.focus.effective_area)
        except ValueError as error:
            outcome.problem(f"{answer.image.file}: --fail-if {error}")
            continue
        if condition.holds(value):
            outcome.problem(f"{answer.image.file}: --fail-if {condition.text} is true: it is {value:.4f}")
