"""The page as a whole, and the server that shows it."""

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from ..io.proxies import EVERYTHING, LOOPBACK, unproxied
from .about import read_card, shown_text, three_lines
from .compare_tab import CompareTab
from .components import PRIVATE, asset, custom
from .endpoints import add_endpoints
from .gaps import TITLE, CarefulBlocks, Front
from .handlers import Handlers
from .image_events import connect_image
from .image_tabs import ImageTabs
from .limits import MAX_UPLOAD
from .link import connect_address
from .look import theme
from .models import Models
from .other_tabs import FolderTab, VideoTab
from .store import KEPT, keep_swept

GRADIOS_FOLDER = Path(tempfile.gettempdir()) / "gradio"  # unless GRADIO_TEMP_DIR is set
WORKERS = 2  # images at once
QUEUE = 100  # waiting requests; further requests are refused
INTRODUCTION = (
    f"# {TITLE}\nML-Net predicts where people look first in an image: the average viewer's first seconds, not a "
    "person."
)
EXAMPLES = (".jpg", ".jpeg", ".png", ".webp")
TABS = ("map", "regions", "crop", "why", "compare", "folder", "video")


def build_demo(model: str = "mini", examples: Path | None = None, folder: Path | None = None) -> gr.Blocks:
    """The page, with the model loaded and the first example answered, ready for `launch`.

    Args:
        model: As in `SaliencyPredictor`.
        examples: Folder of images to offer; `None` for none.
        folder: For uploads and results; `None` takes gradio's own. gradio must know it as GRADIO_TEMP_DIR.

    Raises:
        ValueError: If the model cannot be loaded.
    """
    handlers = Handlers(Models(model, folder or Path(os.environ.get("GRADIO_TEMP_DIR", GRADIOS_FOLDER))))
    card = read_card(model)
    with CarefulBlocks(title=TITLE, analytics_enabled=False) as demo:
        add_endpoints(handlers)  # first: the names are theirs
        gr.Markdown(INTRODUCTION, elem_classes="mlnet-narrow")
        tabs = ImageTabs(handlers, _examples(examples))
        with gr.Row(elem_classes="mlnet-page"):
            with gr.Column(elem_classes="mlnet-in", min_width=200) as inputs:
                tabs.add_input()
            with gr.Column(elem_classes="mlnet-main", min_width=200):
                notice = custom("notice", "", "notice", limit=MAX_UPLOAD)
                with gr.Tabs(overflow_behavior="wrap", elem_id="tabs") as bar:
                    contents = (
                        *(tabs.add_map, tabs.add_regions, tabs.add_crop, tabs.add_why),
                        *(partial(tab, tabs, notice) for tab in (CompareTab, FolderTab, VideoTab)),
                    )
                    added = [gr.Tab(name.capitalize(), id=name) for name in TABS]
            with gr.Column(elem_classes="mlnet-side", min_width=200):
                tabs.add_options()
                with gr.Column() as offered:
                    tabs.add_examples()
            for tab, add in zip(added, contents, strict=True):
                with tab:
                    add()
        about = f"## What it is and is not\n\n{three_lines(card, model)}"
        gr.Markdown(about, elem_classes="mlnet-narrow", elem_id="about")
        if card:
            with gr.Accordion("Model card", open=False, elem_id="model-card"):
                gr.Markdown(shown_text(card), elem_classes="mlnet-card")
        connect_image(tabs, notice)
        connect_address(demo, tabs, bar, dict(zip(TABS, added, strict=True)), notice)
        for name, tab in zip(TABS, added, strict=True):  # folder and video do not ask about the image at hand
            shown = gr.update(visible=name not in TABS[-2:])
            tab.select(lambda shown=shown: [shown, shown], None, [inputs, offered], queue=False, **PRIVATE)
    return demo.queue(max_size=QUEUE, default_concurrency_limit=WORKERS)


def _examples(folder: Path | None) -> dict[str, Path]:
    if folder is None or not folder.is_dir():
        return {}
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in EXAMPLES)
    return {path.stem.capitalize(): path for path in paths}


@contextmanager
def serving(model: str = "mini", examples: Path | None = None, keep: float = KEPT, **options: Any) -> Iterator[str]:
    """Serves the page as long as the context lasts, and leaves no temporary file behind.

    Args:
        model: As in `build_demo`.
        examples: As in `build_demo`.
        keep: Seconds that uploads and results are kept.
        options: Options of `gradio.Blocks.launch`.

    Yields:
        The page's address.
    """
    before = os.environ.get("GRADIO_TEMP_DIR")
    folder = Path(tempfile.mkdtemp(prefix="mlnet-demo-", dir=before))  # of its own, to be removed at the end
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    demo = None
    end: Callable[[], None] = partial(shutil.rmtree, folder, ignore_errors=True)
    try:
        demo = build_demo(model, examples, folder)
        with unproxied(LOOPBACK if options.get("share") else EVERYTHING):
            _, address, _ = demo.launch(
                prevent_thread_lock=True,
                max_file_size=MAX_UPLOAD,
                show_error=False,
                ssr_mode=False,
                theme=theme(),
                css=asset("style.css"),
                footer_links=["api"],
                app_kwargs={"middleware": [Middleware(Front)]},
                **options,
            )
        end = keep_swept(folder, keep, every=min(60, keep / 4))
        yield address
    finally:
        if demo is not None:
            demo.close()
        end()
        if before is None:
            del os.environ["GRADIO_TEMP_DIR"]
        else:
            os.environ["GRADIO_TEMP_DIR"] = before


def launch(model: str = "mini", examples: Path | None = None, **options: Any) -> None:
    """Serves the page until it is interrupted.

    Args:
        model: As in `build_demo`.
        examples: As in `build_demo`.
        options: Options of `gradio.Blocks.launch`: `server_name`, `server_port`, `share`, ...

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
