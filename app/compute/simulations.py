"""Admission of requests to the workers: a limit on requests and on their memory, deadlines and cancellation.

    admission = simulations.admit(seconds)     a place, or `Busy`
    plan = await admission.prepare(describe)   describe(admission) on a thread: what precedes the jobs
    admission.reserve(plan.bytes)              memory for its jobs, or `Busy`
    answer = await admission.run(work)         work(admission) on a thread: admission(jobs, progress) runs
                                               the jobs

All steps share one deadline, and end when the caller is cancelled. A request's jobs are submitted a few at a
time, so that a large request does not block a small one that comes after it.
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
"""Seconds between two reports of the jobs' progress."""


class Simulations:
    """At most ``places`` requests at a time, together at most ``max_bytes`` of memory, on ``executor``."""

    def __init__(self, executor: Executor, *, places: int, max_bytes: float, threads: int) -> None:
        self.executor = executor
        self.rejected = 0
        self.threads = threads
        self._places = places
        self._max_bytes = max_bytes
        self._admitted: set[Admission] = set()
        # These threads wait for results and combine them; the work itself is done by the executor.
        self.pool = ThreadPoolExecutor(places, "admitted")
        self.planner = ThreadPoolExecutor(1, "planner")

    @property
    def running(self) -> int:
        """Jobs that a worker is running."""
        return sum(each.begun for each in self._admitted)

    @property
    def waiting(self) -> int:
        """Jobs submitted that no worker has taken yet."""
        return sum(each.under_way for each in self._admitted) - self.running

    @property
    def restarts(self) -> int:
        """Workers that died."""
        return self.executor.restarts

    def admit(self, seconds: float, job_bytes: float = 0.0) -> Admission:
        """Admits a request for ``seconds`` from now on, whose jobs take ``job_bytes`` each.

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
        """Releases the admission's place and memory."""
        self._admitted.discard(admission)


class Admission:
    """An admitted request: its memory, its deadline, and its access to the workers, as a `Runner`.

    Up to ``_width`` jobs are submitted at a time: as many as fit in the memory that is left, at least one.
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
        """Reserves memory for jobs that take ``job_bytes`` each.

        Raises `Busy`, and releases the place, if there is not enough for one job.
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
        """``work(self)`` on another thread; keeps the place, unless ``work`` raises.

        Raises `DeadlineExceeded` after the deadline.
        """
        try:
            return await self._on_a_thread(work)
        except BaseException:
            self.end()
            raise

    async def run(self, work: Callable[[Admission], Result]) -> Result:
        """``work(self)`` on another thread; releases the place.

        Raises `DeadlineExceeded` after the deadline. The jobs are ended then, and when the caller is
        cancelled.
        """
        try:
            return await self._on_a_thread(work)
        finally:
            self.end()

    def check(self) -> None:
        """Raises `CancelledError` if the request has ended: for long computations on the request's thread."""
        if self._ended:
            raise CancelledError

    def plan(self, step: Callable[[], Result]) -> Result:
        """``step()`` on the one planner thread, behind other requests' steps; raises as `check` does.

        It is for long computations in pure Python: several threads would only compete for the GIL with the
        event loop. Steps should be short, as others wait behind them.
        """
        with self._lock:
            self.check()
            self._planning = planning = self._simulations.planner.submit(step)
        return planning.result()

    def __call__(self, jobs: Sequence[Job[Result]], progress: Progress) -> Iterator[Result]:
        """The results in the order of the jobs. The first jobs start now, not at the first ``next``."""
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
        """The jobs' numbers and futures as they end, in any order; ``jobs`` is consumed as there is room.

        ``progress`` is called now and then with the sum of the completed fractions of the jobs not yielded
        yet.
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
        """Jobs submitted and not done."""
        return sum(not future.done() for future in list(self._started))

    @property
    def begun(self) -> int:
        """Jobs that a worker is running."""
        return sum(each.begun() and not each.future.done() for each in list(self._started.values()))

    def end(self) -> None:
        """Cancels the jobs, and releases the place once the request's thread has ended."""
        with self._lock:
            self._ended = True
        if self._planning is not None:
            self._planning.cancel()  # has an effect while it waits behind others' steps
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
