"""Fifty clients at once: what the HTTP service answers, how fast, whether it is right, and what a kill leaves behind.

    python benchmarks/service_load.py --seconds 120 --clients 50

Starts `mlnet serve` with two cores, and clients on the same cores that send an image, wait for the answer and send the
next; every tenth image has 12 megapixels, and the answers are JSON, PNG and npy in turn. Every answer is compared byte
by byte with one that was made here. The throughput is compared with the network's own: maps of the same images in a
process of its own on the same cores, before and after; so is the processor time, which other work on the machine
changes less. At last the service is killed while it works. Exit status 1 if an answer is lost or wrong, memory grew by
more than a tenth, or the kill left half an answer or a file.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import httpx
import numpy as np
import psutil
from load_run import processor_seconds, run_load
from PIL import Image

ROOT = Path(__file__).parent.parent
IMAGES = sorted((ROOT / "tests" / "fixtures" / "images").glob("*.jpg"))
KINDS = ("application/json", "image/png", "application/x-npy")
PORT = 8765
HANGS = 120.0  # seconds without an answer
GROWTH = 1.1  # of the memory, from the first half of the run to the second

OWN = """
import sys, time
from pathlib import Path
from modeling_mlnet import SaliencyPredictor
images = [path.read_bytes() for path in sorted(Path(sys.argv[1]).iterdir())]
predictor = SaliencyPredictor("mini", dtype="float32")
list(predictor.maps(images[:8]))
count, start, processor = 0, time.perf_counter(), time.process_time()
while time.perf_counter() - start < float(sys.argv[2]):
    count += sum(1 for _ in predictor.maps(images))
print(count / (time.perf_counter() - start), (time.process_time() - processor) / count)
"""


@dataclass
class Outcome:
    """What the clients saw."""

    seconds: list[float] = field(default_factory=list)
    turned_away: int = 0
    wrong: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def own_images(count: int, folder: Path) -> list[Path]:
    """Images that differ, so that no answer can be taken for another's; every tenth of 12 megapixels."""
    folder.mkdir()
    paths = []
    for number in range(count):
        image = Image.open(IMAGES[number % len(IMAGES)]).convert("RGB")
        image = image.resize((4000, 3000)) if number % 10 == 9 else image
        values = np.asarray(image).copy()
        noise = np.random.default_rng(number)
        values[:40, :40] = noise.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        paths.append(folder / f"{number:02}.jpg")
        Image.fromarray(values).save(paths[-1], quality=90)
    return paths


def expected_answers(paths: list[Path]) -> dict[tuple[str, str], bytes]:
    """The answer of every image and kind, made one by one."""
    from modeling_mlnet.service.answers import Answers
    from modeling_mlnet.service.requests import PredictRequest, Upload
    from modeling_mlnet.service.work_queue import Deadline

    answers = Answers("mini")
    requests = {path.name: PredictRequest(image=Upload(path.name, path.read_bytes())) for path in paths}
    return {
        (name, kind): answers.predict(request, kind, Deadline(600))
        for name, request in requests.items()
        for kind in KINDS
    }


def start(temporary: Path, cores: set[int]) -> subprocess.Popen:
    """The service, when it answers."""
    command = [sys.executable, "-m", "modeling_mlnet.cli", "serve", "--port", str(PORT)]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    log = open(temporary.parent / "log.jsonl", "a", encoding="utf-8")  # noqa: SIM115 - the service's until it ends
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=log)
    os.sched_setaffinity(server.pid, cores)
    for _ in range(1200):
        try:
            if httpx.get(f"http://127.0.0.1:{PORT}/readyz").status_code == 200:
                return server
        except httpx.TransportError:
            time.sleep(0.1)
    raise SystemExit("the service does not answer")


def ask(number: int, until: float, paths: list[Path], expected: dict, outcome: Outcome) -> None:
    """One client: an image after the other, until the time is over or nobody answers any more."""
    requests = {path.name: form_with(path) for path in paths}
    names, turn = sorted(requests), number
    connection = HTTPConnection("127.0.0.1", PORT, timeout=HANGS)  # takes little of the service's cores
    with closing(connection):
        while time.monotonic() < until:
            name, kind = names[turn % len(names)], KINDS[turn % len(KINDS)]
            body, form = requests[name]
            started = time.monotonic()
            try:
                connection.request("POST", "/v1/predict", body, {"Accept": kind, "Content-Type": form})
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, HTTPException) as error:
                outcome.lost.append(f"{name}: {error!r}")
                return
            if answer.status == 429:
                outcome.turned_away += 1
                time.sleep(int(answer.headers["retry-after"]))
            elif content == expected[name, kind]:
                outcome.seconds.append(time.monotonic() - started)
                turn += 1
            else:
                outcome.wrong.append(f"{name}, {kind}: status {answer.status}, {content[:80]!r}")
                turn += 1


def form_with(path: Path) -> tuple[bytes, str]:
    """The body of a request with an image, and its content type."""
    request = httpx.Request("POST", "http://service", files={"image": (path.name, path.read_bytes())})
    return request.read(), request.headers["content-type"]


def load(clients: int, seconds: float, paths: list[Path], expected: dict, watch: int) -> tuple[Outcome, list[float]]:
    """The clients for a while, and the memory of a process in MiB, every half second."""
    outcome, memory, until = Outcome(), [], time.monotonic() + seconds
    arguments = (until, paths, expected, outcome)
    threads = [threading.Thread(target=ask, args=(number, *arguments)) for number in range(clients)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        memory.append(resident_mib(watch))
        time.sleep(0.5)
    return outcome, memory


def resident_mib(process: int) -> float:
    try:
        return psutil.Process(process).memory_info().rss / 2**20
    except psutil.Error:  # it has been killed
        return 0.0


def own_speed(folder: Path, seconds: float) -> np.ndarray:
    """Of the network without the service: maps a second, and seconds of processor time a map."""
    done = subprocess.run([sys.executable, "-c", OWN, folder, str(seconds)], capture_output=True, check=True)
    return np.array(done.stdout.split(), dtype=float)


def measure(clients: int, seconds: float, count: int) -> dict:
    """The whole run."""
    cores = set(sorted(os.sched_getaffinity(0))[:count])
    os.sched_setaffinity(0, cores)  # what is started inherits it
    with tempfile.TemporaryDirectory() as name:
        folder, temporary = Path(name), Path(name) / "temporary"
        temporary.mkdir()
        paths = own_images(40, folder / "images")
        expected = expected_answers(paths)
        before = own_speed(folder / "images", seconds / 4)
        server = start(temporary, cores)
        started = time.monotonic()
        processor, clients_processor = processor_seconds(server.pid), processor_seconds(os.getpid())
        outcome, memory = load(clients, seconds, paths, expected, server.pid)
        elapsed, processor = time.monotonic() - started, processor_seconds(server.pid) - processor
        clients_processor = processor_seconds(os.getpid()) - clients_processor
        server.terminate()
        status = server.wait(HANGS)
        own = (before + own_speed(folder / "images", seconds / 4)) / 2
        server = start(temporary, cores)
        timer = threading.Timer(min(10, seconds / 4), server.kill)
        timer.start()
        killed, _ = load(clients, min(20, seconds), paths, expected, server.pid)
        server.wait()
        left = [path.name for path in temporary.rglob("*")]
    first, second = np.array_split(memory[len(memory) // 10 :], 2)
    return {
        "clients": clients,
        "seconds": round(elapsed, 1),
        "cores": len(cores),
        "answered": len(outcome.seconds),
        "turned_away": outcome.turned_away,
        "wrong": len(outcome.wrong),
        "lost": len(outcome.lost),
        "problems": (outcome.wrong + outcome.lost)[:5],
        "answers_a_second": round(len(outcome.seconds) / elapsed, 2),
        "of_the_network_s_own": round(len(outcome.seconds) / elapsed / own[0], 3),
        "processor_time_over_the_network_s_own": round(processor / len(outcome.seconds) / own[1], 3),
        "clients_part_of_the_processor_time": round(clients_processor / (clients_processor + processor), 3),
        "wait_median_s": round(float(np.median(outcome.seconds)), 2),
        "wait_p95_s": round(float(np.percentile(outcome.seconds, 95)), 2),
        "wait_max_s": round(max(outcome.seconds), 2),
        "memory_first_half_mib": round(float(np.median(first))),
        "memory_second_half_mib": round(float(np.median(second))),
        "memory_peak_mib": round(max(memory)),
        "exit_status": status,
        "killed": {"answered": len(killed.seconds), "half_answers": len(killed.wrong), "files_left": left},
    }


def main() -> None:
    results = run_load(Path(__file__), __doc__, measure)
    killed = results["killed"]
    has_grown = results["memory_second_half_mib"] > GROWTH * results["memory_first_half_mib"]
    if results["wrong"] or results["lost"] or has_grown or killed["half_answers"] or killed["files_left"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
