"""The tab Compare: the image at hand and a second design, with boxes on each."""

from typing import Any

import gradio as gr

from ..analysis import to_one_scale
from ..io.json_types import JsonObject
from ..io.overlay import overlay
from . import words
from .components import LIGHT, NETWORK, Updates, custom, downloads, ready
from .current_image import CurrentImage
from .results import Result, Settings
from .uploads import Upload
from .values import editor_value, save_image, shares

ON_A = "Drag over a part of design A."
ON_B = "Drag over the same part of design B, wherever it lies, and keep its name."
ONE_SCALE = (
    "Both maps have one scale: attention per area, its highest value in either design being the brightest. Points are "
    "percent of all predicted attention of a design. Without boxes the nine ninths of the images are compared."
)


def add_compare(current: CurrentImage) -> None:
    """The tab."""
    answers = current.answers
    upload = gr.UploadButton(
        "Choose the second design", variant="primary", file_types=["image"], elem_id="compare-choose"
    )
    text = custom("status", "", "compare-words")
    options = {"suggest": [], "shares": {}, "elem_classes": ["mlnet-design"]}
    start = {**current.start["regions"], "map": None} if current.start else {}
    with gr.Row(elem_classes="mlnet-designs"):
        first = custom(
            "boxes", start, "compare-first", alt="Design A", hint=ON_A, empty="Choose an image", **options
        )
        second = custom(
            "boxes", {}, "compare-second", alt="Design B", hint=ON_B, empty="Choose the second design", **options
        )
    gr.Markdown(ONE_SCALE, elem_classes="mlnet-small")
    files = downloads("compare-", {"json": "JSON", "csv": "CSV"})
    given = gr.State()

    def take(payload: object) -> Updates:
        return {given: answers.receive(payload, "second design")}

    def draw(result: Result, saliency_map: Any) -> JsonObject:
        src = save_image(answers, result)
        shown = None if saliency_map is None else overlay(result.image, saliency_map)
        return editor_value(result, src, answers.save(f"{result.stem}.heat.jpg", shown) if shown else src)

    def show(upload: Upload | None, second_upload: Upload | None, *settings: Any) -> Updates:
        results = [item and answers.open(item, Settings(*settings)) for item in (upload, second_upload)]
        maps = [None, None]
        if all(results):
            maps = to_one_scale(*(result.saliency_map for result in results))
        values = [draw(*pair) if pair[0] else {} for pair in zip(results, maps, strict=True)]
        shown = {editor: gr.update(value=value, shares={}) for editor, value in zip((first, second), values, strict=True)}
        return {**shown, text: ""}

    def measure(
        upload: Upload | None, second_upload: Upload | None, editor: Any, second_editor: Any, *settings: Any
    ) -> Updates:
        if upload is None or second_upload is None:
            return {}
        boxes, second_boxes = ((value or {}).get("boxes") or "" for value in (editor, second_editor))
        results = [answers.open(item, Settings(*settings)) for item in (upload, second_upload)]
        compared, paths = answers.compare(results, boxes, second_boxes if boxes.strip() else "")
        regions = compared.comparison.first, compared.comparison.second
        measured = map(shares, regions) if boxes.strip() else ({}, {})
        of_first, of_second = measured
        return {  # of the designs only props: another box may have been drawn since
            text: words.comparison_bars(compared.comparison, compared.notes),
            first: gr.update(shares=of_first, suggest=_names(second_boxes)),
            second: gr.update(shares=of_second, suggest=_names(boxes)),
            **ready(files, paths),
        }

    outputs, designs = [text, first, second, *files.values()], [current.given, given]
    current.on(upload.upload, take, [upload], [given], preprocess=False)
    changed = [current.given.change, given.change, *(setting.change for setting in current.settings)]
    waiting = {"follows": True, "cleared": lambda: {text: ""}, "trigger_mode": "always_last"}
    shown = current.on(
        changed, show, [*designs, *current.settings], outputs, **{**NETWORK, **waiting}, show_progress_on=[text]
    )
    inputs = [*designs, first, second, *current.settings]
    current.on(shown.then, measure, inputs, outputs, follows=True)
    current.on([first.input, second.input], measure, inputs, outputs, trigger_mode="always_last")


def _names(text: str) -> list[str]:
    return [line.rpartition(":")[0].strip() for line in text.splitlines() if line.strip()]
