"""Mills' ratio M(a) = Φ(−a)/φ(a) of the normal distribution: its tail without the exponential.

Near a node c it is its Taylor series in r = a − c. M′ = a·M − 1 gives all its derivatives from M(c), which a
table holds as a pair: D₁ = c·M − 1 and Dₖ = c·Dₖ₋₁ + (k − 1)·Dₖ₋₂. For a large c these cancel, but an error
of theirs is multiplied by r² ≤ 2⁻¹².

The table follows from the same rule. Stepping the series downwards from node to node divides any error by
e^{(c² − d²)/2} on the way from c to d, so that the start may be as crude as 1/c. This is done once, in
integers, in some ten milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from app.core.arithmetic.double_double import (
    ROUGH,
    DoubleDouble,
    fast_two_sum,
    fma,
    nearest,
    polynomial,
    scalar,
)

END: Final = 66.0
"""φ(66) and Φ(−66) are below 2⁻³¹⁴⁰: nothing, even times two of the largest doubles."""

_NODES: Final = 32
"""Nodes a unit, so that |r| ≤ 1/64: the first term left out of the series is below 2⁻⁶³ of the sum."""

_ONE: Final = 1 << 112
"""The integers count units of 2⁻¹¹²."""


def _at_nodes() -> Iterator[tuple[float, float]]:
    """M at every node from beyond `END` down to 0, as a pair."""
    terms = 14  # what is cut off is below 2⁻⁸⁰
    start = int(END) + 2
    ratio = _ONE // start
    for node in range(start * _NODES, -1, -1):
        high = ratio / _ONE  # rounded once
        yield high, (ratio - int(high * _ONE)) / _ONE
        series = [ratio, ratio * node // _NODES - _ONE]
        for k in range(2, terms):
            series.append((series[-1] * node // _NODES + series[-2]) // k)
        ratio = 0
        for coefficient in reversed(series):
            ratio = coefficient - ratio // _NODES


_HIGH, _LOW = np.array(list(_at_nodes())[::-1]).T.copy()


_ROUGH_ABOVE: Final = (
    1.3939864814423204e-05,
    0.0003416388583785705,
    0.0040342716506570515,
    0.0296158568719158,
    0.1470203775431547,
    0.5050538851835086,
    1.1777841516832344,
    1.7251355040601306,
)
_ROUGH_BELOW: Final = (
    1.3939864790907697e-05,
    0.00034163886099773346,
    0.004048211379307357,
    0.029957500138735486,
    0.1510266694032277,
    0.5339881630362029,
    1.3168529359193346,
    2.1746109348509086,
)
_ROUGH_ENDS: Final = 1.2533141373155006, 2.174343544785347
"""M(a) = (1.25… + a·(…))/(1 + a·(2.17… + a·(…))), no coefficient negative: up to 15 the best of these
degrees, to 2⁻⁵⁰ with what rounding adds. φ(15) is below 2⁻¹⁶³."""


@scalar
def mills(a: float, low: float = 0.0, ordinary: int = False) -> DoubleDouble:
    """M(a + low) to 2⁻⁵⁸, for 0 ≤ a ≤ `END`."""
    if ordinary == ROUGH:
        above = fma(a, polynomial(a, _ROUGH_ABOVE), _ROUGH_ENDS[0])
        below = fma(a, fma(a, polynomial(a, _ROUGH_BELOW), _ROUGH_ENDS[1]), 1.0)
        return DoubleDouble(above / below, 0.0)
    node = nearest(a * _NODES) if a <= END else 0.0  # NaN takes any row, and comes back through r
    row = int(node)
    c = node / _NODES
    r = (a - c) + low
    m, rest = _HIGH[row], _LOW[row]
    d1 = fma(c, m, -1.0) + c * rest
    d2 = fma(c, d1, m)
    d3 = fma(c, d2, 2 * d1)
    d4 = fma(c, d3, 3 * d2)
    d5 = fma(c, d4, 4 * d3)
    d6 = fma(c, d5, 5 * d4)
    d7 = fma(c, d6, 6 * d5)
    d8 = fma(c, d7, 7 * d6)
    tail = fma(r * (1 / 7), fma(r * (1 / 8), d8, d7), d6)
    tail = fma(r * (1 / 4), fma(r * (1 / 5), fma(r * (1 / 6), tail, d5), d4), d3)
    tail = fma(r * (1 / 2), fma(r * (1 / 3), tail, d2), d1)
    return fast_two_sum(m, fma(r, tail, rest))
