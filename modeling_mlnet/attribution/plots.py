"""Figures of attribution: importance of levels (paper, Fig. 3), ablation, the prior, maps of an image."""

from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..io.figures import literal, show
from ..io.json_types import JsonObject
from ..metrics.evaluator import Interval
from . import LevelImportance, PriorMap

METRICS = ("CC", "NSS", "KL")  # of an ablation, those that are shown
COLORS = ("#3b6fb6", "#e07b28", "#4a9a5c", "#a0509a", "#8a8a8a")
TITLES = {
    "mean": "mean of the map: |gradient|",
    "variance": "variance of the map: |gradient|",
    "mean_contribution": "mean of the map: |gradient x feature|",
    "variance_contribution": "variance of the map: |gradient x feature|",
}


def draw_importance(importance: LevelImportance, title: str = "") -> Figure:
    """The paper's Fig. 3: bars per level with their 95 % intervals over images, and every channel's importance.

    Args:
        importance: Importance of a model.
        title: Title of the figure.
    """
    figure = Figure(figsize=(13, 6.4), layout="constrained")
    count = f"{importance.images} image{'s' * (importance.images > 1)}"
    prior = "behind the prior" if importance.apply_prior else "before the prior"
    figure.suptitle(f"{literal(title)}: {count}, map {prior}" if title else f"{count}, map {prior}")
    grid = figure.subplots(2, 3, width_ratios=(1, 1, 1.8))
    for axes_row, name in zip(grid, ("mean", "variance"), strict=True):
        for axes, measure in zip(axes_row, (name, f"{name}_contribution"), strict=False):
            _draw_bars(axes, importance, measure)
        _draw_channels(axes_row[2], importance, name)
    return figure


def _draw_bars(axes: Axes, importance: LevelImportance, measure: str) -> None:
    intervals = importance.intervals(measure)
    means = np.array([interval["mean"] for interval in intervals])
    errors = _errors(intervals)
    positions = np.arange(len(means))
    # a single image has no interval
    axes.bar(positions, means, color=_colors(len(means)), yerr=errors if importance.images > 1 else None, capsize=4)
    labels = [
        f"{name}\n{100 * share['mean']:.0f} % of all"
        for name, share in zip(importance.levels, importance.shares(measure), strict=True)
    ]
    axes.set_xticks(positions, labels, fontsize=8)
    axes.set_title(TITLES[measure], fontsize=9, y=1.05)  # above the power of ten of the axis
    axes.set_ylabel("mean per channel", fontsize=8)
    axes.ticklabel_format(axis="y", scilimits=(-2, 3))


def _draw_channels(axes: Axes, importance: LevelImportance, measure: str) -> None:
    """Draws the importance of all channels, sorted within their level."""
    start = 0
    levels = importance.split(importance.channel_mean[measure])
    for color, name, values in zip(_colors(len(levels)), importance.levels, levels, strict=True):
        positions = np.arange(start, start + len(values))
        axes.fill_between(positions, np.sort(values)[::-1], color=color, step="mid", label=f"{name}, {len(values)}")
        start += len(values)
    axes.set_xlim(0, start)
    axes.set_ylim(0)
    axes.set_title(f"{TITLES[measure]} of the channels, sorted within their level", fontsize=9, y=1.05)
    axes.ticklabel_format(axis="y", scilimits=(-2, 3))
    axes.legend(fontsize=8, title="level, channels", title_fontsize=8)


def _errors(intervals: list[Interval]) -> np.ndarray:
    """Lengths of the error bars below and above the means, `(2, n)`."""
    errors = np.array([[value["mean"] - value["low"], value["high"] - value["mean"]] for value in intervals]).T
    return errors.clip(0, None)  # if all images agree, rounding can put the mean outside of its interval


def _colors(count: int) -> list[str]:
    return [COLORS[index % len(COLORS)] for index in range(count)]


def draw_ablation(ablation: JsonObject) -> Figure:
    """Draws the change of the scores by every variant of `level_ablation`, with paired 95 % intervals.

    Args:
        ablation: The result of `level_ablation`; of its metrics `METRICS` are shown, or three others if it has none.
    """
    metrics = [name for name in METRICS if name in ablation["full"]] or list(ablation["full"])[:3]
    variants = ablation["variants"]
    figure = Figure(figsize=(4.2 * len(metrics), 0.45 * len(variants) + 1.6), layout="constrained")
    figure.suptitle(f"{ablation['images']} images, protocol {ablation['protocol']}: change against the whole network")
    for axes, metric in zip(figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0], metrics, strict=True):
        for row, change in enumerate(variants[name][metric] for name in variants):
            color = COLORS[0] if change["differs"] else COLORS[-1]
            axes.errorbar(change["mean"], row, xerr=_errors([change]), fmt="o", color=color, capsize=4)
        axes.axvline(0, color="black", linewidth=0.8)
        axes.set_title(f"{metric} (whole: {ablation['full'][metric]['mean']:.3f})", fontsize=9)
        axes.set_yticks(range(len(variants)), list(variants))
        axes.grid(axis="x", alpha=0.3)
    axes.invert_yaxis()
    return figure


def draw_prior(prior: PriorMap) -> Figure:
    """Draws the factor on the grid of the map, its centre of mass and the ellipse of one standard deviation."""
    height, width = prior.factor.shape
    figure = Figure(figsize=(6.4, 5.2 * height / width + 1.3), layout="constrained")
    axes = figure.subplots()
    shown = axes.imshow(prior.factor, cmap="inferno", extent=(0, 1, 1, 0), aspect=height / width)
    figure.colorbar(shown, ax=axes, label="factor", shrink=0.8)
    angle = np.linspace(0, 2 * np.pi, 100)
    outline = [
        centre + spread * unit
        for centre, spread, unit in zip(prior.centre, prior.spread, (np.cos(angle), np.sin(angle)), strict=True)
    ]
    axes.plot(*outline, color="white", linewidth=1)
    axes.plot(*prior.centre, "+", color="white", markersize=12)
    axes.plot(0.5, 0.5, ".", color="white", markersize=4)
    axes.set(xticks=(0, 0.5, 1), yticks=(0, 0.5, 1), xlim=(0, 1), ylim=(1, 0))
    figure.supxlabel(fill(prior.words(), 100), fontsize=8)
    return figure


def draw_panels(panels: dict[str, np.ndarray], title: str) -> Figure:
    """Draws images `(height, width, 3)` in uint8 and maps `(height, width)` in 0..1 side by side, all of one size.

    Args:
        panels: Images and maps by their titles.
        title: Title of the figure.
    """
    height, width = next(iter(panels.values())).shape[:2]
    columns = 3.2
    figure = Figure(figsize=(columns * len(panels), columns * height / width + 0.7), layout="constrained")
    figure.suptitle(literal(title), fontsize=10)
    for axes, (name, values) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        show(axes, values)
        axes.set_title(name, fontsize=9)
    return figure
