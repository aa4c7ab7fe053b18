"""The settings of the run in a folder: a run with other ones must not go on from its checkpoints."""

import json
from pathlib import Path
from typing import Any

from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from ..data.loading import split_spec
from ..io.atomic import write_whole
from .arguments import DataArguments, MLNetTrainingArguments, ModelArguments
from .checkpoints import read_state

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
    values["optim"] = str(arguments.optim.value).removesuffix("_fused")  # the same steps, where PyTorch has it
    batch = arguments.train_batch_size * arguments.gradient_accumulation_steps * arguments.world_size
    values["pictures in a batch"] = batch
    for name in ("model", "backbone_weights"):
        values[name] = values[name] and _last_name(Path(values[name]))
    values["teachers"] = [_last_name(Path(one)) for one in values["teachers"]]
    for name in ("datasets", "validation_datasets"):
        sets = map(split_spec, values[name])
        values[name] = [f"{kind}:{_last_name(place)}" for kind, place in sets]
    return json.loads(json.dumps(values, default=lambda one: getattr(one, "value", str(one)), sort_keys=True))


def _last_name(path: Path) -> str:
    path = path.absolute()
    is_step = path.name.startswith(f"{PREFIX_CHECKPOINT_DIR}-")  # which many runs have
    return f"{path.parent.name}/{path.name}" if is_step else path.name


def check_settings(checkpoint: str, settings: dict[str, Any], arguments: MLNetTrainingArguments) -> None:
    """Raises a ValueError if a run with other settings left a checkpoint, or a longer one did.

    Args:
        checkpoint: In the run's folder; one without settings, as older versions left it, is taken as it is.
        settings: Of the run that is to go on there.
        arguments: Its length.
    """
    folder = Path(checkpoint).parent
    then = (
        f"give another output_dir, go on all the same with --resume_from_checkpoint {checkpoint}, or remove the "
        "folder to start anew"
    )
    kept = _read(folder / SETTINGS)
    others = [name for name, value in settings.items() if name in kept and kept[name] != value]
    if others:
        name, more = others[0], f" (and {len(others) - 1} more)" if len(others) > 1 else ""
        raise ValueError(f"{folder}: holds a run with {name} {kept[name]!r}, not {settings[name]!r}{more}; {then}")
    state = read_state(Path(checkpoint))
    step, epoch = state["global_step"], state["epoch"]
    if arguments.max_steps > 0:
        name, is_beyond = "max_steps", step > arguments.max_steps
    else:  # whose last step is counted whole
        name, is_beyond = "num_train_epochs", epoch * (step - 1) / step >= arguments.num_train_epochs
    if is_beyond:
        limit = getattr(arguments, name)
        raise ValueError(f"{folder}: holds a run beyond {name} {limit:g}, at step {step}, epoch {epoch:g}; {then}")


def _read(path: Path) -> dict[str, Any]:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(kept, dict):
            raise ValueError("an object is expected")
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ValueError(f"{path}: is damaged, remove it to go on: {error}") from error
    return kept


def write_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Keeps the settings of a run in its folder."""
    text = json.dumps(settings, indent=2, sort_keys=True) + "\n"
    write_whole(folder / SETTINGS, lambda file: file.write(text.encode()))
