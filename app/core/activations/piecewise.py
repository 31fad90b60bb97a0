"""Pieces chosen by a condition, with NaN in giving NaN out.

A comparison with NaN is false, so a plain choice would turn NaN into the other piece's value.
"""

from __future__ import annotations

import math

from app.core.arithmetic.double_double import LARGEST, Scaled, fma, scalar, two_sum
from app.core.arithmetic.scaled import exactly, unscaled


@scalar
def unless_nan(value: float, x: float, rough: int = False) -> float:
    """``value``; NaN where x is NaN, which it is not where a ``rough`` answer is asked for."""
    return x if not rough and math.isnan(x) else value


@scalar
def level(value: float, x: float, rough: int = False) -> Scaled:
    """The number ``value``, whatever x; NaN where x is NaN."""
    return exactly(unless_nan(value, x, rough))


@scalar
def proportional(slope: float, x: float, rough: int = False) -> Scaled:
    """slope·x, with 0·∞ = 0: a flat line is flat out to infinity, where no ``rough`` answer is asked for."""
    if rough:
        return exactly(slope * x)
    flat = slope == 0 and math.isinf(x)
    high = slope if flat else slope * x
    return Scaled(high, -0.0 if high == 0 else fma(slope, x, -high), 0.0)  # −0 keeps the sign of a zero


@scalar
def difference(a: float, b: float, rough: int = False) -> Scaled:
    """a − b, whole where it overflows on the way to less."""
    if rough:
        return unscaled(two_sum(a, -b))
    far = abs(a) > 2.0**1000 or abs(b) > 2.0**1000
    unit = 0.25 if far else 1.0
    exact = two_sum(a * unit, -b * unit)
    return Scaled(exact.high, exact.low, 2.0 if far else 0.0)


@scalar
def finite(x: float) -> float:
    """x, with the largest double for an infinity."""
    return LARGEST if x > LARGEST else max(x, -LARGEST)
