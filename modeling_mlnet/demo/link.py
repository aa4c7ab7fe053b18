"""The page's address holds its settings, and gives them back."""

from typing import Any

import gradio as gr

from ..io.overlay import OPACITY
from .components import BROWSER, Updates, remember, script
from .current_image import CurrentImage
from .results import COLORMAPS, VIEWS, Settings
from .values import image_values


def connect_address(demo: gr.Blocks, current: CurrentImage, boxes: gr.Textbox, bar: gr.Tabs, tabs: list[gr.Tab]) -> None:
    """Keeps settings, tab, example and boxes in the address, and restores them from there when the page is opened.

    An image of the visitor's own is not in the address.

    Args:
        demo: The page.
        current: The image at hand, with the settings.
        boxes: Boxes as text.
        bar: Bar of all tabs.
        tabs: All tabs; the first one is not in the address.
    """
    answers, first = current.answers, current.first
    models = answers.models
    usual: dict[str, tuple[gr.components.Component, Any]] = {
        "view": (current.view, VIEWS[0]),
        "opacity": (current.opacity, OPACITY),
        "colours": (current.colormap, COLORMAPS[0]),
        "model": (current.model, models.default),
        "recording": (current.recording, next(iter(models.recordings(models.default)), None)),
        "prior": (current.prior, True),
        "boxes": (boxes, ""),
    }
    for name, (component, value) in usual.items():
        remember(component, name, value)
    remember(current.viewer, "example", first, read="value?.example")
    for tab in tabs:
        code = f"() => {{ ({script('address')})('tab', {tab.id!r}, {tabs[0].id!r}); }}"
        tab.select(None, None, None, js=code, **BROWSER)

    def restore(request: gr.Request) -> Updates:
        asked = dict(request.query_params)
        if not asked.keys() & {*usual, "example", "tab"}:
            return {}
        values = {name: asked.get(name, value) for name, (_, value) in usual.items()}
        try:
            values["opacity"] = float(values["opacity"])
        except ValueError:
            raise ValueError(f"The opacity in the address must be a number, got {values['opacity'][:40]!r}.") from None
        values["prior"] = values["prior"] in (True, "true")
        example = asked.get("example", first)
        if example is not None and example not in current.examples:
            raise ValueError(f"The address names the example {example[:40]!r}, which is not offered here.")
        changed: Updates = {component: values[name] for name, (component, _) in usual.items()}
        if asked.get("tab") in [tab.id for tab in tabs]:
            changed[bar] = gr.update(selected=asked["tab"])
        if example is None:
            return changed
        settings = Settings(values["model"], values["recording"], values["prior"])
        look = values["view"], values["opacity"], values["colours"]
        shown = image_values(answers, answers.open(current.examples[example], settings), example, *look)
        shown["regions"]["boxes"] = values["boxes"]
        return {**changed, **current.update(shown), boxes: values["boxes"]}

    outputs = [bar, *{**current.update({}), **{component: None for component, _ in usual.values()}}]
    restored = current.on(demo.load, restore, [], outputs, follows=True, queue=False)
    restored.then(None, None, None, js="() => { document.body.dataset.restored = 'yes'; }", **BROWSER)
