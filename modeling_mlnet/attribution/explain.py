"""What `mlnet explain` writes: importance of levels, the prior, and single pictures before and behind it."""

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
CAP = 99.0  # percentile from which pixel attribution is shown as full: single pixels would darken all others


def explain_files(
    predictor: SaliencyPredictor,
    jobs: Iterable[Job],
    output_dir: Path,
    samples: int = 16,
    seed: int = 0,
    on_done: Callable[[str | None], None] = lambda error: None,
) -> Report:
    """Explains pictures one by one and the levels over all of them; a picture that fails stops nothing.

    Writes `importance.png`, `prior.png`, `explanation.json` and a `STEM.explain.png` per picture.

    Args:
        predictor: Its `apply_prior` decides which map importance and pixel attribution are about.
        jobs: Of `find_pictures`.
        output_dir: Made if it is not there.
        samples: Of `pixel_attribution`; 0 leaves it out.
        seed: Of `pixel_attribution`.
        on_done: Called after every picture with its error, `None` if there was none.

    Raises:
        ValueError: If a result would overwrite one of the pictures.
    """
    jobs = list(jobs)
    _check_no_overwriting(jobs, output_dir)
    report, good = Report(), []
    for job in jobs:
        error = None
        try:
            panels = picture_panels(predictor, job.picture, samples, seed)
            save_figure(draw_panels(panels, job.picture.name), _panels_path(job, output_dir))
            good.append(job.picture)
        except ValueError as failure:
            error = str(failure)
        except OSError as failure:
            error = f"{job.picture}: its result cannot be written: {failure}"
        report.failed += error is not None
        report.written += error is None
        on_done(error)
    if good:
        _write_importance(predictor, good, output_dir, {"pictures": [str(one) for one in good]})
    return report


def _panels_path(job: Job, output_dir: Path) -> Path:
    return output_dir / f"{job.stem}{EXPLANATION}"


def _check_no_overwriting(jobs: list[Job], output_dir: Path) -> None:
    results = [output_dir / IMPORTANCE, output_dir / PRIOR, *(_panels_path(job, output_dir) for job in jobs)]
    pictures = {job.picture.resolve() for job in jobs}
    for path in results:
        if path.resolve() in pictures:
            raise ValueError(f"{path}: a result would overwrite this picture; choose another output folder")


def explain_dataset(
    predictor: SaliencyPredictor,
    dataset: "Dataset",
    output_dir: Path,
    ablation: bool = False,
    protocol: str = "tuebingen",
    details: dict[str, Any] | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Explains the levels over a data set; no photograph is written.

    Writes `importance.png`, `prior.png`, `explanation.json` and, with `ablation`, `ablation.png`.

    Args:
        predictor: As in `explain_files`.
        dataset: Rows of `modeling_mlnet.data`.
        output_dir: Made if it is not there.
        ablation: Whether levels are also replaced by their mean and the maps scored, which takes much longer.
        protocol: Of these scores.
        details: Further keys of the JSON.
        progress: Wraps an iteration, `(iterable, description)`, to show a bar.

    Returns:
        What is in `explanation.json`.
    """
    found = dict(details or {})
    if ablation:
        found["ablation"] = level_ablation(predictor, dataset, protocol, keep_only=True, progress=progress)
        save_figure(draw_ablation(found["ablation"]), output_dir / "ablation.png")
    pictures = (row["image"] for row in dataset.select_columns("image"))
    return _write_importance(predictor, progress(pictures, "importance"), output_dir, found)


def picture_panels(
    predictor: SaliencyPredictor, picture: Any, samples: int = 16, seed: int = 0
) -> dict[str, np.ndarray]:
    """A picture, its map before the prior, the prior, the map behind it, and what moved it, all of its size.

    Args:
        predictor: Whose model is meant; both maps are made, whatever its `apply_prior` is.
        picture: A path, or what the predictor takes.
        samples: Of `pixel_attribution`; 0 leaves it out.
        seed: Of `pixel_attribution`.

    Returns:
        By title: the picture, uint8 `(height, width, 3)`, and maps `(height, width)` of maximum 1.

    Raises:
        ValueError: If the picture cannot be read.
    """
    processor, model = predictor.image_processor, predictor.model
    before, behind = copy(predictor), copy(predictor)
    before.apply_prior, behind.apply_prior = False, True
    first = next(before.stream([picture], keep_images=True))
    if first.saliency_map is None or first.image is None:
        raise ValueError(first.error)
    [grid] = [one.pixel_values.shape[-2:] for [one] in before.batches([picture]) if one.pixel_values is not None]
    factor = model.prior(*(-(-side // STRIDE) for side in grid)).detach().clamp_min(0)
    prior = processor.invert_letterbox(factor, first.saliency_map.shape)
    panels = {
        "picture": first.image,
        "map before the prior": first.saliency_map,
        "prior": divide_by_maximum(prior).cpu().numpy(),
        "map behind the prior": next(behind.maps([picture])),
    }
    if samples:
        pixels = pixel_attribution(predictor, picture, samples=samples, seed=seed)
        cap = max(float(np.percentile(pixels, CAP)), np.finfo(np.float32).tiny)
        panels["pixels that moved it"] = np.minimum(pixels / cap, 1)
    return panels


def _write_importance(
    predictor: SaliencyPredictor, pictures: Iterable[Any], output_dir: Path, details: dict[str, Any]
) -> dict[str, Any]:
    importance, prior = level_importance(predictor, pictures), prior_map(predictor.model)
    save_figure(draw_importance(importance), output_dir / IMPORTANCE)
    save_figure(draw_prior(prior), output_dir / PRIOR)
    found = {**details, "prior": prior.describe(), **importance.describe()}
    write_json(output_dir / "explanation.json", found)
    return found


def in_words(found: dict[str, Any]) -> Iterator[str]:
    """Lines for people: the levels with their shares, the prior, and what ablation changed.

    Args:
        found: As `explain_dataset` returns it.
    """
    yield f"{found['images']} pictures; per level the mean importance of a channel, and the level's part in the whole"
    for measure in ("mean", "mean_contribution"):
        for level in found["levels"]:
            one, share = level["importance"][measure], level["share"][measure]
            yield (
                f"  {measure:17} {level['name']:10} {one['mean']:.3g} ({one['low']:.3g} .. {one['high']:.3g})"
                f"   {100 * share['mean']:5.1f} % ({100 * share['low']:.1f} .. {100 * share['high']:.1f})"
            )
    yield found["prior"]["words"]
    for name, changes in found.get("ablation", {}).get("variants", {}).items():
        shown = [
            f"{metric} {one['mean']:+.3f} ({one['low']:+.3f} .. {one['high']:+.3f})"
            for metric, one in changes.items()
            if metric in ("CC", "NSS", "KL")
        ]
        yield f"  {name:18} {'   '.join(shown)}"
