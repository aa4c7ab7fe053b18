"""What does it cost to read SALICON's JSON of 2015? This package's index beside `json.load`, each in a fresh process.

Writes a file of the official layout and size with positions at random, as the real one may not be at hand. Memory is
a process's peak above what it took before reading; `--whole` for `json.load` too, which takes about 11 GiB.

    python benchmarks/salicon_json.py [--output salicon_json.json] [--megabytes 818] [--whole]
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from peak_memory import peak_memory_mib

from modeling_mlnet.data.salicon_json import read_index

WORKERS = 55  # that look at an image; with 150 positions each, 10,000 images make 818 MB
POSITIONS = 150


def annotation(image: int, worker: int, fixations: list[list[int]]) -> str:
    """What one worker looked at, as the file has it."""
    content = {"id": image * WORKERS + worker, "image_id": image, "worker_id": worker, "fixations": fixations}
    return json.dumps(content, separators=(",", ":"))


def write(path: Path, megabytes: int) -> int:
    """Writes the file.

    Returns:
        How many images it has.
    """
    random = np.random.default_rng(0)
    with path.open("w", encoding="utf-8") as file:
        count = megabytes * 10**6 // (WORKERS * len(annotation(10**4, 10, [[300, 400]] * POSITIONS)))
        images = [
            {"id": i, "file_name": f"COCO_train2014_{i:012d}.jpg", "height": 480, "width": 640} for i in range(count)
        ]
        file.write(f'{{"info": {{}}, "images": {json.dumps(images)}, "annotations": [')
        for image in range(count):
            positions = random.integers(1, (481, 641), (WORKERS, POSITIONS, 2))
            for worker, fixations in enumerate(positions.tolist()):
                file.write("," * bool(image or worker) + annotation(image, worker, fixations))
        file.write("]}")
    return count


def ours(path: Path) -> int:
    """Indexes the file, and reads one image's positions."""
    index = read_index(path)
    assert len(next(iter(index.values())).read().fixations) == WORKERS * POSITIONS
    return len(index)


def whole(path: Path) -> int:
    """Everything in memory."""
    with path.open(encoding="utf-8") as file:
        return len(json.load(file)["images"])


READERS: dict[str, Callable[[Path], int]] = {"ours": ours, "again": ours, "whole": whole}  # again: from the cache


def measure(reader: str, path: Path) -> dict[str, Any]:
    """Seconds and peak MiB of a reader, in this process."""
    datasets.config.HF_DATASETS_CACHE = path.parent / "cache"
    before = peak_memory_mib()
    start = time.perf_counter()
    images = READERS[reader](path)
    seconds = time.perf_counter() - start
    return {
        "images": images,
        "seconds": seconds,
        "mib": peak_memory_mib() - before,
    }


def main() -> None:
    """Prints a table and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path)
    parser.add_argument("--megabytes", type=int, default=818)
    parser.add_argument("--whole", action="store_true", help="also json.load, which takes about 11 GiB")
    parser.add_argument("--measure", nargs=2, metavar=("READER", "FILE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure[0], Path(arguments.measure[1]))))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fixations_train2014.json"
        results: dict[str, Any] = {"images": write(path, arguments.megabytes), "bytes": path.stat().st_size}
        for reader in READERS if arguments.whole else ("ours", "again"):
            command = [sys.executable, __file__, "--measure", reader, str(path)]
            item = results[reader] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
            assert item["images"] == results["images"]
            print(f"{reader:6} {item['seconds']:7.2f} s {item['mib']:8.0f} MiB")
    if arguments.output:
        arguments.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
