"""Random streams with addresses: equal addresses give equal numbers, in any process, order and repetition.

Network i of a hundred therefore equals network i of eight, a layer's numbers can be discarded and drawn
again, and blocks of one array can be drawn in parallel.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from app.core.arithmetic import Array
from app.core.propagation import normals
from app.core.propagation.blocks import Blocks


@dataclass(frozen=True)
class Stream:
    """The address of a sequence of random numbers: a seed and a path below it."""

    seed: int
    path: tuple[int, ...] = ()

    def at(self, *steps: int) -> Stream:
        """The stream at this path below this one, independent of all others."""
        return Stream(self.seed, self.path + steps)

    def generator(self) -> np.random.Generator:
        """The sequence, from its beginning.

        SFC64 is the fastest of NumPy's generators; `SeedSequence` hashes seed and path to 256 bits.
        """
        return np.random.Generator(np.random.SFC64(np.random.SeedSequence(self.seed, spawn_key=self.path)))

    def standard_normal(self, out: Array) -> None:
        """Independent N(0, 1) into ``out``, which is contiguous.

        In float64 by NumPy's ziggurat from `generator`; in float32 by a compiled loop, ten times as fast,
        under a key of 64 bits that BLAKE2 makes of the address.
        """
        if out.dtype == np.float64:
            self.generator().standard_normal(out=out)
            return
        address = ",".join(map(str, (self.seed, *self.path)))
        key = blake2b(address.encode(), digest_size=8).digest()
        normals.fill(int.from_bytes(key, "little"), out)

    def normals(self, rows: int, blocks: Blocks, dtype: np.dtype[Any]) -> Array:
        """rows × columns independent standard normals, each block from a stream of its own."""
        values = np.empty((rows, blocks.columns), dtype)
        blocks.each(rows, lambda block: self.fill(values, block))
        return values

    def fill(self, values: Array, block: slice) -> Array:
        """Standard normals into the rows ``block`` of ``values``; returns those rows."""
        part = values[block]
        self.at(block.start).standard_normal(part)
        return part
