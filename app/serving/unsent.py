"""A bound on the memory of responses that clients do not read."""

from __future__ import annotations

from functools import cache
from typing import Protocol

from app.settings import settings


class Waiting(Protocol):
    """A connection whose client has stopped reading."""

    def unsent(self) -> int:
        """Bytes that are held for the client."""

    def abort(self) -> None:
        """Closes the connection at once."""


class Unsent:
    """Connections whose clients have stopped reading, the longest-waiting first, and the bytes they hold.

    Above ``limit`` bytes in total, those that have waited longest are aborted; a single one may hold any
    response.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: dict[Waiting, int] = {}
        self.total = 0

    def add(self, connection: Waiting) -> None:
        """Counts what ``connection`` holds, now that its client has stopped reading."""
        self.remove(connection)
        self._held[connection] = size = connection.unsent()
        self.total += size
        while self.total > self._limit and len(self._held) > 1:
            longest = next(iter(self._held))
            self.remove(longest)
            longest.abort()

    def remove(self, connection: Waiting) -> None:
        """Stops counting ``connection``: its client has caught up or disconnected."""
        self.total -= self._held.pop(connection, 0)


@cache
def unsent() -> Unsent:
    """The connections of this process."""
    return Unsent(settings().max_unsent_bytes)
