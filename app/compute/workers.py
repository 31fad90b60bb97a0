"""Worker processes for simulations: one that dies costs its own task alone, one that is not wanted is ended.

pebble runs the processes. What it leaves open is done here: a task whose worker died is tried once more, a
pool that broke is made anew, and how far a task is shows on a board in shared memory, which needs no lock
that a killed worker could take with it.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing.context import ForkServerContext
from typing import Any, Generic, NamedTuple, Protocol

import pebble
from pebble import ProcessExpired, ProcessFuture, ProcessPool

from app.compute.perform import perform, pin_blas
from app.core.jobs import Job, Result

ATTEMPTS = 2
"""How often a task is tried whose worker dies."""

NICENESS = 10
"""Simulations yield the processor to the process that answers: small requests go on being served."""

GIVEN_UP = -1.0
"""On the board: the task may end."""

PATIENCE = 0.4
"""Seconds that a worker has to see this; then it is ended with its task."""

pebble.CONSTS.term_timeout = 0.5  # a worker deep in a matrix product does not hear SIGTERM: then SIGKILL


class WorkerLost(Exception):
    """The worker died under this task, and died again when it was tried anew."""


class Running(NamedTuple, Generic[Result]):
    """A task under way: its future, and the part of it that is done."""

    future: Future[Result]
    part: Callable[[], float]


class Executor(Protocol):
    """Where jobs are done: processes here, or a cluster."""

    @property
    def capacity(self) -> int:
        """Jobs that can run at a time."""

    @property
    def restarts(self) -> int:
        """Workers that died."""

    def submit(self, job: Job[Result], threads: int) -> Running[Result]:
        """Starts a job; cancelling its future ends it."""

    def close(self) -> None:
        """Ends everything."""


class Workers:
    """An `Executor` of ``capacity`` processes on this machine, started when first needed."""

    def __init__(self, capacity: int, max_bytes: float, slots: int) -> None:
        self.capacity = capacity
        self.restarts = 0
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._pool: ProcessPool | None = None
        methods = multiprocessing.get_all_start_methods()
        self._context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
        self._board = self._context.RawArray("d", slots)
        self._free = list(range(slots))

    def submit(self, job: Job[Result], threads: int) -> Running[Result]:
        """Starts a job on ``threads`` threads of some worker."""
        outcome: Future[Result] = Future()
        slot = self._free.pop() if self._free else None
        self._attempt(outcome, partial(_task, job, threads, slot), slot, ATTEMPTS)
        return Running(outcome, lambda: 0.0 if slot is None else self._board[slot])

    def close(self) -> None:
        """Ends all workers, whatever they are doing."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            _end(pool)

    def _attempt(
        self, outcome: Future[Result], task: Callable[[], Result], slot: int | None, left: int
    ) -> None:
        if slot is not None:
            self._board[slot] = 0.0
        try:
            inner = self._running_pool().schedule(task)
        except (BrokenProcessPool, RuntimeError) as error:
            self._release(slot)
            if outcome.set_running_or_notify_cancel():
                outcome.set_exception(error)
            return
        outcome.add_done_callback(lambda _: self._give_up(inner, slot))

        def done(_: Future[Result]) -> None:
            lost = not inner.cancelled() and isinstance(inner.exception(), ProcessExpired | BrokenProcessPool)
            self.restarts += lost
            if lost and left > 1 and not outcome.cancelled():
                self._attempt(outcome, task, slot, left - 1)
                return
            self._release(slot)
            if not inner.cancelled() and outcome.set_running_or_notify_cancel():
                copy(inner, outcome, WorkerLost() if lost else None)

        inner.add_done_callback(done)

    def _give_up(self, inner: ProcessFuture[Any], slot: int | None) -> None:
        """Ends a task that nobody waits for: by asking its worker, which keeps what it has at hand, or it."""
        if inner.done():
            return
        if slot is None or not inner.running():
            inner.cancel()  # type: ignore[no-untyped-call]
            return
        self._board[slot] = GIVEN_UP
        patience = threading.Timer(PATIENCE, inner.cancel)
        patience.daemon = True
        patience.start()

    def _release(self, slot: int | None) -> None:
        if slot is not None:
            self._free.append(slot)

    def _running_pool(self) -> ProcessPool:
        """The pool, made anew where it was never made or broke."""
        with self._lock:
            if self._pool is None or not self._pool.active:
                self._pool = self._new_pool()
            return self._pool

    def _new_pool(self) -> ProcessPool:
        if self._pool is not None:
            threading.Thread(target=_end, args=(self._pool,), daemon=True).start()
        # What starts the workers loads the libraries once, and without threads, which forks do not survive.
        os.environ["OPENBLAS_NUM_THREADS"] = "1"
        if isinstance(self._context, ForkServerContext):
            self._context.set_forkserver_preload([__name__])
        return ProcessPool(
            self.capacity,
            initializer=_begin,
            initargs=(self._board, self._max_bytes),
            context=self._context,
        )


def copy(source: Future[Result], target: Future[Result], error: BaseException | None = None) -> None:
    """Gives ``target`` the outcome of ``source``, or ``error``."""
    if (failure := error or source.exception()) is not None:
        target.set_exception(failure)
    else:
        target.set_result(source.result())


def _end(pool: ProcessPool) -> None:
    pool.stop()  # type: ignore[no-untyped-call]
    pool.join()


_board: Any = ()
"""In a worker: the shared board of parts done, by slot."""


def _begin(board: Any, max_bytes: float) -> None:
    """Makes this process a worker."""
    global _board  # noqa: PLW0603  a worker process has one board for its life
    _board = board
    os.nice(NICENESS)
    pin_blas()
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = int(max_bytes) if hard == resource.RLIM_INFINITY else min(int(max_bytes), hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


class _GivenUp(Exception):
    """Nobody waits for this task any more."""


def _task(job: Job[Result], threads: int, slot: int | None) -> Result:
    def told(part: float) -> None:
        if slot is None:
            return
        if _board[slot] == GIVEN_UP:
            raise _GivenUp
        _board[slot] = part

    return perform(job, threads, told)
