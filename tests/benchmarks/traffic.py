"""Many concurrent requests over persistent connections, each with its kind, status and time."""

from __future__ import annotations

import asyncio
import io
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import orjson

from tests.benchmarks.peers import MODEL
from tests.benchmarks.processes import HOST

TIMEOUT = 90.0
"""Seconds that an answer may take."""

IDLE = 2.0
"""Seconds after which an idle connection is not reused: the service closes it."""

BROKEN = 0
"""The status of a request without an answer."""


@dataclass(frozen=True)
class Kind:
    """Requests of one kind, and their share of the traffic."""

    name: str
    share: float
    request: bytes


class Answered(NamedTuple):
    """The outcome of a request: its status, and seconds from when it was due to the answer's last byte."""

    kind: Kind
    status: int
    seconds: float


def post(path: str, body: bytes, kind: str = "application/json", *, accept: str = "*/*") -> bytes:
    """A POST request's bytes."""
    head = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: {kind}\r\nAccept: {accept}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def get(path: str) -> bytes:
    """A GET request's bytes."""
    return f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()


def small() -> bytes:
    """Ten numbers in JSON."""
    return post("/activate", orjson.dumps({"function": MODEL, "inputs": np.linspace(-3, 3, 10).tolist()}))


def large() -> bytes:
    """200,000 numbers in `.npy`, in both directions."""
    stream = io.BytesIO()
    np.save(stream, np.random.default_rng(0).normal(0, 3, 200_000))
    npy = "application/x-npy"
    return post(f"/activate?function={MODEL}", stream.getvalue(), npy, accept=npy)


def simulation(width: int = 512, networks: int = 2, seed: int = 0) -> bytes:
    """A gradient flow of 50 layers."""
    fields = {"activation": "tanh", "width": width, "networks": networks, "seed": seed}
    return post("/gradient-flow", orjson.dumps(fields))


class Pool:
    """Connections to one server, opened as they are needed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        for _, _, writer in self._idle:
            writer.close()

    async def status(self, request: bytes) -> int:
        """The answer's status, or `BROKEN`."""
        return (await self.answer(request))[0]

    async def answer(self, request: bytes) -> tuple[int, bytes]:
        """Status and body; `BROKEN` if there is no complete answer in time."""
        try:
            return await asyncio.wait_for(self._exchange(request), TIMEOUT)
        except (OSError, EOFError, TimeoutError, ValueError):
            return BROKEN, b""

    async def _exchange(self, request: bytes) -> tuple[int, bytes]:
        reader, writer = await self._connection()
        try:
            with suppress(ConnectionError):  # a 503 may arrive before all is sent
                writer.write(request)
                await writer.drain()
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            body = await reader.readexactly(length)
        except BaseException:
            writer.close()
            raise
        if b"connection: close" in head:
            writer.close()
        else:
            self._idle.append((time.monotonic(), reader, writer))
        return int(head[9:12]), body

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            since, reader, writer = self._idle.pop()
            if time.monotonic() - since < IDLE and not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection(HOST, self._port)


def drawn(kinds: Sequence[Kind], seed: int = 0) -> Iterator[Kind]:
    """Kinds at random, by their shares, without end."""
    source = random.Random(seed)
    while True:
        yield from source.choices(kinds, [kind.share for kind in kinds], k=1000)


async def one_after_another(
    port: int, kinds: Sequence[Kind], clients: int, *, count: int | None = None, duration: float = 1e9
) -> list[Answered]:
    """Requests of ``clients``, one at a time each: ``count`` in total, or for ``duration`` seconds."""
    requests = drawn(kinds)
    answers: list[Answered] = []
    left = iter(range(count if count is not None else 10**9))
    end = time.monotonic() + duration

    async def client(pool: Pool) -> None:
        for _ in left:
            if time.monotonic() > end:
                return
            kind, start = next(requests), time.perf_counter()
            status = await pool.status(kind.request)
            answers.append(Answered(kind, status, time.perf_counter() - start))

    async with Pool(port) as pool:
        await asyncio.gather(*(client(pool) for _ in range(clients)))
    return answers


async def at_rate(port: int, kinds: Sequence[Kind], rate: float, duration: float) -> list[Answered]:
    """``rate`` requests a second at random times, whether or not earlier ones were answered.

    The time of an answer counts from when its request was due, so that a service that delays the sender does
    not look fast (coordinated omission).
    """
    requests, source = drawn(kinds), random.Random(1)
    tasks: list[asyncio.Task[Answered]] = []

    async def ask(pool: Pool, kind: Kind, due: float) -> Answered:
        status = await pool.status(kind.request)
        return Answered(kind, status, time.perf_counter() - due)

    async with Pool(port) as pool:
        due = start = time.perf_counter()
        while due < start + duration:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(ask(pool, next(requests), due)))
            due += source.expovariate(rate)
        return await asyncio.gather(*tasks)
