"""The checkpoints in a run's folder: which there are, which are whole, and the mean of their weights."""

import json
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR
from transformers.utils import SAFE_WEIGHTS_NAME

LEAST_FREE = 2**20  # bytes; a disk with less cannot hold a checkpoint


def read_state(checkpoint: Path) -> dict[str, Any]:
    """The Trainer's state in a checkpoint, as it was written.

    Raises:
        OSError: If it is not there.
        ValueError: If it was not written to its end.
    """
    return json.loads((checkpoint / TRAINER_STATE_NAME).read_text(encoding="utf-8"))


def is_whole(checkpoint: Path) -> bool:
    """Whether a checkpoint was written to its end: the Trainer writes its state last."""
    try:
        read_state(checkpoint)
    except (OSError, ValueError):
        return False
    return True


def checkpoints_of(output_dir: Path) -> list[Path]:
    """The checkpoints in a run's folder, whole or not, by their step."""
    found = output_dir.glob(f"{PREFIX_CHECKPOINT_DIR}-*")
    numbered = [one for one in found if one.is_dir() and one.name.rpartition("-")[2].isdigit()]
    return sorted(numbered, key=lambda one: int(one.name.rpartition("-")[2]))


def why_unwritten(folder: Path, error: Exception) -> str:
    """The error; torch's own says nothing of a full disk."""
    with suppress(OSError):  # the folder may be gone as well
        if shutil.disk_usage(folder).free < LEAST_FREE:
            return f"the disk is full ({error})"
    return str(error)


def average_weights(checkpoints: Sequence[Path]) -> dict[str, torch.Tensor]:
    """The mean of every weight over checkpoints; whole numbers, which count batches, are the last one's.

    Izmailov et al., Averaging Weights Leads to Wider Optima and Better Generalization, UAI 2018.

    Args:
        checkpoints: Folders of one run with model.safetensors.
    """
    states = [load_file(one / SAFE_WEIGHTS_NAME) for one in checkpoints]
    mean = {}
    for name, last in states[-1].items():
        if last.is_floating_point():
            last = torch.stack([one[name].double() for one in states]).mean(0).to(last.dtype)
        mean[name] = last
    return mean
