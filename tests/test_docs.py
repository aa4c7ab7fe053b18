"""Every code block of README.md, the cards and docs/ does what it says, on small data in place of the real ones.

Blocks for Python run as they stand, and so do a shell's lines but for the places of data. Training, which would take
days, ends after its first step on a small network; the Hub is one on this machine. Installing is what CI does, and
`torchrun` and `accelerate` are started by test_distributed.py; here the arguments of their trainings are checked.
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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path

import httpx
import matplotlib
import numpy as np
import pytest
import release
from gaze_files import WRITERS, fixations, lines, write_stimuli
from layouts import write_folder, write_image, write_mit1003, write_osie, write_salicon
from loopback_hub import running_hub
from ports import free_port
from transformers import TrainingArguments
from typer.testing import CliRunner

from modeling_mlnet import MINI
from modeling_mlnet.cli import app
from modeling_mlnet.cli.train import train
from modeling_mlnet.data import export_parquet
from modeling_mlnet.demo import serving
from modeling_mlnet.training.arguments import ARGUMENTS, parse_recipe
from modeling_mlnet.training.checks import check_arguments

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
# What CI does, what renews the card from the real data, the login of a person, Docker, what other tests run
ELSEWHERE = (
    "pip ",
    "python conversion/convert_imagenet_wheel.py ",
    "python3 -m venv",
    "MLNET_DATA=DIR ",
    "hf auth ",
    "docker ",
    "MLNET_SERVE_THREADS=1 uvicorn ",
    "mlnet export mini ",  # test_export.py
    "mlnet export vgg16 ",  # would write into the package
    "mlnet demo ",  # test_environment.py
)
PAGE, SERVICE = "http://127.0.0.1:7860", "http://127.0.0.1:8000"


def blocks(language):
    result = [
        (page, match[2])
        for page in PAGES
        for match in BLOCK.finditer(page.read_text(encoding="utf-8"))
        if match[1] == language or (language == "bash" and not match[1] and match[2].startswith("mlnet "))
    ]
    if language == "bash":
        result += [
            (page, match[1] + "\n") for page in PAGES for match in INDENTED.finditer(page.read_text(encoding="utf-8"))
        ]
    return [
        pytest.param(page, code, id=f"{page.parent.name}/{page.stem}-{i}") for i, (page, code) in enumerate(result)
    ]


@pytest.fixture(scope="module")
def place(tmp_path_factory, small_checkpoint) -> Path:
    """A folder with everything that the pages name."""
    place = tmp_path_factory.mktemp("place")
    data = place / "data"
    write_salicon(data / "SALICON", 4, "train")
    write_salicon(data / "SALICON", 4, "val")
    write_osie(data / "osie", 40)
    write_osie(data / "OSIE", 4)
    write_mit1003(data / "MIT1003")
    (data / "salicon").symlink_to("SALICON")
    for name in ("mine", "eyecrowd", "sun500", "mit1003"):
        write_folder(data / name, 4)
    (place / "demo").symlink_to(ROOT / "demo")
    for writer in WRITERS.values():
        writer(place, fixations())
    write_stimuli(place / "stimuli")
    rows = [["P01", "beach.png", 30 * k, 20 * k, 200] for k in range(1, 20)]
    (place / "table.csv").write_text(lines(["who", "picture", "gaze x", "gaze y", "ms"], rows, ","), encoding="utf-8")
    for name in (
        "BenchmarkIMAGES/i1.jpg",
        "testSet/Stimuli/Action/001.jpg",
        "data/SALICON/images/test/COCO_test2014_000000000001.jpg",
    ):
        write_image(place / name)
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
    for name in ("release", "mit1003", "mini", "teacher", "teacher_2"):  # in place of what days of training give
        shutil.copytree(small_checkpoint, place / "runs" / name)
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


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of the running web page."""
    with serving(str(MINI), quiet=True) as address:
        yield address.rstrip("/")


@pytest.fixture(scope="module")
def ran() -> set[tuple[str, ...]]:
    """The commands that have run: several pages show the same."""
    return set()


@pytest.mark.parametrize(("page", "code"), blocks("python"))
def test_python_blocks_run_as_they_stand(page, code, place, request, monkeypatch):
    monkeypatch.chdir(ROOT if 'source="local"' in code else place)
    matplotlib.use("agg")
    if "import pysaliency" in code:
        pytest.importorskip("pysaliency", reason="pysaliency is not installed (pip install -e '.[dev]')")
    if "gradio_client" in code:
        code = code.replace(PAGE, request.getfixturevalue("address"))
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


@contextmanager
def serving_process(words):
    """The page or the service in a process of its own, from its first answer; its address."""
    port = free_port()
    command = [sys.executable, "-m", "modeling_mlnet.cli", *words, "--port", str(port)]
    page = subprocess.Popen(command, env={**os.environ, "HF_HUB_OFFLINE": "1", "GRADIO_ANALYTICS_ENABLED": "False"})
    try:
        for _ in range(240):
            time.sleep(0.5)
            assert page.poll() is None, "it ended by itself"
            with suppress(httpx.TransportError):
                assert httpx.get(f"http://127.0.0.1:{port}").status_code == 200
                break
        else:
            raise AssertionError("no answer within two minutes")
        yield f"http://127.0.0.1:{port}"
    finally:
        page.send_signal(signal.SIGINT)
        assert page.wait(30) == 0


def run_line(line, place, hub, small_checkpoint, monkeypatch, run, ran):
    line = line.replace("/data/", f"{place}/data/").replace("osie:DIR", f"osie:{place}/data/osie")
    line = re.sub(r" \[--.*?\]", "", line)  # options that may be left out
    is_launched, words = LAUNCHER.match(line), shlex.split(LAUNCHER.sub("mlnet ", line), comments=True)
    while words and re.fullmatch(r"\w+=.*", words[0]):
        monkeypatch.setenv(*words.pop(0).split("=", 1))
    if words[0] == "export":
        monkeypatch.setenv(*words[1].split("=", 1))
        return
    if tuple(words) in ran:
        return
    ran.add(tuple(words))
    if is_launched and words[:2] == ["mlnet", "train"]:  # test_distributed.py starts processes
        monkeypatch.setenv("SALICON_DIR", str(place / "data" / "SALICON"))
        monkeypatch.setenv("MLNET_BACKBONE", "lite.safetensors")
        _, data, arguments = parse_recipe(words[2], [*words[3:], "--use_cpu", "true"])
        check_arguments(words[2], arguments, data.streaming)
    elif words[:2] == ["mlnet", "train"]:
        train_one_step(words[1:], place, hub, small_checkpoint, monkeypatch, run)
    elif words[:2] == ["mlnet", "serve"]:
        with serving_process(words[1:]):
            pass
    elif words[0] == "hf":
        in_process([str(Path(sys.executable).with_name("hf")), *words[1:]], hub)
    elif words[:2] == ["python", "conversion/convert_keras_weights.py"]:
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
def test_commands_do_what_they_say(page, code, place, hub, small_checkpoint, tmp_path, monkeypatch, request, ran):
    monkeypatch.chdir(place)
    if "curl " in code:  # a shell's own lines, which ask a running page or service
        assert shutil.which("curl"), "install curl: a page shows how to ask with it"
        if SERVICE in code:
            with serving_process(["serve"]) as address:
                code = code.replace(SERVICE, address).replace("curl ", "curl -sS --fail-with-body ")
                subprocess.run(["bash", "-euo", "pipefail", "-c", code], check=True, timeout=120)
            return
        script = ["bash", "-euo", "pipefail", "-c", code.replace(PAGE, request.getfixturevalue("address"))]
        answer = subprocess.run(script, capture_output=True, text=True, check=True, timeout=120).stdout
        assert "event: complete" in answer and '.npy"' in answer, answer
        return
    for i, line in enumerate(code.replace("\\\n", " ").splitlines()):
        if line and not line.startswith(ELSEWHERE):
            run_line(line, place, hub, small_checkpoint, monkeypatch, tmp_path / f"run{i}", ran)


def test_every_own_key_of_a_recipe_is_explained():
    text = (ROOT / "docs" / "reproduce.md").read_text(encoding="utf-8")
    theirs = {item.name for item in fields(TrainingArguments)}
    keys = [item for arguments in ARGUMENTS for item in fields(arguments) if "help" in item.metadata]
    expected = [f"| `{item.name}` | {item.metadata['help']} |" for item in keys if item.name not in theirs]
    assert [line for line in text.partition("## Keys of a recipe")[2].splitlines() if line[:3] == "| `"] == expected
    in_help = " ".join(train.__doc__.split()).partition("for model and data: ")[2].partition(".")[0]
    assert in_help.split(", ") == [item.name for item in keys if item.name not in theirs]
