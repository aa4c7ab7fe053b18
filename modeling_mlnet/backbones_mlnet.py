"""Backbones of ML-Net: any timm VGG on the release's grid, and any other timm network with `features_only`."""

from collections import OrderedDict
from typing import Any

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import initialization as init
from transformers.modeling_layers import GradientCheckpointingLayer

from .configuration_mlnet import MLNetConfig


def create_timm_model(name: str, **arguments: Any) -> Any:
    """`timm.create_model` with a ValueError that names the backbone."""
    try:
        return timm.create_model(name, **arguments)
    except Exception as error:  # timm raises several types for unknown names and arguments
        raise ValueError(f"backbone {name!r} cannot be built with {arguments}: {error}") from error


class MLNetMaxPool2d(nn.Module):
    """2x2 max pooling on the release's grid (`"same"`: windows start at -1) or torchvision's (`"valid"`: at 0)."""

    def __init__(self, stride: int, pooling: str):
        super().__init__()
        self.stride, self.pooling = stride, pooling

    def forward(self, hidden_state: Tensor) -> Tensor:
        """With stride 1 the size is kept, with stride 2 it is halved and rounded up (`"valid"`: down)."""
        if self.pooling == "valid" and self.stride == 2:
            return F.max_pool2d(hidden_state, 2, 2)
        height, width = (-(-side // self.stride) for side in hidden_state.shape[-2:])
        pooled = F.max_pool2d(hidden_state, 2, self.stride, padding=1)
        start = 0 if self.pooling == "same" else 1
        return pooled[..., start : start + height, start : start + width]


class MLNetStage(GradientCheckpointingLayer):
    """Consecutive backbone layers that end in one level; the unit of activation checkpointing."""

    def __init__(self, layers: OrderedDict[str, nn.Module]):
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, hidden_state: Tensor) -> Tensor:
        """Runs the layers in order."""
        for layer in self.children():
            hidden_state = layer(hidden_state)
        return hidden_state


class MLNetVGGBackbone(nn.Module):
    """The convolutions of a timm VGG, cut behind the levels that are read.

    Pools 1 to 3 have stride 2, pool4 has stride 1 and pool5 is left out, so that the levels 3, 4 and 5 share a grid.
    Parameter names keep timm's layer numbers: `stages.1.17.weight` is timm's `features.17.weight`.
    """

    def __init__(self, config: MLNetConfig):
        super().__init__()
        levels = tuple(config.feature_levels or (3, 4, 5))
        if min(levels) < 1 or max(levels) > 5:
            raise ValueError(f"feature_levels of a VGG must be between 1 and 5, got {levels}")
        with torch.device("meta"):  # timm also builds the 120 million parameters of the classifier
            features = create_timm_model(config.backbone, **config.backbone_kwargs).features
        self.stages = nn.ModuleList()
        self.channels: list[int] = []
        channels, level = 3, 1
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for name, layer in features.named_children():
            if isinstance(layer, nn.MaxPool2d):
                if level < 5:  # level 5 ends before its pool
                    layers[name] = MLNetMaxPool2d(2 if level < 4 else 1, config.pooling)
                if level in levels:
                    self.stages.append(MLNetStage(layers))
                    self.channels.append(channels)
                    layers = OrderedDict()
                level += 1
                continue
            if isinstance(layer, nn.ReLU):
                layer.inplace = False
            channels = getattr(layer, "out_channels", channels)
            layers[name] = layer
        self.to_empty(device=torch.get_default_device())

    def forward(self, pixel_values: Tensor) -> list[Tensor]:
        """The levels `(batch, channels, height/stride, width/stride)`, from fine to coarse."""
        levels, hidden_state = [], pixel_values
        for stage in self.stages:
            hidden_state = stage(hidden_state)
            levels.append(hidden_state)
        return levels

    def timm_name(self, name: str) -> str:
        """The name in timm's own checkpoints of the parameter `name`."""
        return "features." + name.split(".", 2)[2]


class MLNetTimmBackbone(GradientCheckpointingLayer):
    """Any timm network with `features_only`; one unit of activation checkpointing."""

    def __init__(self, config: MLNetConfig):
        super().__init__()
        self.arguments = {"features_only": True, **config.backbone_kwargs}
        self.name, self.drop_modules = config.backbone, tuple(config.drop_modules)
        with torch.device("meta"):
            strides = create_timm_model(self.name, **self.arguments).feature_info.reduction()
        levels = config.feature_levels
        if levels is None:
            levels = [strides.index(stride) for stride in (8, 16, 32) if stride in strides]
            if len(levels) < 3:
                raise ValueError(f"{self.name} has levels at strides {strides}; name those to use in feature_levels")
        if max(levels) >= len(strides):
            raise ValueError(f"feature_levels of {self.name} must be below {len(strides)}, got {tuple(levels)}")
        self.arguments["out_indices"] = tuple(levels)
        features: Any = self._create()
        self.channels: list[int] = features.feature_info.channels()
        self.channels_last = str(getattr(features, "output_fmt", "NCHW")).endswith("NHWC")
        self.features = features

    def _create(self) -> nn.Module:
        features = create_timm_model(self.name, **self.arguments)
        for name in self.drop_modules:
            try:
                features.set_submodule(name, nn.Identity(), strict=True)
            except (AttributeError, ValueError) as error:
                raise ValueError(f"drop_modules names {name!r}, which {self.name} does not have") from error
        return features

    def forward(self, pixel_values: Tensor) -> list[Tensor]:
        """The levels `(batch, channels, height/stride, width/stride)`, from fine to coarse."""
        levels = self.features(pixel_values)
        return [level.permute(0, 3, 1, 2) for level in levels] if self.channels_last else levels

    def timm_name(self, name: str) -> str:
        """The name in timm's own checkpoints of the parameter `name`."""
        return name.removeprefix("features.")

    @torch.no_grad()
    def initialize(self) -> None:
        """Fills what no checkpoint has filled with timm's own initial values, non-persistent buffers included."""
        tensors = dict(self.features.named_parameters()) | dict(self.features.named_buffers())
        with torch.device("cpu"):
            fresh = self._create()
        fresh_tensors = dict(fresh.named_parameters()) | dict(fresh.named_buffers())
        for name, tensor in tensors.items():
            init.copy_(tensor, fresh_tensors[name])
