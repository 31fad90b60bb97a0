"""Metrics of several server processes in shared memory, without files, and without locks on each update.

Each process writes to its own region, and reads all regions. A process that takes over the region of one that
died continues its counters, so that no counts are lost.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.reduction import DupFd
from tempfile import TemporaryFile
from typing import Any, NamedTuple, Self

from prometheus_client import values

REGION = 2**20
"""Bytes of a process's region; series that do not fit are reported by that process only."""

_HEADER = struct.Struct("=QQ")
"""Bytes in use, and the process id of the writer. Records follow: length, key, number."""

_LENGTH = struct.Struct("=Q")
_NUMBER = struct.Struct("=d")


class Key(NamedTuple):
    """Identifies a number: its metric, name and labels; a gauge's number is dropped with its process."""

    gauge: bool
    metric: str
    name: str
    label_names: tuple[str, ...]
    label_values: tuple[str, ...]

    def encoded(self) -> bytes:
        """The key as it is stored in a record, padded to a multiple of eight bytes."""
        text = json.dumps(self).encode()
        return text + b" " * (-len(text) % 8)

    @classmethod
    def decoded(cls, text: bytes) -> Self:
        """The key of a record."""
        gauge, metric, name, label_names, label_values = json.loads(text)
        return cls(gauge, metric, name, tuple(label_names), tuple(label_values))


class SharedNumbers:
    """Regions for ``processes`` and their replacements; it can be sent to them as they start.

    Raises `OSError` if the memory cannot be allocated.
    """

    def __init__(self, processes: int, memory: int | None = None) -> None:
        self.sums: dict[Key, float] = {}
        self._processes = processes
        self._memory = _memory(2 * processes + 2) if memory is None else memory
        self._map = mmap.mmap(self._memory, 0)
        self._places: dict[Key, int] = {}
        self._own = -1

    def __reduce__(self) -> tuple[Any, ...]:
        return _attached, (self._processes, DupFd(self._memory))

    def join(self) -> None:
        """Takes a region for this process; if none is free, its numbers are not shared."""
        for start in range(0, len(self._map), REGION):
            if self._locked(start):
                self._own = start
                break
        else:
            return
        used, _ = _HEADER.unpack_from(self._map, self._own)
        _HEADER.pack_into(self._map, self._own, used or _HEADER.size, os.getpid())
        for key, place in self._records(self._own):
            self._places[key] = place
            if key.gauge:
                _NUMBER.pack_into(self._map, place, 0.0)

    def write(self, key: Key, number: float) -> None:
        """Stores this process's number."""
        place = self._places.get(key) or self._new(key)
        if place is not None:
            _NUMBER.pack_into(self._map, place, number)

    def own(self, key: Key) -> float:
        """The number that this process, or one before it in its region, has written."""
        place = self._places.get(key)
        return 0.0 if place is None else _NUMBER.unpack_from(self._map, place)[0]

    def read(self) -> list[int]:
        """Sums all regions into ``sums``; returns the ids of the processes that are alive."""
        sums: dict[Key, float] = {}
        living = []
        for start in range(0, len(self._map), REGION):
            alive = start == self._own or not self._locked(start)
            if alive:
                living.append(_HEADER.unpack_from(self._map, start)[1])
            else:
                fcntl.lockf(self._memory, fcntl.LOCK_UN, 1, start)
            for key, place in self._records(start):
                if alive or not key.gauge:
                    sums[key] = sums.get(key, 0.0) + _NUMBER.unpack_from(self._map, place)[0]
        self.sums = sums
        return living

    def _locked(self, start: int) -> bool:
        """Locks a region unless a living process has it: the system releases the lock of a dead one."""
        try:
            fcntl.lockf(self._memory, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, start)
        except OSError:
            return False
        return True

    def _new(self, key: Key) -> int | None:
        if self._own < 0:
            return None
        used, process = _HEADER.unpack_from(self._map, self._own)
        text = key.encoded()
        record = _LENGTH.pack(len(text)) + text + _NUMBER.pack(0.0)
        if used + len(record) > REGION:
            return None
        begin = self._own + used
        self._map[begin : begin + len(record)] = record
        _HEADER.pack_into(self._map, self._own, used + len(record), process)  # last: publishes the record
        self._places[key] = begin + len(record) - _NUMBER.size
        return self._places[key]

    def _records(self, start: int) -> Iterator[tuple[Key, int]]:
        """The keys of a region, and where their numbers are."""
        place = start + _HEADER.size
        end = start + _HEADER.unpack_from(self._map, start)[0]
        while place < end:
            (length,) = _LENGTH.unpack_from(self._map, place)
            place += _LENGTH.size + length
            yield Key.decoded(self._map[place - length : place]), place
            place += _NUMBER.size


def _attached(processes: int, memory: Any) -> SharedNumbers:
    return SharedNumbers(processes, memory.detach())


def _memory(regions: int) -> int:
    """A descriptor of anonymous memory; on macOS, of an unnamed temporary file with its space allocated."""
    with suppress(AttributeError):
        memory = os.memfd_create("numbers")
        os.ftruncate(memory, regions * REGION)
        return memory
    with TemporaryFile(buffering=0) as file:
        for _ in range(regions):
            file.write(bytes(REGION))
        return os.dup(file.fileno())


class _Value:
    """prometheus-client's value of one series, in shared memory: its own multiprocess class uses files."""

    def __init__(
        self,
        numbers: SharedNumbers,
        kind: str,
        metric: str,
        name: str,
        label_names: Sequence[str],
        label_values: Sequence[str],
        _help: str,
        **_: Any,
    ) -> None:
        self._numbers = numbers
        self._key = Key(kind == "gauge", metric, name, tuple(label_names), tuple(label_values))
        self._lock = threading.Lock()
        self._value = numbers.own(self._key)

    def inc(self, amount: float) -> None:
        with self._lock:
            self._value += amount
            self._numbers.write(self._key, self._value)

    def set(self, value: float, timestamp: float | None = None) -> None:
        del timestamp
        with self._lock:
            self._value = value
            self._numbers.write(self._key, value)

    def get(self) -> float:
        """The sum over all processes when it was last read."""
        return self._numbers.sums.get(self._key, self._value)

    def get_exemplar(self) -> None:
        return None


def install(numbers: SharedNumbers) -> None:
    """Makes every metric created from now on keep its series in ``numbers``, for good."""
    numbers.join()
    values.ValueClass = partial(_Value, numbers)
