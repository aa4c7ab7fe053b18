"""ML-Net as an ONNX model, for any batch and any canvas, checked against PyTorch before it is there.

It stands in a folder of its own with its weights, or beside a checkpoint, of whose model.safetensors it reads them.
"""

import json
import logging
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir
import onnxruntime
import torch
import torch.nn.functional as F
from onnxscript.optimizer import optimize
from timm.layers import Conv2dSame
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from transformers.exporters.exporter_onnx import OnnxConfig, OnnxExporter

from .hub.checkpoint import checkpoint_folder, load_checkpoint
from .hub.registry import GRAPH, PROCESSOR, WEIGHTS, resolve_model
from .letterbox_mlnet import STRIDE
from .modeling_mlnet import MLNetModel
from .onnx_graph import MADE_FOR, WORK, checkpoint_sum
from .onnx_prediction import Letterbox

TOLERANCE = 1e-4  # of the map's maximum
STORED = {"F32": onnx_ir.DataType.FLOAT, "F16": onnx_ir.DataType.FLOAT16, "BF16": onnx_ir.DataType.BFLOAT16}
SHAPES = ((1, 32, 32), (1, 240, 320), (3, 88, 136))  # batch, height and width of the check


def export_onnx(model: str, output_dir: Path) -> tuple[Path, float]:
    """Writes `model.onnx` with its weights in `model.onnx.data`, the configuration and the image processor's.

    The graph takes `pixel_values` `(batch, 3, height, width)` as the image processor makes them, sides being multiples
    of 8, and gives `saliency_map` `(batch, height/8, width/8)` and `prior` `(height/8, width/8)`.

    Args:
        model: As in `SaliencyPredictor`.
        output_dir: A new folder.

    Returns:
        The file, and the largest difference from PyTorch, as a part of the map's maximum, in float32 on three shapes.

    Raises:
        ValueError: If the folder is there already, or the maps differ by more than 1e-4; nothing is left then.
    """
    if output_dir.exists():
        raise ValueError(f"{output_dir}: is there already; name a new folder")
    network = load_checkpoint(model)[0].eval()
    output_dir.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{output_dir.name}.", dir=output_dir.parent))
    try:
        with _quiet():
            _trace(network, OnnxConfig(dynamic=True, dynamic_shapes=_dynamic_shapes())).save_pretrained(temporary)
        difference = _checked_difference(model, network, temporary / GRAPH, SHAPES)
        shutil.copyfile(checkpoint_folder(model) / PROCESSOR, temporary / PROCESSOR)
        temporary.chmod(0o755)
        temporary.replace(output_dir)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return output_dir / GRAPH, difference


def export_in_place(model: str) -> tuple[Path, float]:
    """Writes `model.onnx` beside a checkpoint; it reads the checkpoint's own weights, so it takes little room.

    `mlnet predict` uses it for few pictures, and it predicts wherever float32 on a CPU is wanted. It takes one picture
    at a time on the image processor's canvas, and holds for these weights and this configuration only.

    Args:
        model: A checkpoint's folder, or a name of the manifest whose folder is on this machine.

    Returns:
        The file, and the largest difference as in `export_onnx`.

    Raises:
        ValueError: If there is no such folder, its image processor needs PyTorch, or the maps differ by more than
            1e-4; nothing is changed then.
    """
    folder = Path(resolve_model(model).location)
    if not folder.is_dir():
        raise ValueError(f"{model}: is no checkpoint folder on this machine")
    if (folder / WEIGHTS).is_symlink():
        raise ValueError(f"{folder / WEIGHTS}: is a link, and a graph reads only its own folder: copy the file")
    made_for = checkpoint_sum(folder)
    network = load_checkpoint(str(folder))[0].eval()
    shape = (1, *Letterbox.read(folder / PROCESSOR).canvas)
    with _quiet():
        program = _trace(network, OnnxConfig(optimize=False), shape).program
        _simplify(program)
    _read_weights_from(program.graph, folder / WEIGHTS)
    _forget_origins(program)
    program.metadata_props.update({MADE_FOR: made_for, WORK: f"{_gflop(network, shape):.3f}"})
    temporary = folder / f".{GRAPH}.{secrets.token_hex(4)}.tmp"
    try:
        onnx_ir.save(program, temporary)
        difference = _checked_difference(model, network, temporary, [shape])
        if checkpoint_sum(folder) != made_for:
            raise ValueError(f"{folder}: the checkpoint was changed meanwhile; export it again")
        temporary.replace(folder / GRAPH)
    finally:
        temporary.unlink(missing_ok=True)
    return folder / GRAPH, difference


def _trace(network: MLNetModel, config: OnnxConfig, shape: tuple[int, int, int] = (2, 240, 336)) -> Any:
    with _plain_padding(network):
        batch, height, width = shape
        return OnnxExporter().export(network, {"pixel_values": torch.zeros(batch, 3, height, width)}, config)


@torch.inference_mode()
def _gflop(network: MLNetModel, shape: tuple[int, int, int]) -> float:
    """Floating point operations of a pass, in thousand millions."""
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(shape[0], 3, *shape[1:]))
    return counter.get_total_flops() / 1e9


def _simplify(program: onnx_ir.Model) -> None:
    """Folds what does not depend on weights; as inputs of the graph they are no constants meanwhile."""
    weights = list(program.graph.initializers.values())
    program.graph.inputs.extend(weights)
    optimize(program)
    del program.graph.inputs[-len(weights) :]


def _forget_origins(program: onnx_ir.Model) -> None:
    """Leaves out which lines of Python and which nodes of PyTorch things came from: a third of the file."""
    graph = program.graph
    values = [*graph.inputs, *graph.outputs, *graph.initializers.values()]
    for one in (program, graph, *graph, *values, *(value for node in graph for value in node.outputs)):
        one.metadata_props.clear()


def _read_weights_from(graph: onnx_ir.Graph, path: Path) -> None:
    """Replaces weights by references to the same tensors in a safetensors file, brought to float32."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    for name, weight in list(graph.initializers.items()):
        if name not in header or weight.const_value is None:
            continue
        start, end = header[name]["data_offsets"]
        dtype, shape = STORED.get(header[name]["dtype"]), onnx_ir.Shape(header[name]["shape"])
        if dtype is None:
            continue
        stored = onnx_ir.ExternalTensor(
            path.name, 8 + length + start, end - start, dtype, shape=shape, name=f"{name}.stored", base_dir=path.parent
        )
        if not np.array_equal(stored.numpy().astype(np.float32), weight.const_value.numpy()):
            continue
        del graph.initializers[name]
        reference = onnx_ir.Value(name=stored.name, shape=shape, type=onnx_ir.TensorType(dtype), const_value=stored)
        graph.register_initializer(reference)
        cast = onnx_ir.node("Cast", [reference], {"to": onnx_ir.DataType.FLOAT})
        weight.replace_all_uses_with(cast.outputs[0])
        cast.outputs[0].name = name
        graph.insert_before(graph[0], cast)


def _checked_difference(model: str, network: MLNetModel, path: Path, shapes: Iterable[tuple[int, int, int]]) -> float:
    difference = largest_difference(network, path, shapes)
    if not difference <= TOLERANCE:
        raise ValueError(f"{model}: the ONNX maps are {difference:.1e} of their maximum off")
    return difference


def _dynamic_shapes() -> dict[str, dict[int, object]]:
    batch, rows, columns = (torch.export.Dim(name, min=1, max=4096) for name in ("batch", "rows", "columns"))
    return {"pixel_values": {0: batch, 2: STRIDE * rows, 3: STRIDE * columns}}


@torch.inference_mode()
def largest_difference(model: MLNetModel, path: Path, shapes: Iterable[tuple[int, int, int]]) -> float:
    """Between PyTorch and ONNX Runtime on noise, as a part of the map's maximum.

    Args:
        model: In float32 on the CPU.
        path: Of the graph.
        shapes: Batch, height and width of the noise.
    """
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found = []
    for batch, height, width in shapes:
        pixel_values = torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(0))
        expected = model(pixel_values).saliency_map.numpy()
        [saliency_map] = session.run(["saliency_map"], {"pixel_values": pixel_values.numpy()})
        scale = max(float(expected.max()), 1e-12)
        found.append(float(np.abs(saliency_map - expected).max()) / scale)
    return max(found)


@contextmanager
def _plain_padding(model: nn.Module) -> Iterator[None]:
    """timm's "same" convolutions with padding that tracing can follow.

    Their own formula takes maxima of sizes, which symbolic shapes pile up layer by layer until tracing does not end.
    For odd kernels and stride 2 it is (kernel - 3) / 2, and one more for odd sizes, before, (kernel - 1) / 2 behind.
    """
    changed = [one for one in model.modules() if isinstance(one, Conv2dSame) and _is_simple(one)]
    for convolution in changed:
        convolution.forward = _simple_same(convolution)
    try:
        yield
    finally:
        for convolution in changed:
            del convolution.forward


def _is_simple(convolution: Conv2dSame) -> bool:
    odd = all(side % 2 and side >= 3 for side in convolution.kernel_size)
    return odd and convolution.stride == (2, 2) and convolution.dilation == (1, 1)


def _simple_same(convolution: Conv2dSame) -> Callable[[Tensor], Tensor]:
    def forward(x: Tensor) -> Tensor:
        before = [(k - 3) // 2 + side % 2 for k, side in zip(convolution.kernel_size, x.shape[-2:], strict=True)]
        behind = [(k - 1) // 2 for k in convolution.kernel_size]
        padded = F.pad(x, (before[1], behind[1], before[0], behind[0]))
        return F.conv2d(padded, convolution.weight, convolution.bias, (2, 2), groups=convolution.groups)

    return forward


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporters' steps and their remarks on versions they were not tested with: the result is checked."""
    loggers = [logging.getLogger(name) for name in ("transformers.exporters", "torch.onnx", "onnx_ir")]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.ERROR)
    try:
        with redirect_stdout(StringIO()):
            yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)
