"""Room for simulations: requests admitted, their jobs handed to an executor, ended when nobody waits.

A request's jobs are handed over a few at a time, so that a large request does not keep the workers from the
small one that comes after it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, ThreadPoolExecutor, wait
from typing import Any

from app.compute.threads import Busy, DeadlineExceeded
from app.compute.workers import Executor, Running
from app.core.jobs import Job, Progress, Result, Runner

GLANCE = 0.2
"""Seconds between two looks at how far the jobs are."""


class Simulations:
    """At most ``places`` requests at a time, together at most ``max_bytes`` of memory, on ``executor``."""

    def __init__(self, executor: Executor, *, places: int, max_bytes: float, threads: int) -> None:
        self.executor = executor
        self.rejected = 0
        self._places = places
        self._max_bytes = max_bytes
        self._threads = threads
        self._errands: list[_Errand] = []
        # These threads wait for results and put them together; the work is the executor's.
        self._pool = ThreadPoolExecutor(places, "errand")

    @property
    def running(self) -> int:
        """Jobs in work."""
        return min(self._under_way, self.executor.capacity)

    @property
    def waiting(self) -> int:
        """Jobs handed over that no worker has taken yet."""
        return self._under_way - self.running

    async def run(
        self, work: Callable[[Runner], Result], *, job_bytes: float = 0.0, seconds: float
    ) -> Result:
        """``work(runner)`` on a thread, its jobs on the executor.

        Raises `Busy` where there is no place or no memory for jobs of ``job_bytes`` each, and
        `DeadlineExceeded` after ``seconds``; the jobs are then ended, as they are when the caller is
        cancelled.
        """
        errand = self._admitted(job_bytes)
        try:
            running = asyncio.get_running_loop().run_in_executor(self._pool, work, errand)
            return await asyncio.wait_for(running, seconds)
        except TimeoutError:
            raise DeadlineExceeded from None
        finally:
            errand.end()
            self._errands.remove(errand)

    def close(self) -> None:
        """Ends all jobs and workers."""
        for errand in self._errands:
            errand.end()
        self.executor.close()
        self._pool.shutdown(cancel_futures=True)

    def _admitted(self, job_bytes: float) -> _Errand:
        """Room for a request: as many of its jobs at a time as fit the memory that is left, one at least."""
        left = self._max_bytes - sum(each.bytes for each in self._errands)
        if len(self._errands) >= self._places or job_bytes > left:
            self.rejected += 1
            raise Busy
        fitting = self.executor.capacity if not job_bytes else int(left / job_bytes)
        errand = _Errand(self.executor, min(self.executor.capacity, fitting), job_bytes, self._threads)
        self._errands.append(errand)
        return errand

    @property
    def _under_way(self) -> int:
        return sum(each.under_way for each in self._errands)


class _Errand:
    """One request's runner: its jobs in order, ``width`` of them at a time."""

    def __init__(self, executor: Executor, width: int, job_bytes: float, threads: int) -> None:
        self.bytes = width * job_bytes
        self._executor = executor
        self._width = width
        self._threads = threads
        self._lock = threading.Lock()
        self._ended = False
        self._started: list[Running[Any]] = []

    def __call__(self, jobs: Sequence[Job[Result]], progress: Progress) -> Iterator[Result]:
        """The results in the jobs' order."""
        threads = max(1, self._threads // min(self._width, max(1, len(jobs))))
        started: list[Running[Result]] = []
        for number in range(len(jobs)):
            while number >= len(started) or not started[number].future.done():
                self._top_up(jobs, started, threads)
                wait(_unfinished(started), timeout=GLANCE, return_when=FIRST_COMPLETED)
                progress(sum(1.0 if each.future.done() else each.part() for each in started) / len(jobs))
            self._top_up(jobs, started, threads)
            yield started[number].future.result()

    @property
    def under_way(self) -> int:
        """Jobs handed over and not done."""
        return len(_unfinished(self._started))

    def end(self) -> None:
        """Ends the jobs that are under way; no more will be started."""
        with self._lock:
            self._ended = True
        for each in self._started:
            each.future.cancel()

    def _top_up(self, jobs: Sequence[Job[Result]], started: list[Running[Result]], threads: int) -> None:
        while len(started) < len(jobs) and len(_unfinished(started)) < self._width:
            with self._lock:
                if self._ended:
                    raise CancelledError
                started.append(self._executor.submit(jobs[len(started)], threads))
                self._started = [*_running(self._started), started[-1]]


def _running(started: list[Running[Any]]) -> list[Running[Any]]:
    return [each for each in started if not each.future.done()]


def _unfinished(started: list[Running[Any]]) -> list[Any]:
    return [each.future for each in _running(started)]
