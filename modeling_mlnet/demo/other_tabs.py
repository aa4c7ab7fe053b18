"""The tabs Folder and Video."""

import html
from collections.abc import Iterator, Sequence
from contextlib import closing
from threading import Event
from typing import Any

import gradio as gr
import pandas as pd

from ..analysis import Box
from ..io.json_types import JsonObject
from . import images, words
from .boxes import parse_boxes
from .components import LIGHT, NETWORK, PRIVATE, Updates, custom, downloads, image_file, on_page, ready, say_failures
from .documents import MAX_FILES, write_report
from .handlers import MapSettings
from .image_tabs import ImageTabs
from .limits import MAX_UPLOAD
from .video import FRAMES_A_SECOND, KINDS, MAX_SECONDS, Moment, first_frame

SECOND, PERCENT, WHAT, SPREAD = "second", "percent", "what", "effective area"
REPORT = f"Choose a folder, or up to {MAX_FILES} images: they are ranked in one page that you can keep and print."
CURVE = (
    "The effective area is the part of the image that the predicted attention would fill if it were even (the "
    "exponential of the map's entropy over the number of cells). The lower, the more concentrated."
)
CANCELLED = "<p>Cancelled.</p>"


class FolderTab:
    """Several images, ranked.

    Args:
        tabs: With the settings.
        notice: For what goes wrong.
    """

    def __init__(self, tabs: ImageTabs, notice: gr.HTML):
        handlers = tabs.handlers
        gr.Markdown(REPORT)
        with gr.Row(elem_classes="mlnet-buttons"):
            choices: dict[str, JsonObject] = {
                "Choose a folder": {"file_count": "directory"},
                "Choose images": {"file_count": "multiple", "file_types": ["image"]},
            }
            buttons = [
                gr.UploadButton(label, variant="primary", elem_id=f"folder-{options['file_count']}", **options)
                for label, options in choices.items()
            ]
        progress = custom("status", "", "folder-words")
        files = downloads("folder-", {"html": "Report (HTML)", "csv": "CSV"})
        shown = gr.HTML("", elem_id="folder-report")

        @on_page(notice, lambda: {progress: "", shown: ""})
        def report(payloads: Sequence[object], *settings: Any) -> Iterator[dict]:
            yield {shown: "", **ready(files)}
            uploads = [handlers.receive(payload, "image") for payload in payloads or []]
            uploads = [upload for upload in uploads if not upload.name.startswith(".")]
            for done, result in write_report(handlers, uploads, MapSettings(*settings)):
                if result is None:
                    yield {progress: f"<p>{done} of {len(uploads)} images ...</p>"}
                    continue
                page, *paths = result
                frame = f'<iframe title="The report" sandbox="allow-scripts" srcdoc="{html.escape(page)}"></iframe>'
                yield {progress: f"<p>{done} images.</p>", shown: frame, **ready(files, paths)}

        for button in buttons:
            event = button.upload(
                report,
                [button, *tabs.settings],
                [notice, progress, shown, *files.values()],
                preprocess=False,
                show_progress="hidden",
                **NETWORK,
            )
            say_failures(notice, event)


class VideoTab:
    """A clip under its maps.

    Args:
        tabs: With the settings.
        notice: For what goes wrong.
    """

    def __init__(self, tabs: ImageTabs, notice: gr.HTML):
        self.handlers, self.tabs, self.notice = tabs.handlers, tabs, notice
        limit = f"at most {MAX_SECONDS} seconds and {MAX_UPLOAD // 2**20} MB"
        gr.Markdown(f"A clip of **{limit}**: {KINDS}. The result has {FRAMES_A_SECOND} frames a second, no sound.")
        self.video = gr.Video(
            label=f"Clip, at most {MAX_SECONDS} s", sources=["upload"], height=240, elem_id="video-clip", buttons=[]
        )
        self.editor = custom(
            "boxes",
            {},
            "video-boxes",
            alt="First frame",
            empty="",
            shares={},
            hint="Drag over parts of the first frame to follow their share through the clip.",
        )
        with gr.Row(elem_classes="mlnet-buttons"):
            self.button = gr.Button("Render", variant="primary", min_width=120, elem_id="video-button")
            self.cancel = gr.Button("Cancel", min_width=120, interactive=False, elem_id="video-cancel")
        self.stop = gr.State()  # the Event that ends the visitor's rendering
        self.words = custom("status", f"<p>{CURVE}</p>", "video-words")
        self.shown = gr.Video(
            label="Clip under its saliency maps", interactive=False, height=320, visible=False, elem_id="video-shown"
        )
        self.curve = gr.LinePlot(
            x=SECOND,
            y=PERCENT,
            color=WHAT,
            y_title="percent",
            y_lim=[0, None],
            height=260,
            visible=False,
            elem_id="video-curve",
        )
        self._connect()

    def empty(self, text: str = f"<p>{CURVE}</p>") -> Updates:
        """Values of the components without a result."""
        return {
            self.words: text,
            self.shown: gr.update(value=None, visible=False),
            self.curve: gr.update(visible=False),
            self.cancel: gr.update(interactive=False),
            self.button: gr.update(interactive=True),
        }

    def _connect(self) -> None:
        notice = self.notice

        @on_page(notice, lambda: {self.editor: {}})
        def look_at(payload: object) -> dict:
            if not payload:
                return {self.editor: {}, **self.empty()}
            frame = images.Image.fromarray(first_frame(self.handlers.receive(payload, "clip")))
            path = images.save_jpeg(frame, self.handlers.models.store().place("frame.jpg"))
            value = {"src": image_file(path), "width": frame.width, "height": frame.height, "boxes": ""}
            return {self.editor: gr.update(value=value, shares={}), **self.empty()}

        @on_page(notice, self.empty)
        def render(
            payload: object, editor: JsonObject | None, opacity: object, colormap: object, *settings: Any
        ) -> Iterator[dict]:
            stop = Event()
            yield {
                **self.empty("<p>Reading the clip ...</p>"),
                self.button: gr.update(interactive=False),
                self.cancel: gr.update(interactive=True),
                self.stop: stop,
            }
            upload = self.handlers.receive(payload, "clip")
            boxes = (editor or {}).get("boxes", "")
            with closing(self.handlers.video(upload, MapSettings(*settings), opacity, colormap, boxes)) as steps:
                for moments, expected, path in steps:
                    if stop.is_set():
                        break
                    if path is None:
                        yield {self.words: progress_html(len(moments), expected)}
                    else:
                        yield {
                            **self.empty(f"{words.clip_html(moments)}<p>{CURVE}</p>"),
                            self.shown: gr.update(value=str(path), visible=True),
                            self.curve: gr.update(value=curve(moments), visible=True),
                            self.editor: gr.update(shares=means(moments, editor)),
                        }
            if stop.is_set():
                yield self.empty(CANCELLED)

        outputs = [notice, *self.empty(), self.editor, self.stop]
        self.video.change(look_at, [self.video], outputs, preprocess=False, **LIGHT)
        rendering = self.button.click(
            render,
            [self.video, self.editor, self.tabs.opacity, self.tabs.colormap, *self.tabs.settings],
            outputs,
            preprocess=False,
            show_progress="hidden",
            concurrency_id="video",
            concurrency_limit=1,
            trigger_mode="multiple",  # a click that comes just after the end of a run counts
            **PRIVATE,
        )
        say_failures(notice, rendering)

        def stop(event: Event) -> dict:
            event.set()
            return {self.words: "<p>Cancelling ...</p>", self.cancel: gr.update(interactive=False)}

        # gradio's own `cancels` can lose the messages of the next run of the same visitor.
        self.cancel.click(stop, [self.stop], [self.words, self.cancel], queue=False, **PRIVATE)


def progress_html(done: int, expected: int) -> str:
    """How far the clip is."""
    if not expected:
        return f"<p>Frame {done} ...</p>"
    part = min(done / expected, 1)
    bar = f'<progress value="{part:.3f}" aria-label="Frames rendered"></progress>'
    return f"<p>Frame {done} of about {expected} ({100 * part:.0f} %)</p>{bar}"


def curve(moments: list[Moment]) -> pd.DataFrame:
    """For the plot: the effective area, and the shares of regions."""
    rows = [
        (moment.time, 100 * value, what)
        for moment in moments
        for what, value in {SPREAD: moment.effective_area, **moment.shares}.items()
    ]
    return pd.DataFrame(rows, columns=[SECOND, PERCENT, WHAT])


def means(moments: list[Moment], editor: JsonObject | None) -> JsonObject:
    """Mean shares of regions over a clip, for `assets/boxes.js`."""
    size = (editor["width"], editor["height"]) if editor else (1, 1)
    boxes: list[Box] = parse_boxes((editor or {}).get("boxes", ""), size)
    answers = {}
    for box in boxes:
        share = sum(moment.shares[box.name] for moment in moments) / len(moments)
        answers[box.name] = {"share": share, "ratio": share * size[0] * size[1] / (box.width * box.height)}
    return answers
