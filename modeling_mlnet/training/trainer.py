"""The Trainer: a learning rate for the backbone, frozen statistics, teachers, and losses that are numbers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import nn
from torch.utils.data import DataLoader
from transformers.utils import logging

from ..hub.push import push
from ..image_processing_mlnet import MLNetImageProcessor
from .callbacks import FiniteGradients, StreamPositions
from .dataloader_workers import exit_with_parent
from .distillation import Teachers
from .run_card import FinishedRun, RunOrigin, write_run_card
from .scoring import BatchMetrics
from .start import StartComparison
from .trainer_private import PrivateOverrides

logger = logging.get_logger(__name__)

LARGEST_LOSS = 1000.0  # the data losses are bounded by 100; only the penalty on a diverging prior is not


class MLNetTrainer(PrivateOverrides):
    """Trainer with a learning rate for the backbone, the release's decay and frozen batch-norm statistics.

    A checkpoint that cannot be written completely is removed. A loss that is not finite ends the training before it
    reaches the weights; the error names the step, the images and the learning rate.

    Attributes:
        origin: Start and data of the run, for the model card.
        start_comparison: Scores beside those of the checkpoint that the training started from, if there was one.
        image_ids: Ids of the last batch.
        teachers: Networks whose maps are mixed into the labels, if `teachers` names any.
    """

    optimizer: Any
    lr_scheduler: Any
    image_ids: Sequence[str] = ()
    origin: RunOrigin = RunOrigin()
    start_comparison: StartComparison | None = None
    teachers: Teachers | None = None

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.add_callback(FiniteGradients(self))
        self.add_callback(StreamPositions())
        if self.args.teachers:
            if not isinstance(self.processing_class, MLNetImageProcessor):
                raise ValueError("teachers need an MLNetImageProcessor as processing_class")
            self.teachers = Teachers(
                self.args.teachers,
                self.args.teacher_share,
                self.processing_class,
                self.args.device,
                self.model.config.recordings,
            )

    def training_step(self, model: nn.Module, inputs: dict[str, Any], *args, **kwargs) -> torch.Tensor:
        """As the Trainer's.

        Raises:
            ValueError: If the loss is not finite, or above 1000.
        """
        self.image_ids = inputs.pop("image_id", ())
        if self.teachers is not None:
            names = ("pixel_values", "labels", "recording")
            of_batch = [inputs[name].to(self.args.device) for name in names if name in inputs]
            inputs["labels"] = self.teachers.mix(*of_batch)
        loss = super().training_step(model, inputs, *args, **kwargs)
        if not loss.abs() < LARGEST_LOSS:  # also not true of NaN
            self.stop(f"the loss is {loss:g}")
        return loss

    def stop(self, problem: str) -> None:
        """Raises the ValueError that ends a training, naming step, learning rate and images."""
        rate = float(self.optimizer.param_groups[0]["lr"])
        raise ValueError(
            f"step {self.state.global_step + 1}: {problem} at learning rate {rate:g}, images "
            f"{', '.join(self.image_ids)}; look at these, or lower learning_rate and start anew, from a checkpoint in "
            f"{self.args.output_dir} if there is one: --model CHECKPOINT --output_dir ANOTHER"
        )

    def compute_loss(self, model: nn.Module, inputs: dict[str, Any], *args, **kwargs) -> Any:
        """As the Trainer's, with batch-norm statistics frozen if `freeze_batch_norm` is set."""
        if self.args.freeze_batch_norm:
            for module in model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        of_model = {name: value for name, value in inputs.items() if name not in ("row", "image_id")}
        return super().compute_loss(model, of_model, *args, **kwargs)

    def get_train_dataloader(self) -> DataLoader:
        """As the Trainer's, with workers that exit with this process."""
        return _exiting_with_parent(super().get_train_dataloader())

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader:
        """As the Trainer's, but `dataloader_drop_last` is for training only: every image is scored."""
        drop_last, self.args.dataloader_drop_last = self.args.dataloader_drop_last, False
        try:
            return _exiting_with_parent(super().get_eval_dataloader(eval_dataset))
        finally:
            self.args.dataloader_drop_last = drop_last

    def get_test_dataloader(self, test_dataset: Dataset) -> DataLoader:
        """As the Trainer's, with workers that exit with this process."""
        return _exiting_with_parent(super().get_test_dataloader(test_dataset))

    def evaluate(self, *args, **kwargs) -> dict[str, float]:
        """As the Trainer's, without drawing a random number, so that an evaluation does not change the training."""
        if isinstance(self.compute_metrics, BatchMetrics):
            self.compute_metrics.evaluator.reset()  # of an evaluation that was interrupted
        with torch.random.fork_rng():
            return super().evaluate(*args, **kwargs)

    def create_optimizer(self, *args, **kwargs) -> torch.optim.Optimizer:
        """As the Trainer's; with `backbone_learning_rate`, the backbone is the second of two parameter groups.

        Weight decay then applies to every parameter, biases and norms included. The first group gives the learning
        rate that the Trainer logs.
        """
        if self.optimizer is None and self.args.backbone_learning_rate is not None:
            trained = [(name, weight) for name, weight in self.model.named_parameters() if weight.requires_grad]
            backbone = [weight for name, weight in trained if name.startswith("backbone.")]
            rest = [weight for name, weight in trained if not name.startswith("backbone.")]
            optimizer_class, arguments = self.get_optimizer_cls_and_kwargs(self.args, self.model)
            groups = [{"params": rest}, {"params": backbone, "lr": self.args.backbone_learning_rate}]
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

    def finished_run(self) -> FinishedRun:
        """Facts about this run for the model card."""
        return FinishedRun(
            self.args,
            self.model,
            self.processing_class,
            self.eval_dataset,
            getattr(self.compute_metrics, "results", None),
            self.origin,
            self.start_comparison,
        )

    def create_model_card(self, *args, **kwargs) -> None:
        """Writes this project's card into the run's folder; the Trainer's own knows neither data nor protocol."""
        if self.is_world_process_zero():
            write_run_card(self.finished_run())

    def push_to_hub(
        self,
        commit_message: str | None = "End of training",
        blocking: bool = True,
        token: str | None = None,
        revision: str | None = None,
        private: bool | None = None,
        **kwargs,
    ) -> str | None:
        """Publishes the run as `mlnet push` does: never training arguments, optimizer states or other files.

        Returns:
            The address of the commit; `None` on other processes than the first.
        """
        self.save_without_push()
        if not self.is_world_process_zero():
            return None
        self.create_model_card()
        return self._publish(Path(self.args.output_dir), commit_message, token, revision, private)

    def push_checkpoint(self, checkpoint: Path) -> None:
        """Publishes a checkpoint during the training, with a card without scores; a failure is a warning."""
        card = write_run_card(self.finished_run(), scored=False).read_text(encoding="utf-8")
        (checkpoint / "README.md").write_text(card, encoding="utf-8")
        try:
            self._publish(checkpoint, f"Training in progress, step {self.state.global_step}", None, None, None)
        except (ValueError, OSError) as error:  # the end of the run publishes again
            logger.warning(f"{checkpoint}: could not be published, training goes on: {error}")

    def _publish(
        self, folder: Path, message: str | None, token: str | None, revision: str | None, private: bool | None
    ) -> str | None:
        if self.hub_model_id is None:
            self.init_hf_repo(token=token, private=private)
        private = self.args.hub_private_repo if private is None else private
        revision = revision or self.args.hub_revision
        hub_id = self.hub_model_id
        return push(str(folder.absolute()), hub_id, private, revision, False, token or self.args.hub_token, message)[1]


def _exiting_with_parent(loader: DataLoader) -> DataLoader:
    exit_with_parent(getattr(loader, "base_dataloader", loader))  # inside accelerate's wrapper
    return loader
