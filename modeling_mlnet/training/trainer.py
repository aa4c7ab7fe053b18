"""The Trainer: whole checkpoints or none, losses that are numbers, scores at every picture's own size."""

import math
import shutil
import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, IterableDataset
from torch import nn
from torch.utils.data import DataLoader
from transformers import EarlyStoppingCallback, EvalPrediction, Trainer, TrainerCallback
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, HubStrategy
from transformers.utils import logging

from ..evaluation.evaluate import encoded_rows, score_truth, truth_of
from ..hub.push import push
from ..image_processing_mlnet import MLNetImageProcessor
from ..metrics import Evaluator
from .arguments import MLNetTrainingArguments
from .checkpoints import average_weights, checkpoints_of, is_whole, read_state, why_unwritten
from .dataloader_workers import end_with_run
from .distillation import Teachers
from .run_card import RunOrigin, write_run_card
from .start import StartComparison

logger = logging.get_logger(__name__)

LARGEST_LOSS = 1000.0  # the data losses cannot reach it; what can is the penalty on a prior that has run away


class BatchMetrics:
    """`compute_metrics` for `batch_eval_metrics`: every map is scored at its picture's own size, as in evaluation."""

    def __init__(self, dataset: Dataset, image_processor: MLNetImageProcessor):
        self.rows, self.image_processor = encoded_rows(dataset), image_processor
        self.evaluator = Evaluator()
        self.results: dict[str, Any] | None = None  # of the last evaluation, with intervals

    def __call__(self, prediction: EvalPrediction, compute_result: bool) -> dict[str, float]:
        """Scores one batch; the means come with the last one."""
        maps = prediction.predictions
        maps = maps[0] if isinstance(maps, (tuple, list)) else maps
        for saliency_map, row_number in zip(maps, prediction.label_ids[1].tolist(), strict=True):
            truth = truth_of(self.rows[row_number])
            [predicted] = self.image_processor.post_process_saliency(saliency_map[None], [truth.size])
            row = score_truth(self.evaluator, predicted.cpu().numpy(), truth)
            # By row, as two sets may share an image id; rows that fill up a batch of several processes count once.
            self.evaluator.rows.append({**row, "image_id": row_number})
        if not compute_result:
            return {}
        self.results = self.evaluator.compute()
        self.evaluator.reset()
        return {name: one["mean"] for name, one in self.results["metrics"].items()}


class Interruption(TrainerCallback):
    """Lets Ctrl-C end a run between two steps, as a context; a second Ctrl-C ends it at once.

    Python drops a KeyboardInterrupt that arrives inside a destructor, and a run is full of those.
    """

    def __init__(self):
        self.is_asked_for = False
        self.previous: Any = None

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():  # only there signals can be handled
            self.previous = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *exception: object) -> None:
        if self.previous is not None:
            signal.signal(signal.SIGINT, self.previous)

    def _ask(self, number: int, frame: Any) -> None:
        self.is_asked_for = True
        signal.signal(signal.SIGINT, self.previous)
        logger.warning("stopping after this step; another Ctrl-C stops at once")

    def on_step_end(self, args, state, control, **kwargs):
        """Called by the Trainer."""
        if self.is_asked_for:
            raise KeyboardInterrupt

    on_prediction_step = on_step_end


class MLNetTrainer(Trainer):
    """Trainer with a learning rate for the backbone, the release's decay and frozen batch-norm statistics.

    A checkpoint that cannot be written to its end is removed, and a loss that is no number ends the training, before
    it reaches the weights, with the step, the pictures and the learning rate.
    """

    args: MLNetTrainingArguments
    optimizer: Any
    lr_scheduler: Any
    pictures: Sequence[str] = ()  # of the last batch
    origin: RunOrigin = RunOrigin()  # for the model card
    averaged: int = 0  # of how many checkpoints the weights are the mean
    start_comparison: StartComparison | None = None  # of a training that started from a checkpoint
    teachers: Teachers | None = None

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.args.teachers:
            if not isinstance(self.processing_class, MLNetImageProcessor):
                raise ValueError("teachers need the MLNetImageProcessor of the pictures as processing_class")
            taught = self.args.teachers, self.args.teacher_share
            self.teachers = Teachers(*taught, self.processing_class, self.args.device)

    def training_step(self, model: nn.Module, inputs: dict[str, Any], *args, **kwargs) -> torch.Tensor:
        """As the Trainer's.

        Raises:
            ValueError: If the loss is not finite or beyond any reasonable size.
        """
        self.pictures = inputs.pop("image_id", ())
        if self.teachers is not None:
            inputs = self._prepare_inputs(inputs)
            inputs["labels"] = self.teachers.mix(inputs["pixel_values"], inputs["labels"])
        loss = super().training_step(model, inputs, *args, **kwargs)
        if not loss.abs() < LARGEST_LOSS:  # also not true of NaN
            self._stop(f"the loss is {loss:g}")
        return loss

    def _get_grad_norm(self, model: nn.Module, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm)
        if norm is not None and not float(norm) < float("inf") and not self.args.fp16:  # fp16's scaler skips the step
            self._stop(f"the gradient's norm is {float(norm):g}")
        return norm

    def _stop(self, problem: str) -> None:
        raise ValueError(
            f"step {self.state.global_step + 1}: {problem} at learning rate {self._get_learning_rate():g}, pictures "
            f"{', '.join(self.pictures)}; look at these, or lower learning_rate and start anew, from a checkpoint in "
            f"{self.args.output_dir} if there is one: --model CHECKPOINT --output_dir ANOTHER"
        )

    def compute_loss(self, model: nn.Module, inputs: dict[str, Any], *args, **kwargs) -> Any:
        """As the Trainer's, with batch-norm statistics frozen if asked for."""
        if self.args.freeze_batch_norm:
            for module in model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        known = {name: value for name, value in inputs.items() if name not in ("row", "image_id")}
        return super().compute_loss(model, known, *args, **kwargs)

    def _get_dataloader(self, *args, **kwargs) -> DataLoader:
        prepared = super()._get_dataloader(*args, **kwargs)
        end_with_run(getattr(prepared, "base_dataloader", prepared))  # inside accelerate's wrapper
        return prepared

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader:
        """As the Trainer's, but `dataloader_drop_last` is about training only: every picture is scored."""
        drop_last, self.args.dataloader_drop_last = self.args.dataloader_drop_last, False
        try:
            return super().get_eval_dataloader(eval_dataset)
        finally:
            self.args.dataloader_drop_last = drop_last

    def evaluate(self, *args, **kwargs) -> dict[str, float]:
        """As the Trainer's, without drawing a random number: a run goes on alike whether it was evaluated or not."""
        if isinstance(self.compute_metrics, BatchMetrics):
            self.compute_metrics.evaluator.reset()  # of an evaluation that did not come to its end
        with torch.random.fork_rng():
            return super().evaluate(*args, **kwargs)

    def try_average(self, count: int, scores: dict[str, float]) -> dict[str, float]:
        """Takes the mean of the last checkpoints' weights for the model's, if it scores better.

        Args:
            count: How many checkpoints.
            scores: Of the model as it is.

        Returns:
            The scores of the model as it is then.
        """
        checkpoints = [one for one in checkpoints_of(Path(self.args.output_dir)) if is_whole(one)][-count:]
        if len(checkpoints) < count:
            logger.warning(f"{self.args.output_dir} holds {len(checkpoints)} checkpoints, not {count}: none averaged")
            return scores
        before = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        self.model.load_state_dict(average_weights(checkpoints))
        averaged = self.evaluate()
        name = f"eval_{(self.args.metric_for_best_model or 'loss').removeprefix('eval_')}"
        is_better = averaged[name] > scores[name] if self.args.greater_is_better else averaged[name] < scores[name]
        logger.info(f"{name}: {averaged[name]:.5f} with the mean of {count} checkpoints, {scores[name]:.5f} without")
        if is_better:
            self.averaged = count
            return averaged
        self.model.load_state_dict(before)
        return self.evaluate()

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

    def _get_learning_rate(self) -> float:
        return float(self.optimizer.param_groups[-1]["lr"])  # the first group may be the backbone

    def _init_training_state(
        self, max_steps: int, updates: int, epochs: int, checkpoint: str | None, trial: Any
    ) -> tuple[int, int]:
        """As the Trainer's, but early stopping goes on counting where it was, and a run that had ended stays so.

        In a stream, whose length nobody knows, the state's epoch tells the pass and its batch.
        """
        passes, batches = super()._init_training_state(max_steps, updates, epochs, checkpoint, trial)
        if checkpoint is not None and isinstance(self.train_dataset, IterableDataset) and self.state.epoch:
            fraction, whole = math.modf(self.state.epoch)
            state = read_state(Path(checkpoint))
            passed = fraction * state["max_steps"] * self.args.gradient_accumulation_steps  # which may have changed
            passes, batches = int(whole), round(passed)
        if checkpoint is not None and (self._restore_patience() or self.state.global_step >= max_steps):
            return epochs, 0  # it had ended; the Trainer would take one more step
        return passes, 0 if self.args.ignore_data_skip else batches

    def _restore_patience(self) -> bool:
        """Gives early stopping its count of the checkpoint; whether it had ended the training."""
        stored = (self.state.stateful_callbacks or {}).get(EarlyStoppingCallback.__name__)
        for callback in self.callback_handler.callbacks:
            if isinstance(callback, EarlyStoppingCallback) and isinstance(stored, dict):
                callback.early_stopping_patience_counter = stored["attributes"]["early_stopping_patience_counter"]
                return callback.early_stopping_patience_counter >= callback.early_stopping_patience
        return False

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        folder = Path(self._get_output_dir(trial)) / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        try:
            super()._save_checkpoint(model, trial)
        except Exception as error:  # safetensors, torch and the system each raise their own
            if is_whole(folder):
                raise
            reason = why_unwritten(folder.parent, error)
            shutil.rmtree(folder, ignore_errors=True)
            raise OSError(
                f"{folder}: cannot be written: {reason}; the checkpoints before it are whole: make room and run the "
                "same command again, it goes on from the last one"
            ) from error

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """As the Trainer's; in the run's own folder, every file is replaced at once or not at all."""
        is_sharded = self.is_fsdp_enabled or self.is_deepspeed_enabled
        if output_dir is not None or is_sharded or not self.args.should_save:
            return super().save_model(output_dir, _internal_call)
        final = Path(self.args.output_dir)
        temporary = final / ".writing"
        try:
            super().save_model(str(temporary), _internal_call=True)
            for path in temporary.iterdir():
                path.replace(final / path.name)
        except Exception as error:  # safetensors, torch and the system each raise their own
            kept = any(map(is_whole, checkpoints_of(final)))
            then = "goes on from its last checkpoint" if kept else "starts anew, as it kept no checkpoints"
            reason = why_unwritten(final, error)
            raise OSError(
                f"{final}: the trained model cannot be written: {reason}; the same command {then}"
            ) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        if self.args.push_to_hub and not _internal_call:
            self.push_to_hub(commit_message="Model save", revision=self.args.hub_revision)

    def create_model_card(self, *args, **kwargs) -> None:
        """Writes this project's card into the run's folder; the Trainer's own knows neither data nor protocol."""
        if self.is_world_process_zero():
            write_run_card(self)

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
        self.save_model(_internal_call=True)
        if not self.is_world_process_zero():
            return None
        self.create_model_card()
        return self._publish(Path(self.args.output_dir), commit_message, token, revision, private)

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        if not self.is_world_process_zero() or self.args.hub_strategy == HubStrategy.END:
            return
        card = Path(checkpoint_folder) / "README.md"
        card.write_text(write_run_card(self, scored=False).read_text(encoding="utf-8"), encoding="utf-8")
        message = f"Training in progress, step {self.state.global_step}"
        try:
            self._publish(Path(checkpoint_folder), message, None, None, None)
        except (ValueError, OSError) as error:  # the end of the run publishes again
            logger.warning(f"{checkpoint_folder}: could not be published, training goes on: {error}")

    def _publish(
        self, folder: Path, message: str | None, token: str | None, revision: str | None, private: bool | None
    ) -> str | None:
        if self.hub_model_id is None:
            self.init_hf_repo(token=token, private=private)
        private = self.args.hub_private_repo if private is None else private
        revision = revision or self.args.hub_revision
        hub_id = self.hub_model_id
        return push(str(folder.absolute()), hub_id, private, revision, False, token or self.args.hub_token, message)[1]
