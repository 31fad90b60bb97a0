"""Small answers leave together, at the end of a turn of the event loop.

Every write wakes who waits for it. A client with many connections that got each answer by itself would wake,
and sleep again before the next one is there; waking it took the service a seventh of a small request's time.
"""

from __future__ import annotations

import asyncio
import time
from functools import cache
from typing import Protocol

LONGEST_WAIT = 0.001
"""Seconds after which an answer no longer waits for others to leave with."""

LARGE = 65_536
"""Bytes above which a piece waits for no other."""


class Sender(Protocol):
    """What holds bytes back until it is asked to send them."""

    def flush(self) -> None:
        """Sends what is held back."""


class Outbox:
    """What waits for the end of this turn of an event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[Sender] = []
        self._since = 0.0

    def add(self, sender: Sender) -> None:
        """Has ``sender`` send at the end of this turn, or once others have waited for long."""
        now = time.perf_counter()
        if self._waiting and now - self._since > LONGEST_WAIT:
            self.send()
        if not self._waiting:
            self._since = now
            self._loop.call_soon(self.send)
        self._waiting.append(sender)

    def send(self) -> None:
        """Sends all that waits."""
        waiting, self._waiting = self._waiting, []
        for sender in waiting:
            sender.flush()


outbox = cache(Outbox)
"""The outbox of an event loop."""
