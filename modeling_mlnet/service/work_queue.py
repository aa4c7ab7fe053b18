"""Queue of requests with a limited length and waiting time."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from starlette.exceptions import HTTPException

MAX_BODIES = 512 * 2**20  # bytes of all requests together that are waiting or worked on
LATEST = 0.1  # weight of the latest work in the mean time that Retry-After is computed from

Result = TypeVar("Result")


class Deadline:
    """When a request must have its answer.

    Args:
        seconds: From now.
    """

    def __init__(self, seconds: float):
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds, at least 0."""
        return max(0.0, self._end - time.monotonic())

    def check(self) -> None:
        """Raises a TimeoutError if it has passed: work that nobody waits for any more ends here."""
        if not self.left():
            raise TimeoutError


class WorkQueue:
    """Threads that work, and a bounded number of requests that wait for them.

    Args:
        threads: Number of threads.
        waiting: Requests that may wait.
        timeout: Seconds that a request has.
    """

    def __init__(self, threads: int, waiting: int, timeout: float):
        self.threads, self.limit, self.timeout = threads, threads + waiting, timeout
        self.admitted = self._bytes = 0
        self._seconds = 1.0  # of one piece of work, in the mean
        self._executor = ThreadPoolExecutor(threads, "mlnet-serve")
        self._free = asyncio.Semaphore(threads)

    @property
    def is_full(self) -> bool:
        """Whether further requests are turned away."""
        return self.admitted >= self.limit

    @contextmanager
    def place(self, size: int) -> Iterator[Deadline]:
        """A place in the queue, held until the answer is sent.

        Args:
            size: Size of the request's body in bytes.

        Raises:
            HTTPException: With status 429, if there is none.
        """
        if self.is_full or (self.admitted and self._bytes + size > MAX_BODIES):
            seconds = max(1, math.ceil(self._seconds * self.admitted / self.threads))
            reason = f"{self.admitted} requests are in; try again in {seconds} s"
            raise HTTPException(429, reason, {"Retry-After": str(seconds)})
        self.admitted, self._bytes = self.admitted + 1, self._bytes + size
        try:
            yield Deadline(self.timeout)
        finally:
            self.admitted, self._bytes = self.admitted - 1, self._bytes - size

    async def run(
        self, work: Callable[[], Result], deadline: Deadline, is_gone: Callable[[], Awaitable[bool]]
    ) -> Result:
        """Waits for a thread, and for the work done there.

        Args:
            work: A function that looks at the deadline from time to time.
            deadline: Deadline of its request.
            is_gone: Whether nobody waits for the answer any more; asked before the work begins.

        Raises:
            TimeoutError: If the deadline passes first. Work that has begun keeps its thread until it ends.
            ConnectionError: If nobody waits for the answer any more.
        """
        await asyncio.wait_for(self._free.acquire(), deadline.left())
        try:
            if await is_gone():
                raise ConnectionError
            future = asyncio.get_running_loop().run_in_executor(self._executor, work)
        except BaseException:
            self._free.release()
            raise
        started = time.monotonic()

        def end(done: "asyncio.Future[Result]") -> None:
            self._seconds += LATEST * (time.monotonic() - started - self._seconds)
            self._free.release()
            done.exception()  # seen, although nobody may wait for it

        future.add_done_callback(end)
        return await asyncio.wait_for(asyncio.shield(future), deadline.left())

    def close(self) -> None:
        """Ends the threads."""
        self._executor.shutdown(cancel_futures=True)
