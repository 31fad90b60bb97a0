"""Numbers (high + low)·2^exponent: a double-double's digits, and an exponent of their own.

A kernel's results are such numbers. Nothing has under- or overflowed before they are multiplied by others,
and they are rounded once, when they are complete: to the nearest double, or to odd on the way to a
shorter format.

Where a function asks for a mantissa near 1, some hundred powers of two either way do no harm.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np

from app.core.arithmetic.double_double import (
    LARGEST,
    ROUGH,
    DoubleDouble,
    Scaled,
    add,
    at_least,
    fast_two_sum,
    inverse_unnormalised,
    power_of_two,
    product_unnormalised,
    scalar,
    scaled,
    square_root,
    two_sum,
)

SMALLEST_ORDINARY, LARGEST_ORDINARY = 2.0**-23, 256.0
"""Numbers are ordinary if they are 0 or their size lies between these. Their exponentials, and products and
quotients of half a dozen, neither under- nor overflow, and need no exponents of their own."""

DOUBT = float(np.uint64(0x7FF8 << 48 | 1 << 28).view(np.float64))
"""A NaN with the last digits of what lies in the middle of two float32 numbers. Arithmetic hands it on."""

_LEAST_LEFT = 2.0**-10
"""A sum that is less than this part of one of its terms has lost the digits of a rough answer."""

Orders: TypeAlias = tuple[Scaled, Scaled, Scaled]
"""f, f′ and f″ at a point."""

_SIGN_AND_FRACTION = -(1 << 63) | ((1 << 52) - 1)
_HALF = 1022 << 52
_WHOLE = 0x433 << 52
"""The bits of 2⁵², beside which a small integer is a double's fraction."""


@scalar
def exactly(x: float) -> Scaled:
    """x itself. Its low part is −0, which leaves the sign of a zero alone."""
    return Scaled(x, -0.0, 0.0)


@scalar
def with_exponent(a: DoubleDouble, exponent: float) -> Scaled:
    """a·2^exponent."""
    return Scaled(a.high, a.low, exponent)


@scalar
def unscaled(a: DoubleDouble) -> Scaled:
    """a."""
    return Scaled(a.high, a.low, 0.0)


@scalar
def mantissa(a: Scaled) -> DoubleDouble:
    """a·2^−exponent."""
    return DoubleDouble(a.high, a.low)


@scalar
def times_power(a: Scaled, exponent: float) -> Scaled:
    """a·2^exponent."""
    return Scaled(a.high, a.low, a.exponent + exponent)


@scalar
def choose(condition: bool, yes: Scaled, no: Scaled) -> Scaled:
    """``yes`` where the condition holds, else ``no``: part by part, which needs no branch."""
    return Scaled(
        yes.high if condition else no.high,
        yes.low if condition else no.low,
        yes.exponent if condition else no.exponent,
    )


@scalar
def signed(a: Scaled, sign: float) -> Scaled:
    """a with its sign changed where ``sign`` is negative."""
    one = math.copysign(1.0, sign)
    return Scaled(one * a.high, one * a.low, a.exponent)


@scalar
def negative(a: Scaled) -> Scaled:
    """−a."""
    return Scaled(-a.high, -a.low, a.exponent)


@scalar
def apart(x: float, ordinary: int = False) -> Scaled:
    """x with its mantissa between 1/2 and 1; 0, infinities and NaN as they are.

    An ``ordinary`` number serves as its own mantissa.
    """
    if ordinary:
        return exactly(x)
    subnormal = abs(x) < 2.0**-1000
    bits = np.float64(x * 2.0**64 if subnormal else x).view(np.int64)
    # The exponent's bits become a double's last ones: no vector instruction converts a 64-bit integer.
    field = np.int64(((bits >> 52) & 0x7FF) | _WHOLE).view(np.float64) - 2.0**52
    high = np.int64((bits & _SIGN_AND_FRACTION) | _HALF).view(np.float64)
    ordinary = 0 < abs(x) <= LARGEST
    exponent = field - (1086.0 if subnormal else 1022.0)
    return Scaled(high if ordinary else x, -0.0, exponent if ordinary else 0.0)


@scalar
def normal(a: Scaled) -> Scaled:
    """a with its mantissa between 1/2 and 1, or 0."""
    high = apart(a.high)
    return Scaled(high.high, scaled(a.low, -high.exponent), a.exponent + high.exponent)


@scalar
def times(a: Scaled, b: Scaled) -> Scaled:
    """a·b to 2⁻¹⁰⁰, for mantissas near 1."""
    product = product_unnormalised(mantissa(a), mantissa(b))
    return Scaled(product.high, product.low, a.exponent + b.exponent)


@scalar
def over(a: Scaled, b: Scaled) -> Scaled:
    """a/b to 2⁻¹⁰⁰, for mantissas near 1."""
    product = product_unnormalised(mantissa(a), inverse_unnormalised(mantissa(b)))
    return Scaled(product.high, product.low, a.exponent - b.exponent)


@scalar
def inverse(a: Scaled) -> Scaled:
    """1/a to 2⁻¹⁰⁰, for a mantissa near 1."""
    return with_exponent(inverse_unnormalised(mantissa(a)), -a.exponent)


@scalar
def sure(total: float, term: float, ordinary: int) -> float:
    """``total``, which has this ``term``; where a rough answer is asked for and the sum cancels, `DOUBT`."""
    return DOUBT if ordinary == ROUGH and abs(total) < _LEAST_LEFT * abs(term) else total


@scalar
def plus(a: Scaled, b: Scaled, ordinary: int = False) -> Scaled:
    """a + b to 2⁻¹⁰⁰ of the larger, for mantissas near 1. What is 2⁻⁹⁰⁰ of the other counts as that.

    Two ``ordinary`` numbers have the exponent 0.
    """
    if ordinary == ROUGH:  # an eighth has to be left: logarithms are right to 2⁻⁴³
        return Scaled(sure(a.high + b.high, 2.0**7 * a.high, ordinary), 0.0, 0.0)
    if ordinary:
        head = two_sum(a.high, b.high)
        return Scaled(head.high, head.low + (a.low + b.low), 0.0)
    first = a.exponent if a.high != 0 else -9000.0
    second = b.exponent if b.high != 0 else -9000.0
    exponent = max(second, first)
    left = power_of_two(at_least(first - exponent, -900.0))
    right = power_of_two(at_least(second - exponent, -900.0))
    total = add(DoubleDouble(left * a.high, left * a.low), DoubleDouble(right * b.high, right * b.low))
    return Scaled(total.high, total.low, exponent)


@scalar
def root(a: Scaled) -> Scaled:
    """√a to 2⁻¹⁰⁰, for a mantissa near 1."""
    half = float(math.floor(a.exponent / 2))  # one type, whatever is chosen between
    odd = a.exponent != 2 * half
    value = square_root(DoubleDouble(2 * a.high, 2 * a.low) if odd else mantissa(a))
    return Scaled(value.high, value.low, half)


@scalar
def _total(a: Scaled) -> float:
    """high + low; the high part alone where it is infinite and the low one has no meaning."""
    total = a.high + a.low
    return a.high if math.isnan(total) else total


@scalar
def ordinary_double(a: Scaled) -> float:
    """a, which is finite or NaN, rounded to the nearest double."""
    return scaled(a.high + a.low, a.exponent)


@scalar
def nearest_double(a: Scaled) -> float:
    """a rounded to the nearest double; a subnormal one is rounded twice."""
    return scaled(_total(a), a.exponent)


@scalar
def high_double(a: Scaled) -> float:
    """a without its low part: enough for a float32."""
    return scaled(a.high, a.exponent)


@scalar
def odd_double(a: Scaled) -> float:
    """a rounded to odd: towards zero, with the last bit set where anything was cut off.

    Rounding the result again, to a format at least two bits shorter, gives what rounding ``a`` would (Boldo
    and Melquiond 2008).
    """
    return scaled(_odd(two_sum(a.high, a.low if abs(a.high) <= LARGEST else -0.0)), a.exponent)


@scalar
def ordinary_odd_double(a: Scaled) -> float:
    """a, which is finite or NaN, rounded to odd."""
    return scaled(_odd(fast_two_sum(a.high, a.low)), a.exponent)


@scalar
def _odd(a: DoubleDouble) -> float:
    bits = np.float64(a.high).view(np.int64)
    cut = abs(a.low) > 0 and bits & 1 == 0
    step = 1 if (a.low > 0) == (a.high > 0) else -1
    return float(np.int64(bits + (step if cut else 0)).view(np.float64))


_PRODUCT_ERROR = 2.0**-100


@scalar
def odd_product(a: Scaled) -> float:
    """A result of `times` rounded to odd.

    A low part no larger than the error of `times` says nothing: 3·(1/6) is the tie 1/2, not a little less.
    """
    head = two_sum(a.high, a.low if abs(a.high) <= LARGEST else -0.0)
    counts = abs(head.low) > _PRODUCT_ERROR * abs(head.high)
    return odd_double(Scaled(head.high, head.low if counts else -0.0, a.exponent))
