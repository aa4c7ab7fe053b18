"""The tabs that show the image at hand: Map, Regions, Crop and Why, and what stands beside them."""

import time

import gradio as gr
from PIL import ImageOps

from ..images_mlnet import open_image
from ..inference.uploads import KINDS, MAX_BOXES, MAX_BYTES, MAX_PIXELS
from ..io.json_types import JsonObject
from . import words
from .components import AT_ONCE, NETWORK, PRIVATE, Updates, custom, downloads, image_file, ready, script
from .current_image import EMPTY, CurrentImage
from .results import Result, parse_boxes
from .values import SHAPES, shares

TAKES = f"Or paste one with Ctrl+V. {KINDS}; up to {MAX_BYTES // 2**20} MB and {MAX_PIXELS // 10**6} megapixels."
DRAW = "Drag over a part of the image to measure it, as often as you like."
SHARES = "Shares are of all predicted attention. An even spread would give every box 1.0 x its area."
LEVELS = (
    "The network reads the image at several levels, from fine (small strides) to coarse. A level's part is how much a "
    "change in it would move this map's mean, to first order: by its gradient, and by gradient times feature, which "
    "does not depend on a level's scale."
)
PANELS = ("Map before the prior", "The prior: expected before looking", "Map behind the prior", "Pixels that moved it")
THUMBNAIL = 2 * 96, 2 * 96  # px, twice the displayed resolution


def add_input(current: CurrentImage) -> list[gr.components.Component]:
    """The ways to open an image, with files as values."""
    current.image.render()
    choose = gr.UploadButton("Choose an image", variant="primary", file_types=["image"], elem_id="choose")
    gr.Markdown(TAKES, elem_classes="mlnet-small")
    paste = custom("paste", "", "paste")
    current.wanted.render()
    current.shown.render()
    return [current.image, choose, paste]


def add_examples(current: CurrentImage) -> gr.HTML | None:
    """Thumbnails to choose from, and whose images they are."""
    if not current.examples:
        return None
    gr.Markdown("Examples", elem_classes="mlnet-small")
    value = []
    for name, upload in current.examples.items():
        small = ImageOps.fit(open_image(upload.path).convert("RGB"), THUMBNAIL)  # a square from the middle
        value.append({"name": name, "thumbnail": image_file(current.answers.files.save(f"{name}.webp", small))})
    thumbnails = custom("examples", value, "examples")
    credits = next(iter(current.examples.values())).path.parent / "CREDITS.md"
    if credits.is_file():
        with gr.Accordion("Credits", open=False, elem_id="credits"):
            gr.Markdown(credits.read_text(encoding="utf-8"))
    return thumbnails


def add_map(current: CurrentImage) -> None:
    """The map in three views, and its files."""
    current.view.render()
    current.viewer.render()
    labels = {"overlay": "Overlay (PNG)", "map": "Map (PNG)", "npy": "Values (.npy)"}
    files = downloads("", labels, current.start)
    current.overlay = files["overlay"]
    current.followers.append(lambda values: ready(files, [values[name] for name in files] if values else ()))


def add_regions(current: CurrentImage) -> None:
    """Boxes on the image."""
    editor = custom("boxes", current.start.get("regions", {}), "regions", {"hint": DRAW, "empty": EMPTY}, shares={})
    gr.Markdown(SHARES, elem_classes="mlnet-small")
    with gr.Accordion("Type boxes", open=False, elem_id="regions-type"):
        label = f"Boxes, one a line: name: x, y, width, height in pixels (at most {MAX_BOXES})"
        example = "title: 20, 10, 300, 80\nbutton: 40, 240, 120, 40"
        text = gr.Textbox(label=label, placeholder=example, lines=4, max_lines=10, elem_id="regions-boxes")
        button = gr.Button("Measure", elem_id="regions-button")
    files = downloads("regions-", {"png": "Boxes (PNG)", "json": "JSON", "csv": "CSV"})

    def follow(values: JsonObject) -> Updates:
        typed = gr.skip() if values.get("again") else ""
        return {editor: gr.update(value=values.get("regions", {}), shares={}), text: typed, **ready(files)}

    def measure(result: Result, value: JsonObject | None) -> Updates:
        boxes = (value or {}).get("boxes") or ""
        if not boxes.strip():
            return {editor: gr.update(shares={}), **ready(files)}
        regions, paths = current.answers.measure(result, boxes)
        return {current.notice: "", editor: gr.update(shares=shares(regions)), **ready(files, paths)}

    def read(result: Result, typed: str) -> Updates:
        boxes = parse_boxes(typed, result.size)
        lines = "\n".join(f"{box.name}: {box.x:g}, {box.y:g}, {box.width:g}, {box.height:g}" for box in boxes)
        return {text: lines, editor: gr.update(typed=[lines, time.time()])}  # anew, if the same again

    current.followers.append(follow)
    outputs = [editor, *files.values()]
    current.on_image(editor.change, measure, [editor], outputs, follows=True, trigger_mode="always_last")
    # At once and by the browser: the answer to `measure` may come while somebody types.
    editor.input(None, [editor], [text], js=script("drawn"), **AT_ONCE)
    current.on_image(button.click, read, [text], [text, editor], needed=True)
    current.boxes = text


def add_crop(current: CurrentImage) -> None:
    """Windows of the image."""
    current.shapes.render()
    current.crops.render()
    button = gr.Button("Make the files", elem_id="crop-button")
    current.crop_file.render()

    def make(result: Result, shapes: list[str]) -> Updates:
        if not shapes:
            raise ValueError("Choose a shape first.")
        path = current.answers.crops(result, [shape for shape in SHAPES if shape in shapes])
        return {current.crop_file: gr.update(value=path, visible=True)}

    making = current.on_image(button.click, make, [current.shapes], [current.crop_file], needed=True, **NETWORK)
    current.shapes.input(None, js=script("cancelled"), cancels=[making], **PRIVATE)


def add_why(current: CurrentImage) -> None:
    """What moved the map."""
    button = gr.Button("Explain this map", variant="primary", elem_id="why-button")
    text = custom("status", "", "why-words")
    panels = custom("figures", [], "why-panels")
    with gr.Accordion("Figures", open=False, visible=False, elem_id="why-figures") as figures:
        table = gr.Markdown()
    nothing = {text: "", panels: [], figures: gr.update(visible=False)}

    def why(result: Result) -> Updates:
        levels, prior, paths = current.answers.why(result)
        return {
            text: f"<p class='mlnet-first'>{words.why_in_words(levels)}</p><p>{prior}</p>",
            panels: [{"src": image_file(path), "title": title} for path, title in zip(paths, PANELS, strict=True)],
            figures: gr.update(visible=True),
            table: f"{words.levels_table(levels)}\n\n{LEVELS}",
        }

    current.followers.append(lambda _: nothing)
    options = {"show_progress_on": [text], **NETWORK}
    current.on_image(button.click, why, [], [*nothing, table], needed=True, cleared=lambda: nothing, **options)
