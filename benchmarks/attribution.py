"""How long does the importance of levels take? Images read from files, letterboxed, two backward passes a batch.

Beside it the same images merely predicted, in the same run: importance should cost a small multiple of that.

    python benchmarks/attribution.py NAME:DIR [--images 500] [--model mini] [--output attribution.json]
"""

import argparse
import json
import platform
import time
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import torch

from modeling_mlnet import SaliencyPredictor
from modeling_mlnet.attribution import level_importance
from modeling_mlnet.data import load


def timed(work: Callable[[], Any]) -> dict[str, float]:
    """Wall and processor seconds; on a machine that others use, too, only the second says what the work costs."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return {"wall_s": time.perf_counter() - wall, "processor_s": time.process_time() - processor}


def main() -> None:
    """Prints a table and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    rows = load(arguments.dataset).select_columns("image")
    predictor = SaliencyPredictor(arguments.model)

    def images(count: int) -> Iterator[Any]:
        return (rows[index]["image"] for index in islice(cycle(range(len(rows))), count))

    level_importance(predictor, images(8))  # the first batch also pays for choosing kernels
    results = {
        "importance": timed(lambda: level_importance(predictor, images(arguments.images))),
        "prediction": timed(lambda: [None for _ in predictor.maps(images(arguments.images))]),
    }
    for name, item in results.items():
        each = 1000 * item["processor_s"] / arguments.images
        print(f"{name:10} {arguments.images} images: {item['wall_s']:7.1f} s, processor {each:6.1f} ms an image")
    if arguments.output:
        machine = {"processor": platform.processor() or platform.machine(), "threads": torch.get_num_threads()}
        text = {"machine": machine, "images": arguments.images, "model": arguments.model, **results}
        arguments.output.write_text(json.dumps(text, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
