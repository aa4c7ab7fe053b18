"""Training with the Hugging Face Trainer: recipe in, best checkpoint out."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from datasets import Dataset, concatenate_datasets
from huggingface_hub.errors import StrictDataclassError
from torch import nn
from torchvision.transforms import v2
from transformers import (
    EarlyStoppingCallback,
    EvalPrediction,
    Trainer,
    set_seed,
)
from transformers.trainer_utils import get_last_checkpoint
from transformers.utils import logging

from .configuration_mlnet import MLNetConfig
from .data import has_splits, is_held_out, load
from .evaluation import read_truths, score_truth
from .image_processing_mlnet import MLNetImageProcessor
from .metrics import Evaluator
from .modeling_mlnet import MLNetModel
from .prediction import load_checkpoint
from .recipe import SCORES, DataArguments, MLNetTrainingArguments, ModelArguments, check_keys, parse_recipe

logger = logging.get_logger(__name__)


class Collator:
    """Turns rows of the schema into the model's input; rows of a validation set keep their `row` number."""

    def __init__(self, image_processor: MLNetImageProcessor):
        self.image_processor = image_processor

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """`pixel_values`, `labels` and, where rows are numbered, `row`."""
        images, saliency_maps = ([row[name] for row in rows] for name in ("image", "saliency_map"))
        batch = dict(self.image_processor(images, saliency_maps=saliency_maps, return_tensors="pt"))
        if "row" in rows[0]:
            batch["row"] = torch.tensor([row["row"] for row in rows])
        return batch


class Augment:
    """Random changes of training pictures, for `Dataset.set_transform`; draws from torch's generator.

    Args:
        arguments: `horizontal_flip`, `random_crop` and `color_jitter`.
        size: Height and width in pixels that crops are brought to.
    """

    def __init__(self, arguments: DataArguments, size: tuple[int, int]):
        ratio = size[1] / size[0]
        crop = v2.RandomResizedCrop(size, scale=(0.5, 1.0), ratio=(0.9 * ratio, 1.1 * ratio))
        strength = arguments.color_jitter
        # Picture and map are moved as one; only the picture changes its colours.
        self.move = v2.Compose(
            [
                v2.RandomHorizontalFlip(0.5 if arguments.horizontal_flip else 0.0),
                v2.RandomApply([crop], arguments.random_crop),
            ]
        )
        self.recolor = v2.ColorJitter(strength, strength, strength)

    def __call__(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Changes `image` and `saliency_map` of every row."""
        moved = [self.move(pair) for pair in zip(rows["image"], rows["saliency_map"], strict=True)]
        rows["image"] = [self.recolor(image.convert("RGB")) for image, _ in moved]
        rows["saliency_map"] = [saliency_map for _, saliency_map in moved]
        return rows


class BatchMetrics:
    """`compute_metrics` for `batch_eval_metrics`: every map is scored at its picture's own size, as in evaluation."""

    def __init__(self, dataset: Dataset, image_processor: MLNetImageProcessor):
        self.truths, self.image_processor = list(read_truths(dataset)), image_processor
        self.evaluator = Evaluator()

    def __call__(self, prediction: EvalPrediction, compute_result: bool) -> dict[str, float]:
        """Scores one batch; the means come with the last one."""
        maps = prediction.predictions
        maps = maps[0] if isinstance(maps, (tuple, list)) else maps
        for saliency_map, row_number in zip(maps, prediction.label_ids[1].tolist(), strict=True):
            truth = self.truths[row_number]
            [predicted] = self.image_processor.post_process_saliency(saliency_map[None], [truth.size])
            row = score_truth(self.evaluator, predicted.cpu().numpy(), truth)
            # By row, as two sets may share an image id; rows that fill up a batch of several processes count once.
            self.evaluator.rows.append({**row, "image_id": row_number})
        if not compute_result:
            return {}
        means = {name: one["mean"] for name, one in self.evaluator.compute()["metrics"].items()}
        self.evaluator.reset()
        return means


class MLNetTrainer(Trainer):
    """Trainer with a learning rate for the backbone, the release's decay and frozen batch-norm statistics."""

    args: MLNetTrainingArguments
    optimizer: Any
    lr_scheduler: Any

    def compute_loss(self, model: nn.Module, inputs: dict[str, Any], *args, **kwargs) -> Any:
        """As the Trainer's, with batch-norm statistics frozen if asked for."""
        if self.args.freeze_batch_norm:
            for module in model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return super().compute_loss(model, {k: v for k, v in inputs.items() if k != "row"}, *args, **kwargs)

    def create_optimizer(self, *args, **kwargs) -> torch.optim.Optimizer:
        """As the Trainer's; with a learning rate of its own, the backbone is one group and the rest another.

        Weight decay then applies to every parameter, biases and norms included.
        """
        if self.optimizer is None and self.args.backbone_learning_rate is not None:
            trained = [(name, one) for name, one in self.model.named_parameters() if one.requires_grad]
            backbone = [one for name, one in trained if name.startswith("backbone.")]
            rest = [one for name, one in trained if not name.startswith("backbone.")]
            optimizer_class, arguments = self.get_optimizer_cls_and_kwargs(self.args, self.model)
            groups = [{"params": backbone, "lr": self.args.backbone_learning_rate}, {"params": rest}]
            self.optimizer = optimizer_class(groups, **{**arguments, "weight_decay": self.args.weight_decay})
        return super().create_optimizer(*args, **kwargs)

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """As the Trainer's, or Keras' 1 / (1 + decay * step)."""
        decay = self.args.learning_rate_decay
        if self.lr_scheduler is None and decay is not None:
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
                optimizer or self.optimizer, lambda step: 1 / (1 + decay * step)
            )
        return super().create_scheduler(num_training_steps, optimizer)


def build_model(arguments: ModelArguments) -> tuple[MLNetModel, MLNetImageProcessor]:
    """The model to train and its image processor: from a checkpoint, or new on an ImageNet backbone.

    Raises:
        ValueError: If something cannot be loaded or built, or both a checkpoint and backbone weights are given.
    """
    keys: Any = arguments.config
    overrides: Any = arguments.image_processor
    check_keys(overrides, set(MLNetImageProcessor.valid_kwargs.__annotations__), "image_processor")
    if arguments.model is not None:
        if arguments.backbone_weights:
            raise ValueError("give either model (a checkpoint to start from) or backbone_weights, not both")
        model, image_processor = load_checkpoint(arguments.model, **keys)
        return model, MLNetImageProcessor(**{**image_processor.to_dict(), **overrides})
    try:
        config = MLNetConfig(**keys)
    except StrictDataclassError as error:  # a value of the wrong type
        raise ValueError(f"config: {' '.join(str(error).split())}") from error
    model = MLNetModel.from_imagenet(config, arguments.backbone_weights)
    statistics = {}
    if arguments.backbone_weights is None:  # the statistics timm's own weights were trained with, for 0..255
        weights = timm.get_pretrained_cfg(config.backbone)
        statistics = {f"image_{name}": [255 * one for one in getattr(weights, name)] for name in ("mean", "std")}
    height, width = config.image_size
    size = {"height": height, "width": width}
    return model, MLNetImageProcessor(**{"size": size, **statistics, **overrides})


def build_datasets(arguments: DataArguments, size: tuple[int, int]) -> tuple[Dataset, Dataset]:
    """Training and validation rows, the former augmented.

    Args:
        size: Height and width of the canvas in pixels.

    Raises:
        ValueError: If one of them is empty.
    """
    if not arguments.datasets:
        raise ValueError("datasets is empty: name at least one data set, as NAME:DIR")
    train = concatenate_datasets([load(spec, "train" if has_splits(spec) else None) for spec in arguments.datasets])
    if arguments.validation_datasets:
        validation = concatenate_datasets(
            [load(spec, "validation" if has_splits(spec) else None) for spec in arguments.validation_datasets]
        )
    else:
        held_out = [is_held_out(image_id, arguments.held_out) for image_id in train["image_id"]]
        validation = train.select([i for i, held in enumerate(held_out) if held])
        train = train.select([i for i, held in enumerate(held_out) if not held])
    if not len(train) or not len(validation):
        raise ValueError(f"held_out={arguments.held_out} leaves {len(train)} pictures to train, {len(validation)} not")
    if arguments.horizontal_flip or arguments.random_crop or arguments.color_jitter:
        train.set_transform(Augment(arguments, size))
    return train, validation


def train(recipe: str | Path, overrides: Sequence[str] = ()) -> dict[str, float]:
    """Trains as a recipe says; a run that was interrupted goes on from its last checkpoint.

    The best checkpoint by `metric_for_best_model` ends up in `output_dir` itself.

    Args:
        recipe: YAML file with keys of `ModelArguments`, `DataArguments` and `MLNetTrainingArguments`.
        overrides: `--key value` words.

    Returns:
        The validation scores of the best checkpoint.

    Raises:
        ValueError: For a wrong recipe, model or data set.
    """
    model_arguments, data_arguments, training_arguments = parse_recipe(recipe, overrides)
    best = (training_arguments.metric_for_best_model or "loss").removeprefix("eval_")
    if best not in SCORES:
        raise ValueError(f"{recipe}: metric_for_best_model must be one of {sorted(SCORES)}, got {best!r}")
    training_arguments.label_names = ["labels", "row"]
    set_seed(training_arguments.seed)
    model, image_processor = build_model(model_arguments)
    if training_arguments.channels_last:
        model = model.to(memory_format=torch.channels_last)
    size = (image_processor.size.height, image_processor.size.width)
    train_dataset, validation_dataset = build_datasets(data_arguments, size)
    logger.info("%d pictures to train, %d to validate", len(train_dataset), len(validation_dataset))
    trainer = MLNetTrainer(
        model=model,
        args=training_arguments,
        data_collator=Collator(image_processor),
        train_dataset=train_dataset,
        eval_dataset=validation_dataset.add_column("row", np.arange(len(validation_dataset))),
        processing_class=image_processor,
        compute_metrics=BatchMetrics(validation_dataset, image_processor),
    )
    if training_arguments.early_stopping_patience is not None:
        trainer.add_callback(EarlyStoppingCallback(training_arguments.early_stopping_patience))
    output_dir = training_arguments.output_dir
    resume = get_last_checkpoint(output_dir) if os.path.isdir(output_dir) else None
    trainer.train(resume_from_checkpoint=training_arguments.resume_from_checkpoint or resume)
    scores = trainer.evaluate()
    trainer.save_model()
    trainer.save_metrics("eval", scores)
    trainer.save_state()
    return scores
