"""Work on tall arrays in blocks of rows that fit a core's cache, run in parallel where the caller can.

The blocks depend on the array's shape alone, each result is kept under its own block, and sums run in the
order of the blocks: so the numbers do not depend on how many workers shared the blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from app.core.evaluation import Mapper

Result = TypeVar("Result")

ELEMENTS = 65_536
"""Numbers per block: enough for a matrix product and for random numbers to run at full speed."""

TEMPORARY = 65_536
"""Bytes of a temporary array: ten fit a core's second-level cache, and the allocator reuses them instead of
returning each to the system."""


SHARED = 262_144
"""Numbers from which on blocks are shared among threads. Below, starting threads costs what they save: with
32 inputs and 50 layers, two threads take as long as one up to 4,096 units, and four fifths of its time at
8,192."""


@dataclass(frozen=True)
class Blocks:
    """The row blocks of arrays with ``columns`` numbers a row, and the ``map`` that runs them.

    A block has about ``elements`` numbers.
    """

    columns: int
    map_blocks: Mapper = map
    elements: int = ELEMENTS

    def slices(self, rows: int) -> list[slice]:
        """``rows`` rows cut into blocks."""
        step = max(1, self.elements // max(1, self.columns))
        return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]

    def each(self, rows: int, work: Callable[[slice], Result]) -> list[Result]:
        """``work`` for every block, the results in the order of the blocks."""
        if rows * self.columns <= self.elements:
            return [work(slice(0, rows))]
        if rows * self.columns < SHARED:
            return [work(block) for block in self.slices(rows)]
        results: dict[int, Result] = {}

        def run(block: slice) -> None:
            # Threads do not inherit the caller's floating-point state; overflow is a finding, not an error.
            with np.errstate(all="ignore"):
                results[block.start] = work(block)

        for _ in self.map_blocks(run, self.slices(rows)):
            pass
        return [results[start] for start in sorted(results)]
