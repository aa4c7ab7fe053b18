"""Sheets a reader can judge a model by: image, truth and predictions, chosen by a stated rule (paper, Fig. 4, 5)."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from datasets import Dataset
from matplotlib.figure import Figure

from ..io.figures import literal, show
from ..io.progress import Progress, no_progress
from ..metrics import LOWER_IS_BETTER, Evaluator, get_protocol
from ..metrics.evaluator import ImageScores
from .evaluate import score_truth
from .truths import fixation_pool, read_truths

RULES = ("random", "best", "worst")
ALSO_SHOWN = ("CC", "NSS")  # beside the metric that chose
NAME_LENGTH = 36  # characters that stand beside a row

MapSource = Callable[[Dataset], Iterable[np.ndarray]]


@dataclass(frozen=True)
class Sheet:
    """Chosen images with everything that is shown of them.

    Args:
        rule: How they were chosen, in words.
        rows: Rows of the data set, in the order of the sheet.
        maps: By source, one `(height, width)` per row.
        scores: By source, one `{"image_id", "fixations", metric: value}` per row.
        metrics: Metrics to show.
    """

    rule: str
    rows: Dataset
    maps: dict[str, list[np.ndarray]]
    scores: dict[str, list[ImageScores]]
    metrics: tuple[str, ...]


def choose_images(
    dataset: Dataset,
    sources: dict[str, MapSource],
    rule: str = "random",
    metric: str = "CC",
    count: int = 6,
    seed: int = 0,
    protocol: str = "tuebingen",
    progress: Progress = no_progress,
) -> Sheet:
    """Chooses images by a rule, not by taste, and predicts and scores them with every source.

    Args:
        dataset: Rows of `modeling_mlnet.data`; all of them are the other fixations of shuffled AUC.
        sources: By name, a function from a data set to maps in the order of its rows.
        rule: `random`, or `best` or `worst` by the score of the first source, which then scores all images.
        metric: Metric of the protocol; decides for `best` and `worst`, and is shown first.
        count: Images, fewer if there are no more.
        seed: Seed of `random`.
        protocol: A name of `PROTOCOLS`.
        progress: Wraps an iteration, `(iterable, description)`, to show a bar.

    Raises:
        ValueError: If an argument is wrong or no image has a score.
    """
    metrics = get_protocol(protocol).metrics
    if not sources:
        raise ValueError("a sheet needs at least one model or folder of maps")
    if rule not in RULES:
        raise ValueError(f"rule must be one of {list(RULES)}, got {rule!r}")
    if metric not in metrics:
        raise ValueError(f"metric must be one of {list(metrics)} with protocol {protocol}, got {metric!r}")
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    evaluator = Evaluator(protocol, fixation_pool(progress(read_truths(dataset), "reading fixations")))
    if rule == "random":
        chosen = np.random.default_rng(seed).permutation(len(dataset))[:count].tolist()
        words = f"{len(chosen)} of {len(dataset)} images at random, seed {seed}"
    else:
        name, source = next(iter(sources.items()))
        pairs = zip(source(dataset), read_truths(dataset), strict=True)
        values = np.array([score_truth(evaluator, *pair)[metric] for pair in progress(pairs, f"scoring {name}")])
        chosen = extremes(values, (rule == "best") != (metric in LOWER_IS_BETTER), count)
        words = f"the {len(chosen)} {rule} of {len(dataset)} images by {metric} of {name}"
    rows = dataset.select(chosen)
    maps = {name: list(source(rows)) for name, source in sources.items()}
    truths = list(read_truths(rows))
    scores = {
        name: [score_truth(evaluator, *pair) for pair in zip(predicted, truths, strict=True)]
        for name, predicted in maps.items()
    }
    shown = (metric, *(name for name in ALSO_SHOWN if name in metrics and name != metric))
    return Sheet(words, rows, maps, scores, shown)


def extremes(values: np.ndarray, highest: bool, count: int) -> list[int]:
    """Indices of the highest or lowest values, the most extreme first; NaN is skipped.

    Raises:
        ValueError: If there are only NaN.
    """
    order = np.argsort(-values if highest else values, kind="stable")  # NaN comes last
    order = order[~np.isnan(values[order])]
    if not len(order):
        raise ValueError("no image has a score to choose by")
    return order[:count].tolist()


def draw_sheet(sheet: Sheet, photos: bool = True) -> Figure:
    """A row per image: the image, the density of its fixations, and every prediction with its scores below.

    Args:
        sheet: Result of `choose_images`.
        photos: Whether the images are shown, or only the maps, for images that may not be.
    """
    headings = [*(["image"] if photos else []), "truth", *sheet.maps]
    rows = list(sheet.rows if photos else sheet.rows.remove_columns("image"))
    truths = [np.asarray(row["saliency_map"]) for row in rows]
    panel = 2.6
    heights = [panel * truth.shape[0] / truth.shape[1] for truth in truths]
    size = (panel * len(headings) + 0.3, sum(heights) + 0.35 * len(rows) + 0.7)
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(literal(sheet.rule), fontsize=9, wrap=True)
    grid = figure.subplots(len(rows), len(headings), squeeze=False, height_ratios=heights)
    for index, (row, truth) in enumerate(zip(rows, truths, strict=True)):
        panels = [*([np.asarray(row["image"].convert("RGB"))] if photos else []), truth]
        panels += [predicted[index] for predicted in sheet.maps.values()]
        for axes, values in zip(grid[index], panels, strict=True):
            show(axes, values)
        for axes, scores in zip(grid[index, -len(sheet.maps) :], sheet.scores.values(), strict=True):
            line = "   ".join(f"{name} {scores[index][name]:.2f}" for name in sheet.metrics)
            axes.set_xlabel(line, fontsize=8)
        grid[index, 0].set_ylabel(literal(row["image_id"][-NAME_LENGTH:]), fontsize=6)
    for axes, heading in zip(grid[0], headings, strict=True):
        axes.set_title(literal(heading), fontsize=9, wrap=True)
    return figure


def sheet_table(sheet: Sheet) -> str:
    """The rule, and a line per image and source with all that is shown."""
    lines = [sheet.rule]
    for index, image_id in enumerate(sheet.rows["image_id"]):
        for name, scores in sheet.scores.items():
            values = "   ".join(f"{metric} {scores[index][metric]:7.4f}" for metric in sheet.metrics)
            lines.append(f"  {image_id:30} {name:20} {values}")
    return "\n".join(lines)
