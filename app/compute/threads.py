"""Array computations on threads, off the event loop: NumPy releases the GIL, so blocks run in parallel.

Small arrays are computed inline, as a thread switch would cost more than the work; but the first time of each
kind of work runs on a thread, as its loops may have to be compiled. Large ones are admitted up to a fixed
number; one more is refused at once rather than queued without bound.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from app.compute.blocks import Helpers
from app.compute.memory import keep_freed_memory, return_freed_memory
from app.compute.perform import pin_blas
from app.core.evaluation import Mapper

Result = TypeVar("Result")

SMALL = 20_000
"""Numbers up to which work runs inline: it takes well under a millisecond."""

IDLE = 1.0
"""Seconds without large work after which the memory that it freed is returned."""


class Busy(Exception):
    """As many large requests as the service takes are running or waiting."""


class DeadlineExceeded(Exception):
    """The work did not finish before its deadline."""


class ComputeThreads:
    """Threads for large arrays: up to ``places`` requests of ``max_numbers`` in all, running or waiting."""

    def __init__(self, threads: int, places: int, max_numbers: float = math.inf) -> None:
        self._threads = threads
        self._places = places
        self._max_numbers = max_numbers
        self._taken = 0
        self._numbers = 0
        self._done: set[Hashable] = set()
        self._rest: asyncio.TimerHandle | None = None
        self.rejected = 0
        pin_blas()
        keep_freed_memory()
        self._first = ThreadPoolExecutor(1, "first")
        self._requests = ThreadPoolExecutor(threads, "request")
        self._helpers = Helpers(threads - 1)

    def inline(self, size: int, kind: Hashable) -> bool:
        """Whether `run` would only call the work: callers may then do without it."""
        return size <= SMALL and kind in self._done

    async def run(
        self, work: Callable[[Mapper], Result], *, size: int, seconds: float, kind: Hashable = None
    ) -> Result:
        """``work(map_blocks)``: inline up to `SMALL` numbers if this ``kind`` ran before, else on threads.

        Raises `Busy` if there is no place, `DeadlineExceeded` after ``seconds``; the work then stops before
        its next block, and only then releases its place.
        """
        if self.inline(size, kind):
            return work(map)
        if size <= SMALL:
            # No deadline: what may take long here is compiling, which is done once, not the client's work.
            result = await asyncio.wrap_future(self._first.submit(work, map))
            self._done.add(kind)
            return result
        if self._taken >= self._places or (self._taken and self._numbers + size > self._max_numbers):
            self.rejected += 1
            raise Busy
        stop = threading.Event()
        working = self._requests.submit(work, self._mapper(stop))
        self._taken += 1
        self._numbers += size
        self._end_rest()
        working.add_done_callback(partial(self._leave, asyncio.get_running_loop(), size))
        try:
            return await self._result(working, seconds)
        finally:
            stop.set()

    async def _result(self, working: Future[Result], seconds: float) -> Result:
        try:
            return await asyncio.wait_for(asyncio.wrap_future(working), seconds)
        except TimeoutError:
            raise DeadlineExceeded from None

    def _leave(self, loop: asyncio.AbstractEventLoop, size: int, _: Future[Any]) -> None:
        def leave() -> None:
            self._taken -= 1
            self._numbers -= size
            if not self._taken:
                self._rest = loop.call_later(IDLE, self._return_memory)

        with suppress(RuntimeError):  # the loop is closed: the service has ended
            loop.call_soon_threadsafe(leave)

    @property
    def running(self) -> int:
        """Large requests that a thread is computing."""
        return min(self._taken, self._threads)

    @property
    def waiting(self) -> int:
        """Large requests admitted that no thread has taken yet."""
        return self._taken - self.running

    def _return_memory(self) -> None:
        with suppress(RuntimeError):  # the threads have ended
            self._requests.submit(return_freed_memory)

    def _end_rest(self) -> None:
        if self._rest is not None:
            self._rest.cancel()

    def close(self) -> None:
        """Waits for the threads' work and ends them."""
        self._end_rest()
        self._first.shutdown()
        self._requests.shutdown()
        self._helpers.close()

    def _mapper(self, stop: threading.Event) -> Mapper:
        def check() -> None:
            if stop.is_set():
                raise DeadlineExceeded

        return self._helpers.mapper(check)
