"""Layers after the backbone: encoding convolutions, the blur of each kind of recording, and the learned prior."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .configuration_mlnet import MLNetConfig


class MLNetEncoder(nn.Module):
    """Dropout, a 3x3 and a 1x1 convolution that turn the concatenated levels into one map (paper, Sec. III)."""

    def __init__(self, in_channels: int, config: MLNetConfig):
        super().__init__()
        self.dropout = nn.Dropout(config.dropout)
        self.conv = nn.Conv2d(in_channels, config.encoder_channels, kernel_size=3, padding=1)
        self.out = nn.Conv2d(config.encoder_channels, max(1, len(config.recordings)), kernel_size=1)
        self.has_kinds = bool(config.recordings)

    def forward(self, features: Tensor) -> Tensor:
        """The map of the concatenated levels, at least 0."""
        hidden_state = F.relu(self.conv(self.dropout(features)))
        # (batch, height/8, width/8), or (batch, kinds, height/8, width/8) with several kinds of recording
        saliency_map = F.relu(self.out(hidden_state))
        return saliency_map if self.has_kinds else saliency_map.squeeze(1)


class MLNetSpread(nn.Module):
    """A Gaussian blur of the map whose width is learned for each kind of recording.

    Mouse tracking of many people gives broader maps than an eye tracker. The standard deviation is in cells of the
    map, at most `RADIUS / 2`, so that the kernel holds nearly all of it.
    """

    RADIUS = 4  # cells; the kernel has 9 x 9

    def __init__(self, kinds: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(kinds))  # logit of sigma / (RADIUS / 2)

    def forward(self, saliency_map: Tensor) -> Tensor:
        """The maps `(batch, kinds, height/8, width/8)`, each blurred as its kind is."""
        sigma = self.weight.float().sigmoid() * (self.RADIUS / 2)
        offset = torch.arange(-self.RADIUS, self.RADIUS + 1, device=sigma.device)
        kernel = torch.softmax(-offset.square() / (2 * sigma[:, None].square() + 1e-6), dim=1)  # (kinds, 9)
        kernel = kernel.to(saliency_map.dtype)[:, None]
        padded = F.pad(saliency_map, (self.RADIUS,) * 4, mode="replicate")
        blurred = F.conv2d(padded, kernel[:, :, None, :], groups=len(sigma))
        return F.conv2d(blurred, kernel[:, :, :, None], groups=len(sigma))


class MLNetPrior(nn.Module):
    """Learned spatial prior: the factor 1 + a coarse grid, bilinearly enlarged (paper, Sec. III, Eq. 1).

    Args:
        shape: Rows and columns of the grid, after the number of kinds of recording if there are several.
    """

    def __init__(self, shape: tuple[int, ...]):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(*shape))

    @staticmethod
    def triangle(cells: int, size: int, device: torch.device) -> Tensor:
        """The interpolation of Eq. 1 along one axis as a matrix `(size, cells)`; every row sums to 1."""
        # -0.45 and not -0.5: at its native enlargement of 10 the release reads (o - 4) / 10, not (o - 4.5) / 10.
        position = (torch.arange(size, device=device, dtype=torch.float32) + 0.5) * cells / size - 0.45
        position = position.clamp(0, cells - 1)
        return (1 - (position[:, None] - torch.arange(cells, device=device)).abs()).clamp_min(0)

    def forward(self, height: int, width: int, recording: int | Tensor = 0) -> Tensor:
        """The factor on a grid, `(height, width)`, or one for each index of a tensor of kinds of recording."""
        rows, columns = self.weight.shape[-2:]
        vertical = self.triangle(rows, height, self.weight.device)
        horizontal = self.triangle(columns, width, self.weight.device)
        weight = self.weight if self.weight.ndim == 2 else self.weight[recording]
        # float32 whatever the model's precision: the positions need it, and the product is tiny
        return (1 + vertical @ weight.float() @ horizontal.T).to(self.weight.dtype)


__all__ = ["MLNetEncoder", "MLNetPrior", "MLNetSpread"]
