"""Whether array work runs inline or on threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from app.compute.threads import SMALL, ComputeThreads
from app.core.evaluation import Mapper


@pytest.fixture
def threads() -> Iterator[ComputeThreads]:
    threads = ComputeThreads(2, 4)
    yield threads
    threads.close()


def where(_: Mapper) -> threading.Thread:
    return threading.current_thread()


def test_small_work_leaves_the_event_loop_only_the_first_time(threads: ComputeThreads) -> None:
    async def ask() -> list[bool]:
        kinds = ("one", "one", "other", "one", "other")
        here = threading.current_thread()
        return [await threads.run(where, size=SMALL, seconds=9, kind=kind) is here for kind in kinds]

    assert asyncio.run(ask()) == [False, True, False, True, True]


def test_large_work_always_leaves_it(threads: ComputeThreads) -> None:
    async def ask() -> list[bool]:
        here = threading.current_thread()
        return [await threads.run(where, size=SMALL + 1, seconds=9) is here for _ in range(2)]

    assert asyncio.run(ask()) == [False, False]


def test_freed_memory_is_returned_once_large_work_is_over(
    threads: ComputeThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    returned: list[int] = []
    monkeypatch.setattr("app.compute.threads.IDLE", 0.05)
    monkeypatch.setattr("app.compute.threads.return_freed_memory", lambda: returned.append(1))

    async def ask() -> None:
        for _ in range(3):  # each ends before the last one's pause is over
            await threads.run(where, size=SMALL + 1, seconds=9)
        await asyncio.sleep(0.01)
        assert not returned
        await asyncio.sleep(0.3)

    asyncio.run(ask())
    assert returned == [1]
