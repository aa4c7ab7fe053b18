"""Saliency maps from a checkpoint's ONNX graph, without PyTorch: for those who wait for a few pictures."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image

from .letterbox_mlnet import inverse_positions, letterbox_size
from .manifest import CONFIG, PROCESSOR, WEIGHTS, resolve_model, sha256
from .outputs import Prediction, Predictor
from .reading_mlnet import pil_to_array, read_image
from .threads import in_order, start_workers, usable_cores

GRAPH = "model.onnx"
MADE_FOR = "checkpoint_sha256"  # the graph's metadata: of the files whose tensors it reads
READERS = 2  # threads that decode ahead of the network


def checkpoint_sum(folder: Path) -> str:
    """SHA-256 of a checkpoint's configuration and weights together."""
    return hashlib.sha256(f"{sha256(folder / CONFIG)} {sha256(folder / WEIGHTS)}".encode()).hexdigest()


@dataclass(frozen=True)
class Letterbox:
    """What an image processor does to bytes, in NumPy and Pillow.

    Shrinking is Pillow's, which differs from torchvision's by one of 255 in about every thousandth value.

    Args:
        canvas: Height and width in pixels.
        scale: What a value is multiplied by, then
        mean: what is subtracted from it, and
        std: what it is divided by, for red, green and blue.
    """

    canvas: tuple[int, int]
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def read(cls, path: Path) -> "Letterbox":
        """From a preprocessor_config.json.

        Raises:
            ValueError: If it cannot be read, or asks for what is not done here.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            canvas = (int(values["size"]["height"]), int(values["size"]["width"]))
            usual = values["do_resize"] and values["antialias"] and values["resample"] == Image.Resampling.BILINEAR
            scale = float(values["rescale_factor"]) if values["do_rescale"] else 1.0
            mean, std = ((0.0,) * 3, (1.0,) * 3)
            if values["do_normalize"]:
                mean, std = tuple(values["image_mean"]), tuple(values["image_std"])
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{path}: cannot be read: {error!r}") from error
        if not usual:
            raise ValueError(f"{path}: without PyTorch only bilinear resizing that averages (antialias) is done")
        return cls(canvas, scale, mean, std)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """A picture `(height, width, 3)` in bytes as pixel values `(1, 3, *canvas)`."""
        height, width = letterbox_size(image.shape[0], image.shape[1], self.canvas)
        top, left = (self.canvas[0] - height) // 2, (self.canvas[1] - width) // 2
        resized = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
        canvas = np.zeros((*self.canvas, 3), dtype=np.float32)
        canvas[top : top + height, left : left + width] = np.asarray(resized)
        mean, std = (np.array(one, dtype=np.float32) for one in (self.mean, self.std))
        pixel_values = (canvas * np.float32(self.scale) - mean) / std
        return np.ascontiguousarray(pixel_values.transpose(2, 0, 1)[None])

    @staticmethod
    def invert(cells: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """A map's cells at a picture's own size, divided by the maximum: `post_process_saliency`."""
        positions = inverse_positions(size, cells.shape, do_resize=True)
        rows, columns = (_weights(one, count) for one, count in zip(positions, cells.shape, strict=True))
        saliency_map = rows @ cells @ columns.T
        peak = saliency_map.max()
        return saliency_map / peak if peak > 0 else saliency_map


def _weights(positions: np.ndarray, count: int) -> np.ndarray:
    """Linear interpolation as a matrix `(positions, count)`, edges replicated."""
    positions = positions.clip(0, count - 1)
    lower, index = positions.astype(int), np.arange(len(positions))
    weights = np.zeros((len(positions), count), dtype=np.float32)
    weights[index, lower] = 1 - (positions - lower)
    weights[index, np.minimum(lower + 1, count - 1)] += positions - lower
    return weights


def _rgb(values: np.ndarray) -> np.ndarray | None:
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
        folder = Path(resolve_model(fspath(model)).place)
        if not (folder / GRAPH).is_file():
            raise ValueError(f"{fspath(model)}: has no {GRAPH}; `mlnet export` makes one")
        self.folder = folder
        self.letterbox = Letterbox.read(folder / PROCESSOR)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors; they are raised as well
        options.intra_op_num_threads = usable_cores()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the readers need the cores, too
        try:
            self.session = onnxruntime.InferenceSession(folder / GRAPH, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # pybind's, of many kinds
            raise ValueError(f"{folder / GRAPH}: cannot be loaded: {' '.join(str(error).split())}") from error
        [pixel_values] = self.session.get_inputs()
        if pixel_values.shape[2:] != list(self.letterbox.canvas) and isinstance(pixel_values.shape[2], int):
            raise ValueError(f"{folder / GRAPH}: was made for another canvas; `mlnet export --in-place` makes it anew")
        made_for = self.session.get_modelmeta().custom_metadata_map.get(MADE_FOR)
        if (folder / WEIGHTS).is_file() and made_for != checkpoint_sum(folder):
            raise ValueError(f"{folder / GRAPH}: was made for other weights; `mlnet export --in-place` makes it anew")

    def stream(self, images: Iterable[Any], keep_images: bool = False) -> Iterator[Prediction]:
        """As `SaliencyPredictor.stream`, of picture files and addresses."""
        with start_workers(READERS) as readers:
            read = partial(self._read, keep_image=keep_images)
            for prediction, pixel_values, size in in_order(readers, read, images, ahead=READERS):
                if pixel_values is not None:
                    [cells] = self.session.run(["saliency_map"], {"pixel_values": pixel_values})
                    if np.isfinite(cells).all():
                        prediction.saliency_map = self.letterbox.invert(cells[0], size)
                    else:
                        prediction.error = f"{prediction.source}: the map is not finite ({self.choice})"
                elif prediction.error is None:
                    prediction = self._predict_deep(prediction.source, keep_images)
                yield prediction

    def _read(self, source: Any, keep_image: bool) -> tuple[Prediction, np.ndarray | None, tuple[int, int]]:
        """A picture's prediction to be, its pixel values and its size; none of deep values, or with an error."""
        try:
            image = _rgb(pil_to_array(read_image(source)))
        except ValueError as error:
            return Prediction(source, error=str(error)), None, (0, 0)
        if image is None:
            return Prediction(source), None, (0, 0)
        return Prediction(source, image=image if keep_image else None), self.letterbox(image), image.shape[:2]

    def _predict_deep(self, source: Any, keep_image: bool) -> Prediction:
        """Sixteen bits and floating point are rare enough to be PyTorch's."""
        try:
            return next(self._with_pytorch.stream([source], keep_image))
        except ValueError as error:
            return Prediction(source, error=f"{source}: more than 8 bits a value need the weights: {error}")

    @cached_property
    def _with_pytorch(self) -> Predictor:
        from .prediction import SaliencyPredictor

        return SaliencyPredictor(self.folder, device="cpu", dtype="float32")
