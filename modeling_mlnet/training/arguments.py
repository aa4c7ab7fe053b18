"""Recipes of `mlnet train`: YAML with the keys of three argument classes, and words that take precedence."""

import json
import math
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NoReturn

import yaml
from transformers import HfArgumentParser, TrainingArguments

from ..architecture_mlnet import MIN_SIZE, STRIDE
from ..configuration_mlnet import nearest_name
from ..metrics import LOWER_IS_BETTER

SCORES = {"loss", "CC", "SIM", "KL", "NSS", "AUC"}
LEAST_IS_BEST = {"loss", *LOWER_IS_BETTER}


def check_number(name: str, value: float | None, least: float, most: float = math.inf) -> None:
    """Raises a ValueError that names a key whose value is out of its range; `None` is allowed."""
    if value is not None and not least <= value <= most:
        allowed = f"at least {least:g}" if most == math.inf else f"between {least:g} and {most:g}"
        raise ValueError(f"{name} must be {allowed}, got {value:g}")


@dataclass
class ModelArguments:
    """The model that is trained, and its canvas."""

    model: str | None = field(default=None, metadata={"help": "checkpoint folder or Hub id to start from"})
    config: dict[str, Any] | str | None = field(
        default=None,
        metadata={"help": "keys of MLNetConfig as a mapping or JSON; they override those of `model`"},
    )
    backbone_weights: str | None = field(
        default=None, metadata={"help": "safetensors file with ImageNet weights; default: timm's own, downloaded"}
    )
    frozen_modules: list[str] = field(
        default_factory=list,
        metadata={
            "help": "modules whose weights are not trained: those of the backbone by their names in timm (blocks.0), "
            "encoder, prior"
        },
    )
    image_processor: dict[str, Any] | str | None = field(
        default=None, metadata={"help": "keys of MLNetImageProcessor, as a mapping or JSON"}
    )

    def __post_init__(self):
        for name in ("config", "image_processor"):
            value = getattr(self, name)
            try:
                mapping = json.loads(value) if isinstance(value, str) else value or {}
            except ValueError as error:
                raise ValueError(f"{name} must be a mapping or JSON, got {value!r}: {error}") from error
            if not isinstance(mapping, dict):
                raise ValueError(f"{name} must be a mapping or JSON, got {value!r}")
            setattr(self, name, mapping)


@dataclass
class DataArguments:
    """Training and validation data; every data set is `NAME:DIR` or a folder with metadata.jsonl."""

    datasets: list[str] = field(default_factory=list, metadata={"help": "data sets to train on"})
    validation_datasets: list[str] = field(
        default_factory=list, metadata={"help": "data sets to validate on; default: the held-out part of `datasets`"}
    )
    held_out: float = field(
        default=0.1, metadata={"help": "fraction of `datasets`, chosen by a hash of the image id, kept for validation"}
    )
    horizontal_flip: bool = field(default=False, metadata={"help": "mirror every second training image at random"})
    random_crop: float = field(
        default=0.0, metadata={"help": "probability of training on a crop of 50 to 100 % of the image's area"}
    )
    crop_off_epoch: int | None = field(
        default=None, metadata={"help": "from this epoch on, counted from 0, train on whole images; default: never"}
    )
    color_jitter: float = field(
        default=0.0, metadata={"help": "greatest change of brightness, contrast and saturation, as a fraction"}
    )
    reduction: float = field(
        default=0.0,
        metadata={
            "help": "probability of training on an image reduced to 200 to 400 px and enlarged again, so that the "
            "network cannot tell a data set by its sharpness"
        },
    )
    canvas_sizes: list[str] = field(
        default_factory=list,
        metadata={
            "help": "HEIGHTxWIDTH in pixels, one drawn for every training batch; default: the image processor's"
        },
    )
    streaming: bool = field(
        default=False,
        metadata={
            "help": "read training images from the files of the data sets during the training; needs max_steps; "
            "without validation_datasets all image ids are read first, to hold a part out"
        },
    )

    def __post_init__(self):
        check_number("random_crop", self.random_crop, 0, 1)
        check_number("color_jitter", self.color_jitter, 0)
        check_number("reduction", self.reduction, 0, 1)
        for size in self.canvas_sizes:
            if not re.fullmatch(r"[1-9]\d*x[1-9]\d*", size):
                raise ValueError(f"canvas_sizes must be like 480x640 (height x width in pixels), got {size!r}")
            if any(int(side) % STRIDE or int(side) < MIN_SIZE for side in size.split("x")):
                least = f"multiples of {STRIDE} of at least {MIN_SIZE}"
                raise ValueError(f"canvas_sizes must hold {least} pixels, got {size!r}")

    def sizes(self) -> list[tuple[int, int]]:
        """`canvas_sizes` as `(height, width)`."""
        return [tuple(map(int, size.split("x"))) for size in self.canvas_sizes]  # type: ignore[misc]


@dataclass
class MLNetTrainingArguments(TrainingArguments):
    """TrainingArguments with seven more, and defaults for dense prediction."""

    backbone_learning_rate: float | None = field(
        default=None, metadata={"help": "learning rate of the backbone; default: that of the rest"}
    )
    learning_rate_decay: float | None = field(
        default=None, metadata={"help": "Keras' decay: the learning rate is divided by 1 + decay * step"}
    )
    early_stopping_patience: int | None = field(
        default=None, metadata={"help": "evaluations without a better score after which training ends"}
    )
    load_best_model_at_end: bool | None = field(
        default=None, metadata={"help": "take the best checkpoint at the end; default: with early_stopping_patience"}
    )
    teachers: list[str] = field(
        default_factory=list,
        metadata={"help": "checkpoints whose maps of the training images are mixed into the labels (distillation)"},
    )
    teacher_share: float = field(default=0.5, metadata={"help": "weight of the teachers' maps in the labels, 0 to 1"})
    freeze_batch_norm: bool = field(default=False, metadata={"help": "do not update the statistics of batch norm"})
    channels_last: bool = field(
        default=False, metadata={"help": "use the channels-last memory format, which is faster on many CPUs and GPUs"}
    )
    remove_unused_columns: bool = False
    batch_eval_metrics: bool = True
    report_to: list[str] = field(  # a list only, so that a recipe and the command line may name several
        default_factory=list, metadata={"help": "experiment trackers: tensorboard, trackio, wandb, mlflow, ..."}
    )

    def __post_init__(self):
        check_number("teacher_share", self.teacher_share, 0, 1)
        check_number("learning_rate_decay", self.learning_rate_decay, 0)
        check_number("early_stopping_patience", self.early_stopping_patience, 1)
        check_number("per_device_train_batch_size", self.per_device_train_batch_size, 1)
        check_number("per_device_eval_batch_size", self.per_device_eval_batch_size, 1)
        if self.max_steps == 0 or (self.max_steps < 0 and not self.num_train_epochs > 0):
            raise ValueError("max_steps must be at least 1, or num_train_epochs above 0: there is nothing to train")
        if self.load_best_model_at_end is None:
            self.load_best_model_at_end = self.early_stopping_patience is not None
        if self.greater_is_better is None and self.metric_for_best_model is not None:  # type: ignore[has-type]
            self.greater_is_better = self.metric_for_best_model.removeprefix("eval_") not in LEAST_IS_BEST
        super().__post_init__()


class RecipeParser(HfArgumentParser):
    """HfArgumentParser that raises an error instead of ending the program."""

    def error(self, message: str) -> NoReturn:
        """Raises a ValueError with argparse's message."""
        raise ValueError(message)


ARGUMENTS = (ModelArguments, DataArguments, MLNetTrainingArguments)


def check_keys(keys: Iterable[Any], valid: set[str], owner: str) -> None:
    """Raises a ValueError with the nearest valid name for the first key that is not valid."""
    for key in keys:
        if key not in valid:
            nearest = nearest_name(key, valid)
            raise ValueError(f"{owner}: there is no key {key!r}; the nearest valid key is {nearest!r}")


def fill_in_variables(value: Any) -> Any:
    """A recipe's value with the environment variables in its strings filled in.

    Raises:
        ValueError: Naming a variable that is not set.
    """
    if isinstance(value, list):
        return [fill_in_variables(item) for item in value]
    if isinstance(value, dict):
        return {key: fill_in_variables(item) for key, item in value.items()}
    if not isinstance(value, str):
        return value
    for name in re.findall(r"\$\{(\w+)\}", value):
        if name not in os.environ:
            raise ValueError(f"the environment variable {name} is not set")
    return re.sub(r"\$\{(\w+)\}", lambda match: os.environ[match[1]], value)


def parse_recipe(path: str | Path, overrides: Sequence[str] = ()) -> tuple[Any, ...]:
    """Reads a YAML recipe; environment variables in it are filled in.

    Args:
        overrides: `--key value` words that take precedence over the recipe.

    Returns:
        `ModelArguments`, `DataArguments` and `MLNetTrainingArguments`.

    Raises:
        ValueError: If the file cannot be read or a key or value is wrong, naming it.
    """
    try:
        recipe = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path}: no such recipe") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: cannot be read as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(recipe, dict):
        raise ValueError(f"{path}: a recipe is a mapping of keys to values, got {type(recipe).__name__}")
    valid = {field.name for arguments in ARGUMENTS for field in fields(arguments) if field.init}
    given = [word[2:].partition("=")[0].replace("-", "_") for word in overrides if word.startswith("--")]
    check_keys([*recipe, *given], valid, str(path))
    try:
        entries = {key: value for key, value in recipe.items() if key not in given}  # variables of others may be unset
        words = [word for key, value in entries.items() for word in _as_words(key, fill_in_variables(value))]
        *parsed, strays = RecipeParser(ARGUMENTS).parse_args_into_dataclasses(
            [*words, *overrides], return_remaining_strings=True
        )
        if strays:
            raise ValueError(f"{strays[0]!r} belongs to no key; write --KEY VALUE")
        return tuple(parsed)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _as_words(key: str, value: Any) -> list[str]:
    """A recipe's entry as command-line words, so that recipe and overrides are typed by one parser."""
    if value is None or value == []:
        return []
    if isinstance(value, dict):
        return [f"--{key}", json.dumps(value)]
    return [f"--{key}", *map(str, value if isinstance(value, list) else [value])]
