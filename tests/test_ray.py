"""Ray: batches by `map_batches`, and a collection whose workers and driver are killed at random points.

The killings are few and the images small here. The full form, 2,000 images and ten killings (minutes):

    MLNET_KILLS=10 MLNET_KILL_IMAGES=2000 pytest tests/test_ray.py -k killed
"""

import os
import random
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_shards import BAD, content, state

from modeling_mlnet.scale import BatchPredictor

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'mlnet-saliency[ray]'")

KILLS, IMAGES = int(os.environ.get("MLNET_KILLS", "2")), int(os.environ.get("MLNET_KILL_IMAGES", "200"))
DISTINCT = 50  # images that repeat
SEED, LONGEST = 7, 1200  # seconds


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("ray") / "in"
    folder.mkdir()
    images = [b"no image" if seed == BAD else content(seed) for seed in range(DISTINCT)]
    for start in range(0, IMAGES, 100):
        ids = list(range(start, min(start + 100, IMAGES)))
        rows = {"image": [images[i % DISTINCT] for i in ids], "id": ids}
        pq.write_table(pa.table(rows), folder / f"{start:06d}.parquet", 30)
    return folder


def start(data: Path, output: Path, model: Path, engine: str) -> subprocess.Popen[str]:
    words = ["predict", "--dataset", data, "-o", output, "--model", model, "--engine-workers", engine]
    words += ["--shard-rows", IMAGES // 20, "--columns", "saliency_map,spots"]
    command = [sys.executable, "-m", "modeling_mlnet.cli", *map(str, words)]
    settings = {**os.environ, "OMP_NUM_THREADS": "1"}
    log = open(output.parent / "log.txt", "a", encoding="utf-8")  # noqa: SIM115 - of the process
    return subprocess.Popen(command, env=settings, text=True, stderr=log, stdout=log)


def workers_of(driver: subprocess.Popen[str]) -> list[psutil.Process]:
    """The processes of Ray that work on a shard now."""
    with suppress(psutil.NoSuchProcess):
        below = psutil.Process(driver.pid).children(recursive=True)
        return [process for process in below if is_working(process)]
    return []


def is_working(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline()).startswith("ray::attempt")
    return False


def end_driver(driver: subprocess.Popen[str]) -> None:
    """Kills the driver; what it started ends by itself, and is waited for."""
    below = psutil.Process(driver.pid).children(recursive=True)
    driver.kill()
    driver.wait()
    _, alive = psutil.wait_procs(below, timeout=30)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def test_every_image_is_there_once_whatever_is_killed(data, small_checkpoint, tmp_path):
    """Kills with signal 9: about half of them the driver, which is started again, else one worker."""
    undisturbed, output = tmp_path / "undisturbed.parquet", tmp_path / "out.parquet"
    reference = start(data, undisturbed, small_checkpoint, "none")
    assert reference.wait(LONGEST) == 1  # some images cannot be read
    chance, killed, deadline = random.Random(SEED), Counter(), time.monotonic() + LONGEST
    targets = [("driver", "worker")[number % 2] for number in range(KILLS)]
    chance.shuffle(targets)
    driver = start(data, output, small_checkpoint, "ray")
    while targets:
        while not (working := workers_of(driver)):
            assert driver.poll() is None, (killed, (tmp_path / "log.txt").read_text("utf-8")[-2000:])
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 0.5))
        try:
            if targets[0] == "driver":
                end_driver(driver)
                driver = start(data, output, small_checkpoint, "ray")
            else:
                chance.choice(working).kill()
        except psutil.NoSuchProcess:  # it ended by itself
            continue
        killed[targets.pop(0)] += 1
    while driver.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    print(f"killed: {dict(killed)}; {IMAGES} images, seed {SEED}")
    assert driver.returncode == 1 and sum(killed.values()) == KILLS, (tmp_path / "log.txt").read_text("utf-8")[-2000:]
    table = pq.read_table(output)
    assert table["id"].to_pylist() == table["input_row"].to_pylist() == list(range(IMAGES))
    for number, error, saliency_map in zip(*(table[name] for name in ("id", "error", "saliency_map")), strict=True):
        assert error.is_valid == (number.as_py() % DISTINCT == BAD) and saliency_map.is_valid != error.is_valid
    assert state(output) == state(undisturbed)


@pytest.fixture(scope="module")
def local_ray():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="warning")
    yield
    ray.shutdown()


@pytest.mark.parametrize("form", ["numpy", "pyarrow", "pandas"])
def test_map_batches_adds_the_columns(local_ray, small_checkpoint, data, form):
    ray_data = pytest.importorskip("ray.data", reason="Ray Data is not installed: pip install 'ray[data]'")
    rows = ray_data.read_parquet(str(data)).sort("id").limit(12)
    arguments = {"model": str(small_checkpoint), "outputs": ["saliency_map", "spots"]}
    work = {"fn_constructor_kwargs": arguments, "batch_size": 5, "concurrency": 1, "batch_format": form}
    mapped = rows.map_batches(BatchPredictor, **work).take_all()
    expected = BatchPredictor(**arguments)({"image": [row["image"] for row in rows.take_all()]})
    mapped.sort(key=lambda row: row["id"])
    assert [row["id"] for row in mapped] == list(range(12))
    for name in ("saliency_map", "error"):
        assert [row[name] for row in mapped] == expected[name], name
    assert [row["spots"] if row["spots"] is None else list(row["spots"]) for row in mapped] == expected["spots"]
