"""The fork server: loads the libraries once, and forks workers that share them.

It is a separate process (``python -m app.compute.fork_server``), or a fork of the service (`become`). It has
no threads, as they do not survive a fork. A worker is started when its pool has work waiting and fewer
workers than allowed; one that died is replaced the same way, in some hundredths of a second.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NoReturn

from app.compute.memory import gc_frozen
from app.compute.worker import begin

NICENESS = 10
"""Simulations yield the processor to the server process, so that small requests are still served."""

STOPPED = 5.0
"""Seconds that a worker may be stopped, as by SIGSTOP; then it is killed, and its job retried on another."""

EXIT_GRACE = 1.0
"""Seconds that workers have to exit by themselves when the service ends."""

PAUSE = 0.1
"""Seconds before the next fork where a worker died at once or could not be started."""


@dataclass
class Group:
    """The workers of one pool: their dispatch socket, how many there may be, and when each was started."""

    dispatch: socket.socket
    count: int
    max_bytes: float
    started: dict[int, float] = field(default_factory=dict)


class ForkServer:
    """Keeps each group's workers running until the pipe ``life`` closes; the service holds the other end."""

    def __init__(self, groups: Sequence[Group], life: int) -> None:
        self._groups = groups
        self._life = life
        self._stopped: dict[int, float] = {}
        self._workers_life, self._own_life = os.pipe()
        self._changed, changes = socket.socketpair()
        for each in (self._changed, changes):
            each.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # the wakeup descriptor needs a handler
        signal.set_wakeup_fd(changes.detach(), warn_on_full_buffer=False)

    def run(self) -> None:
        """Forks and reaps workers until the service ends, then ends all of them."""
        while True:
            hiring = {each.dispatch: each for each in self._groups if len(each.started) < each.count}
            timeout = 1.0 if self._stopped else None
            sources: list[socket.socket | int] = [self._life, self._changed, *hiring]
            ready, _, _ = select.select(sources, [], [], timeout)
            if self._life in ready:
                break
            if self._changed in ready:
                self._changed.recv(4096)
            self._reap()
            for dispatch, group in hiring.items():
                if dispatch in ready:
                    self._fork(group)
        self._end()

    def _fork(self, group: Group) -> None:
        try:
            worker = os.fork()
        except OSError as error:
            print(f"a worker process cannot be started: {error.strerror}", file=sys.stderr)  # noqa: T201
            time.sleep(PAUSE)
            return
        if worker == 0:
            os.close(self._own_life)
            begin(group.dispatch, self._workers_life, group.max_bytes)
        group.started[worker] = time.monotonic()

    def _reap(self) -> None:
        """Records which workers ended or were stopped, and kills those that stay stopped."""
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
                    self._forget(worker)
        for worker, since in self._stopped.items():
            if time.monotonic() - since > STOPPED:
                os.kill(worker, signal.SIGKILL)

    def _forget(self, worker: int) -> None:
        for group in self._groups:
            if time.monotonic() - group.started.pop(worker, 0.0) < PAUSE:
                time.sleep(PAUSE)

    def _end(self) -> None:
        os.close(self._own_life)  # idle workers exit; busy ones once their client closes the connection
        end = time.monotonic() + EXIT_GRACE
        while any(group.started for group in self._groups) and time.monotonic() < end:
            self._reap()
            time.sleep(0.01)
        for group in self._groups:
            for worker in group.started:
                os.kill(worker, signal.SIGKILL)


def preload(modules: Sequence[str]) -> None:
    """Imports the modules."""
    with gc_frozen():  # or the first garbage collection in a worker would copy every page
        for module in modules:
            importlib.import_module(module)


def become(groups: Sequence[tuple[socket.socket, int, float]], life: int) -> NoReturn:
    """Runs the fork server of these groups in a process that was just forked, until it exits."""
    status = 1
    try:
        _ignore_signals()
        _close_all_but([life, *(dispatch.fileno() for dispatch, *_ in groups)])
        os.nice(NICENESS)
        ForkServer([Group(*each) for each in groups], life).run()
        status = 0
    except BaseException:  # noqa: BLE001  the process ends here: nothing of the service's may run in it
        traceback.print_exc()
    finally:
        os._exit(status)


def _ignore_signals() -> None:
    """Ignores signals sent to the whole process group: the service itself ends its workers."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)


def _close_all_but(kept: Sequence[int]) -> None:
    """Closes all descriptors of the service, such as its port, but ``kept`` and the standard streams."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    for below, above in pairwise([2, *sorted(kept), soft]):
        os.closerange(below + 1, above)


def main() -> None:
    """Runs with the options in the first argument: JSON from `app.compute.processes`."""
    _ignore_signals()
    os.nice(NICENESS)
    options = json.loads(sys.argv[1])
    preload(options["preload"])
    groups = [Group(socket.socket(fileno=dispatch), *bounds) for dispatch, *bounds in options["groups"]]
    ForkServer(groups, options["life"]).run()


if __name__ == "__main__":
    main()
