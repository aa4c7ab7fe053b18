"""The named API endpoints: the page's functions for gradio_client and curl."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gradio as gr

from ..analysis import find_spots
from ..io.json_types import JsonObject
from ..io.overlay import OPACITY
from .answers import Answers
from .gaps import for_clients
from .results import COLORMAPS, Settings
from .values import SPOTS

BOXES = "Boxes in pixels, one a line: x, y, width, height; a name and a colon may come first"


def _with_example(component: gr.components.Component, example: object) -> gr.components.Component:
    component.example_payload = lambda: example  # of the API page; gradio's own are addresses, which are not fetched
    return component


def _image(label: str) -> gr.components.Component:
    file = {"path": "photo.jpg", "url": "photo.jpg", "meta": {"_type": "gradio.FileData"}}
    return _with_example(gr.Image(label=label, type="filepath", image_mode=None), file)


def _clip(label: str) -> gr.components.Component:
    file = {"path": "clip.mp4", "url": "clip.mp4", "meta": {"_type": "gradio.FileData"}}
    return _with_example(gr.Video(label=label), file)


def _boxes(label: str, value: str | None = None) -> gr.components.Component:
    return _with_example(gr.Textbox(value, label=label), "sky: 0, 0, 300, 100")


def _prior() -> gr.Checkbox:
    return gr.Checkbox(True, label="Apply the learned prior")


def _look() -> list[gr.components.Component]:
    opacity = gr.Slider(0, 1, OPACITY, label="Opacity of the map where it is 1, from 0 to 1")
    return [opacity, gr.Dropdown(list(COLORMAPS), value=COLORMAPS[0], label="Colour map")]


def _png(label: str) -> gr.Image:
    return gr.Image(label=label, format="png", type="filepath")


def _read(path: str) -> JsonObject:
    return json.loads(Path(path).read_text(encoding="utf-8"))


def add_endpoints(answers: Answers) -> None:
    """Adds `/predict`, `/regions`, `/compare` and `/video` to the Blocks being built."""

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
        result = answers.open(answers.receive(image), Settings(apply_prior=apply_prior))
        spots = [asdict(spot) for spot in find_spots(result.saliency_map, SPOTS, result.size)]
        details = {"image": result.upload.name, "width": result.size[0], "height": result.size[1], "spots": spots}
        overlay, grey_map, values = answers.map_files(result, opacity, colormap)
        return overlay, grey_map, values, details

    def regions(image: object, boxes: object, apply_prior: bool) -> tuple[JsonObject, str, str, str]:
        """What boxes hold of the predicted attention.

        Takes the image, the boxes in pixels, one a line (x, y, width, height; a name and a colon may come first),
        and whether to apply the learned prior. Returns the image's size and the regions: share of all predicted
        attention and part of the area in 0..1, ratio (share over area), peak, rank by share; the same as CSV; the
        boxes over the overlay (PNG); and the map's values (npy, as of `/predict`).
        """
        result = answers.open(answers.receive(image), Settings(apply_prior=apply_prior))
        _, (overlay, json_path, csv_path) = answers.measure(result, str(boxes or ""))
        values = answers.save(f"{result.stem}.npy", result.saliency_map)
        return _read(json_path), csv_path, overlay, values

    def compare(
        first: object, second: object, boxes: object, apply_prior: bool, second_boxes: object
    ) -> tuple[JsonObject, str, str, str, str, str]:
        """Two designs on one scale, and what boxes hold of either.

        Takes two images, boxes as `/regions` in pixels of the first (none: its nine ninths), whether to apply the
        learned prior, and boxes of the second, which are matched by name (none: the same places, which a note says).
        Returns the size of the first and the regions: shares first and second in 0..1 and their difference, null
        where a design lacks a name; the same as CSV; both overlays (PNG), as bright as attention per area on a common
        scale; and this attention per area of both (npy, float32 (height, width), 1 being the highest of either).
        """
        uploads = [answers.receive(image, f"{which} design") for which, image in (("first", first), ("second", second))]
        results = [answers.open(upload, Settings(apply_prior=apply_prior)) for upload in uploads]
        compared, (json_path, csv_path) = answers.compare(results, str(boxes or ""), str(second_boxes or ""))
        return _read(json_path), csv_path, *answers.comparison_images(compared)

    def video(
        video: object, apply_prior: bool, opacity: object, colormap: object
    ) -> Iterator[tuple[str | None, JsonObject]]:
        """A clip of at most 60 seconds under its maps, and how widely attention is spread over its time.

        Takes the clip (MP4, MOV, WebM, MKV or AVI, up to 100 MB), whether to apply the learned prior, and opacity and
        colour map of the overlay. Gives the progress at every eighth frame (no clip yet, frames so far and expected),
        and at the end the clip (MP4, H.264, 8 frames a second) and all moments: time in seconds, and effective_area in
        0..1, the part of the image that the predicted attention would fill if it were even.
        """
        upload, settings = answers.receive(video, "clip"), Settings(apply_prior=apply_prior)
        for moments, expected, path in answers.video(upload, settings, opacity, colormap):
            known = moments if path else []
            rows = [{"time": moment.time, "effective_area": moment.effective_area} for moment in known]
            yield path, {"frames": len(moments), "expected": expected, "moments": rows}

    def add(function: Callable, inputs: list[Any], outputs: list[Any], queue: str = "network") -> None:
        options = {"api_name": function.__name__, "preprocess": False, "concurrency_id": queue}
        gr.Button().click(for_clients(function), inputs, outputs, **options)

    with gr.Row(visible=False):
        outputs = [_png("Overlay"), _png("Saliency map"), gr.File(label="Values"), gr.JSON(label="Found")]
        add(predict, [_image("Image"), _prior(), *_look()], outputs)
        outputs = [gr.JSON(label="Found"), gr.File(label="CSV"), _png("Overlay"), gr.File(label="Values")]
        add(regions, [_image("Image"), _boxes(BOXES), _prior()], outputs)
        designs = [_image("First design"), _image("Second design")]
        inputs = [*designs, _boxes(f"{BOXES}; of the first", ""), _prior(), _boxes(f"{BOXES}; of the second", "")]
        outputs = [gr.JSON(label="Found"), gr.File(label="CSV"), _png("First overlay"), _png("Second overlay")]
        add(compare, inputs, [*outputs, gr.File(label="First values"), gr.File(label="Second values")])
        inputs = [_clip("Clip, at most 60 seconds and 100 MB"), _prior(), *_look()]
        add(video, inputs, [gr.File(label="Clip"), gr.JSON(label="Found")], "video")
