"""The results of `mlnet explain`: importance of levels, the prior, and maps of images with and without it."""

from collections.abc import Callable, Iterable, Iterator
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..evaluation.results import write_json
from ..io.figures import save_figure
from ..io.progress import Progress, no_progress
from ..letterbox_mlnet import STRIDE, divide_by_maximum
from ..outputs import EXPLANATION, Job, Report
from ..prediction import SaliencyPredictor
from . import level_ablation, level_importance, pixel_attribution, prior_map
from .plots import draw_ablation, draw_importance, draw_panels, draw_prior

if TYPE_CHECKING:
    from datasets import Dataset

IMPORTANCE, PRIOR = "importance.png", "prior.png"
CAP = 99.0  # percentile that pixel attribution is clipped at for display, as single pixels would darken the rest


def explain_files(
    predictor: SaliencyPredictor,
    jobs: Iterable[Job],
    output_dir: Path,
    samples: int = 16,
    seed: int = 0,
    on_done: Callable[[str | None], None] = lambda error: None,
) -> Report:
    """Explains single images, and the levels over all of them. An image that fails does not stop the rest.

    Writes `importance.png`, `prior.png`, `explanation.json` and a `STEM.explain.png` for every image.

    Args:
        predictor: Its `apply_prior` says whether the explained map includes the prior.
        jobs: From `find_pictures`.
        output_dir: Created if it does not exist.
        samples: Of `pixel_attribution`; 0 leaves it out.
        seed: Of `pixel_attribution`.
        on_done: Called after every image, with its error or `None`.

    Raises:
        ValueError: If a result would overwrite an image.
    """
    jobs = list(jobs)
    _check_no_overwriting(jobs, output_dir)
    report, explained = Report(), []
    for job in jobs:
        error = None
        try:
            panels = image_panels(predictor, job.picture, samples, seed)
            save_figure(draw_panels(panels, job.picture.name), _panels_path(job, output_dir))
            explained.append(job.picture)
        except ValueError as failure:
            error = str(failure)
        except OSError as failure:
            error = f"{job.picture}: its result cannot be written: {failure}"
        report.failed += error is not None
        report.written += error is None
        on_done(error)
    if explained:
        _write_importance(predictor, explained, output_dir, {"image_files": [str(path) for path in explained]})
    return report


def _panels_path(job: Job, output_dir: Path) -> Path:
    return output_dir / f"{job.stem}{EXPLANATION}"


def _check_no_overwriting(jobs: list[Job], output_dir: Path) -> None:
    results = [output_dir / IMPORTANCE, output_dir / PRIOR, *(_panels_path(job, output_dir) for job in jobs)]
    images = {job.picture.resolve() for job in jobs}
    for path in results:
        if path.resolve() in images:
            raise ValueError(f"{path}: a result would overwrite this image; choose another output folder")


def explain_dataset(
    predictor: SaliencyPredictor,
    dataset: "Dataset",
    output_dir: Path,
    ablation: bool = False,
    protocol: str = "tuebingen",
    details: dict[str, Any] | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Explains the levels over a data set, without writing any image of it.

    Writes `importance.png`, `prior.png`, `explanation.json` and, with `ablation`, `ablation.png`.

    Args:
        predictor: As in `explain_files`.
        dataset: Rows of `modeling_mlnet.data`.
        output_dir: Created if it does not exist.
        ablation: Whether to run `level_ablation`, too, which takes much longer.
        protocol: Of the scores of the ablation.
        details: Further keys of the JSON.
        progress: Wraps an iterable, `(iterable, description)`, to show a bar.

    Returns:
        The content of `explanation.json`.
    """
    explanation = dict(details or {})
    if ablation:
        explanation["ablation"] = level_ablation(predictor, dataset, protocol, keep_only=True, progress=progress)
        save_figure(draw_ablation(explanation["ablation"]), output_dir / "ablation.png")
    images = (row["image"] for row in dataset.select_columns("image"))
    return _write_importance(predictor, progress(images, "importance"), output_dir, explanation)


def image_panels(predictor: SaliencyPredictor, image: Any, samples: int = 16, seed: int = 0) -> dict[str, np.ndarray]:
    """An image, its map without the prior, the prior, the map with it, and pixel attribution, all of the image's size.

    Args:
        predictor: Predicts both maps, whatever its `apply_prior` is.
        image: A path, or another image that the predictor accepts.
        samples: Of `pixel_attribution`; 0 leaves it out.
        seed: Of `pixel_attribution`.

    Returns:
        By title: the image, uint8 `(height, width, 3)`, and maps `(height, width)` with the maximum 1.

    Raises:
        ValueError: If the image cannot be read.
    """
    processor, model = predictor.image_processor, predictor.model
    without_prior, with_prior = copy(predictor), copy(predictor)
    without_prior.apply_prior, with_prior.apply_prior = False, True
    first = next(without_prior.stream([image], keep_images=True))
    if first.saliency_map is None or first.image is None:
        raise ValueError(first.error)
    [grid] = [
        prepared.pixel_values.shape[-2:]
        for [prepared] in without_prior.batches([image])
        if prepared.pixel_values is not None
    ]
    factor = model.prior(*(-(-side // STRIDE) for side in grid)).detach().clamp_min(0)
    prior = processor.invert_letterbox(factor, first.saliency_map.shape)
    panels = {
        "image": first.image,
        "map before the prior": first.saliency_map,
        "prior": divide_by_maximum(prior).cpu().numpy(),
        "map behind the prior": next(with_prior.maps([image])),
    }
    if samples:
        pixels = pixel_attribution(predictor, image, samples=samples, seed=seed)
        cap = max(float(np.percentile(pixels, CAP)), np.finfo(np.float32).tiny)
        panels["pixels that moved it"] = np.minimum(pixels / cap, 1)
    return panels


def _write_importance(
    predictor: SaliencyPredictor, images: Iterable[Any], output_dir: Path, details: dict[str, Any]
) -> dict[str, Any]:
    importance, prior = level_importance(predictor, images), prior_map(predictor.model)
    save_figure(draw_importance(importance), output_dir / IMPORTANCE)
    save_figure(draw_prior(prior), output_dir / PRIOR)
    explanation = {**details, "prior": prior.describe(), **importance.describe()}
    write_json(output_dir / "explanation.json", explanation)
    return explanation


def summary_lines(explanation: dict[str, Any]) -> Iterator[str]:
    """A summary as lines of text: the levels with their shares, the prior, and the changes by ablation.

    Args:
        explanation: As `explain_dataset` returns it.
    """
    yield f"{explanation['images']} images; for each level the mean importance of a channel, and the level's share"
    for measure in ("mean", "mean_contribution"):
        for level in explanation["levels"]:
            value, share = level["importance"][measure], level["share"][measure]
            yield (
                f"  {measure:17} {level['name']:10} {value['mean']:.3g} ({value['low']:.3g} .. {value['high']:.3g})"
                f"   {100 * share['mean']:5.1f} % ({100 * share['low']:.1f} .. {100 * share['high']:.1f})"
            )
    yield explanation["prior"]["words"]
    for name, changes in explanation.get("ablation", {}).get("variants", {}).items():
        shown = [
            f"{metric} {change['mean']:+.3f} ({change['low']:+.3f} .. {change['high']:+.3f})"
            for metric, change in changes.items()
            if metric in ("CC", "NSS", "KL")
        ]
        yield f"  {name:18} {'   '.join(shown)}"
