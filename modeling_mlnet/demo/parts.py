"""What the tabs share: inputs, and how their events run."""

import json
from typing import Any

import gradio as gr

from .limits import KINDS, MAX_PICTURE, MAX_PIXELS

NETWORK: dict[str, Any] = {"concurrency_id": "network", "api_visibility": "private"}
PRIVATE: dict[str, Any] = {"api_visibility": "private"}
LIGHT: dict[str, Any] = {"concurrency_id": "light", "concurrency_limit": 4, **PRIVATE}
TAKES = f"{KINDS}; up to {MAX_PICTURE // 2**20} MB and {MAX_PIXELS // 10**6} megapixels."
FAILED = "No result."


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


def empty_when_changed(
    inputs: list[gr.components.Component], outputs: list[gr.components.Component], values: list[Any]
) -> None:
    """Takes a result away as soon as what it was made of changes, so that none stands beside another picture.

    The browser does it by itself: asked of the server, it could come after the next result.

    Args:
        inputs: Pictures and clips, which change; switches, which are used.
        outputs: Of the result.
        values: What they show instead, or an update of theirs.
    """
    triggers = [one.input if isinstance(one, gr.Checkbox) else one.change for one in inputs]
    gr.on(triggers, None, None, outputs, js=script(outputs, values), queue=False, show_progress="hidden", **PRIVATE)


def script(outputs: list[gr.components.Component], values: list[Any]) -> str:
    """JavaScript of an event that shows these values, or updates, without asking the server."""
    return f"() => {json.dumps([_as_sent(*pair) for pair in zip(outputs, values, strict=True)])}"


def _as_sent(component: gr.components.Component, value: Any) -> Any:
    """A value as the browser gets it."""
    if isinstance(value, dict) and "value" in value:  # an update
        return {**value, "value": _as_sent(component, value["value"])}
    if isinstance(value, dict):
        return value
    sent = component.postprocess(value)
    return sent.model_dump() if hasattr(sent, "model_dump") else sent
