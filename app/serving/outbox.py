"""Small responses are written together, at the end of an iteration of the event loop.

Every write to a socket wakes the client that waits for it. A client with many connections that received each
response separately would wake and block again before the next arrives; waking it took a seventh of the time
of a small request.
"""

from __future__ import annotations

import asyncio
import time
from functools import cache
from typing import Protocol

LONGEST_WAIT = 0.001
"""Seconds that a response waits at most to be written together with others."""

LARGE = 65_536
"""Bytes above which a piece is written immediately."""


class Sender(Protocol):
    """Something that buffers bytes until it is flushed."""

    def flush(self) -> None:
        """Writes the buffered bytes."""


class Outbox:
    """The senders to flush at the end of this iteration of an event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[Sender] = []
        self._since = 0.0

    def add(self, sender: Sender) -> None:
        """Flushes ``sender`` at the end of this iteration; flushes the others now if they waited too long."""
        now = time.perf_counter()
        if self._waiting and now - self._since > LONGEST_WAIT:
            self.send()
        if not self._waiting:
            self._since = now
            self._loop.call_soon(self.send)
        self._waiting.append(sender)

    def send(self) -> None:
        """Flushes all senders."""
        waiting, self._waiting = self._waiting, []
        for sender in waiting:
            sender.flush()


outbox = cache(Outbox)
"""The outbox of an event loop."""
