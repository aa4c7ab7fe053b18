"""The tabs Folder and Video."""

import html
from collections.abc import Iterator, Sequence
from contextlib import closing
from threading import Event
from typing import Any

import gradio as gr
import pandas as pd
from PIL import Image

from ..io.json_types import JsonObject
from . import words
from .answers import MAX_FILES
from .components import BROWSER, NETWORK, Updates, custom, downloads, image_file, ready
from .current_image import CurrentImage
from .results import Settings, parse_boxes
from .uploads import MAX_UPLOAD
from .video import FRAMES_A_SECOND, KINDS, MAX_SECONDS, Moment, first_frame

REPORT = f"Choose a folder, or up to {MAX_FILES} images: they are ranked in one page that you can keep and print."
TAKES = (
    f"A clip of **at most {MAX_SECONDS} seconds and {MAX_UPLOAD // 2**20} MB**: {KINDS}. The result has "
    f"{FRAMES_A_SECOND} frames a second, no sound."
)
DRAW = "Drag over parts of the first frame to follow their share through the clip."
CURVE = (
    "<p>The effective area is the part of the image that the predicted attention would fill if it were even (the "
    "exponential of the map's entropy over the number of cells). The lower, the more concentrated.</p>"
)


def add_folder(current: CurrentImage) -> None:
    """Several images, ranked."""
    gr.Markdown(REPORT)
    choices = {
        "Choose a folder": {"file_count": "directory", "elem_id": "folder-directory"},
        "Choose images": {"file_count": "multiple", "file_types": ["image"], "elem_id": "folder-multiple"},
    }
    with gr.Row(elem_classes="mlnet-buttons"):
        buttons = [gr.UploadButton(label, variant="primary", **options) for label, options in choices.items()]
    progress = custom("status", "", "folder-words")
    files = downloads("folder-", {"html": "Report (HTML)", "csv": "CSV"})
    shown = gr.HTML("", elem_id="folder-report")

    def report(payloads: Sequence[object], *settings: Any) -> Iterator[Updates]:
        yield {shown: "", **ready(files)}
        uploads = [current.answers.receive(payload) for payload in payloads or []]
        uploads = [upload for upload in uploads if not upload.name.startswith(".")]
        for done, result in current.answers.report(uploads, Settings(*settings)):
            if result is None:
                yield {progress: f"<p>{done} of {len(uploads)} images ...</p>"}
                continue
            page, paths = result
            frame = f'<iframe title="The report" sandbox="allow-scripts" srcdoc="{html.escape(page)}"></iframe>'
            yield {progress: f"<p>{done} images.</p>", shown: frame, **ready(files, paths)}

    options = {**NETWORK, "show_progress": "hidden", "preprocess": False}
    outputs = [progress, shown, *files.values()]
    for button in buttons:
        inputs = [button, *current.settings]
        current.on(button.upload, report, inputs, outputs, lambda: {progress: "", shown: ""}, **options)


def add_video(current: CurrentImage) -> None:
    """A clip under its maps."""
    gr.Markdown(TAKES)
    video = gr.Video(
        label=f"Clip, at most {MAX_SECONDS} s", sources=["upload"], height=240, elem_id="video-clip", buttons=[]
    )
    editor = custom("boxes", {}, "video-boxes", alt="First frame", empty="", shares={}, hint=DRAW)
    with gr.Row(elem_classes="mlnet-buttons"):
        button = gr.Button("Render", variant="primary", min_width=120, elem_id="video-button")
        cancel = gr.Button("Cancel", min_width=120, interactive=False, elem_id="video-cancel")
    stopped = gr.State()  # the Event that ends the visitor's rendering
    text = custom("status", CURVE, "video-words")
    options = {"interactive": False, "height": 320, "visible": False}
    shown = gr.Video(label="Clip under its saliency maps", elem_id="video-shown", **options)
    axes = {"x": "second", "y": "percent", "color": "what", "y_title": "percent", "y_lim": [0, None]}
    plot = gr.LinePlot(height=260, visible=False, elem_id="video-curve", **axes)

    def say(words: str = CURVE, running: bool = False) -> Updates:
        return {
            text: words,
            shown: gr.update(value=None, visible=False),
            plot: gr.update(visible=False),
            cancel: gr.update(interactive=running),
            button: gr.update(interactive=not running),
        }

    def open_clip(payload: object) -> Updates:
        if not payload:
            return {editor: {}, **say()}
        frame = Image.fromarray(first_frame(current.answers.receive(payload, "clip")))
        src = image_file(current.answers.save("frame.jpg", frame))
        value = {"src": src, "width": frame.width, "height": frame.height, "boxes": ""}
        return {editor: gr.update(value=value, shares={}), **say()}

    def render(payload: object, value: JsonObject | None, opacity: object, colormap: object, *settings: Any) -> Iterator[Updates]:
        stop, value = Event(), value or {}
        yield {**say("<p>Reading the clip ...</p>", running=True), stopped: stop}
        upload, boxes = current.answers.receive(payload, "clip"), value.get("boxes", "")
        with closing(current.answers.video(upload, Settings(*settings), opacity, colormap, boxes)) as steps:
            for moments, expected, path in steps:
                if stop.is_set():
                    yield say("<p>Cancelled.</p>")
                    return
                if path is None:
                    yield {text: words.progress_html(len(moments), expected)}
        yield {
            **say(f"{words.clip_html(moments)}{CURVE}"),
            shown: gr.update(value=path, visible=True),
            plot: gr.update(value=_curve(moments), visible=True),
            editor: gr.update(shares=_means(moments, value)),
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
    # gradio's own `cancels` can lose the messages of the next run of the same visitor.
    cancel.click(end, [stopped], [text, cancel], **BROWSER)


def _curve(moments: Sequence[Moment]) -> pd.DataFrame:
    """For the plot: the effective area, and the shares of regions."""
    rows = [
        (moment.time, 100 * part, what)
        for moment in moments
        for what, part in {"effective area": moment.effective_area, **moment.shares}.items()
    ]
    return pd.DataFrame(rows, columns=["second", "percent", "what"])


def _means(moments: Sequence[Moment], value: JsonObject) -> JsonObject:
    """Mean shares of regions over a clip, for `assets/boxes.js`."""
    size = value.get("width", 1), value.get("height", 1)
    means = {}
    for box in parse_boxes(value.get("boxes", ""), size):
        share = sum(moment.shares[box.name] for moment in moments) / len(moments)
        means[box.name] = {"share": share, "ratio": share * size[0] * size[1] / (box.width * box.height)}
    return means
