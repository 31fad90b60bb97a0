"""Random numbers with an address: equal addresses give equal numbers, whoever draws them, when, how often.

Network i of a hundred therefore equals network i of eight, a layer's numbers can be thrown away and drawn
again, and blocks of one array can be drawn side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from app.core.activations.parameters import Array
from app.core.propagation.blocks import Blocks

_CHUNK = 16_384
"""Numbers a step of Box and Muller's transformation: its temporaries stay in the first-level cache."""


@dataclass(frozen=True)
class Stream:
    """The address of a sequence of random numbers: a seed and a path below it."""

    seed: int
    path: tuple[int, ...] = ()

    def at(self, *steps: int) -> Stream:
        """The stream ``steps`` further down; independent of every other."""
        return Stream(self.seed, self.path + steps)

    def generator(self) -> np.random.Generator:
        """The sequence, from its beginning.

        SFC64 is the fastest of NumPy's generators; `SeedSequence` hashes seed and path to 256 bits.
        """
        return np.random.Generator(np.random.SFC64(np.random.SeedSequence(self.seed, spawn_key=self.path)))

    def normals(self, rows: int, blocks: Blocks, dtype: np.dtype[Any]) -> Array:
        """rows × columns independent standard normals, each block from a stream of its own."""
        values = np.empty((rows, blocks.columns), dtype)
        blocks.each(rows, lambda block: self.fill(values, block))
        return values

    def fill(self, values: Array, block: slice) -> Array:
        """Standard normals into the rows ``block`` of ``values``; returns those rows."""
        part = values[block]
        fill_standard_normal(self.at(block.start).generator(), part)
        return part


def fill_standard_normal(generator: np.random.Generator, out: Array) -> None:
    """Independent N(0, 1) into ``out``, which is contiguous.

    In float64 by NumPy's ziggurat. In float32 by Box and Muller's transformation, of which every step is a
    vector instruction: three times as fast, and random numbers are half of what a layer costs. Its uniform
    numbers have 24 bits, so it reaches to ±5.77, beyond which 8e-9 of the distribution lies.
    """
    if out.dtype == np.float64:
        generator.standard_normal(out=out)
        return
    flat = out.reshape(-1)
    for start in range(0, flat.size, _CHUNK):
        _box_muller(generator, flat[start : start + _CHUNK])


def _box_muller(generator: np.random.Generator, out: Array) -> None:
    """√(−2 ln u) cos 2πv and √(−2 ln u) sin 2πv, u in (0, 1], v in [0, 1); ``out`` is one-dimensional."""
    pairs = (out.size + 1) // 2
    radius = np.subtract(np.float32(1), generator.random(pairs, dtype=np.float32))
    np.log(radius, out=radius)
    radius *= np.float32(-2)
    np.sqrt(radius, out=radius)
    angle = generator.random(pairs, dtype=np.float32)
    angle *= np.float32(2 * np.pi)
    np.multiply(radius, np.cos(angle), out=out[:pairs])
    np.multiply(radius[: out.size - pairs], np.sin(angle[: out.size - pairs]), out=out[pairs:])
