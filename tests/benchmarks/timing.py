"""Timing of two sides in turn, so that drifts of the machine affect both."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple, TypeAlias

Work: TypeAlias = Callable[[], Any]

FEWEST = 3
"""Least number of pairs, whatever the time limit."""


SETTLE = 0.015
"""Seconds to wait after PyTorch's threads. They spin for 9 to 12 ms after their work (measured), and the next
run would have to share a core with them."""


class NotRun(Exception):
    """Something could not be measured; the message says why."""


class Spread(NamedTuple):
    """The median, smallest and largest of some values."""

    median: float
    low: float
    high: float


def spread(values: list[float]) -> Spread:
    """Median and range."""
    return Spread(median(values), min(values), max(values))


@dataclass(frozen=True)
class Pairs:
    """The measurements of our runs and the peer's, pair by pair: seconds, or rates."""

    ours: list[float]
    peer: list[float]
    rates: bool = False

    @property
    def faster(self) -> Spread:
        """How many times faster ours was, over the pairs."""
        pairs = zip(self.ours, self.peer, strict=True)
        return spread([ours / peer if self.rates else peer / ours for ours, peer in pairs])


def seconds(work: Work) -> float:
    """How long ``work`` took."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def in_turn(
    ours: Callable[[], float],
    peer: Callable[[], float],
    *,
    pairs: int,
    limit: float,
    warm_up: int = 1,
    pause: float = 0.0,
    rates: bool = False,
) -> Pairs:
    """Ours, peer, ours, peer …, each measuring itself, after ``warm_up`` pairs that do not count.

    Stops after ``limit`` seconds and at least `FEWEST` pairs. Waits ``pause`` seconds before each run, for
    threads that a side leaves spinning.
    """
    sides = (ours, peer)
    measured: tuple[list[float], list[float]] = ([], [])
    end = time.monotonic() + limit
    for number in range(warm_up + pairs):
        if number >= warm_up + FEWEST and time.monotonic() > end:
            break
        for side, values in zip(sides, measured, strict=True):
            time.sleep(pause)
            values.append(side())
    return Pairs(measured[0][warm_up:], measured[1][warm_up:], rates)
