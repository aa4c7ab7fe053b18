"""What a person wants to see of a training run: learning curves, the same eight pictures after every evaluation."""

import sys
import time
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from matplotlib.figure import Figure
from transformers import TrainerCallback
from transformers.integrations import TensorBoardCallback, TrackioCallback
from transformers.utils import logging

from ..inference.predictor import SaliencyPredictor
from ..io.atomic import write_whole
from ..metrics import cc
from .augmentation import derived_seed

logger = logging.get_logger(__name__)

PICTURES = 8
CURVES = ("loss", "CC", "SIM", "KL", "NSS", "learning_rate")


def draw_curves(history: list[dict[str, float]]) -> Figure:
    """Loss, scores and learning rate over steps.

    Args:
        history: `log_history` of the Trainer's state.
    """
    figure = Figure(figsize=(12, 6), layout="constrained")
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


def draw_pictures(rows: list[dict[str, Any]], saliency_maps: list[np.ndarray], title: str) -> Figure:
    """Pictures, their densities and the predictions, one below the other, with the correlation of the two maps.

    Args:
        rows: Of the schema.
        saliency_maps: `(height, width)` of each.
        title: Of the figure.
    """
    figure = Figure(figsize=(2.2 * len(rows), 5.6))  # computing the layout would double the time of drawing
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
    for axes, name in zip(grid[:, 0], ("picture", "truth", "prediction"), strict=True):
        axes.set_ylabel(name)
    for axes in grid.ravel():
        axes.set(xticks=[], yticks=[])
    return figure


def save(figure: Figure, path: Path) -> None:
    """Writes a PNG whole or not at all."""
    write_whole(path, partial(figure.savefig, format="png", dpi=90))


class Lines(TrainerCallback):
    """A line on stderr whenever something is logged, for a run that has no terminal to show a bar on."""

    def on_train_begin(self, args, state, control, **kwargs):
        """Called by the Trainer."""
        self.start, self.first = time.perf_counter(), state.global_step

    def on_log(self, args, state, control, logs, **kwargs):
        """Called by the Trainer with figures by their names."""
        steps = state.global_step - self.first
        if not state.is_world_process_zero or not steps:
            return
        pace = (time.perf_counter() - self.start) / steps
        left = timedelta(seconds=round(pace * (state.max_steps - state.global_step)))
        figures = ", ".join(f"{name} {value:.4g}" for name, value in logs.items() if name != "total_flos")
        where = f"step {state.global_step} of {state.max_steps}, {pace:.2f} s a step, {left} left"
        print(f"{where}: {figures}", file=sys.stderr, flush=True)


class Report(TrainerCallback):
    """Writes `report/curves.png` and `report/pictures_STEP.png` into the run's folder; TensorBoard also gets pictures.

    A report that cannot be written is a warning: it must not cost a run.

    Args:
        trainer: Whose model and history are shown.
        rows: Validation rows; the same eight are shown in every run.
    """

    def __init__(self, trainer: Any, rows: Dataset):
        self.trainer = trainer
        order = sorted(range(len(rows)), key=lambda index: derived_seed(rows[index : index + 1]["image_id"][0]))
        self.rows = rows.select(order[:PICTURES])
        self.folder = Path(trainer.args.output_dir) / "report"

    def on_evaluate(self, args, state, control, **kwargs):
        """Called by the Trainer, also once more with the best model, which `pictures_best.png` then shows."""
        if not state.is_world_process_zero:
            return
        step = f"{state.global_step:06d}" if self.trainer.is_in_train else "best"
        model = self.trainer.accelerator.unwrap_model(self.trainer.model)
        dtype = str(model.dtype).removeprefix("torch.")
        predictor = SaliencyPredictor(model, self.trainer.processing_class, str(model.device), dtype)
        rows = list(self.rows)
        pictures = draw_pictures(rows, list(predictor.maps(row["image"] for row in rows)), f"step {step}")
        path = self.folder / f"pictures_{step}.png"
        try:
            save(draw_curves(state.log_history), self.folder / "curves.png")
            save(pictures, path)
        except OSError as error:
            logger.warning(f"{self.folder}: the report cannot be written: {error}")
        try:
            self._send(pictures, path, state.global_step)
        except OSError as error:
            logger.warning(f"the report's pictures cannot be sent on: {error}")

    def _send(self, pictures: Figure, path: Path, step: int) -> None:
        for callback in self.trainer.callback_handler.callbacks:
            if isinstance(callback, TensorBoardCallback) and callback.tb_writer is not None:
                callback.tb_writer.add_figure("pictures", pictures, step)
            if isinstance(callback, TrackioCallback) and self.trainer.is_in_train:  # it ends with the training
                import trackio

                trackio.log({"pictures": trackio.Image(path), "train/global_step": step})
