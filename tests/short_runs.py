"""Training runs of seconds."""

import json
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from layouts import write_folder


def write_recipe(folder: Path, checkpoint: Path) -> Path:
    """A run of seconds: 12 images, a small network."""
    lines = {
        "model": str(checkpoint),
        "datasets": [f"folder:{write_folder(folder / 'data')}"],
        "held_out": 0.4,
        "horizontal_flip": True,
        "output_dir": str(folder / "run"),
        "num_train_epochs": 2,
        "per_device_train_batch_size": 4,
        "learning_rate": 0.001,
        "backbone_learning_rate": 0.0001,
        "freeze_batch_norm": True,
        "eval_strategy": "epoch",
        "save_strategy": "epoch",
        "load_best_model_at_end": True,
        "metric_for_best_model": "CC",
        "greater_is_better": True,
        "optim": "adamw_torch",
        "use_cpu": True,
        "disable_tqdm": True,
        "seed": 7,
    }
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(lines))  # JSON is YAML
    return path


class FinishedRun(NamedTuple):
    """A finished run: its folder, the scores that it returned, what it said on stderr."""

    folder: Path
    scores: dict[str, float]
    said: str


def train_once(folder: Path, checkpoint: Path) -> FinishedRun:
    """Trains as `write_recipe` says, with every step in the log."""
    from modeling_mlnet.training.run import train

    with redirect_stderr(StringIO()) as said:
        scores = train(write_recipe(folder, checkpoint), ["--logging_steps", "1"])
    return FinishedRun(folder / "run", scores, said.getvalue())
