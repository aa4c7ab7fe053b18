"""Events of the tabs that show the current image."""

import time
from functools import partial
from typing import Any

import gradio as gr

from ..io.json_types import JsonObject
from . import images, words
from .boxes import parse_boxes
from .components import LIGHT, NETWORK, PRIVATE, image_file, on_page, ready, say_failures, script
from .documents import write_crops
from .handlers import MapSettings
from .image_tabs import ImageTabs
from .limits import Upload
from .values import SHAPES, crops_value, image_values, shares, viewer_value

LEVELS = (
    "The network reads the image at several levels, from fine (small strides) to coarse. A level's part is how much a "
    "change in it would move this map's mean, to first order: by its gradient, and by gradient times feature, which "
    "does not depend on a level's scale."
)
PANELS = ("Map before the prior", "The prior: expected before looking", "Map behind the prior", "Pixels that moved it")


def connect_image(tabs: ImageTabs, notice: gr.HTML) -> None:
    """Connects the events."""
    guarded = on_page(notice, lambda: tabs.update({}))
    look = [tabs.view, tabs.opacity, tabs.colormap]
    inputs = [*tabs.settings, *look, tabs.shapes]
    outputs = [notice, *tabs.update({})]
    waiting = {"preprocess": False, "show_progress_on": [tabs.viewer], **NETWORK}

    @guarded
    def take(payload: object, model: str, recording: str, prior: bool, *shown: Any) -> dict:
        if not payload:
            return tabs.update({})
        settings = MapSettings(model, recording, prior)
        return tabs.update(image_values(tabs.handlers, tabs.handlers.receive(payload), settings, *shown, example=None))

    @guarded
    def pick(event: gr.SelectData, model: str, recording: str, prior: bool, *shown: Any) -> dict:
        if event.value not in tabs.examples:
            raise ValueError("This example is not offered any more.")
        settings = MapSettings(model, recording, prior)
        return tabs.update(
            image_values(tabs.handlers, tabs.examples[event.value], settings, *shown, example=event.value)
        )

    @guarded
    def refresh(given: Upload | None, viewer: JsonObject | None, *settings_and_look: Any) -> dict:
        if given is None:
            return {}
        model, recording, prior, *shown = settings_and_look
        values = image_values(
            tabs.handlers, given, MapSettings(model, recording, prior), *shown, example=(viewer or {}).get("example")
        )
        values["regions"]["boxes"] = None
        changes = tabs.update(values)
        for component in (tabs.image, tabs.boxes):
            changes.pop(component)
        return changes

    new = [  # `input` would also be sent for an image that is removed, sometimes with that image
        tabs.image.upload(take, [tabs.image, *inputs], outputs, **waiting),
        tabs.choose.upload(take, [tabs.choose, *inputs], outputs, **waiting),
        tabs.paste.upload(take, [tabs.paste, *inputs], outputs, **waiting),
    ]
    if tabs.examples:
        new.append(tabs.grid.select(pick, inputs, outputs, **waiting))
    chosen = tabs.model.input(partial(_kinds, tabs), [tabs.model], [tabs.recording], show_progress="hidden", **PRIVATE)
    state = [tabs.given, tabs.viewer, *inputs]
    waiting.pop("preprocess")  # which gives the state
    refreshing = (chosen.then, tabs.recording.input, tabs.prior.input)
    old = [event(refresh, state, outputs, **waiting) for event in refreshing]
    tabs.image.clear(None, cancels=[*new, *old], **PRIVATE)  # first, as an answer for that image may be awaited
    tabs.image.clear(lambda: {notice: "", **tabs.update({})}, None, outputs, queue=False, **PRIVATE)
    say_failures(notice, *new, *old)
    for event in new:
        event.then(None, [notice], None, js=script("scroll"), queue=False, show_progress="hidden", **PRIVATE)
    _connect_look(tabs, notice, look)
    _connect_regions(tabs, notice)
    _connect_crop(tabs, notice)
    _connect_why(tabs, notice)


def _kinds(tabs: ImageTabs, model: str) -> dict:
    kinds = tabs.handlers.models.recordings(model)
    return gr.update(choices=kinds, value=next(iter(kinds), None), visible=bool(kinds))


def _connect_look(tabs: ImageTabs, notice: gr.HTML, look: list[gr.components.Component]) -> None:
    @on_page(notice)
    def recolor(
        given: Upload | None, viewer: JsonObject | None, model: str, recording: str, prior: bool, *look: Any
    ) -> dict:
        if given is None:
            return {}
        settings, (view, opacity, colormap) = MapSettings(model, recording, prior), look
        opacity, colormap = images.check_look(opacity, colormap)
        result = tabs.handlers.open(given, settings)
        shown = viewer_value(tabs.handlers, result, settings, view, opacity, colormap, (viewer or {}).get("example"))
        overlay = images.save_overlay(result, tabs.handlers.store(settings), opacity, colormap)
        return {tabs.viewer: shown, tabs.files["overlay"]: overlay}

    gr.on(
        [tabs.view.input, tabs.opacity.release, tabs.opacity.input, tabs.colormap.input],
        recolor,
        [tabs.given, tabs.viewer, *tabs.settings, *look],
        [notice, tabs.viewer, tabs.files["overlay"]],
        trigger_mode="always_last",
        **LIGHT,
    )


def _connect_regions(tabs: ImageTabs, notice: gr.HTML) -> None:
    outputs = [notice, tabs.regions, *tabs.region_files.values()]

    @on_page(notice, follows=True)
    def measure(given: Upload | None, editor: JsonObject | None, *settings: Any) -> dict:
        text = (editor or {}).get("boxes") or ""
        if given is None or not text.strip():
            return {tabs.regions: gr.update(shares={}), **ready(tabs.region_files)}
        result = tabs.handlers.open(given, MapSettings(*settings))
        regions = tabs.handlers.measure(result, text)
        files = tabs.handlers.region_files(result, regions, MapSettings(*settings))
        shown = {notice: "", tabs.regions: gr.update(shares=shares(regions))}
        return {**shown, **ready(tabs.region_files, files)}

    @on_page(notice)
    def type_in(given: Upload | None, text: str, *settings: Any) -> dict:
        if given is None:
            raise ValueError("Choose an image first.")
        size = tabs.handlers.open(given, MapSettings(*settings)).size
        boxes = parse_boxes(text, size)
        lines = "\n".join(f"{box.name}: {box.x:g}, {box.y:g}, {box.width:g}, {box.height:g}" for box in boxes)
        return {tabs.boxes: lines, tabs.regions: gr.update(typed=[lines, time.time()])}  # anew, if the same again

    tabs.regions.change(
        measure,
        [tabs.given, tabs.regions, *tabs.settings],
        outputs,
        trigger_mode="always_last",
        **LIGHT,
    )
    # At once and by the browser: the answer to `measure` may come while somebody types.
    code = "(editor) => editor.boxes"
    tabs.regions.input(None, [tabs.regions], [tabs.boxes], js=code, queue=False, show_progress="hidden", **PRIVATE)
    typed = [tabs.given, tabs.boxes, *tabs.settings]
    tabs.measure.click(type_in, typed, [notice, tabs.boxes, tabs.regions], **LIGHT)


def _connect_crop(tabs: ImageTabs, notice: gr.HTML) -> None:
    @on_page(notice)
    def preview(given: Upload | None, shapes: list[str], *settings: Any) -> dict:
        if given is None:
            return {}
        result = tabs.handlers.open(given, MapSettings(*settings))
        src = images.save_image(result, tabs.handlers.store(MapSettings(*settings)))
        return {
            tabs.crops: crops_value(result, src, shapes),
            tabs.crop_file: gr.update(visible=False),
        }

    @on_page(notice)
    def write(given: Upload | None, shapes: list[str], *settings: Any) -> dict:
        if given is None:
            raise ValueError("Choose an image first.")
        if not shapes:
            raise ValueError("Choose a shape first.")
        path = write_crops(
            tabs.handlers, given, [shape for shape in SHAPES if shape in shapes], MapSettings(*settings)
        )
        return {tabs.crop_file: gr.update(value=path, visible=True)}

    inputs = [tabs.given, tabs.shapes, *tabs.settings]
    tabs.shapes.input(preview, inputs, [notice, tabs.crops, tabs.crop_file], **LIGHT)
    tabs.crop_button.click(write, inputs, [notice, tabs.crop_file], **NETWORK)


def _connect_why(tabs: ImageTabs, notice: gr.HTML) -> None:
    @on_page(notice, tabs.unexplained)
    def why(given: Upload | None, *settings: Any) -> dict:
        if given is None:
            raise ValueError("Choose an image first.")
        levels, prior, files = tabs.handlers.why(given, MapSettings(*settings))
        panels = [{"src": image_file(path), "title": title} for path, title in zip(files, PANELS, strict=True)]
        return {
            tabs.why_words: f"<p class='mlnet-first'>{words.why_in_words(levels)}</p><p>{prior}</p>",
            tabs.panels: panels,
            tabs.figures: gr.update(visible=True),
            tabs.table: f"{words.levels_table(levels)}\n\n{LEVELS}",
        }

    outputs = [notice, tabs.why_words, tabs.panels, tabs.figures, tabs.table]
    event = tabs.explain.click(
        why, [tabs.given, *tabs.settings], outputs, show_progress_on=[tabs.why_words], **NETWORK
    )
    say_failures(notice, event)
