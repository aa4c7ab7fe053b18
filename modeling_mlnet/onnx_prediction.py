"""Saliency maps from a checkpoint's ONNX graph, without PyTorch: for those who wait for a few pictures."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from os import PathLike, fspath
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from PIL import Image

from .hub.registry import PROCESSOR, resolve_model
from .letterbox_mlnet import (
    check_tone_curve,
    divide_by_maximum,
    inverse_positions,
    letterbox_size,
    put_tone_curve,
    resize_like_opencv,
)
from .onnx_graph import AGAIN, Graph
from .outputs import Prediction, Predictor
from .reading_mlnet import pil_to_array, read_image
from .threads import MOST_PASSES, in_order, start_workers, usable_cores

RELEASE = {  # what an image processor does of itself
    "size": {"height": 480, "width": 640},
    "do_resize": True,
    "resample": Image.Resampling.BILINEAR,
    "antialias": False,
    "tone_curve": None,
    "do_rescale": False,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": (123.68, 116.779, 103.939),
    "image_std": (1.0, 1.0, 1.0),
}


@dataclass(frozen=True)
class Letterbox:
    """What an image processor does to bytes, in NumPy and Pillow.

    With `antialias` resizing is Pillow's: one of 255 off torchvision's in about every thousandth value. Both round to
    bytes after either axis, so that it is never more than two.

    Args:
        canvas: Height and width in pixels.
        antialias: Whether shrinking averages over the pixels it skips.
        table: Float32 `(3, 256)`: what becomes of every byte in red, green and blue.
        tone_curve: Exponent and toe of the curve over a map, or `None`.
    """

    canvas: tuple[int, int]
    antialias: bool
    table: np.ndarray
    tone_curve: Sequence[float] | None = None

    @classmethod
    def read(cls, path: Path) -> "Letterbox":
        """From a preprocessor_config.json.

        Raises:
            ValueError: If it cannot be read, or asks for what is not done here.
        """
        try:
            values = RELEASE | json.loads(path.read_text(encoding="utf-8"))
            canvas = (int(values["size"]["height"]), int(values["size"]["width"]))
            is_usual = values["do_resize"] and values["resample"] == Image.Resampling.BILINEAR
            antialias, tone_curve = bool(values["antialias"]), values["tone_curve"]
            check_tone_curve(tone_curve)
            table = np.tile(np.arange(256, dtype=np.float32), (3, 1))
            if values["do_rescale"]:
                table *= np.float32(values["rescale_factor"])
            if values["do_normalize"]:
                mean, std = (np.float32(values[name]).reshape(3, 1) for name in ("image_mean", "image_std"))
                table = (table - mean) / std
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{path}: cannot be read: {error!r}") from error
        if not is_usual:
            raise ValueError(f"{path}: without PyTorch pictures are fitted bilinearly into the canvas, or not at all")
        return cls(canvas, antialias, table, tone_curve)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """A picture `(height, width, 3)` in bytes as pixel values `(1, 3, *canvas)`."""
        height, width = letterbox_size(image.shape[0], image.shape[1], self.canvas)
        top, left = (self.canvas[0] - height) // 2, (self.canvas[1] - width) // 2
        if self.antialias:
            resized = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
            resized = resized.transpose(2, 0, 1)
        else:
            resized = resize_like_opencv(image.transpose(2, 0, 1), height, width)
        canvas = np.zeros((3, *self.canvas), dtype=np.uint8)
        canvas[:, top : top + height, left : left + width] = resized
        return np.stack([table.take(channel) for table, channel in zip(self.table, canvas, strict=True)])[None]

    def invert(self, cells: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """A map's cells at a picture's own size, under the curve, divided by the maximum: `post_process_saliency`."""
        cells = put_tone_curve(cells, self.tone_curve)
        rows, columns = inverse_positions(size, cells.shape, do_resize=True)
        return divide_by_maximum(_sample(_sample(cells, 1, columns), 0, rows[:, None]))


def _sample(values: np.ndarray, axis: int, positions: np.ndarray) -> np.ndarray:
    """Linear interpolation along one axis at fractional positions, edges replicated."""
    positions = positions.clip(0, values.shape[axis] - 1)
    lower = positions.astype(int)
    upper = np.minimum(lower + 1, values.shape[axis] - 1)
    first, second = (values.take(cells.ravel(), axis) for cells in (lower, upper))
    return first + (second - first) * (positions - lower).astype(np.float32)


def rgb_bytes(values: np.ndarray) -> np.ndarray | None:
    """An array of `pil_to_array` in red, green and blue bytes, transparency over white; `None` for deep values."""
    if values.dtype == bool:
        values = values.astype(np.uint8) * np.uint8(255)
    if values.dtype != np.uint8:
        return None
    if values.ndim == 2:
        return np.repeat(values[..., None], 3, axis=2)
    if values.shape[2] == 3:
        return values
    alpha = values[..., 3:].astype(np.float32) / 255
    return np.rint(values[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)


class OnnxPredictor:
    """Predicts as `SaliencyPredictor` does, on the CPU, in float32 and with the prior, from a folder's `model.onnx`.

    Importing PyTorch, timm and transformers takes longer than dozens of pictures of a small network. The graph is
    `mlnet export`'s: one of its own folder, or one beside a checkpoint (`--in-place`).

    Args:
        model: A name of the manifest or a folder, which must be on this machine.

    Raises:
        ValueError: If there is no graph that belongs to the checkpoint, or it needs PyTorch.
    """

    batch_size = 1
    choice = "ONNX Runtime, float32"

    def __init__(self, model: str | PathLike):
        self.folder = Path(resolve_model(fspath(model)).location)
        self.threads = _threads()
        self.graph = Graph(self.folder, self.threads)
        self.letterbox = Letterbox.read(self.folder / PROCESSOR)
        if not self.graph.takes(self.letterbox.canvas):
            raise ValueError(f"{self.graph.path}: was made for another canvas; {AGAIN}")
        self.lock = Lock()
        self.other: Predictor | None = None  # for what is not done here

    def stream(self, images: Iterable[Any], keep_images: bool = False) -> Iterator[Prediction]:
        """As `SaliencyPredictor.stream`, of files and addresses: the first on all threads, then several at once."""
        images = iter(images)
        for first in islice(images, 1):
            yield self._predict(first, self.threads, keep_images)
        for second in islice(images, 1):
            passes = min(self.threads, MOST_PASSES)
            predict = partial(self._predict, threads=self.threads // passes, keep_image=keep_images)
            workers = start_workers(passes)
            try:
                yield from in_order(workers, predict, chain([second], images), ahead=passes)
            finally:
                workers.shutdown(wait=False, cancel_futures=True)

    def _predict(self, source: Any, threads: int, keep_image: bool) -> Prediction:
        try:
            image = rgb_bytes(pil_to_array(read_image(source)))
            if image is None:  # sixteen bits and floating point are rare enough to be PyTorch's
                return next(self._with_pytorch().stream([source], keep_image))
        except ValueError as error:
            message = str(error)
            return Prediction(source, error=message if message.startswith(fspath(source)) else f"{source}: {message}")
        try:
            cells = self.graph(self.letterbox(image), threads)
        except ValueError as error:
            return Prediction(source, error=f"{source}: {error}")
        if not np.isfinite(cells).all():
            return Prediction(source, error=f"{source}: the map is not finite ({self.choice})")
        saliency_map = self.letterbox.invert(cells[0], image.shape[:2])
        return Prediction(source, saliency_map, image if keep_image else None)

    def _with_pytorch(self) -> Predictor:
        from transformers.utils import logging

        from .prediction import SaliencyPredictor

        with self.lock:
            if self.other is None:
                logging.disable_progress_bar()
                self.other = SaliencyPredictor(self.folder, device="cpu", dtype="float32")
        return self.other


def _threads() -> int:
    """Of the cores that may be used, those that OMP_NUM_THREADS leaves, as torchrun sets it."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return min(usable_cores(), max(1, int(wanted))) if wanted.isdecimal() else usable_cores()
