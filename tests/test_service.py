"""The HTTP service: the same answers as the commands, and what happens to everything that is wrong or too much."""

import asyncio
import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from io import BytesIO

import httpx
import jsonschema
import numpy as np
import pytest
from demo_files import COFFEE, ROCKET, ROOT, write_hostile
from PIL import Image
from ports import free_port
from starlette.exceptions import HTTPException
from starlette.testclient import TestClient
from typer.testing import CliRunner

from modeling_mlnet import SaliencyPredictor
from modeling_mlnet.analysis import json_schema
from modeling_mlnet.cli import app
from modeling_mlnet.service import Settings, create_app, gate, work_queue
from modeling_mlnet.service.answers import Answers
from modeling_mlnet.service.requests import choose_kind

PHOTO = {"image": ("photo.jpg", COFFEE.read_bytes())}
BOXES = ["cup:100,50,300,250", "table:0,300,600,100"]


@pytest.fixture(scope="module")
def client(small_checkpoint):
    with TestClient(create_app(Settings(str(small_checkpoint), threads=2))) as client:
        yield client


@contextmanager
def serving(monkeypatch, answer=None, **settings):
    """A service with a model that is not loaded, whose predictions are those of a function."""
    monkeypatch.setattr(Answers, "__init__", lambda self, model: None)
    monkeypatch.setattr(
        "modeling_mlnet.service.app.ENDPOINTS",
        tuple(
            endpoint._replace(answer=answer or (lambda *_: b"{}")) for endpoint in create_app.__globals__["ENDPOINTS"]
        ),
    )
    with TestClient(create_app(Settings(**settings))) as client:
        yield client


def ask(client, path="/v1/predict", **options):
    return client.post(path, **{"files": PHOTO, **options})


# --- the same answers as the commands


def test_a_prediction_comes_as_json_png_and_values(client, small_checkpoint):
    expected = SaliencyPredictor(small_checkpoint, dtype="float32")(COFFEE)
    values = np.load(BytesIO(ask(client, headers={"Accept": "application/x-npy"}).content))
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, expected)
    png = ask(client, headers={"Accept": "image/png"})
    assert png.headers["content-type"] == "image/png"
    np.testing.assert_array_equal(np.asarray(Image.open(BytesIO(png.content))), np.rint(expected * 255))
    document = ask(client).json()
    jsonschema.validate(document, json_schema())
    assert document["image"]["file"] == "photo.jpg" and document["focus"]["spots"]
    assert base64.b64decode(document["saliency_map"]) == png.content
    text = base64.b64encode(COFFEE.read_bytes()).decode()
    for given in (text, f"data:image/jpeg;base64,{text}"):
        answer = client.post("/v1/predict", json={"image": given}, headers={"Accept": "image/png"})
        assert answer.content == png.content


def test_options_of_a_prediction(client, small_checkpoint):
    predictor = SaliencyPredictor(small_checkpoint, dtype="float32")
    answer = ask(client, data={"prior": "false"}, headers={"Accept": "application/x-npy"})
    np.testing.assert_array_equal(np.load(BytesIO(answer.content)), predictor(COFFEE, apply_prior=False))
    for style in ("heat", "contour", "spotlight"):
        answer = ask(client, data={"style": style}, headers={"Accept": "image/png"})
        assert Image.open(BytesIO(answer.content)).size == (600, 400)


@pytest.fixture
def run(small_checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(COFFEE, "photo.jpg")
    shutil.copy(ROCKET, "second.jpg")
    Image.open(COFFEE).crop((0, 0, 100, 400)).save("long.png")

    def run(*words):
        result = CliRunner().invoke(app, [*words, "-o", "out", "--model", str(small_checkpoint)])
        assert result.exit_code == 0, result.output
        return tmp_path / "out"

    return run


def test_regions_comparisons_and_crops_are_those_of_the_commands_byte_by_byte(client, run, tmp_path):
    flags = [word for box in BOXES for word in ("--box", box)]
    out = run("regions", "photo.jpg", *flags)
    assert ask(client, "/v1/regions", data={"boxes": BOXES}).content == (out / "photo.regions.json").read_bytes()
    png = ask(client, "/v1/regions", data={"boxes": BOXES}, headers={"Accept": "image/png"})
    assert pixels(png.content) == pixels((out / "photo.regions.png").read_bytes())
    out = run("regions", "long.png")  # in windows, and its first screenful by itself
    long = {"image": ("long.png", (tmp_path / "long.png").read_bytes())}
    answer = client.post("/v1/regions", files=long)
    assert answer.json()["first_screen"] and answer.content == (out / "long.regions.json").read_bytes()
    out = run("compare", "photo.jpg", "second.jpg", *flags, "--second-box", "cup:10,10,90,90")
    both = {"first": PHOTO["image"], "second": ("second.jpg", ROCKET.read_bytes())}
    data = {"boxes": BOXES, "second_boxes": ["cup:10,10,90,90"]}
    assert client.post("/v1/compare", files=both, data=data).content == (out / "comparison.json").read_bytes()
    png = client.post("/v1/compare", files=both, data=data, headers={"Accept": "image/png"})
    assert pixels(png.content) == pixels((out / "comparison.png").read_bytes())
    out = run("crop", "photo.jpg", "--aspect", "1:1,9:16")
    answer = ask(client, "/v1/crop", data={"aspect": "1:1,9:16"})
    assert answer.content == (out / "photo.crops.json").read_bytes()
    png = ask(client, "/v1/crop", data={"aspect": "9:16"}, headers={"Accept": "image/png"})
    window = answer.json()["crops"][1]
    assert Image.open(BytesIO(png.content)).size == (window["width"], window["height"])


def pixels(content):
    image = Image.open(BytesIO(content))
    return image.size, image.tobytes()


# --- what is wrong


def test_hostile_files_are_refused_in_one_line(client, tmp_path):
    for path, message in write_hostile(tmp_path).items():
        answer = client.post("/v1/predict", files={"image": (f"../{path.name}", path.read_bytes())})
        detail = answer.json()["detail"]
        assert answer.status_code == (413 if path.name == "bomb.png" else 422), detail
        wanted = "truncated" if path.name == "cut.jpg" else message
        assert detail.startswith(path.name) and wanted in detail and "\n" not in detail


@pytest.mark.parametrize(
    ("path", "body", "status", "detail"),
    [
        ("/v1/predict", {"image": "https://example.org/photo.jpg"}, 422, "image: is not base64, got 'https://ex"),
        ("/v1/predict", {"image": str(COFFEE)}, 422, "image: is not base64"),
        ("/v1/predict", {}, 422, "image: field required"),
        ("/v1/predict", {"image": "AAAA", "size": 3}, 422, "size: extra inputs are not permitted, got 3"),
        ("/v1/predict", {"image": "AAAA", "style": "3d"}, 422, "style: input should be 'map', 'heat', 'contour'"),
        ("/v1/predict", {"image": "A" * 4000}, 422, "image cannot be read as JPEG"),
        ("/v1/regions", {"image": PHOTO, "boxes": ["x"]}, 422, "expected NAME:X,Y,WIDTH,HEIGHT, got 'x'"),
        ("/v1/regions", {"image": PHOTO, "boxes": ["a:1,1,900,9"]}, 422, "reaches beyond the image of 600 x 400"),
        ("/v1/regions", {"image": PHOTO, "boxes": ["a:1,1,9,9"] * 51}, 422, "boxes: list should have at most 50"),
        ("/v1/compare", {"first": PHOTO, "second": PHOTO, "second_boxes": ["a:1,1,9,9"]}, 422, "matched by name"),
        ("/v1/crop", {"image": PHOTO, "aspect": "wide"}, 422, "an aspect is two whole numbers such as 16:9"),
        ("/v1/predict", {"image": PHOTO, "recording": "eye"}, 422, "recording must be"),
    ],
)
def test_a_wrong_field_is_named(client, path, body, status, detail):
    text = base64.b64encode(COFFEE.read_bytes()).decode()
    body = {name: text if value is PHOTO else value for name, value in body.items()}
    answer = client.post(path, json=body)
    assert answer.status_code == status and detail in answer.json()["detail"]
    assert len(answer.content) < 300


def test_a_wrong_body_is_named(client):
    for options, status in (
        ({"content": b"x"}, 415),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 422),
        ({"content": b"[" * 100_000, "headers": {"Content-Type": "application/json"}}, 422),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400),
        ({"files": [("image", b"x"), ("image", b"y")]}, 422),
        ({"files": PHOTO, "headers": {"Accept": "text/html"}}, 406),
    ):
        answer = client.post("/v1/predict", **options)
        assert answer.status_code == status and set(answer.json()) == {"detail"}, options
    assert client.get("/v1/predict").status_code == 405 and client.get("/nothing").status_code == 404


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "a/json"),
        ("*/*", "a/json"),
        ("i/png", "i/png"),
        ("i/*;q=0.8, */*;q=0.1", "i/png"),
        ("text/html, i/png;q=0.5, a/json;q=0.6", "a/json"),
        ("a/json;q=0, */*", "i/png"),
        ("text/html", None),
        ("a/json;q=0", None),
    ],
)
def test_the_kind_of_answer_follows_the_accept_header(accept, kind):
    offered = ("a/json", "i/png")
    if kind is not None:
        assert choose_kind(accept, offered) == kind
        return
    with pytest.raises(HTTPException, match="the answer can be a/json, i/png, not"):
        choose_kind(accept, offered)


# --- what is too much


def test_a_full_queue_says_when_to_come_back_and_answers_all_it_took(monkeypatch):
    begun, go = threading.Semaphore(0), threading.Event()

    def answer(*_):
        begun.release()
        assert go.wait(20)
        return b"{}"

    with serving(monkeypatch, answer, threads=1, queue=1) as client, ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask, client)
        assert begun.acquire(timeout=20)
        second = pool.submit(ask, client)
        while client.get("/readyz").status_code == 200:
            time.sleep(0.01)
        third = ask(client)
        assert third.status_code == 429 and int(third.headers["retry-after"]) >= 1
        assert client.get("/healthz").status_code == 200
        go.set()
        assert first.result().status_code == second.result().status_code == 200
        assert ask(client).status_code == 200
        text = client.get("/metrics").text
        for line in (
            'mlnet_requests_total{path="/v1/predict",status="200"} 3.0',
            'mlnet_requests_total{path="/v1/predict",status="429"} 1.0',
            "mlnet_queue_places 0.0",
        ):
            assert line in text


def test_an_answer_that_takes_too_long_is_504_and_its_thread_ends_at_the_deadline(monkeypatch):
    ended = threading.Event()

    def answer(self, request, kind, deadline):
        try:
            while True:
                deadline.check()
                time.sleep(0.01)
        finally:
            ended.set()

    with serving(monkeypatch, answer, threads=1, timeout=0.2) as client:
        assert ask(client).status_code == 504
        assert ended.wait(5)


def test_bodies_that_are_too_large_in_all_or_one_by_one_are_refused(monkeypatch):
    with serving(monkeypatch) as client:
        monkeypatch.setattr(gate, "MAX_BODY", 20_000)
        assert ask(client).status_code == 413
        chunks = {"content": iter([b"x" * 15_000] * 2), "headers": {"Content-Type": "application/json"}}
        assert client.post("/v1/predict", **chunks).status_code == 413
    queue = work_queue.WorkQueue(1, 9, 1)
    with queue.place(work_queue.MAX_BODIES), pytest.raises(HTTPException, match="try again"), queue.place(1):
        pass


def test_a_body_that_comes_too_slowly_gives_its_place_back(monkeypatch):
    queue = work_queue.WorkQueue(1, 1, 0.05)
    sent = []

    async def request():
        async def receive():
            await asyncio.sleep(60)

        async def send(message):
            sent.append(message)

        async def read(scope, receive, send):
            await receive()

        scope = {"type": "http", "method": "POST", "path": "/v1/predict", "headers": []}
        metrics = gate.Metrics()
        await gate.Gate(read, queue, metrics, None, ["/v1/predict"])(scope, receive, send)

    asyncio.run(request())
    assert sent[0]["status"] == 408 and queue.admitted == 0


# --- who may ask, and what is written down


def test_a_token_guards_all_but_health_and_documentation(monkeypatch):
    with serving(monkeypatch, token="sésame") as client:
        for headers in ({}, {"Authorization": "Bearer sesame"}, {"Authorization": b"Basic s\xe9same"}):
            answer = ask(client, headers=headers)
            assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
            assert client.get("/metrics", headers=headers).status_code == 401
        assert ask(client, headers={"Authorization": "Bearer sésame".encode()}).status_code == 200
        for path in ("/healthz", "/readyz", "/docs", "/openapi.json"):
            assert client.get(path).status_code == 200


def test_pages_of_other_origins_may_ask_only_if_they_are_named(monkeypatch):
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    with serving(monkeypatch) as client:
        assert "access-control-allow-origin" not in ask(client, headers=asked).headers
    with serving(monkeypatch, cors="https://a.example, https://b.example", token="x") as client:
        assert client.options("/v1/predict", headers=asked).headers["access-control-allow-origin"] == asked["Origin"]
        assert client.options("/v1/predict", headers={**asked, "Origin": "https://c.example"}).status_code == 400


def test_a_line_of_the_log_is_json_and_tells_nothing_of_the_image(client, capsys):
    answer = ask(client, headers={"X-Request-ID": "mine-1"})
    assert answer.headers["x-request-id"] == "mine-1"
    [line] = capsys.readouterr().err.splitlines()
    values = json.loads(line)
    assert values.items() >= {"request_id": "mine-1", "path": "/v1/predict", "status": 200, "level": "info"}.items()
    assert 0 < values["work_seconds"] <= values["seconds"] and "photo" not in line
    client.get("/secret-word", headers={"X-Request-ID": "a b"})
    err = capsys.readouterr().err
    assert "secret-word" not in err and "a b" not in err


def test_an_error_of_ours_is_logged_and_tells_no_details(monkeypatch, capsys):
    def answer(*_):
        raise RuntimeError("inner words")

    with serving(monkeypatch, answer) as client:
        response = ask(client)
    assert response.status_code == 500 and "inner" not in response.text
    assert "inner words" in json.loads(capsys.readouterr().err.splitlines()[0])["traceback"]


def test_the_documentation_loads_nothing_from_elsewhere_and_names_every_field(client):
    response, schema = client.get("/docs"), client.get("/openapi.json").json()
    page = response.text
    assert "<script" not in page and "https://" not in page
    assert response.headers["content-security-policy"].startswith("default-src 'none'")
    for path in ("/v1/predict", "/v1/regions", "/v1/compare", "/v1/crop"):
        for body in schema["paths"][path]["post"]["requestBody"]["content"].values():
            assert all(f"<code>{name}</code>" in page for name in body["schema"]["properties"])
        assert path in page


# --- settings and processes


def test_settings_come_from_the_environment(monkeypatch):
    environment = {"MLNET_SERVE_MODEL": "x/y", "MLNET_SERVE_TIMEOUT": "2.5", "MLNET_SERVE_TOKEN": "", "HOME": "/"}
    assert Settings.from_environment(environment, threads=3) == Settings("x/y", 3, timeout=2.5)
    for name, value, message in (
        ("QUEUE", "many", "MLNET_SERVE_QUEUE must be a number, got 'many'"),
        ("QUEUE", "0", "MLNET_SERVE_QUEUE must be above 0, got 0"),
        ("WORKERS", "2", "MLNET_SERVE_WORKERS: no such setting; there are MLNET_SERVE_MODEL"),
    ):
        with pytest.raises(ValueError, match=message):
            Settings.from_environment({f"MLNET_SERVE_{name}": value})
    assert "secret" not in repr(Settings(token="secret"))


SERVE = """
import sys
from modeling_mlnet.cli import app
app(sys.argv[1:], standalone_mode=False)
print("torch" in sys.modules)
"""


def test_a_stopped_server_answers_what_it_has_without_torch_and_leaves_nothing(tmp_path):
    port = free_port()
    environment = {**os.environ, "TMPDIR": str(tmp_path), "MLNET_SERVE_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", SERVE, "serve", "--port", str(port)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": ROOT}
    process = subprocess.Popen(command, env=environment, **pipes)
    try:
        address = f"http://127.0.0.1:{port}"
        assert process.stdout.readline().startswith(address)
        photo = BytesIO()
        Image.open(COFFEE).resize((2400, 1600)).save(photo, "JPEG")

        def predict(client):
            files = {"image": ("photo.jpg", photo.getvalue())}
            return client.post("/v1/predict", files=files, headers={"Accept": "application/x-npy"})

        with httpx.Client(base_url=address, timeout=60) as client, ThreadPoolExecutor(4) as pool:
            answers, taken = [pool.submit(predict, client) for _ in range(4)], 0
            while taken < 2 and not all(answer.done() for answer in answers):
                taken = client.get("/readyz").json()["requests"]
            process.send_signal(signal.SIGTERM)
            whole = 0
            for answer in answers:
                with suppress(httpx.TransportError):  # of one that came too late
                    assert np.load(BytesIO(answer.result().content)).shape == (1600, 2400)
                    whole += 1
            assert whole >= max(1, taken)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0 and out.split()[-1] == "False", err
    assert sum(json.loads(line).get("status") == 200 for line in err.splitlines()) == whole
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_named(small_checkpoint):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(app, ["serve", "--port", str(port)])
    assert isinstance(result.exception, ValueError) and f"port {port}: address already in use" in str(result.exception)
