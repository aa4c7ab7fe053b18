"""What visitors and API clients are told when something does not work: one line, never a traceback."""

import asyncio
import html
import inspect
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import wraps
from typing import Any

import gradio as gr
from gradio.exceptions import InvalidPathError

NOT_UPLOADED = "Only files sent to this page are read: upload the file itself, not an address or a path."
WRONG_FORM = "The input does not have the form this endpoint takes; the API page describes it."
OUR_FAULT = "This went wrong on our side. Try another file, or again later."
logger = logging.getLogger(__name__)


def told(function: Callable) -> Callable:
    """Lets what a visitor can set right reach the browser as one line; logs the rest and tells no details.

    A function that yields becomes an asynchronous one, whose steps are made `in_thread`.
    """

    def to_visitor(error: Exception) -> Exception:
        if isinstance(error, gr.Error):
            return error
        if isinstance(error, ValueError):  # the page would render names with tags in them
            return gr.Error(html.escape(str(error), quote=False), duration=15, print_exception=False)
        logger.error("in %s", function.__name__, exc_info=error)
        return gr.Error(OUR_FAULT, print_exception=False)

    if inspect.isgeneratorfunction(function):

        @wraps(function)
        async def stepwise(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            try:
                async with aclosing(in_thread(function(*args, **kwargs))) as items:
                    async for item in items:
                        yield item
            except Exception as error:
                raise to_visitor(error) from None

        return stepwise

    @wraps(function)
    def at_once(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            raise to_visitor(error) from None

    return at_once


async def in_thread(items: Generator[Any, None, None]) -> AsyncGenerator[Any, None]:
    """Items that take time to make, made in a thread of their own.

    Cancelled, it ends at once, where gradio would wait for the step that `items` are in. They are closed after that
    step, in their thread.
    """
    thread, end = ThreadPoolExecutor(1), object()
    try:
        while (item := await asyncio.get_running_loop().run_in_executor(thread, next, items, end)) is not end:
            yield item
    finally:
        thread.submit(items.close)
        thread.shutdown(wait=False)


class CarefulBlocks(gr.Blocks):
    """Blocks that read uploads only: addresses are not fetched, and a refusal says so instead of "Error"."""

    async def preprocess_data(self, block_fn: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """As gradio's, which would fetch public addresses to the server's disk, whatever their size."""
        if names_address(inputs):
            raise gr.Error(NOT_UPLOADED, print_exception=False)
        try:
            return await super().preprocess_data(block_fn, inputs, *args, **kwargs)
        except gr.Error:
            raise
        except InvalidPathError:
            raise gr.Error(NOT_UPLOADED, print_exception=False) from None
        except Exception as error:  # gradio's and pydantic's own messages carry paths of the server
            logger.info("refused input", exc_info=error)
            raise gr.Error(WRONG_FORM, print_exception=False) from None


def names_address(value: Any) -> bool:
    """Whether a file anywhere in the input is given by an address."""
    if isinstance(value, dict):
        path = value.get("path")
        return (isinstance(path, str) and "://" in path) or any(names_address(one) for one in value.values())
    return isinstance(value, (list, tuple)) and any(names_address(one) for one in value)
