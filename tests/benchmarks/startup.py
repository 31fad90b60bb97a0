"""The start time of `python -m app`, and its memory when idle."""

from __future__ import annotations

import time

from tests.benchmarks.processes import activation_lab, resident
from tests.benchmarks.report import Table, duration, memory, verdict
from tests.benchmarks.timing import NotRun, spread

SECONDS = 1.5
BYTES = 150e6

REST = 2.0
"""Seconds after its first answer that a service counts as at rest."""


def table(starts: int) -> Table:
    """Start and memory at rest over ``starts`` starts, after one that does not count."""
    result = Table("Start and rest", ("figure", "median (range)", "bar"))
    took, held = [], []
    try:
        for number in range(starts + 1):
            begin = time.perf_counter()
            with activation_lab() as server:
                if number:
                    took.append(time.perf_counter() - begin)
                    time.sleep(REST)
                    held.append(float(resident(server.process.pid)))
    except NotRun as why:
        result.not_run("`python -m app`", why)
        return result
    start, rest = spread(took), spread(held)
    figures = [duration(each) for each in start]
    bar = verdict(f"≤ {SECONDS:g} s", met=start.median <= SECONDS)
    result.rows.append(("`python -m app` to the first 200 of `/readyz`", _range(figures), bar))
    figures = [memory(each) for each in rest]
    bar = verdict(f"< {BYTES / 1e6:g} MB", met=rest.median < BYTES)
    result.rows.append(("memory at rest, all its processes", _range(figures), bar))
    return result


def _range(figures: list[str]) -> str:
    median, low, high = figures
    return f"{median} ({low}–{high})"
