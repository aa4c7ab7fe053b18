"""The named API endpoints: the page's functions for gradio_client and curl."""

import json
from collections.abc import Iterator
from typing import Any

import gradio as gr

from ..visualization import OPACITY
from .handlers import Handlers
from .messages import told
from .pictures import COLORMAPS

BOXES = "Boxes in pixels, one a line: x, y, width, height; a name and a colon may come first"


def _picture(label: str) -> gr.Image:
    return gr.Image(label=label, type="filepath", image_mode=None)


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
        """Where people look in a picture: overlay, saliency map, values, and the three strongest regions.

        The values are float32 (height, width) in 0..1, relative to the picture's most salient point. Pictures longer
        than 1600 px are shrunk to that first. Send the file itself: addresses are not fetched.
        """
        found = handlers.predict(image, apply_prior, opacity, colormap)
        width, height = found.result.size
        details = {"picture": found.result.name, "width": width, "height": height, "regions": found.regions}
        return found.overlay, found.grey_map, found.values, details

    gr.Button().click(
        predict,
        [_picture("Picture"), _prior(), *_look()],
        [
            gr.Image(label="Overlay (PNG)", format="png", type="filepath"),
            gr.Image(label="Saliency map, 8-bit grey (PNG)", format="png", type="filepath"),
            gr.File(label="Saliency map, float32 (height, width) in 0..1 (npy)"),
            gr.JSON(label="Strongest regions: where, share and area in 0..1, centre x and y relative to the sides"),
        ],
        api_name="predict",
        preprocess=False,
        concurrency_id="network",
    )


def _add_regions(handlers: Handlers) -> None:
    @told
    def regions(image: Any, boxes: Any, apply_prior: Any) -> tuple[dict[str, Any], str, str]:
        """Boxes' shares of the predicted attention, their shares relative to area, and ranks by share."""
        _, picture, json_path, csv_path = handlers.regions(image, boxes, apply_prior)
        return _read(json_path), csv_path, picture

    gr.Button().click(
        regions,
        [_picture("Picture"), gr.Textbox(label=BOXES), _prior()],
        [
            gr.JSON(label="Picture, its size in pixels, and regions: box, share and area in 0..1, relative, rank"),
            gr.File(label="Regions (CSV)"),
            gr.Image(label="Boxes over the overlay (PNG)", format="png", type="filepath"),
        ],
        api_name="regions",
        preprocess=False,
        concurrency_id="network",
    )


def _add_compare(handlers: Handlers) -> None:
    @told
    def compare(first: Any, second: Any, boxes: Any, apply_prior: Any) -> tuple[dict[str, Any], str, str, str]:
        """Two designs on one scale, and the difference of their shares per box; without boxes, per ninth."""
        _, (one, other, json_path, csv_path) = handlers.compare((first, second), boxes, apply_prior)
        return _read(json_path), csv_path, one, other

    gr.Button().click(
        compare,
        [
            _picture("First design"),
            _picture("Second design"),
            gr.Textbox("", label=f"{BOXES}; of the first"),
            _prior(),
        ],
        [
            gr.JSON(label="Names, size of the first, and regions: box, shares first and second in 0..1, difference"),
            gr.File(label="Regions (CSV)"),
            gr.Image(label="First design on the common scale (PNG)", format="png", type="filepath"),
            gr.Image(label="Second design on the common scale (PNG)", format="png", type="filepath"),
        ],
        api_name="compare",
        preprocess=False,
        concurrency_id="network",
    )


def _add_video(handlers: Handlers) -> None:
    @told
    def video(video: Any, apply_prior: Any, opacity: Any, colormap: Any) -> Iterator[tuple[Any, dict[str, Any]]]:
        """A clip of at most 60 seconds under its maps, and how widely attention is spread over its time.

        Gives the progress after every eighth frame (no clip yet), and the clip with all moments at the end.
        """
        moments, expected, path = [], 0, None
        for moments, expected, path in handlers.video(video, apply_prior, opacity, colormap):
            if len(moments) % 8 == 1:
                yield None, {"frames": len(moments), "expected": expected, "moments": []}
        rows = [{"time": one.time, "effective_area": one.effective_area} for one in moments]
        yield str(path), {"frames": len(moments), "expected": len(moments), "moments": rows}

    gr.Button().click(
        video,
        [gr.Video(label="Clip, at most 60 seconds and 100 MB"), _prior(), *_look()],
        [
            gr.File(label="Clip under its maps (H.264 MP4)"),
            gr.JSON(label="Frames so far, frames expected, and moments: time in seconds, effective_area in 0..1"),
        ],
        api_name="video",
        preprocess=False,
        concurrency_id="video",
    )


def _read(path: str) -> dict[str, Any]:
    with open(path, encoding="utf-8") as file:
        return json.load(file)
