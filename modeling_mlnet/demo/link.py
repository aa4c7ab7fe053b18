"""The page's address holds its settings, and gives them back."""

from typing import Any

import gradio as gr

from ..io.overlay import OPACITY
from .components import PRIVATE, Updates, on_page, remember, script
from .handlers import MapSettings
from .image_tabs import ImageTabs
from .images import COLORMAPS, VIEWS
from .values import USUAL_SHAPES, image_values


def connect_address(demo: gr.Blocks, tabs: ImageTabs, bar: gr.Tabs, named: dict[str, gr.Tab], notice: gr.HTML) -> None:
    """Keeps settings, tab, example and boxes in the address, and restores them from there when the page is opened.

    An image of the visitor's own is not in the address.

    Args:
        demo: The page.
        tabs: With the settings.
        bar: Bar of all tabs.
        named: All tabs by their id.
        notice: For what cannot be restored.
    """
    models = tabs.handlers.models
    usual: dict[str, tuple[gr.components.Component, Any]] = {
        "view": (tabs.view, VIEWS[0]),
        "opacity": (tabs.opacity, OPACITY),
        "colours": (tabs.colormap, COLORMAPS[0]),
        "model": (tabs.model, models.default),
        "recording": (tabs.recording, next(iter(models.recordings()), None)),
        "prior": (tabs.prior, True),
        "boxes": (tabs.boxes, ""),
    }
    for name, (component, value) in usual.items():
        remember(component, name, value)
    remember(tabs.viewer, "example", tabs.first, read="value?.example")
    for name, tab in named.items():
        code = f"() => {{ ({script('address')})('tab', {name!r}, {next(iter(named))!r}); }}"
        tab.select(None, None, None, js=code, queue=False, show_progress="hidden", **PRIVATE)

    @on_page(notice, follows=True)
    def restore(request: gr.Request) -> dict:
        asked = dict(request.query_params)
        if not asked.keys() & {*usual, "example", "tab"}:
            return {}
        values = {name: asked.get(name, value) for name, (_, value) in usual.items()}
        try:
            values["opacity"] = float(values["opacity"])
        except ValueError:
            raise ValueError(f"The opacity in the address must be a number, got {values['opacity'][:40]!r}.") from None
        values["prior"] = values["prior"] in (True, "true")
        example = asked.get("example", tabs.first)
        if example is not None and example not in tabs.examples:
            raise ValueError(f"The address names the example {example[:40]!r}, which is not offered here.")
        kinds = models.recordings(values["model"])
        if values["recording"] not in kinds:
            values["recording"] = next(iter(kinds), None)
        changed: Updates = {component: values[name] for name, (component, _) in usual.items()}
        changed[tabs.recording] = gr.update(choices=kinds, value=values["recording"], visible=bool(kinds))
        if asked.get("tab") in named:
            changed[bar] = gr.update(selected=asked["tab"])
        if example is not None:
            settings = MapSettings(values["model"], values["recording"], values["prior"])
            look = values["view"], values["opacity"], values["colours"], USUAL_SHAPES
            answer = image_values(tabs.handlers, tabs.examples[example], settings, *look, example=example)
            answer["regions"]["boxes"] = values["boxes"]
            changed = {**tabs.update(answer), **changed}
        return changed

    outputs = [notice, bar, *{**tabs.update({}), **{component: None for component, _ in usual.values()}}]
    options = {"queue": False, "show_progress": "hidden", **PRIVATE}
    restored = demo.load(restore, None, outputs, **options)
    restored.then(None, None, None, js="() => { document.body.dataset.restored = 'yes'; }", **options)
