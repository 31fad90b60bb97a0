"""The worker processes of a service: starts their fork server, and restarts it when it dies.

To use a pool, its dispatch socket is enough. It can be passed to other server processes, which then share the
same workers. No files or addresses are needed.
"""

from __future__ import annotations

import json
import math
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Literal, NamedTuple, TypeAlias

import structlog

PAUSE = 1.0
"""Seconds before a fork server that ended at once is restarted."""

STOPPED = 5.0
"""Seconds that a fork server may be stopped, as by SIGSTOP; then it is killed and replaced."""

POLL = 0.1
"""Seconds between two polls of a stopped fork server: it may be continued, or end."""

EXIT_GRACE = 3.0
"""Seconds that the fork server has to end its workers and itself."""


ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
"""Environment that keeps BLAS from starting threads when it is loaded: they do not survive a fork."""

Start: TypeAlias = Literal["with the first job", "at once", "forked"]
"""When the fork server is started. One ``forked`` from this process shares the memory of the modules, which
are loaded here; this process must have no threads then, not even those of BLAS."""


class Pool(NamedTuple):
    """How many workers there may be, and how many bytes of memory each may take."""

    workers: int
    max_bytes: float


class WorkerProcesses:
    """Workers in ``pools``, by name, with the modules of ``preload`` loaded before they start.

    They end when this object is closed, and with the process that made it, however that ends.
    """

    def __init__(
        self,
        pools: Mapping[str, Pool],
        preload: Sequence[str] = (),
        start: Start = "with the first job",
    ) -> None:
        self.dispatch: dict[str, socket.socket] = {}
        self._receivers: list[socket.socket] = []
        for name in pools:
            receiver, sender = socket.socketpair()
            sender.setblocking(False)
            self._receivers.append(receiver)
            self.dispatch[name] = sender
        self._life, self._own_life = os.pipe()
        self._closed, self._closing = socket.socketpair()
        read = zip(self._receivers, pools.values(), strict=True)
        self._groups = [(receiver, *pool) for receiver, pool in read]
        self._preload = list(preload)
        early = self._fork() if start == "forked" else self._start() if start == "at once" else None
        self._thread = threading.Thread(target=self._keep_running, args=(early,), name="workers", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends all workers, busy ones included."""
        self._closing.close()
        os.close(self._own_life)
        self._thread.join(EXIT_GRACE)
        for each in (*self._receivers, *self.dispatch.values(), self._closed):
            each.close()
        os.close(self._life)

    def _keep_running(self, early: int | None) -> None:
        """Keeps a fork server running while there is work; ``early`` is one that already runs."""
        if early is not None:
            _wait(early)
        while self._work_waits():
            begun = time.monotonic()
            process = self._start()
            if process is not None:
                _wait(process)
            if time.monotonic() - begun < PAUSE:
                time.sleep(PAUSE)

    def _work_waits(self) -> bool:
        """Waits for work; False once this object is closed."""
        ready, _, _ = select.select([*self._receivers, self._closed], [], [])
        return self._closed not in ready

    def _start(self) -> int | None:
        """Starts a fork server as a new program; its process id."""
        groups = [(receiver.fileno(), *bounds) for receiver, *bounds in self._groups]
        descriptors = [self._life, *(receiver.fileno() for receiver in self._receivers)]
        arguments = json.dumps({"life": self._life, "groups": groups, "preload": self._preload})
        # The same path, so that jobs can be unpickled there.
        path = os.pathsep.join(filter(None, sys.path))
        environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": path}
        command = [sys.executable, "-m", f"{__package__}.fork_server", arguments]
        try:
            process = subprocess.Popen(command, pass_fds=descriptors, env=environment)  # noqa: S603
        except OSError as error:
            _warn(error)
            return None
        process.returncode = 0  # `_wait` reaps it, so that subprocess need not
        return process.pid

    def _fork(self) -> int | None:
        """Starts a fork server as a fork of this process; its process id."""
        from app.compute import fork_server  # noqa: PLC0415  NumPy and numba come with it

        fork_server.preload(self._preload)
        try:
            process = os.fork()
        except OSError as error:
            _warn(error)
            return None
        if process == 0:
            fork_server.become(self._groups, self._life)
        return process


def _warn(error: OSError) -> None:
    structlog.get_logger().warning("worker processes cannot be started", reason=error.strerror)


def _wait(process: int) -> None:
    """Waits until the process has ended; kills it if it stays stopped."""
    since = math.inf  # when it was stopped
    with suppress(ChildProcessError):
        while True:
            hang = 0 if since == math.inf else os.WNOHANG
            changed, status = os.waitpid(process, os.WUNTRACED | os.WCONTINUED | hang)
            if not changed:
                if time.monotonic() - since > STOPPED:
                    os.kill(process, signal.SIGKILL)
                time.sleep(POLL)
            elif os.WIFSTOPPED(status):
                since = time.monotonic()
            elif os.WIFCONTINUED(status):
                since = math.inf
            else:
                return
