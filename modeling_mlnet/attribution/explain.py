"""What `mlnet explain` writes: importance of levels, the prior, and single pictures before and behind it."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..evaluation.results import write_json
from ..images_mlnet import read_image
from ..inference.inputs import EXPLANATION, Job
from ..inference.outputs import Report
from ..inference.predictor import SaliencyPredictor
from ..io.figures import save_figure
from ..io.progress import Progress, no_progress
from ..letterbox_mlnet import STRIDE, divide_by_maximum
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
    apply_prior: bool = True,
) -> Report:
    """Explains pictures one by one and the levels over all of them; a picture that fails stops nothing.

    Writes `importance.png`, `prior.png`, `explanation.json` and a `STEM.explain.png` per picture.

    Args:
        predictor: Its model is explained.
        jobs: Of `find_images`.
        output_dir: Made if it is not there.
        samples: Of `pixel_attribution`; 0 leaves it out.
        seed: Of `pixel_attribution`.
        on_done: Called after every picture with its error, `None` if there was none.
        apply_prior: Whether importance and pixel attribution are about the map behind the prior.

    Raises:
        ValueError: If a result would overwrite one of the pictures.
    """
    jobs = list(jobs)
    _check_no_overwriting(jobs, output_dir)
    report, good = Report(), []
    for job in jobs:
        error = None
        try:
            image = read_image(job.source, allow_urls=True)
            panels = picture_panels(predictor, image, samples, seed, apply_prior)
            save_figure(draw_panels(panels, Path(job.name).name), _panels_path(job, output_dir))
            good.append(job)
        except ValueError as failure:
            error = str(failure)
        except OSError as failure:
            error = f"{job.name}: its result cannot be written: {failure}"
        report.failed += error is not None
        report.written += error is None
        on_done(error)
    if good:
        images = (read_image(job.source, allow_urls=True) for job in good)
        _write_importance(predictor, images, output_dir, {"pictures": [job.name for job in good]}, apply_prior)
    return report


def _panels_path(job: Job, output_dir: Path) -> Path:
    return output_dir / f"{job.stem}{EXPLANATION}"


def _check_no_overwriting(jobs: list[Job], output_dir: Path) -> None:
    results = [output_dir / IMPORTANCE, output_dir / PRIOR, *(_panels_path(job, output_dir) for job in jobs)]
    pictures = {job.source.resolve() for job in jobs if isinstance(job.source, Path)}
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
    apply_prior: bool = True,
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
        apply_prior: As in `explain_files`.

    Returns:
        What is in `explanation.json`.
    """
    found = dict(details or {})
    if ablation:
        found["ablation"] = level_ablation(
            predictor, dataset, protocol, keep_only=True, progress=progress, apply_prior=apply_prior
        )
        save_figure(draw_ablation(found["ablation"]), output_dir / "ablation.png")
    pictures = (row["image"] for row in dataset.select_columns("image"))
    return _write_importance(predictor, progress(pictures, "importance"), output_dir, found, apply_prior)


def picture_panels(
    predictor: SaliencyPredictor, picture: Any, samples: int = 16, seed: int = 0, apply_prior: bool = True
) -> dict[str, np.ndarray]:
    """A picture, its map before the prior, the prior, the map behind it, and what moved it, all of its size.

    Args:
        predictor: Whose model is meant.
        picture: A path, or what the predictor takes.
        samples: Of `pixel_attribution`; 0 leaves it out.
        seed: Of `pixel_attribution`.
        apply_prior: Of `pixel_attribution`; both maps are made in any case.

    Returns:
        By title: the picture, uint8 `(height, width, 3)`, and maps `(height, width)` of maximum 1.

    Raises:
        ValueError: If the picture cannot be read.
    """
    image = read_image(picture)
    grid = (side // STRIDE for side in predictor.letterbox.canvas(*image.shape[:2]))
    factor = predictor.model.prior(*grid).detach().clamp_min(0).float().cpu().numpy()
    panels = {
        "picture": image,
        "map before the prior": predictor(image, apply_prior=False),
        "prior": divide_by_maximum(predictor.letterbox.invert(factor, image.shape[:2])),
        "map behind the prior": predictor(image),
    }
    if samples:
        pixels = pixel_attribution(predictor, image, samples=samples, seed=seed, apply_prior=apply_prior)
        cap = max(float(np.percentile(pixels, CAP)), np.finfo(np.float32).tiny)
        panels["pixels that moved it"] = np.minimum(pixels / cap, 1)
    return panels


def _write_importance(
    predictor: SaliencyPredictor,
    pictures: Iterable[Any],
    output_dir: Path,
    details: dict[str, Any],
    apply_prior: bool,
) -> dict[str, Any]:
    importance, prior = level_importance(predictor, pictures, apply_prior), prior_map(predictor.model)
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
