"""Threads that work beside each other without fighting for the processor."""

import ctypes
import os
import platform
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Lock
from typing import Any

MOST_PASSES = 8  # batches that pass a network at once on a CPU: each takes memory
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -3, -4, -8  # of malloc.h
QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container
STARTING = Lock()  # PyTorch's default number of threads belongs to the whole process


def usable_cores() -> int:
    """Cores that this process may use: those it is bound to, or fewer where a container's quota is smaller."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = QUOTA.read_text(encoding="ascii").split()
        return max(1, min(cores, int(quota) // int(period)))
    except (OSError, ValueError):  # no such file, or "max" in it
        return cores


def start_workers(count: int, threads: int = 1) -> ThreadPoolExecutor:
    """Workers whose every PyTorch operation runs on so many threads; other threads keep the number that they have.

    Without it each worker would start as many threads as there are cores, which wait for each other by spinning. Where
    PyTorch was not imported, they are plain workers.
    """
    if "torch" not in sys.modules:
        return ThreadPoolExecutor(count)
    import torch

    ready = Barrier(count + 1)

    def start() -> None:
        torch.get_num_threads()  # gives this thread the default, once
        torch.set_num_threads(threads)  # of this thread, and the default of those that have not asked yet
        ready.wait()

    with STARTING:
        default = torch.get_num_threads()
        executor = ThreadPoolExecutor(count, initializer=start)
        try:
            for _ in range(count):
                executor.submit(int)  # starts a thread, as none is free yet
            ready.wait()
        except BaseException:
            ready.abort()  # or those that did start would wait for ever
            executor.shutdown(wait=False)
            raise
        finally:
            torch.set_num_threads(default)
    return executor


def in_order(
    executor: ThreadPoolExecutor, function: Callable[[Any], Any], items: Iterable[Any], ahead: int
) -> Iterator[Any]:
    """`map` with results in the order of the items, of which at most `ahead` are drawn before they are needed."""
    waiting: deque[Future[Any]] = deque()
    for item in items:
        waiting.append(executor.submit(function, item))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def give_memory_back(heaps: int = 2, large: int = 2**20) -> None:
    """Keeps a server small: threads share a few heaps, and large blocks go back to the system when they are freed.

    By itself glibc gives every thread a heap of its own, up to eight a core, and keeps there what its largest picture
    took. Does nothing with other C libraries.

    Args:
        heaps: How many there are.
        large: Bytes from which a block is none of a heap's.
    """
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(M_ARENA_MAX, heaps)
        library.mallopt(M_MMAP_THRESHOLD, large)


def keep_memory() -> None:
    """Lets a training keep the memory of one step for the next, as its steps are alike.

    By itself glibc gives every block above 32 MiB back to the system when it is freed, as a layer's maps are in every
    step, and takes zeroed pages for the next: a quarter of the time of mlnet-mini's steps on two cores, for an eighth
    less memory (docs/reproduce.md). Does nothing with other C libraries.
    """
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_MAX, 0)
        library.mallopt(M_TRIM_THRESHOLD, -1)  # never
