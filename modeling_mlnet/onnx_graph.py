"""A checkpoint's ONNX graph, run by ONNX Runtime on the CPU; without PyTorch."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

import numpy as np
import onnxruntime

from .hub.registry import CONFIG, GRAPH, WEIGHTS, sha256

AGAIN = "`mlnet export --in-place` makes it anew"
MADE_FOR, WORK = "checkpoint_sha256", "gflop"  # metadata of a graph: whose weights it reads, and a picture's work


def checkpoint_sum(folder: Path) -> str:
    """SHA-256 of a checkpoint's configuration and weights together.

    Raises:
        ValueError: If one of them is missing.
    """
    try:
        sums = [sha256(folder / name) for name in (CONFIG, WEIGHTS)]
    except OSError as error:
        raise ValueError(f"{folder}: is no whole checkpoint: {error}") from error
    return hashlib.sha256(" ".join(sums).encode()).hexdigest()


class Graph:
    """The `model.onnx` of `mlnet export`: in a folder of its own, or beside a checkpoint (`--in-place`).

    Args:
        folder: That has it.
        threads: That are to work on a picture at first; a call may ask for others.

    Attributes:
        canvas: Height and width in pixels that it takes; `None` if any, being multiples of 8.
        gflop: Work of a picture; NaN if it does not say.

    Raises:
        ValueError: If there is none, or it does not belong to the checkpoint beside it.
    """

    def __init__(self, folder: Path, threads: int):
        self.path = folder / GRAPH
        if not self.path.is_file():
            raise ValueError(f"{folder}: has no {GRAPH}; `mlnet export` makes one")
        self._lock = Lock()
        self._sessions: dict[int, onnxruntime.InferenceSession] = {}
        session = self._session(threads)
        shapes = {one.name: one.shape[2:] for one in session.get_inputs()}
        if list(shapes) != ["pixel_values"]:
            raise ValueError(f"{self.path}: is not a graph of ML-Net")
        [sides] = shapes.values()
        self.canvas: tuple[int, int] | None = None if isinstance(sides[0], str) else (sides[0], sides[1])
        metadata = session.get_modelmeta().custom_metadata_map
        self.gflop = float(metadata.get(WORK, "nan"))
        if (folder / WEIGHTS).is_file() and metadata.get(MADE_FOR) != checkpoint_sum(folder):
            raise ValueError(f"{self.path}: was made for other weights; {AGAIN}")

    def takes(self, canvas: Sequence[int]) -> bool:
        """Whether pictures on a canvas of this height and width can be passed."""
        return self.canvas is None or self.canvas == tuple(canvas)

    def __call__(self, pixel_values: np.ndarray, threads: int) -> np.ndarray:
        """Maps `(1, height/8, width/8)` of one picture's float32 pixel values `(1, 3, height, width)`.

        Args:
            pixel_values: On the canvas.
            threads: That work on it.

        Raises:
            ValueError: If ONNX Runtime fails.
        """
        try:
            return self._session(threads).run(["saliency_map"], {"pixel_values": pixel_values})[0]
        except Exception as error:  # pybind's, of many kinds
            raise ValueError(f"{self.path} failed: {' '.join(str(error).split())}") from error

    def _session(self, threads: int) -> onnxruntime.InferenceSession:
        """One for each number of threads, as that belongs to a session."""
        with self._lock:
            if threads not in self._sessions:
                options = onnxruntime.SessionOptions()
                options.log_severity_level = 3  # errors; they are raised as well
                options.intra_op_num_threads = threads
                options.enable_cpu_mem_arena = False  # malloc is as fast by itself, and gives back where a server asks
                try:
                    session = onnxruntime.InferenceSession(self.path, options, providers=["CPUExecutionProvider"])
                except Exception as error:  # pybind's, of many kinds
                    raise ValueError(f"{self.path}: cannot be loaded: {' '.join(str(error).split())}") from error
                self._sessions[threads] = session
            return self._sessions[threads]
