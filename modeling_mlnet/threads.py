"""Threads that work beside each other without fighting for the processor."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier
from typing import Any

import torch


def start_workers(count: int, threads: int = 1) -> ThreadPoolExecutor:
    """Workers whose every PyTorch operation runs on so many threads; other threads keep the number that they have.

    Without it each worker would start as many threads as there are cores, which wait for each other by spinning.
    """
    before, started = torch.get_num_threads(), Barrier(count + 1)

    def start() -> None:
        torch.set_num_threads(threads)  # of this thread, and the default of all others
        torch.get_num_threads()  # the first question settles this thread's number
        started.wait()

    executor = ThreadPoolExecutor(count, initializer=start)
    for _ in range(count):
        executor.submit(int)  # starts a thread, as none is free yet
    started.wait()
    torch.set_num_threads(before)  # the default again
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
