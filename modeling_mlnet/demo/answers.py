"""What the page and its API answer: from uploads to maps, measurements and files, by checkpoints to choose from."""

import json
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from zipfile import ZipFile

import numpy as np
from PIL import Image

from .. import analysis
from ..analysis.clips import Clip, Moment, first_frame, render_clip
from ..hub.registry import ALIASES, is_here, read_manifest
from ..images_mlnet import open_image
from ..inference.predictor import SaliencyPredictor
from ..io.json_types import JsonObject
from ..io.overlay import OPACITY, grey_image, overlay
from .files import GONE, Files, Upload, read_upload
from .results import Result, Settings, check_look, colored, parse_boxes

RESULTS = 32  # in the cache, up to 18 MB each, so that another view of a map needs no network
MAX_FILES = 200  # images of a report
PROGRESS = 8  # frames from one message about the progress to the next
SAMPLES = 8  # noisy copies for the pixels that moved the map: enough to see them, and a second or two on two cores


class Models:
    """The checkpoint the page was started with, loaded now, and those of the registry that need no download."""

    def __init__(self, model: str):
        self.default = Path(model).name if Path(model).is_dir() else model
        called = {name: alias for alias, name in ALIASES.items()}
        here = [called.get(name, name) for name, entry in read_manifest().items() if is_here(entry)]
        others = {name: name for name in here if ALIASES.get(name, name) != ALIASES.get(model, model)}
        self.choices = {self.default: model, **others}
        self._predictors: dict[str, SaliencyPredictor] = {}
        self._lock = threading.Lock()
        self.predictor(self.default)

    def predictor(self, name: str) -> SaliencyPredictor:
        """The predictor of a model, loaded and run once when it is asked for first.

        Raises:
            ValueError: If it is none of `choices`.
        """
        if name not in self.choices:
            raise ValueError(f"The model must be one of {', '.join(self.choices)}, got {str(name)[:40]!r}.")
        with self._lock:
            if name not in self._predictors:
                predictor = SaliencyPredictor(self.choices[name])
                predictor(np.zeros((240, 320, 3), dtype=np.uint8))  # loads the network, which no visitor waits for
                self._predictors[name] = predictor
            return self._predictors[name]


class Answers:
    """Everything the page can do; what is wrong is a ValueError."""

    def __init__(self, models: Models, files: Files):
        self.models, self.files = models, files
        self.names: dict[Upload, str] = {}  # of examples
        self._predict_cached = lru_cache(RESULTS)(self._predict)

    def open(self, upload: Upload, settings: Settings | None = None, cached: bool = True) -> Result:
        """Predicts an uploaded image, by default with the default model."""
        if not upload.path.is_file():
            raise ValueError(GONE.format("image"))
        model, apply_prior = settings or Settings(self.models.default)
        predict = self._predict_cached if cached else self._predict
        return predict(upload, Settings(str(model), bool(apply_prior)))

    def _predict(self, upload: Upload, settings: Settings) -> Result:
        image, size = read_upload(upload)
        predictor = self.models.predictor(settings.model)
        [prediction] = predictor.stream([image], apply_prior=settings.apply_prior)
        if prediction.saliency_map is None:
            raise ValueError(f"{upload.name} cannot be predicted: {prediction.error}")
        return Result(upload, settings, image, prediction.saliency_map, size)

    def model(self, settings: Settings) -> analysis.Model:
        """The model of a map, for documents, named as the page calls it."""
        described = analysis.Model.describe(self.models.choices[settings.model], settings.apply_prior, "off")
        return replace(described, name=settings.model)

    def map_files(self, result: Result, opacity: object = OPACITY, colormap: object = "inferno") -> list[str]:
        """Files of the overlay (PNG), the map (8-bit grey PNG) and its values (npy)."""
        contents: dict[str, Image.Image | np.ndarray] = {
            "overlay.png": result.draw("Heat", opacity, colormap),
            "map.png": grey_image(result.saliency_map),
            "npy": result.saliency_map,
        }
        return [self.files.save(f"{result.stem}.{kind}", content) for kind, content in contents.items()]

    def measure(self, result: Result, boxes: str) -> tuple[list[analysis.Region], list[str]]:
        """Shares of boxes, given as of `parse_boxes`; and the files of the overlay with them, of JSON and of CSV."""
        parsed = parse_boxes(boxes, result.size)
        if not parsed:
            raise ValueError("Draw or type at least one box: x, y, width, height in pixels, one box a line.")
        regions = analysis.measure_regions(result.saliency_map, parsed, result.size)
        shown = analysis.draw_regions(result.draw(), regions, result.size)
        details = {"image": result.upload.name, "width": result.size[0], "height": result.size[1]}
        tables = self._tables(f"{result.stem}.regions", map(asdict, regions), details)
        return regions, [self.files.save(f"{result.stem}.regions.png", shown), *tables]

    def compare(
        self, results: Sequence[Result], boxes: str, second_boxes: str
    ) -> tuple[analysis.Comparison, list[str], list[str]]:
        """Two designs, box by box, with reasons to doubt it, and the files of JSON and of CSV.

        Boxes, as of `parse_boxes`, are matched by name. Without any of the second design the same places are measured;
        without any at all, the nine ninths.
        """
        first, second = results
        parsed, parsed_second = parse_boxes(boxes, first.size), parse_boxes(second_boxes, second.size)
        if parsed_second and not parsed:
            raise ValueError("Give the boxes of the first design, too: they are matched by name.")
        given = parsed or analysis.ninths(first.size), parsed_second or None
        comparison = analysis.compare_regions(
            first.saliency_map, second.saliency_map, *given, first_size=first.size, second_size=second.size
        )
        notes = [*([analysis.SAME_PLACE] if parsed and comparison.same_place else []), *comparison.warnings]
        details = {"first": first.upload.name, "second": second.upload.name, "width": first.size[0]}
        details |= {"height": first.size[1], "same_place": comparison.same_place, "notes": notes}
        tables = self._tables(f"{first.stem}.compared", map(asdict, comparison.regions), details)
        return comparison, notes, tables

    def comparison_images(self, results: Sequence[Result], drawn: Sequence[Sequence[analysis.Region]]) -> list[str]:
        """Files of both overlays with boxes drawn on them, and of both maps' values, on a common scale."""
        shown, values = [], []
        maps = analysis.to_one_scale(*(result.saliency_map for result in results))
        for number, (result, saliency_map, regions) in enumerate(zip(results, maps, drawn, strict=True), 1):
            image = analysis.draw_regions(overlay(result.image, saliency_map), regions, result.size)
            shown.append(self.files.save(f"{result.stem}.{number}.png", image))
            values.append(self.files.save(f"{result.stem}.{number}.npy", saliency_map))
        return [*shown, *values]

    def _tables(self, stem: str, rows: Iterable[JsonObject], details: JsonObject) -> list[str]:
        document = {**details, "regions": list(rows)}
        texts = {"json": json.dumps(document, indent=1), "csv": analysis.to_csv(document["regions"])}
        return [self.files.save(f"{stem}.{kind}", text) for kind, text in texts.items()]

    def crops(self, result: Result, shapes: Sequence[str]) -> str:
        """A ZIP file of an image's crops at its full resolution, and crops.json."""
        crops = [analysis.best_crop(result.saliency_map, shape, result.size) for shape in shapes]
        whole = open_image(result.upload.path.read_bytes())
        if whole.mode not in ("L", "LA", "P", "RGB", "RGBA"):
            whole = whole.convert("RGB")
        kind = "JPEG" if whole.mode in ("L", "RGB") and "transparency" not in whole.info else "PNG"
        path = self.files.place(f"{result.stem}.crops.zip")
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
            How many are done and `None`; at the end how many are ranked, and the page as text with its files.
        """
        if not 1 <= len(uploads) <= MAX_FILES:
            raise ValueError(f"Choose a folder or several images, at most {MAX_FILES}; these are {len(uploads)}.")
        rows, problems = [], []
        for number, upload in enumerate(uploads):
            yield number, None
            try:
                result = self.open(upload, settings, cached=False)  # it would push out what visitors look at
            except ValueError as error:
                problems.append(str(error))
                continue
            answer = analysis.Answer(result.describe(), analysis.focus(result.saliency_map))
            rows.append(analysis.ReportRow.from_map(answer, upload.name, result.image, result.saliency_map))
        if not rows:
            raise ValueError(problems[0])
        page = analysis.report_html(rows, "Predicted attention", self.model(settings), problems)
        texts = {"report.html": page, "report.csv": analysis.to_csv(analysis.report_rows(rows))}
        yield len(rows), (page, [self.files.save(name, text) for name, text in texts.items()])

    def why(self, result: Result) -> tuple[list[JsonObject], str, list[str]]:
        """Explains an image's map.

        Returns:
            Per level `level`, `gradient` and `contribution` (parts of all, 0..1); the prior in words; and the files of
            the map before the prior, the prior, the map behind it, and the pixels that moved it.
        """
        from ..attribution import level_importance, prior_map  # imports PyTorch, which nothing else here needs
        from ..attribution.explain import image_panels

        predictor, apply_prior = self.models.predictor(result.settings.model), result.settings.apply_prior
        importance = level_importance(predictor, [result.image], apply_prior)
        shares = [importance.shares(measure) for measure in ("mean", "mean_contribution")]
        levels = [
            {"level": name, "gradient": gradient["mean"], "contribution": contribution["mean"]}
            for name, gradient, contribution in zip(importance.levels, *shares, strict=True)
        ]
        panels = image_panels(predictor, result.image, SAMPLES, apply_prior=apply_prior)
        paths = [
            self.files.save(f"{result.stem}.{title.replace(' ', '_')}.png", colored(values, "inferno"))
            for title, values in panels.items()
            if title != "image"
        ]
        return levels, prior_map(predictor.model).words(), paths

    def video(
        self, upload: Upload, settings: Settings, opacity: object, colormap: object, boxes: str = ""
    ) -> Generator[tuple[list[Moment], int, str | None], None, None]:
        """Renders a clip; boxes are in pixels of `first_frame`.

        Yields:
            At every eighth frame the moments so far, how many are expected (0 if the clip does not tell) and `None`;
            at the end all moments, their number, and the file.
        """
        look, predictor = check_look("Heat", opacity, colormap), self.models.predictor(settings.model)
        regions = parse_boxes(boxes, first_frame(upload.path, upload.name).shape[1::-1]) if boxes.strip() else []
        path = self.files.place(f"{Path(upload.name).stem[:60] or 'clip'}.saliency.mp4")
        moments, clip = [], Clip(upload.path, upload.name)
        for moment in render_clip(predictor, clip, path, *look, bool(settings.apply_prior), regions):
            moments.append(moment)
            if len(moments) % PROGRESS == 1:
                yield moments, clip.expected, None
        yield moments, len(moments), str(path)
