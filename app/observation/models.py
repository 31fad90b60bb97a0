"""Statistics of the requests to each model of the Open Inference Protocol, in this process."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Tally:
    """Requests to one model: how many succeeded and failed, their total time, and when the last ended."""

    succeeded: int = 0
    succeeded_ns: int = 0
    failed: int = 0
    failed_ns: int = 0
    last_ms: int = 0


class Models:
    """A `Tally` for each model that was requested."""

    def __init__(self) -> None:
        self._tallies: defaultdict[str, Tally] = defaultdict(Tally)

    def of(self, name: str) -> Tally:
        """The tally of the model called ``name``."""
        return self._tallies.get(name, Tally())

    @contextmanager
    def asked(self, name: str) -> Iterator[None]:
        """Counts and times the request handled inside; an exception counts as a failure."""
        start = time.perf_counter_ns()
        tally = self._tallies[name]
        try:
            yield
        except BaseException:
            tally.failed += 1
            tally.failed_ns += time.perf_counter_ns() - start
            raise
        tally.succeeded += 1
        tally.succeeded_ns += time.perf_counter_ns() - start
        tally.last_ms = time.time_ns() // 1_000_000
