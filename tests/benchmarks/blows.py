"""Faults of the service's environment: processes killed and stopped under load, no writable directory."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Iterator
from contextlib import suppress

import orjson

from tests.benchmarks.deaths import RECOVERY, kinds_of, workers_below
from tests.benchmarks.processes import Server
from tests.benchmarks.timing import NotRun
from tests.benchmarks.traffic import Pool, post, small


def every_kind(server: Server) -> Iterator[tuple[str, int]]:
    """One process of each kind of a service, by name."""
    for name, kind in kinds_of(server).items():
        for each in kind.there()[:1]:
            yield name, each


def deep(seed: int) -> bytes:
    """A simulation with six hundred layers, whose result takes several writes to send."""
    fields = {"activation": "tanh", "width": 8, "depth": 600, "networks": 1, "batch": 4, "seed": seed}
    return post("/gradient-flow", orjson.dumps({**fields, "init": "critical"}))


async def kills_in_mid_send(server: Server, count: int) -> int:
    """The number of simulations whose answer changes when their worker is killed at a random instant."""
    lost, source = 0, random.Random(0)
    loop = asyncio.get_running_loop()
    async with Pool(server.port) as pool:
        await pool.answer(deep(0))
        for number in range(count):
            begin = loop.time()
            _, right = await pool.answer(deep(number))
            lasted = loop.time() - begin
            running = asyncio.create_task(pool.answer(deep(number)))
            await asyncio.sleep(source.uniform(0.3, 1.0) * lasted)
            workers = workers_below(server.process.pid)
            if not workers:
                raise NotRun("no worker process was found")
            for each in workers:
                with suppress(ProcessLookupError):
                    os.kill(each, signal.SIGKILL)
            lost += await running != (200, right)
    return lost


async def stops(server: Server, count: int) -> int:
    """The number of SIGSTOPs after which the service does not answer again within `RECOVERY`."""
    lost = 0
    async with Pool(server.port) as pool:
        for number in range(count):
            await pool.answer(deep(number))
            for _, each in list(every_kind(server)):
                with suppress(ProcessLookupError):
                    os.kill(each, signal.SIGSTOP)
                await asyncio.sleep(RECOVERY)
                statuses = [await pool.status(request) for request in (small(), deep(number))]
                lost += statuses != [200, 200]
    return lost


async def without_files(server: Server, count: int) -> int:
    """The number of requests that are not answered where no directory is writable."""
    async with Pool(server.port) as pool:
        simulated = await pool.status(deep(0)) != 200
        return simulated + sum([await pool.status(small()) != 200 for _ in range(count)])
