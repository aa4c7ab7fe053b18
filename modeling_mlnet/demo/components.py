"""The page's own components, all `gr.HTML` with a script of `assets/`, and buttons that give files."""

import json
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any, TypeAlias

import gradio as gr

from ..io.json_types import JsonObject

Updates: TypeAlias = dict[gr.components.Component, object]  # new values, or what `gr.update` gives
PRIVATE: dict[str, Any] = {"api_visibility": "private"}
EVERY: dict[str, Any] = {"trigger_mode": "multiple"}  # also what is chosen before the choice before is answered
AT_ONCE: dict[str, Any] = {"queue": False, "show_progress": "hidden", **PRIVATE}
LIGHT: dict[str, Any] = {"concurrency_id": "light", "concurrency_limit": 4, "show_progress": "hidden", **PRIVATE}
NETWORK: dict[str, Any] = {"concurrency_id": "network", "concurrency_limit": "default", "show_progress": "full"}


def asset(name: str) -> str:
    """The text of a file of `assets/`."""
    return resources.files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


def custom(script: str, value: object, elem_id: str, texts: JsonObject | None = None, **props: Any) -> gr.HTML:
    """A component whose script, of `assets/`, makes its content from `value`, `texts` and `props`, as JSON.

    Files are as of `image_file`. What never changes is in `texts`: gradio forgets props if it updates a component on a
    tab that was not opened yet. `props` may have options of `gr.HTML`, too.
    """
    code = f"const texts = {json.dumps(texts or {})};\n{asset('dom.js')}\n{asset(f'{script}.js')}"
    props["elem_classes"] = ["mlnet-own", *props.get("elem_classes", [])]
    return gr.HTML(value, html_template="<div></div>", js_on_load=code, elem_id=elem_id, **props)


def image_file(path: str) -> JsonObject:
    """A file for a value of `custom`, to which gradio adds its `url`."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def script(name: str) -> str:
    """A function of `assets/` for the `js` of an event."""
    return asset(f"{name}.js").partition("\n\n")[2].strip().rstrip(";")


def downloads(prefix: str, labels: dict[str, str], start: JsonObject | None = None) -> dict[str, gr.DownloadButton]:
    """A row of buttons that give files, with ids `PREFIXget-NAME`; those of `start` exist already."""
    buttons = {}
    with gr.Row(elem_classes="mlnet-buttons"):
        for name, label in labels.items():
            path, elem_id = (start or {}).get(name), f"{prefix}get-{name}"
            buttons[name] = gr.DownloadButton(label, path, interactive=bool(path), min_width=90, elem_id=elem_id)
    return buttons


def ready(buttons: Mapping[str, gr.DownloadButton], files: Iterable[str] = ()) -> Updates:
    """The buttons of `downloads` with these files, in their order; without any they give nothing."""
    paths: list[str | None] = [*files] or [None] * len(buttons)
    pairs = zip(buttons.values(), paths, strict=True)
    return {button: gr.update(value=path, interactive=path is not None) for button, path in pairs}
