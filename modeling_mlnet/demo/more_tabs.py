"""The tabs Why and Video: what moved the map of a picture, and a clip under its maps."""

from collections.abc import Iterator
from typing import Any

import gradio as gr
import pandas as pd

from ..analysis import percent
from ..io.overlay import OPACITY
from .handlers import Handlers
from .limits import MAX_UPLOAD
from .messages import told
from .parts import FAILED, NETWORK, PRIVATE, empty_when_changed, picture_input, prior_switch, script
from .pictures import COLORMAPS
from .tables import levels_table
from .video import FRAMES_A_SECOND, KINDS, MAX_SECONDS, Moment

SECOND, SPREAD = "second", "part of the picture, %"
PANELS = {
    "Map before the prior": "The saliency map before the learned prior",
    "Prior": "The learned prior: bright where the network expects attention before it looks",
    "Map behind the prior": "The saliency map behind the learned prior",
    "Pixels that moved it": "How much each pixel of the picture would move the map",
}
LEVELS = (
    "The network reads the picture at several levels, from fine (small strides) to coarse. A level's part is how much "
    "a change in it would move this map's mean, to first order: by its gradient, and by gradient times feature, which "
    "does not depend on a level's scale."
)
CURVE = (
    "The curve is the effective area: the part of the picture that the predicted attention would fill if it were even "
    "(the exponential of the map's entropy over the number of cells). The lower, the more concentrated."
)

CANCELLING, CANCELLED = "Cancelling ...", f"Cancelled.\n\n{CURVE}"


def level_in_words(levels: list[dict[str, Any]]) -> str:
    """Which level moves the map most; they come from fine to coarse."""
    first = max(range(len(levels)), key=lambda index: levels[index]["contribution"])
    which = {0: ", the finest level,", len(levels) - 1: ", the coarsest level,"}.get(first, "")
    part = percent(levels[first]["contribution"])
    return f"**{levels[first]['level'].capitalize()}**{which} moves this map most: {part}, by gradient times feature."


class WhyTab:
    """Components and events of the tab.

    Args:
        handlers: Of the page.
    """

    def __init__(self, handlers: Handlers):
        with gr.Row():
            with gr.Column(scale=2, min_width=280):
                self.image = picture_input("Picture", "why-picture")
                self.prior = prior_switch("why-prior")
                self.button = gr.Button("Explain", variant="primary", elem_id="why-button")
            with gr.Column(scale=3, min_width=280):
                self.words = gr.Markdown(LEVELS, elem_id="why-words")
        with gr.Row():
            panels = [
                gr.Image(
                    label=label,
                    interactive=False,
                    height=220,
                    min_width=200,
                    buttons=["download", "fullscreen"],
                    alt_text=alt,
                    elem_id=f"why-{number}",
                )
                for number, (label, alt) in enumerate(PANELS.items())
            ]

        @told
        def why(image: Any, apply_prior: Any) -> list[Any]:
            levels, prior, files = handlers.why(image, apply_prior)
            return [f"{level_in_words(levels)}\n\n{levels_table(levels)}\n\n{LEVELS}\n\n{prior}", *files]

        inputs, outputs = [self.image, self.prior], [self.words, *panels]
        self.button.click(why, inputs, outputs, preprocess=False, show_progress_on=[self.words], **NETWORK)
        empty_when_changed(inputs, outputs, [LEVELS, *[None] * len(panels)])


class VideoTab:
    """Components and events of the tab.

    Args:
        handlers: Of the page.
    """

    def __init__(self, handlers: Handlers):
        self.handlers = handlers
        limit = f"at most {MAX_SECONDS} seconds and {MAX_UPLOAD // 2**20} MB"
        with gr.Row():
            with gr.Column(scale=2, min_width=280):
                gr.Markdown(
                    f"A clip of **{limit}**: {KINDS}. The result has {FRAMES_A_SECOND} frames a second, no sound."
                )
                self.video = gr.Video(
                    label=f"Clip, at most {MAX_SECONDS} s",
                    sources=["upload"],
                    height=260,
                    elem_id="video-clip",
                    buttons=[],
                )
                self.opacity = gr.Slider(0, 1, OPACITY, step=0.05, label="Opacity of the map", elem_id="video-opacity")
                self.colormap = gr.Radio(
                    list(COLORMAPS), value="inferno", label="Colour map", elem_id="video-colormap"
                )
                self.prior = prior_switch("video-prior")
                with gr.Row():
                    self.button = gr.Button("Render", variant="primary", min_width=120, elem_id="video-button")
                    self.cancel = gr.Button("Cancel", min_width=120, interactive=False, elem_id="video-cancel")
            with gr.Column(scale=3, min_width=280):
                self.status = gr.Markdown(CURVE, elem_id="video-status", elem_classes="status")
                self.cancelled = gr.Markdown(visible=False, elem_id="video-cancelled")
                self.shown = gr.Video(
                    label="Clip under its saliency maps", interactive=False, height=300, elem_id="video-shown"
                )
                self.curve = gr.LinePlot(
                    x=SECOND,
                    y=SPREAD,
                    title="How widely attention is spread",
                    y_lim=[0, None],
                    height=240,
                    elem_id="video-curve",
                )
        self._connect()

    def _connect(self) -> None:
        @told
        def render(video: Any, apply_prior: Any, opacity: Any, colormap: Any) -> Iterator[list[Any]]:
            reading = gr.update(value="Reading the clip ...", visible=True)
            yield [reading, gr.update(visible=False), None, None, gr.update(interactive=True)]
            for moments, expected, path in self.handlers.video(video, apply_prior, opacity, colormap):
                if path is None:
                    yield [progress_in_words(len(moments), expected), *[gr.skip()] * 4]
                else:
                    words = f"{curve_in_words(moments)}\n\n{CURVE}"
                    yield [words, gr.skip(), str(path), curve(moments), gr.update(interactive=False)]

        def end(cancelled: str) -> list[Any]:
            buttons = [gr.update(interactive=False), gr.update(interactive=True)]
            return [gr.skip(), CANCELLED, *buttons] if cancelled == CANCELLING else [FAILED, gr.skip(), *buttons]

        inputs = [self.video, self.prior, self.opacity, self.colormap]
        outputs = [self.status, self.cancelled, self.shown, self.curve]
        rendering = self.button.click(
            render,
            inputs,
            [*outputs, self.cancel],
            preprocess=False,
            show_progress="minimal",
            show_progress_on=[self.status],
            concurrency_id="video",
            concurrency_limit=1,
            **PRIVATE,
        )
        # While a cancelled run ends the page would drop a press of "Render", and progress may come that must not be
        # seen. When it has ended, the page tells the failure's listeners.
        stopped = [self.status, self.cancelled, self.cancel, self.button]
        off = gr.update(interactive=False)
        hidden, shown = gr.update(visible=False), gr.update(value=CANCELLING, visible=True)
        self.cancel.click(
            None, None, stopped, js=script(stopped, [hidden, shown, off, off]), cancels=[rendering], **PRIVATE
        )
        rendering.failure(end, [self.cancelled], stopped, queue=False, show_progress="hidden", **PRIVATE)
        empty_when_changed(
            [self.video], outputs, [gr.update(value=CURVE, visible=True), gr.update(visible=False), None, None]
        )


def progress_in_words(done: int, expected: int) -> str:
    """How far the clip is."""
    if not expected:
        return f"Frame {done} ..."
    part = min(done / expected, 1)
    bar = f'<progress value="{part:.3f}"></progress>'
    return f"Frame {done} of about {expected} ({100 * part:.0f} %)\n\n{bar}"


def curve(moments: list[Moment]) -> pd.DataFrame:
    """For the plot."""
    rows = [(one.time, 100 * one.effective_area) for one in moments]
    return pd.DataFrame(rows, columns=[SECOND, SPREAD])


def curve_in_words(moments: list[Moment]) -> str:
    """The curve for those who do not see it."""
    least = min(moments, key=lambda one: one.effective_area)
    most = max(moments, key=lambda one: one.effective_area)
    mean = sum(one.effective_area for one in moments) / len(moments)
    return (
        f"{len(moments)} frames. Attention is most concentrated at {least.time:.1f} s, on "
        f"{percent(least.effective_area)} of the picture, and most spread at {most.time:.1f} s, on "
        f"{percent(most.effective_area)}; {percent(mean)} on average."
    )
