"""`mlnet train`."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def train(
    context: typer.Context,
    recipe: Annotated[Path, typer.Argument(help="YAML recipe.", metavar="CONFIG.yaml")],
) -> None:
    """Train as a recipe says; `--key value` takes precedence over the recipe's keys.

    Keys are those of transformers' TrainingArguments and, for model and data: config, model, backbone_weights,
    image_processor, datasets, validation_datasets, held_out, horizontal_flip, random_crop, color_jitter,
    backbone_learning_rate, learning_rate_decay, early_stopping_patience, freeze_batch_norm, channels_last.

    A run that was interrupted goes on from its last checkpoint.

    Example: mlnet train recipes/mini.yaml --num_train_epochs 2 --output_dir runs/short
    """
    from ..training import train as run
    from .progress import quiet_libraries

    silent = [] if sys.stderr.isatty() else ["--disable_tqdm", "true"]
    quiet_libraries()
    scores = run(recipe, [*silent, *context.args])
    shown = {name.removeprefix("eval_"): value for name, value in scores.items() if name.startswith("eval_")}
    print("  ".join(f"{name} {shown[name]:.4f}" for name in ("CC", "SIM", "KL", "NSS") if name in shown))
