"""Numbers with twice the digits of a double and an exponent of their own, for products of several factors.

They neither over- nor underflow on the way, and a result is rounded once, when it is complete.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.core.arithmetic import Array, Value
from app.core.arithmetic.accurate import finite, two_product
from app.core.arithmetic.summation import two_sum

_STEPS = 1024
"""e^z = 2^(k + j/1024)·e^r with |r| ≤ ln 2 / 2048: four terms of the series give e^r to 2⁻⁶⁴."""

_LOWEST = -3000.0
"""What e^−3000 multiplies is 0, though it be the product of two of the largest doubles."""

_EXPONENTS = 20_000
"""Exponents beyond this are as good as infinite."""


class Extended(NamedTuple):
    """(high + low)·2^exponent, where |low| is at most an ulp or so of high."""

    high: Array
    low: Array
    exponent: NDArray[np.int64]

    def times(self, other: Extended) -> Extended:
        """The product, right to some 2⁻¹⁰⁰."""
        high, low = two_product(self.high, other.high)
        low = finite(low + (self.high * other.low + self.low * other.high))
        return Extended(high, low, self.exponent + other.exponent)

    def negative(self) -> Extended:
        """The number with the other sign."""
        return Extended(-self.high, -self.low, self.exponent)

    def plus_one(self) -> Extended:
        """1 + the number; numbers beyond the doubles count as the largest."""
        exponent = self.exponent.clip(-_EXPONENTS, _EXPONENTS).astype(np.int32)
        limit = np.finfo(np.float64).max
        high = np.ldexp(self.high, exponent).clip(-limit, limit)
        total, error = two_sum(np.ones_like(high), high)
        return extended(total, finite(error + np.ldexp(self.low, exponent)))

    def rounded(self) -> Array:
        """The nearest double, but for a last bit where it is subnormal."""
        exponent = self.exponent.clip(-_EXPONENTS, _EXPONENTS).astype(np.int32)
        return np.ldexp(self.high + self.low, exponent)


def extended(high: Array, low: Value = 0.0) -> Extended:
    """high + low."""
    mantissa, exponent = np.frexp(high)
    return Extended(mantissa, np.ldexp(low, -exponent), exponent.astype(np.int64))


def choose(where: NDArray[np.bool_], a: Extended, b: Extended) -> Extended:
    """``a`` where the condition holds, else ``b``."""
    return Extended(*(np.where(where, one, other) for one, other in zip(a, b, strict=True)))


def reciprocal(high: Array, low: Array) -> tuple[Array, Array]:
    """1/(high + low) as an unevaluated sum of two."""
    inverse = 1 / high
    product, error = two_product(inverse, high)
    return inverse, inverse * (((1 - product) - error) - inverse * low)


def exponential(z: Array, low: Value = 0.0) -> Extended:
    """e^(z + low) for z ≤ 0 and a ``low`` of at most an ulp or so of z, right to 2⁻⁶²; 0 below −3000.

    The mantissa lies between 1 and 2 or is 0.
    """
    vanished = z < _LOWEST
    z, low = np.where(vanished, _LOWEST, z), np.where(vanished, 0.0, low)
    steps = np.rint(z * (1 / _STEP))
    r = ((z - steps * _STEP) - steps * _STEP_LOW) + low  # the first product and difference are exact
    whole = steps.astype(np.int64)
    place = whole & (_STEPS - 1)
    power = np.where(vanished, 0.0, _POWERS[place])
    growth = power * (r + r * r * (1 / 2 + r * (1 / 6 + r * (1 / 24))))
    high = power + growth
    return Extended(high, ((power - high) + growth) + _POWERS_LOW[place], whole >> 10)


def _constants() -> tuple[Array, Array, float, float]:
    """2^(j/1024) as sums of two, and ln 2 / 1024 as a 30-bit number and the rest."""
    with localcontext() as context:
        context.prec = 60
        step = Decimal(2).ln() / _STEPS
        powers = [(step * j).exp() for j in range(_STEPS)]
        high = [float(power) for power in powers]
        low = [float(power - Decimal(near)) for power, near in zip(powers, high, strict=True)]
        coarse = round(step * 2**40) / 2**40
        return np.array(high), np.array(low), coarse, float(step - Decimal(coarse))


_POWERS, _POWERS_LOW, _STEP, _STEP_LOW = _constants()
