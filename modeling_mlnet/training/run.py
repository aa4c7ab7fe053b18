"""Training with the Hugging Face Trainer: recipe in, best checkpoint out."""

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from datasets import Dataset, Features, IterableDataset, Value, concatenate_datasets
from huggingface_hub.errors import StrictDataclassError
from transformers import EarlyStoppingCallback, PrinterCallback, set_seed
from transformers.integrations import get_available_reporting_integrations
from transformers.trainer_utils import HubStrategy
from transformers.utils import logging

from ..configuration_mlnet import MLNetConfig
from ..data import CATALOG, has_splits, is_held_out, load
from ..hub.checkpoint import load_checkpoint
from ..hub.model_card import TrainingSet
from ..image_processing_mlnet import MLNetImageProcessor
from ..modeling_mlnet import MLNetModel
from .arguments import (
    LEAST_IS_BEST,
    SCORES,
    DataArguments,
    MLNetTrainingArguments,
    ModelArguments,
    check_keys,
    parse_recipe,
)
from .augmentation import Augment, Collator, SetEpoch
from .checkpoints import checkpoints_of, is_whole
from .dataloader_workers import plain_errors
from .report import Lines, Report
from .resume import check_settings, settings_of, write_settings
from .run_card import RunOrigin, command_line
from .start import keep_better, score_start
from .trainer import BatchMetrics, Interruption, MLNetTrainer

logger = logging.get_logger(__name__)

SHUFFLED = 256  # rows of a stream that wait for their turn, their pictures still encoded


def build_model(arguments: ModelArguments) -> tuple[MLNetModel, MLNetImageProcessor]:
    """The model to train and its image processor: from a checkpoint, or new on an ImageNet backbone.

    Raises:
        ValueError: If something cannot be loaded or built, or both a checkpoint and backbone weights are given.
    """
    keys: Any = {**arguments.config}  # type: ignore[dict-item]
    overrides: Any = arguments.image_processor
    check_keys(overrides, set(MLNetImageProcessor.valid_kwargs.__annotations__), "image_processor")
    if arguments.model is not None:
        if arguments.backbone_weights:
            raise ValueError("give either model (a checkpoint to start from) or backbone_weights, not both")
        recordings = keys.pop("recordings", ())
        model, image_processor = load_checkpoint(arguments.model, **keys)
        if recordings and not model.config.recordings:
            model.set_recordings(recordings)
        elif recordings and list(recordings) != list(model.config.recordings):
            raise ValueError(
                f"config: {arguments.model} knows the recordings {list(model.config.recordings)}, got {recordings}"
            )
        size = {"size": _size(model.config)} if "image_size" in keys else {}
        image_processor = MLNetImageProcessor(**{**image_processor.to_dict(), **size, **overrides})
        return _on_canvas(model, image_processor)
    try:
        config = MLNetConfig(**keys)
    except StrictDataclassError as error:  # a value of the wrong type
        raise ValueError(f"config: {' '.join(str(error).split())}") from error
    model = MLNetModel.from_imagenet(config, arguments.backbone_weights)
    statistics = {}
    if arguments.backbone_weights is None:  # the statistics timm's own weights were trained with, for 0..255
        weights = timm.get_pretrained_cfg(config.backbone)
        statistics = {f"image_{name}": [255 * one for one in getattr(weights, name)] for name in ("mean", "std")}
    return _on_canvas(model, MLNetImageProcessor(**{"size": _size(config), **statistics, **overrides}))


def freeze(model: MLNetModel, modules: Sequence[str]) -> None:
    """Takes the weights of backbone modules, by timm's names, out of the training.

    Raises:
        ValueError: If a module has no weights or does not exist.
    """
    for module in modules:
        weights = [
            weight
            for name, weight in model.backbone.named_parameters()
            if model.backbone.timm_name(name).startswith(f"{module}.")
        ]
        if not weights:
            raise ValueError(f"frozen_modules names {module!r}, of which {model.config.backbone} has no weights")
        for weight in weights:
            weight.requires_grad_(False)


def _size(config: MLNetConfig) -> dict[str, int]:
    return dict(zip(("height", "width"), config.image_size, strict=True))


def _on_canvas(model: MLNetModel, image_processor: MLNetImageProcessor) -> tuple[MLNetModel, MLNetImageProcessor]:
    """Both, with the processor's canvas in the configuration, as `size` alone may have been given."""
    size: Any = image_processor.size
    model.config.image_size = [size["height"], size["width"]]
    return model, image_processor


def build_datasets(arguments: DataArguments) -> tuple[Dataset | IterableDataset, Dataset]:
    """Training and validation rows.

    With `streaming`, training rows are read from the data sets' files while training goes on.

    Raises:
        ValueError: If one of them is empty.
    """
    if not arguments.datasets:
        raise ValueError("datasets is empty: name at least one data set, as NAME:DIR")
    split = partial(_load_split, arguments.datasets, "train")
    if arguments.validation_datasets:
        train = split(arguments.streaming)
        validation = _load_split(arguments.validation_datasets, "validation")
    else:
        rows = split()
        held_out = [is_held_out(image_id, arguments.held_out) for image_id in rows["image_id"]]
        validation = rows.select([i for i, held in enumerate(held_out) if held])
        train = rows.select([i for i, held in enumerate(held_out) if not held])
        if not len(train) or not len(validation):
            counts = f"{len(train)} pictures to train, {len(validation)} not"
            raise ValueError(f"held_out={arguments.held_out} leaves {counts}")
        if arguments.streaming:
            kept = lambda image_id: not is_held_out(image_id, arguments.held_out)  # noqa: E731
            train = split(True).filter(kept, input_columns="image_id")
    return train, validation


def _load_split(specs: Sequence[str], split: str, streaming: bool = False) -> Dataset | IterableDataset:
    loaded = []
    for spec in specs:
        rows = load(spec, split if has_splits(spec) else None, streaming=streaming)
        name = spec.partition(":")[0]
        recording = CATALOG[name].recording if name in CATALOG else "eye"
        column = {
            "fn_kwargs": {"recording": recording},
            "features": Features({**rows.features, "recording": Value("string")}),
        }
        loaded.append(
            rows.map(lambda image_id, recording: {"recording": recording}, input_columns="image_id", **column)
        )
    return concatenate_datasets(loaded)


def augmented(train: Dataset | IterableDataset, augment: Augment) -> Dataset | IterableDataset:
    """The rows, changed by `augment` when they are read; streams in an order of their own, from a buffer."""
    if isinstance(train, IterableDataset):
        return train.shuffle(augment.seed, buffer_size=SHUFFLED).map(augment.change_row)
    return train.with_transform(augment)


def last_checkpoint(arguments: MLNetTrainingArguments) -> str | None:
    """The last whole checkpoint of a run that was interrupted; half-written ones are removed."""
    whole = None
    for checkpoint in checkpoints_of(Path(arguments.output_dir)):
        if is_whole(checkpoint):
            whole = str(checkpoint)
        elif arguments.should_save:
            logger.warning(f"{checkpoint}: was not written to its end and is removed")
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
    for name in ("tensorboard", "trackio", "wandb", "mlflow"):  # a name that is none at all, transformers refuses
        if name in arguments.report_to and name not in get_available_reporting_integrations():
            raise ValueError(f"{recipe}: report_to {name} needs a package that is not installed: pip install {name}")
    if arguments.dataloader_persistent_workers:
        raise ValueError(f"{recipe}: dataloader_persistent_workers must be false: workers are told the epoch at start")
    if arguments.push_to_hub and arguments.hub_strategy in (HubStrategy.CHECKPOINT, HubStrategy.ALL_CHECKPOINTS):
        raise ValueError(f"{recipe}: hub_strategy must be end or every_save: optimizer states are never published")
    kept = arguments.save_total_limit
    if kept is not None and 1 <= kept <= arguments.average_checkpoints:
        raise ValueError(
            f"{recipe}: average_checkpoints={arguments.average_checkpoints} needs save_total_limit of at least "
            f"{arguments.average_checkpoints + 1}: the best one counts too, got {kept}"
        )
    if streaming and arguments.max_steps < 1:
        raise ValueError(f"{recipe}: a stream has no length: streaming needs max_steps")
    for key in ("eval_strategy", "save_strategy", "logging_strategy"):
        # in several processes a pass ends at different steps, and one would wait for the other for ever
        if streaming and getattr(arguments, key) == "epoch":
            raise ValueError(f"{recipe}: {key} must be steps or no with streaming, which has no epochs; got epoch")


@contextmanager
def missing_run_named(output_dir: str, names: Iterable[str | None]) -> Iterator[None]:
    """Says of a checkpoint that cannot be loaded that it may be a run to be trained first; the Hub was asked for it.

    Args:
        output_dir: Of the run that is to start; `runs/mini` beside `runs/mini_larger` is a run.
        names: Of the checkpoints that are loaded meanwhile.
    """
    try:
        yield
    except ValueError as error:
        beside = Path(output_dir).parent
        missing = [one for one in names if one and Path(one).parent == beside != Path() and not Path(one).exists()]
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
        raise ValueError(f"{recipe}: output_dir {output} is not yours to write in")


def run_origin(recipe: str | Path, overrides: Sequence[str], model: ModelArguments, data: DataArguments) -> RunOrigin:
    """What the model card says of a run's start, data and augmentation."""
    config: Any = model.config
    weights = f"`{Path(model.backbone_weights).name}`" if model.backbone_weights else "timm's own"
    start = f"the checkpoint `{Path(model.model).name}`" if model.model else f"{weights} ImageNet weights"
    if not model.model:
        start += f" of `{config.get('backbone', MLNetConfig().backbone)}`"
    if model.frozen_modules:
        start += f"; {', '.join(model.frozen_modules)} frozen"
    validation = data.validation_datasets
    sets = []
    for spec in dict.fromkeys([*data.datasets, *validation]):
        trained: int | None = 0
        scored = 0
        if spec in data.datasets and not validation:
            kept = [is_held_out(one, data.held_out) for one in _load_split([spec], "train")["image_id"]]
            trained, scored = len(kept) - sum(kept), sum(kept)
        else:
            if spec in data.datasets:
                trained = None if data.streaming else len(_load_split([spec], "train"))
            scored = len(_load_split([spec], "validation")) if spec in validation else 0
        sets.append(TrainingSet.of(spec, trained, scored))
    until = "" if data.crop_off_epoch is None else f" in the first {data.crop_off_epoch} epochs"
    changes = [
        "mirrored" if data.horizontal_flip else "",
        f"crops of {data.random_crop:.0%}{until}" if data.random_crop else "",
        f"colours by {data.color_jitter:g}" if data.color_jitter else "",
        f"canvases {', '.join(data.canvas_sizes)}" if data.canvas_sizes else "",
    ]
    return RunOrigin(command_line(recipe, overrides), start, sets, ", ".join(filter(None, changes)) or "none")


def train(recipe: str | Path, overrides: Sequence[str] = ()) -> dict[str, float]:
    """Trains as a recipe says; a run that was interrupted goes on from its last whole checkpoint.

    The best checkpoint by `metric_for_best_model` ends up in `output_dir` itself, beside it `report/` with learning
    curves and pictures. A training that starts from a checkpoint scores it first; if nothing beats it, it is kept.

    Args:
        recipe: YAML file with keys of `ModelArguments`, `DataArguments` and `MLNetTrainingArguments`.
        overrides: `--key value` words.

    Returns:
        The validation scores of the best checkpoint.

    Raises:
        ValueError: For a wrong recipe, model or data set, or a loss that is no number.
        OSError: If a checkpoint cannot be written.
    """
    model_arguments, data_arguments, arguments = parse_recipe(recipe, overrides)
    check_arguments(recipe, arguments, data_arguments.streaming)
    check_output(recipe, Path(arguments.output_dir))
    settings = settings_of(model_arguments, data_arguments, arguments)
    last, named = last_checkpoint(arguments), arguments.resume_from_checkpoint
    if last is not None and (named is None or Path(named).resolve().parent != Path(last).resolve().parent):
        check_settings(last, settings, arguments)
    arguments.label_names = ["labels", "row"]
    if data_arguments.streaming:
        arguments.accelerator_config.dispatch_batches = False  # every process reads its own shards
    set_seed(arguments.seed)
    with missing_run_named(arguments.output_dir, [model_arguments.model]):
        model, image_processor = build_model(model_arguments)
    freeze(model, model_arguments.frozen_modules)
    if arguments.channels_last:
        model = model.to(memory_format=torch.channels_last)
    with arguments.main_process_first(desc="reading data sets"):
        train_dataset, validation_dataset = build_datasets(data_arguments)
    augment = Augment(data_arguments, (image_processor.size.height, image_processor.size.width), arguments.seed)
    collator = Collator(image_processor, data_arguments.sizes(), arguments.seed, model.config.recordings)
    with missing_run_named(arguments.output_dir, arguments.teachers):
        trainer = MLNetTrainer(
            model=model,
            args=arguments,
            data_collator=collator,
            train_dataset=augmented(train_dataset, augment),
            eval_dataset=validation_dataset.add_column("row", np.arange(len(validation_dataset))),
            processing_class=image_processor,
            compute_metrics=BatchMetrics(validation_dataset, image_processor),
            callbacks=[SetEpoch(augment, collator)],
        )
    trainer.origin = run_origin(recipe, overrides, model_arguments, data_arguments)
    trainer.add_callback(Report(trainer, validation_dataset))
    if arguments.disable_tqdm:
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(Lines)
    if arguments.early_stopping_patience is not None:
        trainer.add_callback(EarlyStoppingCallback(arguments.early_stopping_patience))
    if arguments.should_save:
        write_settings(Path(arguments.output_dir), settings)
    with plain_errors(), Interruption() as interruption:
        trainer.add_callback(interruption)
        start = score_start(trainer) if model_arguments.model and arguments.eval_strategy != "no" else None
        trainer.train(resume_from_checkpoint=named or last)
        scores = trainer.evaluate()
        if arguments.average_checkpoints:
            scores = trainer.try_average(arguments.average_checkpoints, scores)
        if start is not None:
            scores = keep_better(trainer, start, scores)
    trainer.save_model(_internal_call=True)
    trainer.save_metrics("eval", scores)
    trainer.save_state()
    if arguments.push_to_hub:
        trainer.push_to_hub()
    else:
        trainer.create_model_card()
    return scores
