"""Backends that run the network: OpenVINO on a CPU, PyTorch everywhere else."""

import copy
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ..architecture_mlnet import recording_index
from .devices import has_amx, usable_cores

# OpenVINO reports its use to an analytics host and writes a file into the home folder, unless this module is missing.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino  # noqa: E402 - after the line above

# Its bindings look NumPy up at their first array and deadlock if two threads do so at once: done here, by one thread.
np.copy(openvino.Tensor(np.zeros(1, dtype=np.float32)).data)

if TYPE_CHECKING:
    from ..modeling_mlnet import MLNetModel

MADE_FOR = "checkpoint_sha256"  # metadata key of a graph that reads the weights beside it: `fingerprint` of the folder
DTYPES = ("float32", "bfloat16", "float16")
PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}  # OpenVINO's names
Compiled: TypeAlias = Callable[[np.ndarray], Mapping[str, np.ndarray]]  # pixel values to maps by their names


@cache
def _core() -> openvino.Core:
    return openvino.Core()


def has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 in hardware."""
    return "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def is_bfloat16_fast() -> bool:
    """Whether bfloat16 is faster than float32 on this processor: with AMX, or on AMD's that multiply it in hardware.

    On Intel's without AMX (some virtual machines hide it) it takes 1.2 to 1.6 times as long: docs/speed.md.
    """
    return has_bfloat16() and (has_amx() or "AMD" in _core().get_property("CPU", "FULL_DEVICE_NAME"))


def read_graph(source: Path | bytes) -> openvino.Model:
    """Reads a graph of `inference.graph` into OpenVINO, without compiling it.

    Raises:
        ValueError: If it cannot be read or lacks the inputs and outputs of a graph.
    """
    name = source if isinstance(source, Path) else "the network's graph"
    try:
        graph = _core().read_model(source)
        graph.input("pixel_values"), graph.output("before_prior")
        return graph
    except Exception as error:  # pybind's, of many kinds
        raise ValueError(f"{name}: cannot be loaded: {' '.join(str(error).split())[:200]}") from error


class OpenVINONetwork:
    """A checkpoint's graph on the processor; safe to call from several threads.

    A single image uses all cores. Several images at a time are faster with few cores each; this mode is used only if
    it gives the same bytes, as it may sum up a convolution in another order.

    Args:
        source: The graph, as a file or its content.
        dtype: `"float32"` or `"bfloat16"`.
        canvas: Height and width in pixels of the input; a graph with a dynamic size is fixed to it.
        recordings: Kinds of recording of the network, in their order.
    """

    def __init__(self, source: Path | bytes, dtype: str, canvas: tuple[int, int], recordings: Sequence[str] = ()):
        self._graph, self._canvas, self._recordings = read_graph(source), canvas, recordings
        if self._graph.is_dynamic():
            self._graph.reshape([1, 3, *canvas])
        # Threads bound to cores wait for other processes there: 2.6 s an image instead of .4 s beside a training.
        self._options = {"INFERENCE_PRECISION_HINT": PRECISIONS[dtype], "ENABLE_CPU_PINNING": "NO"}
        if usable_cores() < (os.cpu_count() or 1):
            self._options["INFERENCE_NUM_THREADS"] = str(usable_cores())
        self._latency = self._compile("LATENCY")
        self._throughput: Compiled | None = None
        self._lock = Lock()
        self.description = f"OpenVINO, {dtype}"

    def __call__(
        self, pixel_values: np.ndarray, apply_prior: bool = True, recording: str | None = None, many: bool = False
    ) -> np.ndarray:
        """The map on the grid, float32 `(height/8, width/8)`.

        Args:
            pixel_values: Float32 `(3, height, width)`.
            apply_prior: `False` gives the map before the learned prior.
            recording: The kind of recording whose ground truth is predicted; `None` takes the network's first.
            many: Whether several images are predicted at a time; it changes the speed only.
        """
        index = recording_index(self._recordings, recording)
        compiled = self._for_many() if many else self._latency
        maps = compiled(pixel_values)["saliency_map" if apply_prior else "before_prior"]
        return maps.reshape(-1, *maps.shape[-2:])[index]  # of (kinds, height/8, width/8)

    def _compile(self, hint: str) -> Compiled:
        compiled = _core().compile_model(self._graph, "CPU", {"PERFORMANCE_HINT": hint, **self._options})
        return lambda pixel_values: compiled.create_infer_request().infer({"pixel_values": pixel_values[None]})

    def _for_many(self) -> Compiled:
        with self._lock:
            if self._throughput is None:
                throughput = self._compile("THROUGHPUT")
                noise = np.random.default_rng(0).standard_normal((3, *self._canvas), dtype=np.float32)
                alone, among_many = (form(noise)["saliency_map"] for form in (self._latency, throughput))
                self._throughput = throughput if np.array_equal(alone, among_many) else self._latency
            return self._throughput


class TorchNetwork:
    """The PyTorch model; safe to call from several threads, one at a time.

    Args:
        model: In eval mode, on its device.
        dtype: Precision; the model is copied if it has another one.
        compiled: Whether it runs through `torch.compile`, which takes up to a minute for every new shape.
    """

    def __init__(self, model: "MLNetModel", dtype: str, compiled: bool = False):
        import torch

        self._dtype = getattr(torch, dtype)
        self._model = model if model.dtype == self._dtype else copy.deepcopy(model).to(self._dtype)
        self._forward = torch.compile(self._model, dynamic=False) if compiled else self._model
        self.description = f"PyTorch, {model.device.type}, {dtype}{', compiled' if compiled else ''}"
        self._lock = Lock()

    def __call__(
        self, pixel_values: np.ndarray, apply_prior: bool = True, recording: str | None = None, many: bool = False
    ) -> np.ndarray:
        """As `OpenVINONetwork.__call__`."""
        import torch

        with self._lock, torch.inference_mode():
            batch = torch.from_numpy(pixel_values)[None].to(self._model.device, self._dtype)
            outputs = self._forward(batch, apply_prior=apply_prior, recording=recording)
            return outputs.saliency_map[0].float().cpu().numpy()
