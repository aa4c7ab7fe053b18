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
from .about import about, read_card, shown_text
from .answers import Answers
from .compare_tab import add_compare
from .components import BROWSER, asset
from .current_image import CurrentImage
from .endpoints import add_endpoints
from .files import KEPT, keep_swept
from .gaps import TITLE, CarefulBlocks, Front
from .image_tabs import add_crop, add_examples, add_input, add_map, add_options, add_regions, add_why
from .link import connect_address
from .look import theme
from .models import Models
from .other_tabs import add_folder, add_video
from .uploads import MAX_UPLOAD

GRADIOS_FOLDER = Path(tempfile.gettempdir()) / "gradio"  # unless GRADIO_TEMP_DIR is set
WORKERS = 2  # images at once
QUEUE = 100  # waiting requests; further requests are refused
INTRODUCTION = (
    f"# {TITLE}\nML-Net predicts where people look first in an image: the average viewer's first seconds, not a "
    "person."
)
EXAMPLES = (".jpg", ".jpeg", ".png", ".webp")
TABS = {
    "map": add_map,
    "regions": add_regions,
    "crop": add_crop,
    "why": add_why,
    "compare": add_compare,
    "folder": add_folder,
    "video": add_video,
}
WITHOUT_IMAGE = ("folder", "video")  # do not ask about the image at hand


def build_demo(model: str = "mini", examples: Path | None = None, folder: Path | None = None) -> gr.Blocks:
    """The page, with the model loaded and the first example answered, ready for `launch`.

    Args:
        model: As in `SaliencyPredictor`.
        examples: Folder of images to offer; `None` for none.
        folder: For uploads and results; `None` takes gradio's own. gradio must know it as GRADIO_TEMP_DIR.

    Raises:
        ValueError: If the model cannot be loaded.
    """
    answers = Answers(Models(model), folder or Path(os.environ.get("GRADIO_TEMP_DIR", GRADIOS_FOLDER)))
    card, made = read_card(model), {}
    with CarefulBlocks(title=TITLE, analytics_enabled=False) as demo:
        add_endpoints(answers)  # first: the names are theirs
        gr.Markdown(INTRODUCTION, elem_classes="mlnet-narrow")
        current = CurrentImage(answers, _examples(examples))
        with gr.Row(elem_classes="mlnet-page"):
            with gr.Column(elem_classes="mlnet-in", min_width=200) as inputs:
                files = add_input(current)
            with gr.Column(elem_classes="mlnet-main", min_width=200):
                current.notice.render()
                with gr.Tabs(overflow_behavior="wrap", elem_id="tabs") as bar:
                    for name, add in TABS.items():
                        with gr.Tab(name.capitalize(), id=name) as tab:
                            made[tab] = add(current)
            with gr.Column(elem_classes="mlnet-side", min_width=200):
                add_options(current)
                with gr.Column() as offered:
                    thumbnails = add_examples(current)
        gr.Markdown(about(card, model), elem_classes="mlnet-narrow", elem_id="about")
        if card:
            with gr.Accordion("Model card", open=False, elem_id="model-card"):
                gr.Markdown(shown_text(card), elem_classes="mlnet-card")
        current.connect(files, thumbnails)
        boxes = next(filter(None, made.values()))
        connect_address(demo, current, boxes, bar, list(made))
        for tab in made:
            shown = gr.update(visible=tab.id not in WITHOUT_IMAGE)
            tab.select(lambda shown=shown: [shown, shown], None, [inputs, offered], **BROWSER)
    return demo.queue(max_size=QUEUE, default_concurrency_limit=WORKERS)


def _examples(folder: Path | None) -> dict[str, Path]:
    paths = sorted(folder.iterdir()) if folder is not None and folder.is_dir() else []
    return {path.stem.capitalize(): path for path in paths if path.suffix.lower() in EXAMPLES}


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
