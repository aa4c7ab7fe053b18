"""The named API endpoints: the page's functions for gradio_client and curl."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import gradio as gr

from ..analysis import find_spots
from ..io.json_types import JsonObject
from ..io.overlay import OPACITY
from . import images
from .gaps import for_clients, with_example
from .handlers import SPOTS, Handlers, MapSettings

BOXES = "Boxes in pixels, one a line: x, y, width, height; a name and a colon may come first"


def _file(name: str) -> JsonObject:
    return {"path": name, "url": name, "meta": {"_type": "gradio.FileData"}}


def _image(label: str) -> gr.components.Component:
    return with_example(gr.Image(label=label, type="filepath", image_mode=None), _file("photo.jpg"))


def _boxes(label: str, value: str | None = None) -> gr.components.Component:
    return with_example(gr.Textbox(value, label=label), "sky: 0, 0, 300, 100")


def _prior() -> gr.Checkbox:
    return gr.Checkbox(True, label="Apply the learned prior")


def _look() -> list[gr.components.Component]:
    return [
        gr.Slider(0, 1, OPACITY, label="Opacity of the map where it is 1, from 0 to 1"),
        gr.Dropdown(list(images.COLORMAPS), value="inferno", label="Colour map"),
    ]


def _found(*more: gr.components.Component) -> list[gr.components.Component]:
    return [gr.JSON(label="Found"), gr.File(label="CSV"), *more]


def _png(label: str) -> gr.Image:
    return gr.Image(label=label, format="png", type="filepath")


def _read(path: str) -> JsonObject:
    return json.loads(Path(path).read_text(encoding="utf-8"))


def _add(
    function: Callable,
    inputs: list[gr.components.Component],
    outputs: list[gr.components.Component],
    queue: str = "network",
) -> None:
    name = function.__name__
    gr.Button().click(for_clients(function), inputs, outputs, api_name=name, preprocess=False, concurrency_id=queue)


def add_endpoints(handlers: Handlers) -> None:
    """Adds `/predict`, `/regions`, `/compare` and `/video` to the Blocks being built.

    Args:
        handlers: Functions of the page.
    """

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
        opacity, colormap = images.check_look(opacity, colormap)
        result = handlers.open(handlers.receive(image), MapSettings(apply_prior=apply_prior))
        spots = [asdict(spot) for spot in find_spots(result.saliency_map, SPOTS, result.size)]
        details = {"image": result.name, "width": result.size[0], "height": result.size[1], "spots": spots}
        overlay, grey_map, values = handlers.write_files(result, opacity, colormap)
        return overlay, grey_map, values, details

    def regions(image: object, boxes: object, apply_prior: bool) -> tuple[JsonObject, str, str, str]:
        """What boxes hold of the predicted attention.

        Takes the image, the boxes in pixels, one a line (x, y, width, height; a name and a colon may come first),
        and whether to apply the learned prior. Returns the image's size and the regions: share of all predicted
        attention and part of the area in 0..1, ratio (share over area), peak, rank by share; the same as CSV; the
        boxes over the overlay (PNG); and the map's values (npy, as of `/predict`).
        """
        result = handlers.open(handlers.receive(image), MapSettings(apply_prior=apply_prior))
        overlay, json_path, csv_path = handlers.region_files(result, handlers.measure(result, str(boxes or "")))
        values = images.save_array(result.saliency_map, handlers.models.store().place(f"{result.stem}.npy"))
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
        named = {"first design": first, "second design": second}
        uploads = [handlers.receive(image, what) for what, image in named.items()]
        settings = MapSettings(apply_prior=apply_prior)
        compared = handlers.compare(uploads, str(boxes or ""), str(second_boxes or ""), settings)
        json_path, csv_path = handlers.comparison_tables(compared)
        first_overlay, second_overlay, first_values, second_values = handlers.comparison_images(compared)
        return _read(json_path), csv_path, first_overlay, second_overlay, first_values, second_values

    def video(
        video: object, apply_prior: bool, opacity: object, colormap: object
    ) -> Iterator[tuple[str | None, JsonObject]]:
        """A clip of at most 60 seconds under its maps, and how widely attention is spread over its time.

        Takes the clip (MP4, MOV, WebM, MKV or AVI, up to 100 MB), whether to apply the learned prior, and opacity and
        colour map of the overlay. Gives the progress at every eighth frame (no clip yet, frames so far and expected),
        and at the end the clip (MP4, H.264, 8 frames a second) and all moments: time in seconds, and effective_area in
        0..1, the part of the image that the predicted attention would fill if it were even.
        """
        settings = MapSettings(apply_prior=apply_prior)
        for moments, expected, path in handlers.video(handlers.receive(video, "clip"), settings, opacity, colormap):
            known = moments if path else []
            rows = [{"time": moment.time, "effective_area": moment.effective_area} for moment in known]
            yield str(path) if path else None, {"frames": len(moments), "expected": expected, "moments": rows}

    with gr.Row(visible=False):
        outputs = [_png("Overlay"), _png("Saliency map"), gr.File(label="Values"), gr.JSON(label="Found")]
        _add(predict, [_image("Image"), _prior(), *_look()], outputs)
        outputs = _found(_png("Overlay"), gr.File(label="Values"))
        _add(regions, [_image("Image"), _boxes(BOXES), _prior()], outputs)
        _add(
            compare,
            [
                *(_image("First design"), _image("Second design"), _boxes(f"{BOXES}; of the first", "")),
                *(_prior(), _boxes(f"{BOXES}; of the second", "")),
            ],
            _found(
                *(_png("First overlay"), _png("Second overlay")),
                *(gr.File(label="First values"), gr.File(label="Second values")),
            ),
        )
        clip = with_example(gr.Video(label="Clip, at most 60 seconds and 100 MB"), _file("clip.mp4"))
        _add(video, [clip, _prior(), *_look()], [gr.File(label="Clip"), gr.JSON(label="Found")], "video")
