"""Ablation: the drop in each score when a level is replaced by its mean."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..architecture_mlnet import recording_index
from ..images_mlnet import ImageSource
from ..inference.predictor import SaliencyPredictor
from ..io.json_types import JsonObject
from ..io.progress import Progress, no_progress
from ..metrics import Protocol, get_protocol
from .levels import RunningMean, evaluation_mode, level_names, read_batches

if TYPE_CHECKING:
    from datasets import Dataset


def level_ablation(
    predictor: SaliencyPredictor,
    dataset: "Dataset",
    protocol: str | Protocol = "tuebingen",
    keep_only: bool = False,
    workers: int = 0,
    progress: Progress = no_progress,
    apply_prior: bool = True,
    recording: str | None = None,
) -> JsonObject:
    """Scores the maps with each level replaced by its mean over the data set, per channel, on the same images.

    Takes two passes through the backbone, one for the means and one for all maps, and one evaluation for each variant.

    Args:
        predictor: Its model is used.
        dataset: Rows of `modeling_mlnet.data`.
        protocol: As in `evaluate`.
        keep_only: Whether to replace all levels but one, too.
        workers: As in `evaluate`.
        progress: As in `evaluate`.
        apply_prior: Whether the maps include the prior.
        recording: The kind of recording that is predicted, as in `SaliencyPredictor`.

    Returns:
        `{"protocol", "images", "full", "variants"}`: `full` is `{metric: {"mean", "low", "high", "n"}}` of the
        unchanged network, `variants` is `{"without LEVEL": {metric: ...}}` with the paired differences, variant minus
        full, as `results.compare` gives them.

    Raises:
        ValueError: As `evaluate`, and if the model does not know the kind of recording.
    """
    # These need the extra `eval`, which the rest of this room does not.
    from ..evaluation.evaluate import evaluate
    from ..evaluation.results import compare

    recording_index(predictor.recordings, recording)  # a wrong name is refused before the first pass
    protocol = get_protocol(protocol)
    names = level_names(predictor.model)
    indices = range(len(names))
    variants = {"full": [], **{f"without {name}": [index] for index, name in enumerate(names)}}
    if keep_only and len(names) > 2:  # with two levels, "only A" is "without B"
        variants |= {f"only {name}": [k for k in indices if k != index] for index, name in enumerate(names)}

    def images(description: str) -> Iterable[ImageSource]:
        return progress((row["image"] for row in dataset.select_columns("image")), description)

    with evaluation_mode(predictor.model):
        means = _channel_means(predictor, images("averaging the levels"))
        maps, sizes = _maps(predictor, images("predicting"), means, variants, apply_prior, recording)

    def of_variant(name: str) -> Callable[[Any], Iterator[np.ndarray]]:
        finish = predictor.letterbox.saliency_map
        return lambda rows: (finish(cells.numpy(), size) for cells, size in zip(maps[name], sizes, strict=True))

    scores = {name: evaluate(dataset, of_variant(name), protocol, workers, progress) for name in variants}
    return {
        "protocol": protocol.name,
        "images": scores["full"]["images"],
        "full": scores["full"]["metrics"],
        "variants": {name: compare(scores["full"], scores[name]) for name in variants if name != "full"},
    }


@torch.inference_mode()
def _channel_means(predictor: SaliencyPredictor, images: Iterable[ImageSource]) -> list[Tensor]:
    """For each level, the mean of every channel over positions and images, `(1, channels, 1, 1)`."""
    running: list[RunningMean] = [RunningMean() for _ in predictor.model.backbone.channels]
    for pixel_values, _ in read_batches(predictor, images):
        for mean, level in zip(running, predictor.model.extract_levels(pixel_values), strict=True):
            mean.update(level.double().mean((2, 3)).cpu().numpy())
    return [
        torch.from_numpy(level.mean).to(predictor.model.device, predictor.model.dtype)[None, :, None, None]
        for level in running
    ]


@torch.inference_mode()
def _maps(
    predictor: SaliencyPredictor,
    images: Iterable[ImageSource],
    means: list[Tensor],
    variants: dict[str, list[int]],
    apply_prior: bool,
    recording: str | None,
) -> tuple[dict[str, list[Tensor]], list[tuple[int, int]]]:
    """The maps of every variant on the grid, which are small enough to keep, and the sizes of the images."""
    maps: dict[str, list[Tensor]] = {name: [] for name in variants}
    sizes: list[tuple[int, int]] = []
    for pixel_values, batch_sizes in read_batches(predictor, images):
        levels = predictor.model.extract_levels(pixel_values)
        sizes += batch_sizes
        for name, replaced in variants.items():
            parts = [means[k].expand_as(level) if k in replaced else level for k, level in enumerate(levels)]
            saliency_map, _ = predictor.model.map_from_levels(torch.cat(parts, dim=1), apply_prior, recording)
            maps[name] += saliency_map.float().cpu().unbind()
    return maps, sizes
