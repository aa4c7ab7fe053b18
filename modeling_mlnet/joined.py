"""A convolution and the activation behind it as one oneDNN kernel, with weights laid out for it once."""

import copy
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import Conv2dSame
from torch import Tensor, nn

ACTIVATIONS: dict[type[nn.Module], tuple[str, list[float]]] = {  # oneDNN's name and its scalars
    nn.ReLU: ("relu", []),
    nn.ReLU6: ("hardtanh", [0.0, 6.0]),
    nn.SiLU: ("swish", []),
    nn.Hardswish: ("hardswish", []),
}
SHAPES_KEPT = 4  # the best layout depends on the input's shape, and every one takes as much room as the weights


class JoinedConv2d(nn.Module):
    """For inference on a CPU with oneDNN; everywhere else, and in a compiler's eyes, the two layers themselves.

    TensorFlow's uneven padding (timm's `Conv2dSame`) becomes an even one: the kernel gets rows and columns of zeros
    in front, so that no larger copy of the input has to be made. oneDNN's ReLU makes 0 of NaN.

    Args:
        convolution: For which `can_join` holds; its weights must not change any more.
        activation: One of `ACTIVATIONS`, or none (`nn.Identity`).
    """

    def __init__(self, convolution: nn.Conv2d, activation: nn.Module):
        super().__init__()
        own: Any = copy.copy(activation)
        if hasattr(own, "inplace"):  # nobody else reads what it gets
            own.inplace = True
        self.convolution, self.activation = convolution, own
        name, scalars = ACTIVATIONS.get(type(activation), ("none", []))
        self.attributes = name, scalars, ""
        self.laid_out: dict[Any, Tensor] = {}  # the weights by precision and shape of the input, in oneDNN's layout

    def forward(self, x: Tensor) -> Tensor:
        """As `activation(convolution(x))`, up to rounding."""
        layer = self.convolution
        is_plain = x.device.type != "cpu" or torch.compiler.is_compiling() or not torch.backends.mkldnn.enabled
        has_gradient = torch.is_grad_enabled() and (x.requires_grad or layer.weight.requires_grad)
        if is_plain or has_gradient or not _has_kernel(x.dtype):
            return self.activation(layer(x))
        padding, in_front = _even_padding(layer, x.shape[-2:])
        how = padding, list(layer.stride), list(layer.dilation), layer.groups
        key = x.dtype, x.shape
        weight = self.laid_out.get(key)  # other threads may empty it at any time
        if weight is None:
            if len(self.laid_out) >= SHAPES_KEPT:
                self.laid_out.clear()
            weight = self.laid_out[key] = _lay_out(layer.weight.detach(), in_front, *how, x.shape)
        return torch.ops.mkldnn._convolution_pointwise(x, weight, layer.bias, *how, *self.attributes)

    def _apply(self, *args: Any, **kwargs: Any) -> nn.Module:
        self.laid_out.clear()
        return super()._apply(*args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:  # oneDNN's tensors cannot be copied
        return self.__dict__ | {"laid_out": {}}


def can_join(convolution: nn.Module) -> bool:
    """Whether it is a plain convolution, or timm's with TensorFlow's padding."""
    if type(convolution) is nn.Conv2d:
        return convolution.padding_mode == "zeros" and not isinstance(convolution.padding, str)
    return type(convolution) is Conv2dSame and convolution.dilation == (1, 1)


@lru_cache
@torch.no_grad()
def _has_kernel(dtype: torch.dtype) -> bool:
    """Whether PyTorch's operator, which is private, is there and gives what the layers give."""
    if dtype not in (torch.float32, torch.bfloat16) or not torch.backends.mkldnn.is_available():
        return False
    x = torch.linspace(-1, 1, 128, dtype=dtype).reshape(1, 2, 8, 8)
    weight, bias = torch.linspace(-1, 1, 36, dtype=dtype).reshape(2, 2, 3, 3), torch.zeros(2, dtype=dtype)
    how: Any = [1, 1], [1, 1], [1, 1], 1
    try:
        laid_out = _lay_out(weight, [0, 0], *how, x.shape)
        found = torch.ops.mkldnn._convolution_pointwise(x, laid_out, bias, *how, "relu", [], "")
    except (RuntimeError, AttributeError, TypeError):
        return False
    return torch.allclose(found, F.relu(F.conv2d(x, weight, bias, padding=1)), rtol=0.02, atol=0.02)


def _lay_out(weight: Tensor, in_front: list[int], *how: Any) -> Tensor:
    widened = F.pad(weight, (in_front[1], 0, in_front[0], 0))
    return torch.ops.mkldnn._reorder_convolution_weight(widened, *how)


def _even_padding(layer: nn.Conv2d, sides: torch.Size) -> tuple[list[int], list[int]]:
    """Padding on both ends of either axis, and how many zeros go in front of the kernel for that."""
    if type(layer) is nn.Conv2d:
        return [int(side) for side in layer.padding], [0, 0]
    padding, in_front = [], []
    for side, kernel, stride in zip(sides, layer.kernel_size, layer.stride, strict=True):
        total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        padding.append(total - total // 2)
        in_front.append(total % 2)
    return padding, in_front
