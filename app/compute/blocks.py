"""Blocks of one piece of work over threads: NumPy lets go of the interpreter, so they run side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor

from app.core.evaluation import Mapper


def _go_on() -> None:
    """Nothing stops the work."""


def mapper(pool: Executor, threads: int, check: Callable[[], None] = _go_on) -> Mapper:
    """A ``map`` on this thread and ``threads`` − 1 of the pool's.

    ``check`` is called before each block; what it raises ends the work.
    """

    def map_blocks(function: Callable[[slice], None], blocks: Iterable[slice]) -> Iterable[None]:
        waiting = iter(list(blocks))  # a list's iterator may be shared: each block is handed out once

        def drain() -> None:
            for block in waiting:
                check()
                function(block)

        helpers = [pool.submit(drain) for _ in range(threads - 1)]
        drain()
        for helper in helpers:
            helper.result()
        return ()

    return map_blocks
