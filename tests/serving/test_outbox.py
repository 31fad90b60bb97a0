"""Answers leave together, none later than the turn's end, and none is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

import pytest

from app.serving import outbox
from app.serving.outbox import LARGE, Joining, Outbox


class Wire(asyncio.Transport):
    """Notes what is sent, all connections in one list."""

    def __init__(self, sent: list[bytes]) -> None:
        super().__init__()
        self._sent = sent
        self._closed = False

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        assert not self._closed
        self._sent.append(b"".join(list_of_data))

    def close(self) -> None:
        self._closed = True

    def is_closing(self) -> bool:
        return self._closed


class Turn:
    """A turn of the event loop, and what was called for its end."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self._ending: list[Callable[[], None]] = []
        self._outbox = Outbox(self)  # type: ignore[arg-type]

    def connection(self) -> Joining:
        return Joining(Wire(self.sent), self._outbox)

    def call_soon(self, callback: Callable[[], None]) -> None:
        self._ending.append(callback)

    def end(self) -> list[bytes]:
        while self._ending:
            self._ending.pop(0)()
        return self.sent


def test_each_answer_is_one_write_at_the_end_of_the_turn() -> None:
    turn = Turn()
    connections = [turn.connection() for _ in range(3)]
    for number, each in enumerate(connections):
        each.write(b"head%d " % number)
        each.write(b"body")
    assert turn.sent == []
    assert turn.end() == [b"head0 body", b"head1 body", b"head2 body"]
    connections[1].write(b"next")
    assert turn.end()[3:] == [b"next"]


def test_nobody_waits_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    turn = Turn()
    first, second, third = (turn.connection() for _ in range(3))
    first.write(b"first")
    clock[0] = outbox.LONGEST_WAIT / 2
    second.write(b"second")
    assert turn.sent == []
    clock[0] = outbox.LONGEST_WAIT * 2
    third.write(b"third")
    assert turn.sent == [b"first", b"second"]
    assert turn.end()[2:] == [b"third"]


def test_what_is_large_leaves_at_once_with_its_head() -> None:
    turn = Turn()
    connection, other = turn.connection(), turn.connection()
    other.write(b"other")
    connection.write(b"head")
    connection.write(bytes(LARGE + 1))
    assert turn.sent == [b"head" + bytes(LARGE + 1)]
    connection.write(b"more")
    assert turn.end()[1:] == [b"other", b"more"]


def test_closing_sends_first() -> None:
    turn = Turn()
    connection = turn.connection()
    connection.write(b"last words")
    connection.close()
    assert turn.sent == [b"last words"]
    assert connection.is_closing()
    assert turn.end() == [b"last words"]


def test_who_has_gone_gets_nothing() -> None:
    turn = Turn()
    wire = Wire(turn.sent)
    connection = Joining(wire, Outbox(turn))  # type: ignore[arg-type]
    connection.write(b"too late")
    wire.close()
    assert turn.end() == []


def test_an_event_loop_has_one_outbox() -> None:
    loops = [asyncio.new_event_loop() for _ in range(2)]
    try:
        assert outbox.outbox(loops[0]) is outbox.outbox(loops[0])
        assert outbox.outbox(loops[0]) is not outbox.outbox(loops[1])
    finally:
        for loop in loops:
            loop.close()
