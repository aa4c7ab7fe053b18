"""A checkpoint's graph with weights small enough to be sent to web browsers."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnx_ir

from ..images_mlnet import read_image
from ..letterbox_mlnet import Letterbox
from .network import OpenVINONetwork

CORRELATION = 0.9995  # with the maps in float32 that weights of less precision have to keep
DTYPES = ("int8", "float16", "float32")  # of the weights, the smallest first; all are multiplied in float32
LEAST = 8192  # values of a weight that becomes int8; all the smaller ones are a tenth of the file


class SmallGraph(NamedTuple):
    """A graph and what its weights cost.

    Args:
        content: Content of the file.
        dtype: Type of its weights.
        correlation: The lowest with the maps in float32.
    """

    content: bytes
    dtype: str
    correlation: float


def shrink(graph: Path | bytes, letterbox: Letterbox, recordings: list[str], images: list[Path]) -> SmallGraph:
    """The graph with weights in int8 (a scale for every output channel), else float16, else float32.

    The first is taken whose maps correlate with those of float32 by at least .9995 on every image.

    Args:
        graph: A graph of `inference.graph`.
        letterbox: Letterbox of the checkpoint.
        recordings: Kinds of recording that the network knows; the maps of all are compared.
        images: Whose maps are compared.
    """
    kinds: list[str | None] = [*recordings] or [None]
    inputs = [letterbox.pixel_values(read_image(path)) for path in images]

    def maps(source: Path | bytes) -> list[np.ndarray]:
        network = OpenVINONetwork(source, "float32", letterbox.size, recordings)
        cells = [network(values, recording=kind) for values in inputs for kind in kinds]
        return [letterbox.saliency_map(grid, None).ravel() for grid in cells]

    expected = maps(graph)
    for dtype in DTYPES:
        content = _with_weights(graph, dtype)
        with np.errstate(invalid="ignore"):  # an even map correlates with nothing
            pairs = zip(maps(content), expected, strict=True)
            correlation = min(float(np.corrcoef(*pair)[0, 1]) for pair in pairs)
        if correlation >= CORRELATION:
            break
    return SmallGraph(content, dtype, correlation)


def _with_weights(graph: Path | bytes, dtype: str) -> bytes:
    """The graph with its own weights in a type, from which it makes float32 when it is loaded."""
    if isinstance(graph, Path):
        program = onnx_ir.external_data.load_to_model(onnx_ir.load(graph))
    else:
        program = onnx_ir.from_proto(onnx.ModelProto.FromString(graph))
    program.metadata_props.clear()
    for name, weight in list(program.graph.initializers.items()):
        values = weight.const_value.numpy() if weight.const_value is not None else np.zeros(0)
        if not np.issubdtype(values.dtype, np.floating):
            continue
        value, casts = weight, [node for node, _ in weight.uses() if node.op_type == "Cast"]
        if casts:  # readers of float16 weights convert them to float32 themselves
            value = casts[0].outputs[0]
        del program.graph.initializers[name]
        _put_weight(program.graph, name, value, values.astype(np.float32), dtype)
        program.graph.remove(casts, safe=True)
    return onnx_ir.to_proto(program).SerializeToString()


def _put_weight(graph: onnx_ir.Graph, name: str, value: onnx_ir.Value, weight: np.ndarray, dtype: str) -> None:
    """Stores a weight as `dtype` and inserts a cast to float32 before the nodes that read it."""
    scale = None
    if dtype == "int8" and weight.ndim == 4 and weight.size >= LEAST:  # (out, in, height, width)
        scale = np.abs(weight).max(axis=(1, 2, 3), keepdims=True) / np.float32(127)
        scale[scale == 0] = 1
        stored = np.rint(weight / scale).astype(np.int8)
    else:
        stored = weight.astype(np.float32 if dtype == "float32" else np.float16)
    result, nodes = _constant(graph, f"{name}.stored", stored), []
    if stored.dtype != np.float32:
        nodes.append(onnx_ir.node("Cast", [result], {"to": onnx_ir.DataType.FLOAT}))
        result = nodes[-1].outputs[0]
    if scale is not None:
        nodes.append(onnx_ir.node("Mul", [result, _constant(graph, f"{name}.scale", scale)]))
        result = nodes[-1].outputs[0]
    for number, node in enumerate(nodes):
        node.outputs[0].name = f"{name}.{number}"
    graph.insert_before(graph[0], nodes)
    value.replace_all_uses_with(result)


def _constant(graph: onnx_ir.Graph, name: str, values: np.ndarray) -> onnx_ir.Value:
    tensor = onnx_ir.tensor(values, name=name)
    constant = onnx_ir.Value(
        name=name, shape=onnx_ir.Shape(values.shape), type=onnx_ir.TensorType(tensor.dtype), const_value=tensor
    )
    graph.register_initializer(constant)
    return constant
