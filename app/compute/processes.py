"""The worker processes of a service: their fork server, started when there is work, and again when it dies.

Whoever is to use a pool needs its dispatch socket alone. It can be handed to other server processes, which
then share the same workers. Nothing needs a file or an address.
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
from typing import NamedTuple

import structlog

PAUSE = 1.0
"""Seconds before a fork server is started again that ended at once."""

STOPPED = 5.0
"""Seconds that a fork server may be stopped, as by SIGSTOP; then another takes its place."""

POLL = 0.1
"""Seconds between two looks at one that is stopped: it may be continued, or end."""

EXIT_GRACE = 3.0
"""Seconds that the fork server has to end its workers and itself."""


class Pool(NamedTuple):
    """How many workers there may be, and how many bytes of memory each may take."""

    workers: int
    max_bytes: float


class WorkerProcesses:
    """Workers in ``pools``, by name, with the modules of ``preload`` in memory from the start.

    They end with this object, and with the process that made it, however that ends.
    """

    def __init__(self, pools: Mapping[str, Pool], preload: Sequence[str] = ()) -> None:
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
        groups = [(receiver.fileno(), *pool) for receiver, pool in read]
        self._arguments = json.dumps({"life": self._life, "groups": groups, "preload": list(preload)})
        self._thread = threading.Thread(target=self._keep, name="workers", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends all workers, whatever they are doing."""
        self._closing.close()
        os.close(self._own_life)
        self._thread.join(EXIT_GRACE)
        for each in (*self._receivers, *self.dispatch.values(), self._closed):
            each.close()
        os.close(self._life)

    def _keep(self) -> None:
        """Has a fork server as long as there is work."""
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

    def _start(self) -> subprocess.Popen[bytes] | None:
        descriptors = [self._life, *(receiver.fileno() for receiver in self._receivers)]
        # No thread of BLAS: forks do not survive threads. The path: jobs are found where they are found here.
        path = os.pathsep.join(filter(None, sys.path))
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": path}
        command = [sys.executable, "-m", f"{__package__}.fork_server", self._arguments]
        try:
            return subprocess.Popen(command, pass_fds=descriptors, env=environment)  # noqa: S603
        except OSError as error:
            structlog.get_logger().warning("worker processes cannot be started", reason=error.strerror)
            return None


def _wait(process: subprocess.Popen[bytes]) -> None:
    """Returns once the process has ended; ends it where it stays stopped."""
    since = math.inf  # when it was stopped
    with suppress(ChildProcessError):
        while True:
            hang = 0 if since == math.inf else os.WNOHANG
            changed, status = os.waitpid(process.pid, os.WUNTRACED | os.WCONTINUED | hang)
            if not changed:
                if time.monotonic() - since > STOPPED:
                    os.kill(process.pid, signal.SIGKILL)
                time.sleep(POLL)
            elif os.WIFSTOPPED(status):
                since = time.monotonic()
            elif os.WIFCONTINUED(status):
                since = math.inf
            else:
                process.returncode = os.waitstatus_to_exitcode(status)
                return
