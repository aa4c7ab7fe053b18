"""The page as a whole, and its address, which holds its settings."""

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import gradio as gr

from ..io.overlay import OPACITY
from .about import about, read_card, shown_text
from .answers import Answers, Models
from .components import AT_ONCE, Updates, script
from .current_image import CurrentImage
from .endpoints import add_endpoints
from .files import Files
from .gaps import TITLE, CarefulBlocks
from .image_tabs import add_crop, add_examples, add_input, add_map, add_regions, add_why
from .other_tabs import add_compare, add_folder, add_video
from .results import COLORMAPS, VIEWS, Settings, check_look
from .values import USUAL_SHAPES, image_values

GRADIOS_FOLDER = Path(tempfile.gettempdir()) / "gradio"  # unless GRADIO_TEMP_DIR is set
WORKERS = 2  # images at once
QUEUE = 100  # waiting requests; further requests are refused
INTRODUCTION = f"# {TITLE}\nML-Net predicts where the average viewer of an image looks in the first seconds."
EXAMPLES = (".jpg", ".jpeg", ".png", ".webp")
TABS = (add_map, add_regions, add_crop, add_why, add_compare, add_folder, add_video)


def build_demo(model: str = "mini", examples: Path | None = None, folder: Path | None = None) -> gr.Blocks:
    """The page, with the model loaded and the first example answered, ready for `launch`.

    Args:
        model: As in `SaliencyPredictor`.
        examples: Folder of images to offer; `None` for none.
        folder: For uploads and results; `None` takes gradio's own. gradio must know it as GRADIO_TEMP_DIR.

    Raises:
        ValueError: If the model cannot be loaded.
    """
    answers = Answers(Models(model), Files(folder or Path(os.environ.get("GRADIO_TEMP_DIR", GRADIOS_FOLDER))))
    card, tabs = read_card(model), []
    with CarefulBlocks(title=TITLE, analytics_enabled=False) as demo:
        add_endpoints(answers)  # first: the names are theirs
        gr.Markdown(INTRODUCTION, elem_classes="mlnet-narrow")
        current = CurrentImage(answers, find_examples(examples))
        with gr.Row(elem_classes="mlnet-page"):
            with gr.Column(elem_classes="mlnet-in", min_width=200) as inputs:
                files = add_input(current)
            with gr.Column(elem_classes="mlnet-main", min_width=200):
                current.notice.render()
                with gr.Tabs(overflow_behavior="wrap", elem_id="tabs") as bar:
                    for add in TABS:
                        name = add.__name__.removeprefix("add_")
                        with gr.Tab(name.capitalize(), id=name) as tab:
                            add(current)
                        tabs.append(tab)
            with gr.Column(elem_classes="mlnet-side", min_width=200):
                with gr.Accordion("Advanced", open=False, elem_id="advanced"):
                    for component in (current.opacity, current.colormap, *current.settings):
                        component.render()
                with gr.Column() as offered:
                    thumbnails = add_examples(current)
        gr.Markdown(about(card, model), elem_classes="mlnet-narrow", elem_id="about")
        if card:
            with gr.Accordion("Model card", open=False, elem_id="model-card"):
                gr.Markdown(shown_text(card), elem_classes="mlnet-card")
        current.connect(files, thumbnails)
        _connect_address(demo, current, bar, tabs)
        for tab in tabs:
            shown = gr.update(visible=tab.id not in ("folder", "video"))  # which do not ask about the image at hand
            tab.select(lambda shown=shown: [shown, shown], None, [inputs, offered], **AT_ONCE)
    return demo.queue(max_size=QUEUE, default_concurrency_limit=WORKERS)


def find_examples(folder: Path | None) -> dict[str, Path]:
    """The images of a folder by the names that the page gives them."""
    examples: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder is not None and folder.is_dir() else []:
        if path.suffix.lower() in EXAMPLES:
            name = path.stem.capitalize()
            examples[path.name if name in examples else name] = path
    return examples


def _connect_address(demo: gr.Blocks, current: CurrentImage, bar: gr.Tabs, tabs: list[gr.Tab]) -> None:
    """Keeps settings, tab, example and boxes in the address, and restores them from there when the page is opened.

    An image of the visitor's own is not in the address, nor is the first tab.
    """
    answers, first = current.answers, current.first
    usual: dict[str, tuple[gr.components.Component, Any]] = {
        "view": (current.view, VIEWS[0]),
        "opacity": (current.opacity, OPACITY),
        "colours": (current.colormap, COLORMAPS[0]),
        "model": (current.model, answers.models.default),
        "prior": (current.prior, True),
        "boxes": (current.boxes, ""),
    }
    kept = {"example": (current.viewer, first), **usual}  # in the address, unless they are as usual
    for name, (component, value) in kept.items():
        read = {"example": "value?.example", "boxes": "viewer?.example ? value : ''"}.get(name, "value")
        code = f"(value, viewer) => {{ ({script('address')})({name!r}, {read}, {json.dumps(value)}); }}"
        component.change(None, [component, current.viewer], None, js=code, **AT_ONCE)
    for tab in tabs:
        code = f"() => {{ ({script('address')})('tab', {tab.id!r}, {tabs[0].id!r}); }}"
        tab.select(None, None, None, js=code, **AT_ONCE)

    def restore(request: gr.Request) -> Updates:
        asked = dict(request.query_params)
        if not asked.keys() & {*usual, "example", "tab"}:
            return {}
        values = {name: asked.get(name, value) for name, (_, value) in usual.items()}
        with suppress(ValueError):  # which check_look says
            values["opacity"] = float(values["opacity"])
        for name, choices in {"prior": ("true", "false"), "tab": [tab.id for tab in tabs]}.items():
            if asked.get(name, choices[0]) not in choices:
                raise ValueError(f"The address says {name}={asked[name][:40]}, not one of {', '.join(choices)}.")
        values["prior"] = asked.get("prior") != "false"
        example = asked.get("example", first)
        if example is not None and example not in current.examples:
            raise ValueError(f"The address names the example {example[:40]!r}, which is not offered here.")
        look = values["view"], values["opacity"], values["colours"]
        check_look(*look)
        settings = Settings(values["model"], values["prior"])
        answers.models.predictor(settings.model)  # which names those there are
        changed: Updates = {component: values[name] for name, (component, _) in usual.items()}
        changed[bar] = gr.update(selected=asked.get("tab", tabs[0].id))
        if example is None:
            return changed
        shown = image_values(answers, answers.open(current.examples[example], settings), USUAL_SHAPES, *look)
        shown["regions"]["boxes"] = values["boxes"]
        return {current.wanted: current.examples[example], **current.update(shown), **changed}

    outputs = [bar, current.wanted, *{**current.update({}), **{component: None for component, _ in usual.values()}}]
    restored = current.on(demo.load, restore, [], outputs, follows=True, queue=False)
    restored.then(None, [current.notice], None, js=script("restored"), **AT_ONCE)
