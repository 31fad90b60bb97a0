"""Streams whose reader is slow: a bounded number of bytes waits, and whoever emits waits with it."""

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


def test_a_slow_reader_holds_the_work_up(monkeypatch: pytest.MonkeyPatch) -> None:
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
        assert len(emitted) == 14  # the fifth is on its way until the next is asked for
        rest = [each async for each in pieces]
        assert len(rest) == 95

    asyncio.run(read())


def test_a_piece_longer_than_all_that_is_held_passes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "HELD", 10)

    async def work(emit: Emit) -> None:
        for _ in range(3):
            await asyncio.to_thread(emit, "line", b"x" * 100)

    async def read() -> int:
        return len([each async for each in streamed(work, LINES, error).body_iterator])

    assert asyncio.run(read()) == 3


def test_who_emits_is_let_go_when_the_work_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """At its deadline, say; the error is the last piece."""
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
