"""``python -m app.compute.fork_server``: has the libraries in memory, and forks workers that have them too.

It runs without threads, which forks do not survive. A worker is started when a pool has work waiting and
fewer workers than it may; one that died is replaced the same way, in some hundredths of a second.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from app.compute.worker import begin

STOPPED = 5.0
"""Seconds that a worker may be stopped, as by SIGSTOP; then it is ended, and its job done by another."""

FAREWELL = 1.0
"""Seconds that workers have to end by themselves when the service ends."""

PAUSE = 0.1
"""Seconds before the next fork where a worker died young or could not be started."""


@dataclass
class Crew:
    """The workers of one pool: what they read, how many there may be, and since when each is there."""

    bell: socket.socket
    count: int
    max_bytes: float
    born: dict[int, float] = field(default_factory=dict)


class ForkServer:
    """Keeps each crew's workers until the pipe ``life`` closes, whose other end the service holds."""

    def __init__(self, crews: Sequence[Crew], life: int) -> None:
        self._crews = crews
        self._life = life
        self._stopped: dict[int, float] = {}
        self._workers_life, self._own_life = os.pipe()
        self._changed, changes = socket.socketpair()
        for each in (self._changed, changes):
            each.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only so that the wakeup descriptor hears of it
        signal.set_wakeup_fd(changes.detach(), warn_on_full_buffer=False)

    def run(self) -> None:
        """Forks and reaps until the service ends, then has all workers end."""
        while True:
            bells = {crew.bell: crew for crew in self._crews if len(crew.born) < crew.count}
            timeout = 1.0 if self._stopped else None
            sources: list[socket.socket | int] = [self._life, self._changed, *bells]
            ready, _, _ = select.select(sources, [], [], timeout)
            if self._life in ready:
                break
            if self._changed in ready:
                self._changed.recv(4096)
            self._reap()
            for bell, crew in bells.items():
                if bell in ready:
                    self._fork(crew)
        self._end()

    def _fork(self, crew: Crew) -> None:
        try:
            worker = os.fork()
        except OSError as error:
            print(f"a worker process cannot be started: {error.strerror}", file=sys.stderr)  # noqa: T201
            time.sleep(PAUSE)
            return
        if worker == 0:
            os.close(self._own_life)
            begin(crew.bell, self._workers_life, crew.max_bytes)
        crew.born[worker] = time.monotonic()

    def _reap(self) -> None:
        """Takes note of workers that ended or stopped, and ends those that stay stopped."""
        with suppress(ChildProcessError):
            while True:
                worker, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
                if not worker:
                    break
                if os.WIFSTOPPED(status):
                    self._stopped[worker] = time.monotonic()
                    continue
                self._stopped.pop(worker, None)
                if not os.WIFCONTINUED(status):
                    self._bury(worker)
        for worker, since in self._stopped.items():
            if time.monotonic() - since > STOPPED:
                os.kill(worker, signal.SIGKILL)

    def _bury(self, worker: int) -> None:
        for crew in self._crews:
            if time.monotonic() - crew.born.pop(worker, 0.0) < PAUSE:
                time.sleep(PAUSE)

    def _end(self) -> None:
        os.close(self._own_life)  # idle workers leave; busy ones once their client's end closes
        end = time.monotonic() + FAREWELL
        while any(crew.born for crew in self._crews) and time.monotonic() < end:
            self._reap()
            time.sleep(0.01)
        for crew in self._crews:
            for worker in crew.born:
                os.kill(worker, signal.SIGKILL)


def main() -> None:
    """Serves as the arguments say: JSON from `app.compute.processes`."""
    # The service is told to end, and it tells its workers: signals to the whole group are not for them.
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    options = json.loads(sys.argv[1])
    for module in options["preload"]:
        importlib.import_module(module)
    gc.freeze()  # or the first search for garbage in a worker would copy every page
    crews = [Crew(socket.socket(fileno=bell), *bounds) for bell, *bounds in options["crews"]]
    ForkServer(crews, options["life"]).run()


if __name__ == "__main__":
    main()
