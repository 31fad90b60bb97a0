"""A worker process: receives connections through the dispatch socket, and runs the job of each in turn.

All workers of a pool read that socket, through which connections are passed as descriptors: the kernel gives
each to one idle worker. On a connection the worker sends its process id, reads one job, and writes progress
and the result. A client that closes its side cancels the job.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
import threading
import time
import traceback
from contextlib import suppress

from app.compute.memory import return_freed_memory
from app.compute.messages import packed, receive, send
from app.compute.perform import perform, pin_blas

GRACE = 0.4
"""Seconds that a cancelled job has to stop, at its next block or step; then the process exits."""

SILENCE = 10.0
"""Seconds that a client may take to write or read; a stopped one must not block a shared worker."""

IDLE = 0.05
"""Seconds without a job after which freed memory is returned; the next network of a request comes sooner."""

PROGRESS_INTERVAL = 0.1
"""Seconds between two messages about progress."""


class Cancelled(Exception):
    """The client has cancelled this job."""


def work(dispatch: socket.socket, life: int, max_bytes: float) -> None:
    """Runs jobs until the pipe ``life`` closes, whose other end the fork server holds."""
    pin_blas()
    _limit_memory(max_bytes)
    while (connection := _next(dispatch, life)) is not None:
        with connection, suppress(OSError, EOFError):
            connection.settimeout(SILENCE)
            _do(connection)


def _limit_memory(most: float) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = int(most) if hard == resource.RLIM_INFINITY else min(int(most), hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _next(dispatch: socket.socket, life: int) -> socket.socket | None:
    sources: list[socket.socket | int] = [dispatch, life]
    if not select.select(sources, [], [], IDLE)[0]:
        return_freed_memory()
    while life not in select.select(sources, [], [])[0]:
        with suppress(BlockingIOError):  # another worker was quicker
            data, descriptors, _, _ = socket.recv_fds(dispatch, 1, 1, socket.MSG_DONTWAIT)
            if not data:
                return None
            if descriptors:
                return socket.socket(fileno=descriptors[0])
    return None


def _do(connection: socket.socket) -> None:
    """Runs one job, from the connection's first message to the last."""
    send(connection, packed(("taken", os.getpid())), _give_up)
    job, threads = receive(connection, _give_up)
    watch = _Watch(connection)
    try:
        answer = packed(("done", perform(job, threads, watch.progress, watch.check)))
    except Cancelled:
        answer = b""
    except Exception as error:  # noqa: BLE001  any error is reported to the client
        answer = _failure(error)
    try:
        send(connection, answer, _give_up)
    finally:
        watch.end()


def _failure(error: Exception) -> bytes:
    error.add_note(traceback.format_exc())
    try:
        return packed(("failed", error))
    except Exception:  # noqa: BLE001  an error that cannot be pickled
        return packed(("failed", RuntimeError(traceback.format_exc())))


def _give_up() -> None:
    raise ConnectionError


class _Watch:
    """Detects that a client disconnects while its job runs, and reports the job's progress to it."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._cancelled = threading.Event()
        self._ended = threading.Event()
        self._last = 0.0
        self._thread = threading.Thread(target=self._await_disconnect, name="watch", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raises `Cancelled` if the client has disconnected."""
        if self._cancelled.is_set():
            raise Cancelled

    def progress(self, part: float) -> None:
        """Reports progress, at most every `PROGRESS_INTERVAL` seconds; raises as `check` does."""
        self.check()
        now = time.monotonic()
        if now - self._last >= PROGRESS_INTERVAL:
            self._last = now
            with suppress(OSError):  # `check` will raise
                send(self._connection, packed(("progress", part)), _give_up)

    def end(self) -> None:
        """The job is over."""
        self._ended.set()
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RD)  # wakes the thread
        self._thread.join()

    def _await_disconnect(self) -> None:
        # The client sends nothing more: the socket becomes readable at the end of the stream.
        select.select([self._connection], [], [])
        self._cancelled.set()
        if not self._ended.wait(GRACE):
            os._exit(1)  # within one long step; the fork server starts another worker


def begin(dispatch: socket.socket, life: int, max_bytes: float) -> None:
    """Runs a worker in a process that was just forked, until it exits."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        work(dispatch, life, max_bytes)
        status = 0
    except BaseException:  # noqa: BLE001  the process ends here: nothing of the fork server's may run in it
        traceback.print_exc()
    finally:
        os._exit(status)
