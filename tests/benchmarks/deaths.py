"""Kills processes of one kind under load, and counts the effect on requests.

Four clients keep sending requests: small ones, arrays, simulations and pictures. Only requests in progress on
a killed server process may be lost, and these must succeed when they are retried. All other answers are right
or 503. All kinds of requests must be answered again within `RECOVERY`.
"""

from __future__ import annotations

import asyncio
import math
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from typing import NamedTuple

from tests.benchmarks.processes import (
    HOST,
    Server,
    command_of,
    connections_of,
    descendants,
    end,
    free_port,
    maps_of,
    parent_of,
)
from tests.benchmarks.timing import NotRun
from tests.benchmarks.traffic import BROKEN, Pool, get, large, simulation, small

RECOVERY = 10.0
"""Seconds within which the service must answer as before."""

REQUESTS = {
    "small": small(),
    "array": large(),
    "simulation": simulation(width=256),
    "picture": get("/plots/functions.svg?name=gelu"),
}
"""The clients' requests; the answers are deterministic."""

PAUSE = 0.02
"""Seconds between an answer and the next request, or small requests would take all processor time."""

SETTINGS = {"workers": 2, "simulators": 2, "picture_cache_bytes": 0}
"""Two server processes, and no cache of pictures."""


def workers_below(process: int) -> list[int]:
    """The worker processes of a service: the children of its fork server.

    The fork server is a process of its own or a fork of the service; its workers have its command line.
    """
    parents = {each: parent_of(each) for each in descendants(process)}
    forked = {each: parent for each, parent in parents.items() if parent in parents}
    return [each for each, parent in forked.items() if command_of(each) == command_of(parent)]


def renderers_below(process: int) -> list[int]:
    """The worker that draws: the one that has loaded vl-convert."""
    return [each for each in workers_below(process) if "vl_convert" in maps_of(each)]


def simulators_below(process: int) -> list[int]:
    """The workers that simulate."""
    drawing = renderers_below(process)
    return [each for each in workers_below(process) if each not in drawing]


def fork_servers_below(process: int) -> list[int]:
    """The fork server; none or two while it is being replaced."""
    workers = workers_below(process)
    return [
        each for each in descendants(process) if "fork_server" in command_of(each) and each not in workers
    ]


def servers_below(process: int) -> list[int]:
    """The server processes under a supervisor."""
    return [each for each in descendants(process) if "spawn_main" in command_of(each)]


def accepting(server: Server) -> list[int]:
    """The server processes that accept connections; a slow one may be missed now and then."""
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(socket.create_connection((HOST, server.port)))
        time.sleep(0.05)
        return [each for each in servers_below(server.process.pid) if connections_of(each, server.port)]


class Kind(NamedTuple):
    """A kind of process: functions for the existing processes, and for those that are working."""

    there: Callable[[], list[int]]
    at_work: Callable[[], list[int]]


def kinds_of(server: Server) -> dict[str, Kind]:
    """Each kind of process of a service, by name."""
    below: dict[str, Callable[[int], list[int]]] = {
        "worker": simulators_below,
        "fork server": fork_servers_below,
        "renderer": renderers_below,
    }
    alike = {name: partial(find, server.process.pid) for name, find in below.items()}
    found = {name: Kind(find, find) for name, find in alike.items()}
    servers = partial(servers_below, server.process.pid)
    return found | {"one of two servers": Kind(servers, partial(accepting, server))}


@dataclass
class Clients:
    """One client for each of `REQUESTS`, and the outcomes of their requests."""

    port: int
    counts: Counter[str] = field(default_factory=Counter)
    answered: dict[str, float] = field(default_factory=dict)

    async def ask(self, name: str, right: bytes) -> None:
        """Sends the request repeatedly; retries once if the connection breaks."""
        async with Pool(self.port) as pool:
            while True:
                sent = time.monotonic()
                status, body = await pool.answer(REQUESTS[name])
                if status == BROKEN:
                    self.counts["broken"] += 1
                    status, body = await pool.answer(REQUESTS[name])
                if (status, body) == (200, right):
                    self.counts["answered"] += 1
                    self.answered[name] = sent
                elif status == 503:
                    self.counts["refused"] += 1
                else:
                    self.counts["wrong"] += 1
                await asyncio.sleep(PAUSE if status == 200 else 5 * PAUSE)

    def all_answered_since(self, moment: float) -> bool:
        """Whether a request of each kind that was sent after ``moment`` has been answered."""
        return all(self.answered.get(name, 0.0) > moment for name in REQUESTS)


@asynccontextmanager
async def asking(port: int) -> AsyncIterator[Clients]:
    """Running clients, which know the right answers."""
    clients = Clients(port)
    async with Pool(port) as pool:
        right = {name: await pool.answer(request) for name, request in REQUESTS.items()}
    if statuses := {name: status for name, (status, _) in right.items() if status != 200}:
        raise NotRun(f"in peace already: {statuses}")
    async with AsyncExitStack() as stack:
        for name, (_, body) in right.items():
            task = asyncio.create_task(clients.ask(name, body))
            stack.callback(task.cancel)
        yield clients


class Toll(NamedTuple):
    """Counts of the requests' outcomes, and the seconds of each recovery, infinite if it took too long.

    ``sent_again`` counts requests in progress on a killed server process.
    """

    answered: int
    refused: int
    sent_again: int
    lost: int
    recoveries: list[float]


async def deaths(kind: Kind, server: Server, count: int) -> Toll:
    """The effect of killing ``count`` processes of a ``kind``, one after another."""
    source, excused, recoveries = random.Random(0), 0, list[float]()
    async with asking(server.port) as clients:
        for _ in range(count):
            await asyncio.sleep(source.uniform(0.2, 1.0))
            before = await _found(kind)
            excused += _kill(source.choice(before), server)
            recoveries.append(await _recovery(clients, kind, before))
        counts = clients.counts
    lost = counts["wrong"] + max(0, counts["broken"] - excused)
    return Toll(counts["answered"], counts["refused"], min(counts["broken"], excused), lost, recoveries)


def _kill(victim: int, server: Server) -> int:
    """Kills a process; the number of clients that were connected to it."""
    held = 0
    with suppress(ProcessLookupError):
        if victim in servers_below(server.process.pid):
            os.kill(victim, signal.SIGSTOP)  # so that no connection is accepted after the count
            held = connections_of(victim, server.port)
        os.kill(victim, signal.SIGKILL)
    return held


async def _found(kind: Kind) -> list[int]:
    last = time.monotonic() + RECOVERY
    while not (there := kind.there()):
        if time.monotonic() > last:
            raise NotRun("no such process was found")
        await asyncio.sleep(0.05)
    return there


async def _recovery(clients: Clients, kind: Kind, before: Sequence[int]) -> float:
    """Seconds until a new process works in place of the killed one, and all requests are answered again."""
    begun = time.monotonic()
    while (after := time.monotonic() - begun) < RECOVERY:
        if clients.all_answered_since(begun) and set(kind.at_work()) - set(before):
            return after
        await asyncio.sleep(0.05)
    return math.inf


@contextmanager
def dask() -> Iterator[tuple[str, Kind]]:
    """The address of a scheduler with a worker, both restarted when they end; and the scheduler's kind."""
    if find_spec("distributed") is None:
        raise NotRun("Dask is not installed")
    port = str(free_port())
    address = f"tcp://{HOST}:{port}"
    ours = ["--host", HOST, "--no-dashboard"]
    with (
        kept("distributed.cli.dask_scheduler", *ours, "--port", port) as scheduler,
        kept("distributed.cli.dask_worker", address, *ours, "--nthreads", "1"),
    ):
        yield address, scheduler


@contextmanager
def kept(*module: str) -> Iterator[Kind]:
    """A Python program, restarted whenever it ends, as by a container's restart policy; its kind."""
    running: list[subprocess.Popen[bytes]] = []
    over = threading.Event()

    def keep() -> None:
        while not over.is_set():
            command = [sys.executable, "-m", *module]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            running[:] = [process]
            process.wait()

    def there() -> list[int]:
        return [each.pid for each in running if each.poll() is None]

    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    try:
        yield Kind(there, there)
    finally:
        over.set()
        for each in running:
            end(each)
        thread.join()
