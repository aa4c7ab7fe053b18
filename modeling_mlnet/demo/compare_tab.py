"""The tab Compare: the current image and a second design, with boxes on each."""

from typing import Any

import gradio as gr
import numpy as np

from ..analysis import to_one_scale
from ..io.json_types import JsonObject
from ..io.overlay import overlay
from . import images, words
from .components import LIGHT, NETWORK, Updates, custom, downloads, on_page, ready, say_failures
from .handlers import MapSettings
from .image_tabs import ImageTabs
from .limits import Upload
from .store import Result
from .values import editor_value, shares

ON_A = "Drag over a part of design A."
ON_B = "Drag over the same part of design B, wherever it lies, and keep its name."
CHOOSE_A = "Choose an image"
CHOOSE_B = "Choose the second design"
ONE_SCALE = (
    "Both maps have one scale: attention per area, its highest value in either design being the brightest. Points are "
    "percent of all predicted attention of a design. Without boxes the nine ninths of the images are compared."
)


class CompareTab:
    """Two designs: the current image and a second one.

    Args:
        tabs: With the image at hand.
        notice: For what goes wrong.
    """

    def __init__(self, tabs: ImageTabs, notice: gr.HTML):
        self.handlers, self.tabs = tabs.handlers, tabs
        self.upload = gr.UploadButton(CHOOSE_B, variant="primary", file_types=["image"], elem_id="compare-choose")
        self.words = custom("status", "", "compare-words")
        with gr.Row(elem_classes="mlnet-designs"):
            empty = {"suggest": [], "shares": {}, "elem_classes": ["mlnet-design"]}
            first = {**tabs.start["regions"], "map": None} if tabs.start else {}
            self.first = custom("boxes", first, "compare-first", alt="Design A", hint=ON_A, empty=CHOOSE_A, **empty)
            self.second = custom("boxes", {}, "compare-second", alt="Design B", hint=ON_B, empty=CHOOSE_B, **empty)
        gr.Markdown(ONE_SCALE, elem_classes="mlnet-small")
        self.files = downloads("compare-", {"json": "JSON", "csv": "CSV"})
        self.given = gr.State(None)
        self._connect(notice)

    def _connect(self, notice: gr.HTML) -> None:
        outputs = [notice, self.words, self.first, self.second, *self.files.values(), self.given]

        @on_page(notice)
        def take(payload: object) -> dict:
            return {self.given: self.handlers.receive(payload, "second design")}

        @on_page(notice, lambda: {self.words: ""}, follows=True)
        def show(first: Upload | None, second: Upload | None, *settings: Any) -> dict:
            uploads = [upload for upload in (first, second) if upload is not None]
            results = [self.handlers.open(upload, MapSettings(*settings)) for upload in uploads]
            maps: list[np.ndarray | None] = [None]
            if first is not None and second is not None:
                maps = [*to_one_scale(*(result.saliency_map for result in results))]
            values = [self._shown(result, saliency_map) for result, saliency_map in zip(results, maps, strict=False)]
            return {
                self.first: gr.update(value=values[0] if first else {}, shares={}),
                self.second: gr.update(value=values[-1] if second else {}, shares={}),
                self.words: "",
            }

        def measure(
            first: Upload | None,
            second: Upload | None,
            editor: JsonObject | None,
            second_editor: JsonObject | None,
            *settings: Any,
        ) -> dict:
            if first is None or second is None:
                return {}
            texts = [(value or {}).get("boxes") or "" for value in (editor, second_editor)]
            return self._measured([first, second], texts, MapSettings(*settings))

        given = [self.tabs.given, self.given]
        inputs = [*given, self.first, self.second, *self.tabs.settings]
        taken = self.upload.upload(take, [self.upload], [notice, self.given], preprocess=False, **LIGHT)
        changed = [self.tabs.given.change, self.given.change, *(setting.change for setting in self.tabs.settings)]
        options = {"trigger_mode": "always_last", "show_progress_on": [self.words], **NETWORK}
        shown = gr.on(changed, show, [*given, *self.tabs.settings], outputs, **options)
        shown.then(on_page(notice, follows=True)(measure), inputs, outputs, **LIGHT)
        say_failures(notice, taken, shown)
        drawn = [self.first.input, self.second.input]
        gr.on(drawn, on_page(notice)(measure), inputs, outputs, trigger_mode="always_last", **LIGHT)

    def _shown(self, result: Result, saliency_map: np.ndarray | None) -> JsonObject:
        store = self.handlers.models.store()
        src = heat = images.save_image(result, store)
        if saliency_map is not None:
            heat = images.save_jpeg(overlay(result.image, saliency_map), store.place(f"{result.stem}.heat.jpg"))
        return editor_value(result, src, heat, None)

    def _measured(self, uploads: list[Upload], texts: list[str], settings: MapSettings) -> Updates:
        drawn = [bool(text.strip()) for text in texts]
        compared = self.handlers.compare(uploads, texts[0], texts[1] if drawn[0] else "", settings)
        first, second = compared.comparison.first, compared.comparison.second
        return {  # of the designs only props: another box may have been drawn since
            self.words: words.comparison_bars(compared.comparison, compared.notes),
            self.first: gr.update(shares=shares(first) if drawn[0] else {}, suggest=_names(texts[1])),
            self.second: gr.update(shares=shares(second) if drawn[1] else {}, suggest=_names(texts[0])),
            **ready(self.files, self.handlers.comparison_tables(compared)),
        }


def _names(text: str) -> list[str]:
    return [line.rpartition(":")[0].strip() for line in text.splitlines() if line.strip()]
