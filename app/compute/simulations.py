"""Room for work on the workers: requests admitted, their jobs handed to an executor, ended when nobody waits.

    admission = simulations.admit(seconds)     a place, or `Busy`
    plan = await admission.prepare(describe)   describe(admission) on a thread: what comes before the jobs
    admission.reserve(plan.bytes)              memory for its jobs, or `Busy`
    answer = await admission.run(work)         work(admission) on a thread: admission(jobs, progress) has
                                               them done

All of it has one deadline, and ends when the caller is cancelled. A request's jobs are handed over a few at a
time, so that a large request does not keep the workers from the small one that comes after it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from typing import Any

from app.compute.threads import Busy, DeadlineExceeded
from app.compute.workers import Executor, Running
from app.core.jobs import Job, Progress, Result, ignore

PROGRESS_INTERVAL = 0.2
"""Seconds between two looks at how far the jobs are."""


class Simulations:
    """At most ``places`` requests at a time, together at most ``max_bytes`` of memory, on ``executor``."""

    def __init__(self, executor: Executor, *, places: int, max_bytes: float, threads: int) -> None:
        self.executor = executor
        self.rejected = 0
        self.threads = threads
        self._places = places
        self._max_bytes = max_bytes
        self._admitted: set[Admission] = set()
        # These threads wait for results and put them together; the work is the executor's.
        self.pool = ThreadPoolExecutor(places, "admitted")
        self.planner = ThreadPoolExecutor(1, "planner")

    @property
    def running(self) -> int:
        """Jobs in work."""
        return sum(each.begun for each in self._admitted)

    @property
    def waiting(self) -> int:
        """Jobs handed over that no worker has taken yet."""
        return sum(each.under_way for each in self._admitted) - self.running

    @property
    def restarts(self) -> int:
        """Workers that died."""
        return self.executor.restarts

    def admit(self, seconds: float, job_bytes: float = 0.0) -> Admission:
        """A place for a request for ``seconds`` from now on, whose jobs take ``job_bytes`` each.

        Raises `Busy` where there is no place, or no memory for one job.
        """
        if len(self._admitted) >= self._places:
            self.rejected += 1
            raise Busy
        admission = Admission(self, seconds)
        admission.reserve(job_bytes)
        self._admitted.add(admission)
        return admission

    def close(self) -> None:
        """Ends all jobs."""
        for admission in list(self._admitted):
            admission.end()
        self.executor.close()
        self.planner.shutdown(cancel_futures=True)
        self.pool.shutdown(cancel_futures=True)

    @property
    def memory_left(self) -> float:
        """Bytes that no admitted request has reserved."""
        return self._max_bytes - sum(each.bytes for each in self._admitted)

    def leave(self, admission: Admission) -> None:
        """Gives its place and memory to others."""
        self._admitted.discard(admission)


class Admission:
    """A request that was let in: its memory, its deadline, and its way to the workers, as a `Runner`.

    ``width`` jobs at a time are handed over: as many as fit the memory that is left, one at least.
    """

    def __init__(self, simulations: Simulations, seconds: float) -> None:
        self.bytes = 0.0
        self._simulations = simulations
        self._executor = simulations.executor
        self._width = self._executor.capacity
        self._end = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._ended = False
        self._started: dict[Future[Any], Running[Any]] = {}
        self._working: Future[Any] | None = None
        self._planning: Future[Any] | None = None

    def reserve(self, job_bytes: float) -> None:
        """Memory for jobs that take ``job_bytes`` each.

        Raises `Busy`, and gives the place back, where there is none for one.
        """
        left = self._simulations.memory_left
        if job_bytes > left:
            self._simulations.rejected += 1
            self.end()
            raise Busy
        self._width = self._executor.capacity
        if job_bytes:
            self._width = min(self._width, int(left / job_bytes))
        self.bytes = self._width * job_bytes

    async def prepare(self, work: Callable[[Admission], Result]) -> Result:
        """``work(self)`` on a thread of its own; the place is kept, unless it raises.

        Raises `DeadlineExceeded` once the time is over.
        """
        try:
            return await self._on_a_thread(work)
        except BaseException:
            self.end()
            raise

    async def run(self, work: Callable[[Admission], Result]) -> Result:
        """``work(self)`` on a thread of its own; gives the place back.

        Raises `DeadlineExceeded` once the time is over; the jobs are then ended, as they are when the caller
        is cancelled.
        """
        try:
            return await self._on_a_thread(work)
        finally:
            self.end()

    def check(self) -> None:
        """Raises `CancelledError` once nobody waits any more: for work that takes long on its own thread."""
        if self._ended:
            raise CancelledError

    def plan(self, step: Callable[[], Result]) -> Result:
        """``step()``, in its turn among all requests' steps; raises as `check` does.

        It is for Python that takes long, of which one thread runs at a time: several that compete would only
        keep the event loop waiting. Steps are to be short, so that nobody waits for long.
        """
        with self._lock:
            self.check()
            self._planning = planning = self._simulations.planner.submit(step)
        return planning.result()

    def __call__(self, jobs: Sequence[Job[Result]], progress: Progress) -> Iterator[Result]:
        """The results in the jobs' order. The first jobs start now, not when their results are asked for."""
        threads = max(1, self._simulations.threads // min(self._width, max(1, len(jobs))))
        done = 0

        def report(parts: float) -> None:
            progress((done + parts) / len(jobs))

        completed = self.completed(jobs, threads=threads, progress=report)

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
        self, jobs: Iterable[Job[Result]], *, threads: int = 1, progress: Progress = ignore
    ) -> Iterator[tuple[int, Future[Result]]]:
        """The jobs' numbers and futures as they end, in any order; jobs are taken as there is room.

        ``progress`` hears now and then the sum of the parts done of the jobs not yielded yet.
        """
        waiting = enumerate(jobs)
        started: dict[Future[Result], int] = {}

        def take() -> None:
            while len(started) < self._width and (following := next(waiting, None)):
                number, job = following
                started[self._start(job, threads)] = number

        def as_they_end() -> Iterator[tuple[int, Future[Result]]]:
            while started:
                ended, _ = wait(started, timeout=PROGRESS_INTERVAL, return_when=FIRST_COMPLETED)
                if self._ended:  # cancelled futures would never count as completed
                    raise CancelledError
                progress(len(ended) + sum(self._started[future].part() for future in started.keys() - ended))
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

    @property
    def begun(self) -> int:
        """Those of them that are being worked at."""
        return sum(each.begun() and not each.future.done() for each in list(self._started.values()))

    def end(self) -> None:
        """Ends the jobs that are under way, and gives the place back once its thread has seen it."""
        with self._lock:
            self._ended = True
        if self._planning is not None:
            self._planning.cancel()  # where others' steps come first
        for future in list(self._started):
            future.cancel()
        if self._working is None:
            self._leave()
        else:
            self._working.add_done_callback(self._leave)

    def _leave(self, _: Future[Any] | None = None) -> None:
        self._simulations.leave(self)

    def _start(self, job: Job[Result], threads: int) -> Future[Result]:
        with self._lock:
            self.check()
            running = self._executor.submit(job, threads)
            self._started[running.future] = running
            return running.future

    async def _on_a_thread(self, work: Callable[[Admission], Result]) -> Result:
        self._working = self._simulations.pool.submit(work, self)
        try:
            left = self._end - time.monotonic()
            return await asyncio.wait_for(asyncio.wrap_future(self._working), left)
        except TimeoutError:
            raise DeadlineExceeded from None
