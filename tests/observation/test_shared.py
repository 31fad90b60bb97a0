"""Metrics in shared memory: sums over processes, and the counts of one that was killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from multiprocessing.connection import Connection
from typing import Any

import pytest

from app.observation import shared
from app.observation.shared import Key, SharedNumbers

COUNTED = Key(False, "requests", "requests_total", ("route",), ("/activate",))
RUNNING = Key(True, "running", "running", (), ())
SPAWN = multiprocessing.get_context("spawn")


def count(numbers: SharedNumbers, joined: Connection) -> None:
    """Counts five, and reports two running jobs while it lives."""
    numbers.join()
    numbers.write(COUNTED, numbers.own(COUNTED) + 5)
    numbers.write(RUNNING, 2)
    joined.send(os.getpid())
    time.sleep(60)


def started(numbers: SharedNumbers) -> Any:
    here, there = SPAWN.Pipe()
    process = SPAWN.Process(target=count, args=(numbers, there))
    process.start()
    assert here.recv() == process.pid
    return process


def test_the_dead_keep_their_counts_and_lose_their_gauges() -> None:
    numbers = SharedNumbers(2)
    numbers.join()
    numbers.write(COUNTED, 1)
    others = [started(numbers) for _ in range(2)]
    assert sorted(numbers.read()) == sorted([os.getpid(), *(each.pid for each in others)])
    assert numbers.sums == {COUNTED: 11, RUNNING: 4}
    os.kill(others[0].pid, signal.SIGKILL)
    others[0].join()
    assert sorted(numbers.read()) == sorted([os.getpid(), others[1].pid])
    assert numbers.sums == {COUNTED: 11, RUNNING: 2}
    others.append(started(numbers))  # takes the region of the killed one
    numbers.read()
    assert numbers.sums == {COUNTED: 16, RUNNING: 4}
    for each in others[1:]:
        each.kill()
        each.join()


def test_more_processes_or_series_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "REGION", 4096)
    numbers = SharedNumbers(0)  # two regions
    numbers.join()
    many = [Key(False, "a", f"a{number}", (), ()) for number in range(1000)]
    for key in many:
        numbers.write(key, 1.0)
    numbers.read()
    assert 10 < len(numbers.sums) < 100
    assert set(numbers.sums.values()) == {1.0}


def test_no_region_left() -> None:
    numbers = SharedNumbers(0)
    others = [started(numbers) for _ in range(2)]
    numbers.join()
    numbers.write(COUNTED, 1)
    assert numbers.own(COUNTED) == 0.0
    assert len(numbers.read()) == 2
    for each in others:
        each.kill()
        each.join()
