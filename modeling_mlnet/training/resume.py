"""Settings of a run, kept in its folder, so that a run with other settings does not continue from its checkpoints."""

import json
from pathlib import Path

from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from ..data.loading import split_spec
from ..io.atomic import write_whole
from ..io.json_types import JsonObject
from .arguments import DataArguments, MLNetTrainingArguments, ModelArguments
from .checkpoints import read_state

SETTINGS = "settings.json"
# Arguments that change what is learned. The others, such as workers and precision, depend on the machine.
LEARNING = (
    *("seed", "data_seed", "learning_rate", "backbone_learning_rate", "learning_rate_decay", "lr_scheduler_type"),
    *("lr_scheduler_kwargs", "warmup_steps", "optim", "optim_args", "weight_decay", "adam_beta1", "adam_beta2"),
    *("adam_epsilon", "max_grad_norm", "freeze_batch_norm", "teachers", "teacher_share", "metric_for_best_model"),
)


def settings_of(model: ModelArguments, data: DataArguments, arguments: MLNetTrainingArguments) -> JsonObject:
    """The settings of a run. Files and data sets are named without their folders, which may be moved."""
    values = {**vars(model), **vars(data), **{name: getattr(arguments, name) for name in LEARNING}}
    values["optim"] = str(arguments.optim.value).removesuffix("_fused")  # the same optimizer in another implementation
    batch = arguments.train_batch_size * arguments.gradient_accumulation_steps * arguments.world_size
    values["images in a batch"] = batch
    for name in ("model", "backbone_weights"):
        values[name] = values[name] and _last_name(Path(values[name]))
    values["teachers"] = [_last_name(Path(name)) for name in values["teachers"]]
    for name in ("datasets", "validation_datasets"):
        sets = map(split_spec, values[name])
        values[name] = [f"{kind}:{_last_name(folder)}" for kind, folder in sets]
    return json.loads(json.dumps(values, default=lambda value: getattr(value, "value", str(value)), sort_keys=True))


def _last_name(path: Path) -> str:
    path = path.absolute()
    is_step = path.name.startswith(f"{PREFIX_CHECKPOINT_DIR}-")  # a name that occurs in many runs
    return f"{path.parent.name}/{path.name}" if is_step else path.name


def check_settings(checkpoint: str, settings: JsonObject, arguments: MLNetTrainingArguments) -> None:
    """Raises a ValueError if a checkpoint is of a run with other settings, or of a longer one.

    Args:
        checkpoint: In the folder of the run. If there are no settings beside it, as older versions left it, it is
            accepted.
        settings: Settings of the run that is to continue.
        arguments: They hold its length.
    """
    folder = Path(checkpoint).parent
    then = (
        f"give another output_dir, go on all the same with --resume_from_checkpoint {checkpoint}, or remove the "
        "folder to start anew"
    )
    previous = _read(folder / SETTINGS)
    changed = [name for name, value in settings.items() if name in previous and previous[name] != value]
    if changed:
        name, more = changed[0], f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
        raise ValueError(f"{folder}: holds a run with {name} {previous[name]!r}, not {settings[name]!r}{more}; {then}")
    state = read_state(Path(checkpoint))
    step, epoch = state["global_step"], state["epoch"]
    if arguments.max_steps > 0:
        name, is_beyond = "max_steps", step > arguments.max_steps
    else:  # the last step may end in the next epoch
        name, is_beyond = "num_train_epochs", epoch * (step - 1) / step >= arguments.num_train_epochs
    if is_beyond:
        limit = getattr(arguments, name)
        raise ValueError(f"{folder}: holds a run beyond {name} {limit:g}, at step {step}, epoch {epoch:g}; {then}")


def _read(path: Path) -> JsonObject:
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(settings, dict):
            raise ValueError("an object is expected")
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ValueError(f"{path}: is damaged, remove it to go on: {error}") from error
    return settings


def write_settings(folder: Path, settings: JsonObject) -> None:
    """Writes the settings of a run into its folder."""
    text = json.dumps(settings, indent=2, sort_keys=True) + "\n"
    write_whole(folder / SETTINGS, lambda file: file.write(text.encode()))
