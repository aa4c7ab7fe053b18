"""A training from its recipe to the best checkpoint."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import timm
import torch
from datasets import Dataset, IterableDataset, concatenate_datasets
from huggingface_hub.errors import StrictDataclassError
from transformers import EarlyStoppingCallback, PrinterCallback, set_seed
from transformers.utils import logging

from ..configuration_mlnet import MLNetConfig
from ..data import has_splits, is_held_out, load
from ..data.loading import load_rows
from ..data.schema import split_held_out
from ..evaluation.orientation import find_turned, sample_rows
from ..hub.checkpoint import load_checkpoint
from ..hub.model_card import TrainingSet
from ..image_processing_mlnet import MLNetImageProcessor
from ..inference.predictor import SaliencyPredictor
from ..modeling_mlnet import MLNetModel
from .arguments import DataArguments, ModelArguments, check_keys, parse_recipe
from .augmentation import Augment, Collator, SetEpoch
from .callbacks import Interruption
from .checks import check_arguments, check_output, last_checkpoint, suggest_missing_run
from .dataloader_workers import unwrap_worker_errors
from .report import LogLines, ReportCallback
from .resume import check_settings, settings_of, write_settings
from .run_card import RunOrigin, command_line
from .scoring import BatchMetrics
from .start import keep_better, score_start
from .trainer import MLNetTrainer

logger = logging.get_logger(__name__)

SHUFFLE_BUFFER = 256  # rows of a stream, with images still encoded


def build_model(arguments: ModelArguments) -> tuple[MLNetModel, MLNetImageProcessor]:
    """Loads the model to train from a checkpoint, or builds it on an ImageNet backbone; with its image processor.

    Raises:
        ValueError: If something cannot be loaded or built, or both a checkpoint and backbone weights are given.
    """
    keys = dict(cast(dict[str, Any], arguments.config))
    overrides = cast(dict[str, Any], arguments.image_processor)
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
    else:
        try:
            config = MLNetConfig(**keys)
        except StrictDataclassError as error:  # a value of the wrong type
            raise ValueError(f"config: {' '.join(str(error).split())}") from error
        model = MLNetModel.from_imagenet(config, arguments.backbone_weights)
        statistics = {}
        if arguments.backbone_weights is None:  # the statistics timm's own weights were trained with, for 0..255
            weights = timm.get_pretrained_cfg(config.backbone)
            for name in ("mean", "std"):
                statistics[f"image_{name}"] = [255 * value for value in getattr(weights, name)]
        image_processor = MLNetImageProcessor(**{"size": _size(config), **statistics, **overrides})
    canvas: Any = image_processor.size  # of which a recipe may set only this
    model.config.image_size = [canvas["height"], canvas["width"]]
    return model, image_processor


def freeze(model: MLNetModel, modules: Sequence[str]) -> None:
    """Excludes modules from training: those of the backbone by their names in timm, `encoder` and `prior`.

    Raises:
        ValueError: If a module has no weights or does not exist.
    """
    named = [(model.backbone.timm_name(name), weight) for name, weight in model.backbone.named_parameters()]
    named += [(name, weight) for name, weight in model.named_parameters() if not name.startswith("backbone.")]
    for module in modules:
        weights = [weight for name, weight in named if name.startswith(f"{module}.")]
        if not weights:
            raise ValueError(f"frozen_modules names {module!r}, of which {model.config.backbone} has no weights")
        for weight in weights:
            weight.requires_grad_(False)


def _size(config: MLNetConfig) -> dict[str, int]:
    return dict(zip(("height", "width"), config.image_size, strict=True))


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
        train, validation = split_held_out(rows, arguments.held_out)
        if not len(train) or not len(validation):
            counts = f"{len(train)} images for training, {len(validation)} for validation"
            raise ValueError(f"held_out={arguments.held_out} leaves {counts}")
        if arguments.streaming:
            train = split(True).filter(
                lambda image_id: not is_held_out(image_id, arguments.held_out), input_columns="image_id"
            )
    return train, validation


def _load_split(specs: Sequence[str], split: str, streaming: bool = False) -> Dataset | IterableDataset:
    return concatenate_datasets(
        [load(spec, split if has_splits(spec) else None, streaming=streaming) for spec in specs]
    )


def augmented(train: Dataset | IterableDataset, augment: Augment) -> Dataset | IterableDataset:
    """The rows, augmented when they are read; streams are also shuffled in a buffer."""
    if isinstance(train, IterableDataset):
        return train.shuffle(augment.seed, buffer_size=SHUFFLE_BUFFER).map(augment.change_row)
    return train.with_transform(augment)


def run_origin(recipe: str | Path, overrides: Sequence[str], model: ModelArguments, data: DataArguments) -> RunOrigin:
    """Start, data and augmentation of a run, for its model card."""
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
            held_out = [is_held_out(name, data.held_out) for name in _load_split([spec], "train")["image_id"]]
            trained, scored = len(held_out) - sum(held_out), sum(held_out)
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


def warn_of_turned(data: DataArguments) -> None:
    """Warns of data sets whose fixations fit mlnet-mini's maps clearly better mirrored, turned or shifted."""
    predictor = SaliencyPredictor("mini", device="cpu")
    for spec in data.datasets:
        rows, _ = load_rows(spec, "train" if has_splits(spec) else None, streaming=data.streaming)
        for line in find_turned(predictor, sample_rows(rows)):
            logger.warning(f"{spec}: {line}")


def train(recipe: str | Path, overrides: Sequence[str] = ()) -> dict[str, float]:
    """Trains with a recipe; an interrupted run continues from its last complete checkpoint.

    The best checkpoint by `metric_for_best_model` is written into `output_dir`, and learning curves and predictions
    into `output_dir/report`.
    A training that starts from a checkpoint scores it first; if nothing beats it, it is kept.

    Args:
        recipe: YAML file with keys of `ModelArguments`, `DataArguments` and `MLNetTrainingArguments`.
        overrides: `--key value` words.

    Returns:
        The validation scores of the best checkpoint.

    Raises:
        ValueError: For a wrong recipe, model or data set, or a loss that is not finite.
        OSError: If a checkpoint cannot be written.
    """
    model_arguments, data_arguments, arguments = parse_recipe(recipe, overrides)
    check_arguments(recipe, arguments, data_arguments.streaming)
    check_output(recipe, Path(arguments.output_dir))
    settings = settings_of(model_arguments, data_arguments, arguments)
    with arguments.main_process_first(desc="looking for a checkpoint"):  # it removes incomplete ones
        last = last_checkpoint(arguments)
    named = arguments.resume_from_checkpoint
    if last is not None and (named is None or Path(named).resolve().parent != Path(last).resolve().parent):
        check_settings(last, settings, arguments)
    arguments.label_names = ["labels", "row"]
    if data_arguments.streaming:
        arguments.accelerator_config.dispatch_batches = False  # every process reads its own shards
    if arguments.should_save:
        warn_of_turned(data_arguments)
    set_seed(arguments.seed)
    with suggest_missing_run(arguments.output_dir, [model_arguments.model]):
        model, image_processor = build_model(model_arguments)
    freeze(model, model_arguments.frozen_modules)
    if arguments.channels_last:
        model = model.to(memory_format=torch.channels_last)
    with arguments.main_process_first(desc="reading data sets"):
        train_dataset, validation_dataset = build_datasets(data_arguments)
    augment = Augment(data_arguments, (image_processor.size.height, image_processor.size.width), arguments.seed)
    collator = Collator(image_processor, data_arguments.sizes(), arguments.seed, model.config.recordings)
    with suggest_missing_run(arguments.output_dir, arguments.teachers):
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
    trainer.add_callback(ReportCallback(trainer, validation_dataset))
    if arguments.disable_tqdm:
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(LogLines)
    if arguments.early_stopping_patience is not None:
        trainer.add_callback(EarlyStoppingCallback(arguments.early_stopping_patience))
    if arguments.should_save:
        write_settings(Path(arguments.output_dir), settings)
    with unwrap_worker_errors(), Interruption() as interruption:
        trainer.add_callback(interruption)
        start = score_start(trainer) if model_arguments.model and arguments.eval_strategy != "no" else None
        trainer.train(resume_from_checkpoint=named or last)
        scores = trainer.evaluate()
        if start is not None:
            scores = keep_better(trainer, start, scores)
    trainer.save_without_push()
    trainer.save_metrics("eval", scores)
    trainer.save_state()
    if arguments.push_to_hub:
        trainer.push_to_hub()
    else:
        trainer.create_model_card()
    return scores
