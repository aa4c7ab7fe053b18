"""The private interfaces of transformers' Trainer that this project overrides, each with its reason.

Everything else uses public methods and callbacks. `tests/test_trainer_private.py` names a method that a version of
transformers no longer has.
"""

import math
import shutil
from pathlib import Path
from typing import Any

from datasets import IterableDataset
from torch import nn
from transformers import EarlyStoppingCallback, Trainer
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, HubStrategy

from .arguments import MLNetTrainingArguments
from .callbacks import StreamPositions
from .checkpoints import checkpoints_of, is_whole, read_state, write_error

# Method: its parameters as they are used here, and why no public interface does the same.
REASONS: dict[str, tuple[tuple[str, ...], str]] = {
    "_init_training_state": (
        ("max_steps", "num_update_steps_per_epoch", "num_train_epochs", "resume_from_checkpoint", "trial"),
        "on_train_begin comes too late to say that an ended run takes no further step, or where in a stream it was",
    ),
    "_save_checkpoint": (
        ("model", "trial"),
        "on_save is called after a checkpoint was written, so it cannot remove one that could not be",
    ),
    "_push_from_checkpoint": (
        ("checkpoint_folder",),
        "there is no hook for what is pushed during a training: training arguments and optimizer states would go",
    ),
    "save_model": (
        ("output_dir", "_internal_call"),
        "only the private argument keeps save_model from pushing before the model card is written",
    ),
}


class PrivateOverrides(Trainer):
    """The overrides; `MLNetTrainer` is what users construct."""

    args: MLNetTrainingArguments

    def push_checkpoint(self, checkpoint: Path) -> None:
        """Publishes a checkpoint during the training."""
        raise NotImplementedError

    def _init_training_state(
        self, max_steps: int, updates: int, epochs: int, checkpoint: str | None, trial: Any
    ) -> tuple[int, int]:
        """As the Trainer's, but early stopping keeps its count, and a run that had ended takes no further step.

        In a stream, whose length is unknown, the epoch of this process gives the pass and the batch in it.
        """
        passes, batches = super()._init_training_state(max_steps, updates, epochs, checkpoint, trial)
        if checkpoint is not None and isinstance(self.train_dataset, IterableDataset):
            self.state.epoch = StreamPositions.stored(self.state, self.args.world_size)[self.args.process_index]
            fraction, whole = math.modf(self.state.epoch)
            state = read_state(Path(checkpoint))
            # max_steps of the run that wrote the checkpoint, as it may have changed since
            passes = int(whole)
            batches = round(fraction * state["max_steps"] * self.args.gradient_accumulation_steps)
        if checkpoint is not None and (self._restore_patience() or self.state.global_step >= max_steps):
            return epochs, 0
        return passes, 0 if self.args.ignore_data_skip else batches

    def _restore_patience(self) -> bool:
        """Restores the count of early stopping; returns whether it had ended the training."""
        stored = (self.state.stateful_callbacks or {}).get(EarlyStoppingCallback.__name__)
        for callback in self.callback_handler.callbacks:
            if isinstance(callback, EarlyStoppingCallback) and isinstance(stored, dict):
                callback.early_stopping_patience_counter = stored["attributes"]["early_stopping_patience_counter"]
                return callback.early_stopping_patience_counter >= callback.early_stopping_patience
        return False

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """As the Trainer's, but a checkpoint that could not be written completely is removed."""
        folder = Path(self.args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        try:
            super()._save_checkpoint(model, trial)
        except Exception as error:  # safetensors, torch and the system each raise their own
            if is_whole(folder):
                raise
            reason = write_error(folder.parent, error)
            shutil.rmtree(folder, ignore_errors=True)
            raise OSError(
                f"{folder}: cannot be written: {reason}; the checkpoints before it are whole: make room and run the "
                "same command again, it goes on from the last one"
            ) from error

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        """Publishes what `mlnet push` does instead of all files."""
        if self.is_world_process_zero() and self.args.hub_strategy != HubStrategy.END:
            self.push_checkpoint(Path(checkpoint_folder))

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
            has_checkpoint = any(map(is_whole, checkpoints_of(final)))
            then = "goes on from its last checkpoint" if has_checkpoint else "starts anew, as it kept no checkpoints"
            reason = write_error(final, error)
            raise OSError(
                f"{final}: the trained model cannot be written: {reason}; the same command {then}"
            ) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        if self.args.push_to_hub and not _internal_call:
            self.push_to_hub(commit_message="Model save", revision=self.args.hub_revision)

    def save_without_push(self) -> None:
        """Saves the model into the run's folder; it is published later, together with its card."""
        self.save_model(_internal_call=True)
