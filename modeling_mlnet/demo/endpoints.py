"""The named API endpoints: the page's functions for gradio_client and curl."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gradio as gr

from ..analysis import find_spots
from ..io.json_types import JsonObject
from ..io.overlay import OPACITY
from .answers import Answers
from .components import image_file
from .gaps import for_clients, with_example
from .results import COLORMAPS, Settings, check_look
from .values import SPOTS

BOXES = "Boxes in pixels, one a line: x, y, width, height; a name and a colon may come first"


def _file(kind: type[gr.components.Component], label: str, name: str) -> gr.components.Component:
    return with_example(kind(label=label), {**image_file(name), "url": name})


def add_endpoints(answers: Answers) -> None:
    """Adds `/predict`, `/regions`, `/compare` and `/video` to the Blocks being built."""

    def usual(apply_prior: object) -> Settings:
        if not isinstance(apply_prior, bool):
            raise ValueError(f"apply_prior must be true or false, got {str(apply_prior)[:40]!r}.")
        return Settings(answers.models.default, apply_prior)

    def predict(
        image: object, apply_prior: bool, opacity: object, colormap: object
    ) -> tuple[str, str, str, JsonObject]:
        """Where people look in an image.

        Takes the image (send the file itself, addresses are not fetched), whether to apply the learned prior, and
        for the overlay the opacity of the map in 0..1 and the colour map. Returns the overlay (PNG), the saliency map
        (PNG, 8-bit grey), its values (npy, float32 (height, width) in 0..1, relative to the most salient point), and
        the image's width and height in pixels with the three strongest spots: where in words, share of all
        predicted attention and part of the area in 0..1, centre x and y in pixels. Images longer than 1600 px are
        shrunk to that first.
        """
        check_look("Heat", opacity, colormap)
        result = answers.open(answers.files.receive(image), usual(apply_prior))
        spots = [asdict(spot) for spot in find_spots(result.saliency_map, SPOTS, result.size)]
        details = {"image": result.upload.name, "width": result.size[0], "height": result.size[1], "spots": spots}
        overlay, grey_map, values = answers.map_files(result, opacity, colormap)
        return overlay, grey_map, values, details

    def regions(image: object, boxes: object, apply_prior: bool) -> tuple[str, ...]:
        """What boxes hold of the predicted attention.

        Takes the image, the boxes in pixels, one a line (x, y, width, height; a name and a colon may come first),
        and whether to apply the learned prior. Returns the image's size and the regions: share of all predicted
        attention and part of the area in 0..1, ratio (share over area), peak, rank by share; the same as CSV; the
        boxes over the overlay (PNG); and the map's values (npy, as of `/predict`).
        """
        result = answers.open(answers.files.receive(image), usual(apply_prior))
        _, (overlay, json_path, csv_path) = answers.measure(result, str(boxes or ""))
        values = answers.files.save(f"{result.stem}.npy", result.saliency_map)
        return Path(json_path).read_text(encoding="utf-8"), csv_path, overlay, values

    def compare(
        first: object, second: object, boxes: object, apply_prior: bool, second_boxes: object
    ) -> tuple[str, ...]:
        """Two designs on one scale, and what boxes hold of either.

        Takes two images, boxes as `/regions` in pixels of the first (none: its nine ninths), whether to apply the
        learned prior, and boxes of the second, which are matched by name (none: the same places, which a note says).
        Returns the size of the first and the regions: shares first and second in 0..1 and their difference, null
        where a design lacks a name; the same as CSV; both overlays (PNG), as bright as attention per area on a common
        scale; and this attention per area of both (npy, float32 (height, width), 1 being the highest of either).
        """
        uploads = [answers.files.receive(first, "first design"), answers.files.receive(second, "second design")]
        results = [answers.open(upload, usual(apply_prior)) for upload in uploads]
        boxes = str(boxes or "").strip()
        comparison, _, (json_path, csv_path) = answers.compare(results, boxes, str(second_boxes or ""))
        drawn = (comparison.first, comparison.second) if boxes else ([], [])
        return Path(json_path).read_text(encoding="utf-8"), csv_path, *answers.comparison_images(results, drawn)

    def video(
        video: object, apply_prior: bool, opacity: object, colormap: object
    ) -> Iterator[tuple[str | None, JsonObject]]:
        """A clip of at most 60 seconds under its maps, and how widely attention is spread over its time.

        Takes the clip (MP4, MOV, WebM, MKV or AVI, up to 100 MB), whether to apply the learned prior, and opacity and
        colour map of the overlay. Gives the progress at every eighth frame (no clip yet, frames so far and expected),
        and at the end the clip (MP4, H.264, 8 frames a second) and all moments: time in seconds, and effective_area in
        0..1, the part of the image that the predicted attention would fill if it were even.
        """
        upload, settings = answers.files.receive(video, "clip"), usual(apply_prior)
        for moments, expected, path in answers.video(upload, settings, opacity, colormap):
            rows = [{"time": moment.time, "effective_area": moment.effective_area} for moment in moments if path]
            yield path, {"frames": len(moments), "expected": expected, "moments": rows}

    def add(function: Callable, inputs: list[Any], outputs: list[Any], queue: str = "network") -> None:
        options = {"api_name": function.__name__, "preprocess": False, "concurrency_id": queue}
        gr.Button().click(for_clients(function), inputs, outputs, **options)

    boxes_labels = {BOXES: None, f"{BOXES}; of the first": "", f"{BOXES}; of the second": ""}
    with gr.Row(visible=False):
        image, *designs = (_file(gr.Image, label, "photo.jpg") for label in ("Image", "First design", "Second design"))
        clip = _file(gr.Video, "Clip, at most 60 seconds and 100 MB", "clip.mp4")
        texts = (gr.Textbox(value, label=label) for label, value in boxes_labels.items())
        box, box_of_first, box_of_second = (with_example(text, "sky: 0, 0, 300, 100") for text in texts)
        prior = gr.Checkbox(True, label="Apply the learned prior")
        opacity = gr.Slider(0, 1, OPACITY, label="Opacity of the map where it is 1, from 0 to 1")
        look = [opacity, gr.Dropdown(list(COLORMAPS), value=COLORMAPS[0], label="Colour map")]
        files = ("CSV", "Values", "Clip", "First values", "Second values")
        csv, values, rendered, *both = (gr.File(label=label) for label in files)
        pngs = ("Overlay", "Saliency map", "First overlay", "Second overlay")
        overlay, grey, *overlays = (gr.Image(label=label, format="png", type="filepath") for label in pngs)
        found = gr.JSON(label="Found")
        add(predict, [image, prior, *look], [overlay, grey, values, found])
        add(regions, [image, box, prior], [found, csv, overlay, values])
        inputs = [*designs, box_of_first, prior, box_of_second]
        add(compare, inputs, [found, csv, *overlays, *both])
        add(video, [clip, prior, *look], [rendered, found], "video")
