"""The checkpoints in the folder of a run: which are complete, and why one could not be written."""

import json
import shutil
from contextlib import suppress
from pathlib import Path
from zipfile import is_zipfile

from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from ..io.json_types import JsonObject

LEAST_FREE = 2**20  # bytes; a disk with less cannot hold a checkpoint


def read_state(checkpoint: Path) -> JsonObject:
    """Reads the Trainer's state in a checkpoint.

    Raises:
        OSError: If there is none.
        ValueError: If the file is incomplete.
    """
    return json.loads((checkpoint / TRAINER_STATE_NAME).read_text(encoding="utf-8"))


def is_whole(checkpoint: Path) -> bool:
    """Whether a checkpoint is complete: the Trainer writes its state last, and no random state is cut off.

    Which random states are there depends on the run: none with `save_only_model`, those of one node on its own disk.
    """
    try:
        read_state(checkpoint)
    except (OSError, ValueError):
        return False
    return all(map(is_zipfile, checkpoint.glob("rng_state*.pth")))


def checkpoints_of(output_dir: Path) -> list[Path]:
    """The checkpoints in the folder of a run, complete or not, in the order of their steps."""
    folders = [path for path in output_dir.glob(f"{PREFIX_CHECKPOINT_DIR}-*") if path.is_dir()]
    numbered = [path for path in folders if path.name.rpartition("-")[2].isdigit()]
    return sorted(numbered, key=lambda path: int(path.name.rpartition("-")[2]))


def write_error(folder: Path, error: Exception) -> str:
    """Reason of a failed write: the error, and whether the disk is full, which torch does not report."""
    with suppress(OSError):  # the folder may not exist any more
        if shutil.disk_usage(folder).free < LEAST_FREE:
            return f"the disk is full ({error})"
    return str(error)
