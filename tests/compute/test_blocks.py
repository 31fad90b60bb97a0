"""Blocks on several threads: each runs once, busy helpers are not waited for, each thread has a core."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.compute.blocks import Helpers

BLOCKS = [slice(i, i + 1) for i in range(100)]
TIMEOUT = 30


def test_every_block_is_done_once_by_caller_and_helper() -> None:
    both = threading.Barrier(2, timeout=TIMEOUT)
    done: list[int] = []
    workers: set[int] = set()

    def work(block: slice) -> None:
        if threading.get_ident() not in workers:
            workers.add(threading.get_ident())
            both.wait()
        done.append(block.start)

    with Helpers(1) as helpers:
        list(helpers.mapper()(work, BLOCKS))
    assert sorted(done) == list(range(100))
    assert len(workers) == 2
    assert threading.get_ident() in workers


def test_work_does_not_wait_for_a_helper_that_is_busy_elsewhere() -> None:
    occupied, free = threading.Event(), threading.Event()

    def hold(_block: slice) -> None:
        if threading.current_thread().name.startswith("block"):
            occupied.set()
        else:
            occupied.wait(TIMEOUT)
        free.wait(TIMEOUT)

    done: list[slice] = []
    with Helpers(1) as helpers, ThreadPoolExecutor(1) as other:
        long = other.submit(helpers.mapper(), hold, BLOCKS[:2])
        assert occupied.wait(TIMEOUT)
        list(helpers.mapper()(done.append, BLOCKS))
        assert not long.done()
        free.set()
        long.result(TIMEOUT)
    assert done == BLOCKS


@pytest.mark.parametrize("where", ["MainThread", "block"])
def test_an_error_ends_the_work(where: str) -> None:
    both = threading.Barrier(2, timeout=TIMEOUT)
    done: list[slice] = []

    def work(block: slice) -> None:
        if block in BLOCKS[:2]:
            both.wait()
        if threading.current_thread().name.startswith(where):
            raise ValueError(where)
        done.append(block)

    with Helpers(1) as helpers, pytest.raises(ValueError, match=where):
        list(helpers.mapper()(work, BLOCKS))
    assert BLOCKS[0] not in done or BLOCKS[1] not in done


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="the system lets no thread choose its processors"
)
def test_helpers_wake_on_another_processor_than_the_caller() -> None:
    mine = os.sched_getaffinity(0)
    if len(mine) == 1:
        pytest.skip("there is one processor")
    seen: list[set[int]] = []
    both = threading.Barrier(2, timeout=TIMEOUT)

    def look(_block: slice) -> None:
        both.wait()
        if threading.current_thread().name.startswith("block"):
            seen.append(os.sched_getaffinity(0))

    with Helpers(1) as helpers:
        run = helpers.mapper()
        list(run(look, BLOCKS[:2]))  # creates the thread
        os.sched_setaffinity(0, {min(mine)})
        try:
            list(run(look, BLOCKS[:2]))
        finally:
            os.sched_setaffinity(0, mine)
        assert seen[0] == mine
        list(run(look, BLOCKS[:2]))
    assert len(seen[-1]) == len(mine) - 1
    assert os.sched_getaffinity(0) == mine
