"""The current image, its settings, and its tabs Map, Regions, Crop and Why, without events."""

from pathlib import Path

import gradio as gr

from ..inference.uploads import KINDS, MAX_BOXES, MAX_BYTES, MAX_PIXELS
from ..io.json_types import JsonObject
from ..io.overlay import OPACITY
from . import images
from .components import Updates, custom, downloads, image_file, ready
from .handlers import USUAL, Handlers
from .limits import Upload
from .values import SHAPES, USUAL_SHAPES, image_values

EMPTY = "Choose an image, paste one with Ctrl+V, or take an example."
TAKES = f"Or paste one with Ctrl+V. {KINDS}; up to {MAX_BYTES // 2**20} MB and {MAX_PIXELS // 10**6} megapixels."
DRAW = "Drag over a part of the image to measure it, as often as you like."
SHARES = "Shares are of all predicted attention. An even spread would give every box 1.0 x its area."


class ImageTabs:
    """Components.

    Args:
        handlers: Functions of the page.
        examples: Images to offer, by name; the first is answered before anybody comes.
    """

    def __init__(self, handlers: Handlers, examples: dict[str, Path]):
        self.handlers = handlers
        self.examples = {name: Upload(path, path.name) for name, path in examples.items()}
        self.first = next(iter(examples), None)
        self.start: JsonObject = {}
        if self.first is not None:
            usual = (images.VIEWS[0], OPACITY, images.COLORMAPS[0], USUAL_SHAPES)
            self.start = image_values(handlers, self.examples[self.first], USUAL, *usual, example=self.first)

    def add_input(self) -> None:
        """The ways to open an image."""
        self.image = gr.Image(
            self.start.get("image"),
            label="Image",
            sources=["upload", "webcam", "clipboard"],
            type="filepath",
            image_mode=None,
            height=220,
            elem_id="image",
            buttons=[],
            placeholder="Drop an image here",
            alt_text="The image at hand",
        )
        self.choose = gr.UploadButton("Choose an image", variant="primary", file_types=["image"], elem_id="choose")
        gr.Markdown(TAKES, elem_classes="mlnet-small")
        self.paste = custom("paste", "", "paste")
        self.given = gr.State(self.start.get("given"))

    def add_options(self) -> None:
        """Settings that are seldom changed."""
        models = self.handlers.models
        kinds = models.recordings()
        with gr.Accordion("Advanced", open=False, elem_id="advanced"):
            self.opacity = gr.Slider(0, 1, OPACITY, step=0.05, label="Opacity of the heat map", elem_id="opacity")
            self.colormap = gr.Radio(list(images.COLORMAPS), value="inferno", label="Colour map", elem_id="colormap")
            self.model = gr.Dropdown(
                list(models.choices), value=models.default, label="Model", interactive=True, elem_id="model"
            )
            self.recording = gr.Dropdown(
                kinds,
                value=next(iter(kinds), None),
                label="Kind of recording",
                info="Whose ground truth is predicted.",
                visible=bool(kinds),
                interactive=True,
                elem_id="recording",
            )
            self.prior = gr.Checkbox(
                True, label="Apply the prior", info="What the network expects before it looks.", elem_id="prior"
            )

    @property
    def settings(self) -> list[gr.components.Component]:
        """The inputs that make a `MapSettings`."""
        return [self.model, self.recording, self.prior]

    def add_examples(self) -> None:
        """Thumbnails to choose from, and whose images they are."""
        if not self.examples:
            return
        gr.Markdown("Examples", elem_classes="mlnet-small")
        thumbnails = []
        for name, upload in self.examples.items():
            path = self.handlers.models.store().place(f"{name}.webp")
            images.save_thumbnail(upload.path, path)
            thumbnails.append({"name": name, "thumbnail": image_file(str(path))})
        self.grid = custom("examples", thumbnails, "examples")
        credits = next(iter(self.examples.values())).path.parent / "CREDITS.md"
        if credits.is_file():
            with gr.Accordion("Credits", open=False, elem_id="credits"):
                gr.Markdown(credits.read_text(encoding="utf-8"))

    def add_map(self) -> None:
        """The result."""
        self.view = gr.Radio(
            list(images.VIEWS), value="Heat", label="View", show_label=False, container=False, elem_id="view"
        )
        self.viewer = custom("viewer", self.start.get("viewer", {}), "viewer", empty=EMPTY)
        labels = {"overlay": "Overlay (PNG)", "map": "Map (PNG)", "npy": "Values (.npy)"}
        self.files = downloads("", labels, {name: self.start[name] for name in labels if name in self.start})

    def add_regions(self) -> None:
        """Boxes on the image."""
        self.regions = custom("boxes", self.start.get("regions", {}), "regions", hint=DRAW, empty=EMPTY, shares={})
        gr.Markdown(SHARES, elem_classes="mlnet-small")
        with gr.Accordion("Type boxes", open=False, elem_id="regions-type"):
            self.boxes = gr.Textbox(
                label=f"Boxes, one a line: name: x, y, width, height in pixels (at most {MAX_BOXES})",
                placeholder="title: 20, 10, 300, 80\nbutton: 40, 240, 120, 40",
                lines=4,
                max_lines=10,
                elem_id="regions-boxes",
            )
            self.measure = gr.Button("Measure", elem_id="regions-button")
        self.region_files = downloads("regions-", {"png": "Boxes (PNG)", "json": "JSON", "csv": "CSV"})

    def add_crop(self) -> None:
        """Windows of the image."""
        self.shapes = gr.CheckboxGroup(list(SHAPES), value=USUAL_SHAPES, label="Shapes", elem_id="crop-shapes")
        self.crops = custom("figures", self.start.get("crops", []), "crops")
        self.crop_button = gr.Button("Make the files", elem_id="crop-button")
        self.crop_file = gr.DownloadButton("Download (ZIP)", visible=False, elem_id="crop-get")

    def add_why(self) -> None:
        """The tab with the explanation."""
        self.explain = gr.Button("Explain this map", variant="primary", elem_id="why-button")
        self.why_words = custom("status", "", "why-words")
        self.panels = custom("figures", [], "why-panels")
        with gr.Accordion("Figures", open=False, visible=False, elem_id="why-figures") as self.figures:
            self.table = gr.Markdown()

    def update(self, values: JsonObject) -> Updates:
        """`values` as updates for gradio; empty `values` clear the tabs."""
        return {
            self.given: values.get("given"),
            self.image: values.get("image"),
            self.viewer: values.get("viewer", {}),
            self.regions: gr.update(value=values.get("regions", {}), shares={}),
            self.boxes: "",
            self.crops: values.get("crops", []),
            self.crop_file: gr.update(visible=False),
            **ready(self.files, [values[name] for name in self.files] if values else ()),
            **ready(self.region_files),
            **self.unexplained(),
        }

    def unexplained(self) -> Updates:
        """The tab Why without an answer."""
        return {
            self.why_words: "",
            self.panels: [],
            self.figures: gr.update(visible=False),
        }
