"""Draws docs/images/metrics/*.png, the figures of docs/metrics.md, one per metric.

The map is mlnet-mini's of an image of the test fixtures. The fixations are simulated, drawn from the map and a centre
bias with a fixed seed: images that are free to publish come without measured ones.

    python experiments/make_metric_figures.py
"""

from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import ot
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from PIL import Image

from modeling_mlnet import SaliencyPredictor
from modeling_mlnet.metrics import (
    auc_borji,
    auc_judd,
    auc_shuffled,
    cc,
    centre_map,
    emd,
    information_gain,
    kl,
    nss,
    sim,
)
from modeling_mlnet.metrics.protocols import gaussian_density

ROOT = Path(__file__).parent.parent
OUTPUT = ROOT / "docs" / "images" / "metrics"
HEIGHT, WIDTH, SIGMA = 256, 256, 10.0
BLUE, ORANGE, GREY = "#3b6fb6", "#e07b28", "#8a8a8a"


class Scene:
    """An image with a predicted map, simulated fixations and their density, and fixations of other images."""

    def __init__(self) -> None:
        rng = np.random.default_rng(2016)
        with Image.open(ROOT / "tests" / "fixtures" / "images" / "astronaut.jpg") as image:
            self.image = np.asarray(image.convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS))
        self.map = SaliencyPredictor("mini", dtype="float32")(self.image).astype(np.float64)
        self.centre = centre_map(HEIGHT, WIDTH)
        source = self.map / self.map.sum() + 0.4 * self.centre / self.centre.sum()
        self.points = self._draw(rng, source, 60)
        self.others = self._draw(rng, self.centre, 400)
        self.density = gaussian_density(self.points @ [1, WIDTH], (HEIGHT, WIDTH), SIGMA)

    @staticmethod
    def _draw(rng: np.random.Generator, weights: np.ndarray, count: int) -> np.ndarray:
        places = rng.choice(weights.size, count, replace=False, p=weights.ravel() / weights.sum())
        return np.stack(np.divmod(places, WIDTH)[::-1], axis=1)

    def at(self, values: np.ndarray, points: np.ndarray | None = None) -> np.ndarray:
        """Values at fixations."""
        columns, rows = (self.points if points is None else points).T
        return values[rows, columns]


def show(axes: Axes, values: np.ndarray, title: str, **options: object) -> None:
    """A map without ticks."""
    axes.imshow(values, **{"cmap": "inferno", **options})
    axes.set_title(title, fontsize=10)
    axes.set_axis_off()


def roc(positives: np.ndarray, negatives: np.ndarray, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of negatives and positives that reach each threshold, with both ends."""
    descending = np.sort(thresholds)[::-1]
    shares = [np.array([0, *((item >= t).mean() for t in descending), 1]) for item in (negatives, positives)]
    return shares[0], shares[1]


def draw_roc(axes: Axes, curve: tuple[np.ndarray, np.ndarray], label: str, **options: object) -> None:
    """A curve over the diagonal of chance."""
    axes.plot([0, 1], [0, 1], ":", color=GREY, linewidth=1)
    axes.plot(*curve, label=label, **options)
    axes.set(xlim=(0, 1), ylim=(0, 1.01), xlabel="share of negatives above the threshold", aspect="equal")
    axes.set_ylabel("share of fixations")
    axes.legend(loc="lower right", fontsize=7)


def _draw_cc(left: Axes, right: Axes, scene: Scene) -> str:
    show(left, np.hstack([scene.map, np.ones((HEIGHT, 6)), scene.density / scene.density.max()]), "map | density")
    density = scene.density / scene.density.max()
    every = slice(None, None, 37)
    right.plot(scene.map.ravel()[every], density.ravel()[every], ".", color=BLUE, markersize=2, alpha=0.5)
    slope, start = np.polyfit(scene.map.ravel(), density.ravel(), 1)
    right.plot([0, 1], [start, start + slope], color=ORANGE, label="best line")
    right.set(xlabel="map", ylabel="density")
    right.legend(fontsize=8)
    return f"CC = {cc(scene.map, scene.density):.3f}: how well a line fits the pixels' values"


def _draw_sim(left: Axes, right: Axes, scene: Scene) -> str:
    first, second = scene.map / scene.map.sum(), scene.density / scene.density.sum()
    show(left, np.minimum(first, second), "minimum of both")
    row = int(second.sum(axis=1).argmax())
    right.plot(first[row], color=BLUE, label="map")
    right.plot(second[row], color=ORANGE, label="density")
    right.fill_between(range(WIDTH), np.minimum(first, second)[row], color=GREY, alpha=0.5, label="overlap")
    right.set(xlabel=f"column (row {row})", yticks=[])
    right.legend(fontsize=8)
    return f"SIM = {sim(scene.map, scene.density):.3f}: the overlap, both summing to 1"


def _draw_kl(left: Axes, right: Axes, scene: Scene) -> str:
    first, second = scene.map / scene.map.sum(), scene.density / scene.density.sum()
    part = second * np.log(2.2204e-16 + second / (first + 2.2204e-16))
    limit = np.abs(part).max()
    show(left, part, "what each pixel adds (red) or takes off", cmap="coolwarm", vmin=-limit, vmax=limit)
    cut = np.linspace(0, 0.5, 26)
    scores = [kl(np.where(scene.map < np.quantile(scene.map, item), 0, scene.map), scene.density) for item in cut]
    right.plot(100 * cut, scores, color=BLUE)
    right.set(xlabel="lowest pixels set to 0, %", ylabel="KL")
    return f"KL = {kl(scene.map, scene.density):.3f} nats; exact zeros are expensive"


def _draw_emd(left: Axes, right: Axes, scene: Scene) -> str:
    cells = [item.reshape(HEIGHT // 32, 32, WIDTH // 32, 32) for item in (scene.map, scene.density)]
    first, second = (item.mean(axis=(1, 3)) / item.mean(axis=(1, 3)).sum() for item in cells)
    show(left, np.hstack([first, np.full((len(first), 1), np.nan), second]), "map | density, in cells")
    places = np.argwhere(np.ones_like(first))
    cost = np.linalg.norm(places[:, None] - places, axis=2)
    flow = ot.emd(first.ravel(), second.ravel(), cost)
    show(right, second, "what moves where")
    for source, target in np.argwhere(flow > 0.002):
        if source != target:
            (y, x), (to_y, to_x) = places[source], places[target]
            style = {"width": 2 * flow[source, target], "head_width": 0.25, "length_includes_head": True}
            right.arrow(x, y, to_x - x, to_y - y, color="white", alpha=0.8, **style)
    return f"EMD = {emd(scene.map, scene.density):.3f} cells: the least work that moves one into the other"


def _draw_nss(left: Axes, right: Axes, scene: Scene) -> str:
    standard = (scene.map - scene.map.mean()) / scene.map.std()
    show(left, standard, "map in standard deviations, fixations")
    left.plot(*scene.points.T, ".", color="cyan", markersize=4)
    bins = np.linspace(standard.min(), standard.max(), 30)
    right.hist(standard.ravel(), bins, density=True, color=GREY, alpha=0.6, label="all pixels")
    right.hist(scene.at(standard), bins, density=True, color=BLUE, alpha=0.6, label="at fixations")
    score = nss(scene.map, scene.points)
    right.axvline(score, color=ORANGE, label=f"mean at fixations {score:.2f}")
    right.set(xlabel="standard deviations", yticks=[])
    right.legend(fontsize=8)
    return f"NSS = {score:.3f}: how far above the mean the map is where people looked"


def _draw_ig(left: Axes, right: Axes, scene: Scene) -> str:
    first, second = scene.map / scene.map.sum(), scene.centre / scene.centre.sum()
    bits = np.log2(first + 2.2204e-16) - np.log2(second)
    show(left, np.clip(bits, -6, 6), "bits over the centre bias, fixations", cmap="coolwarm", vmin=-6, vmax=6)
    left.plot(*scene.points.T, ".", color="black", markersize=4)
    right.bar(range(len(scene.points)), np.sort(scene.at(bits)), color=BLUE)
    score = information_gain(scene.map, scene.points, scene.centre)
    right.axhline(score, color=ORANGE, label=f"mean {score:.2f}")
    right.set(xlabel="fixations, sorted", ylabel="bits")
    right.legend(fontsize=8)
    return f"IG = {score:.3f} bits per fixation more than the centre bias knows"


def _draw_judd(left: Axes, right: Axes, scene: Scene) -> str:
    level = np.quantile(scene.map, 0.8)
    show(left, scene.image, "a fifth of the image, fixations")
    left.contour(scene.map, [level], colors=["yellow"])
    left.plot(*scene.points.T, ".", color="cyan", markersize=4)
    curve = roc(scene.at(scene.map), scene.map.ravel(), scene.at(scene.map))
    draw_roc(right, curve, "every fixated value is a threshold", color=BLUE)
    right.fill_between(*curve, color=BLUE, alpha=0.15)
    return f"AUC-Judd = {auc_judd(scene.map, scene.points):.3f}: fixated pixels against the rest"


def _draw_borji(left: Axes, right: Axes, scene: Scene) -> str:
    rng = np.random.default_rng(0)
    grid = np.arange(11) * 0.1
    show(left, scene.image, "fixations, and one draw of random pixels")
    drawn = np.stack([rng.integers(0, WIDTH, 60), rng.integers(0, HEIGHT, 60)], axis=1)
    left.plot(*scene.points.T, ".", color="cyan", markersize=4)
    left.plot(*drawn.T, "x", color="white", markersize=4)
    for _ in range(60):
        negatives = rng.choice(scene.map.ravel(), 60)
        right.plot(*roc(scene.at(scene.map), negatives, grid), color=GREY, alpha=0.25, linewidth=0.8)
    draw_roc(right, roc(scene.at(scene.map), scene.map.ravel(), grid), "exact expectation", color=BLUE)
    return f"AUC-Borji = {auc_borji(scene.map, scene.points):.3f}: what the grey random splits average to"


def _draw_shuffled(left: Axes, right: Axes, scene: Scene) -> str:
    show(left, scene.image, "fixations, and those of other images")
    left.plot(*scene.others.T, "x", color="white", markersize=3)
    left.plot(*scene.points.T, ".", color="cyan", markersize=4)
    for values, name, color in ((scene.map, "map", BLUE), (scene.centre, "centre bias", ORANGE)):
        score = auc_shuffled(values, scene.points, scene.others)
        positives, negatives = scene.at(values), scene.at(values, scene.others)
        curve = roc(positives, negatives, np.concatenate([positives, negatives]))
        draw_roc(right, curve, f"{name}: sAUC {score:.2f}, AUC {auc_judd(values, scene.points):.2f}", color=color)
    return "sAUC: the centre bias earns next to nothing"


FIGURES: dict[str, Callable[[Axes, Axes, Scene], str]] = {
    "cc": _draw_cc,
    "sim": _draw_sim,
    "kl": _draw_kl,
    "emd": _draw_emd,
    "nss": _draw_nss,
    "information_gain": _draw_ig,
    "auc_judd": _draw_judd,
    "auc_borji": _draw_borji,
    "auc_shuffled": _draw_shuffled,
}


def main() -> None:
    """Writes all figures."""
    scene = Scene()
    OUTPUT.mkdir(parents=True, exist_ok=True)
    for name, draw in FIGURES.items():
        figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), width_ratios=(1.35, 1), layout="constrained")
        figure.suptitle(draw(left, right, scene), fontsize=11)
        figure.savefig(OUTPUT / f"{name}.png", dpi=100)
        plt.close(figure)


if __name__ == "__main__":
    main()
