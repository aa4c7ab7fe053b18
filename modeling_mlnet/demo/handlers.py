"""What happens when something is asked for: uploads in, files and figures out. Page and API use the same functions."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from ..analysis import (
    Spot,
    compare_regions,
    draw_regions,
    find_spots,
    measure_regions,
    ninths,
    to_csv,
    to_one_scale,
)
from ..analysis.drawing import mark_point
from ..attribution import level_importance
from ..attribution.explain import image_panels
from ..attribution.prior import prior_map
from ..images_mlnet import read_image
from ..io.overlay import overlay
from . import pictures
from .limits import open_picture, receive
from .regions import parse_boxes
from .store import Result, Store
from .video import Clip, Moment, render_clip

PROGRESS = 8  # frames from one message about the progress to the next
SPOTS = 3
SAMPLES = 8  # noisy copies for the pixels that moved the map: enough to see them, and a second or two on two cores


@dataclass(frozen=True)
class Predicted:
    """What a prediction shows.

    Args:
        result: Picture and map.
        spots: Of `find_spots`, in pixels of the picture.
        overlay: File of the picture under its map.
        grey_map: File of the map in 8-bit grey.
        values: File of the map in float32.
    """

    result: Result
    spots: list[Spot]
    overlay: str
    grey_map: str
    values: str


SAME_PLACE = "the second design has no boxes of its own: the same places are measured in both"


class Handlers:
    """Everything the page can do.

    Args:
        store: Of results; its predictor makes all maps.
    """

    def __init__(self, store: Store):
        self.store = store

    def open(self, payload: Any, apply_prior: Any) -> Result:
        """Predicts an uploaded picture.

        Raises:
            ValueError: If it is no upload or no picture.
        """
        return self.store.predict(receive(payload, self.store.folder), bool(apply_prior))

    def predict(self, payload: Any, apply_prior: Any, opacity: Any, colormap: Any) -> Predicted:
        """Predicts an uploaded picture and writes all its files.

        Raises:
            ValueError: As `open` and `check_look`.
        """
        opacity, colormap = pictures.check_look(opacity, colormap)
        result = self.open(payload, apply_prior)
        return Predicted(
            result,
            find_spots(result.saliency_map, SPOTS, result.size),
            pictures.save_overlay(result, self.store, opacity, colormap),
            pictures.save_map(result, self.store),
            pictures.save_values(result, self.store),
        )

    def look(self, result: Result, colormap: str) -> tuple[str, str]:
        """Files that only the page shows: the picture, and the map alone in colours."""
        return pictures.save_picture(result, self.store), pictures.save_colored_map(result, self.store, colormap)

    def recolor(self, key: str, name: str, opacity: Any, colormap: Any) -> tuple[str, str, str]:
        """Picture, overlay and bare map anew, without the network.

        Raises:
            ValueError: As `Store.load` and `check_look`.
        """
        opacity, colormap = pictures.check_look(opacity, colormap)
        result = self.store.load(key, name)
        picture, bare = self.look(result, colormap)
        return picture, pictures.save_overlay(result, self.store, opacity, colormap), bare

    def sketch(self, payload: Any, boxes: Any, corner: tuple[int, int] | None = None) -> str:
        """A file of the picture with its boxes so far, without the network.

        Args:
            payload: The uploaded picture.
            boxes: As text.
            corner: The first corner of the next box, in pixels of the picture.

        Raises:
            ValueError: As `open_picture` and `parse_boxes`.
        """
        upload = receive(payload, self.store.folder)
        picture, size = open_picture(upload)
        typed = parse_boxes(str(boxes or ""), size)
        shown = draw_regions(Image.fromarray(read_image(picture)), typed, size)
        if corner is not None:
            shown = mark_point(shown, corner[0] * shown.width / size[0], corner[1] * shown.height / size[1])
        return pictures.save_png(shown, self.store.place("boxes.png"))

    def regions(self, payload: Any, boxes: Any, apply_prior: Any) -> tuple[list[dict[str, Any]], list[str]]:
        """Shares of boxes.

        Returns:
            Rows of `measure_regions`, and the files of the overlay with the boxes, of JSON, of CSV and of the map's
            values.

        Raises:
            ValueError: As `open` and `parse_boxes`, or if there is no box.
        """
        result = self.open(payload, apply_prior)
        found = parse_boxes(str(boxes or ""), result.size)
        if not found:
            raise ValueError("Draw or type at least one box: x, y, width, height in pixels, one box a line.")
        measured = measure_regions(result.saliency_map, found, result.size)
        shown = draw_regions(overlay(result.image, result.saliency_map), measured, result.size)
        picture = pictures.save_png(shown, self.store.place(f"{result.stem}.regions.png"))
        rows = [asdict(region) for region in measured]
        details = {"picture": result.name, "width": result.size[0], "height": result.size[1]}
        values = pictures.save_values(result, self.store)
        return rows, [picture, *self._tables(f"{result.stem}.regions", rows, details), values]

    def compare(
        self, payloads: tuple[Any, Any], boxes: Any, second_boxes: Any, apply_prior: Any
    ) -> tuple[list[dict[str, Any]], list[str], list[str]]:
        """Two designs on one scale.

        Args:
            payloads: The two images.
            boxes: Boxes of the first design, as text; without any, its nine ninths.
            second_boxes: Boxes of the second design, matched by name; without any, the same places are measured.
            apply_prior: As in `predict`.

        Returns:
            Rows of `compare_regions`; notes on the comparison; and the files of both overlays, of JSON, of CSV, and of
            both maps' values on their common scale.

        Raises:
            ValueError: As `open` and `parse_boxes`, naming the design.
        """
        results = []
        for which, payload in zip(("first", "second"), payloads, strict=True):
            if not payload:
                raise ValueError(f"Choose the {which} design first.")
            results.append(self.open(payload, apply_prior))
        first, second = results
        typed = parse_boxes(str(boxes or ""), first.size)
        typed_second = parse_boxes(str(second_boxes or ""), second.size)
        if typed_second and not typed:
            raise ValueError("Give the boxes of the first design, too: they are matched by name.")
        compared = compare_regions(
            *(first.saliency_map, second.saliency_map, typed or ninths(first.size), typed_second or None),
            first_size=first.size,
            second_size=second.size,
        )
        scaled = to_one_scale(first.saliency_map, second.saliency_map)
        rows = [asdict(region) for region in compared.regions]
        notes = [SAME_PLACE, *compared.warnings] if typed and compared.same_place else compared.warnings
        files, values = [], []
        for number, (result, saliency_map) in enumerate(zip(results, scaled, strict=True), 1):
            shown = overlay(result.image, saliency_map)
            if typed:
                shown = draw_regions(shown, (compared.first, compared.second)[number - 1], result.size)
            files.append(pictures.save_png(shown, self.store.place(f"{result.stem}.{number}.png")))
            values.append(pictures.save_array(saliency_map, self.store.place(f"{result.stem}.{number}.npy")))
        details = {"first": first.name, "second": second.name, "width": first.size[0], "height": first.size[1]}
        details |= {"same_place": compared.same_place, "notes": notes}
        return rows, notes, [*files, *self._tables(f"{first.stem}.compared", rows, details), *values]

    def _tables(self, stem: str, rows: list[dict[str, Any]], details: dict[str, Any]) -> tuple[str, str]:
        json_path, csv_path = self.store.place(f"{stem}.json"), self.store.place(f"{stem}.csv")
        json_path.write_text(json.dumps({**details, "regions": rows}, indent=1), encoding="utf-8")
        csv_path.write_text(to_csv(rows), encoding="utf-8")
        return str(json_path), str(csv_path)

    def why(self, payload: Any, apply_prior: Any) -> tuple[list[dict[str, Any]], str, list[str]]:
        """What moved a picture's map.

        Returns:
            Per level `level`, `gradient` and `contribution` (parts of all, 0..1); the prior in words; and the files of
            the map before the prior, the prior, the map behind it, and the pixels that moved it.

        Raises:
            ValueError: As `open`.
        """
        result = self.open(payload, apply_prior)
        predictor = self.store.predictor
        importance = level_importance(predictor, [result.image], bool(apply_prior))
        shares = [importance.shares(measure) for measure in ("mean", "mean_contribution")]
        levels = [
            {"level": name, "gradient": one["mean"], "contribution": other["mean"]}
            for name, one, other in zip(importance.levels, *shares, strict=True)
        ]
        panels = image_panels(predictor, result.image, SAMPLES, apply_prior=bool(apply_prior))
        panels.pop("image")
        files = []
        for title, values in panels.items():
            path = self.store.place(f"{result.stem}.{title.replace(' ', '_')}.png")
            files.append(pictures.save_png(Image.fromarray(pictures.colored(values, "inferno")), path))
        return levels, prior_map(predictor.model).words(), files

    def video(
        self, payload: Any, apply_prior: Any, opacity: Any, colormap: Any
    ) -> Iterator[tuple[list[Moment], int, Path | None]]:
        """Renders a clip.

        Yields:
            At every eighth frame the moments so far, how many are expected (0 if the clip does not tell) and `None`;
            at the end all moments, their number, and the file.

        Raises:
            ValueError: As `Clip` and `check_look`.
        """
        opacity, colormap = pictures.check_look(opacity, colormap)
        upload = receive(payload, self.store.folder, "clip")
        clip = Clip(upload)
        path = self.store.place(f"{Path(upload.name).stem[:60] or 'clip'}.saliency.mp4")
        moments: list[Moment] = []
        for moment in render_clip(self.store.predictor, clip, path, opacity, colormap, bool(apply_prior)):
            moments.append(moment)
            if len(moments) % PROGRESS == 1:
                yield moments, clip.expected, None
        yield moments, len(moments), path
