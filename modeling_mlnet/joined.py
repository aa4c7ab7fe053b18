"""A convolution and the activation behind it as one oneDNN kernel, with weights laid out for it once."""

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
    in front, so that no larger copy of the input has to be made.

    Args:
        convolution: For which `can_join` holds; its weights must not change any more.
        activation: One of `ACTIVATIONS`, or none (`nn.Identity`).
    """

    def __init__(self, convolution: nn.Conv2d, activation: nn.Module):
        super().__init__()
        self.convolution, self.activation = convolution, activation
        name, scalars = ACTIVATIONS.get(type(activation), ("none", []))
        self.attributes = name, scalars, ""
        self.laid_out: dict[Any, Tensor] = {}  # the weights by precision and shape of the input, in oneDNN's layout

    def forward(self, x: Tensor) -> Tensor:
        """As `activation(convolution(x))`, up to rounding."""
        if not _has_kernel(x):
            return self.activation(self.convolution(x))
        layer = self.convolution
        padding, in_front = _even_padding(layer, x.shape[-2:])
        how = padding, list(layer.stride), list(layer.dilation), layer.groups
        key = x.dtype, x.shape
        if key not in self.laid_out:
            if len(self.laid_out) == SHAPES_KEPT:
                self.laid_out.clear()
            weight = F.pad(layer.weight.detach(), (in_front[1], 0, in_front[0], 0))
            self.laid_out[key] = torch.ops.mkldnn._reorder_convolution_weight(weight, *how, x.shape)
        return torch.ops.mkldnn._convolution_pointwise(x, self.laid_out[key], layer.bias, *how, *self.attributes)

    def _apply(self, *args: Any, **kwargs: Any) -> nn.Module:
        self.laid_out.clear()
        return super()._apply(*args, **kwargs)


def can_join(convolution: nn.Module) -> bool:
    """Whether it is a plain convolution, or timm's with TensorFlow's padding."""
    if type(convolution) is nn.Conv2d:
        return convolution.padding_mode == "zeros" and not isinstance(convolution.padding, str)
    return type(convolution) is Conv2dSame and convolution.dilation == (1, 1)


def _has_kernel(x: Tensor) -> bool:
    if x.device.type != "cpu" or torch.compiler.is_compiling() or x.requires_grad or not torch.backends.mkldnn.enabled:
        return False
    if not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_convolution_pointwise")):
        return False
    return x.dtype == torch.float32 or (x.dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _even_padding(layer: nn.Conv2d, sides: torch.Size) -> tuple[list[int], list[int]]:
    """Padding on both ends of either axis, and how many zeros go in front of the kernel for that."""
    if type(layer) is nn.Conv2d:
        return [int(side) for side in layer.padding], [0, 0]
    padding, in_front = [], []
    for side, kernel, stride in zip(sides, layer.kernel_size, layer.stride, strict=True):
        total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        behind = total - total // 2
        padding.append(behind)
        in_front.append(total % 2)
    return padding, in_front
