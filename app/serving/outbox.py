"""Small answers leave together, at the end of a turn of the event loop.

Every write wakes who waits for it. A client with many connections that got each answer by itself would wake,
and sleep again before the next one is there; waking it took the service a seventh of a small request's time.
"""

from __future__ import annotations

import asyncio
import time
from functools import cache

LONGEST_WAIT = 0.001
"""Seconds after which an answer no longer waits for others to leave with."""

LARGE = 65_536
"""Bytes above which a piece waits for no other."""


class Outbox:
    """What waits for the end of this turn of an event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[Joining] = []
        self._since = 0.0

    def add(self, transport: Joining) -> None:
        """Sends what ``transport`` holds at the end of this turn, or once others have waited for long."""
        now = time.perf_counter()
        if self._waiting and now - self._since > LONGEST_WAIT:
            self.send()
        if not self._waiting:
            self._since = now
            self._loop.call_soon(self.send)
        self._waiting.append(transport)

    def send(self) -> None:
        """Sends all that waits."""
        waiting, self._waiting = self._waiting, []
        for transport in waiting:
            transport.flush()


outbox = cache(Outbox)
"""The outbox of an event loop."""


class Joining(asyncio.Transport):
    """A transport whose responses wait in an outbox: uvloop sends at once what is written.

    uvicorn writes a response's head and body apart; here they leave in one system call.
    """

    def __init__(self, transport: asyncio.Transport, shared: Outbox) -> None:
        super().__init__()
        self._transport = transport
        self._outbox = shared
        self._held: list[bytes | bytearray | memoryview] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Holds ``data`` back until the end of this turn; what is large leaves at once."""
        if not self._held:
            self._outbox.add(self)
        self._held.append(data)
        if len(data) > LARGE:
            self.flush()

    def flush(self) -> None:
        """Sends what is held back, to whoever is still there."""
        if self._held and not self._transport.is_closing():
            self._transport.writelines(self._held)
        self._held = []

    def close(self) -> None:
        """Closes, once all is sent."""
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether it is closed, or will be."""
        return self._transport.is_closing()
