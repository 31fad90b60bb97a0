"""Jobs on worker processes: one that dies costs its own job a retry and nobody else anything.

A job has a connection of its own to the worker that takes it, and a thread here that attends to it. The
connection's end says that the worker died, at whatever instruction; closing it says that the job is not
wanted.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, InvalidStateError, ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from typing import Any, Generic, NamedTuple, Protocol

from app.compute.messages import packed, receive, send
from app.core.jobs import Job, Result

ATTEMPTS = 3
"""How often a job is tried whose worker dies."""

TICK = 0.25
"""Seconds between two looks whether a worker has let go of a job that is not wanted."""

PATIENCE = 0.8
"""Seconds that a worker has to let go, one way or the other; it is then stopped or stuck, and ended."""

CROWDED = 0.01
"""Seconds to wait where the dispatch socket is full or descriptors are short."""


class WorkerLost(Exception):
    """The worker died under this job, each time it was tried."""


class Unavailable(Exception):
    """There is nobody just now who could do a job."""


class Running(NamedTuple, Generic[Result]):
    """A job handed over: its future, the part of it that is done, and whether somebody works at it."""

    future: Future[Result]
    part: Callable[[], float]
    begun: Callable[[], bool]


class Executor(Protocol):
    """Where jobs are done: processes here, or a cluster."""

    @property
    def capacity(self) -> int:
        """Jobs that can run at a time."""

    @property
    def restarts(self) -> int:
        """Workers that died."""

    @property
    def available(self) -> bool:
        """Whether jobs can be done just now."""

    def submit(self, job: Job[Result], threads: int) -> Running[Result]:
        """Starts a job; cancelling its future ends it."""

    def close(self) -> None:
        """Ends every job."""


class Workers:
    """An `Executor` on the ``capacity`` worker processes that read ``dispatch`` (`WorkerProcesses`)."""

    available = True
    """They are started when they are needed."""

    def __init__(self, dispatch: socket.socket, capacity: int) -> None:
        self.capacity = capacity
        self.restarts = 0
        self._dispatch = dispatch
        self._tasks: set[_Task] = set()
        self._threads = ThreadPoolExecutor(capacity, "worker")

    def submit(self, job: Job[Result], threads: int) -> Running[Result]:
        """Starts a job on ``threads`` threads of the first worker that is free."""
        outcome: Future[Result] = Future()
        task = _Task(job, threads)
        self._tasks.add(task)

        def ended(_: Future[Result]) -> None:
            if outcome.cancelled():
                outcome.set_running_or_notify_cancel()  # whoever waits for it need not wait longer
                task.cancel()

        outcome.add_done_callback(ended)
        self._threads.submit(self._attend, task, outcome)
        return Running(outcome, lambda: task.part, lambda: task.worker is not None)

    def close(self) -> None:
        """Ends every job; the processes are their owner's."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for task in list(self._tasks):
            task.cancel()

    def _attend(self, task: _Task, outcome: Future[Any]) -> None:
        with suppress(InvalidStateError):  # cancelled
            try:
                failed, value = self._tried(task)
            except BaseException as error:  # noqa: BLE001  the future tells whoever waits
                failed, value = True, error
            finally:
                self._tasks.discard(task)
            if failed:
                outcome.set_exception(value)
            else:
                outcome.set_result(value)

    def _tried(self, task: _Task) -> tuple[bool, Any]:
        lost = 0
        while lost < ATTEMPTS:
            try:
                return self._exchange(task)
            except (EOFError, ConnectionError):
                task.check()
                task.part = 0.0
                # One that died before it took the job was idle, and is none of the job's business.
                lost += task.worker is not None
                self.restarts += task.worker is not None
        raise WorkerLost

    def _exchange(self, task: _Task) -> tuple[bool, Any]:
        """From one worker: whether the job failed there, and its error or result."""
        with self._connect(task) as connection:
            task.use(connection)
            _, worker = receive(connection, task.look)
            task.taken_by(worker)
            send(connection, task.message, task.look)
            while True:
                kind, value = receive(connection, task.look)
                if kind != "progress":
                    return kind == "failed", value
                task.part = value
                task.look()

    def _connect(self, task: _Task) -> socket.socket:
        """A connection to whichever worker takes its other end."""
        while True:
            task.check()
            with suppress(OSError):
                ours, theirs = socket.socketpair()
                with theirs:
                    try:
                        socket.send_fds(self._dispatch, [b"."], [theirs.fileno()])
                    except OSError:
                        ours.close()
                        raise
                ours.settimeout(TICK)
                return ours
            time.sleep(CROWDED)


class _Task:
    """A job on its way: what is sent, how far it is, and who is at it."""

    def __init__(self, job: Any, threads: int) -> None:
        self.part = 0.0
        self.worker: int | None = None
        self._job = job, threads
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        self._unwanted: float | None = None

    @cached_property
    def message(self) -> bytes:
        """The job as it is sent, each time that it is tried."""
        return packed(self._job)

    def use(self, connection: socket.socket) -> None:
        """Goes over ``connection`` from now on."""
        with self._lock:
            self.worker, self._connection = None, connection
        self.check()

    def taken_by(self, worker: int) -> None:
        """A worker process has taken it; from now on it is waited for, even by those who want it no more."""
        with self._lock:
            self.check()
            self.worker = worker

    def cancel(self) -> None:
        """Lets whoever is at it know that it is not wanted."""
        with self._lock:
            self._unwanted = time.monotonic()
            if self._connection is not None:
                # The worker's end is to show when it has let go; there is none before it is taken.
                how = socket.SHUT_RDWR if self.worker is None else socket.SHUT_WR
                with suppress(OSError):
                    self._connection.shutdown(how)

    def check(self) -> None:
        """Raises `CancelledError` where it is not wanted."""
        if self._unwanted is not None:
            raise CancelledError

    def look(self) -> None:
        """Ends a worker that does not let go.

        The process that is ended is no other that was given the same number meanwhile: it still holds its end
        of the connection, which would be closed if it had died.
        """
        late = self._unwanted is not None and time.monotonic() - self._unwanted > PATIENCE
        if late and self.worker is not None:
            os.kill(self.worker, signal.SIGKILL)
