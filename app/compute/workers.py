"""Jobs on worker processes: when a worker dies, only its own job is retried.

Each job has its own connection to the worker that takes it, and a thread here that serves the connection. Its
end means that the worker died, at whatever instruction; closing it from here cancels the job.
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
"""How often a job is tried at most if its worker dies."""

TICK = 0.25
"""Seconds between two checks whether a worker has dropped a cancelled job."""

GRACE = 0.8
"""Seconds that a worker has to drop a cancelled job; then it is taken to be stopped or stuck, and killed."""

CROWDED = 0.01
"""Seconds to wait where the dispatch socket is full or descriptors are short."""


class WorkerLost(Exception):
    """The worker died under this job, each time it was tried."""


class Unavailable(Exception):
    """No worker is available at present."""


class Running(NamedTuple, Generic[Result]):
    """A submitted job: its future, the completed fraction, and whether a worker has begun it."""

    future: Future[Result]
    part: Callable[[], float]
    begun: Callable[[], bool]


class Executor(Protocol):
    """Where jobs run: local processes, or a cluster."""

    @property
    def capacity(self) -> int:
        """Jobs that can run at a time."""

    @property
    def restarts(self) -> int:
        """Workers that died."""

    @property
    def available(self) -> bool:
        """Whether jobs can run at present."""

    def submit(self, job: Job[Result], threads: int) -> Running[Result]:
        """Starts a job; cancelling its future ends it."""

    def close(self) -> None:
        """Ends every job."""


class Workers:
    """An `Executor` on the ``capacity`` worker processes that read ``dispatch`` (`WorkerProcesses`)."""

    available = True
    """Worker processes are started on demand."""

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
                outcome.set_running_or_notify_cancel()  # wakes the threads that wait for it
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
            except BaseException as error:  # noqa: BLE001  passed on through the future
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
                # A worker that died before it took the job was idle: that is not the job's fault.
                lost += task.worker is not None
                self.restarts += task.worker is not None
        raise WorkerLost

    def _exchange(self, task: _Task) -> tuple[bool, Any]:
        """Runs the job on one worker: whether it failed there, and its error or result."""
        with self._connect(task) as connection:
            task.use(connection)
            _, worker = receive(connection, task.kill_if_late)
            task.taken_by(worker)
            send(connection, task.message, task.kill_if_late)
            while True:
                kind, value = receive(connection, task.kill_if_late)
                if kind != "progress":
                    return kind == "failed", value
                task.part = value
                task.kill_if_late()

    def _connect(self, task: _Task) -> socket.socket:
        """A connection to the worker that takes its other end."""
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
    """A job being run: its message, its progress, and its worker."""

    def __init__(self, job: Any, threads: int) -> None:
        self.part = 0.0
        self.worker: int | None = None
        self._job = job, threads
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        self._cancelled_at: float | None = None

    @cached_property
    def message(self) -> bytes:
        """The job as it is sent, at each attempt."""
        return packed(self._job)

    def use(self, connection: socket.socket) -> None:
        """Uses ``connection`` for this attempt."""
        with self._lock:
            self.worker, self._connection = None, connection
        self.check()

    def taken_by(self, worker: int) -> None:
        """Records the worker process; from now on, even a cancelled job waits until the worker drops it."""
        with self._lock:
            self.check()
            self.worker = worker

    def cancel(self) -> None:
        """Cancels the job, on its worker too."""
        with self._lock:
            self._cancelled_at = time.monotonic()
            if self._connection is not None:
                # With a worker, ours stays readable: its end closes when the worker drops the job.
                how = socket.SHUT_RDWR if self.worker is None else socket.SHUT_WR
                with suppress(OSError):
                    self._connection.shutdown(how)

    def check(self) -> None:
        """Raises `CancelledError` if the job was cancelled."""
        if self._cancelled_at is not None:
            raise CancelledError

    def kill_if_late(self) -> None:
        """Kills a worker that does not drop a cancelled job.

        Its process id cannot have been reused: the worker still holds its end of the connection, which would
        be closed if it had died.
        """
        late = self._cancelled_at is not None and time.monotonic() - self._cancelled_at > GRACE
        if late and self.worker is not None:
            os.kill(self.worker, signal.SIGKILL)
