"""Misbehaving clients, beside an ordinary one; each function counts the requests that were lost."""

from __future__ import annotations

import asyncio
import resource
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import orjson

from tests.benchmarks.processes import HOST, Server
from tests.benchmarks.timing import NotRun
from tests.benchmarks.traffic import BROKEN, Pool, post, simulation, small

TIMEOUT = 4.0
"""The receive and send timeouts of the service in these tests."""

LATE = 45.0
"""Seconds after which a connection counts as forgotten by the server; its requests are answered first."""

FEW_DESCRIPTORS = 64
LEAVING = post(
    "/gradient-flow",
    orjson.dumps({"activation": "tanh", "depth": 2000, "width": 128, "networks": 64}),
)
"""Minutes of work, for clients that disconnect."""


async def unread_answers(server: Server, count: int) -> int:
    """Clients that request 16 MB each and read nothing."""
    numbers = orjson.dumps({"function": "relu", "order": 0, "inputs": [0] * 2_000_000})
    return await _forgotten(server, count, post("/activate", numbers))


async def unread_pipelines(server: Server, count: int) -> int:
    """Clients that send ten thousand requests at once and read nothing."""
    return await _forgotten(server, count, small() * 10_000)


async def floods(server: Server, count: int) -> int:
    """Clients that send ten megabytes of a head: each must be answered 431 and closed."""
    head = b"GET /healthz HTTP/1.1\r\nHost: t\r\nX: " + b"x" * (10 << 20)
    async with ordinary(server) as missed:
        answers = await asyncio.gather(*(_until_closed(server, head) for _ in range(count)))
        return sum(not each.startswith(b"HTTP/1.1 431 ") for each in answers) + missed()


async def leavers(server: Server, count: int) -> int:
    """Ten clients a second that request minutes of simulation and disconnect; half send a second request."""
    async with ordinary(server) as missed, Pool(server.port) as pool:
        for number in range(count):
            _, writer = await asyncio.open_connection(HOST, server.port)
            writer.write(LEAVING + small() * (number % 2))
            await writer.drain()
            await asyncio.sleep(0.1)
            writer.close()
        start = time.monotonic()
        status = await pool.status(simulation(width=64))
        return missed() + (status != 200 or time.monotonic() - start > 2.0)


async def few_descriptors(server: Server, count: int) -> int:
    """More idle connections than descriptors: they are closed for new ones, and no request gets a 500."""
    if not hasattr(resource, "prlimit"):
        raise NotRun("limits of another process are Linux's")
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (FEW_DESCRIPTORS, FEW_DESCRIPTORS))
    lost = 0
    async with AsyncExitStack() as crowd:
        for _ in range(count):
            _, writer = await asyncio.open_connection(HOST, server.port)
            crowd.callback(writer.close)
        for _ in range(10):
            async with Pool(server.port) as pool:  # a new connection each time
                lost += await pool.status(small()) not in (200, 503)
                lost += await pool.status(simulation(width=64)) not in (200, 503)
    return lost


@asynccontextmanager
async def ordinary(server: Server) -> AsyncIterator[Callable[[], int]]:
    """A client with ten requests a second; gives the number of those that were not answered."""
    missed = 0

    async def ask() -> None:
        nonlocal missed
        async with Pool(server.port) as pool:
            while True:
                missed += await pool.status(small()) != 200
                await asyncio.sleep(0.1)

    task = asyncio.create_task(ask())
    try:
        yield lambda: missed
    finally:
        task.cancel()


async def _forgotten(server: Server, count: int, sent: bytes) -> int:
    """The number of ``count`` clients that send this, read nothing, and are not closed in time."""
    async with ordinary(server) as missed:
        closed = await asyncio.gather(*(asyncio.to_thread(_closed, server.port, sent) for _ in range(count)))
        return sum(not each for each in closed) + missed()


def _closed(port: int, sent: bytes) -> bool:
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(1)
        client.connect((HOST, port))
        end = time.monotonic() + LATE
        with suppress(TimeoutError):
            client.sendall(sent)
        while time.monotonic() < end:
            try:
                client.send(b"G")
            except ConnectionError:
                return True
            except TimeoutError:
                continue
            time.sleep(0.2)
    return False


async def _until_closed(server: Server, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(HOST, server.port)
    with suppress(ConnectionError):
        writer.write(sent)
        await writer.drain()
    try:
        return await asyncio.wait_for(reader.read(), LATE)
    except (ConnectionError, TimeoutError):
        return str(BROKEN).encode()
    finally:
        writer.close()
