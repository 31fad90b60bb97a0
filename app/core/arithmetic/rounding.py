"""Rounding exact numbers into any format, once, under policies for overflow and for subnormal results.

Whether all numbers of a ball round to the same result is decided here, in rational
arithmetic: a number may be an exact rational plus a ball that is tiny beside it, so that a sum as close to a
tie as x − 1 + e^−x is decided by the sign of its tiny part.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import ml_dtypes
import numpy as np
from flint import arb, fmpq
from numpy.typing import NDArray

from app.core.arithmetic.formats import round_to

_TINY = Fraction(1, 2**6000)
"""Far below every format: a bound nearer to zero is not written out as a fraction."""

_HUGE = Fraction(2**2000)
"""Far above every format."""


@dataclass(frozen=True)
class Rounding:
    """To nearest, ties to even, into ``dtype``.

    What overflows becomes what the format's standard says (infinity; NaN where there is none; the largest
    number where there is neither), or with ``saturate`` always the largest number. With ``flush`` subnormal
    results are zero.
    """

    dtype: np.dtype[Any]
    saturate: bool = False
    flush: bool = False

    def array(self, values: NDArray[np.floating[Any]]) -> NDArray[Any]:
        """Doubles rounded into the format."""
        if self.saturate:
            values = np.clip(values, -self.largest, self.largest)
        rounded = round_to(values, self.dtype)
        if not self.flush:
            return rounded
        small = np.abs(rounded.astype(np.float64)) < self._smallest_normal
        return np.where(small, np.copysign(0.0, values).astype(self.dtype), rounded)

    def exact(self, value: Fraction, nudge: int = 0) -> float:
        """A rational number rounded; with a ``nudge`` of ±1, one infinitesimally above or below it."""
        if not value:
            return self._zero(nudge)
        size, sign = abs(value), 1 if value > 0 else -1
        outward = nudge * sign
        unit = max(self._smallest, Fraction(2) ** (_exponent(size) - self._mantissa_bits))
        whole, rest = divmod(size, unit)
        half = 2 * rest - unit
        if half > 0 or (half == 0 and (outward > 0 or (outward == 0 and whole % 2))):
            whole += 1
        rounded = whole * unit
        if rounded > self._largest:
            return sign * self._overflow
        if not rounded or (self.flush and rounded < self._smallest_normal):
            return self._zero(sign)
        return sign * float(rounded)

    def _zero(self, sign: int) -> float:
        return -0.0 if sign < 0 and self._signed_zero else 0.0

    def decided(self, value: fmpq, rest: arb) -> float | None:
        """value + rest rounded, where all of the ball ``rest`` leads to the same number; else None."""
        whole = Fraction(int(value.p), int(value.q))
        if rest.is_zero():
            return self.exact(whole)
        if not rest.is_finite():
            return None
        low, high = self._bound(whole, rest.lower(), -1), self._bound(whole, rest.upper(), 1)
        return low if low == high or (math.isnan(low) and math.isnan(high)) else None

    def _bound(self, whole: Fraction, end: arb, outward: int) -> float:
        """What the end of a ball rounds to; ``outward`` is −1 for the lower and 1 for the upper end."""
        if end.is_zero():
            return self.exact(whole)
        sign = 1 if end > 0 else -1
        _, exponent = end.man_exp()
        size = int(exponent) + int(end.bits())
        if size > 2000:
            return self.exact(whole + sign * _HUGE)
        if size > -6000:
            mantissa, exponent = end.man_exp()
            return self.exact(whole + Fraction(int(mantissa)) * Fraction(2) ** int(exponent))
        # A tiny end is moved outwards to `_TINY`, or inwards to an infinitesimal distance from ``whole``.
        return self.exact(whole + sign * _TINY) if sign == outward else self.exact(whole, sign)

    @cached_property
    def largest(self) -> float:
        """The format's largest number."""
        return float(self._facts.max)

    @property
    def beyond(self) -> float:
        """What infinity becomes."""
        return self._overflow

    @property
    def _facts(self) -> Any:  # not kept: NumPy's cannot be pickled, and jobs hold a rounding
        return ml_dtypes.finfo(self.dtype)  # type: ignore[no-untyped-call]

    @cached_property
    def _largest(self) -> Fraction:
        return Fraction(self.largest)

    @cached_property
    def _overflow(self) -> float:
        if self.saturate:
            return self.largest
        with np.errstate(all="ignore"):
            return float(np.float32(np.inf).astype(self.dtype)) if self.dtype != np.float64 else math.inf

    @cached_property
    def _signed_zero(self) -> bool:
        return bool(np.signbit(np.float32(-0.0).astype(self.dtype)))

    @cached_property
    def _mantissa_bits(self) -> int:
        return int(self._facts.nmant)

    @cached_property
    def _smallest(self) -> Fraction:
        return Fraction(float(self._facts.smallest_subnormal))

    @cached_property
    def _smallest_normal(self) -> Fraction:
        return Fraction(float(self._facts.smallest_normal))


def _exponent(size: Fraction) -> int:
    """e with 2^e ≤ size < 2^(e+1)."""
    e = size.numerator.bit_length() - size.denominator.bit_length()
    return e if size >= Fraction(2) ** e else e - 1
