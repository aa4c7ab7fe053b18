"""The server that shows the page, and removes its files."""

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from ..io.proxies import EVERYTHING, LOOPBACK, environment, unproxied
from .components import asset
from .files import KEPT, MAX_UPLOAD, Files
from .gaps import Front
from .page import build_demo


@contextmanager
def serving(model: str = "mini", examples: Path | None = None, keep: float = KEPT, **options: Any) -> Iterator[str]:
    """Serves the page as long as the context lasts, and leaves no temporary file behind.

    Args:
        model: As in `build_demo`.
        examples: As in `build_demo`.
        keep: Seconds that uploads and results are kept.
        options: Options of `gradio.Blocks.launch`: `server_name`, `server_port`, `share`, ...

    Yields:
        The page's address.
    """
    parent = os.environ.get("GRADIO_TEMP_DIR")
    folder = Path(tempfile.mkdtemp(prefix="mlnet-demo-", dir=parent))  # of its own, to be removed at the end
    with ExitStack() as end:  # what is entered last ends first
        end.enter_context(environment({"GRADIO_TEMP_DIR": str(folder)}))
        end.callback(shutil.rmtree, folder, ignore_errors=True)
        demo = build_demo(model, examples, folder)
        end.callback(demo.close)
        spared, ended = frozenset(folder.rglob("*")), threading.Event()  # the page's own, such as thumbnails
        sweeper = threading.Thread(target=_keep_swept, args=(Files(folder), keep, spared, ended), daemon=True)
        sweeper.start()
        end.callback(sweeper.join)
        end.callback(ended.set)
        with unproxied(LOOPBACK if options.get("share") else EVERYTHING):
            server = {"prevent_thread_lock": True, "max_file_size": MAX_UPLOAD, "show_error": False, "ssr_mode": False}
            look = {"theme": theme(), "css": asset("style.css"), "footer_links": ["api"]}
            _, address, _ = demo.launch(**server, **look, app_kwargs={"middleware": [Middleware(Front)]}, **options)
        yield address


def _keep_swept(files: Files, age: float, spared: frozenset[Path], ended: threading.Event) -> None:
    while not ended.wait(min(60, age / 4)):
        files.sweep(age, spared)


def launch(model: str = "mini", examples: Path | None = None, **options: Any) -> None:
    """Serves the page until it is interrupted; arguments as of `serving`.

    Raises:
        ValueError: If the model cannot be loaded.
        OSError: If the port is taken.
    """
    ended = threading.Event()
    # A container is stopped by SIGTERM; without a handler its temporary files would stay.
    before = {number: signal.signal(number, lambda *_: ended.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with serving(model, examples, **options):
            while not ended.wait(1):
                pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def theme() -> gr.themes.Base:
    """System fonts, so that the page needs no network; contrasts of at least 4.5 to 1, light and dark."""
    fonts = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}
    return gr.themes.Default(primary_hue="blue", secondary_hue="blue", neutral_hue="slate", **fonts).set(
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
        button_primary_text_color="white",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        block_label_text_color="*neutral_700",
        block_label_text_color_dark="*neutral_200",
        block_title_text_color="*neutral_800",
        block_title_text_color_dark="*neutral_100",
        link_text_color="*primary_700",
        link_text_color_dark="*primary_300",
    )
