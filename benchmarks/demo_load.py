"""Fifty people press the button at once: what the web page answers, how fast, and whether every answer is right.

    python benchmarks/demo_load.py --seconds 120 --clients 50

Starts the server in a process of its own with two cores, and clients that send an image of their own through the
API, wait for the answer and send the next; every tenth sends photographs of 12 megapixels, and one more client has a
clip rendered again and again. No image is sent twice, so that nothing comes from kept results. Every map is compared
pixel by pixel with one that is predicted here. Exit status 1 if an answer is wrong, anybody was left without one, or
the server took more than 1.5 GB.
"""

import multiprocessing
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import av
import numpy as np
from gradio_client import Client, handle_file
from load_run import run_load
from peak_memory import peak_memory_mib
from PIL import Image

from modeling_mlnet import SaliencyPredictor
from modeling_mlnet.demo.limits import Upload
from modeling_mlnet.demo.store import Store

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
        detail: File of the values, or what was said.
        seconds: From sending it to the answer.
        queued: Whether it was told a place in the queue.
    """

    client: int
    image: Path
    outcome: str
    detail: str
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


def wait(job) -> tuple[object, bool]:
    """The result of a request, and whether it was told a place in the queue."""
    queued, until = False, time.monotonic() + HANGS
    while not job.done():
        queued |= bool(job.status().rank)
        if time.monotonic() > until:
            raise TimeoutError
        time.sleep(0.2)
    return job.result(), queued


def ask(address: str, number: int, until: float, folder: Path, answers: list[Answer]) -> None:
    """One client: an image after the other, until the time is over."""
    client, request = None, 0
    while time.monotonic() < until:
        started, queued = time.monotonic(), False
        path = folder / f"{number}-{request}"
        try:
            client = client or Client(address, verbose=False)
            if number < 0:
                _, queued = wait(client.submit(handle_file(folder / "clip.mp4"), api_name="/video"))
                outcome, detail = "clips", ""
            else:
                path = own_image(number, request, path)
                started = time.monotonic()
                (_, _, values, _), queued = wait(client.submit(handle_file(path), api_name="/predict"))
                outcome, detail = "answered", str(values)
        except TimeoutError:
            outcome, detail = "hangs", ""
        except Exception as error:  # what a client sees
            outcome, detail = ("full" if "full" in str(error).lower() else "failed"), str(error)[:200]
        answers.append(Answer(number, path, outcome, detail, time.monotonic() - started, queued))
        request += 1
        if outcome in ("full", "failed"):
            time.sleep(1)  # as the page asks


def wrong_maps(answers: list[Answer], folder: Path) -> tuple[int, float]:
    """How many maps differ from those predicted here one by one, and by how much at most."""
    store = Store(SaliencyPredictor("mini"), folder / "serial")
    wrong, largest = 0, 0.0
    for answer in answers:
        if answer.outcome != "answered":
            continue
        expected = store.predict(Upload(answer.image, answer.image.name), True).saliency_map
        got = np.load(answer.detail)
        same = got.shape == expected.shape and np.array_equal(got, expected)
        wrong += not same
        if not same and got.shape == expected.shape:
            largest = max(largest, float(np.abs(got - expected).max()))
    return wrong, largest


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
            threading.Thread(target=ask, args=(address, number, until, folder, answers))
            for number in range(-1, clients)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        elapsed = seconds + time.monotonic() - until
        ours.send("end")
        peak = ours.recv()
        server.join()
        wrong, largest = wrong_maps(answers, folder)
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
        "failures": sorted({answer.detail for answer in answers if answer.outcome == "failed"})[:5],
        "latency_median_s": round(float(np.median(latencies)), 2),
        "latency_p95_s": round(float(np.percentile(latencies, 95)), 2),
        "latency_max_s": round(max(latencies), 2),
        "wrong_maps": wrong,
        "largest_difference": largest,
        "peak_memory_mib": round(peak),
    }


def main() -> None:
    results = run_load(Path(__file__), __doc__, measure)
    bad = ("wrong_maps", "failed", "hangs", "clients_without_an_answer")
    if any(results[name] for name in bad) or results["peak_memory_mib"] > LARGEST:
        sys.exit(1)


if __name__ == "__main__":
    main()
