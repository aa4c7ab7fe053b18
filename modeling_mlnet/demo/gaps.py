"""Workarounds for gradio: missing hooks, and behaviour that does not suit a public page.

- `CarefulBlocks.preprocess_data` overrides gradio's, which fetches any public address a client names, of any size.
- `InvalidPathError` is caught: it is raised before a function of the page runs, and its text names the server's paths.
- `with_example` replaces `example_payload`: the API page shows an address there, which is not fetched here.
- `Front` answers before gradio, which fetches `file=https://...` for anybody, and calls itself "Gradio" in previews.
"""

import html
import inspect
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import wraps
from typing import Any, NoReturn

import gradio as gr
from gradio.exceptions import InvalidPathError
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .files import NOT_UPLOADED

TITLE = "Where do people look?"
DESCRIPTION = "Choose an image and see where ML-Net predicts that people look first."
WRONG_FORM = "The input does not have the form this endpoint takes; the API page describes it."
OUR_FAULT = "This went wrong on our side. Try another file, or again later."
GRADIOS_PREVIEW = re.compile(rb"<meta\s+(?:property|name)=\"(?:og|twitter):[^>]*>\s*")
logger = logging.getLogger(__name__)


class CarefulBlocks(gr.Blocks):
    """Blocks that read uploads only: addresses are refused with a message instead of "Error"."""

    async def preprocess_data(self, block_fn: object, inputs: object, *args: object, **kwargs: object) -> object:
        """As gradio's, which would fetch public addresses to the server's disk, whatever their size."""
        if names_address(inputs):
            raise gr.Error(NOT_UPLOADED.format("file"), print_exception=False)
        try:
            return await super().preprocess_data(block_fn, inputs, *args, **kwargs)
        except gr.Error:
            raise
        except InvalidPathError:
            raise gr.Error(NOT_UPLOADED.format("file"), print_exception=False) from None
        except Exception as error:  # gradio's and pydantic's own messages carry paths of the server
            logger.info("refused input", exc_info=error)
            raise gr.Error(WRONG_FORM, print_exception=False) from None


def names_address(value: object) -> bool:
    """Whether a file anywhere in the input is given by an address."""
    if isinstance(value, dict):
        path = value.get("path")
        return (isinstance(path, str) and "://" in path) or any(names_address(item) for item in value.values())
    return isinstance(value, (list, tuple)) and any(names_address(item) for item in value)


def with_example(component: gr.components.Component, example: object) -> gr.components.Component:
    """A component with another example in the code of the API page."""
    component.example_payload = lambda: example
    return component


class Front:
    """ASGI middleware around gradio's app: refuses to fetch addresses with 403, and gives links their preview."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""

        async def send_with_preview(message: Message) -> None:
            if message["type"] == "http.response.start":  # the length changes
                headers = [(name, value) for name, value in message["headers"] if name.lower() != b"content-length"]
                message = {**message, "headers": headers}
            else:
                message = {**message, "body": with_preview(message.get("body", b""))}
            await send(message)

        if scope["type"] == "http" and asks_for_address(scope["path"]):
            refusal = PlainTextResponse("Only files of this page are given out, no addresses fetched.", 403)
            await refusal(scope, receive, send)
        else:
            is_page = scope["type"] == "http" and scope["path"] in ("", "/")
            await self.app(scope, receive, send_with_preview if is_page else send)


def asks_for_address(path: str) -> bool:
    """Whether a request's path asks the server to fetch something from elsewhere."""
    return re.match(r"\s*https?:", path.partition("/file=")[2], re.IGNORECASE) is not None


def with_preview(page: bytes) -> bytes:
    """A page with our title and description for previews of links."""
    values = {"og:type": "website", "og:title": TITLE, "og:description": DESCRIPTION, "twitter:card": "summary"}
    tags = "".join(f'<meta property="{name}" content="{html.escape(value)}">' for name, value in values.items())
    tags += f'<meta name="description" content="{html.escape(DESCRIPTION)}"><title>{html.escape(TITLE)}</title>'
    return GRADIOS_PREVIEW.sub(b"", page).replace(b"</head>", tags.encode() + b"</head>", 1)


def in_one_line(error: Exception, where: str) -> str:
    """Message for a visitor: the text of a ValueError; other errors without details, which are logged."""
    if isinstance(error, ValueError):
        return str(error)
    logger.error("in %s", where, exc_info=error)
    return OUR_FAULT


def caught(
    function: Callable, failed: Callable[[Exception], object], done: Callable[[Any], object] = lambda result: result
) -> Callable:
    """A function, or a generator, whose results pass `done`, and whose errors are answered by `failed`."""

    @wraps(function)
    def at_once(*values: object) -> object:
        try:
            return done(function(*values))
        except Exception as error:
            return failed(error)

    @wraps(function)
    def stepwise(*values: object) -> Iterator[object]:
        try:
            with closing(function(*values)) as results:
                yield from map(done, results)
        except Exception as error:
            yield failed(error)

    return stepwise if inspect.isgeneratorfunction(function) else at_once


def for_clients(function: Callable) -> Callable:
    """Reports errors to API clients in one line."""

    def failed(error: Exception) -> NoReturn:
        if isinstance(error, gr.Error):
            raise error from None
        # the page would render names with tags in them
        message = html.escape(in_one_line(error, function.__name__), quote=False)
        raise gr.Error(message, duration=None, print_exception=False) from None

    return caught(function, failed)
