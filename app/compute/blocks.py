"""Runs the blocks of one computation on several threads: NumPy and the compiled loops release the GIL."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from types import TracebackType
from typing import Self

from app.core.evaluation import Mapper


def unchecked() -> None:
    """A check that never ends the work."""


class Helpers:
    """``count`` threads that help whichever thread maps over blocks; the calling thread works too."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._ids: list[int] = []
        self._allowed: tuple[set[int], int] = set(), 0
        self._pool = ThreadPoolExecutor(max(1, count), "block", self._join)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Waits for the threads' work and ends them."""
        self._pool.shutdown()

    def mapper(self, check: Callable[[], None] = unchecked) -> Mapper:
        """A ``map`` over the calling thread and the helpers.

        ``check`` is called before each block; what it raises ends the work.
        """

        def map_blocks(function: Callable[[slice], None], blocks: Iterable[slice]) -> Iterable[None]:
            waiting = iter(list(blocks))  # threads may share a list's iterator: each block is taken once

            def drain() -> None:
                for block in waiting:
                    check()
                    function(block)

            self._keep_off_this_processor()
            helpers = [self._pool.submit(drain) for _ in range(self._count)]
            drain()
            for helper in helpers:
                if not helper.cancel():  # one that has not begun would find no block left
                    helper.result()
            return ()

        return map_blocks

    def _join(self) -> None:
        self._ids.append(threading.get_native_id())

    def _keep_off_this_processor(self) -> None:
        """Lets the helpers run on all processors but the caller's, where the system supports affinity.

        Linux takes a virtual processor that its host has put to sleep for a busy one. After a pause it
        therefore wakes helpers on the caller's processor, and two threads take as long as one while the other
        processor idles.
        """
        with suppress(AttributeError, OSError):
            others = os.sched_getaffinity(0) - {_c_library().sched_getcpu()}
            allowed = others, len(self._ids)
            if not others or allowed == self._allowed:  # setting it again takes 30 µs
                return
            for thread in self._ids:
                os.sched_setaffinity(thread, others)
            self._allowed = allowed


@cache
def _c_library() -> ctypes.CDLL:
    return ctypes.CDLL(None)
