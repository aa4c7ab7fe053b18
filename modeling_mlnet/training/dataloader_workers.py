"""Workers of a data loader that end with the run they work for, and whose errors read like its own."""

import multiprocessing
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.utils.data import DataLoader


# What PyTorch makes of an error in a worker: the kind, the traceback, and at its end the kind again and the message
WRAPPED = re.compile(r"\ACaught (\w+) in DataLoader worker.*^(?:[\w.]+\.)?\1: (.*)\Z", re.DOTALL | re.MULTILINE)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Raises a ValueError or OSError of a worker with its message alone, without the traceback in it."""
    try:
        yield
    except (ValueError, OSError) as error:
        if (match := WRAPPED.match(str(error))) is None:
            raise
        raise (OSError if isinstance(error, OSError) else ValueError)(match[2].strip()) from error


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
