"""Training with teachers: labels are mixed with what trained networks predict for the same pictures."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .devices import has_fast_bfloat16
from .engines import Network, build_network
from .image_processing_mlnet import MLNetImageProcessor
from .prediction import load_checkpoint


class Teachers:
    """Trained networks whose mean map takes a share of the labels.

    They see what the student sees, after crops and changes of colour (Beyer et al., Knowledge distillation: a good
    teacher is patient and consistent, CVPR 2022), reduced to their own canvas if it is smaller, and its mirror image,
    whose map is turned back: the mean of both scores better than one. They run fused, in bfloat16 where a CPU is made
    for it.

    Args:
        names: Checkpoints, as `model` of `SaliencyPredictor`.
        share: Of the labels that is theirs, 0..1.
        image_processor: The student's.
        device: Where they run.

    Raises:
        ValueError: If a checkpoint cannot be loaded or expects pictures prepared in another way.
    """

    def __init__(self, names: Sequence[str], share: float, image_processor: MLNetImageProcessor, device: torch.device):
        self.share = share
        dtype = torch.bfloat16 if has_fast_bfloat16(device) else torch.float32
        self.networks: list[tuple[Network, tuple[int, int]]] = []  # with the largest canvas it is given
        for name in names:
            model, own = load_checkpoint(name)
            for key in ("image_mean", "image_std"):
                theirs, ours = list(getattr(own, key)), list(getattr(image_processor, key))
                if theirs != ours:
                    raise ValueError(f"teachers: {name} expects {key} {theirs}, the trained model {ours}")
            height, width = model.config.image_size
            self.networks.append((build_network(model.to(device).eval(), "fused", dtype), (height, width)))

    def mix(self, pixel_values: Tensor, labels: Tensor) -> Tensor:
        """The labels with the teachers' share in them.

        All maps are taken as distributions, so that bright and dark ones count alike.

        Args:
            pixel_values: Pictures `(batch, 3, height, width)`.
            labels: Saliency maps `(batch, height/8, width/8)` of any scale, at least 0.

        Returns:
            Saliency maps like `labels` whose maximum is 1, or 0 if there is nothing in them.
        """
        with torch.inference_mode():
            taught = torch.zeros_like(labels)
            for pixels in (pixel_values, pixel_values.flip(-1)):
                for network, canvas in self.networks:
                    taught += _distribution(_predict(network, pixels, canvas, labels))
                taught = taught.flip(-1)
            mixed = (1 - self.share) * _distribution(labels) + self.share * _distribution(taught)
            mixed /= mixed.amax(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(mixed.dtype).tiny)
        return mixed.clone()  # an ordinary tensor again, for the loss


def _predict(network: Network, pixel_values: Tensor, canvas: tuple[int, int], like: Tensor) -> Tensor:
    """A teacher's maps on the grid of `like`."""
    if pixel_values.shape[-2] > canvas[0] and pixel_values.shape[-1] > canvas[1]:
        pixel_values = F.interpolate(pixel_values, size=canvas, mode="bilinear", antialias=True)
    maps = network(pixel_values, True).to(like.dtype)
    if maps.shape != like.shape:
        maps = F.interpolate(maps[:, None], size=like.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
    return maps


def _distribution(saliency_map: Tensor) -> Tensor:
    return saliency_map / saliency_map.sum(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(saliency_map.dtype).tiny)


__all__ = ["Teachers"]
