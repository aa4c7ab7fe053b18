"""Workers of a data loader that end with the run they work for."""

import multiprocessing
import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.utils.data import DataLoader


def end_with_run(loader: "DataLoader") -> None:
    """Lets the loader's workers end if this process is killed before they are up.

    PyTorch's own watch begins later: it would take the process that inherits such a worker for its run, for ever. A
    fork server's workers are its own children, not the run's, and end with it.
    """
    if (loader.multiprocessing_context or multiprocessing).get_start_method() == "forkserver":
        return
    loader.worker_init_fn = partial(_start, os.getpid(), loader.worker_init_fn)


def _start(run: int, prepare: Callable[[int], None] | None, worker: int) -> None:
    if os.getppid() != run:
        os._exit(1)
    if prepare is not None:
        prepare(worker)
