"""Every code block of README.md, the card and docs/ does what it says, on small data in place of the real ones.

Blocks for Python run as they stand. Of the lines for a shell, those of `mlnet` and of the converter run as they stand,
but for the places of data; training, which would take days, is read up to its first step. Installing is what CI does.
"""

import os
import re
import runpy
import shlex
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import release
from layouts import write_folder, write_mit1003, write_osie, write_picture, write_salicon
from typer.testing import CliRunner

from modeling_mlnet import MINI
from modeling_mlnet.cli import app
from modeling_mlnet.recipe import parse_recipe
from modeling_mlnet.training import check_arguments

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", MINI / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
INDENTED = re.compile(r"^    (mlnet .*)$", re.MULTILINE)
TRAINING = re.compile(r"^(?:torchrun|accelerate launch) .*?-m modeling_mlnet\.cli train |^mlnet train ")
ELSEWHERE = (
    "pip ",
    "python3 -m venv",
    "hf ",
    "MLNET_DATA=DIR ",
    "mlnet demo",
)  # CI, the Hub, the real data, its own tests


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
    write_folder(data / "mine", 4)
    for name in ("photo.jpg", "a.jpg", "b.jpg", "MIT300/1.jpg"):
        write_picture(place / name, (96, 64))
    (place / "other_model").mkdir()
    for k in range(4):
        np.save(place / "other_model" / f"COCO_val2014_{k:012d}.npy", np.random.default_rng(k).random((48, 64)))
    arrays = release.theano_arrays()[0]
    release.write_keras_file(place / "mlnet_salicon_weights.pkl", release.keras_layers(arrays))
    (place / "runs").mkdir()
    for name in ("release", "mit1003", "mini"):  # in place of what days of training give
        (place / "runs" / name).symlink_to(MINI)
    for name in ("recipes", "conversion", "tests", "hubconf.py"):
        (place / name).symlink_to(ROOT / name)
    return place


@pytest.mark.parametrize(("page", "code"), blocks("python"))
def test_python_blocks_run_as_they_stand(page, code, place, monkeypatch):
    monkeypatch.chdir(ROOT if 'source="local"' in code else place)
    matplotlib.use("agg")
    exec(compile(code.replace("/data/", f"{place}/data/"), str(page), "exec"), {})


def run_line(line, place, monkeypatch):
    line = line.replace("/data/", f"{place}/data/").replace("osie:DIR", f"osie:{place}/data/osie")
    line = re.sub(r" \[--.*?\]", "", line)  # options that may be left out
    words = shlex.split(line, comments=True)
    while words and re.fullmatch(r"\w+=.*", words[0]):
        monkeypatch.setenv(*words.pop(0).split("=", 1))
    if words[0] == "export":
        monkeypatch.setenv(*words[1].split("=", 1))
    elif TRAINING.match(shlex.join(words)):
        recipe, *overrides = words[words.index("train") + 1 :]
        monkeypatch.setenv("MLNET_DATA", "data")
        monkeypatch.setenv("MLNET_BACKBONE", "lite0.safetensors")
        monkeypatch.setenv("SALICON_DIR", os.environ.get("SALICON_DIR", "data"))
        here = [word for word in overrides if not word.startswith("--bf16")]  # without a GPU, bf16 is refused
        if len(here) < len(overrides):
            del here[here.index("true")]
        _, data, arguments = parse_recipe(recipe, [*here, "--use_cpu", "true"])
        check_arguments(recipe, arguments, data.streaming)
    elif words[:2] == ["python", "conversion/convert_keras_weights.py"]:
        if not Path(words[2]).is_file():
            pytest.skip(f"{words[2]} is the authors' file")
        if Path(words[3]).exists():
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
def test_commands_do_what_they_say(page, code, place, monkeypatch):
    monkeypatch.chdir(place)
    for line in code.replace("\\\n", " ").splitlines():
        if line and not line.startswith(ELSEWHERE):
            run_line(line, place, monkeypatch)
