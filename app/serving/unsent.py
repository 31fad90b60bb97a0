"""A bound on the memory of answers that their clients do not read."""

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
    """Connections that wait for their readers, the longest first, and what all of them hold.

    Where that is over ``limit`` bytes, those that have waited longest are cut off; one alone may hold any
    answer that the service gives.
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
        """Counts it no more: it has sent, or is gone."""
        self.total -= self._held.pop(connection, 0)


@cache
def unsent() -> Unsent:
    """The count of this process."""
    return Unsent(settings().max_unsent_bytes)
