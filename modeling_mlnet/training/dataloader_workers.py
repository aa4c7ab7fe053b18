"""Workers of a data loader that exit with the process that started them, and whose errors are readable."""

import multiprocessing
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.utils.data import DataLoader


# PyTorch wraps an error of a worker: its type, its traceback, then type and message once more.
WRAPPED = re.compile(r"\ACaught (\w+) in DataLoader worker.*^(?:[\w.]+\.)?\1: (.*)\Z", re.DOTALL | re.MULTILINE)


@contextmanager
def unwrap_worker_errors() -> Iterator[None]:
    """Raises a ValueError or OSError of a worker with its own message, without PyTorch's text around it."""
    try:
        yield
    except (ValueError, OSError) as error:
        if (match := WRAPPED.match(str(error))) is None:
            raise
        raise (OSError if isinstance(error, OSError) else ValueError)(match[2].strip()) from error


def exit_with_parent(loader: "DataLoader") -> None:
    """Makes the workers of a loader exit if their parent was killed before they started.

    PyTorch watches the parent only after a worker has started, and then would take the process that adopted the worker
    for its parent. Workers of a fork server are children of the server, which ends with the parent.
    """
    if (loader.multiprocessing_context or multiprocessing).get_start_method() == "forkserver":
        return
    loader.worker_init_fn = partial(_start, os.getpid(), loader.worker_init_fn)


def _start(parent: int, prepare: Callable[[int], None] | None, worker: int) -> None:
    if os.getppid() != parent:
        os._exit(1)
    if prepare is not None:
        prepare(worker)
