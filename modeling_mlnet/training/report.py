"""The report of a run: learning curves, and predictions for the same eight images after every evaluation."""

import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from matplotlib.figure import Figure
from transformers import TrainerCallback
from transformers.integrations import TensorBoardCallback, TrackioCallback
from transformers.utils import logging

from ..inference.predictor import SaliencyPredictor
from ..io.figures import save_figure
from ..metrics import cc
from .augmentation import derived_seed

logger = logging.get_logger(__name__)

IMAGES = 8
DPI = 90
CURVES = ("loss", "CC", "SIM", "KL", "NSS", "learning_rate")


def draw_curves(history: list[dict[str, float]]) -> Figure:
    """Draws loss, scores and learning rate over steps.

    Args:
        history: `log_history` of the Trainer's state.
    """
    figure = Figure(figsize=(12, 6))  # a constrained layout would double the time of drawing, here and below
    figure.subplots_adjust(left=0.06, right=0.98, bottom=0.08, top=0.95, wspace=0.22, hspace=0.33)
    for axes, name in zip(figure.subplots(2, 3).ravel(), CURVES, strict=True):
        for key, label, style in ((name, "training", "-"), (f"eval_{name}", "validation", "o-")):
            points = [(entry["step"], entry[key]) for entry in history if key in entry]
            if points:
                axes.plot(*zip(*points, strict=True), style, label=label, markersize=4)
        axes.set(title=name.replace("_", " "), xlabel="step")
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend()
    return figure


def draw_predictions(rows: list[dict[str, Any]], saliency_maps: list[np.ndarray], title: str) -> Figure:
    """Draws images above their fixation densities and the predicted maps, with the correlation of the two.

    Args:
        rows: With the columns `image` and `saliency_map`.
        saliency_maps: The prediction for every row, `(height, width)`.
        title: Title of the figure.
    """
    figure = Figure(figsize=(2.2 * len(rows), 5.6))
    figure.subplots_adjust(
        left=0.2 / len(rows), right=1 - 0.05 / len(rows), bottom=0.01, top=0.92, wspace=0.03, hspace=0.12
    )
    figure.suptitle(title)
    grid = figure.subplots(3, len(rows), squeeze=False)
    for column, (row, saliency_map) in enumerate(zip(rows, saliency_maps, strict=True)):
        truth = np.asarray(row["saliency_map"])
        grid[0, column].imshow(row["image"])
        grid[1, column].imshow(truth, cmap="inferno")
        grid[2, column].imshow(saliency_map, cmap="inferno")
        grid[2, column].set_title(f"CC {cc(saliency_map, truth):.2f}", fontsize=8)
    for axes, name in zip(grid[:, 0], ("image", "truth", "prediction"), strict=True):
        axes.set_ylabel(name)
    for axes in grid.ravel():
        axes.set(xticks=[], yticks=[])
    return figure


class LogLines(TrainerCallback):
    """Prints logged values as lines on stderr, for runs without a terminal."""

    def on_train_begin(self, args, state, control, **kwargs):
        """Starts the clock."""
        self.start = time.perf_counter()
        self.first = state.global_step

    def on_log(self, args, state, control, logs, **kwargs):
        """Prints a line."""
        steps = state.global_step - self.first
        if not state.is_world_process_zero or not steps:
            return
        pace = (time.perf_counter() - self.start) / steps
        left = timedelta(seconds=round(pace * (state.max_steps - state.global_step)))
        figures = ", ".join(f"{name} {value:.4g}" for name, value in logs.items() if name != "total_flos")
        where = f"step {state.global_step} of {state.max_steps}, {pace:.2f} s a step, {left} left"
        print(f"{where}: {figures}", file=sys.stderr, flush=True)


class ReportCallback(TrainerCallback):
    """Writes `report/curves.png` and `report/predictions_STEP.png` into the run's folder, and sends both to trackers.

    A report that cannot be written is a warning and does not end the run.

    Args:
        trainer: Its model predicts, and its history is drawn.
        rows: Validation rows, of which the same eight are shown in every run.
    """

    def __init__(self, trainer: Any, rows: Dataset):
        self.trainer = trainer
        order = np.argsort([derived_seed(image_id) for image_id in rows["image_id"]], kind="stable")
        self.rows = rows.select(order[:IMAGES])
        self.folder = Path(trainer.args.output_dir) / "report"

    def on_evaluate(self, args, state, control, **kwargs):
        """Writes the report; after the training, `predictions_best.png` shows the best model."""
        if not state.is_world_process_zero:
            return
        step = f"{state.global_step:06d}" if self.trainer.is_in_train else "best"
        model = self.trainer.accelerator.unwrap_model(self.trainer.model)
        dtype = str(model.dtype).removeprefix("torch.")
        predictor = SaliencyPredictor(model, self.trainer.processing_class, str(model.device), dtype)
        rows = list(self.rows)
        figure = draw_predictions(rows, list(predictor.maps(row["image"] for row in rows)), f"step {step}")
        path = self.folder / f"predictions_{step}.png"
        try:
            save_figure(draw_curves(state.log_history), self.folder / "curves.png", DPI)
            save_figure(figure, path, DPI)
        except OSError as error:
            logger.warning(f"{self.folder}: the report cannot be written: {error}")
        try:
            self._send(figure, path, state.global_step)
        except OSError as error:
            logger.warning(f"the report cannot be sent to a tracker: {error}")

    def _send(self, figure: Figure, path: Path, step: int) -> None:
        for callback in self.trainer.callback_handler.callbacks:
            if isinstance(callback, TensorBoardCallback) and callback.tb_writer is not None:
                callback.tb_writer.add_figure("predictions", figure, step)
            if isinstance(callback, TrackioCallback) and self.trainer.is_in_train:  # trackio ends with the training
                import trackio

                trackio.log({"predictions": trackio.Image(path), "train/global_step": step})
