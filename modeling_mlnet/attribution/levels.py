"""Importance of levels and channels for the saliency map (paper, Sec. IV, Eq. 4-6, Fig. 3)."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..backbones_mlnet import MLNetMaxPool2d, MLNetVGGBackbone
from ..images_mlnet import ImageSource, read_image
from ..inference.predictor import SaliencyPredictor
from ..io.json_types import JsonObject
from ..metrics.evaluator import Interval, mean_with_interval
from ..modeling_mlnet import MLNetModel

# The first two are the paper's. Gradients alone do not compare levels of different scale, as a level with small
# features can have large gradients; gradient times feature does.
MEASURES = ("mean", "variance", "mean_contribution", "variance_contribution")
BATCH_SIZE = 8  # images in one pass through the network


@dataclass(frozen=True)
class LevelImportance:
    """Importance of the levels and of every channel, averaged over images.

    Args:
        levels: Names of the levels, in the order of concatenation.
        channels: Number of channels of every level.
        apply_prior: Whether the map includes the learned prior.
        per_image: By measure, `(images, levels)`: the mean over the level's channels.
        channel_mean: By measure, `(channels,)`: the mean over images, channels in the order of concatenation.
        channel_std: By measure, `(channels,)`: the standard deviation over images.
    """

    levels: tuple[str, ...]
    channels: tuple[int, ...]
    apply_prior: bool
    per_image: dict[str, np.ndarray]
    channel_mean: dict[str, np.ndarray]
    channel_std: dict[str, np.ndarray]

    @property
    def images(self) -> int:
        """Number of images."""
        return len(self.per_image[MEASURES[0]])

    def intervals(self, measure: str) -> list[Interval]:
        """For each level the mean over images and its bootstrap 95 % interval: `{"mean", "low", "high", "n"}`."""
        return [mean_with_interval(column) for column in self.per_image[measure].T]

    def shares(self, measure: str) -> list[Interval]:
        """As `intervals`, of the level's share of the sum over all channels, in [0, 1]; maps of 0 are left out."""
        totals = self.per_image[measure] * np.array(self.channels)
        sums = totals.sum(axis=1, keepdims=True)
        parts = np.divide(totals, sums, out=np.full_like(totals, np.nan), where=sums > 0)
        return [mean_with_interval(column) for column in parts.T]

    def split(self, values: np.ndarray) -> list[np.ndarray]:
        """Splits values of all channels, `(channels,)`, into one array for each level."""
        return np.split(values, np.cumsum(self.channels)[:-1])

    def describe(self) -> JsonObject:
        """Everything but the values of single images, for JSON."""
        importance = {measure: self.intervals(measure) for measure in MEASURES}
        share = {measure: self.shares(measure) for measure in MEASURES}
        return {
            "images": self.images,
            "apply_prior": self.apply_prior,
            "levels": [
                {
                    "name": name,
                    "channels": channels,
                    "importance": {measure: importance[measure][index] for measure in MEASURES},
                    "share": {measure: share[measure][index] for measure in MEASURES},
                }
                for index, (name, channels) in enumerate(zip(self.levels, self.channels, strict=True))
            ],
            "per_channel": {
                measure: {"mean": self.channel_mean[measure].tolist(), "std": self.channel_std[measure].tolist()}
                for measure in MEASURES
            },
        }


def level_importance(
    model: MLNetModel | SaliencyPredictor | str | PathLike,
    images: Iterable[ImageSource],
    apply_prior: bool = True,
    recording: str | None = None,
) -> LevelImportance:
    """How much a change of each level, and of each channel, would change the map, to first order.

    With x the concatenated levels of an image and phi the mean of its map or the map's variance over positions, the
    weight is w = d phi / d x at the x of the image (Simonyan et al., 2014; paper, Eq. 4-6). Importance of a channel
    is the mean over positions of |w| (measures `mean` and `variance`), or of |x * w|, the first-order contribution
    (`mean_contribution` and `variance_contribution`), averaged over images; that of a level is the mean over its
    channels. The backbone runs once for every image and is not differentiated; dropout is off.

    Args:
        model: A `SaliencyPredictor`, the name of a checkpoint, or a loaded `MLNetModel`.
        images: An iterable of images, read one batch at a time; for an `MLNetModel` tensors of pixel values
            `(batch, 3, height, width)`, or one such tensor.
        apply_prior: Whether phi is of the map with the prior.
        recording: The kind of recording that is predicted, as in `SaliencyPredictor`.

    Raises:
        ValueError: If there is no image, one cannot be read (it is named), or the model does not know the kind.
    """
    network, batches = _resolve(model, images)
    channels = tuple(network.backbone.channels)
    over_images = {measure: RunningMean() for measure in MEASURES}
    per_image: dict[str, list[np.ndarray]] = {measure: [] for measure in MEASURES}
    with evaluation_mode(network):
        for pixel_values in batches:
            pixel_values = pixel_values.to(network.device, network.dtype)
            batch_importance = _importance(network, pixel_values, apply_prior, recording)
            for measure, values in batch_importance.items():
                of_channels = values.double().cpu().numpy()  # (batch, channels)
                over_images[measure].update(of_channels)
                levels = np.split(of_channels, np.cumsum(channels)[:-1], axis=1)
                per_image[measure].append(np.stack([level.mean(axis=1) for level in levels], axis=1))
    if not per_image[MEASURES[0]]:
        raise ValueError("there is no image to explain")
    return LevelImportance(
        level_names(network),
        channels,
        apply_prior,
        {measure: np.concatenate(rows) for measure, rows in per_image.items()},
        {measure: running.mean for measure, running in over_images.items()},
        {measure: running.std for measure, running in over_images.items()},
    )


def _resolve(
    model: MLNetModel | SaliencyPredictor | str | PathLike, images: Iterable[Any]
) -> tuple[MLNetModel, Iterable[Tensor]]:
    """The network and batches of pixel values."""
    if isinstance(model, MLNetModel):
        return model, images.split(BATCH_SIZE) if isinstance(images, Tensor) else images
    predictor = model if isinstance(model, SaliencyPredictor) else SaliencyPredictor(model)
    return predictor.model, (tensor for tensor, _ in read_batches(predictor, images))


def _importance(
    model: MLNetModel, pixel_values: Tensor, apply_prior: bool, recording: str | None
) -> dict[str, Tensor]:
    """By measure, the importance for every image and channel, `(batch, channels)`."""
    with torch.no_grad():
        features = torch.cat(model.extract_levels(pixel_values), dim=1)
    features.requires_grad_()
    with torch.enable_grad():
        saliency_map, _ = model.map_from_levels(features, apply_prior, recording)
        # Behind the backbone no image of a batch touches another, so the gradient of the sum over images is, in
        # every image's own features, that image's own: two passes backward for the whole batch.
        phis = {"mean": saliency_map.mean((1, 2)).sum(), "variance": saliency_map.var((1, 2), correction=0).sum()}
    gradients = {
        name: torch.autograd.grad(phi, features, retain_graph=name == "mean")[0] for name, phi in phis.items()
    }
    values = features.detach()
    return {
        **{name: gradient.abs().mean((2, 3)) for name, gradient in gradients.items()},
        **{f"{name}_contribution": (gradient * values).abs().mean((2, 3)) for name, gradient in gradients.items()},
    }


class RunningMean:
    """Mean and standard deviation over what arrives in parts (Chan et al., 1983), in float64."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = np.zeros(())
        self._squares = np.zeros(())

    def update(self, values: np.ndarray) -> None:
        """Adds values `(n, ...)`."""
        total = self.count + len(values)
        mean = values.mean(axis=0)
        difference = mean - self.mean
        self._squares = self._squares + ((values - mean) ** 2).sum(axis=0)
        self._squares = self._squares + difference**2 * (self.count * len(values) / total)
        self.mean = self.mean + difference * (len(values) / total)
        self.count = total

    @property
    def std(self) -> np.ndarray:
        """Over all values so far, 0 for a single one."""
        return np.sqrt(self._squares / max(self.count - 1, 1))


def read_batches(
    predictor: SaliencyPredictor, images: Iterable[ImageSource]
) -> Iterator[tuple[Tensor, list[tuple[int, int]]]]:
    """Pixel values `(batch, 3, height, width)`, and the sizes `(height, width)` of the images.

    Raises:
        ValueError: If an image cannot be read.
    """
    batch: list[np.ndarray] = []
    sizes: list[tuple[int, int]] = []

    def stacked() -> tuple[Tensor, list[tuple[int, int]]]:
        pixel_values = torch.from_numpy(np.stack(batch))
        return pixel_values.to(predictor.model.device, predictor.model.dtype), sizes

    for source in images:
        image = read_image(source)
        pixel_values = predictor.letterbox.pixel_values(image)
        if batch and (len(batch) == BATCH_SIZE or pixel_values.shape != batch[0].shape):  # one pass, one canvas
            yield stacked()
            batch, sizes = [], []
        batch.append(pixel_values)
        sizes.append((image.shape[0], image.shape[1]))
    if batch:
        yield stacked()


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Puts a model into evaluation mode, and back into its former modes afterwards."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def level_names(model: MLNetModel) -> tuple[str, ...]:
    """Names of the levels, in the order of concatenation: `pool3` in a VGG, `stride 8` elsewhere."""
    backbone: Any = model.backbone
    if isinstance(backbone, MLNetVGGBackbone):
        last = 0  # number of convolutions after the last pooling; the paper's level conv5_3 is the third
        for layer in backbone.modules():
            last = 0 if isinstance(layer, MLNetMaxPool2d) else last + isinstance(layer, nn.Conv2d)
        levels = model.config.feature_levels or (3, 4, 5)
        return tuple(f"pool{level}" if level < 5 else f"conv5_{last}" for level in sorted(levels))
    info = backbone.features.feature_info
    names = [f"stride {stride}" for stride in info.reduction()]
    if len(set(names)) == len(names):
        return tuple(names)
    return tuple(f"{name} ({module})" for name, module in zip(names, info.module_name(), strict=True))
