"""Callbacks of a training: Ctrl-C between two steps, gradients that are not finite, positions in a stream."""

import signal
import threading
from typing import Any

from accelerate.utils import gather_object
from torch.nn.utils import get_total_norm
from transformers import Trainer, TrainerCallback, TrainerState
from transformers.trainer_callback import ExportableState
from transformers.utils import logging

from ..io.json_types import JsonObject

logger = logging.get_logger(__name__)


class Interruption(TrainerCallback):
    """Ends a training between two steps at the first Ctrl-C, and at once at the second; used as a context.

    Without it the KeyboardInterrupt can be lost: Python ignores exceptions that are raised inside a destructor, and
    destructors run all the time during a training.
    """

    def __init__(self):
        self.is_requested = False
        self.previous_handler: Any = None

    def __enter__(self) -> "Interruption":
        """Replaces the handler of SIGINT, which only the main thread may do."""
        if threading.current_thread() is threading.main_thread():
            self.previous_handler = signal.signal(signal.SIGINT, self._request)
        return self

    def __exit__(self, *exception: object) -> None:
        """Restores the handler."""
        if self.previous_handler is not None:
            signal.signal(signal.SIGINT, self.previous_handler)

    def _request(self, number: int, frame: Any) -> None:
        self.is_requested = True
        signal.signal(signal.SIGINT, self.previous_handler)
        logger.warning("stopping after this step; another Ctrl-C stops at once")

    def on_step_end(self, args, state, control, **kwargs):
        """Raises the KeyboardInterrupt that was requested."""
        if self.is_requested:
            raise KeyboardInterrupt

    on_prediction_step = on_step_end


class FiniteGradients(TrainerCallback):
    """Ends a training before gradients that are not finite reach the weights.

    Args:
        trainer: An `MLNetTrainer`, which names the step and the images.
    """

    def __init__(self, trainer: Trainer):
        self.trainer = trainer

    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        """Raises a ValueError for a gradient that is not finite; with fp16 the loss scaler skips the step instead."""
        if args.fp16 or model is None:
            return
        norm = float(get_total_norm([weight.grad for weight in model.parameters() if weight.grad is not None]))
        if not norm < float("inf"):
            self.trainer.stop(f"the gradient's norm is {norm:g}")


class StreamPositions(TrainerCallback, ExportableState):
    """Keeps in every checkpoint where each process is in its stream, as shards may be of different lengths.

    Attributes:
        epochs: The epoch of every process when the last checkpoint was written; its fraction is a part of `max_steps`.
    """

    def __init__(self):
        self.epochs: list[float] = []

    def on_train_begin(self, args, state, control, **kwargs):
        """Makes its place in the state of a checkpoint that was written without it."""
        state.stateful_callbacks.setdefault(type(self).__name__, {})

    def on_step_end(self, args, state, control, **kwargs):
        """Collects the epochs before a checkpoint is written."""
        if control.should_save:
            self.epochs = gather_object([state.epoch])

    def state(self) -> JsonObject:
        """What the Trainer's state keeps."""
        return {"args": {}, "attributes": {"epochs": self.epochs}}

    @staticmethod
    def stored(state: TrainerState, processes: int) -> list[float]:
        """The epochs in the state of a checkpoint; those of the first process if it was written by another number."""
        stored: Any = (state.stateful_callbacks or {}).get(StreamPositions.__name__, {})
        epochs = stored.get("attributes", {}).get("epochs", ())
        return list(epochs) if len(epochs) == processes else [state.epoch or 0.0] * processes
