"""The web page's server: its API as gradio_client and curl see it, what it refuses, the command, the Space."""

import csv
import http.server
import io
import json
import os
import threading
import time
from pathlib import Path
from urllib.parse import quote

import av
import httpx
import numpy as np
import pytest
from demo_files import COFFEE, ROCKET, ROOT, write_clip, write_hostile
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from modeling_mlnet import SaliencyPredictor
from modeling_mlnet.demo import serving


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    return write_hostile(tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="module")
def server(small_checkpoint):
    """The page on this machine, with a small network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        patch.setenv("HF_HUB_OFFLINE", "1")
        with serving(str(small_checkpoint), keep=600, quiet=True) as address:
            yield address


@pytest.fixture(scope="module")
def client(server, tmp_path_factory):
    return Client(server, verbose=False, download_files=tmp_path_factory.mktemp("downloads"))


def test_predict_endpoint(client, small_predictor):
    overlay, grey, values, result = client.predict(handle_file(COFFEE), api_name="/predict")
    expected = small_predictor(str(COFFEE))
    got = np.load(values)
    assert got.dtype == np.float32 and got.shape == (400, 600)
    assert np.array_equal(got, expected)
    assert (result["width"], result["height"], result["image"]) == (600, 400, "coffee.jpg")
    with Image.open(overlay) as item, Image.open(grey) as second:
        assert (item.format, item.size, second.format, second.mode) == ("PNG", (600, 400), "PNG", "L")
        assert np.abs(np.asarray(second) / 255.0 - got).max() <= 0.5 / 255 + 1e-6
    before = np.load(client.predict(handle_file(COFFEE), apply_prior=False, api_name="/predict")[2])
    assert not np.array_equal(before, got)
    for wrong in ({"colormap": "jet"}, {"opacity": 7}, {"apply_prior": "false"}):
        with pytest.raises(AppError, match=r"colour map must be|opacity must be|apply_prior must be true or false"):
            client.predict(handle_file(COFFEE), **wrong, api_name="/predict")


def test_regions_endpoint(client):
    result, table, picture, npy = client.predict(
        handle_file(COFFEE), "cup: 100,50,300,250\n0,0,600,400", api_name="/regions"
    )
    cup, whole = result["regions"]
    assert cup["name"] == "cup" and whole["share"] == pytest.approx(1) and whole["rank"] == 1 and cup["rank"] == 2
    values = np.load(client.predict(handle_file(COFFEE), api_name="/predict")[2])
    np.testing.assert_array_equal(np.load(npy), values)
    assert cup["share"] == pytest.approx(values[50:300, 100:400].sum() / values.sum(), rel=1e-4)
    rows = list(csv.DictReader(Path(table).read_text(encoding="utf-8").splitlines()))
    assert [row["name"] for row in rows] == ["cup", "2"]
    assert Image.open(picture).size == (600, 400)
    with pytest.raises(AppError, match="expected NAME:X,Y,WIDTH,HEIGHT, got 'here'"):
        client.predict(handle_file(COFFEE), "here", api_name="/regions")


def test_compare_endpoint(client):
    same, *_ = client.predict(handle_file(COFFEE), handle_file(COFFEE), api_name="/compare")
    assert len(same["regions"]) == 9 and all(row["difference"] == 0 for row in same["regions"])
    assert sum(row["first"] for row in same["regions"]) == pytest.approx(1)
    rival, _, first, second, *values = client.predict(
        handle_file(COFFEE), handle_file(ROCKET), "1,1,99,99", api_name="/compare"
    )
    item, two = (np.load(path) for path in values)  # attention per area, the highest of either being 1
    assert max(item.max(), two.max()) == 1 and item.dtype == np.float32 and item.shape == (400, 600)
    assert item.mean() == pytest.approx(two.mean(), rel=1e-4)
    [row] = rival["regions"]
    assert row["difference"] == pytest.approx(row["second"] - row["first"]) and row["difference"] != 0
    assert Image.open(first).size == (600, 400) and Image.open(second).size == Image.open(ROCKET).size
    assert rival["same_place"] and "the same places are measured in both" in rival["notes"][0]


def test_boxes_belong_to_a_design_and_are_matched_by_name(client):
    boxes, second_boxes = "cup: 100,50,300,250\nspoon: 10,10,50,50", "cup: 20,30,90,200"
    images = handle_file(COFFEE), handle_file(ROCKET)
    compared, *_ = client.predict(*images, boxes, True, second_boxes, api_name="/compare")
    cup, spoon = compared["regions"]
    for image, text, share in zip(
        images, ("cup: 100,50,300,250", second_boxes), (cup["first"], cup["second"]), strict=True
    ):
        alone, *_ = client.predict(image, text, api_name="/regions")
        assert share == pytest.approx(alone["regions"][0]["share"], rel=1e-4)
    assert spoon["second"] is None and spoon["difference"] is None and not compared["same_place"]
    assert any("no box 'spoon'" in note for note in compared["notes"])
    with pytest.raises(AppError, match="boxes of the first design, too"):
        client.predict(*images, "", True, second_boxes, api_name="/compare")


def test_video_endpoint(client, tmp_path):
    job = client.submit(handle_file(write_clip(tmp_path / "in.mp4", seconds=3)), api_name="/video")
    clip, outcome = job.result(timeout=60)
    assert outcome["frames"] == 24 and outcome["moments"][8]["time"] == pytest.approx(1)
    assert [item[1]["frames"] for item in job.outputs()] == [1, 9, 17, 24]  # its progress
    with av.open(clip) as result:
        assert result.streams.video[0].codec_context.name == "h264"


def test_the_prior_switch_counts_in_every_endpoint(client):
    for endpoint, given in (("/regions", [handle_file(COFFEE), "1,1,99,99"]), ("/compare", [handle_file(COFFEE)] * 2)):
        with_prior, without = (client.predict(*given, apply_prior=prior, api_name=endpoint) for prior in (True, False))
        assert with_prior[0] != without[0]


def test_odd_pictures_and_clips_that_are_refused_through_the_api(client, tmp_path):
    frames = [Image.new("RGB", (40, 30), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    for name, shape in (("moving.gif", (30, 40)), ("dot.png", (1, 1))):
        assert np.load(client.predict(handle_file(tmp_path / name), api_name="/predict")[2]).shape == shape
    with open(tmp_path / "heavy.jpg", "wb") as file:
        file.write(COFFEE.read_bytes())
        file.truncate(41 * 2**20)
    with pytest.raises(AppError, match="has 41 MB; images may have up to 40 MB"):
        client.predict(handle_file(tmp_path / "heavy.jpg"), api_name="/predict")
    write_clip(tmp_path / "long.mp4", seconds=70, rate=2)
    (tmp_path / "text.mp4").write_text("no film")
    for name, message in (("long.mp4", "lasts 70 seconds"), ("text.mp4", "cannot be read as a video")):
        with pytest.raises(AppError, match=message) as raised:
            client.predict(handle_file(tmp_path / name), api_name="/video")
        assert str(tmp_path) not in str(raised.value)


def test_as_curl_asks(server):
    """The steps of demo/README.md."""
    with open(COFFEE, "rb") as file:
        [path] = httpx.post(f"{server}gradio_api/upload", files={"files": file}).json()
    answer = post(server, "predict", [{"path": path, "meta": {"_type": "gradio.FileData"}}, True, 0.6, "inferno"])
    assert "event: complete" in answer and '"spots"' in answer
    address = next(item for item in json.loads(answer.split("data: ")[-1]) if str(item.get("path")).endswith(".npy"))
    assert np.load(io.BytesIO(httpx.get(address["url"]).content)).shape == (400, 600)


def test_every_parameter_is_named_and_typed(client):
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    assert set(endpoints) == {"/predict", "/regions", "/compare", "/video"}
    for endpoint in endpoints.values():
        assert len(endpoint["description"]) > 60
        for item in endpoint["parameters"]:
            assert (
                item["label"] and item["python_type"]["type"] in ("filepath", "bool", "str", "float")
            ) or "Literal" in str(item["python_type"])


def test_hostile_pictures_through_the_api(client, hostile):
    for path, message in hostile.items():
        with pytest.raises(AppError, match=message) as raised:
            client.predict(handle_file(path), api_name="/predict")
        assert "Traceback" not in str(raised.value) and "/tmp" not in str(raised.value)


def post(server, endpoint, data):
    """As curl would: the whole stream of answers."""
    begun = httpx.post(f"{server}gradio_api/call/{endpoint}", json={"data": data})
    if begun.status_code != 200:
        return begun.text
    with httpx.stream("GET", f"{server}gradio_api/call/{endpoint}/{begun.json()['event_id']}", timeout=60) as answer:
        return answer.read().decode()


def test_no_file_of_the_host_and_no_address_is_read(server, tmp_path):
    asked = []

    class Spy(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(COFFEE.read_bytes())

        def log_message(self, *_):
            pass

    spy = http.server.HTTPServer(("127.0.0.1", 0), Spy)
    threading.Thread(target=spy.serve_forever, daemon=True).start()
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(COFFEE.read_bytes())
    address = f"http://127.0.0.1:{spy.server_port}/private.jpg"
    meta = {"_type": "gradio.FileData"}
    attempts = [
        {"path": str(secret)},
        {"path": "/etc/passwd"},
        {"path": f"file://{secret}"},
        {"path": address},
        {"path": f"https://127.0.0.1:{spy.server_port}/x.jpg"},
        {"path": "http://169.254.169.254/latest/meta-data"},
        {"path": "x.jpg", "url": address},
        {"path": "../../../../etc/passwd"},
        {"path": f"//127.0.0.1:{spy.server_port}/x"},
    ]
    for attempt in attempts:
        for payload in ({**attempt, "meta": meta}, attempt):
            for endpoint, data in (
                ("predict", [payload, True, 0.7, "inferno"]),
                ("video", [payload, True, 0.7, "grey"]),
                ("regions", [payload, "1,1,9,9", True]),
                ("compare", [payload, payload, "", True]),
            ):
                answer = post(server, endpoint, data)
                assert "event: complete" not in answer and "root:" not in answer, (payload, answer)
                assert "Traceback" not in answer and (
                    "Only files sent" in answer or "does not have the form" in answer
                )
    for path in (secret, "/etc/passwd", ROOT / "pyproject.toml"):
        assert httpx.get(f"{server}gradio_api/file={path}").status_code in (403, 404)
    assert httpx.get(f"{server}gradio_api/proxy={address}").status_code >= 400
    for wanted in (
        address,
        "https://example.com/x.png",
        "http://169.254.169.254/latest/meta-data",
        "HTTP://localhost",
    ):
        for quoted in (wanted, quote(wanted, safe="")):
            answer = httpx.get(f"{server}gradio_api/file={quoted}")
            assert answer.status_code == 403 and "no addresses" in answer.text
    spy.shutdown()
    assert not asked


def test_malformed_requests_get_one_line(server):
    for data in ([7, True, 0.7, "inferno"], ["x", None, None, None], [{"path": {}}, True, 0.7, "grey"], [[], 1, 1, 1]):
        answer = post(server, "predict", data)
        assert "event: error" in answer and "Traceback" not in answer and "site-packages" not in answer


def test_an_upload_above_the_limit_is_refused_and_leaves_nothing(server):
    folder = Path(os.environ["GRADIO_TEMP_DIR"])
    before = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

    def parts():
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="big.jpg"\r\n\r\n'
        for _ in range(200):
            yield b"\0" * 2**20
        yield b"\r\n--x--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    try:
        answer = httpx.post(f"{server}gradio_api/upload", content=parts(), headers=headers, timeout=60)
        assert answer.status_code == 413 and "Traceback" not in answer.text
    except httpx.WriteError:
        pass  # the server hung up before everything was sent
    after = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert after - before < 2**20


def test_who_waits_is_told_the_place_and_who_comes_too_late_that_the_queue_is_full(
    small_checkpoint, monkeypatch, tmp_path
):
    from modeling_mlnet.demo import page

    go_on, pass_on = threading.Event(), SaliencyPredictor.stream
    monkeypatch.setattr(page, "QUEUE", 3)
    with serving(str(small_checkpoint), quiet=True) as address:
        monkeypatch.setattr(
            SaliencyPredictor, "stream", lambda *given, **options: go_on.wait(60) and pass_on(*given, **options)
        )
        client, jobs = Client(address, verbose=False), []

        def ask():
            picture = tmp_path / f"{len(jobs)}.png"
            Image.new("RGB", (60, 40), (len(jobs), 0, 0)).save(picture)
            jobs.append(client.submit(handle_file(picture), api_name="/predict"))
            return jobs[-1]

        def wait_until(state):
            until = time.monotonic() + 30
            while not state():
                assert time.monotonic() < until, [job.status() for job in jobs]
                time.sleep(0.05)

        for _ in range(page.WORKERS):
            ask()
            wait_until(lambda: jobs[-1].status().code.name == "PROCESSING")
        for rank in range(3):
            ask()
            wait_until(lambda rank=rank: jobs[-1].status().rank == rank)
        with pytest.raises(Exception, match=r"(?i)queue is full"):
            ask().result(timeout=60)
        go_on.set()
        assert all(np.load(job.result(timeout=60)[2]).shape == (40, 60) for job in jobs[:-1])


def test_temporary_files_go_while_it_runs_and_when_it_ends(small_checkpoint, pictures):
    with serving(str(small_checkpoint), ROOT / "demo" / "examples", keep=4, quiet=True) as address:
        folder = Path(os.environ["GRADIO_TEMP_DIR"])

        def files():
            return {name for _, _, names in os.walk(folder) for name in names}

        start = files()  # the first example is answered, all have thumbnails
        assert start > {"astronaut.jpg", "astronaut.overlay.png", "Crowd.webp"}
        Client(address, verbose=False).predict(handle_file(pictures[0]), api_name="/predict")
        assert files() > start
        until = time.monotonic() + 20
        while files() != start:
            assert time.monotonic() < until
            time.sleep(0.2)
        # and it still works
        Client(address, verbose=False).predict(handle_file(pictures[0]), api_name="/predict")
    assert not folder.exists()
