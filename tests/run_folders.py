"""What the folders of training runs hold."""

import subprocess
import time
from pathlib import Path

import torch

from modeling_mlnet import MLNetModel
from modeling_mlnet.training.checkpoints import checkpoints_of, is_whole


def last_whole_step(run: Path) -> int:
    """The step of the last whole checkpoint of a run, 0 without one."""
    return max([int(folder.name.split("-")[1]) for folder in checkpoints_of(run) if is_whole(folder)], default=0)


def wait_for_checkpoint(run: Path, process: subprocess.Popen, later_than: int) -> int:
    """The step of the first whole checkpoint that a running process writes after a step."""
    for _ in range(30_000):
        step = last_whole_step(run)
        assert process.poll() is None, process.communicate()
        if step > later_than:
            return step
        time.sleep(0.01)
    raise TimeoutError


def same_weights(first: Path, second: Path) -> bool:
    expected, found = (MLNetModel.from_pretrained(folder).state_dict() for folder in (first, second))
    return all(torch.equal(expected[name], found[name]) for name in expected)
