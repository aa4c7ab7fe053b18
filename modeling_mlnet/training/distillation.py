"""Distillation: labels are mixed with the saliency maps that trained networks predict for the same images."""

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
    """A trained network, and how the student's pixel values are converted to its own.

    Args:
        model: On its device, in eval mode.
        canvas: Height and width in pixels of its canvas; larger inputs are reduced to it.
        scale: Factor of the student's pixel values, `(3, 1, 1)`.
        offset: Added after the factor, `(3, 1, 1)`.
    """

    model: MLNetModel
    canvas: tuple[int, int]
    scale: Tensor
    offset: Tensor

    def predict(self, pixel_values: Tensor, like: Tensor, recording: Tensor | None = None) -> Tensor:
        """Predicts saliency maps for the student's pixel values.

        Args:
            pixel_values: `(batch, 3, height, width)`, normalised for the student.
            like: A tensor whose last two dimensions and dtype the maps get.
            recording: Index of each image's kind of recording, `(batch,)`; a teacher of one kind ignores it.
        """
        if pixel_values.shape[-2] > self.canvas[0] and pixel_values.shape[-1] > self.canvas[1]:
            pixel_values = F.interpolate(pixel_values, size=self.canvas, mode="bilinear", antialias=True)
        own = (pixel_values * self.scale + self.offset).to(self.model.dtype, memory_format=torch.channels_last)
        kinds = recording if self.model.config.recordings else None
        maps = self.model(own, recording=kinds).saliency_map.to(like.dtype)
        return to_grid(maps[:, None], *like.shape[-2:])[:, 0]


class Teachers:
    """Trained networks whose mean saliency map is mixed into the labels.

    They get the same input as the student, after crops and colour changes (Beyer et al., CVPR 2022, arXiv 2106.05237),
    and its mirror image, whose map is mirrored back: the mean of both scores better than one map. They run in bfloat16
    where the hardware multiplies it.

    Args:
        names: Checkpoints, as `model` of `SaliencyPredictor`.
        share: Weight of the teachers' maps in the training target, in [0, 1].
        image_processor: Image processor of the student; those of the teachers may have other channel statistics.
        device: Device of the teachers.
        recordings: Kinds of recording that the student knows.

    Raises:
        ValueError: If a checkpoint cannot be loaded, or knows other kinds of recording than the student.
    """

    def __init__(
        self,
        names: Sequence[str],
        share: float,
        image_processor: MLNetImageProcessor,
        device: torch.device,
        recordings: Sequence[str] = (),
    ):
        self.share = share
        self.teachers: list[Teacher] = []
        is_gpu = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        multiplies_bfloat16 = is_gpu or (device.type == "cpu" and has_bfloat16())
        student_scale, student_offset = _from_pixel_values(image_processor, device)
        for name in names:
            model, own_processor = load_checkpoint(name)
            if model.config.recordings and list(model.config.recordings) != list(recordings):
                raise ValueError(
                    f"teachers: {name} knows the recordings {list(model.config.recordings)}, the student "
                    f"{list(recordings)}; name the same in the student's config"
                )
            scale, offset = _from_pixel_values(own_processor, device)
            height, width = model.config.image_size
            model = model.to(device, torch.bfloat16 if multiplies_bfloat16 else torch.float32).eval()
            model = model.to(memory_format=torch.channels_last)
            self.teachers.append(
                Teacher(model, (height, width), student_scale / scale, (student_offset - offset) / scale)
            )

    def mix(self, pixel_values: Tensor, labels: Tensor, recording: Tensor | None = None) -> Tensor:
        """Mixes the teachers' maps into the labels.

        Every map is divided by its sum first, so that its scale does not matter.

        Args:
            pixel_values: `(batch, 3, height, width)`, normalised for the student.
            labels: Saliency maps `(batch, height/8, width/8)`, >= 0, of any scale.
            recording: Index of each image's kind of recording, `(batch,)`.

        Returns:
            Saliency maps of the shape of `labels` with the maximum 1, or 0 if labels and teachers are 0 everywhere.
        """
        with torch.inference_mode():
            predicted = torch.zeros_like(labels)
            for pixels in (pixel_values, pixel_values.flip(-1)):
                for teacher in self.teachers:
                    predicted += _distribution(teacher.predict(pixels, labels, recording))
                predicted = predicted.flip(-1)
            mixed = (1 - self.share) * _distribution(labels) + self.share * _distribution(predicted)
            mixed /= mixed.amax(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(mixed.dtype).tiny)
        return mixed.clone()  # outside of inference mode, so that the loss can use it


def _from_pixel_values(image_processor: MLNetImageProcessor, device: torch.device) -> tuple[Tensor, Tensor]:
    """Factor and offset, `(3, 1, 1)`, that turn pixel values back into colours in 0..255."""
    std, mean = torch.ones(3, 1, 1), torch.zeros(3, 1, 1)
    if image_processor.do_normalize:
        std, mean = (torch.tensor(getattr(image_processor, f"image_{name}")).view(3, 1, 1) for name in ("std", "mean"))
    factor = image_processor.rescale_factor if image_processor.do_rescale else 1
    return (std / factor).to(device), (mean / factor).to(device)


def _distribution(saliency_map: Tensor) -> Tensor:
    return saliency_map / saliency_map.sum(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(saliency_map.dtype).tiny)
