"""Export of ML-Net as an ONNX graph, checked against PyTorch before it is saved."""

import json
import logging
import os
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir
import torch
import torch.nn.functional as F
from onnxscript.optimizer import optimize
from timm.layers import Conv2dSame
from torch import Tensor, nn

from ..architecture_mlnet import STRIDE
from ..hub.checkpoint import checkpoint_folder, load_checkpoint
from ..hub.registry import CALIBRATION, CONFIG, GRAPH, PROCESSOR, WEIGHTS, fingerprint, is_embedded, resolve_model
from ..io.atomic import whole_file, whole_folder
from ..letterbox_mlnet import Letterbox
from ..modeling_mlnet import MLNetModel
from .network import MADE_FOR, OpenVINONetwork

TOLERANCE = 1e-4  # of the map's maximum
OUTPUTS = ("saliency_map", "before_prior")
STORED = {"F32": onnx_ir.DataType.FLOAT, "F16": onnx_ir.DataType.FLOAT16, "BF16": onnx_ir.DataType.BFLOAT16}
SHAPES = ((1, 32, 32), (1, 240, 320), (3, 88, 136))  # batch, height and width of the check
Maps = Callable[[np.ndarray], np.ndarray]  # from pixel values to maps


class EveryMap(nn.Module):
    """The network's maps of all its kinds of recording, behind and before the learned prior.

    Each is `(batch, height/8, width/8)`, or `(batch, kinds, height/8, width/8)` if its kinds have names.
    """

    def __init__(self, model: MLNetModel):
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        """Both maps of a batch `(batch, 3, height, width)`."""
        features = torch.cat(self.model.extract_levels(pixel_values), dim=1)
        before_prior = self.model.spread(self.model.encoder(features))
        kinds = torch.arange(len(self.model.config.recordings))
        prior = self.model.prior(*features.shape[-2:], kinds)
        return F.relu(before_prior * prior), before_prior


def graph_bytes(model: MLNetModel, canvas: tuple[int, int]) -> bytes:
    """The content of a graph that brings its own weights in float32, for images on one canvas.

    Raises:
        ValueError: If its maps differ from PyTorch's by more than 1e-4 of their maximum.
    """
    program = _trace_static(model, canvas)
    content = onnx_ir.to_proto(program).SerializeToString()
    _check("the network", model, OpenVINONetwork(content, "float32", canvas), [(1, *canvas)])
    return content


def export_onnx(model: str, output_dir: Path) -> tuple[Path, float]:
    """Writes `model.onnx` with its weights in `model.onnx.data`, and both configurations.

    The graph takes `pixel_values` `(batch, 3, height, width)` as the image processor makes them, sides being multiples
    of 8, and gives the outputs of `EveryMap`. It is checked in ONNX Runtime.

    Args:
        model: As in `SaliencyPredictor`.
        output_dir: A new folder.

    Returns:
        The file, and the largest difference from PyTorch, as a part of the map's maximum, in float32 on three shapes.

    Raises:
        ValueError: If the folder already exists, or the maps differ by more than 1e-4; nothing is left then.
    """
    if output_dir.exists():
        raise ValueError(f"{output_dir}: already exists; name a new folder")
    network = load_checkpoint(model)[0].eval()
    with whole_folder(output_dir) as temporary:
        with _quiet():
            program = _trace(network, (2, 240, 336), is_dynamic=True)
            _forget_origin(program.model)
            program.save(temporary / GRAPH, external_data=True)
        difference = _check(model, network, _onnx_runtime(temporary / GRAPH), SHAPES)
        folder = checkpoint_folder(model)
        for name in (CONFIG, PROCESSOR):
            shutil.copyfile(folder / name, temporary / name)
        if (folder / CALIBRATION).is_file():
            shutil.copyfile(folder / CALIBRATION, temporary / CALIBRATION)
    return output_dir / GRAPH, difference


def export_in_place(model: str) -> tuple[Path, float]:
    """Writes `model.onnx` beside a checkpoint; it reads the checkpoint's own weights, so it takes little room.

    It takes one image at a time on the image processor's canvas, and holds for these weights and this configuration
    only.

    Args:
        model: A checkpoint's folder.

    Returns:
        The file, and the largest difference from PyTorch in OpenVINO, as a part of the map's maximum, in float32.

    Raises:
        ValueError: If there is no such folder, a checkpoint inside the package is given by its name, its images keep
            their size, or the maps differ by more than 1e-4; nothing is changed then.
    """
    if is_embedded(model):
        raise ValueError(
            f"{model}: is inside the package, which is left as it is; write the graph elsewhere by -o DIR"
        )
    folder = Path(resolve_model(model).location)
    if not folder.is_dir():
        raise ValueError(f"{model}: is no checkpoint folder on this machine")
    if (folder / WEIGHTS).is_symlink():
        raise ValueError(f"{folder / WEIGHTS}: is a link, and a graph reads only its own folder: copy the file")
    letterbox = Letterbox.read(folder / PROCESSOR)
    if not letterbox.do_resize:
        raise ValueError(f"{folder / PROCESSOR}: images keep their size (do_resize), and a graph has one canvas")
    made_for = fingerprint(folder)
    network = load_checkpoint(str(folder))[0].eval()
    program = _trace_static(network, letterbox.size)
    _read_weights_from(program.graph, folder / WEIGHTS)
    program.metadata_props[MADE_FOR] = made_for
    with whole_file(folder / GRAPH) as temporary:
        onnx_ir.save(program, temporary)
        graph = OpenVINONetwork(temporary, "float32", letterbox.size)
        difference = _check(model, network, graph, [(1, *letterbox.size)])
        if fingerprint(folder) != made_for:
            raise ValueError(f"{folder}: the checkpoint was changed meanwhile; export it again")
    return folder / GRAPH, difference


def _trace(model: MLNetModel, shape: tuple[int, int, int], is_dynamic: bool = False) -> Any:
    batch, rows, columns = (torch.export.Dim(name, min=1, max=4096) for name in ("batch", "rows", "columns"))
    pixel_values = torch.zeros(shape[0], 3, *shape[1:])
    with _plain_padding(model), torch.no_grad():
        return torch.onnx.export(
            EveryMap(model),
            (pixel_values,),
            dynamo=True,
            verbose=False,
            optimize=is_dynamic,
            input_names=["pixel_values"],
            output_names=list(OUTPUTS),
            dynamic_shapes=({0: batch, 2: STRIDE * rows, 3: STRIDE * columns},) if is_dynamic else None,
        )


def _trace_static(model: MLNetModel, canvas: tuple[int, int]) -> onnx_ir.Model:
    """The graph of one canvas, for one image; what does not depend on weights is folded."""
    with _quiet():
        program = _trace(model, (1, *canvas)).model
        weights = list(program.graph.initializers.values())
        program.graph.inputs.extend(weights)  # as inputs they are no constants meanwhile
        optimize(program)
        del program.graph.inputs[-len(weights) :]
    _forget_origin(program)
    return program


def _forget_origin(program: onnx_ir.Model) -> None:
    """Removes what each part came from: paths of this machine's Python files, nodes of PyTorch, numbers of the run."""
    graph = program.graph
    values = [*graph.inputs, *graph.outputs, *graph.initializers.values()]
    for part in (program, graph, *graph, *values, *(value for node in graph for value in node.outputs)):
        part.metadata_props.clear()


def _read_weights_from(graph: onnx_ir.Graph, path: Path) -> None:
    """Replaces weights by references to the same tensors in a safetensors file, brought to float32."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    for name, weight in list(graph.initializers.items()):
        key = name.removeprefix("model.")  # of EveryMap
        if key not in header or weight.const_value is None:
            continue
        start, end = header[key]["data_offsets"]
        dtype, shape = STORED.get(header[key]["dtype"]), onnx_ir.Shape(header[key]["shape"])
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


def _onnx_runtime(path: Path) -> Maps:
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before it is imported, or it reports its use
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda pixel_values: session.run(["saliency_map"], {"pixel_values": pixel_values})[0]


@torch.inference_mode()
def _check(name: str, model: MLNetModel, maps: Maps, shapes: Iterable[tuple[int, int, int]]) -> float:
    """Compares maps of noise with PyTorch's; the largest difference, as a part of the map's maximum.

    Args:
        name: Name of the model in messages.
        model: In float32 on the CPU.
        maps: Maps of the graph; a network of one image at a time is given the one of its batch.
        shapes: Batch, height and width of the noise.

    Raises:
        ValueError: If it is above 1e-4.
    """
    differences = []
    for batch, height, width in shapes:
        pixel_values = torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(0))
        expected = EveryMap(model)(pixel_values)[0].numpy()
        if isinstance(maps, OpenVINONetwork):
            expected = expected.reshape(-1, *expected.shape[-2:])[0]
            saliency_map = maps(pixel_values[0].numpy())
        else:
            saliency_map = maps(pixel_values.numpy())
        differences.append(float(np.abs(saliency_map - expected).max()) / max(float(expected.max()), 1e-12))
    if not max(differences) <= TOLERANCE:
        raise ValueError(f"{name}: the ONNX maps are {max(differences):.1e} of their maximum off")
    return max(differences)


@contextmanager
def _plain_padding(model: nn.Module) -> Iterator[None]:
    """timm's "same" convolutions with padding that tracing can follow.

    Their own formula takes maxima of sizes, which symbolic shapes pile up layer by layer until tracing does not end.
    For odd kernels and stride 2 it is (kernel - 3) / 2, and one more for odd sizes, before, (kernel - 1) / 2 behind.
    """
    changed = [layer for layer in model.modules() if isinstance(layer, Conv2dSame) and _is_simple(layer)]
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
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnx_ir", "onnxscript")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with redirect_stdout(StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
