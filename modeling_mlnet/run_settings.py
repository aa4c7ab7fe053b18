"""The settings of the run in a folder: a run with other ones must not go on from its checkpoints."""

import json
from pathlib import Path
from typing import Any

from transformers.trainer import TRAINER_STATE_NAME

from .recipe import DataArguments, MLNetTrainingArguments, ModelArguments
from .whole_files import write_whole

SETTINGS = "settings.json"
# Those of transformers and our own that change what is learned; the others, as workers and precision, are a machine's.
LEARNING = (
    *("seed", "data_seed", "learning_rate", "backbone_learning_rate", "learning_rate_decay", "lr_scheduler_type"),
    *("lr_scheduler_kwargs", "warmup_steps", "optim", "optim_args", "weight_decay", "adam_beta1", "adam_beta2"),
    *("adam_epsilon", "max_grad_norm", "freeze_batch_norm", "teachers", "teacher_share", "metric_for_best_model"),
)


def settings_of(model: ModelArguments, data: DataArguments, arguments: MLNetTrainingArguments) -> dict[str, Any]:
    """What a run learns from and how. Files and data sets go by their last name, as folders may be moved."""
    values = {**vars(model), **vars(data), **{name: getattr(arguments, name) for name in LEARNING}}
    values["pictures in a batch"] = (
        arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps * arguments.world_size
    )
    for name in ("model", "backbone_weights", "teachers", "datasets", "validation_datasets"):
        value = values[name]
        values[name] = [Path(one).name for one in value] if isinstance(value, list) else value and Path(value).name
    return json.loads(json.dumps(values, default=lambda one: getattr(one, "value", str(one)), sort_keys=True))


def check_settings(checkpoint: str, settings: dict[str, Any], arguments: MLNetTrainingArguments) -> None:
    """Raises a ValueError if a run with other settings left a checkpoint, or a longer one did.

    Args:
        checkpoint: In the run's folder; one without settings, as older versions left it, is taken as it is.
        settings: Of the run that is to go on there.
        arguments: Its length.
    """
    folder = Path(checkpoint).parent
    then = "give another output_dir, or remove this one to start anew"
    try:
        kept = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        kept = {}
    others = [name for name, value in settings.items() if name in kept and kept[name] != value]
    if others:
        name, more = others[0], f" (and {len(others) - 1} more settings)" if len(others) > 1 else ""
        raise ValueError(f"{folder}: holds a run with {name} {kept[name]!r}, not {settings[name]!r}{more}; {then}")
    state = json.loads((Path(checkpoint) / TRAINER_STATE_NAME).read_text(encoding="utf-8"))
    if arguments.max_steps > 0:
        name, done = "max_steps", state["global_step"]
    else:
        name, done = "num_train_epochs", state["epoch"]
    if done > getattr(arguments, name):
        raise ValueError(f"{folder}: holds a run beyond {name} {getattr(arguments, name):g}, at {done:g}; {then}")


def write_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Keeps the settings of a run in its folder."""
    text = json.dumps(settings, indent=2, sort_keys=True) + "\n"
    write_whole(folder / SETTINGS, lambda file: file.write(text.encode()))
