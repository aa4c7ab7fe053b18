"""What the page and its API answer: from uploads to maps, measurements and files."""

import json
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

import numpy as np
from PIL import Image

from .. import analysis
from ..images_mlnet import open_image
from ..io.json_types import JsonObject
from ..io.overlay import OPACITY, grey_image, overlay
from . import files
from .models import Models
from .results import Result, Settings, check_look, colored, parse_boxes
from .uploads import GONE, Upload, read_upload, receive
from .video import Clip, Moment, first_frame, render_clip

RESULTS = 16  # kept in memory, of up to 18 MB each: one pass through the network, whatever is done with its map
MAX_FILES = 200  # images of a report
PROGRESS = 8  # frames from one message about the progress to the next
SAMPLES = 8  # noisy copies for the pixels that moved the map: enough to see them, and a second or two on two cores
SAME_PLACE = "the second design has no boxes of its own: the same places are measured in both"


class Compared(NamedTuple):
    """Two designs on one scale: their results and maps, the comparison of their boxes, and reasons to doubt it."""

    results: list[Result]
    maps: tuple[np.ndarray, np.ndarray]
    comparison: analysis.Comparison
    notes: list[str]
    has_boxes: bool


class Answers:
    """Everything the page can do.

    Args:
        models: The checkpoints to choose from.
        folder: Folder of uploads and results.
    """

    def __init__(self, models: Models, folder: Path):
        self.models, self.folder = models, folder
        self._kept = lru_cache(RESULTS)(self._predict)

    def receive(self, payload: object, what: str = "image") -> Upload:
        """As `uploads.receive`."""
        return receive(payload, self.folder, what)

    def place(self, name: str) -> Path:
        """A path for a new file of this name."""
        return files.place(self.folder, name)

    def save(self, name: str, content: Image.Image | np.ndarray | str) -> str:
        """Writes a new file, as `files.write`."""
        return files.write(self.place(name), content)

    def open(self, upload: Upload, settings: Settings = Settings()) -> Result:
        """Predicts an uploaded image.

        Raises:
            ValueError: If it is no image, is kept no longer, or the model is unknown.
        """
        if not upload.path.is_file():
            raise ValueError(GONE.format("image"))
        model = settings.model or self.models.default
        known = self.models.predictor(model).recordings
        recording = settings.recording if settings.recording in known else next(iter(known), None)
        settings = Settings(model, recording, bool(settings.apply_prior))
        return self._kept(upload, settings, upload.path.stat().st_mtime_ns)

    def _predict(self, upload: Upload, settings: Settings, _changed: int) -> Result:
        image, size = read_upload(upload)
        predictor = self.models.predictor(str(settings.model))
        options = {"apply_prior": settings.apply_prior, "recording": settings.recording}
        [prediction] = predictor.stream([image], **options)
        if prediction.saliency_map is None:
            raise ValueError(f"{upload.name} cannot be predicted: {prediction.error}")
        return Result(upload, settings, image, prediction.saliency_map, size)

    def model(self, settings: Settings) -> analysis.Model:
        """The model of a map, for documents, named as the page calls it."""
        name = settings.model or self.models.default
        described = analysis.Model.describe(self.models.choices[name], bool(settings.apply_prior), "off")
        return replace(described, name=name)

    def map_files(self, result: Result, opacity: object = OPACITY, colormap: object = "inferno") -> list[str]:
        """Files of the overlay (PNG), the map (8-bit grey PNG) and its values (npy)."""
        contents = {
            "overlay.png": result.draw("Heat", opacity, colormap),
            "map.png": grey_image(result.saliency_map),
            "npy": result.saliency_map,
        }
        return [self.save(f"{result.stem}.{kind}", content) for kind, content in contents.items()]

    def measure(self, result: Result, boxes: str) -> tuple[list[analysis.Region], list[str]]:
        """Shares of boxes; and the files of the overlay with the boxes, of JSON and of CSV.

        Raises:
            ValueError: As `parse_boxes`, or if there is no box.
        """
        parsed = parse_boxes(boxes, result.size)
        if not parsed:
            raise ValueError("Draw or type at least one box: x, y, width, height in pixels, one box a line.")
        regions = analysis.measure_regions(result.saliency_map, parsed, result.size)
        shown = analysis.draw_regions(result.draw(), regions, result.size)
        details = {"image": result.upload.name, "width": result.size[0], "height": result.size[1]}
        tables = self._tables(f"{result.stem}.regions", map(asdict, regions), details)
        return regions, [self.save(f"{result.stem}.regions.png", shown), *tables]

    def compare(self, results: list[Result], boxes: str, second_boxes: str) -> tuple[Compared, list[str]]:
        """Two designs on one scale; and the files of JSON and of CSV.

        Args:
            results: Both designs.
            boxes: Boxes of the first design, as text; without any, its nine ninths.
            second_boxes: Boxes of the second design, matched by name; without any, the same places are measured.

        Raises:
            ValueError: As `parse_boxes`, or if only the second design has boxes.
        """
        first, second = results
        parsed, parsed_second = parse_boxes(boxes, first.size), parse_boxes(second_boxes, second.size)
        if parsed_second and not parsed:
            raise ValueError("Give the boxes of the first design, too: they are matched by name.")
        maps = first.saliency_map, second.saliency_map
        given = parsed or analysis.ninths(first.size), parsed_second or None
        sizes = {"first_size": first.size, "second_size": second.size}
        comparison = analysis.compare_regions(*maps, *given, **sizes)
        notes = [*([SAME_PLACE] if parsed and comparison.same_place else []), *comparison.warnings]
        names = {"first": first.upload.name, "second": second.upload.name}
        details = {**names, "width": first.size[0], "height": first.size[1]}
        details |= {"same_place": comparison.same_place, "notes": notes}
        tables = self._tables(f"{first.stem}.compared", map(asdict, comparison.regions), details)
        return Compared(results, analysis.to_one_scale(*maps), comparison, notes, bool(parsed)), tables

    def comparison_images(self, compared: Compared) -> list[str]:
        """Files of both overlays with their boxes, and of both maps' values, on their common scale."""
        shown, values = [], []
        regions = (compared.comparison.first, compared.comparison.second) if compared.has_boxes else ([], [])
        for number, (result, saliency_map, drawn) in enumerate(
            zip(compared.results, compared.maps, regions, strict=True), 1
        ):
            image = analysis.draw_regions(overlay(result.image, saliency_map), drawn, result.size)
            shown.append(self.save(f"{result.stem}.{number}.png", image))
            values.append(self.save(f"{result.stem}.{number}.npy", saliency_map))
        return [*shown, *values]

    def _tables(self, stem: str, rows: Iterable[JsonObject], details: JsonObject) -> list[str]:
        document = {**details, "regions": list(rows)}
        texts = {"json": json.dumps(document, indent=1), "csv": analysis.to_csv(document["regions"])}
        return [self.save(f"{stem}.{kind}", text) for kind, text in texts.items()]

    def crops(self, result: Result, shapes: Sequence[str]) -> str:
        """A ZIP file of an image's crops at its full resolution, and crops.json.

        Raises:
            ValueError: As `best_crop`.
        """
        crops = [analysis.best_crop(result.saliency_map, shape, result.size) for shape in shapes]
        whole = open_image(result.upload.path)
        if whole.mode not in ("L", "LA", "P", "RGB", "RGBA"):
            whole = whole.convert("RGB")
        kind = "JPEG" if whole.mode in ("L", "RGB") and "transparency" not in whole.info else "PNG"
        path = self.place(f"{result.stem}.crops.zip")
        with ZipFile(path, "w") as archive:
            for crop in crops:
                name = f"{result.stem}.{crop.aspect.replace(':', 'x')}.{'jpg' if kind == 'JPEG' else 'png'}"
                with archive.open(name, "w") as file:
                    part = whole.crop((crop.x, crop.y, crop.x + crop.width, crop.y + crop.height))
                    part.save(file, kind, quality=92)
            document = analysis.crops_document(result.describe(), crops, self.model(result.settings))
            archive.writestr("crops.json", analysis.to_json(document))
        return str(path)

    def report(
        self, uploads: Sequence[Upload], settings: Settings
    ) -> Iterator[tuple[int, tuple[str, list[str]] | None]]:
        """Ranks images.

        Yields:
            How many are done and `None`; at the end the page as text, and the files of it and of its CSV.

        Raises:
            ValueError: If none can be read, or there are too many.
        """
        if not 1 <= len(uploads) <= MAX_FILES:
            raise ValueError(f"Choose a folder or several images, at most {MAX_FILES}; these are {len(uploads)}.")
        rows, problems = [], []
        for number, upload in enumerate(uploads):
            yield number, None
            try:
                result = self.open(upload, settings)
            except ValueError as error:
                problems.append(str(error))
                continue
            answer = analysis.Answer(result.describe(), analysis.focus(result.saliency_map))
            rows.append(analysis.ReportRow.from_map(answer, upload.name, result.image, result.saliency_map))
        if not rows:
            raise ValueError(problems[0])
        page = analysis.report_html(rows, "Predicted attention", self.model(settings), problems)
        texts = {"report.html": page, "report.csv": analysis.to_csv(analysis.report_rows(rows))}
        yield len(uploads), (page, [self.save(name, text) for name, text in texts.items()])

    def why(self, result: Result) -> tuple[list[JsonObject], str, list[str]]:
        """Explains an image's map.

        Returns:
            Per level `level`, `gradient` and `contribution` (parts of all, 0..1); the prior in words; and the files of
            the map before the prior, the prior, the map behind it, and the pixels that moved it.
        """
        from ..attribution import level_importance, prior_map  # imports PyTorch, which nothing else here needs
        from ..attribution.explain import image_panels

        model, recording, apply_prior = result.settings
        predictor = self.models.predictor(str(model))
        importance = level_importance(predictor, [result.image], apply_prior, recording)
        shares = [importance.shares(measure) for measure in ("mean", "mean_contribution")]
        levels = [
            {"level": name, "gradient": gradient["mean"], "contribution": contribution["mean"]}
            for name, gradient, contribution in zip(importance.levels, *shares, strict=True)
        ]
        panels = image_panels(predictor, result.image, SAMPLES, apply_prior=apply_prior, recording=recording)
        paths = [
            self.save(f"{result.stem}.{title.replace(' ', '_')}.png", colored(values, "inferno"))
            for title, values in panels.items()
            if title != "image"
        ]
        return levels, prior_map(predictor.model, recording=recording).words(), paths

    def video(
        self, upload: Upload, settings: Settings, opacity: object, colormap: object, boxes: str = ""
    ) -> Generator[tuple[list[Moment], int, str | None], None, None]:
        """Renders a clip; boxes are in pixels of `first_frame`.

        Yields:
            At every eighth frame the moments so far, how many are expected (0 if the clip does not tell) and `None`;
            at the end all moments, their number, and the file.

        Raises:
            ValueError: As `Clip`, `parse_boxes` and `check_look`.
        """
        look = check_look("Heat", opacity, colormap)
        predictor = self.models.predictor(settings.model or self.models.default)
        regions = parse_boxes(boxes, first_frame(upload).shape[1::-1]) if boxes.strip() else []
        path, clip = self.place(f"{Path(upload.name).stem[:60] or 'clip'}.saliency.mp4"), Clip(upload)
        moments: list[Moment] = []
        for moment in render_clip(predictor, clip, path, *look, bool(settings.apply_prior), regions):
            moments.append(moment)
            if len(moments) % PROGRESS == 1:
                yield moments, clip.expected, None
        yield moments, len(moments), str(path)
