"""Responses are sent together, at the latest at the end of the loop's iteration, and none is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from app.serving import outbox
from app.serving.outbox import Outbox


class Turn:
    """An iteration of the event loop, and the callbacks for its end."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.outbox = Outbox(self)  # type: ignore[arg-type]
        self._ending: list[Callable[[], None]] = []

    def call_soon(self, callback: Callable[[], None]) -> None:
        self._ending.append(callback)

    def end(self) -> list[str]:
        while self._ending:
            self._ending.pop(0)()
        return self.sent


class Sender:
    """Records when it is flushed."""

    def __init__(self, turn: Turn, name: str) -> None:
        self._turn = turn
        self._name = name

    def flush(self) -> None:
        self._turn.sent.append(self._name)


def test_all_send_at_the_end_of_the_turn() -> None:
    turn = Turn()
    for name in "abc":
        turn.outbox.add(Sender(turn, name))
    assert turn.sent == []
    assert turn.end() == ["a", "b", "c"]
    turn.outbox.add(Sender(turn, "d"))
    assert turn.end()[3:] == ["d"]


def test_a_long_wait_flushes_early(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    turn = Turn()
    turn.outbox.add(Sender(turn, "first"))
    clock[0] = outbox.LONGEST_WAIT / 2
    turn.outbox.add(Sender(turn, "second"))
    assert turn.sent == []
    clock[0] = outbox.LONGEST_WAIT * 2
    turn.outbox.add(Sender(turn, "third"))
    assert turn.sent == ["first", "second"]
    assert turn.end()[2:] == ["third"]


def test_an_event_loop_has_one_outbox() -> None:
    loops = [asyncio.new_event_loop() for _ in range(2)]
    try:
        assert outbox.outbox(loops[0]) is outbox.outbox(loops[0])
        assert outbox.outbox(loops[0]) is not outbox.outbox(loops[1])
    finally:
        for loop in loops:
            loop.close()
