"""The tabs Compare, Folder and Video."""

import html
from collections.abc import Iterator, Sequence
from contextlib import closing
from threading import Event
from typing import Any

import gradio as gr
import numpy as np
import pandas as pd
from PIL import Image

from ..analysis import to_one_scale
from ..analysis.clips import FRAMES_A_SECOND, KINDS, MAX_SECONDS, Moment, first_frame
from ..io.json_types import JsonObject
from ..io.overlay import overlay
from . import words
from .answers import MAX_FILES
from .components import AT_ONCE, EVERY, NETWORK, Updates, custom, downloads, image_file, ready
from .current_image import CurrentImage, Shown
from .files import MAX_UPLOAD, Upload
from .results import Result, Settings
from .values import editor_value, save_image, shares

CHOOSE_B = "Choose the second design"
ON_A = {"alt": "Design A", "hint": "Drag over a part of design A.", "empty": "Choose an image"}
ON_B = {"alt": "Design B", "hint": "Drag over the same part of design B and keep its name.", "empty": CHOOSE_B}
ONE_SCALE = (
    "Both maps have one scale: attention per area, its highest value in either design being the brightest. Points are "
    "percent of all predicted attention of a design. Without boxes the nine ninths of the images are compared."
)
REPORT = f"Choose a folder, or up to {MAX_FILES} images: they are ranked in one page that you can keep and print."
TAKES = (
    f"A clip of **at most {MAX_SECONDS} seconds and {MAX_UPLOAD // 2**20} MB**: {KINDS}. The result has "
    f"{FRAMES_A_SECOND} frames a second, no sound."
)
DRAW = "Drag over parts of the first frame to follow their share through the clip."
ONLY_B = "boxes on B are compared as soon as A has boxes of the same names"
CURVE = (
    "<p>The effective area is the part of the image that the predicted attention would fill if it were even (the "
    "exponential of the map's entropy over the number of cells). The lower, the more concentrated.</p>"
)


def add_compare(current: CurrentImage) -> None:
    """The image at hand and a second design, with boxes on each."""
    answers = current.answers
    upload = gr.UploadButton(CHOOSE_B, variant="primary", file_types=["image"], elem_id="compare-choose")
    text = custom("status", "", "compare-words")
    options = {"suggest": [], "shares": {}, "elem_classes": ["mlnet-design"]}
    start = {**current.start["regions"], "map": None} if current.start else {}
    with gr.Row(elem_classes="mlnet-designs"):
        first = custom("boxes", start, "compare-first", ON_A, **options)
        second = custom("boxes", {}, "compare-second", ON_B, **options)
    gr.Markdown(ONE_SCALE, elem_classes="mlnet-small")
    files = downloads("compare-", {"json": "JSON", "csv": "CSV"})
    second_upload = gr.State()

    def take(payload: object) -> Updates:
        return {second_upload: answers.files.receive(payload, "second design")}

    def draw(result: Result | None, saliency_map: np.ndarray | None) -> JsonObject:
        if result is None:
            return {}
        src = heat = save_image(answers, result)
        if saliency_map is not None:
            heat = answers.files.save(f"{result.stem}.heat.jpg", overlay(result.image, saliency_map))
        return editor_value(result, src, heat)

    def show(shown: Shown | None, upload: Upload | None) -> Updates:
        result = answers.open(*shown) if shown else None
        second_result = answers.open(upload, shown and shown[1]) if upload else None
        both = (result.saliency_map, second_result.saliency_map) if result and second_result else None
        maps = to_one_scale(*both) if both else (None, None)
        values = {first: draw(result, maps[0]), second: draw(second_result, maps[1])}
        designs = {editor: gr.update(value=value, shares={}) for editor, value in values.items()}
        return {**designs, text: "", **ready(files)}

    def measure(shown: Shown | None, upload: Upload | None, editor: Any, second_editor: Any) -> Updates:
        if shown is None or upload is None:
            return {}
        boxes, second_boxes = ((value or {}).get("boxes") or "" for value in (editor, second_editor))
        results = [answers.open(*shown), answers.open(upload, shown[1])]
        compared, notes, paths = answers.compare(results, boxes, second_boxes if boxes.strip() else "")
        regions = (compared.first, compared.second) if boxes.strip() else ([], [])
        notes = notes if boxes.strip() or not second_boxes.strip() else [ONLY_B, *notes]
        return {  # of the designs only props: another box may have been drawn since
            text: words.comparison_bars(compared, notes),
            first: gr.update(shares=shares(regions[0]), suggest=_names(second_boxes)),
            second: gr.update(shares=shares(regions[1]), suggest=_names(boxes)),
            **ready(files, paths),
        }

    empty: Updates = {second_upload: None, text: "", second: {}, **ready(files)}
    outputs, designs = [text, first, second, second_upload, *files.values()], [current.shown, second_upload]
    current.on(upload.upload, take, [upload], [second_upload], preprocess=False, **EVERY)
    waiting = {**NETWORK, "follows": True, "trigger_mode": "always_last", "show_progress_on": [text]}
    changes = [current.shown.change, second_upload.change]
    showing = current.on(changes, show, designs, outputs, lambda: empty, **waiting)
    inputs = [*designs, first, second]
    current.on(showing.then, measure, inputs, outputs, follows=True)
    current.on([first.input, second.input], measure, inputs, outputs, trigger_mode="always_last")


def _names(text: str) -> list[str]:
    return [line.rpartition(":")[0].strip() for line in text.splitlines() if line.strip()]


def add_folder(current: CurrentImage) -> None:
    """Several images, ranked."""
    gr.Markdown(REPORT)
    choices: dict[str, dict[str, Any]] = {
        "Choose a folder": {"file_count": "directory", "elem_id": "folder-directory"},
        "Choose images": {"file_count": "multiple", "file_types": ["image"], "elem_id": "folder-multiple"},
    }
    with gr.Row(elem_classes="mlnet-buttons"):
        buttons = [gr.UploadButton(label, variant="primary", **options) for label, options in choices.items()]
    progress = custom("status", "", "folder-words")
    files = downloads("folder-", {"html": "Report (HTML)", "csv": "CSV"})
    shown = gr.HTML("", elem_id="folder-report")

    def say(html: str = "", page: str = "", paths: Sequence[str] = (), running: bool = False) -> Updates:
        usable = dict.fromkeys(buttons, gr.update(interactive=not running))
        return {progress: html, shown: page, **ready(files, paths), **usable}

    def report(payloads: Sequence[object], *settings: Any) -> Iterator[Updates]:
        yield say(running=True)
        uploads = [current.answers.files.receive(payload) for payload in payloads or []]
        uploads = [upload for upload in uploads if not upload.name.startswith(".")]
        for done, result in current.answers.report(uploads, Settings(*settings)):
            if result is None:
                yield {progress: f"<p>{done} of {len(uploads)} images ...</p>"}
                continue
            page, paths = result
            frame = f'<iframe title="The report" sandbox="allow-scripts" srcdoc="{html.escape(page)}"></iframe>'
            yield say(f"<p>{done} of {len(uploads)} images.</p>", frame, paths)

    options = {**NETWORK, "show_progress": "hidden", "preprocess": False}
    for button in buttons:
        current.on(button.upload, report, [button, *current.settings], say(), say, **options)


def add_video(current: CurrentImage) -> None:
    """A clip under its maps."""
    gr.Markdown(TAKES)
    video = gr.Video(
        label=f"Clip, at most {MAX_SECONDS} s", sources=["upload"], height=240, elem_id="video-clip", buttons=[]
    )
    editor = custom("boxes", {}, "video-boxes", {"alt": "First frame", "hint": DRAW}, shares={})
    with gr.Row(elem_classes="mlnet-buttons"):
        button = gr.Button("Render", variant="primary", min_width=120, elem_id="video-button")
        cancel = gr.Button("Cancel", min_width=120, interactive=False, elem_id="video-cancel")
    stopped = gr.State()  # the Event that ends the visitor's rendering
    text = custom("status", CURVE, "video-words")
    options: dict[str, Any] = {"interactive": False, "height": 320, "visible": False}
    shown = gr.Video(label="Clip under its saliency maps", elem_id="video-shown", **options)
    axes = {"x": "second", "y": "percent", "color": "what", "y_title": "percent", "y_lim": [0, None]}
    plot = gr.LinePlot(height=260, visible=False, elem_id="video-curve", **axes)

    def say(html: str = CURVE, running: bool = False) -> Updates:
        return {
            text: html,
            shown: gr.update(value=None, visible=False),
            plot: gr.update(visible=False),
            cancel: gr.update(interactive=running),
            button: gr.update(interactive=not running),
        }

    def open_clip(payload: object) -> Updates:
        if not payload:
            return {editor: {}, **say()}
        upload = current.answers.files.receive(payload, "clip")
        frame = Image.fromarray(first_frame(upload.path, upload.name))
        src = image_file(current.answers.files.save("frame.jpg", frame))
        value = {"src": src, "width": frame.width, "height": frame.height, "boxes": ""}
        return {editor: gr.update(value=value, shares={}), **say()}

    def render(
        payload: object, value: JsonObject | None, opacity: object, colormap: object, *settings: Any
    ) -> Iterator[Updates]:
        stop, value = Event(), value or {}
        yield {**say("<p>Reading the clip ...</p>", running=True), stopped: stop}
        upload, boxes = current.answers.files.receive(payload, "clip"), value.get("boxes", "")
        with closing(current.answers.video(upload, Settings(*settings), opacity, colormap, boxes)) as steps:
            for moments, expected, path in steps:
                if stop.is_set():
                    steps.close()
                    yield say("<p>Cancelled.</p>")
                    return
                if path is None:
                    yield {text: words.progress_html(len(moments), expected)}
        parts = {name: [moment.shares[name] for moment in moments] for name in moments[0].shares}
        yield {
            **say(f"{words.clip_html(moments)}{CURVE}"),
            shown: gr.update(value=path, visible=True),
            plot: gr.update(value=_curve(moments), visible=True),
            editor: gr.update(shares={name: sum(shares) / len(shares) for name, shares in parts.items()}),
        }

    def end(stop: Event) -> Updates:
        stop.set()
        return {text: "<p>Cancelling ...</p>", cancel: gr.update(interactive=False)}

    outputs = [*say(), editor, stopped]
    current.on(video.change, open_clip, [video], outputs, lambda: {editor: {}}, preprocess=False)
    inputs = [video, editor, current.opacity, current.colormap, *current.settings]
    # "multiple": a click that comes just after the end of a run counts
    options = {"concurrency_id": "video", "concurrency_limit": 1, "trigger_mode": "multiple", "preprocess": False}
    current.on(button.click, render, inputs, outputs, say, **options)
    video.change(lambda stop: stop and stop.set(), [stopped], None, **AT_ONCE)  # of another clip
    # gradio's own `cancels` can lose the messages of the next run of the same visitor.
    cancel.click(end, [stopped], [text, cancel], **AT_ONCE)


def _curve(moments: Sequence[Moment]) -> pd.DataFrame:
    """For the plot: the effective area, and the shares of regions."""
    rows = [
        (moment.time, 100 * part, what)
        for moment in moments
        for what, part in {"effective area": moment.effective_area, **moment.shares}.items()
    ]
    return pd.DataFrame(rows, columns=["second", "percent", "what"])
