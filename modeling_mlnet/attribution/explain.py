"""The results of `mlnet explain`: importance of levels, the prior, and maps of images with and without it."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..architecture_mlnet import STRIDE, recording_index
from ..evaluation.results import write_json
from ..images_mlnet import ImageSource, read_image
from ..inference.inputs import EXPLANATION, Job
from ..inference.outputs import Report
from ..inference.predictor import SaliencyPredictor
from ..io.atomic import reason_of
from ..io.figures import save_figure
from ..io.json_types import JsonObject
from ..io.progress import Progress, no_progress
from ..letterbox_mlnet import divide_by_maximum
from . import level_ablation, level_importance, pixel_attribution, prior_map
from .plots import METRICS, draw_ablation, draw_importance, draw_panels, draw_prior

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
    apply_prior: bool = True,
    recording: str | None = None,
) -> Report:
    """Explains single images, and the levels over all of them. An image that fails does not stop the rest.

    Writes `importance.png`, `prior.png`, `explanation.json` and a `STEM.explain.png` for every image.

    Args:
        predictor: Its model is explained.
        jobs: From `find_images`.
        output_dir: Created if it does not exist.
        samples: As in `pixel_attribution`; 0 leaves it out.
        seed: As in `pixel_attribution`.
        on_done: Called after every image, with its error or `None`.
        apply_prior: Whether the explained map includes the prior.
        recording: The kind of recording that is predicted, as in `SaliencyPredictor`.

    Raises:
        ValueError: If a result would overwrite an image.
    """
    jobs = list(jobs)
    _check_no_overwriting(jobs, output_dir)
    report, explained = Report(), []
    for job in jobs:
        error = None
        try:
            image = read_image(job.source, allow_urls=True)
            panels = image_panels(predictor, image, samples, seed, apply_prior, recording)
            save_figure(draw_panels(panels, Path(job.name).name), _panels_path(job, output_dir))
            explained.append(job)
        except ValueError as failure:
            error = str(failure)
        except OSError as failure:
            error = f"{job.name}: its result cannot be written: {reason_of(failure)}"
        report.failed += error is not None
        report.written += error is None
        on_done(error)
    if explained:
        images = (read_image(job.source, allow_urls=True) for job in explained)
        details = {"image_files": [job.name for job in explained]}
        _write_importance(predictor, images, output_dir, details, apply_prior, recording)
    return report


def _panels_path(job: Job, output_dir: Path) -> Path:
    return output_dir / f"{job.stem}{EXPLANATION}"


def _check_no_overwriting(jobs: list[Job], output_dir: Path) -> None:
    results = [output_dir / IMPORTANCE, output_dir / PRIOR, *(_panels_path(job, output_dir) for job in jobs)]
    images = {job.source.resolve() for job in jobs if isinstance(job.source, Path)}
    for path in results:
        if path.resolve() in images:
            raise ValueError(f"{path}: a result would overwrite this image; choose another output folder")


def explain_dataset(
    predictor: SaliencyPredictor,
    dataset: "Dataset",
    output_dir: Path,
    ablation: bool = False,
    protocol: str = "tuebingen",
    details: JsonObject | None = None,
    progress: Progress = no_progress,
    apply_prior: bool = True,
    recording: str | None = None,
) -> JsonObject:
    """Explains the levels over a data set, without writing any image of it.

    Writes `importance.png`, `prior.png`, `explanation.json` and, with `ablation`, `ablation.png`.

    Args:
        predictor: As in `explain_files`.
        dataset: Rows of `modeling_mlnet.data`.
        output_dir: Created if it does not exist.
        ablation: Whether to run `level_ablation`, too, which takes much longer.
        protocol: Protocol of the scores of the ablation.
        details: Further keys of the JSON.
        progress: Wraps an iterable, `(iterable, description)`, to show a bar.
        apply_prior: As in `explain_files`, and so is `recording`.

    Returns:
        The content of `explanation.json`.
    """
    explanation = dict(details or {})
    if ablation:
        explanation["ablation"] = level_ablation(
            predictor,
            dataset,
            protocol,
            keep_only=True,
            progress=progress,
            apply_prior=apply_prior,
            recording=recording,
        )
        save_figure(draw_ablation(explanation["ablation"]), output_dir / "ablation.png")
    images = (row["image"] for row in dataset.select_columns("image"))
    return _write_importance(
        predictor, progress(images, "importance"), output_dir, explanation, apply_prior, recording
    )


def image_panels(
    predictor: SaliencyPredictor,
    image: ImageSource,
    samples: int = 16,
    seed: int = 0,
    apply_prior: bool = True,
    recording: str | None = None,
) -> dict[str, np.ndarray]:
    """An image, its map without the prior, the prior, the map with it, and pixel attribution, all of the image's size.

    Args:
        predictor: Predicts both maps.
        image: A path, or another image that the predictor accepts.
        samples: As in `pixel_attribution`; 0 leaves it out.
        seed: As in `pixel_attribution`.
        apply_prior: As in `pixel_attribution`.
        recording: The kind of recording of both maps, the prior and `pixel_attribution`.

    Returns:
        By title: the image, uint8 `(height, width, 3)`, and maps `(height, width)` with the maximum 1.

    Raises:
        ValueError: If the image cannot be read.
    """
    image = read_image(image)
    grid = (side // STRIDE for side in predictor.letterbox.canvas(*image.shape[:2]))
    index = recording_index(predictor.recordings, recording)
    factor = predictor.model.prior(*grid, index).detach().clamp_min(0).float().cpu().numpy()
    [before] = predictor.maps([image], apply_prior=False, recording=recording)
    [behind] = predictor.maps([image], recording=recording)
    panels = {
        "image": image,
        "map before the prior": before,
        "prior": divide_by_maximum(predictor.letterbox.invert(factor, image.shape[:2])),
        "map behind the prior": behind,
    }
    if samples:
        pixels = pixel_attribution(
            predictor, image, samples=samples, seed=seed, apply_prior=apply_prior, recording=recording
        )
        cap = max(float(np.percentile(pixels, CAP)), np.finfo(np.float32).tiny)
        panels["pixels that moved it"] = np.minimum(pixels / cap, 1)
    return panels


def _write_importance(
    predictor: SaliencyPredictor,
    images: Iterable[ImageSource],
    output_dir: Path,
    details: JsonObject,
    apply_prior: bool,
    recording: str | None,
) -> JsonObject:
    importance = level_importance(predictor, images, apply_prior, recording)
    prior = prior_map(predictor.model, recording=recording)
    save_figure(draw_importance(importance), output_dir / IMPORTANCE)
    save_figure(draw_prior(prior), output_dir / PRIOR)
    explanation = {**details, "prior": prior.describe(), **importance.describe()}
    write_json(output_dir / "explanation.json", explanation)
    return explanation


def summary_lines(explanation: JsonObject) -> Iterator[str]:
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
            if metric in METRICS
        ]
        yield f"  {name:18} {'   '.join(shown)}"
