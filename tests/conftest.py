"""Shared fixtures. Nothing here needs the network or a file outside the repository."""

import json
import os
import re
import shutil
from pathlib import Path

if "PYTEST_XDIST_WORKER_COUNT" in os.environ:  # processes beside each other, and what they start, share the cores
    share = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share //= int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, share)))
    # gradio looks for a free port from here on: none may be one that another process has just given up
    os.environ.setdefault("GRADIO_SERVER_PORT", str(7860 + 200 * int(os.environ["PYTEST_XDIST_WORKER"][2:])))

import convert_keras_weights
import huggingface_hub.utils._http as http
import numpy as np
import pytest
import release
import torch
from huggingface_hub import constants
from layouts import write_folder
from loopback_hub import running_hub
from PIL import Image
from transformers.utils import hub as transformers_hub

from modeling_mlnet import MLNetConfig, MLNetImageProcessor, MLNetModel, SaliencyPredictor

ROOT = Path(__file__).parent.parent
RESULTS = Path(os.environ.get("MLNET_SCREENSHOTS", ROOT / "test-results"))  # screenshots of what failed in a browser
INSTALL = "no Chromium: apt-get install chromium, or python -m playwright install chromium"
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --use-fake-device-for-media-stream --use-fake-ui-for-media-stream"
)


# Files of minutes, the longest first: left to the end, they would run alone
LONG = ("test_docs", "test_resume", "test_release_equality", "test_distributed", "test_training", "test_export")


def pytest_collection_modifyitems(items):
    """Starts with the long files; the order within a file stays."""
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


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
    return release.golden()


@pytest.fixture(scope="session")
def release_arrays() -> tuple[list[np.ndarray], np.ndarray]:
    return release.theano_arrays()


@pytest.fixture(scope="session")
def release_checkpoint(tmp_path_factory, release_arrays) -> Path:
    """The golden weights in the release's own file, converted by the script."""
    folder = tmp_path_factory.mktemp("release")
    weights = release.write_keras_file(folder / "weights.pkl", release.keras_layers(release_arrays[0]))
    convert_keras_weights.convert(weights, folder / "converted")
    weights.unlink()
    return folder / "converted"


@pytest.fixture
def release_model(release_checkpoint) -> MLNetModel:
    return MLNetModel.from_pretrained(release_checkpoint, dropout=0.0).eval()


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
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("small")
    model = MLNetModel(MLNetConfig(**SMALL))
    with torch.no_grad():
        model.prior.weight.uniform_(-0.5, 0.5)
        # without trained statistics the features are large; keep the map in a range float16 can hold
        model.encoder.conv.weight.mul_(0.1)
    model.save_pretrained(folder)
    MLNetImageProcessor(
        size={"height": 64, "width": 96}, image_mean=[127.5] * 3, image_std=[127.5] * 3, antialias=True
    ).save_pretrained(folder)
    return folder


@pytest.fixture
def small_model(small_checkpoint) -> MLNetModel:
    return MLNetModel.from_pretrained(small_checkpoint).eval()


@pytest.fixture
def small_predictor(small_checkpoint) -> SaliencyPredictor:
    return SaliencyPredictor(small_checkpoint)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty Hub on this machine; huggingface_hub asks it, and waits for nothing between its attempts."""
    with running_hub(tmp_path / "hub") as hub:
        template = hub.address + constants.HUGGINGFACE_CO_URL_TEMPLATE.removeprefix(constants.ENDPOINT)
        monkeypatch.setattr(constants, "ENDPOINT", hub.address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(transformers_hub, "_hf_api", None)  # it keeps the address it was made with
        monkeypatch.setattr(http.time, "sleep", lambda seconds: None)
        monkeypatch.setenv("HF_TOKEN", "hf_nobody")
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
def recipe(tmp_path, small_checkpoint):
    """A run of seconds: 12 pictures, a small network."""
    lines = {
        "model": str(small_checkpoint),
        "datasets": [f"folder:{write_folder(tmp_path / 'data')}"],
        "held_out": 0.4,
        "horizontal_flip": True,
        "output_dir": str(tmp_path / "run"),
        "num_train_epochs": 2,
        "per_device_train_batch_size": 4,
        "learning_rate": 0.001,
        "backbone_learning_rate": 0.0001,
        "freeze_batch_norm": True,
        "eval_strategy": "epoch",
        "save_strategy": "epoch",
        "load_best_model_at_end": True,
        "metric_for_best_model": "CC",
        "greater_is_better": True,
        "optim": "adamw_torch",
        "use_cpu": True,
        "disable_tqdm": True,
        "seed": 7,
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(json.dumps(lines))  # JSON is YAML
    return path


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

    def go(width=1280, height=900, scheme="light", touch=False):
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, has_touch=touch
        )
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("console", lambda line: said.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(mini_page)
        page.wait_for_selector("#predict-status[role=status]")  # the page's own script has run
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
