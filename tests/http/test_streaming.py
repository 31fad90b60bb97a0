"""Streams to slow clients: a bounded number of bytes is buffered, and `Emit` blocks."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError
from typing import Any

import pytest

from app.core.errors import InvalidValue
from app.http import streaming
from app.http.streaming import LINES, Emit, streamed


def error(problem: Any) -> tuple[str, bytes]:
    return "error", problem.detail.encode()


def test_a_slow_client_blocks_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "HELD", 1000)
    emitted: list[int] = []

    async def work(emit: Emit) -> None:
        def pieces() -> None:
            for number in range(100):
                emit("line", b"x" * 100)
                emitted.append(number)

        await asyncio.to_thread(pieces)

    async def read() -> None:
        answer = streamed(work, LINES, error)
        pieces = aiter(answer.body_iterator)
        await asyncio.sleep(0.3)
        assert len(emitted) == 10
        for _ in range(5):
            await anext(pieces)
        await asyncio.sleep(0.3)
        assert len(emitted) == 14  # the fifth counts as buffered until the next is requested
        rest = [each async for each in pieces]
        assert len(rest) == 95

    asyncio.run(read())


def test_a_piece_longer_than_the_buffer_passes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "HELD", 10)

    async def work(emit: Emit) -> None:
        for _ in range(3):
            await asyncio.to_thread(emit, "line", b"x" * 100)

    async def read() -> int:
        return len([each async for each in streamed(work, LINES, error).body_iterator])

    assert asyncio.run(read()) == 3


def test_a_blocked_emit_ends_with_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """For example at its deadline; the error is the last piece."""
    monkeypatch.setattr(streaming, "HELD", 100)
    ended: list[type[BaseException]] = []
    threads: list[threading.Thread] = []

    async def work(emit: Emit) -> None:
        def pieces() -> None:
            try:
                while True:
                    emit("line", b"x" * 60)
            except CancelledError as error:
                ended.append(type(error))

        threads.append(threading.Thread(target=pieces))
        threads[0].start()
        await asyncio.sleep(0.2)
        raise InvalidValue("must end")

    async def read() -> list[bytes]:
        return [bytes(each) async for each in streamed(work, LINES, error).body_iterator]  # type: ignore[arg-type]

    assert asyncio.run(read())[-1] == b"must end\n"
    threads[0].join(5)
    assert ended == [CancelledError]
