"""The tab Predict: a picture in, where people look out."""

from pathlib import Path
from typing import Any

import gradio as gr

from ..visualization import OPACITY
from .handlers import Handlers
from .limits import KINDS, MAX_PICTURE, MAX_PIXELS
from .messages import told
from .pictures import COLORMAPS
from .words import alt_text, strongest_in_words

FILE_TYPES = [".jpg", ".jpeg", ".png", ".webp", ".avif", ".gif", ".bmp", ".tif", ".tiff"]
NETWORK: dict[str, Any] = {"concurrency_id": "network", "api_visibility": "private"}
PRIVATE: dict[str, Any] = {"api_visibility": "private"}
LIGHT: dict[str, Any] = {"concurrency_id": "light", "concurrency_limit": 4, **PRIVATE}
WAITING = "The result appears here: the picture under its saliency map, and where its attention lies, in words."
TAKES = f"{KINDS}; up to {MAX_PICTURE // 2**20} MB and {MAX_PIXELS // 10**6} megapixels."


def picture_input(label: str, elem_id: str, sources: tuple[str, ...] = ("upload", "clipboard")) -> gr.Image:
    """Where a picture goes in; what gradio would decode itself is left to `Handlers`."""
    return gr.Image(
        label=label,
        sources=list(sources),
        type="filepath",
        image_mode=None,
        height=280,
        elem_id=elem_id,
        buttons=["fullscreen"],
        placeholder="Drop a picture here\n- or -\nClick or tap to choose one",
        alt_text=f"{label}: what you chose",
    )


def prior_switch(elem_id: str) -> gr.Checkbox:
    """The prior, on or off."""
    return gr.Checkbox(
        True, label="Apply the prior", info="What the network expects before it looks, learned.", elem_id=elem_id
    )


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
        return [self.slider, self.words, self.bare, *self.downloads, self.kept]

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
                return self._empty(len(followers))
            return self._filled(image, apply_prior, opacity, colormap, len(followers))

        waiting = {"preprocess": False, "show_progress_on": [self.slider], **NETWORK}
        gr.on([self.button.click], predict, inputs, outputs, **waiting)
        gr.on([self.prior.input], predict_if_there, inputs, outputs, trigger_mode="always_last", **waiting)
        # Emptied first, so that no map of the picture before stands beside a new one, or one that cannot be read.
        self.image.change(
            lambda: self._empty(len(followers)), None, outputs, queue=False, show_progress="hidden", **PRIVATE
        ).then(predict_if_there, inputs, outputs, **waiting)

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
            (picture, found.overlay),
            strongest_in_words(found.regions),
            gr.Image(bare, alt_text=alt_text(found.regions)),
            *(gr.DownloadButton(value=path, interactive=True) for path in files),
            (found.result.key, found.result.name),
            *[image["path"]] * followers,
        ]

    @staticmethod
    def _empty(followers: int) -> list[Any]:
        downloads = [gr.DownloadButton(value=None, interactive=False)] * 3
        return [None, WAITING, None, *downloads, ("", ""), *[gr.skip()] * followers]
