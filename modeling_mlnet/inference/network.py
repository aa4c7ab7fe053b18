"""The network on this machine: OpenVINO on a processor, the model itself in PyTorch everywhere else."""

import copy
import os
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

# OpenVINO reports its use to an analytics host and writes a file into the home folder, unless this module is missing.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino  # noqa: E402 - after the line above

# Its bindings look NumPy up at their first array and deadlock if two threads do so at once: done here, by one thread.
np.copy(openvino.Tensor(np.zeros(1, dtype=np.float32)).data)

if TYPE_CHECKING:
    from ..modeling_mlnet import MLNetModel

MADE_FOR = "checkpoint_sha256"  # metadata of a graph beside weights, which it reads: `fingerprint` of the folder
DTYPES = ("float32", "bfloat16", "float16")
PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}  # those that OpenVINO runs here, in its words
QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container
ACCELERATORS = ("/dev/nvidia0", "/dev/nvidiactl", "/dev/dxg", "/dev/kfd", "/dev/accel")  # of NVIDIA, WSL, AMD, Intel


class Network(Protocol):
    """What predicts the map of one image.

    Attributes:
        description: What runs, in words.
    """

    description: str

    def __call__(
        self, pixel_values: np.ndarray, apply_prior: bool = True, recording: str | None = None, many: bool = False
    ) -> np.ndarray:
        """The map on the grid, float32 `(height/8, width/8)`.

        Args:
            pixel_values: Float32 `(3, height, width)`.
            apply_prior: `False` gives the map before the learned prior.
            recording: The kind of recording whose ground truth is predicted; `None` takes the network's first.
            many: Whether many images come, several at a time; it changes the speed only.
        """


@cache
def _core() -> openvino.Core:
    return openvino.Core()


def has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 in hardware."""
    return "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def usable_cores() -> int:
    """Cores that this process may use: those it is bound to, or fewer by a container's quota or OMP_NUM_THREADS."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = os.environ.get("OMP_NUM_THREADS", "")  # as torchrun sets it
    if threads.isdecimal():
        cores = max(1, min(cores, int(threads)))
    try:
        quota, period = QUOTA.read_text(encoding="ascii").split()
        return max(1, min(cores, int(quota) // int(period)))
    except (OSError, ValueError):  # no such file, or "max" in it
        return cores


def default_device(index: int = 0) -> str:
    """The GPU that PyTorch can use, `cpu` if there is none; PyTorch is not imported where there cannot be one.

    Args:
        index: Of one of several processes on a machine, which share its GPUs.
    """
    if "torch" not in sys.modules and sys.platform != "win32" and not any(map(os.path.exists, ACCELERATORS)):
        return "cpu"
    import torch

    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if accelerator is None or accelerator.type == "mps":  # nobody has measured Apple's
        return "cpu"
    return f"{accelerator.type}:{index % torch.accelerator.device_count()}" if index else accelerator.type


def read_graph(source: Path | bytes) -> Any:
    """OpenVINO's model of a graph of `inference.graph`, not yet compiled.

    Raises:
        ValueError: If it cannot be read or is none.
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

    One image gets all cores. Many at a time are faster with one or a few cores each; that form is used only if it
    gives the same bytes, as the sums of a convolution may be split otherwise there.

    Args:
        source: The graph, or its content.
        dtype: `"float32"` or `"bfloat16"`.
        canvas: Height and width in pixels of its input; a graph of any size is made one of this size.
        recordings: Kinds of recording that the network knows, in their order.
    """

    def __init__(self, source: Path | bytes, dtype: str, canvas: tuple[int, int], recordings: Sequence[str] = ()):
        self._graph, self._canvas = read_graph(source), canvas
        if self._graph.is_dynamic():
            self._graph.reshape([1, 3, *canvas])
        self._dtype, self._recordings = dtype, list(recordings)
        self.description = f"OpenVINO, {dtype}"
        self._latency = self._compile("LATENCY")
        self._throughput: Any = None
        self._lock = Lock()

    def __call__(
        self, pixel_values: np.ndarray, apply_prior: bool = True, recording: str | None = None, many: bool = False
    ) -> np.ndarray:
        """As `Network`."""
        index = recording_index(self._recordings, recording)
        compiled = self._for_many() if many else self._latency
        return self._run(compiled, pixel_values, "saliency_map" if apply_prior else "before_prior")[index]

    def _compile(self, hint: str) -> Any:
        options: dict[str, Any] = {"PERFORMANCE_HINT": hint, "INFERENCE_PRECISION_HINT": PRECISIONS[self._dtype]}
        if usable_cores() < (os.cpu_count() or 1):
            options["INFERENCE_NUM_THREADS"] = usable_cores()
        return _core().compile_model(self._graph, "CPU", options)

    def _for_many(self) -> Any:
        with self._lock:
            if self._throughput is None:
                throughput = self._compile("THROUGHPUT")
                noise = np.random.default_rng(0).standard_normal((3, *self._canvas), dtype=np.float32)
                first, second = (self._run(one, noise, "saliency_map") for one in (self._latency, throughput))
                self._throughput = throughput if np.array_equal(first, second) else self._latency
            return self._throughput

    @staticmethod
    def _run(compiled: Any, pixel_values: np.ndarray, name: str) -> np.ndarray:
        results = compiled.create_infer_request().infer({"pixel_values": pixel_values[None]})
        values = results[name]
        return values.reshape(-1, *values.shape[-2:])  # (kinds, height/8, width/8)


class TorchNetwork:
    """The model itself; safe to call from several threads, which take turns.

    Args:
        model: In eval mode, on its device.
        dtype: That it runs in; a copy is made if it is not the model's.
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
        """As `Network`."""
        import torch

        with self._lock, torch.inference_mode():
            batch = torch.from_numpy(pixel_values)[None].to(self._model.device, self._dtype)
            outputs = self._forward(batch, apply_prior=apply_prior, recording=recording)
            return outputs.saliency_map[0].float().cpu().numpy()


def recording_index(recordings: Sequence[str], recording: str | None) -> int:
    """Where a kind of recording stands among those that a network knows; `None` means the first.

    Raises:
        ValueError: If it does not stand there.
    """
    if recording is None:
        return 0
    if recording not in recordings:
        known = f"one of {list(recordings)}" if recordings else "None: the model knows one kind only"
        raise ValueError(f"recording must be {known}, got {recording!r}")
    return list(recordings).index(recording)
