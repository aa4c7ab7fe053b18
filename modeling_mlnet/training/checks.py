"""Checks of a training before it starts: its arguments, its folder, the checkpoint it continues from."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from transformers.integrations import get_available_reporting_integrations
from transformers.trainer_utils import HubStrategy
from transformers.utils import logging

from .arguments import LEAST_IS_BEST, SCORES, MLNetTrainingArguments
from .checkpoints import checkpoints_of, is_whole

logger = logging.get_logger(__name__)


def last_checkpoint(arguments: MLNetTrainingArguments) -> str | None:
    """The last complete checkpoint of an interrupted run; incomplete ones are removed."""
    whole = None
    for checkpoint in checkpoints_of(Path(arguments.output_dir)):
        if is_whole(checkpoint):
            whole = str(checkpoint)
        elif arguments.should_save:
            logger.warning(f"{checkpoint}: is incomplete and is removed")
            shutil.rmtree(checkpoint)
    return whole


def check_arguments(recipe: str | Path, arguments: MLNetTrainingArguments, streaming: bool) -> None:
    """Raises a ValueError for what would fail late, or not at all, in the Trainer."""
    best = (arguments.metric_for_best_model or "loss").removeprefix("eval_")
    if best not in SCORES:
        raise ValueError(f"{recipe}: metric_for_best_model must be one of {sorted(SCORES)}, got {best!r}")
    if arguments.metric_for_best_model is not None and arguments.greater_is_better == (best in LEAST_IS_BEST):
        wanted = "false" if best in LEAST_IS_BEST else "true"
        raise ValueError(f"{recipe}: greater_is_better must be {wanted} for metric_for_best_model {best!r}")
    if arguments.early_stopping_patience is not None and arguments.eval_strategy == "no":
        raise ValueError(f"{recipe}: early_stopping_patience needs eval_strategy epoch or steps, got no")
    if arguments.early_stopping_patience is not None and arguments.metric_for_best_model is None:
        raise ValueError(f"{recipe}: early_stopping_patience needs metric_for_best_model")
    for name in ("tensorboard", "trackio", "wandb", "mlflow"):  # transformers refuses names it does not know
        if name in arguments.report_to and name not in get_available_reporting_integrations():
            raise ValueError(f"{recipe}: report_to {name} needs a package that is not installed: pip install {name}")
    if arguments.dataloader_persistent_workers:
        raise ValueError(
            f"{recipe}: dataloader_persistent_workers must be false: workers get the epoch at their start"
        )
    if arguments.push_to_hub and arguments.hub_strategy in (HubStrategy.CHECKPOINT, HubStrategy.ALL_CHECKPOINTS):
        raise ValueError(f"{recipe}: hub_strategy must be end or every_save: optimizer states are never published")
    if streaming and arguments.max_steps < 1:
        raise ValueError(f"{recipe}: a stream has no length: streaming needs max_steps")
    for key in ("eval_strategy", "save_strategy", "logging_strategy"):
        # processes reach the end of a pass at different steps, and would wait for each other for ever
        if streaming and getattr(arguments, key) == "epoch":
            raise ValueError(f"{recipe}: {key} must be steps or no with streaming, which has no epochs; got epoch")


@contextmanager
def suggest_missing_run(output_dir: str, names: Iterable[str | None]) -> Iterator[None]:
    """If a missing checkpoint looks like the output of another recipe, suggests to train that first.

    Args:
        output_dir: Folder of the run that is to start. `runs/teacher` looks like a run beside `runs/mini`.
        names: Names of the checkpoints that are loaded inside this context.
    """
    try:
        yield
    except ValueError as error:
        beside = Path(output_dir).parent
        missing = [
            name for name in names if name and Path(name).parent == beside != Path() and not Path(name).exists()
        ]
        if not missing:
            raise
        raise ValueError(f"{missing[0]}: no such run beside output_dir; train it first ({error})") from error


def check_output(recipe: str | Path, output: Path) -> None:
    """Raises a ValueError if a run's folder cannot be made or written in."""
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{recipe}: output_dir {output} cannot be made: {error.strerror}") from error
    if not os.access(output, os.W_OK):
        raise ValueError(f"{recipe}: output_dir {output} is not writable")
