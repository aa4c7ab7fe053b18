"""Starting the page: the command, and the Space's folder by itself."""

import os
import shutil
import signal
import socket
import subprocess
import sys

import httpx
import numpy as np
from demo_files import COFFEE, ROOT
from gradio_client import Client, handle_file


def test_the_space_s_folder_works_alone_with_the_model_of_model_id_and_ends_clean(
    tmp_path, small_checkpoint, small_predictor
):
    shutil.copytree(ROOT / "demo", tmp_path / "space")
    (tmp_path / "tmp").mkdir()
    environment = {
        **os.environ,
        **{"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "GRADIO_ANALYTICS_ENABLED": "False"},
        **{"TMPDIR": str(tmp_path / "tmp"), "MODEL_ID": str(small_checkpoint)},
    }
    process = subprocess.Popen(
        [sys.executable, "-u", "app.py"],
        cwd=tmp_path / "space",
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        line = next(line for line in process.stdout if "http://" in line)
        address = "http://" + line.split("http://")[1].strip() + "/"
        answer = Client(address, verbose=False).predict(handle_file(COFFEE), api_name="/predict")
        np.testing.assert_allclose(np.load(answer[2]), small_predictor(str(COFFEE)), atol=1e-4)
        assert "Astronaut" in httpx.get(address).text
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert not list((tmp_path / "tmp").glob("mlnet-demo-*"))


def test_the_page_needs_no_pytorch_before_it_explains_a_map():
    code = "import sys, modeling_mlnet.demo.page; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_front_matter_is_complete():
    import yaml

    text = (ROOT / "demo" / "README.md").read_text(encoding="utf-8")
    front = yaml.safe_load(text.split("---")[1])
    keys = "title emoji colorFrom colorTo sdk sdk_version python_version app_file models tags short_description"
    assert set(front) >= {*keys.split(), "suggested_hardware", "license"}
    assert front["sdk"] == "gradio" and (ROOT / "demo" / front["app_file"]).is_file()
    assert len(front["short_description"]) <= 60  # the Hub's limit
    assert tuple(map(int, front["sdk_version"].split("."))) >= (6, 31)


def test_the_command_says_what_is_missing_and_what_is_wrong(tmp_path):
    blocked = (
        "import sys; sys.modules['gradio'] = None; sys.argv[1:] = ['demo']; from modeling_mlnet import cli; cli.main()"
    )
    result = subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True, check=False, cwd=ROOT)
    assert result.returncode == 2 and "mlnet-saliency[demo]" in result.stderr and "Traceback" not in result.stderr
    command = [sys.executable, "-m", "modeling_mlnet.cli", "demo", "--model", str(tmp_path / "none")]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert result.returncode == 2 and "no such checkpoint" in result.stderr and "Traceback" not in result.stderr


def test_a_port_that_is_taken_is_named(monkeypatch):
    from typer.testing import CliRunner

    from modeling_mlnet.cli import app

    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = CliRunner().invoke(app, ["demo", "--port", str(port)])
    assert isinstance(result.exception, ValueError) and f"port {port} is taken" in str(result.exception)
