"""Every code block of README.md, the cards and docs/ does what it says, on small data in place of the real ones.

Blocks for Python run as they stand, and so do a shell's lines but for the places of data. Training, which would take
days, ends after its first step on a small network; the Hub is one on this machine. Installing is what CI does, and
`torchrun` and `accelerate` are started by test_distributed.py.
"""

import os
import re
import runpy
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import fields
from pathlib import Path

import httpx
import matplotlib
import numpy as np
import pytest
import release
from layouts import write_folder, write_image, write_mit1003, write_osie, write_salicon
from loopback_hub import running_hub
from ports import free_port
from transformers import TrainingArguments
from typer.testing import CliRunner

from modeling_mlnet import MINI
from modeling_mlnet.cli import app
from modeling_mlnet.data import export_parquet
from modeling_mlnet.demo import serving
from modeling_mlnet.training.arguments import ARGUMENTS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "demo" / "README.md", MINI / "README.md"]
PAGES += sorted((ROOT / "docs").glob("*.md"))
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
INDENTED = re.compile(r"^    (mlnet .*)$", re.MULTILINE)
LAUNCHER = re.compile(r"^(?:torchrun|accelerate launch) .*?-m modeling_mlnet\.cli ")
ONE_STEP = (  # on the small network; a GPU's options are left out
    "--model {small} --config {{}} --backbone_weights= --output_dir {run} --max_steps 1 --dataloader_num_workers 0 "
    "--per_device_train_batch_size 2 --held_out 0.5 --canvas_sizes 64x96 --use_cpu true --torch_compile false"
)
# What CI does, what renews the card from the real data, the login of a person, Docker, what test_onnx_export.py runs
ELSEWHERE = (
    "pip ",
    "python conversion/convert_imagenet_wheel.py ",
    "python3 -m venv",
    "MLNET_DATA=DIR ",
    "hf auth ",
    "docker ",
    "mlnet export mini ",
)
PAGE = "http://127.0.0.1:7860"


def blocks(language):
    found = [
        (page, match[2])
        for page in PAGES
        for match in BLOCK.finditer(page.read_text(encoding="utf-8"))
        if match[1] == language or (language == "bash" and not match[1] and match[2].startswith("mlnet "))
    ]
    if language == "bash":
        found += [
            (page, match[1] + "\n") for page in PAGES for match in INDENTED.finditer(page.read_text(encoding="utf-8"))
        ]
    return [pytest.param(page, code, id=f"{page.parent.name}/{page.stem}-{i}") for i, (page, code) in enumerate(found)]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with everything that the pages name."""
    place = tmp_path_factory.mktemp("place")
    data = place / "data"
    write_salicon(data / "SALICON", 4, "train")
    write_salicon(data / "SALICON", 4, "val")
    write_osie(data / "osie", 40)
    write_osie(data / "OSIE", 4)
    write_mit1003(data / "MIT1003")
    (data / "salicon").symlink_to("SALICON")
    for name in ("mine", "eyecrowd", "sun500"):
        write_folder(data / name, 4)
    (place / "demo").symlink_to(ROOT / "demo")
    for name in ("photo.jpg", "a.jpg", "b.jpg", "MIT300/1.jpg"):
        write_image(place / name, (96, 64))
    for name in ("old.png", "new.png", "designs/1.png", "photos/1.jpg", "banners/1.png", "banners/2.jpg"):
        write_image(place / name, (96, 64))
    write_image(place / "page.png", (300, 300))
    for name in ("boxes.csv", "old.csv", "new.csv"):
        (place / name).write_text("name,x,y,width,height\nbutton,5,5,80,55\n", encoding="utf-8")
    (place / "other_model").mkdir()
    for k in range(4):
        np.save(place / "other_model" / f"COCO_val2014_{k:012d}.npy", np.random.default_rng(k).random((48, 64)))
    arrays = release.theano_arrays()[0]
    release.write_keras_file(place / "mlnet_salicon_weights.pkl", release.keras_layers(arrays))
    release.write_imagenet_file(place / "vgg16_weights.h5", arrays)
    (place / "runs").mkdir()
    for name in ("release", "mit1003", "mini"):  # in place of what days of training give
        (place / "runs" / name).symlink_to(MINI)
    for name in ("recipes", "conversion", "tests", "hubconf.py"):
        (place / name).symlink_to(ROOT / name)
    return place


@pytest.fixture(scope="module")
def hub(place):
    """A Hub that holds a data set, and knows no model but what is pushed."""
    export_parquet(f"salicon:{place}/data/SALICON", place / "parquet")
    with running_hub(place / "hub") as hub:
        hub.add(place / "parquet", "OWNER/salicon", "datasets")
        yield hub


@pytest.mark.parametrize(("page", "code"), blocks("python"))
def test_python_blocks_run_as_they_stand(page, code, place, monkeypatch):
    monkeypatch.chdir(ROOT if 'source="local"' in code else place)
    matplotlib.use("agg")
    with ExitStack() as page_runs:
        if "gradio_client" in code:
            code = code.replace(PAGE, page_runs.enter_context(serving(str(MINI), quiet=True)))
        exec(compile(code.replace("/data/", f"{place}/data/"), str(page), "exec"), {})


def train_one_step(words, place, hub, small_checkpoint, monkeypatch, run):
    monkeypatch.setenv("MLNET_DATA", str(place / "data"))
    monkeypatch.setenv("MLNET_BACKBONE", "lite.safetensors")
    monkeypatch.setenv("SALICON_DIR", os.environ.get("SALICON_DIR", str(place / "data" / "SALICON")))
    words = [*words, *ONE_STEP.format(small=small_checkpoint, run=run).split()]
    if any(word.startswith("OWNER/") for word in words):  # in a process that has asked no other Hub
        in_process([sys.executable, "-m", "modeling_mlnet.cli", *words], hub)
    else:
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, f"{words}: {result.output} {result.exception}"
    assert (run / "model.safetensors").is_file()


def in_process(words, hub):
    settings = {**os.environ, **hub.environment()}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=settings)
    assert done.returncode == 0, done.stderr


def serve(words):
    """Starts the page until it answers."""
    port = free_port()
    command = [sys.executable, "-m", "modeling_mlnet.cli", *words, "--port", str(port)]
    page = subprocess.Popen(command, env={**os.environ, "HF_HUB_OFFLINE": "1", "GRADIO_ANALYTICS_ENABLED": "False"})
    try:
        for _ in range(240):
            time.sleep(0.5)
            assert page.poll() is None, "it ended by itself"
            with suppress(httpx.TransportError):
                assert httpx.get(f"http://127.0.0.1:{port}").status_code == 200
                return
        raise AssertionError("no answer within two minutes")
    finally:
        page.send_signal(signal.SIGINT)
        assert page.wait(30) == 0


def run_line(line, place, hub, small_checkpoint, monkeypatch, run):
    line = line.replace("/data/", f"{place}/data/").replace("osie:DIR", f"osie:{place}/data/osie")
    line = re.sub(r" \[--.*?\]", "", line)  # options that may be left out
    words = shlex.split(LAUNCHER.sub("mlnet ", line), comments=True)
    while words and re.fullmatch(r"\w+=.*", words[0]):
        monkeypatch.setenv(*words.pop(0).split("=", 1))
    if words[0] == "export":
        monkeypatch.setenv(*words[1].split("=", 1))
    elif words[:2] == ["mlnet", "train"]:
        train_one_step(words[1:], place, hub, small_checkpoint, monkeypatch, run)
    elif words[:2] == ["mlnet", "demo"]:
        serve(words[1:])
    elif words[0] == "hf":
        in_process([str(Path(sys.executable).with_name("hf")), *words[1:]], hub)
    elif words[:2] == ["python", "conversion/convert_keras_weights.py"]:
        if Path(words[3]).exists():  # two pages convert the same file
            return
        monkeypatch.setattr(sys, "argv", words[1:])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(words[1], run_name="__main__")
        assert end.value.code == 0
    else:
        assert words[0] == "mlnet", line
        result = CliRunner().invoke(app, words[1:])
        incomplete = words[1:3] == ["data", "check"] and words[3] != "folder"  # fewer pictures than the official ones
        assert result.exit_code == incomplete, f"{line}: {result.output} {result.exception}"


@pytest.mark.parametrize(("page", "code"), blocks("bash"))
def test_commands_do_what_they_say(page, code, place, hub, small_checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(place)
    if "curl " in code:  # a shell's own lines, which ask a running page
        assert shutil.which("curl"), "install curl: a page shows how to ask with it"
        with serving(str(MINI), quiet=True) as address:
            script = ["bash", "-euo", "pipefail", "-c", code.replace(PAGE, address.rstrip("/"))]
            answer = subprocess.run(script, capture_output=True, text=True, check=True, timeout=120).stdout
        assert "event: complete" in answer and '.npy"' in answer, answer
        return
    for i, line in enumerate(code.replace("\\\n", " ").splitlines()):
        if line and not line.startswith(ELSEWHERE):
            run_line(line, place, hub, small_checkpoint, monkeypatch, tmp_path / f"run{i}")


def test_every_own_key_of_a_recipe_is_explained():
    text = (ROOT / "docs" / "reproduce.md").read_text(encoding="utf-8")
    theirs = {one.name for one in fields(TrainingArguments)}
    keys = [one for arguments in ARGUMENTS for one in fields(arguments) if "help" in one.metadata]
    expected = [f"| `{one.name}` | {one.metadata['help']} |" for one in keys if one.name not in theirs]
    assert [line for line in text.partition("## Keys of a recipe")[2].splitlines() if line[:3] == "| `"] == expected
