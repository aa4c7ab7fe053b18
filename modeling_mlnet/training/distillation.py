"""Training with teachers: labels are mixed with what trained networks predict for the same pictures."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..hub.checkpoint import load_checkpoint
from ..image_processing_mlnet import MLNetImageProcessor
from ..inference.network import has_bfloat16
from ..modeling_mlnet import MLNetModel, to_grid


class Teacher(NamedTuple):
    """A trained network.

    Args:
        model: On its device, in eval mode.
        canvas: Height and width in pixels of the largest picture it is given.
        scale: What the student's pixel values are multiplied by, `(3, 1, 1)`.
        offset: What is added to them then.
    """

    model: MLNetModel
    canvas: tuple[int, int]
    scale: Tensor
    offset: Tensor

    def predict(self, pixel_values: Tensor, like: Tensor) -> Tensor:
        """Its maps of the student's pictures, on the grid of `like`."""
        if pixel_values.shape[-2] > self.canvas[0] and pixel_values.shape[-1] > self.canvas[1]:
            pixel_values = F.interpolate(pixel_values, size=self.canvas, mode="bilinear", antialias=True)
        own = (pixel_values * self.scale + self.offset).to(self.model.dtype, memory_format=torch.channels_last)
        maps = self.model(own).saliency_map.to(like.dtype)
        return to_grid(maps[:, None], *like.shape[-2:])[:, 0]


class Teachers:
    """Trained networks whose mean map takes a share of the labels.

    They see what the student sees, after crops and changes of colour (Beyer et al., Knowledge distillation: A good
    teacher is patient and consistent, CVPR 2022), reduced to their own canvas if it is smaller, and its mirror image,
    whose map is turned back: the mean of both scores better than one. They run in
    bfloat16 where the processor multiplies it in hardware.

    Args:
        names: Checkpoints, as `model` of `SaliencyPredictor`.
        share: Of the labels that is theirs, 0..1.
        image_processor: The student's; the teachers' may have other statistics.
        device: Where they run.

    Raises:
        ValueError: If a checkpoint cannot be loaded.
    """

    def __init__(self, names: Sequence[str], share: float, image_processor: MLNetImageProcessor, device: torch.device):
        self.share = share
        self.teachers: list[Teacher] = []
        is_gpu = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        is_fast = is_gpu or (device.type == "cpu" and has_bfloat16())
        student_scale, student_offset = _from_pixel_values(image_processor, device)
        for name in names:
            model, own = load_checkpoint(name)
            scale, offset = _from_pixel_values(own, device)
            height, width = model.config.image_size
            model = model.to(device, torch.bfloat16 if is_fast else torch.float32).eval()
            model = model.to(memory_format=torch.channels_last)
            self.teachers.append(
                Teacher(model, (height, width), student_scale / scale, (student_offset - offset) / scale)
            )

    def mix(self, pixel_values: Tensor, labels: Tensor) -> Tensor:
        """The labels with the teachers' share in them.

        All maps are taken as distributions, so that bright and dark ones count alike.

        Args:
            pixel_values: Pictures `(batch, 3, height, width)`, as the student gets them.
            labels: Saliency maps `(batch, height/8, width/8)` of any scale, at least 0.

        Returns:
            Saliency maps like `labels` whose maximum is 1, or 0 if there is nothing in them.
        """
        with torch.inference_mode():
            taught = torch.zeros_like(labels)
            for pixels in (pixel_values, pixel_values.flip(-1)):
                for teacher in self.teachers:
                    taught += _distribution(teacher.predict(pixels, labels))
                taught = taught.flip(-1)
            mixed = (1 - self.share) * _distribution(labels) + self.share * _distribution(taught)
            mixed /= mixed.amax(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(mixed.dtype).tiny)
        return mixed.clone()  # an ordinary tensor again, for the loss


def _from_pixel_values(image_processor: MLNetImageProcessor, device: torch.device) -> tuple[Tensor, Tensor]:
    """Factor and summand, `(3, 1, 1)`, that make colours in 0..255 of pixel values."""
    std, mean = torch.ones(3, 1, 1), torch.zeros(3, 1, 1)
    if image_processor.do_normalize:
        std, mean = (torch.tensor(getattr(image_processor, f"image_{one}")).view(3, 1, 1) for one in ("std", "mean"))
    factor = image_processor.rescale_factor if image_processor.do_rescale else 1
    return (std / factor).to(device), (mean / factor).to(device)


def _distribution(saliency_map: Tensor) -> Tensor:
    return saliency_map / saliency_map.sum(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(saliency_map.dtype).tiny)


__all__ = ["Teachers"]
