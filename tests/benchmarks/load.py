"""``python -m tests.benchmarks.load``: overload at twice the capacity, 100,000 requests, and faults.

It starts and ends its own servers on 127.0.0.1.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import NamedTuple

from tests.benchmarks import strangers
from tests.benchmarks.blows import kills_in_mid_send, stops, without_files
from tests.benchmarks.deaths import RECOVERY, SETTINGS, Toll, dask, deaths, kinds_of
from tests.benchmarks.processes import (
    HOST,
    Server,
    activation_lab,
    descendants,
    processor_seconds,
    resident,
)
from tests.benchmarks.report import Table, duration, memory, verdict, write
from tests.benchmarks.soak import soak
from tests.benchmarks.timing import NotRun
from tests.benchmarks.traffic import (
    Answered,
    Kind,
    Pool,
    at_rate,
    large,
    one_after_another,
    post,
    simulation,
    small,
)

SMALL = Kind("small (10 numbers, JSON)", 0.90, small())
LARGE = Kind("large (200,000 numbers, `.npy`)", 0.08, large())
SIMULATION = Kind("simulation (2 networks of 50 × 512)", 0.02, simulation())
MIX = (SMALL, LARGE, SIMULATION)

CLIENTS = 4
"""Clients with one request at a time: they keep two cores busy without refusals, which is the capacity."""

OVERLOAD = 2.0

LASTING = (
    Kind("small", 0.97, small()),
    Kind("large", 0.029, large()),
    Kind("simulation", 0.001, simulation()),
)

BODIES = (
    b"",
    b"{",
    b'{"function": "tanh", "inputs": [1, 2',
    b'{"function": "tanh", "inputs": [NaN]}',
    b'{"function": "tanh", "inputs": [[1, 2], [3]]}',
    b'{"function": "tanh", "inputs": [1, true, null]}',
    b'{"function": "nothing", "inputs": [1]}',
    b"[" * 100_000,
    b"\xff\xfe\x00",
    b'{"function": "tanh", "inputs": [1e999]}',
)

RECEIVE_TIMEOUT = strangers.TIMEOUT
"""The receive timeout in these tests: short, so that slow clients are closed during the measurement."""


class Effort(NamedTuple):
    """Seconds under load, requests of the memory test, and how often each fault is tried."""

    seconds: float
    requests: int
    kills: int
    deaths: int
    stops: int
    slow: int
    broken: int
    crowd: int
    leaving: int
    silent: int
    soak: float


FULL = Effort(
    seconds=60,
    requests=100_000,
    kills=20,
    deaths=10,
    stops=2,
    slow=100,
    broken=1000,
    crowd=20,
    leaving=200,
    silent=200,
    soak=1800,
)
QUICK = Effort(
    seconds=5,
    requests=2000,
    kills=2,
    deaths=2,
    stops=1,
    slow=10,
    broken=50,
    crowd=4,
    leaving=20,
    silent=100,
    soak=20,
)


def main() -> None:
    """Runs all load tests; only a full run is written to docs/benchmarks.md."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.load", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a try in half a minute, not written down")
    parser.add_argument("--deaths", action="store_true", help="kill processes, and nothing else")
    options = parser.parse_args()
    effort = QUICK if options.quick else FULL
    found = {"deaths": [killed(effort.deaths)]}
    if not options.deaths:
        found["load"] = [overload(effort), endurance(effort), soak(LASTING, effort.soak), faults(effort)]
    for name, tables in found.items():
        print("\n\n".join(map(str, tables)))
        if not options.quick:
            write(name, tables)


def overload(effort: Effort) -> Table:
    """Statuses and latencies at twice the capacity, where only 200 and 503 are right."""
    with activation_lab() as server:
        before = asyncio.run(one_after_another(server.port, MIX, CLIENTS, duration=effort.seconds / 4))
        capacity = len(before) / (effort.seconds / 4)
        answers = asyncio.run(at_rate(server.port, MIX, OVERLOAD * capacity, effort.seconds))
    title = f"{effort.seconds:g} s at {OVERLOAD * capacity:,.0f} requests/s, {OVERLOAD:g} times the capacity"
    result = Table(title, ("requests", "sent", "200", "503", "other", "median of the 200s", "p99"))
    for kind in MIX:
        result.rows.append(_counted(kind.name, [each for each in answers if each.kind is kind]))
    others = sum(each.status not in (200, 503) for each in answers)
    result.notes.append(verdict("Nothing but 200 and 503", met=not others) + ".")
    return result


def _counted(name: str, answers: list[Answered]) -> tuple[str, ...]:
    statuses = Counter(each.status for each in answers)
    others = len(answers) - statuses[200] - statuses[503]
    times = sorted(each.seconds for each in answers if each.status == 200)
    middle, late = (statistics.median(times), times[int(0.99 * len(times))]) if times else (0.0, 0.0)
    counts = (f"{count:,}" for count in (len(answers), statuses[200], statuses[503], others))
    return (name, *counts, duration(middle), duration(late))


def endurance(effort: Effort) -> Table:
    """Memory before and after many requests."""
    with activation_lab() as server:
        asyncio.run(one_after_another(server.port, LASTING, 16, count=effort.requests // 50))
        before = resident(server.process.pid)
        answers = asyncio.run(one_after_another(server.port, LASTING, 16, count=effort.requests))
        after = resident(server.process.pid)
    result = Table(f"Memory over {effort.requests:,} requests", ("", "all processes"))
    result.rows.append((f"after {effort.requests // 50:,} requests to warm up", memory(before)))
    result.rows.append((f"after {effort.requests:,} more", memory(after)))
    bad = sum(each.status not in (200, 503) for each in answers)
    result.notes.append(f"{bad} of them were answered by anything but 200 and 503.")
    return result


def killed(times: int) -> Table:
    """The effect of killing processes of each kind under load."""
    title = "kill −9 under load: one client each for small requests, arrays, simulations and pictures"
    header = ("killed", "times", "answered", "answered 503", "sent again", "lost", "slowest recovery")
    result = Table(title, header)
    for name in ("worker", "fork server", "renderer", "one of two servers"):
        try:
            with activation_lab(**SETTINGS) as server:
                toll = asyncio.run(deaths(kinds_of(server)[name], server, times))
        except NotRun as why:
            result.not_run(name, why)
        else:
            result.rows.append(_tolled(name, toll))
    try:
        with dask() as (address, scheduler), activation_lab(dask_scheduler=address, **SETTINGS) as server:
            toll = asyncio.run(deaths(scheduler, server, times))
    except NotRun as why:
        result.not_run("scheduler of the cluster", why)
    else:
        result.rows.append(_tolled("scheduler of the cluster", toll))
    result.notes.append(
        "Sent again: requests that a killed server was processing, which the client repeated. Lost: all "
        f"others without a right answer or a 503. Recovered, within {RECOVERY:g} s: a new process works, and "
        "a request of each kind, sent after the kill, has been answered."
    )
    return result


def _tolled(name: str, toll: Toll) -> tuple[str, ...]:
    counts = (len(toll.recoveries), toll.answered, toll.refused, toll.sent_again, toll.lost)
    slowest = max(toll.recoveries)
    recovery = duration(slowest) if slowest < RECOVERY else f"**not within {RECOVERY:g} s**"
    return (name, *(f"{count:,}" for count in counts), recovery)


class Fault(NamedTuple):
    """A fault: how often it is tried, what counts as lost, and how the service is started."""

    name: str
    lost: str
    times: int
    measure: Callable[[Server, int], Awaitable[int]]
    workers: int = 1
    environment: Mapping[str, str] = {}


def faults(effort: Effort) -> Table:
    """Killed and stopped processes, and misbehaving clients."""
    result = Table("Faults", ("fault", "tried", "lost", "what counts as lost"))
    for fault in (*_blows(effort), *_strangers(effort)):
        settings = {"receive_timeout": RECEIVE_TIMEOUT, "send_timeout": RECEIVE_TIMEOUT}
        try:
            with activation_lab(fault.environment, workers=fault.workers, **settings) as server:
                failed = asyncio.run(_lost(fault, server))
        except NotRun as why:
            result.not_run(fault.name, why)
        else:
            result.rows.append((fault.name, f"{fault.times:,}", f"{failed:,}", fault.lost))
    return result


async def _lost(fault: Fault, server: Server) -> int:
    return await fault.measure(server, fault.times)


def _blows(effort: Effort) -> tuple[Fault, ...]:
    wrong = "a simulation without its one right answer"
    stopped = f"one of them after which small requests and simulations were not answered in {RECOVERY:g} s"
    nowhere = {"TMPDIR": "/nowhere"}
    return (
        Fault("kill −9 of a worker in a simulation", wrong, effort.kills, kills),
        Fault(
            "kill −9 of workers at any instant, many of them in mid-send",
            wrong,
            2 * effort.kills,
            kills_in_mid_send,
        ),
        Fault("SIGSTOP of worker, fork server, one of two servers", stopped, effort.stops, stops, workers=2),
        Fault(
            "no directory that can be written to, two servers",
            "a small request or simulation that was not answered",
            effort.slow,
            without_files,
            workers=2,
            environment=nowhere,
        ),
    )


def _strangers(effort: Effort) -> tuple[Fault, ...]:
    late = "one not closed in time, or another's request not answered"
    no_4xx = "one not answered with 4xx, or the next request not with 200"
    no_431 = "one not answered with 431, or another's request not answered"
    slowed = "another's request, or a simulation afterwards that takes more than 2 s"
    crowd = effort.crowd
    return (
        Fault("clients that trickle", late, effort.slow, slow_clients),
        Fault("broken bodies", no_4xx, effort.broken, broken),
        Fault("answers of 16 MB that nobody reads", late, crowd, strangers.unread_answers),
        Fault("pipelines whose answers nobody reads", late, crowd, strangers.unread_pipelines),
        Fault("heads of 10 MB", no_431, crowd, strangers.floods),
        Fault("ten a second who leave", slowed, effort.leaving, strangers.leavers),
        Fault(
            "silent clients, and 64 descriptors",
            "an answer that is neither 200 nor 503",
            effort.silent,
            strangers.few_descriptors,
        ),
    )


async def kills(server: Server, count: int) -> int:
    """The number of simulations whose answer changes when their worker is killed."""
    lost = 0
    async with Pool(server.port) as pool:
        for number in range(count):
            request = simulation(width=4096, networks=6, seed=number)
            _, right = await pool.answer(request)
            running = asyncio.create_task(pool.answer(request))
            await _kill_busiest(server.process.pid)
            status, answer = await running
            lost += status != 200 or answer != right
    return lost


async def _kill_busiest(parent: int, *, watched: float = 0.15) -> None:
    """Kills the busiest descendant of ``parent``."""
    before = {each: processor_seconds(each) for each in descendants(parent)}
    await asyncio.sleep(watched)
    worked = {each: processor_seconds(each) - start for each, start in before.items()}
    busiest = max(worked, key=worked.__getitem__, default=None)
    if busiest is None or not worked[busiest]:
        raise NotRun("no worker process was at work")
    os.kill(busiest, signal.SIGKILL)


async def slow_clients(server: Server, count: int) -> int:
    """Clients that send a byte now and then, beside an ordinary client."""
    lost = 0
    async with strangers.ordinary(server) as missed:
        ends = await asyncio.gather(*(_trickle(server.port) for _ in range(count)))
        lost += sum(not closed for closed in ends)
    return lost + missed()


async def _trickle(port: int) -> bool:
    """Whether a connection that never finishes its request is closed in time."""
    reader, writer = await asyncio.open_connection(HOST, port)
    end = time.monotonic() + RECEIVE_TIMEOUT + 2
    with suppress(ConnectionError):
        for byte in small()[:-1]:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.25)
            if reader.at_eof() or time.monotonic() > end:
                break
    closed = time.monotonic() <= end
    writer.close()
    return closed


async def broken(server: Server, count: int) -> int:
    """Malformed bodies in turn, each followed by a valid request."""
    lost = 0
    async with Pool(server.port) as pool:
        for number in range(count):
            status = await pool.status(post("/activate", BODIES[number % len(BODIES)]))
            lost += not 400 <= status < 500
            lost += await pool.status(small()) != 200
    return lost


if __name__ == "__main__":
    main()
