"""A block of convolutions, some rows at a time."""

import torch
from torch import Tensor, nn

STRIPE = 120 * 320  # pixels of all pictures together; 60 rows of 640 pixels cost a third less than all 480 at once
LEAST_ROWS = 24  # below, what neighbouring stripes compute twice costs more than is won
MARGIN = 4  # rows beside a stripe; two 3x3 convolutions and a pool read three, and the pool's windows stay aligned


class StripedBlock(nn.Module):
    """A VGG's first block, for inference: up to two 3x3 convolutions and its pool, which halves the rows.

    On a CPU it runs over stripes of a large picture. Whole, its maps have tens of megabytes: they do not stay in the
    caches, and the system hands out fresh memory for them in every pass. The result is the same.

    Args:
        layers: Of the block, in order.
    """

    def __init__(self, layers: list[nn.Module]):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """As the layers one after another."""
        batch, _, height, width = x.shape
        rows = max(LEAST_ROWS, STRIPE // max(1, batch * width)) // 2 * 2
        if rows >= height or x.device.type != "cpu" or torch.compiler.is_compiling():
            return self.layers(x)
        stripes = []
        for top in range(0, height, rows):
            first = max(0, top - MARGIN)
            pooled = self.layers(x[:, :, first : top + rows + MARGIN])
            stripes.append(pooled[:, :, (top - first) // 2 :][:, :, : rows // 2])
        return torch.cat(stripes, dim=2)
