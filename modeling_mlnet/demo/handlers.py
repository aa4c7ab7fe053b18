"""The functions behind the page and its API: from uploads to answers and files."""

import json
from collections.abc import Generator, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ..analysis import (
    Comparison,
    Region,
    compare_regions,
    draw_regions,
    measure_regions,
    ninths,
    to_csv,
    to_one_scale,
)
from ..io.json_types import JsonObject
from ..io.overlay import overlay
from . import images
from .boxes import parse_boxes
from .limits import Upload, receive
from .models import Models
from .store import Result, Store
from .video import Clip, Moment, first_frame, render_clip

PROGRESS = 8  # frames from one message about the progress to the next
SPOTS = 3
SAMPLES = 8  # noisy copies for the pixels that moved the map: enough to see them, and a second or two on two cores
SAME_PLACE = "the second design has no boxes of its own: the same places are measured in both"


class MapSettings(NamedTuple):
    """Settings that a map depends on besides the image.

    Args:
        model: One of `Models.choices`; `None` for the default.
        recording: A kind of recording; one that the model does not know, or `None`, is its first.
        apply_prior: Whether with the learned prior.
    """

    model: str | None = None
    recording: str | None = None
    apply_prior: bool = True


USUAL = MapSettings()


@dataclass(frozen=True)
class Compared:
    """Two designs on one scale.

    Args:
        comparison: Comparison of their boxes.
        notes: Reasons to doubt it, one a line.
        results: Results of both designs.
        maps: Maps of both as attention per area, 1 being the highest of either.
        drawn: Boxes to draw on both; none if the ninths were compared.
    """

    comparison: Comparison
    notes: list[str]
    results: tuple[Result, Result]
    maps: tuple[np.ndarray, np.ndarray]
    drawn: tuple[Sequence[Region], Sequence[Region]]


class Handlers:
    """Everything the page can do.

    Args:
        models: The checkpoints to choose from.
    """

    def __init__(self, models: Models):
        self.models = models

    def receive(self, payload: object, what: str = "image") -> Upload:
        """As `limits.receive`."""
        return receive(payload, self.models.folder, what)

    def store(self, settings: MapSettings) -> Store:
        """The results of a model."""
        return self.models.store(settings.model)

    def open(self, upload: Upload, settings: MapSettings = USUAL) -> Result:
        """Predicts an uploaded image.

        Raises:
            ValueError: If it is no image, is kept no longer, or the model is unknown.
        """
        if not upload.path.is_file():
            raise ValueError("This image is no longer kept. Choose it again.")
        return self.store(settings).predict(upload, bool(settings.apply_prior), self.recording(settings))

    def recording(self, settings: MapSettings) -> str | None:
        """The kind of recording that is predicted, by its name; `None` if the model knows one only."""
        known = self.store(settings).predictor.recordings
        return settings.recording if settings.recording in known else next(iter(known), None)

    def write_files(self, result: Result, opacity: float, colormap: str, settings: MapSettings = USUAL) -> list[str]:
        """Files of the overlay (PNG), the map (8-bit grey PNG) and its values (npy)."""
        store = self.store(settings)
        return [
            images.save_overlay(result, store, opacity, colormap),
            images.save_map(result, store),
            images.save_array(result.saliency_map, store.place(f"{result.stem}.npy")),
        ]

    def measure(self, result: Result, boxes: str) -> list[Region]:
        """Shares of boxes.

        Raises:
            ValueError: As `parse_boxes`, or if there is no box.
        """
        parsed = parse_boxes(boxes, result.size)
        if not parsed:
            raise ValueError("Draw or type at least one box: x, y, width, height in pixels, one box a line.")
        return measure_regions(result.saliency_map, parsed, result.size)

    def region_files(self, result: Result, regions: Sequence[Region], settings: MapSettings = USUAL) -> list[str]:
        """Files of the overlay with the boxes, of JSON and of CSV."""
        shown = draw_regions(overlay(result.image, result.saliency_map), regions, result.size)
        path = images.save_png(shown, self.store(settings).place(f"{result.stem}.regions.png"))
        details = {"image": result.name, "width": result.size[0], "height": result.size[1]}
        return [path, *self._tables(f"{result.stem}.regions", map(asdict, regions), details)]

    def compare(self, uploads: Sequence[Upload], boxes: str, second_boxes: str, settings: MapSettings) -> Compared:
        """Two designs on one scale.

        Args:
            uploads: The two images.
            boxes: Boxes of the first design, as text; without any, its nine ninths.
            second_boxes: Boxes of the second design, matched by name; without any, the same places are measured.
            settings: Settings of both maps.

        Raises:
            ValueError: As `open` and `parse_boxes`.
        """
        first, second = (self.open(upload, settings) for upload in uploads)
        parsed, parsed_second = parse_boxes(boxes, first.size), parse_boxes(second_boxes, second.size)
        if parsed_second and not parsed:
            raise ValueError("Give the boxes of the first design, too: they are matched by name.")
        comparison = compare_regions(
            *(first.saliency_map, second.saliency_map, parsed or ninths(first.size), parsed_second or None),
            first_size=first.size,
            second_size=second.size,
        )
        maps = to_one_scale(first.saliency_map, second.saliency_map)
        drawn = (comparison.first, comparison.second) if parsed else ([], [])
        notes = [SAME_PLACE] if parsed and comparison.same_place else []
        return Compared(comparison, [*notes, *comparison.warnings], (first, second), maps, drawn)

    def comparison_tables(self, compared: Compared) -> list[str]:
        """Files of JSON and of CSV."""
        first, second = compared.results
        details = {"first": first.name, "second": second.name, "width": first.size[0], "height": first.size[1]}
        details |= {"same_place": compared.comparison.same_place, "notes": compared.notes}
        return self._tables(f"{first.stem}.compared", map(asdict, compared.comparison.regions), details)

    def comparison_images(self, compared: Compared) -> list[str]:
        """Files of both overlays, and of both maps' values, on their common scale."""
        store, shown, values = self.models.store(), [], []
        designs = zip(compared.results, compared.maps, compared.drawn, strict=True)
        for number, (result, saliency_map, regions) in enumerate(designs, 1):
            drawn = draw_regions(overlay(result.image, saliency_map), regions, result.size)
            shown.append(images.save_png(drawn, store.place(f"{result.stem}.{number}.png")))
            values.append(images.save_array(saliency_map, store.place(f"{result.stem}.{number}.npy")))
        return [*shown, *values]

    def _tables(self, stem: str, rows: Iterable[JsonObject], details: JsonObject) -> list[str]:
        rows, store = list(rows), self.models.store()
        json_path, csv_path = store.place(f"{stem}.json"), store.place(f"{stem}.csv")
        json_path.write_text(json.dumps({**details, "regions": rows}, indent=1), encoding="utf-8")
        csv_path.write_text(to_csv(rows), encoding="utf-8")
        return [str(json_path), str(csv_path)]

    def why(self, upload: Upload, settings: MapSettings) -> tuple[list[JsonObject], str, list[str]]:
        """Explains an image's map.

        Returns:
            Per level `level`, `gradient` and `contribution` (parts of all, 0..1); the prior in words; and the files of
            the map before the prior, the prior, the map behind it, and the pixels that moved it.

        Raises:
            ValueError: As `open`.
        """
        from ..attribution import level_importance, prior_map  # imports PyTorch, which nothing else here needs
        from ..attribution.explain import image_panels

        result, store = self.open(upload, settings), self.store(settings)
        predictor, apply_prior, kind = store.predictor, bool(settings.apply_prior), self.recording(settings)
        importance = level_importance(predictor, [result.image], apply_prior, kind)
        shares = [importance.shares(measure) for measure in ("mean", "mean_contribution")]
        levels = [
            {"level": name, "gradient": gradient["mean"], "contribution": contribution["mean"]}
            for name, gradient, contribution in zip(importance.levels, *shares, strict=True)
        ]
        panels = image_panels(predictor, result.image, SAMPLES, apply_prior=apply_prior, recording=kind)
        panels.pop("image")
        files = []
        for title, values in panels.items():
            path = store.place(f"{result.stem}.{title.replace(' ', '_')}.png")
            files.append(images.save_png(Image.fromarray(images.colored(values, "inferno")), path))
        return levels, prior_map(predictor.model, recording=kind).words(), files

    def video(
        self, upload: Upload, settings: MapSettings, opacity: object, colormap: object, boxes: str = ""
    ) -> Generator[tuple[list[Moment], int, Path | None], None, None]:
        """Renders a clip.

        Yields:
            At every eighth frame the moments so far, how many are expected (0 if the clip does not tell) and `None`;
            at the end all moments, their number, and the file. Boxes are in pixels of `first_frame`.

        Raises:
            ValueError: As `Clip`, `parse_boxes` and `check_look`.
        """
        opacity, colormap = images.check_look(opacity, colormap)
        store = self.store(settings)
        path = store.place(f"{Path(upload.name).stem[:60] or 'clip'}.saliency.mp4")
        moments: list[Moment] = []
        regions = parse_boxes(boxes, first_frame(upload).shape[1::-1]) if boxes.strip() else []
        clip = Clip(upload)
        for moment in render_clip(
            *(store.predictor, clip, path, opacity, colormap), bool(settings.apply_prior), regions
        ):
            moments.append(moment)
            if len(moments) % PROGRESS == 1:
                yield moments, clip.expected, None
        yield moments, len(moments), path
