"""A soak test: mixed traffic for some time, and the growth of memory, descriptors and threads."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tests.benchmarks.processes import Server, activation_lab, descendants, resident
from tests.benchmarks.report import Table, memory
from tests.benchmarks.traffic import Kind, one_after_another

SAMPLES = 24
WARM_UP = 1 / 4
"""The first part of the time, which is left out of the slopes."""


class Held(NamedTuple):
    """Resources of all processes of a service at a time."""

    seconds: float
    bytes: float
    descriptors: float
    threads: float


def soak(kinds: tuple[Kind, ...], seconds: float, clients: int = 8) -> Table:
    """A table of the first value, the last one and the slope of each resource."""
    with activation_lab() as server:
        samples = asyncio.run(_watched(server, kinds, seconds, clients))
    result = Table(
        f"{seconds:g} s of mixed traffic", ("held by all processes", "first", "last", "slope an hour")
    )
    kept = [each for each in samples if each.seconds >= WARM_UP * seconds]
    for name, values, text in (
        ("memory (PSS)", [each.bytes for each in kept], memory),
        ("descriptors", [each.descriptors for each in kept], "{:.0f}".format),
        ("threads", [each.threads for each in kept], "{:.0f}".format),
    ):
        slope = 3600 * float(np.polyfit([each.seconds for each in kept], values, 1)[0])
        sign = "-" if slope < 0 else "+"
        result.rows.append((name, text(values[0]), text(values[-1]), sign + text(abs(slope))))
    return result


async def _watched(server: Server, kinds: tuple[Kind, ...], seconds: float, clients: int) -> list[Held]:
    traffic = asyncio.create_task(one_after_another(server.port, kinds, clients, duration=seconds))
    start = time.monotonic()
    samples = []
    while not traffic.done():
        samples.append(await asyncio.to_thread(held, server, time.monotonic() - start))
        await asyncio.wait({traffic}, timeout=seconds / SAMPLES)
    await traffic
    return samples


def held(server: Server, seconds: float) -> Held:
    """The service's resources now."""
    own = server.process.pid
    everybody = (own, *descendants(own))
    files, threads = (sum(_entries(each, name) for each in everybody) for name in ("fd", "task"))
    return Held(seconds, resident(own), files, threads)


def _entries(process: int, name: str) -> int:
    with suppress(OSError):
        return len(list(Path(f"/proc/{process}/{name}").iterdir()))
    return 0
