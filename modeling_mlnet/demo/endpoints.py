"""The named API endpoints: the page's functions for gradio_client and curl."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import gradio as gr

from ..io.overlay import OPACITY
from .handlers import Handlers
from .messages import told
from .pictures import COLORMAPS

BOXES = "Boxes in pixels, one a line: x, y, width, height; a name and a colon may come first"
BOX = "sky: 0, 0, 300, 100"


def _with_example(component: gr.components.Component, example: Any) -> gr.components.Component:
    """Shows what works in the code of the API page, where gradio has an address, which is not fetched here."""
    component.example_payload = lambda: example
    return component


def _file(name: str) -> dict[str, Any]:
    return {"path": name, "url": name, "meta": {"_type": "gradio.FileData"}}


def _picture(label: str) -> gr.components.Component:
    return _with_example(gr.Image(label=label, type="filepath", image_mode=None), _file("photo.jpg"))


def _prior() -> gr.Checkbox:
    return gr.Checkbox(True, label="Apply the learned prior")


def _look() -> list[Any]:
    return [
        gr.Slider(0, 1, OPACITY, label="Opacity of the map where it is 1, from 0 to 1"),
        gr.Dropdown(list(COLORMAPS), value="inferno", label="Colour map"),
    ]


def add_endpoints(handlers: Handlers) -> None:
    """Adds `/predict`, `/regions`, `/compare` and `/video` to the Blocks being built.

    Args:
        handlers: Of the page.
    """
    with gr.Row(visible=False):
        _add_predict(handlers)
        _add_regions(handlers)
        _add_compare(handlers)
        _add_video(handlers)


def _add_predict(handlers: Handlers) -> None:
    @told
    def predict(image: Any, apply_prior: Any, opacity: Any, colormap: Any) -> tuple[str, str, str, dict[str, Any]]:
        """Where people look in a picture.

        Takes the picture (send the file itself, addresses are not fetched), whether to apply the learned prior, and
        for the overlay the opacity of the map in 0..1 and the colour map. Returns the overlay (PNG), the saliency map
        (PNG, 8-bit grey), its values (npy, float32 (height, width) in 0..1, relative to the most salient point), and
        the picture's width and height in pixels with the three strongest spots: where in words, share of all
        predicted attention and part of the area in 0..1, centre x and y in pixels. Pictures longer than 1600 px are
        shrunk to that first.
        """
        found = handlers.predict(image, apply_prior, opacity, colormap)
        width, height = found.result.size
        details = {
            "picture": found.result.name,
            "width": width,
            "height": height,
            "spots": [asdict(spot) for spot in found.spots],
        }
        return found.overlay, found.grey_map, found.values, details

    gr.Button().click(
        predict,
        [_picture("Picture"), _prior(), *_look()],
        [
            gr.Image(label="Overlay", format="png", type="filepath"),
            gr.Image(label="Saliency map", format="png", type="filepath"),
            gr.File(label="Values"),
            gr.JSON(label="Found"),
        ],
        api_name="predict",
        preprocess=False,
        concurrency_id="network",
    )


def _add_regions(handlers: Handlers) -> None:
    @told
    def regions(image: Any, boxes: Any, apply_prior: Any) -> tuple[dict[str, Any], str, str, str]:
        """What boxes hold of the predicted attention.

        Takes the picture, the boxes in pixels, one a line (x, y, width, height; a name and a colon may come first),
        and whether to apply the learned prior. Returns the picture's size and the regions: share of all predicted
        attention and part of the area in 0..1, ratio (share over area), peak, rank by share; the same as CSV; the
        boxes over the overlay (PNG); and the map's values (npy, as of `/predict`).
        """
        _, (picture, json_path, csv_path, values) = handlers.regions(image, boxes, apply_prior)
        return _read(json_path), csv_path, picture, values

    gr.Button().click(
        regions,
        [_picture("Picture"), _with_example(gr.Textbox(label=BOXES), BOX), _prior()],
        [
            gr.JSON(label="Found"),
            gr.File(label="CSV"),
            gr.Image(label="Overlay", format="png", type="filepath"),
            gr.File(label="Values"),
        ],
        api_name="regions",
        preprocess=False,
        concurrency_id="network",
    )


def _add_compare(handlers: Handlers) -> None:
    @told
    def compare(
        first: Any, second: Any, boxes: Any, apply_prior: Any, second_boxes: Any
    ) -> tuple[dict[str, Any], str, str, str, str, str]:
        """Two designs on one scale, and what boxes hold of either.

        Takes two pictures, boxes as `/regions` in pixels of the first (none: its nine ninths), whether to apply the
        learned prior, and boxes of the second, which are matched by name (none: the same places, which a note says).
        Returns the size of the first and the regions: shares first and second in 0..1 and their difference, null
        where a design lacks a name; the same as CSV; both overlays (PNG), as bright as attention per area on a common
        scale; and this attention per area of both (npy, float32 (height, width), 1 being the highest of either).
        """
        *_, files = handlers.compare((first, second), boxes, second_boxes, apply_prior)
        first_overlay, second_overlay, json_path, csv_path, *values = files
        return _read(json_path), csv_path, first_overlay, second_overlay, values[0], values[1]

    gr.Button().click(
        compare,
        [
            _picture("First design"),
            _picture("Second design"),
            _with_example(gr.Textbox("", label=f"{BOXES}; of the first"), BOX),
            _prior(),
            _with_example(gr.Textbox("", label=f"{BOXES}; of the second"), BOX),
        ],
        [
            gr.JSON(label="Found"),
            gr.File(label="CSV"),
            gr.Image(label="First overlay", format="png", type="filepath"),
            gr.Image(label="Second overlay", format="png", type="filepath"),
            gr.File(label="First values"),
            gr.File(label="Second values"),
        ],
        api_name="compare",
        preprocess=False,
        concurrency_id="network",
    )


def _add_video(handlers: Handlers) -> None:
    @told
    def video(video: Any, apply_prior: Any, opacity: Any, colormap: Any) -> Iterator[tuple[Any, dict[str, Any]]]:
        """A clip of at most 60 seconds under its maps, and how widely attention is spread over its time.

        Takes the clip (MP4, MOV, WebM, MKV or AVI, up to 100 MB), whether to apply the learned prior, and opacity and
        colour map of the overlay. Gives the progress at every eighth frame (no clip yet, frames so far and expected),
        and at the end the clip (MP4, H.264, 8 frames a second) and all moments: time in seconds, and effective_area in
        0..1, the part of the picture that the predicted attention would fill if it were even.
        """
        for moments, expected, path in handlers.video(video, apply_prior, opacity, colormap):
            rows = [{"time": one.time, "effective_area": one.effective_area} for one in moments] if path else []
            yield path and str(path), {"frames": len(moments), "expected": expected, "moments": rows}

    gr.Button().click(
        video,
        [
            _with_example(gr.Video(label="Clip, at most 60 seconds and 100 MB"), _file("clip.mp4")),
            _prior(),
            *_look(),
        ],
        [
            gr.File(label="Clip"),
            gr.JSON(label="Found"),
        ],
        api_name="video",
        preprocess=False,
        concurrency_id="video",
    )


def _read(path: str) -> dict[str, Any]:
    with open(path, encoding="utf-8") as file:
        return json.load(file)
