"""Room for simulations: requests admitted, their jobs handed to an executor, ended when nobody waits.

A request's jobs are handed over a few at a time, so that a large request does not keep the workers from the
small one that comes after it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from typing import Any

from app.compute.threads import Busy, DeadlineExceeded
from app.compute.workers import Executor, Running
from app.core.jobs import Job, Progress, Result, ignore

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
        self._errands: set[Errand] = set()
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

    @property
    def restarts(self) -> int:
        """Workers that died."""
        return self.executor.restarts

    def admit(self, job_bytes: float = 0.0) -> Errand:
        """A place for a request whose jobs take ``job_bytes`` each; `Errand.run` gives it back.

        As many jobs at a time as fit the memory that is left, one at least. Raises `Busy` where there is no
        place or no memory for one.
        """
        left = self._max_bytes - sum(each.bytes for each in self._errands)
        if len(self._errands) >= self._places or job_bytes > left:
            self.rejected += 1
            raise Busy
        width = self.executor.capacity
        if job_bytes:
            width = min(width, int(left / job_bytes))
        errand = Errand(self.executor, self._pool, width, job_bytes, self._threads, self._errands.discard)
        self._errands.add(errand)
        return errand

    def close(self) -> None:
        """Ends all jobs and workers."""
        for errand in list(self._errands):
            errand.end()
        self.executor.close()
        self._pool.shutdown(cancel_futures=True)

    @property
    def _under_way(self) -> int:
        return sum(each.under_way for each in self._errands)


class Errand:
    """One request's way through the workers, ``width`` jobs at a time: a `Runner` for its work."""

    def __init__(
        self,
        executor: Executor,
        pool: ThreadPoolExecutor,
        width: int,
        job_bytes: float,
        threads: int,
        leave: Callable[[Errand], None],
    ) -> None:
        self.bytes = width * job_bytes
        self._executor = executor
        self._pool = pool
        self._width = width
        self._threads = threads
        self._leave = leave
        self._lock = threading.Lock()
        self._ended = False
        self._started: dict[Future[Any], Running[Any]] = {}

    async def run(self, work: Callable[[Errand], Result], seconds: float) -> Result:
        """``work(self)`` on a thread of its own.

        Raises `DeadlineExceeded` after ``seconds``; the jobs are then ended, as they are when the caller is
        cancelled.
        """
        try:
            running = asyncio.get_running_loop().run_in_executor(self._pool, work, self)
            return await asyncio.wait_for(running, seconds)
        except TimeoutError:
            raise DeadlineExceeded from None
        finally:
            self.end()
            self._leave(self)

    def __call__(self, jobs: Sequence[Job[Result]], progress: Progress) -> Iterator[Result]:
        """The results in the jobs' order. The first jobs start now, not when their results are asked for."""
        threads = max(1, self._threads // min(self._width, max(1, len(jobs))))
        done = 0

        def glance(parts: float) -> None:
            progress((done + parts) / len(jobs))

        completed = self.completed(jobs, threads=threads, glance=glance)

        def in_order() -> Iterator[Result]:
            nonlocal done
            ready: dict[int, Future[Result]] = {}
            yielded = 0
            for number, future in completed:
                ready[number] = future
                done += 1
                while yielded in ready:
                    yield ready.pop(yielded).result()
                    yielded += 1

        return in_order()

    def completed(
        self, jobs: Iterable[Job[Result]], *, threads: int = 1, glance: Progress = ignore
    ) -> Iterator[tuple[int, Future[Result]]]:
        """The jobs' numbers and futures as they end, in any order; jobs are taken as there is room.

        ``glance`` hears now and then the sum of the parts done of the jobs not yielded yet.
        """
        waiting = enumerate(jobs)
        started: dict[Future[Result], int] = {}

        def take() -> None:
            while len(started) < self._width and (following := next(waiting, None)):
                number, job = following
                started[self._start(job, threads)] = number

        def as_they_end() -> Iterator[tuple[int, Future[Result]]]:
            while started:
                ended, _ = wait(started, timeout=GLANCE, return_when=FIRST_COMPLETED)
                if self._ended:  # cancelled futures would never count as completed
                    raise CancelledError
                glance(len(ended) + sum(self._started[future].part() for future in started.keys() - ended))
                for future in ended:
                    del self._started[future]
                    yield started.pop(future), future
                take()

        take()
        return as_they_end()

    @property
    def under_way(self) -> int:
        """Jobs handed over and not done."""
        return sum(not future.done() for future in list(self._started))

    def end(self) -> None:
        """Ends the jobs that are under way; no more will be started."""
        with self._lock:
            self._ended = True
        for future in list(self._started):
            future.cancel()

    def _start(self, job: Job[Result], threads: int) -> Future[Result]:
        with self._lock:
            if self._ended:
                raise CancelledError
            running = self._executor.submit(job, threads)
            self._started[running.future] = running
            return running.future
