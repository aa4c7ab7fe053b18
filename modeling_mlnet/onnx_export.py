"""ML-Net as an ONNX model, for any batch and any canvas, checked against PyTorch before it is there."""

import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import torch.nn.functional as F
from timm.layers import Conv2dSame
from torch import Tensor, nn
from transformers.exporters.exporter_onnx import OnnxConfig, OnnxExporter

from .configuration_mlnet import STRIDE
from .manifest import PROCESSOR, locate
from .modeling_mlnet import MLNetModel
from .prediction import load_checkpoint

TOLERANCE = 1e-4  # of the map's maximum
SHAPES = ((1, 32, 32), (1, 240, 320), (3, 88, 136))  # batch, height and width of the check


def export_onnx(model: str, output_dir: Path) -> float:
    """Writes `model.onnx` with its weights in `model.onnx.data`, the configuration and the image processor's.

    The graph takes `pixel_values` `(batch, 3, height, width)` as the image processor makes them, sides being multiples
    of 8, and gives `saliency_map` `(batch, height/8, width/8)` and `prior` `(height/8, width/8)`.

    Args:
        model: As in `SaliencyPredictor`.
        output_dir: A new folder.

    Returns:
        The largest difference from PyTorch, as a part of the map's maximum, in float32 on three shapes.

    Raises:
        ValueError: If the folder is there already, or the maps differ by more than 1e-4; nothing is left then.
    """
    if output_dir.exists():
        raise ValueError(f"{output_dir}: is there already; name a new folder")
    network = load_checkpoint(model)[0].eval()
    output_dir.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{output_dir.name}.", dir=output_dir.parent))
    try:
        with _quiet(), _plain_padding(network):
            exporter = OnnxExporter()
            config = OnnxConfig(dynamic=True, dynamic_shapes=_dynamic_shapes())
            exporter.export(network, {"pixel_values": torch.zeros(2, 3, 240, 336)}, config).save_pretrained(temporary)
        difference = largest_difference(network, temporary / "model.onnx")
        if not difference <= TOLERANCE:
            raise ValueError(f"{model}: the ONNX maps are {difference:.1e} of their maximum off")
        shutil.copyfile(locate(model) / PROCESSOR, temporary / PROCESSOR)
        temporary.chmod(0o755)
        temporary.replace(output_dir)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return difference


def _dynamic_shapes() -> dict[str, dict[int, object]]:
    batch, rows, columns = (torch.export.Dim(name, min=1, max=4096) for name in ("batch", "rows", "columns"))
    return {"pixel_values": {0: batch, 2: STRIDE * rows, 3: STRIDE * columns}}


@torch.inference_mode()
def largest_difference(model: MLNetModel, path: Path) -> float:
    """Between PyTorch and ONNX Runtime on noise of several shapes, as a part of the map's maximum.

    Args:
        model: In float32 on the CPU.
        path: Of the graph.
    """
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found = []
    for batch, height, width in SHAPES:
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
    loggers = [logging.getLogger(name) for name in ("transformers.exporters", "torch.onnx")]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.ERROR)
    try:
        with redirect_stdout(StringIO()):
            yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)
