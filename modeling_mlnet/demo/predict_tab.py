"""The tab Predict: a picture in, where people look out."""

from pathlib import Path
from typing import Any

import gradio as gr

from ..io.overlay import OPACITY
from .handlers import Handlers
from .messages import told
from .parts import FAILED, LIGHT, NETWORK, PRIVATE, TAKES, picture_input, prior_switch
from .pictures import COLORMAPS
from .words import alt_text, strongest_in_short, strongest_in_words

WAITING = "The result appears here: the picture under its saliency map, and where its attention lies, in words."
CHOOSE = "Choose a picture, or one of the examples."
LOOKING = "Looking at the picture ..."
BRIGHT = "Bright is where more attention is expected, in every colour map."


class PredictTab:
    """Components and events of the tab.

    Args:
        handlers: Of the page.
        examples: Pictures to offer.
    """

    def __init__(self, handlers: Handlers, examples: list[Path]):
        self.handlers = handlers
        with gr.Row():
            with gr.Column(scale=2, min_width=280):
                self._inputs()
                if examples:
                    self._examples(examples)
            with gr.Column(scale=3, min_width=280):
                self._outputs()

    def _inputs(self) -> None:
        self.image = picture_input("Picture", "predict-picture", ("upload", "webcam", "clipboard"))
        self.button = gr.Button("Predict", variant="primary", elem_id="predict-button")
        # On a phone this is what one sees beside the picture: the result is further down.
        self.status = gr.Markdown(CHOOSE, elem_id="predict-status", elem_classes="status")
        self.prior = prior_switch("predict-prior")
        gr.Markdown(TAKES)

    def _outputs(self) -> None:
        self.slider = gr.ImageSlider(
            label="Picture | picture under its map",
            interactive=False,
            type="filepath",
            max_height=480,
            slider_position=25,
            elem_id="predict-slider",
            buttons=["fullscreen"],
        )
        gr.Markdown("### Where", elem_id="predict-where")
        self.words = gr.Markdown(WAITING, elem_id="predict-words")
        self.bare = gr.Image(
            label="Saliency map alone", interactive=False, height=240, elem_id="predict-map", buttons=["fullscreen"]
        )
        gr.Markdown(BRIGHT)
        with gr.Row():
            self.opacity = gr.Slider(
                0,
                1,
                OPACITY,
                step=0.05,
                label="Opacity of the map",
                info="0 shows the picture alone.",
                min_width=220,
                elem_id="predict-opacity",
            )
            self.colormap = gr.Radio(
                list(COLORMAPS), value="inferno", label="Colour map", min_width=220, elem_id="predict-colormap"
            )
        with gr.Row():
            self.downloads = [
                gr.DownloadButton(label, interactive=False, size="sm", min_width=90, elem_id=f"predict-get-{name}")
                for name, label in (("overlay", "Overlay (PNG)"), ("map", "Map (PNG)"), ("npy", "Values (.npy)"))
            ]
        self.kept = gr.State(("", ""))

    def _examples(self, examples: list[Path]) -> None:
        gr.Examples(
            [[str(path)] for path in examples],
            inputs=[self.image],
            label="Examples",
            example_labels=[path.stem.capitalize() for path in examples],
            elem_id="predict-examples",
            api_visibility="private",
        )
        credits = examples[0].parent / "CREDITS.md"
        if credits.is_file():
            gr.Markdown(credits.read_text(encoding="utf-8"))

    @property
    def outputs(self) -> list[Any]:
        """What a prediction fills."""
        return [self.status, self.slider, self.words, self.bare, *self.downloads, self.kept]

    def connect(self, followers: list[gr.Image]) -> None:
        """Connects the events.

        Args:
            followers: Picture inputs of other tabs, which get the picture too.
        """
        inputs = [self.image, self.prior, self.opacity, self.colormap]
        outputs = [*self.outputs, *followers]

        @told
        def predict(image: Any, apply_prior: Any, opacity: Any, colormap: Any) -> list[Any]:
            return self._filled(image, apply_prior, opacity, colormap, len(followers))

        @told
        def predict_if_there(image: Any, apply_prior: Any, opacity: Any, colormap: Any) -> list[Any]:
            if not image:
                return self._empty(CHOOSE, len(followers))
            return self._filled(image, apply_prior, opacity, colormap, len(followers))

        waiting = {"preprocess": False, "show_progress_on": [self.slider, self.status], **NETWORK}
        asked = self.button.click(predict, inputs, outputs, **waiting)
        switched = self.prior.input(predict_if_there, inputs, outputs, trigger_mode="always_last", **waiting)
        # Emptied first, so that no map of the picture before stands beside a new one, or one that cannot be read.
        changed = self.image.change(
            lambda image: self._empty(LOOKING if image else CHOOSE, len(followers)),
            [self.image],
            outputs,
            preprocess=False,
            queue=False,
            show_progress="hidden",
            **PRIVATE,
        ).then(predict_if_there, inputs, outputs, **waiting)
        for event in (asked, switched, changed):
            event.failure(lambda: FAILED, None, [self.status], queue=False, show_progress="hidden", **PRIVATE)

        @told
        def recolor(kept: tuple[str, str], opacity: Any, colormap: Any) -> list[Any]:
            if not kept[0]:
                return [gr.skip()] * 3
            picture, overlay, bare = self.handlers.recolor(*kept, opacity, colormap)
            return [(picture, overlay), bare, overlay]

        gr.on(
            [self.opacity.release, self.opacity.input, self.colormap.input],
            recolor,
            [self.kept, self.opacity, self.colormap],
            [self.slider, self.bare, self.downloads[0]],
            trigger_mode="always_last",
            show_progress="hidden",
            **LIGHT,
        )

    def _filled(self, image: Any, apply_prior: Any, opacity: Any, colormap: Any, followers: int) -> list[Any]:
        found = self.handlers.predict(image, apply_prior, opacity, colormap)
        picture, bare = self.handlers.look(found.result, colormap)
        files = (found.overlay, found.grey_map, found.values)
        return [
            f"Done. {strongest_in_short(found.spots)} [To the result](#predict-slider)",
            (picture, found.overlay),
            strongest_in_words(found.spots, found.result.size),
            gr.Image(bare, alt_text=alt_text(found.spots)),
            *(gr.DownloadButton(value=path, interactive=True) for path in files),
            (found.result.key, found.result.name),
            *[image["path"]] * followers,
        ]

    @staticmethod
    def _empty(status: str, followers: int) -> list[Any]:
        downloads = [gr.DownloadButton(value=None, interactive=False)] * 3
        return [status, None, WAITING, None, *downloads, ("", ""), *[gr.skip()] * followers]
