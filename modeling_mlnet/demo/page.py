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

from ..inference.predictor import SaliencyPredictor
from ..io.proxies import EVERYTHING, LOOPBACK, unproxied
from .about import read_card, three_lines
from .endpoints import add_endpoints
from .front import TITLE, Front
from .handlers import Handlers
from .limits import MAX_UPLOAD
from .look import CSS, SCRIPT, theme
from .messages import CarefulBlocks
from .more_tabs import VideoTab, WhyTab
from .predict_tab import PredictTab
from .region_tabs import CompareTab, RegionsTab
from .store import KEPT, Store, keep_swept

WORKERS = 2  # pictures at once
QUEUE = 100  # waiting requests; who comes then is told that the queue is full
EXAMPLES = (".jpg", ".jpeg", ".png", ".webp")


def build_demo(model: str = "mini", examples: Path | None = None, folder: Path | None = None) -> gr.Blocks:
    """The page, with the model loaded, ready for `launch`.

    Args:
        model: As in `SaliencyPredictor`.
        examples: Folder of pictures to offer; `None` for none.
        folder: For uploads and results; `None` takes gradio's own. gradio must know it as GRADIO_TEMP_DIR.

    Raises:
        ValueError: If the model cannot be loaded.
    """
    store = Store(SaliencyPredictor(model), folder or Path(gr.utils.get_upload_folder()))
    handlers = Handlers(store)
    card = read_card(model)
    with CarefulBlocks(title=f"{TITLE} ML-Net saliency prediction", analytics_enabled=False) as demo:
        add_endpoints(handlers)  # first: the names are theirs
        gr.Markdown(
            f"# {TITLE}\nChoose a picture and see where ML-Net predicts that people look first. It predicts the "
            "average viewer's first seconds, not a person.",
            elem_classes="narrow",
        )
        with gr.Tabs(overflow_behavior="wrap"):  # all in sight on a phone, too
            with gr.Tab("Predict", id="predict"):
                predict = PredictTab(handlers, _pictures(examples))
            with gr.Tab("Regions", id="regions"):
                regions = RegionsTab(handlers)
            with gr.Tab("Compare", id="compare"):
                CompareTab(handlers)
            with gr.Tab("Why", id="why"):
                why = WhyTab(handlers)
            with gr.Tab("Video", id="video"):
                VideoTab(handlers)
        gr.Markdown(f"## What it is and is not\n\n{three_lines(card)}", elem_classes="narrow", elem_id="about")
        if card.text:
            with gr.Accordion("Model card", open=False, elem_id="model-card"):
                gr.Markdown(card.text, elem_classes="card")
        predict.connect([regions.image, why.image])
    return demo.queue(max_size=QUEUE, default_concurrency_limit=WORKERS)


def _pictures(folder: Path | None) -> list[Path]:
    if folder is None or not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in EXAMPLES)


@contextmanager
def serving(model: str = "mini", examples: Path | None = None, keep: float = KEPT, **options: Any) -> Iterator[str]:
    """Serves the page as long as the context lasts, and leaves no temporary file behind.

    Args:
        model: As in `build_demo`.
        examples: As in `build_demo`.
        keep: Seconds that uploads and results are kept.
        options: Of `gradio.Blocks.launch`.

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
                js=SCRIPT,
                css=CSS,
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
        options: Of `gradio.Blocks.launch`: `server_name`, `server_port`, `share`, ...

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
