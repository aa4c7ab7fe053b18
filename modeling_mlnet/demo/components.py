"""The page's own components, all `gr.HTML` with a script of `assets/`, and how its events run."""

import json
from collections.abc import Callable, Iterable, Mapping
from importlib import resources
from typing import Any, TypeAlias

import gradio as gr

from ..io.json_types import JsonObject, JsonValue
from .gaps import caught, in_one_line

Updates: TypeAlias = dict[gr.components.Component, object]  # new values, or what `gr.update` gives
PRIVATE: dict[str, str | int] = {"api_visibility": "private"}
NETWORK: dict[str, str | int] = {"concurrency_id": "network", **PRIVATE}
LIGHT: dict[str, str | int] = {"concurrency_id": "light", "concurrency_limit": 4, "show_progress": "hidden", **PRIVATE}
NO_ANSWER = "No answer came: the server is busy or out of reach. Try again in a minute."


def asset(name: str) -> str:
    """The text of a file of `assets/`."""
    return resources.files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


def custom(script: str, value: object, elem_id: str, **props: Any) -> gr.HTML:
    """A component whose script makes its content from `value` and `props`.

    Args:
        script: Name of the file in `assets/`.
        value: In values of JSON; files as of `image_file`.
        elem_id: HTML id of the component.
        props: Further values the script reads, and options of `gr.HTML`.
    """
    code = f"{asset('dom.js')}\n{asset(f'{script}.js')}"
    props["elem_classes"] = ["mlnet-own", *props.get("elem_classes", [])]
    return gr.HTML(value, html_template="<div></div>", js_on_load=code, elem_id=elem_id, **props)


def image_file(path: str) -> JsonObject:
    """A file for a value of `custom`, to which gradio adds its `url`."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def script(name: str) -> str:
    """A function of `assets/` for the `js` of an event."""
    return asset(f"{name}.js").partition("\n\n")[2].strip().rstrip(";")


def downloads(
    prefix: str, labels: dict[str, str], files: Mapping[str, str] | None = None
) -> dict[str, gr.DownloadButton]:
    """A row of buttons that give files.

    Args:
        prefix: Prefix of their ids, `PREFIX-get-NAME`.
        labels: By name.
        files: Files that exist already, by name.
    """
    files = files or {}
    with gr.Row(elem_classes="mlnet-buttons"):
        return {
            name: gr.DownloadButton(
                label, files.get(name), interactive=name in files, min_width=90, elem_id=f"{prefix}get-{name}"
            )
            for name, label in labels.items()
        }


def ready(buttons: Mapping[str, gr.DownloadButton], files: Iterable[str] = ()) -> Updates:
    """The buttons of `downloads` with these files, in their order; without any they give nothing."""
    paths: list[str | None] = [*files] or [None] * len(buttons)
    pairs = zip(buttons.values(), paths, strict=True)
    return {button: gr.update(value=path, interactive=path is not None) for button, path in pairs}


def remember(component: gr.components.Component, name: str, usual: JsonValue, read: str = "value") -> None:
    """Keeps a component's value in the page's address.

    Args:
        component: Component of the page.
        name: Name of the parameter.
        usual: The default, which is left out.
        read: JavaScript that makes the parameter from `value`.
    """
    code = f"(value) => {{ ({script('address')})({name!r}, {read}, {json.dumps(usual)}); }}"
    component.change(None, [component], None, js=code, queue=False, show_progress="hidden", **PRIVATE)


def on_page(
    notice: gr.HTML, cleared: Callable[[], dict] = dict, follows: bool = False
) -> Callable[[Callable], Callable]:
    """Decorator that shows a function's error as a line on the page.

    Args:
        notice: Shows the line until the function succeeds.
        cleared: Gives what components show instead of a result.
        follows: Whether the function follows from another one, whose line it must not take away.

    Returns:
        A decorator for functions that return, or yield, new values by component.
    """
    said = {notice: gr.skip() if follows else ""}  # an empty dictionary would be taken for a value

    def decorate(function: Callable) -> Callable:
        def failed(error: Exception) -> dict:
            return {notice: in_one_line(error, function.__name__), **cleared()}

        return caught(function, failed, lambda values: {**said, **values})

    return decorate


def say_failures(notice: gr.HTML, *events: gr.events.Dependency) -> None:
    """Shows a message if no answer comes at all, for example because the queue is full."""
    for event in events:
        event.failure(None, None, [notice], js=f"() => {NO_ANSWER!r}", queue=False, show_progress="hidden", **PRIVATE)
