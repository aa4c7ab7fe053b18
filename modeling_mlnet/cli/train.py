"""`mlnet train`."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer


def train(
    context: typer.Context,
    recipe: Annotated[Path, typer.Argument(help="YAML recipe.", metavar="CONFIG.yaml")],
) -> None:
    """Train with a recipe; `--key value` overrides the recipe's keys.

    Keys are those of transformers' TrainingArguments and, for model and data: model, config, backbone_weights,
    frozen_modules, image_processor, datasets, validation_datasets, held_out, horizontal_flip, random_crop,
    crop_off_epoch, color_jitter, reduction, canvas_sizes, streaming, backbone_learning_rate, learning_rate_decay,
    early_stopping_patience, teachers, teacher_share, freeze_batch_norm, channels_last.
    docs/reproduce.md says what each means. In a recipe, ${NAME} is an environment variable.

    An interrupted run continues from its last checkpoint. The folder report/ of the run has learning curves, and
    predictions for the same eight images after every evaluation.

    Example: mlnet train recipes/mini.yaml --num_train_epochs 2 --output_dir runs/short

    Two processes: torchrun --nproc_per_node 2 -m modeling_mlnet.cli train recipes/mini.yaml
    """
    from ..training.run import train as run
    from .memory import keep_memory

    silent = [] if sys.stderr.isatty() else ["--disable_tqdm", "true"]
    keep_memory()
    try:
        scores = run(recipe, [*silent, *context.args])
    except KeyboardInterrupt:
        print("mlnet: stopped; the same command continues from the last checkpoint", file=sys.stderr)
        raise typer.Exit(130) from None
    if os.environ.get("RANK", "0") != "0":
        return
    shown = {name.removeprefix("eval_"): value for name, value in scores.items() if name.startswith("eval_")}
    print("  ".join(f"{name} {shown[name]:.4f}" for name in ("CC", "SIM", "KL", "NSS") if name in shown))
