"""The normal distribution's tail Φ(−a) and density φ(a), right to the last bit down to the smallest numbers.

Near a node c, with a = c + r, both carry e^{−a²/2} = e^{−c²/2}·(1 + m), m = expm1(−(c·r + r²/2)): a small
number known to all its digits, because c·r is exact. What is left of Φ is Mills' ratio, whose Taylor
series at c is short. The table holds that series times e^{−c²/2}, with the leading coefficient in two parts.

The series of g(a) = Φ(−a)·e^{a²/2} follows from g′ = a·g − φ(0). Stepping it downwards from node to node
divides any error by e^{(c² − d²)/2} on the way from c to d, so that the start may be as crude as φ(0)/c.
All of this is done once, in integers, in some ten milliseconds.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from app.core.activations.parameters import Array, Value

END: Final = 39
"""Φ(−39), 39²·φ(39) and all beyond are less than half the smallest number."""

_NODES: Final = 64
"""Nodes a unit."""

_DEGREE: Final = 6
"""The seventh term of the series is below 2⁻⁵⁶ of the first."""

_BITS: Final = 112
_DENSITY_AT_0: Final = (398942280401432677939946059934381868475858631164934657665926 << _BITS) // 10**60
"""φ(0) = 1/√(2π). Like all integers here it counts units of 2⁻¹¹²."""

_LIFTED_FROM: Final = 36
_LIFT: Final = 200
"""From 36 on the table holds 2²⁰⁰ times its values, which would soon have no room for their digits."""


class NormalTail:
    """Φ(−a), φ(a) and Φ(−a) − a·φ(a) for a ≥ 0, each divided by ``unit``.

    ``unit`` is 1 except far out, where the numbers themselves are subnormal but products with them may not
    be: multiply by it last. ``size`` is a, cut at `END`, where all three vanish; NaN stays NaN. In float64.
    """

    def __init__(self, a: Array) -> None:
        self.size = np.minimum(a, float(END))
        node = np.rint(self.size * _NODES)
        self._row = node.astype(np.intp)
        center = node * (1 / _NODES)
        self._r = self.size - center
        self._m = np.expm1(-(center * self._r + 0.5 * self._r * self._r))
        far = center >= _LIFTED_FROM
        self.unit: Value = np.where(far, 2.0**-_LIFT, 1.0) if far.any() else 1.0
        self._first = self._at_node(_SERIES[1])
        rest = self._at_node(_SERIES[_DEGREE])
        for coefficients in _SERIES[_DEGREE - 1 : 1 : -1]:
            rest = self._at_node(coefficients) + self._r * rest
        self._rest = self._r * rest

    def probability(self) -> Array:
        """Φ(−a)."""
        return self._sum(_SERIES[0], self._first, self._at_node(_SERIES_LOW))

    def density(self) -> Array:
        """φ(a)."""
        at_node = self._at_node(_DENSITY)
        density: Array = at_node + self._m * at_node
        return density

    def excess(self) -> Array:
        """Φ(−a) − a·φ(a), the derivative of a·Φ(−a)."""
        return self._sum(_EXCESS, self._first - self._at_node(_DENSITY), 0.0)

    def _at_node(self, column: Array) -> Array:
        # NaN makes no row: it is clipped to any, and comes back through r.
        values: Array = column.take(self._row, mode="clip")
        return values

    def _sum(self, leading: Array, first: Array, low: Value) -> Array:
        """(1 + m)·(leading + low + r·(first + …))."""
        head = self._at_node(leading)
        tail = low + self._r * (first + self._rest)
        total: Array = head + (tail + self._m * (head + tail))
        return total


def _mills_series() -> list[list[int]]:
    """The Taylor coefficients of g at every node from 0 to `END`."""
    terms = 11  # what is cut off is below 2⁻⁸⁰
    start = END + 2
    g = _DENSITY_AT_0 // start
    rows = []
    for node in range(start * _NODES, -1, -1):
        row = [g, g * node // _NODES - _DENSITY_AT_0]
        for k in range(2, terms):
            row.append((row[-1] * node // _NODES + row[-2]) // k)
        rows.append(row)
        g = 0
        for coefficient in reversed(row):
            g = coefficient - g // _NODES
    return rows[: -END * _NODES - 2 : -1]


def _exp_minus(numerator: int, denominator: int) -> int:
    """e^{−numerator/denominator} by its series."""
    total = term = 1 << _BITS
    k = 0
    while term:
        k += 1
        term = term * numerator // (denominator * k)
        total += -term if k % 2 else term
    return total


def _gaussians() -> tuple[list[int], NDArray[np.int_]]:
    """e^{−c²/2} at every node c, as an integer and its power of two."""
    twice = 2 * _NODES**2
    ratio, change = _exp_minus(1, twice), _exp_minus(2, twice)
    mantissa, exponent = 1 << _BITS, -_BITS
    mantissas, exponents = [], []
    for _ in range(END * _NODES + 1):
        mantissas.append(mantissa)
        exponents.append(exponent)
        mantissa = mantissa * ratio >> _BITS
        ratio = ratio * change >> _BITS
        shift = _BITS + 1 - mantissa.bit_length()
        mantissa <<= shift
        exponent -= shift
    return mantissas, np.array(exponents)


def _table() -> tuple[NDArray[Any], Array, Array, Array]:
    """The series (degree, node), the low parts of its leading row, φ(c), and Φ(−c) − c·φ(c)."""
    rows = _mills_series()
    gaussians, exponents = _gaussians()
    exponents += np.where(np.arange(len(rows)) >= _LIFTED_FROM * _NODES, _LIFT, 0)
    # A float made from an integer is rounded once, to nearest.
    products = [row[0] * gaussian for row, gaussian in zip(rows, gaussians, strict=True)]
    leading = [float(product) for product in products]
    low = [float(product - int(rounded)) for product, rounded in zip(products, leading, strict=True)]
    density = [float(_DENSITY_AT_0 * gaussian) for gaussian in gaussians]
    excess = [
        float((row[0] - _DENSITY_AT_0 * node // _NODES) * gaussian)
        for node, (row, gaussian) in enumerate(zip(rows, gaussians, strict=True))
    ]
    higher = np.array([[float(each) for each in row[1 : _DEGREE + 1]] for row in rows]).T
    higher *= np.array([float(gaussian) for gaussian in gaussians])
    scaled = np.ldexp(np.vstack([leading, higher, low, density, excess]), exponents - _BITS)
    return scaled[: _DEGREE + 1], scaled[-3], scaled[-2], scaled[-1]


_SERIES, _SERIES_LOW, _DENSITY, _EXCESS = _table()
