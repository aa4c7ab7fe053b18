"""The same maps with less work: batch norm inside the convolutions, the encoder where levels are coarse."""

import copy
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .backbones_mlnet import MLNetMaxPool2d, MLNetVGGBackbone
from .joined import ACTIVATIONS, JoinedConv2d, can_join
from .letterbox_mlnet import STRIDE
from .modeling_mlnet import MLNetModel, to_grid
from .striped import StripedBlock

PROBE = 64  # side of a picture on which every level's side is exact


class FusedMLNet(nn.Module):
    """An `MLNetModel` for inference only; its maps are equal up to rounding.

    - Frozen batch norm is folded into the convolution before it; on a CPU so is the activation (`JoinedConv2d`).
    - The 3x3 convolution over levels that were enlarged from coarser grids is linear, like the enlargement: its nine
      1x1 products are taken on the coarse grid, where there are 4 or 16 times fewer cells, and then enlarged, shifted
      and added. Along each axis that is one small matrix, which also knows the zeros outside of the border.
    - A VGG's first block runs over stripes of the picture on a CPU (`StripedBlock`).
    - Layers behind the last level that is read are left out; timm keeps those of some networks.
    - The prior and these matrices are made once per size.

    Args:
        model: Stays as it is.
    """

    def __init__(self, model: MLNetModel):
        super().__init__()
        self.backbone = join_activations(drop_unread_layers(fold_batch_norm(model.backbone)))
        if isinstance(self.backbone, MLNetVGGBackbone):
            stripe_first_block(self.backbone)
        convolution: Any = copy.deepcopy(model.encoder.conv).float()
        with torch.inference_mode():
            levels = self.backbone(_probe(self.backbone))
        weights = convolution.weight.detach().split(model.backbone.channels, dim=1)
        cells = PROBE // STRIDE
        self.is_coarse = [level.shape[-1] < cells for level in levels]
        fine = [weight for weight, coarse in zip(weights, self.is_coarse, strict=True) if not coarse]
        self.bias = nn.Parameter(convolution.bias.detach(), requires_grad=False)
        self.fine = None if not fine else _convolution(torch.cat(fine, dim=1), self.bias)
        # (9 * out, in, 1, 1): for every output channel its nine products, rows first
        self.coarse = nn.ModuleList(
            _convolution(weight.permute(0, 2, 3, 1).reshape(-1, weight.shape[1], 1, 1))
            for weight, coarse in zip(weights, self.is_coarse, strict=True)
            if coarse
        )
        self.out = JoinedConv2d(copy.deepcopy(model.encoder.out).requires_grad_(False), nn.Identity())
        self.prior = copy.deepcopy(model.prior)
        self.for_size: dict[Any, Tensor] = {}
        self.to(model.dtype).eval()

    def forward(self, pixel_values: Tensor, apply_prior: bool = True) -> Tensor:
        """The saliency map `(batch, height/8, width/8)` of pictures `(batch, 3, height, width)`."""
        height, width = (-(-side // STRIDE) for side in pixel_values.shape[-2:])
        levels = self.backbone(pixel_values)
        fine = [to_grid(one, height, width) for one, coarse in zip(levels, self.is_coarse, strict=True) if not coarse]
        coarse = [one for one, coarse in zip(levels, self.is_coarse, strict=True) if coarse]
        hidden_state: Any = self.bias[:, None, None]
        if self.fine is not None:
            hidden_state = self.fine(torch.cat(fine, dim=1))
        for level, products in zip(coarse, self.coarse, strict=True):
            hidden_state = hidden_state + self._enlarged(products(level), height, width)
        saliency_map = F.relu(self.out(F.relu(hidden_state))).squeeze(1)
        return F.relu(saliency_map * self._prior(height, width)) if apply_prior else saliency_map

    def _enlarged(self, products: Tensor, height: int, width: int) -> Tensor:
        """The sum of the nine products `(batch, 9 * out, rows, columns)`, enlarged and shifted to the fine grid."""
        rows, columns = products.shape[-2:]
        vertical = self._shifted_enlargement(rows, height, products)  # (height, 3 * rows)
        horizontal = self._shifted_enlargement(columns, width, products)  # (width, 3 * columns)
        stacked = products.unflatten(1, (-1, 3, 3)).permute(0, 1, 2, 4, 3, 5)  # (batch, out, 3, rows, 3, columns)
        return vertical @ stacked.flatten(4).flatten(2, 3) @ horizontal.T

    def _shifted_enlargement(self, cells: int, size: int, like: Tensor) -> Tensor:
        key = ("enlargement", cells, size, like.dtype, like.device)
        if key not in self.for_size:
            # PyTorch's own linear interpolation of the unit vectors, so that the coefficients are the same
            enlarged = F.interpolate(torch.eye(cells)[None], size=size, mode="linear", align_corners=False)[0].T
            padded = F.pad(enlarged, (0, 0, 1, 1))  # a zero row before and behind: the convolution's own padding
            matrix = torch.cat([padded[shift : shift + size] for shift in range(3)], dim=1)
            self.for_size[key] = matrix.to(like.device, like.dtype)
        return self.for_size[key]

    def _prior(self, height: int, width: int) -> Tensor:
        weight = self.prior.weight
        key = ("prior", height, width, weight.dtype, weight.device)
        if key not in self.for_size:
            self.for_size[key] = self.prior(height, width).detach()
        return self.for_size[key]


def _convolution(weight: Tensor, bias: nn.Parameter | None = None) -> JoinedConv2d:
    """One that keeps the size, with nothing behind it."""
    channels, inputs, side, _ = weight.shape
    layer = nn.Conv2d(inputs, channels, side, padding=side // 2, bias=False, device="meta")
    layer.weight, layer.bias = nn.Parameter(weight, requires_grad=False), bias
    return JoinedConv2d(layer, nn.Identity())


def _probe(module: nn.Module) -> Tensor:
    """A picture of noise, always the same, on which every level's side is exact."""
    parameter = next(module.parameters())
    noise = torch.rand(1, 3, PROBE, PROBE, generator=torch.Generator().manual_seed(0))
    return noise.to(parameter.device, parameter.dtype)


def _is_watched(layer: nn.Module) -> bool:
    """Whether somebody takes its input or output by a hook, as timm does for the levels of some networks."""
    return bool(layer._forward_hooks or layer._forward_pre_hooks)


@torch.inference_mode(False)
@torch.no_grad()
def _behind_convolutions(module: nn.Module, takes: Callable[[nn.Module], bool]) -> dict[str, str]:
    """Names of the layers that are taken and right behind a convolution, each with the convolution's name.

    What is behind what is seen in a run: the layer gets the very tensor, not changed in between (`x += shortcut`).
    """
    given: dict[int, tuple[str, Tensor, int]] = {}  # by identity; the tensor is kept, so that it stays unique
    pairs: dict[str, str] = {}

    def remember(name: str) -> Any:
        return lambda _, inputs, output: given.__setitem__(id(output), (name, output, output._version))

    def match(name: str) -> Any:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            convolution, _tensor, version = given.get(id(inputs[0]), ("", None, -1))
            if inputs[0]._version == version:
                pairs[name] = convolution

        return hook

    handles = []
    for name, layer in module.named_modules():
        if _is_watched(layer):
            continue
        if isinstance(layer, nn.Conv2d):
            handles.append(layer.register_forward_hook(remember(name)))
        elif takes(layer):
            handles.append(layer.register_forward_pre_hook(match(name)))
    try:
        module(_probe(module))
    finally:
        for handle in handles:
            handle.remove()
    return pairs


@torch.inference_mode()
def fold_batch_norm(module: nn.Module) -> nn.Module:
    """A copy in which every batch norm right behind a convolution is part of it, with the same output in eval mode.

    It is in float32: in another precision rounding would hide whether later changes keep the output.
    """
    module = copy.deepcopy(module).float().requires_grad_(False).eval()
    pairs = _behind_convolutions(module, lambda layer: isinstance(layer, nn.BatchNorm2d))
    for norm_name, convolution_name in pairs.items():
        norm: Any = module.get_submodule(norm_name)
        convolution: Any = module.get_submodule(convolution_name)
        weight, bias = _folded(convolution, norm)
        convolution.weight, convolution.bias = nn.Parameter(weight, False), nn.Parameter(bias, False)
        # timm's batch norm brings its activation along
        rest = [one for one in (getattr(norm, "drop", None), getattr(norm, "act", None)) if one is not None]
        module.set_submodule(norm_name, nn.Sequential(*rest) if rest else nn.Identity())
    return module


def _folded(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weight and bias of one convolution for both, computed in float64."""
    running: Any = norm
    variance, mean = running.running_var.double(), running.running_mean.double()
    scale = norm.weight.double() / (variance + norm.eps).sqrt()
    bias = torch.zeros_like(mean) if convolution.bias is None else convolution.bias.double()
    weight = convolution.weight.double() * scale[:, None, None, None]
    dtype = convolution.weight.dtype
    return weight.to(dtype), (norm.bias.double() + (bias - mean) * scale).to(dtype)


@torch.inference_mode()
def join_activations(module: nn.Module) -> nn.Module:
    """Makes every convolution, in place, a `JoinedConv2d` with the activation right behind it, if levels stay equal.

    They do not where others, too, read what the activation gets, or where one activation serves several convolutions.
    Nothing is joined, either, where weights are not finite, as oneDNN would hide it.
    """
    if not all(bool(one.isfinite().all()) for one in module.parameters()):
        return module
    levels = module(_probe(module))
    pairs = _behind_convolutions(module, lambda layer: type(layer) in ACTIVATIONS)
    activation_of = {convolution: activation for activation, convolution in pairs.items()}
    replaced: dict[str, nn.Module] = {}
    for name, layer in list(module.named_modules()):
        if not can_join(layer) or _is_watched(layer):
            continue
        replaced[name] = layer
        activation: nn.Module = nn.Identity()
        if name in activation_of:
            activation = replaced[activation_of[name]] = module.get_submodule(activation_of[name])
            module.set_submodule(activation_of[name], nn.Identity())
        module.set_submodule(name, JoinedConv2d(layer, activation))
    if not _gives(module, levels, 1e-3):
        for name, layer in replaced.items():
            module.set_submodule(name, layer)
    return module


def _gives(module: nn.Module, levels: list[Tensor], tolerance: float) -> bool:
    """Whether these are its levels, up to a part of each one's maximum."""
    try:
        return all(
            torch.allclose(one, other, rtol=0, atol=tolerance * float(other.abs().max()))
            for one, other in zip(module(_probe(module)), levels, strict=True)
        )
    except (RuntimeError, AttributeError, ValueError):  # layers that somebody else reads, or whose shapes fitted
        return False


def stripe_first_block(backbone: MLNetVGGBackbone) -> None:
    """Makes the layers up to the first pool, in place, one `StripedBlock`."""
    layers: Any = backbone.stages[0]._modules
    block: list[nn.Module] = []
    while not (block and isinstance(block[-1], MLNetMaxPool2d)):
        block.append(layers.pop(next(iter(layers))))
    backbone.stages[0] = nn.Sequential(StripedBlock(block), *layers.values())


@torch.inference_mode()
def drop_unread_layers(module: nn.Module) -> nn.Module:
    """Replaces, in place, every layer that runs after the last level was made, if the levels stay the same."""
    probe = _probe(module)
    order: list[str] = []
    outputs: dict[int, tuple[int, Any]] = {}  # by identity: how many layers had started, and the output itself
    handles = []

    def remember(layer: nn.Module, inputs: Any, output: Any) -> None:
        outputs[id(output)] = len(order), output  # the last one: activations in place give back what they got

    for name, layer in module.named_modules():
        handles.append(layer.register_forward_hook(remember))
        if not list(layer.children()):
            handles.append(layer.register_forward_pre_hook(lambda _, __, name=name: order.append(name)))
    levels = module(probe)
    for handle in handles:
        handle.remove()
    made = [outputs.get(id(level), (len(order), None))[0] for level in levels]
    unread = {name: module.get_submodule(name) for name in set(order[max(made) :]) - set(order[: max(made)])}
    for name in unread:
        module.set_submodule(name, nn.Identity())
    same = _gives(module, levels, 0)
    for name, layer in unread.items() if not same else ():
        module.set_submodule(name, layer)
    return module
