"""SALICON's annotations of 2015: one COCO-style JSON file of up to 818 MB with every worker's mouse positions."""

import json
from array import array
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..io.progress import Progress, no_progress
from .cache import remembered
from .files import UnusableError
from .fixations import Points, file_stamp, join_observers
from .json_stream import stream_items


@dataclass(frozen=True)
class JsonSpans:
    """The annotations of one image, left in the file until they are needed.

    Args:
        path: The JSON file.
        spans: `(n, 2)`, where each of them begins and ends, in bytes.
        size: Width and height in pixels that the file states for the image.
    """

    path: Path
    spans: np.ndarray
    size: tuple[int, int]

    def read(self) -> Points:
        """The positions of all workers, whose numbers are the observers; the file has 1-based rows and columns."""
        positions, workers, start = [], [], 0
        try:
            with self.path.open("rb") as file:
                for start, end in self.spans.tolist():
                    file.seek(start)
                    item = json.loads(file.read(end - start))
                    positions.append(np.array(item["fixations"], np.float32).reshape(-1, 2)[:, ::-1] - 1)
                    workers.append(item["worker_id"])
            points = join_observers(positions, workers)
        except (KeyError, OSError, OverflowError, RecursionError, TypeError, ValueError) as error:
            raise UnusableError(f"{self.path}: fixations are damaged near byte {start}: {error}") from error
        return Points(points.fixations, points.observers, self.size)

    def stamp(self) -> str:
        """A word that differs when the file was changed."""
        return f"{file_stamp(self.path)} {self.spans.tobytes().hex()}"


def read_index(path: Path, progress: Progress = no_progress) -> dict[str, JsonSpans]:
    """Positions of each image's annotations in the file, by image file name.

    The file is streamed once and the result remembered.

    Args:
        progress: Wraps an iteration, `(iterable, description)`, to show a bar.

    Raises:
        ValueError: If it is not SALICON's JSON or is cut off.
    """
    index = remembered(path, lambda: _index(path, progress))
    ends = np.cumsum(index["counts"])
    groups = np.split(index["spans"], ends[:-1]) if len(ends) else []
    return {
        str(name): JsonSpans(path, spans, (int(width), int(height)))
        for name, (width, height), spans in zip(index["names"], index["sizes"], groups, strict=True)
        if len(spans)
    }


def _index(path: Path, progress: Progress) -> dict[str, np.ndarray]:
    images: dict[int, tuple[str, int, int]] = {}
    spans: dict[int, array] = {}
    for item in progress(stream_items(path), f"looking through {path.name}"):
        try:
            if item.key == "images":
                name = item.value["file_name"].encode("latin-1").decode("utf-8")
                images[item.value["id"]] = (name, int(item.value["width"]), int(item.value["height"]))
            elif item.key == "annotations":
                spans.setdefault(item.value["image_id"], array("q")).extend((item.start, item.end))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            reason = f"has no {error}" if isinstance(error, KeyError) else f"is damaged: {error}"
            raise ValueError(f"{path}: the entry of {item.key} at byte {item.start} {reason}") from error
    if not images or not spans:
        raise ValueError(f"{path}: is not SALICON's JSON: the lists `images` and `annotations` are expected")
    grouped = [np.array(spans.get(number, ()), np.int64).reshape(-1, 2) for number in images]
    return {
        "names": np.array([name for name, _, _ in images.values()]),
        "sizes": np.array([size for _, *size in images.values()], np.int64),
        "counts": np.array([len(spans_of_image) for spans_of_image in grouped], np.int64),
        "spans": np.concatenate(grouped),
    }
