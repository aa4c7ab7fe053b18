"""Pixel attribution: the gradient of the map with respect to the image, averaged over noisy copies."""

import numpy as np
import torch
from torch import Tensor

from ..image_processing_mlnet import label
from ..images_mlnet import ImageSource
from ..inference.predictor import SaliencyPredictor
from ..letterbox_mlnet import divide_by_maximum
from .levels import BATCH_SIZE, evaluation_mode, read_batches


def pixel_attribution(
    predictor: SaliencyPredictor,
    image: ImageSource,
    region: tuple[int, int, int, int] | None = None,
    samples: int = 16,
    noise: float = 0.15,
    seed: int = 0,
    apply_prior: bool = True,
    recording: str | None = None,
) -> np.ndarray:
    """How much each pixel would change the mean of the map, to first order (SmoothGrad; Smilkov et al., 2017).

    The gradient of the mean with respect to the image is averaged over copies with Gaussian noise of standard
    deviation `noise * (max - min)` of the network's input; its absolute value, the largest of the three colours
    (Simonyan et al., 2014), is resized to the image. The same seed gives the same map.

    Args:
        predictor: Its model is used.
        image: An image that the predictor accepts.
        region: Left, top, right and bottom in pixels of the upright image; the mean is then taken inside it.
        samples: Number of noisy copies; 1 with `noise=0` is the plain gradient.
        noise: Standard deviation of the noise as a fraction of the input's range, >= 0.
        seed: Seed of the noise.
        apply_prior: Whether the map includes the prior.
        recording: The kind of recording that is predicted, as in `SaliencyPredictor`.

    Returns:
        Float32 `(height, width)` in 0..1, with the maximum 1, or 0 everywhere if the map does not change.

    Raises:
        ValueError: If the image cannot be read or an argument is out of its range.
    """
    if samples < 1:
        raise ValueError(f"samples must be at least 1, got {samples}")
    if noise < 0:
        raise ValueError(f"noise must be at least 0, got {noise}")
    [(pixel_values, [size])] = read_batches(predictor, [image])
    weights = _region_weights(predictor, size, region, tuple(pixel_values.shape[-2:]))
    generator = torch.Generator().manual_seed(seed)
    scale = noise * float(pixel_values.max() - pixel_values.min())
    total = torch.zeros_like(pixel_values[0], dtype=torch.float32)
    with evaluation_mode(predictor.model):
        for start in range(0, samples, BATCH_SIZE):
            count = min(BATCH_SIZE, samples - start)
            drawn = torch.randn(count, *pixel_values.shape[1:], generator=generator) * scale
            noisy = (pixel_values + drawn.to(pixel_values)).requires_grad_()
            with torch.enable_grad():
                saliency_map = predictor.model(noisy, apply_prior=apply_prior, recording=recording).saliency_map
                phi = (saliency_map * weights).sum()
            [gradient] = torch.autograd.grad(phi, noisy)
            total += gradient.float().sum(0)
    return _to_image(predictor, (total / samples).abs().amax(0), size)


def _region_weights(
    predictor: SaliencyPredictor, size: tuple[int, int], region: tuple[int, int, int, int] | None, canvas: tuple
) -> Tensor:
    """The weight of every cell of the map in the mean: the letterboxed region, with the sum 1."""
    height, width = size
    left, top, right, bottom = region or (0, 0, width, height)
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise ValueError(f"region must lie on the image of {width}x{height} px, got {region}")
    mask = np.zeros((height, width), dtype=np.float32)
    mask[top:bottom, left:right] = 255
    labels = torch.from_numpy(label(predictor.letterbox, mask, size))
    if region is None:  # the paper's phi is the mean of the whole map, with the borders of the letterbox
        labels = torch.ones_like(labels)
    if not labels.sum() > 0:
        raise ValueError(f"region {region} is smaller than what the map resolves on a canvas of {canvas}")
    return (labels / labels.sum()).to(predictor.model.device, predictor.model.dtype)


def _to_image(predictor: SaliencyPredictor, values: Tensor, size: tuple[int, int]) -> np.ndarray:
    """Resizes values on the canvas `(height, width)` to the image."""
    pixels = values.cpu().numpy()
    if predictor.letterbox.do_resize:
        # the inverse of the letterbox accepts a grid of any resolution
        return divide_by_maximum(predictor.letterbox.invert(pixels, size))
    top, left = ((canvas - side) // 2 for canvas, side in zip(pixels.shape, size, strict=True))
    return divide_by_maximum(pixels[top : top + size[0], left : left + size[1]])
