"""How long does a large collection take? One process, measured in parts, and a model that predicts a larger run.

Collections of generated thumbnails, or of the images of a folder, repeated, are written as Parquet and predicted into
shards, by a process on one core for each size. The model has a time per image, divided into decode, network, answers
(spots and regions), encode, and read and write, and fixed costs of a worker (imports, loading and compiling the
network) and of a shard. It is fitted to all sizes but the largest, which it predicts: its deviation is printed. Then:
how long 10^8 images take on N cores, and what limits them. All times are of the CPU, so that other work on the machine
matters little. With `--engine ray` the first size is also predicted by Ray and by the plain command, in turns, by the
clock.

    python benchmarks/scale.py [--sizes 1000,10000,100000] [--cores 100,1000] [--canvas 192x256]
    python benchmarks/scale.py --sizes 1000,4000 --images DIR
    python benchmarks/scale.py --sizes 1000 --engine ray
"""

import argparse
import io
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

MANY = 10**8
DISTINCT = 200  # images that repeat
NETWORK_RATE = 1250.0  # MB/s that a store or a machine's network is taken to deliver, 10 Gbit/s
SHARDS = 4  # of every measured run


def thumbnails(side: int) -> list[bytes]:
    """Generated JPEG files of a longer side in pixels."""
    random, images = np.random.default_rng(0), []
    for _ in range(DISTINCT):
        coarse = Image.fromarray(random.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        file = io.BytesIO()
        coarse.resize((side, side * 3 // 4), Image.Resampling.BICUBIC).save(file, "JPEG", quality=85)
        images.append(file.getvalue())
    return images


def write_collection(folder: Path, count: int, images: list[bytes]) -> int:
    """Images, repeated, in one Parquet file; its size in bytes."""
    path = folder / f"{count}.parquet"
    with pq.ParquetWriter(path, pa.schema([("image", pa.binary())])) as writer:
        for start in range(0, count, 1000):
            rows = [images[number % len(images)] for number in range(start, min(start + 1000, count))]
            writer.write_table(pa.table({"image": rows}), row_group_size=100)
    return path.stat().st_size


def on_canvas(folder: Path, model: str, canvas: str) -> Path:
    """A copy of a checkpoint that predicts on another canvas, with its graph made (by another process)."""
    from modeling_mlnet.hub.checkpoint import checkpoint_folder
    from modeling_mlnet.hub.registry import GRAPH, PROCESSOR

    copy = folder / "checkpoint"
    shutil.copytree(checkpoint_folder(model), copy, ignore=shutil.ignore_patterns(GRAPH))
    settings = json.loads((copy / PROCESSOR).read_text(encoding="utf-8"))
    settings["size"] = dict(zip(("height", "width"), map(int, canvas.split("x")), strict=True))
    (copy / PROCESSOR).write_text(json.dumps(settings), encoding="utf-8")
    make = (
        f"from modeling_mlnet import SaliencyPredictor as P; P({str(copy)!r}, device='cpu', dtype='float32').network"
    )
    subprocess.run([sys.executable, "-c", make], check=True, capture_output=True)
    return copy


def measure_parts(model: str, images: list[bytes]) -> dict[str, float]:
    """Seconds of CPU per image of each part, one part after the other on the same images."""
    from modeling_mlnet.images_mlnet import read_image
    from modeling_mlnet.inference.predictor import Prediction, SaliencyPredictor
    from modeling_mlnet.io.overlay import grey_image, to_png
    from modeling_mlnet.scale.batch import BatchPredictor

    predictor, batch = SaliencyPredictor(model, dtype="float32"), BatchPredictor(model)
    arrays = [read_image(image) for image in images]
    list(predictor.maps(arrays[:16]))  # both forms of the network
    seconds = {}

    def clock(name: str, function: Callable[[], list]) -> list:
        start = time.process_time()
        results = function()
        seconds[name] = (time.process_time() - start) / len(images)
        return results

    clock("decode", lambda: [read_image(image) for image in images])
    maps = clock("network", lambda: list(predictor.maps(arrays)))  # with the letterbox before and after it
    clock("encode", lambda: [to_png(grey_image(saliency_map)) for saliency_map in maps])
    clock("answers", lambda: [batch.answer(Prediction(None, saliency_map)) for saliency_map in maps])
    seconds["answers"] -= seconds["encode"]
    return seconds


def measure(inputs: Path, output: Path, model: str) -> dict[str, Any]:
    """One run in this process, whose seconds are those of the CPU: others may be at work beside it."""
    began = time.process_time()
    from modeling_mlnet.scale import BatchPredictor
    from modeling_mlnet.scale.collection import parquet_files
    from modeling_mlnet.scale.run import predict_collection

    predict = BatchPredictor(model)
    predict({"image": [np.zeros((48, 64, 3), np.uint8)] * 16})  # both forms of the network
    worker = time.process_time() - began
    parts = measure_parts(model, pq.ParquetFile(inputs).read_row_group(0)["image"].slice(0, 64).to_pylist())
    collection = parquet_files(str(inputs))
    rows = int(collection.inputs["rows"][0].as_py())
    began, wall = time.process_time(), time.perf_counter()
    report = predict_collection(collection, str(output), predict, rows_per_shard=-(-rows // SHARDS))
    assert report.rows == rows and not report.errors
    return {
        "images": rows,
        "worker_s": worker,
        "cpu_s": time.process_time() - began,
        "wall_s": time.perf_counter() - wall,
        "parts_s": parts,
        "bytes_read": inputs.stat().st_size,
        "bytes_written": sum(path.stat().st_size for path in output.rglob("*") if path.is_file()),
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def compare_engines(folder: Path, count: int, model: str, engine: str) -> dict[str, float]:
    """Seconds of the whole command with one worker by each engine, the least of two turns."""
    seconds: dict[str, list[float]] = {"none": [], engine: []}
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for turn in range(2):
        for name, times in seconds.items():
            words = [
                "predict",
                "--dataset",
                f"{folder}/{count}.parquet",
                "-o",
                f"{folder}/{name}{turn}",
                "--model",
                model,
            ]
            words += ["--dtype", "float32", "--shard-rows", str(-(-count // SHARDS)), "--engine-workers", name]
            words += ["--workers", "1"] if name != "none" else []
            start = time.perf_counter()
            command = [sys.executable, "-m", "modeling_mlnet.cli", *words]
            subprocess.run(command, check=True, env=environment, capture_output=True)
            times.append(time.perf_counter() - start)
    return {name: min(times) for name, times in seconds.items()}


def fit(runs: list[dict[str, Any]]) -> dict[str, float]:
    """Seconds per image by part, and fixed seconds of a worker and a shard, by least squares over the runs."""
    images = np.array([run["images"] for run in runs], dtype=float)
    seconds = np.array([run["cpu_s"] for run in runs])
    weights = 1 / seconds  # relative deviations count
    design = np.stack([images, np.ones_like(images)], axis=1)
    (per_image, fixed), *_ = np.linalg.lstsq(design * weights[:, None], seconds * weights, rcond=None)
    if fixed < 0 or len(runs) == 1:
        per_image, fixed = float((seconds * weights).sum() / (images * weights).sum()), 0.0
    parts = dict(runs[-1]["parts_s"])
    parts["read, write and the rest"] = max(0.0, float(per_image) - sum(parts.values()))
    worker = float(np.mean([run["worker_s"] for run in runs]))
    return {**parts, "image": float(per_image), "shard": float(fixed) / SHARDS, "worker": worker}


def plan(model: dict[str, float], largest: dict[str, Any], cores: int) -> dict[str, Any]:
    """What 10^8 images take on a number of cores, with shards of 500 MB, and what limits them."""
    written = MANY * largest["bytes_written"] / largest["images"]
    read = MANY * largest["bytes_read"] / largest["images"]
    shards = max(cores, int(written / 500e6))
    seconds = (MANY * model["image"] + shards * model["shard"]) / cores + model["worker"]
    rate = (read + written) / 1e6 / seconds
    parts = {name: value for name, value in model.items() if name not in ("image", "shard", "worker")}
    store = (read + written) / 1e6 / NETWORK_RATE
    slowest = max(parts, key=lambda name: parts[name])
    limit = f"{slowest} ({parts[slowest] / model['image']:.0%} of an image)" if seconds > store else "the store"
    return {"cores": cores, "hours": max(seconds, store) / 3600, "shards": shards, "mb_per_s": rate, "limit": limit}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--sizes", default="1000,10000,100000", help="images of each run, rising; the last is predicted"
    )
    parser.add_argument("--cores", default="100,1000", help="for 10^8 images")
    parser.add_argument("--side", type=int, default=256, help="longer side of a thumbnail, px")
    parser.add_argument("--images", type=Path, metavar="DIR", help="JPEG files in place of generated thumbnails")
    parser.add_argument("--engine", choices=["ray"], help="compared with the plain command on the first size")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--canvas", help="height and width of the network's input; the checkpoint's own if not given")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--measure", nargs=2, type=Path, metavar=("INPUT", "OUTPUT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(*arguments.measure, arguments.model)))
        return
    images = thumbnails(arguments.side)
    if arguments.images:
        images = [path.read_bytes() for path in sorted(arguments.images.glob("*.jpg"))[:DISTINCT]]
    runs, engines = [], {}
    with tempfile.TemporaryDirectory() as folder:
        if arguments.canvas:
            arguments.model = str(on_canvas(Path(folder), arguments.model, arguments.canvas))
        for count in sorted(int(size) for size in arguments.sizes.split(",")):
            write_collection(Path(folder), count, images)
            # a process each, so that every run has the memory and the start of a worker
            words = [sys.executable, __file__, "--model", arguments.model]
            words += ["--measure", f"{folder}/{count}.parquet", f"{folder}/out{count}"]
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            ended = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
            runs.append(json.loads(ended.stdout.splitlines()[-1]))
            run = runs[-1]
            print(
                f"{run['images']:>8,} images: {run['images'] / run['cpu_s']:.2f} per second and core, "
                f"{run['bytes_read'] / 1e6:.1f} MB read, {run['bytes_written'] / 1e6:.1f} MB written, "
                f"{run['memory_mb']:.0f} MB of memory, {run['cpu_s'] / run['wall_s']:.0%} of a core",
                flush=True,
            )
        if arguments.engine:
            engines = compare_engines(Path(folder), runs[0]["images"], arguments.model, arguments.engine)
            print(
                f"{runs[0]['images']:,} images by the command: "
                + ", ".join(f"{k} {v:.1f} s" for k, v in engines.items())
            )
    model, largest = fit(runs[:-1] or runs), runs[-1]
    for name, value in model.items():
        print(f"{name}: {value * 1000:.2f} ms" if name not in ("shard", "worker") else f"a {name}: {value:.2f} s")
    predicted = largest["images"] * model["image"] + SHARDS * model["shard"]
    deviation = predicted / largest["cpu_s"] - 1
    print(
        f"{largest['images']:,} images: predicted {predicted:.1f} s, took {largest['cpu_s']:.1f} s ({deviation:+.1%})"
    )
    plans = [plan(model, largest, int(cores)) for cores in arguments.cores.split(",")]
    for cluster in plans:
        print(
            f"10^8 images on {cluster['cores']:,} cores: {cluster['hours']:.1f} hours, {cluster['shards']:,} shards, "
            f"{cluster['mb_per_s']:.0f} MB/s read and written; limited by {cluster['limit']}"
        )
    if arguments.output:
        machine = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()}
        result = {
            "machine": machine,
            "canvas": arguments.canvas,
            "runs": runs,
            "engines": engines,
            "model": model,
            "deviation": deviation,
            "plans": plans,
        }
        arguments.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
