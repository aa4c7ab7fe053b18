"""Shared fixtures. Nothing here needs the network or a file outside the repository.

PyTorch is imported by the fixtures that need it: the process that only hands out files to others reads this one, too.
"""

import gc
import os
import re
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path

if "PYTEST_XDIST_WORKER_COUNT" in os.environ:  # processes beside each other, and what they start, share the cores
    share = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share //= int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, share)))
    # gradio looks for a free port from here on: none may be one that another process has just given up
    os.environ.setdefault("GRADIO_SERVER_PORT", str(7860 + 200 * int(os.environ["PYTEST_XDIST_WORKER"][2:])))

# as in a process of the command, which sets them before the libraries are imported
os.environ.update(dict.fromkeys(("HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS"), "1"))

import huggingface_hub.utils._http as http
import numpy as np
import pytest
from huggingface_hub import constants
from loopback_hub import Hub, running_hub
from PIL import Image
from short_runs import FinishedRun, train_once, write_recipe

import modeling_mlnet
from modeling_mlnet import cli

ROOT = Path(__file__).parent.parent
RESULTS = Path(os.environ.get("MLNET_SCREENSHOTS", ROOT / "test-results"))  # screenshots of what failed in a browser
INSTALL = "no Chromium: apt-get install chromium, or python -m playwright install chromium"
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --use-fake-device-for-media-stream --use-fake-ui-for-media-stream"
)


# Files of half a minute and more, the longest first: left to the end, they would run alone
LONG = (
    "docs",
    "environment",
    "demo_browser",
    "resume",
    "training",
    "network",
    "backbones",
    "publishing",
    "distributed",
)


def pytest_collection_modifyitems(items):
    """Starts with the long files; the order within a file stays."""
    order = {f"test_{name}": number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path.stem, len(LONG)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Lets fixtures know whether their test failed, for the screenshots of the browser tests."""
    report = yield
    setattr(item, f"report_{call.when}", report)
    return report


@pytest.fixture(autouse=True, scope="session")
def _private_cache(tmp_path_factory):
    import datasets.config

    datasets.config.HF_DATASETS_CACHE = tmp_path_factory.mktemp("datasets")
    # of the graphs that tests make; the processes of one run share them
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    constants.HF_HOME = os.environ["HF_HOME"] = str(shared / "huggingface")


@pytest.fixture(scope="session")
def golden() -> dict[str, np.ndarray]:
    """Numbers of the original release; see tests/fixtures/README.md."""
    import release

    return release.golden()


@pytest.fixture(scope="session")
def release_arrays() -> tuple[list[np.ndarray], np.ndarray]:
    import release

    return release.theano_arrays()


@pytest.fixture(scope="session")
def release_checkpoint(tmp_path_factory, release_arrays) -> Path:
    """The golden weights in the release's own file, converted by the script."""
    import convert_keras_weights
    import release

    folder = tmp_path_factory.mktemp("release")
    weights = release.write_keras_file(folder / "weights.pkl", release.keras_layers(release_arrays[0]))
    convert_keras_weights.convert(weights, folder / "converted")
    weights.unlink()
    return folder / "converted"


@pytest.fixture
def release_model(release_checkpoint) -> "modeling_mlnet.MLNetModel":
    return modeling_mlnet.MLNetModel.from_pretrained(release_checkpoint, dropout=0.0).eval()


SMALL = {
    "backbone": "mobilenetv1_100",
    "backbone_kwargs": {"pad_type": "same", "act_layer": "relu6"},
    "encoder_channels": 8,
    "prior_shape": (3, 4),
    "image_size": (64, 96),
    "loss": "kl_cc",
}


@pytest.fixture(scope="session")
def small_checkpoint(tmp_path_factory) -> Path:
    """An untrained network on a small backbone with its image processor, on a canvas of 64x96."""
    import torch

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("small")
    model = modeling_mlnet.MLNetModel(modeling_mlnet.MLNetConfig(**SMALL))
    with torch.no_grad():
        model.prior.weight.uniform_(-0.5, 0.5)
        # without trained statistics the features are large; keep the map in a range float16 can hold
        model.encoder.conv.weight.mul_(0.1)
    model.save_pretrained(folder)
    modeling_mlnet.MLNetImageProcessor(
        size={"height": 64, "width": 96}, image_mean=[127.5] * 3, image_std=[127.5] * 3, antialias=True
    ).save_pretrained(folder)
    return folder


@pytest.fixture
def small_model(small_checkpoint) -> "modeling_mlnet.MLNetModel":
    return modeling_mlnet.MLNetModel.from_pretrained(small_checkpoint).eval()


@pytest.fixture
def small_predictor(small_checkpoint) -> "modeling_mlnet.SaliencyPredictor":
    return modeling_mlnet.SaliencyPredictor(small_checkpoint)


@pytest.fixture
def mlnet(monkeypatch, capsys):
    """Runs the command `mlnet` in this process, as a process of its own would take seconds to import PyTorch."""

    def run(*words) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["mlnet", *map(str, words)])
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        capsys.readouterr()
        try:
            with warnings.catch_warnings(), pytest.raises(SystemExit) as end:
                cli.main()
        finally:
            gc.unfreeze()
            for number, handler in handlers.items():
                signal.signal(number, handler)
        return subprocess.CompletedProcess(words, end.value.code, *capsys.readouterr())

    return run


def ask(hub: Hub, cache: Path, patch: pytest.MonkeyPatch) -> None:
    """Lets huggingface_hub in this process ask a Hub, and wait for nothing between its attempts."""
    from transformers.utils import hub as transformers_hub

    template = hub.address + constants.HUGGINGFACE_CO_URL_TEMPLATE.removeprefix(constants.ENDPOINT)
    patch.setattr(constants, "ENDPOINT", hub.address)
    patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    patch.setattr(constants, "HF_HUB_CACHE", str(cache))
    patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    patch.setattr(transformers_hub, "_hf_api", None)  # it keeps the address it was made with
    patch.setattr(http.time, "sleep", lambda seconds: None)
    patch.setenv("HF_TOKEN", "hf_nobody")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty Hub on this machine, which is asked."""
    with running_hub(tmp_path / "hub") as hub:
        ask(hub, tmp_path / "cache", monkeypatch)
        yield hub


@pytest.fixture
def pictures(tmp_path) -> list[Path]:
    """Four pictures of different sizes and formats."""
    random = np.random.default_rng(0)
    paths = []
    for name, (width, height) in {"a.jpg": (60, 40), "b.png": (40, 60), "c.webp": (96, 64), "d.bmp": (33, 35)}.items():
        noise = random.integers(0, 256, size=(4, 6, 3), dtype=np.uint8)
        paths.append(tmp_path / name)
        Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC).save(paths[-1])
    return paths


@pytest.fixture
def recipe(tmp_path, small_checkpoint) -> Path:
    """A recipe, and its data."""
    return write_recipe(tmp_path, small_checkpoint)


@pytest.fixture(scope="session")
def trained(tmp_path_factory, small_checkpoint) -> FinishedRun:
    """The run of the recipe as it stands, with every step in its log; only to be read."""
    return train_once(tmp_path_factory.mktemp("trained"), small_checkpoint)


@pytest.fixture(scope="module")
def browser():
    """Chromium, as the system has it or playwright brought it."""
    from playwright import sync_api as playwright

    with playwright.sync_playwright() as driver:
        system = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        try:
            started = driver.chromium.launch(executable_path=system, args=FLAGS.split())
        except playwright.Error:
            pytest.skip(INSTALL)
        yield started
        started.close()


@pytest.fixture(scope="module")
def mini_page():
    """The web page on this machine, with the embedded checkpoint and the example pictures."""
    from modeling_mlnet.demo import serving

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        patch.setenv("HF_HUB_OFFLINE", "1")
        with serving("mini", ROOT / "demo" / "examples", quiet=True) as address:
            yield address


@pytest.fixture
def open_page(browser, mini_page, request):
    """Opens the page; at the end nothing may stand in the console, and a failed test leaves a picture.

    A test that makes the browser itself complain clears `open_page.said`.
    """
    opened, said = [], []

    def go(width=1280, height=900, scheme="light", touch=False, query=""):
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, has_touch=touch
        )
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda line: said.append(f"{line.text} {line.location}") if line.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"{mini_page}{query}")
        page.wait_for_selector("#viewer li", state="attached")  # not seen if the address names another tab
        page.wait_for_selector("body[data-restored]")
        opened.append(page)
        return page

    go.said = said
    yield go
    report = getattr(request.node, "report_call", None)  # of conftest.py
    if report is None or report.failed or said:
        RESULTS.mkdir(parents=True, exist_ok=True)
        for number, page in enumerate(opened):
            name = re.sub(r"\W+", "_", request.node.name)
            page.screenshot(path=RESULTS / f"{name}-{number}.png", full_page=True)
    for page in opened:
        page.context.close()
    assert not said
