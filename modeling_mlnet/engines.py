"""How the network runs: which form of it, and in which precision, on the machine at hand."""

import copy
import math
from collections.abc import Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .configuration_mlnet import MIN_SIZE
from .devices import wants_float32
from .fused import FusedMLNet
from .letterbox_mlnet import STRIDE
from .modeling_mlnet import MLNetModel

if TYPE_CHECKING:
    from .onnx_graph import Graph

ENGINES = ("auto", "eager", "fused", "compiled")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
LEAST_CORRELATION = 0.9995  # of the map in another precision with the one in float32
PIXELS_AT_ONCE = 480 * 640  # on a CPU; larger batches leave its caches and take longer a picture
CHECKED_AT = 4  # the check runs on a canvas with sides so many times smaller: it must not cost what it saves

Network = Callable[[Tensor, bool], Tensor]  # pixel values and whether the prior applies -> saliency maps


def pictures_at_once(height: int, width: int) -> int:
    """How many pictures on canvases of this size a CPU's caches like in one pass."""
    return max(1, PIXELS_AT_ONCE // (height * width))


class GraphNetwork:
    """A checkpoint's ONNX graph, a picture at a time, in float32; other canvases, or no prior, are left to PyTorch.

    Args:
        graph: Of the same checkpoint.
        other: Makes the network that takes what the graph does not.
    """

    def __init__(self, graph: "Graph", other: Callable[[], Network]):
        self.graph, self.other = graph, lru_cache(1)(other)

    def __call__(self, pixel_values: Tensor, apply_prior: bool) -> Tensor:
        """As `Network`."""
        if not (apply_prior and self.graph.takes(pixel_values.shape[-2:])):
            return self.other()(pixel_values, apply_prior)
        threads = torch.get_num_threads()
        maps = [self.graph(one.numpy(), threads) for one in pixel_values.float().split(1)]
        return torch.from_numpy(np.concatenate(maps))


@torch.inference_mode()
def build_network(model: MLNetModel, engine: str, dtype: torch.dtype) -> Network:
    """The model's forward pass in another form and precision; the model stays as it is.

    Args:
        model: In eval mode.
        engine: `"eager"`: the model itself. `"fused"`: `FusedMLNet` with channels last. `"compiled"`: the same through
            `torch.compile`, which takes from seconds to a minute for every new shape. `"auto"`: as `"fused"`, and on
            a CPU only as many pictures at once as its caches like.
        dtype: Of weights and pixel values.
    """
    if engine == "eager":
        eager = model if model.dtype == dtype else copy.deepcopy(model).to(dtype)
        return lambda pixel_values, apply_prior: eager(pixel_values.to(dtype), apply_prior=apply_prior).saliency_map
    fused = FusedMLNet(model).to(dtype).to(memory_format=torch.channels_last)
    network = torch.compile(fused, dynamic=False) if engine == "compiled" else fused

    def run(pixel_values: Tensor, apply_prior: bool) -> Tensor:
        at_once = len(pixel_values)
        if engine == "auto" and pixel_values.device.type == "cpu":
            at_once = pictures_at_once(*pixel_values.shape[-2:])
        pixel_values = pixel_values.to(dtype=dtype, memory_format=torch.channels_last)
        return torch.cat([network(part, apply_prior) for part in pixel_values.split(at_once)])

    return run


def choose_network(
    model: MLNetModel,
    engine: str,
    dtype: str,
    pixel_values: Tensor,
    apply_prior: bool,
    graph: "Graph | None" = None,
) -> tuple[Network, str]:
    """The network that predicts, and what was chosen, in words.

    Engine `"auto"` takes the model as it is where the backbone works on pictures of its own size only, and the fused
    form everywhere else. With dtype `"auto"` bfloat16 is taken where the processor is made for it and the map of the
    first picture, on a smaller canvas, correlates with float32's by .9995 or more; float32 otherwise. In float32
    engine `"auto"` runs the graph, if there is one for such pictures.

    Args:
        model: In eval mode; in float32 for dtype `"auto"`.
        engine: One of `ENGINES`.
        dtype: `"auto"` or one of `DTYPES`.
        pixel_values: Of the first pictures, `(batch, 3, height, width)`.
        apply_prior: Whether the map behind the prior counts.
        graph: The checkpoint's own, for a model on the CPU.

    Raises:
        ValueError: If the engine does not fit the backbone.
    """
    try:
        return _choose(model, engine, dtype, pixel_values, apply_prior, graph)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, AssertionError) as error:  # timm's backbones with a size of their own raise either
        if engine not in ("auto", "eager"):
            reason = " ".join(str(error).split())
            raise ValueError(
                f"engine {engine!r} does not fit {model.config.backbone}: {reason}; take 'eager'"
            ) from error
    dtype = "float32" if dtype == "auto" else dtype
    return build_network(model, "eager", DTYPES[dtype]), f"eager, {dtype}"


@torch.inference_mode()
def _choose(
    model: MLNetModel, engine: str, dtype: str, pixel_values: Tensor, apply_prior: bool, graph: "Graph | None"
) -> tuple[Network, str]:
    form = "fused" if engine == "auto" else engine
    if wants_float32(dtype, model.device):
        other = partial(build_network, model, engine, torch.float32)
        if engine == "auto" and graph is not None and apply_prior and graph.takes(pixel_values.shape[-2:]):
            return GraphNetwork(graph, other), "ONNX Runtime, float32"
        return other(), f"{form}, float32"
    if dtype != "auto":
        return build_network(model, engine, DTYPES[dtype]), f"{form}, {dtype}"
    network = build_network(model, engine, torch.bfloat16)
    size = [max(MIN_SIZE, side // CHECKED_AT // STRIDE * STRIDE) for side in pixel_values.shape[-2:]]
    small = F.interpolate(pixel_values[:1].float(), size=size, mode="bilinear", antialias=True)
    found = correlation(network(small, apply_prior), model(small, apply_prior=apply_prior).saliency_map)
    if found >= LEAST_CORRELATION:
        return network, f"{form}, bfloat16 (correlation with float32 {found:.5f})"
    network = build_network(model, engine, torch.float32)
    return network, f"{form}, float32 (bfloat16's correlation with it is {found:.5f})"


def correlation(first: Tensor, second: Tensor) -> float:
    """Pearson's, of all values; 1 for two constant maps, -1..1 otherwise, NaN if one of them is not finite."""
    both = torch.stack([first.flatten(), second.flatten()]).double()
    both = both - both.mean(1, keepdim=True)
    norms = both.square().sum(1).sqrt()
    if not norms.any():
        return 1.0
    product = float(norms.prod())
    return float(both.prod(0).sum()) / product if product > 0 else math.nan if math.isnan(product) else 0.0
