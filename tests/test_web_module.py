"""The browser's module in Node: letterbox, maps, spots, regions and crops against Python's."""

import base64
import json
import os
import shutil
import subprocess
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from modeling_mlnet.analysis import Box, best_crop, effective_area, find_spots, measure_regions
from modeling_mlnet.letterbox_mlnet import Letterbox

PACKAGE = Path(__file__).parent.parent / "packages" / "web"
MINI = Letterbox((96, 128), antialias=True, image_mean=(127.5,) * 3, image_std=(127.5,) * 3)
LETTERBOXES = (
    MINI,
    Letterbox((96, 128)),  # the release's
    replace(MINI, do_rescale=True, image_mean=(0.485, 0.456, 0.406), image_std=(0.229, 0.224, 0.225)),
)
SIZES = ((300, 217), (61, 200), (128, 96), (96, 128), (9, 7), (40, 300))  # larger, smaller, as it is, tiny, flat


def encode(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()


def image_case(random, letterbox, size):
    image = random.integers(0, 256, (*size, 4), dtype=np.uint8)
    cells = random.random((letterbox.size[0] // 8, letterbox.size[1] // 8), dtype=np.float32) ** 3
    return {
        "width": size[1],
        "height": size[0],
        "rgba": encode(image),
        "letterbox": asdict(letterbox),
        "values": encode(letterbox.pixel_values(image[..., :3])),
        "cells": encode(cells),
        "map": encode(letterbox.saliency_map(cells, size)),
    }


def map_case(random, height, width):
    rows, columns = np.mgrid[:height, :width]
    values = np.zeros((height, width), np.float32)
    for _ in range(4):
        y, x, sigma = random.random() * height, random.random() * width, (0.03 + 0.1 * random.random()) * width
        values += (random.random() * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * sigma**2))).astype("f4")
    boxes = [Box("a", 0, 0, width / 3, height / 2), Box("b", 1.25, 2.5, width / 2, 3.75)]
    regions = measure_regions(values, boxes)
    crops = [best_crop(values, aspect) for aspect in ("1:1", "16:9", "9:16", "4:5")]
    return {
        "width": width,
        "height": height,
        "data": encode(values),
        "spots": [asdict(spot) for spot in find_spots(values)],
        "area": effective_area(values),
        "boxes": [asdict(box) for box in boxes],
        "regions": [{key: asdict(item)[key] for key in ("share", "area", "ratio", "rank")} for item in regions],
        "crops": [{key: value for key, value in asdict(item).items() if key != "object_position"} for item in crops],
    }


def test_the_module_gives_what_python_gives(tmp_path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node.js")
    random = np.random.default_rng(0)
    cases = {
        "images": [image_case(random, letterbox, size) for letterbox in LETTERBOXES for size in SIZES],
        "maps": [map_case(random, *size) for size in ((60, 80), (133, 90), (20, 31), (200, 300))],
    }
    path = tmp_path / "cases.json"
    path.write_text(json.dumps(cases), encoding="utf-8")
    command = [node, "--test", str(PACKAGE / "test") + "/"]
    result = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "MLNET_CASES": str(path)})
    assert result.returncode == 0 and "# pass 8" in result.stdout, result.stdout
