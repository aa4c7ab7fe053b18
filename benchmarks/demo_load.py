"""Fifty people press the button at once: what the web page answers, how fast, and whether every answer is right.

    python benchmarks/demo_load.py --seconds 120 --clients 50

Starts the server in a process of its own with two cores, and clients that send an image of their own through the
API, wait for the answer and send the next; every tenth sends photographs of 12 megapixels, and one more client has a
clip rendered again and again. No image is sent twice, so that nothing comes from kept results. The overlay and the
values of every answer are fetched, and the values compared with those that are predicted here. Exit status 1 if an
answer is wrong, anybody was left without one, or the server took more than 1.5 GB.
"""

import io
import json
import multiprocessing
import os
import secrets
import sys
import tempfile
import threading
import time
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import av
import numpy as np
import urllib3
from load_run import processor_seconds, run_load
from peak_memory import peak_memory_mib
from PIL import Image

from modeling_mlnet.demo.answers import Answers, Models
from modeling_mlnet.demo.files import Files, Upload

ROOT = Path(__file__).parent.parent
IMAGES = sorted((ROOT / "tests" / "fixtures" / "images").glob("*.jpg"))
HANGS = 120.0  # seconds without an answer
LARGEST = 1536  # MiB


class Answer(NamedTuple):
    """What came of one request.

    Args:
        client: Its number; -1 renders clips.
        image: The file that was sent.
        outcome: `answered`, `clips`, `full`, `failed` or `hangs`.
        detail: What was said of a failure.
        digest: SHA-256 of the file of values.
        seconds: From sending it to the answer.
        queued: Whether it was told a place in the queue.
    """

    client: int
    image: Path
    outcome: str
    detail: str
    digest: str
    seconds: float
    queued: bool


def serve(pipe, cores: int) -> None:
    """The server, and its highest memory when it is told to end."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    from modeling_mlnet.demo import serving

    with serving("mini") as address:
        pipe.send(address)
        pipe.recv()
        pipe.send(peak_memory_mib())


def own_image(client: int, request: int, path: Path) -> Path:
    """One of four images with a frame of this request's own colours; of every tenth client twelve megapixels."""
    image = Image.open(IMAGES[client % len(IMAGES)]).convert("RGB")
    large = client % 10 == 9
    if large:
        image = image.resize((4000, 3000))
    values = np.asarray(image).copy()
    values[:8] = np.random.default_rng((client, request)).integers(0, 256, values[:8].shape, dtype=np.uint8)
    path = path.with_suffix(".jpg" if large else ".png")
    Image.fromarray(values).save(path, quality=90, compress_level=1)
    return path


class Visitor:
    """Somebody who asks the API over plain HTTP; gradio's client takes nearly as much processor time as the page.

    Args:
        address: Of the page.
    """

    def __init__(self, address: str):
        self.address = address.rstrip("/")
        self.session = secrets.token_hex(8)
        self.http = urllib3.PoolManager(maxsize=2, timeout=HANGS, retries=False)
        config = self._read("GET", "/config").json()
        self.functions = {item["api_name"]: item["id"] for item in config["dependencies"] if item["api_name"]}

    def send(self, path: Path) -> dict:
        """Uploads a file, and describes it for a request."""
        [name] = self._read("POST", "/gradio_api/upload", fields={"files": (path.name, path.read_bytes())}).json()
        return {"path": name, "orig_name": path.name, "meta": {"_type": "gradio.FileData"}}

    def ask(self, function: str, *values: object) -> tuple[list, bool]:
        """The outputs of a function, and whether it waited in the queue."""
        body = {"data": values, "fn_index": self.functions[function], "session_hash": self.session}
        self._read("POST", "/gradio_api/queue/join", json=body)
        path = f"{self.address}/gradio_api/queue/data?session_hash={self.session}"
        queued, until = False, time.monotonic() + HANGS
        with closing(self.http.request("GET", path, preload_content=False)) as events:
            for line in events:
                if time.monotonic() > until:
                    raise TimeoutError
                message = json.loads(line[6:]) if line.startswith(b"data: ") else {"msg": None}
                queued |= bool(message.get("rank"))
                if message["msg"] == "process_completed":
                    if not message["success"]:
                        raise RuntimeError(message["output"].get("error"))
                    return message["output"]["data"], queued
        raise ConnectionError("the answer ended early")

    def fetch(self, file: dict) -> bytes:
        """The content of a file of an answer."""
        return self._read("GET", file["url"].removeprefix(self.address)).data

    def _read(self, method: str, path: str, **options: Any) -> urllib3.BaseHTTPResponse:
        answer = self.http.request(method, self.address + path, **options)
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {answer.data[:200].decode()}")
        return answer


def visit(address: str, number: int, until: float, folder: Path, answers: list[Answer]) -> None:
    """One client: an image after the other, until the time is over."""
    visitor, request = Visitor(address), 0
    while time.monotonic() < until:
        queued, values = False, b""
        path = folder / "clip.mp4" if number < 0 else own_image(number, request, folder / f"{number}-{request}")
        started = time.monotonic()
        try:
            if number < 0:
                _, queued = visitor.ask("video", visitor.send(path), True, 0.8, "inferno")
                outcome = "clips"
            else:
                (overlay, _, file, _), queued = visitor.ask("predict", visitor.send(path), True, 0.8, "inferno")
                visitor.fetch(overlay)
                values = visitor.fetch(file)
                outcome = "answered"
            detail = ""
        except (TimeoutError, urllib3.exceptions.TimeoutError):
            outcome, detail = "hangs", ""
        except Exception as error:  # what a client sees
            outcome, detail = ("full" if "full" in str(error).lower() else "failed"), str(error)[:200]
        digest = sha256(values).hexdigest()
        answers.append(Answer(number, path, outcome, detail, digest, time.monotonic() - started, queued))
        request += 1
        if outcome in ("full", "failed"):
            time.sleep(1)  # as the page asks


def wrong_maps(answers: list[Answer], folder: Path) -> int:
    """How many files of values differ from those that are made here one by one."""
    page, wrong = Answers(Models("mini"), Files(folder / "serial")), 0
    for answer in answers:
        if answer.outcome == "answered":
            result = page.open(Upload(answer.image, answer.image.name))
            file = io.BytesIO()
            np.save(file, result.saliency_map)
            wrong += answer.digest != sha256(file.getvalue()).hexdigest()
    return wrong


def write_clip(path: Path) -> None:
    """Ten seconds of a photograph that moves, so that frames differ."""
    photo = np.asarray(Image.open(IMAGES[0]).resize((480, 360)))
    with av.open(str(path), "w", format="mp4") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for index in range(250):
            x, y = index % 160, index % 120
            view = np.ascontiguousarray(photo[y : y + 240, x : x + 320])
            output.mux(stream.encode(av.VideoFrame.from_ndarray(view, format="rgb24")))
        output.mux(stream.encode())


def measure(clients: int, seconds: float, cores: int) -> dict:
    """Server and clients for a while."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=serve, args=(theirs, cores), daemon=True)
    server.start()
    address = ours.recv()
    answers: list[Answer] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_clip(folder / "clip.mp4")
        until = time.monotonic() + seconds
        threads = [
            threading.Thread(target=visit, args=(address, number, until, folder, answers))
            for number in range(-1, clients)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        elapsed = seconds + time.monotonic() - until
        processor = [processor_seconds(process) for process in (os.getpid(), server.pid)]
        ours.send("end")
        peak = ours.recv()
        server.join()
        wrong = wrong_maps(answers, folder)
    outcomes = ("answered", "clips", "full", "failed", "hangs")
    count = {item: sum(answer.outcome == item for answer in answers) for item in outcomes}
    answered = [answer for answer in answers if answer.outcome == "answered"]
    latencies = [answer.seconds for answer in answered]
    return {
        "clients": clients,
        "seconds": round(elapsed, 1),
        "cores_of_the_server": cores,
        **count,
        "clients_without_an_answer": clients - len({answer.client for answer in answered}),
        "told_their_place": sum(answer.queued for answer in answered),
        "answers_a_second": round(count["answered"] / elapsed, 2),
        "clients_part_of_the_processor_time": round(processor[0] / sum(processor), 3),
        "failures": sorted({answer.detail for answer in answers if answer.outcome == "failed"})[:5],
        "latency_median_s": round(float(np.median(latencies)), 2),
        "latency_p95_s": round(float(np.percentile(latencies, 95)), 2),
        "latency_max_s": round(max(latencies), 2),
        "wrong_maps": wrong,
        "peak_memory_mib": round(peak),
    }


def main() -> None:
    results = run_load(Path(__file__), __doc__, measure)
    bad = ("wrong_maps", "failed", "hangs", "clients_without_an_answer")
    if any(results[name] for name in bad) or results["peak_memory_mib"] > LARGEST:
        sys.exit(1)


if __name__ == "__main__":
    main()
