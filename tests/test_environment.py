"""What the machine and its settings can do to a command: one line, no traceback, nobody asked."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from layouts import write_folder, write_image

from modeling_mlnet.io.proxies import EVERYTHING, LOOPBACK, unproxied

ROOT = Path(__file__).parent.parent
COFFEE = ROOT / "tests" / "fixtures" / "images" / "coffee.jpg"
REFUSED = "127.0.0.1:9"  # nobody listens there
# Every process of a command says whom it wants to reach, and reaches nobody but this machine
WATCH = """
import os, sys
LOCAL = ("127.0.0.1", "localhost", "::1", "0.0.0.0", "")
def watch(event, words):
    host = None
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = words[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(words[1], tuple):
        host = words[1][0]
    host = host.decode() if isinstance(host, bytes) else host
    if host is not None and host not in LOCAL:
        with open(os.environ["WATCHED"], "a") as file:
            file.write(f"{event} {host}\\n")
        raise OSError("nobody is asked")
sys.addaudithook(watch)
"""


def mlnet(*words, **environment):
    """The command as a process with a further environment; a value of `None` removes a variable."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        [sys.executable, "-m", "modeling_mlnet.cli", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env={name: str(value) for name, value in variables.items() if value is not None},
    )


@pytest.mark.parametrize(
    ("words", "environment", "message"),
    [
        ("predict {image} -o out", {"RANK": "foo"}, "environment variable RANK must be a whole number, got 'foo'"),
        ("train recipe.yaml", {"WORLD_SIZE": "two"}, "environment variable WORLD_SIZE must be a whole number"),
        ("predict {image} -o out --model a/b", {"ALL_PROXY": f"socks5://{REFUSED}"}, "variable ALL_PROXY"),
        ("predict {image} -o out --model a/b", {"HTTPS_PROXY": "odd://me:secret@x"}, "variable HTTPS_PROXY"),
        ("predict {image} -o out --model a/b", {"HF_HOME": "/dev/null/x"}, "/dev/null/x"),
        (
            "predict {image} -o out --model a/b",
            {"HF_HUB_DOWNLOAD_TIMEOUT": "soon"},
            "variable HF_HUB_DOWNLOAD_TIMEOUT",
        ),
        ("evaluate --dataset {data}", {"HF_HOME": "/dev/null/x"}, "/dev/null/x: Not a directory; see the environment"),
        ("evaluate --dataset a/b", {"ALL_PROXY": f"socks5://{REFUSED}"}, "a/b: no such folder, and no data set"),
    ],
)
def test_a_setting_that_does_not_work_is_named_in_one_line(tmp_path, words, environment, message):
    places = {"image": write_image(tmp_path / "a.jpg"), "data": write_folder(tmp_path / "data")}
    (tmp_path / "recipe.yaml").write_text("seed: 1")
    result = mlnet(*[word.format(**places) for word in words.split()], **environment)
    assert result.returncode == 2
    *_, line = result.stderr.splitlines()
    assert line.startswith("mlnet: error: ") and message in line, result.stderr
    assert "Traceback" not in result.stderr and "secret" not in line.partition("; see")[2]


def test_what_the_command_sets_itself_is_not_named(tmp_path):
    result = mlnet("regions", write_image(tmp_path / "a.jpg"), "--tiles", "1")
    assert "got '1'" in result.stderr and "environment" not in result.stderr


def test_an_error_of_a_library_is_one_line_and_its_traceback_can_be_had(tmp_path):
    code = (
        "import sys; from modeling_mlnet import cli\n"
        "@cli.app.command()\ndef broken(): raise RuntimeError('of a\\nlibrary')\n"
        "sys.argv[1:] = ['broken']; cli.main()"
    )
    for environment, is_long in (({}, False), ({"MLNET_TRACEBACK": "1"}, True)):
        variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
        result = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=variables, check=False
        )
        assert ("Traceback" in result.stderr) == is_long and result.returncode != 0
        if not is_long:
            assert result.stderr == "mlnet: error: of a library (MLNET_TRACEBACK=1 shows where)\n"


def test_the_version_is_shown():
    result = mlnet("--version")
    assert result.returncode == 0 and result.stdout.startswith("mlnet-saliency ") and not result.stderr


def test_a_home_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    image = write_image(tmp_path / "a.jpg")
    (tmp_path / "tmp").mkdir()
    home = {"HOME": "/dev/null/home", "TMPDIR": tmp_path / "tmp", "MPLCONFIGDIR": None, "XDG_CACHE_HOME": None}
    result = mlnet("predict", image, "-o", tmp_path / "out", "--format", "map,overlay", **home)
    assert result.returncode == 0, result.stderr
    assert not list((tmp_path / "tmp").iterdir())


def wait_for_files(folder, count):
    deadline = time.monotonic() + 120
    while not folder.is_dir() or len(list(folder.iterdir())) < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_is_stopped_says_so_and_leaves_whole_files(tmp_path, number):
    image = write_image(tmp_path / "in" / "0.jpg").read_bytes()
    for index in range(1, 2000):
        (tmp_path / "in" / f"{index}.jpg").write_bytes(image)
    words = ["predict", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--format", "map,npy"]
    process = subprocess.Popen(
        [sys.executable, "-m", "modeling_mlnet.cli", *words],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    wait_for_files(tmp_path / "out", 4)
    process.send_signal(number)
    process.send_signal(number)  # by an impatient user
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "mlnet: stopped" in said and "of 2000 images are done; --resume does the rest" in said
    assert "Traceback" not in said
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names and not [name for name in names if name.endswith(".tmp")]


def test_names_that_are_no_text_are_written_as_far_as_they_are(tmp_path, small_checkpoint):
    folder = os.fsencode(tmp_path / "in")
    os.mkdir(folder)
    try:
        shutil.copy(COFFEE, folder + b"/bad\xff.jpg")
    except OSError:
        pytest.skip("the file system takes names in UTF-8 only")
    for words in (
        ["regions", "--box", "a:0,0,100,100", "--format", "json,csv,html"],
        ["crop", "--aspect", "1:1"],
        ["report", "-o", "report.html"],
    ):
        command = [sys.executable, "-m", "modeling_mlnet.cli", words[0], "in", "--model", str(small_checkpoint)]
        output = [] if "-o" in words else ["-o", words[0]]
        result = subprocess.run([*command, *words[1:], *output], cwd=tmp_path, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
    assert r"bad\xff.jpg" in (tmp_path / "regions" / "regions.csv").read_text(encoding="utf-8")
    assert r"bad\xff.jpg" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert len(os.listdir(tmp_path / "crop")) == 2


@pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")
def test_what_is_measured_when_the_command_is_stopped_is_written(tmp_path, small_checkpoint):
    (tmp_path / "in").mkdir()
    for number in range(1000):
        shutil.copy(COFFEE, tmp_path / "in" / f"{number:03}.jpg")
    words = ["regions", "in", "--box", "a:0,0,100,100", "--format", "json,csv,html", "-o", "out"]
    command = [sys.executable, "-m", "modeling_mlnet.cli", *words, "--model", str(small_checkpoint)]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_for_files(tmp_path / "out", 4)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in said
    done = int(re.search(r"stopped: (\d+) of 1000 images are done", said)[1])
    with open(tmp_path / "out" / "regions.csv", encoding="utf-8") as file:
        assert len({row["image"] for row in csv.DictReader(file)}) == done < 1000
    assert f"stopped: {done} of 1000 images" in (tmp_path / "out" / "regions.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("hosts", [EVERYTHING, LOOPBACK])
@pytest.mark.parametrize("before", [None, "example.org"])
def test_proxies_are_left_out_and_come_back(monkeypatch, before, hosts):
    import urllib.request

    monkeypatch.setenv("http_proxy", f"http://{REFUSED}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    if before:
        monkeypatch.setenv("no_proxy", before)
    with unproxied(hosts):
        assert urllib.request.proxy_bypass("127.0.0.1") and urllib.request.proxy_bypass("localhost")
        assert bool(urllib.request.proxy_bypass("example.org")) == (hosts == EVERYTHING or before is not None)
        assert bool(urllib.request.proxy_bypass("example.com")) == (hosts == EVERYTHING)
    assert os.environ.get("no_proxy") == before and "NO_PROXY" not in os.environ


def test_the_page_runs_behind_proxies_of_any_kind(small_checkpoint):
    proxies = {"http_proxy": f"http://{REFUSED}", "ALL_PROXY": f"socks5://{REFUSED}"}
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "modeling_mlnet.cli", "demo", "--model", str(small_checkpoint), "--port", "7997"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "GRADIO_ANALYTICS_ENABLED": "False", **proxies},
    )
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if "http://127.0.0.1:7997" in line:
                assert httpx.get("http://127.0.0.1:7997", trust_env=False).status_code == 200
                break
        else:
            pytest.fail("".join(said))
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


COMMANDS = {
    "predict": "predict {image} -o {out} --format map,overlay,npy",
    "evaluate": "evaluate --dataset folder:{data} --model {model} --output {out}/scores.json",
    "export": "export {model} -o {out}/onnx",
    "train": "train {recipe} --output_dir {out}/run --num_train_epochs 1 --report_to trackio",
    "demo": "demo --model {model} --port 7998",
}
CACHES = (".cache/huggingface", ".cache/matplotlib", ".config/matplotlib")  # named in docs/design.md


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_asks_nobody_and_keeps_files_in_named_caches_only(tmp_path, small_checkpoint, recipe, command):
    home, watched = tmp_path / "home", tmp_path / "watched"
    for folder in (home, tmp_path / "hook", tmp_path / "out"):
        folder.mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(WATCH)
    data = json.loads(recipe.read_text())["datasets"][0].removeprefix("folder:")
    places = {"image": write_image(tmp_path / "a.jpg"), "model": small_checkpoint, "recipe": recipe, "data": data}
    words = COMMANDS[command].format(out=tmp_path / "out", **places).split()
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("HF_", "XDG_", "MPL", "CI"))
    }
    environment |= {"HOME": str(home), "PYTHONPATH": f"{tmp_path / 'hook'}:{ROOT}", "WATCHED": str(watched)}
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "modeling_mlnet.cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    said = ""
    if command == "demo":
        for line in process.stdout:
            said += line
            if "http://127.0.0.1:7998" in line:
                time.sleep(3)  # what is asked in the background, is asked now
                process.send_signal(signal.SIGTERM)
    said += process.communicate(timeout=300)[0]
    assert process.returncode == 0, said
    assert not watched.exists(), watched.read_text()
    files = [path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()]
    assert [name for name in files if not name.startswith(CACHES)] == []
    if command == "train":  # trackio has the image of the one epoch
        assert len([name for name in files if "/trackio/" in name and name.endswith(".png")]) == 1
