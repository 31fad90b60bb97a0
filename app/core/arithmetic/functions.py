"""Functions that many activations are made of, accurate to the ends of both tails.

Arguments are double-doubles, results have an exponent of their own, so that nothing underflows before it is
multiplied.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from app.core.arithmetic.double_double import (
    ROUGH,
    DoubleDouble,
    Scaled,
    add,
    add_double,
    at_least,
    at_most,
    beside_one,
    constant,
    exp_and_expm1,
    exp_scaled,
    fast_two_sum,
    fma,
    inverse_of_sum,
    log1p,
    multiple,
    nearest,
    polynomial,
    product,
    product_unnormalised,
    quotient,
    scalar,
    scaled,
    square_unnormalised,
    times_double,
    two_product,
    two_sum,
)
from app.core.arithmetic.normal_tail import mills
from app.core.arithmetic.scaled import choose, mantissa, unscaled, with_exponent

_BEYOND: Final = 4000.0

NEAR_ZERO: Final = 2.0**-24
"""Below it, two terms of a function's series are right to 2⁻⁹⁰ or more."""


@scalar
def as_exponent(a: Scaled, ordinary: int = False) -> DoubleDouble:
    """a for use in an exponential: cut to ±4000, where e^−|a| has vanished."""
    if ordinary == ROUGH:
        return DoubleDouble(a.high, 0.0)
    if ordinary:
        return fast_two_sum(a.high, a.low)
    high, low = scaled(a.high, a.exponent), scaled(a.low, a.exponent)
    head = fast_two_sum(high, low if abs(high) < _BEYOND else 0.0)
    cut = at_most(at_least(head.high, -_BEYOND), _BEYOND)
    return DoubleDouble(cut, head.low if cut == head.high else 0.0)


class Sigmoids(NamedTuple):
    """σ(|u|) = most and σ(−|u|) = least·2^exponent = tail·most, tail = e^−|u|."""

    most: DoubleDouble
    least: DoubleDouble
    exponent: float
    tail: DoubleDouble


@scalar
def sigmoids(u: DoubleDouble, ordinary: int = False) -> Sigmoids:
    """Both sigmoids of u; none is normalised."""
    e = exp_scaled(math.copysign(u.high, -1.0), u.low if u.high < 0 else -u.low, ordinary)
    if ordinary:
        most = inverse_of_sum(1.0, mantissa(e))
        return Sigmoids(most, product_unnormalised(mantissa(e), most), 0.0, mantissa(e))
    # The halved mantissa is below 1: no finite factor makes the product overflow.
    half, exponent = DoubleDouble(0.5 * e.high, 0.5 * e.low), e.exponent + 1
    tail = beside_one(half, exponent)
    most = inverse_of_sum(1.0, tail)
    return Sigmoids(most, product_unnormalised(half, most), exponent, tail)


@scalar
def sigmoids_by_side(u: DoubleDouble, ordinary: int = False) -> tuple[Sigmoids, bool]:
    """Both `sigmoids`, and whether u is negative, so that the lesser is σ(u).

    Where a rough answer is enough, those of u itself instead of |u|, and False: nothing has to be chosen.
    """
    if ordinary == ROUGH:
        e = exp_scaled(-u.high, 0.0, ordinary)
        right = DoubleDouble(1 / (1 + e.high), 0.0)
        return Sigmoids(right, product_unnormalised(mantissa(e), right), 0.0, mantissa(e)), False
    return sigmoids(u, ordinary), u.high < 0


@scalar
def log1p_of_exp(u: DoubleDouble, ordinary: int = False) -> Scaled:
    """ln(1 + e^−|u|)."""
    e = exp_scaled(math.copysign(u.high, -1.0), u.low if u.high < 0 else -u.low, ordinary)
    if ordinary:
        return unscaled(log1p(mantissa(e), ordinary))
    near = unscaled(log1p(beside_one(DoubleDouble(e.high, e.low), e.exponent)))
    return choose(e.exponent < -100, e, near)


@scalar
def tanh_and_slope(size: float, low: float = 0.0, ordinary: int = False) -> tuple[DoubleDouble, Scaled]:
    """tanh y and 1/cosh² y, for y = size + low ≥ 0; the slope's mantissa lies between 1/2 and 6.

    With E = e^−2y they are −expm1(−2y)/(1 + E) and 4E/(1 + E)². Not 1 − tanh²: that cancels where the
    gradient vanishes.
    """
    e, m = exp_and_expm1(-2 * size, -2 * low, ordinary)
    share = inverse_of_sum(2.0, m)
    slope = product_unnormalised(DoubleDouble(e.high, e.low), square_unnormalised(share))
    value = product_unnormalised(DoubleDouble(abs(m.high), -m.low), share)  # abs: not −0
    # Near 0 the two parts cannot hold what y³/3 adds to y; it decides ties.
    near = not ordinary and size < NEAR_ZERO
    cube = size * size * size
    return (
        DoubleDouble(size if near else value.high, low - cube / 3 if near else value.low),
        choose(near, Scaled(1.0, -size * size, 0.0), Scaled(4 * slope.high, 4 * slope.low, e.exponent)),
    )


_ROOT_2: Final = constant("1.41421356237309504880168872420969807857")
_ROOT_2_BY_PI: Final = constant("0.797884560802865355879892119868763736952")
"""√(2/π)."""
_TWO_BY_ROOT_PI: Final = constant("1.12837916709551257389615890312154517169")
"""2/√π."""
_ERF_SERIES: Final = tuple(
    2 / math.sqrt(math.pi) * (-1) ** k / (math.factorial(k) * (2 * k + 1)) for k in range(12, 0, -1)
)
"""erf x = x·(2/√π + z·(…)), z = x²: for |x| ≤ 1/2 the first term left out is below 2⁻⁶⁰."""
_ERF_END: Final = 46.5
"""e^−46.5² has vanished."""


@scalar
def erf_and_slope(size: float) -> tuple[DoubleDouble, Scaled]:
    """erf y and 2/√π·e^−y², for y = size ≥ 0."""
    a = at_most(size, _ERF_END)
    value, factor, slope = _erf_parts(two_product(a, a), times_double(_ROOT_2, a))
    return _where(a < 0.5, times_double(factor, a), value), slope


@scalar
def erf_and_slope_of(y: DoubleDouble) -> tuple[DoubleDouble, Scaled]:
    """The same for y ≥ 0 with a low part."""
    a = at_most(y.high, _ERF_END)
    held = DoubleDouble(a, y.low if a == y.high else 0.0)
    square = two_product(a, a)
    square = fast_two_sum(square.high, square.low + 2 * a * held.low)
    value, factor, slope = _erf_parts(square, product_unnormalised(_ROOT_2, held))
    return _where(a < 0.5, product_unnormalised(held, factor), value), slope


@scalar
def _erf_parts(square: DoubleDouble, far: DoubleDouble) -> tuple[DoubleDouble, DoubleDouble, Scaled]:
    """Of y² and √2·y: erf y away from 0, erf y/y near 0, and 2/√π·e^−y²."""
    e = exp_scaled(-square.high, -square.low)
    gaussian = DoubleDouble(e.high, e.low)
    # erfc a = 2Φ(−√2 a)
    weight = product_unnormalised(_ROOT_2_BY_PI, gaussian)
    outside = one_minus(product_unnormalised(weight, mills(far.high, far.low)), e.exponent)
    series = square.high * polynomial(square.high, _ERF_SERIES)
    factor = fast_two_sum(_TWO_BY_ROOT_PI.high, series + _TWO_BY_ROOT_PI.low)
    return outside, factor, with_exponent(product_unnormalised(_TWO_BY_ROOT_PI, gaussian), e.exponent)


@scalar
def _where(condition: bool, yes: DoubleDouble, no: DoubleDouble) -> DoubleDouble:
    """``yes`` where the condition holds, else ``no``."""
    return DoubleDouble(yes.high if condition else no.high, yes.low if condition else no.low)


@scalar
def one_minus(a: DoubleDouble, exponent: float) -> DoubleDouble:
    """1 − a·2^exponent, not normalised."""
    small = beside_one(a, exponent)
    head = two_sum(1.0, -small.high)
    return DoubleDouble(head.high, head.low - small.low)


@scalar
def divided(a: DoubleDouble, parts: float, rough: int = False) -> DoubleDouble:
    """a/parts, exact where a double holds it; for a small whole number of parts."""
    head = a.high * (1 / parts)  # no quotient yet: what is left of it completes it
    if rough:
        return DoubleDouble(head, 0.0)
    return DoubleDouble(head, (fma(-head, parts, a.high) + a.low) * (1 / parts))


_STEPS: Final = 32
"""Nodes of the arctangent a unit: between them the series needs |s| ≤ 1/64 alone."""


def _arctangents() -> Iterator[tuple[float, float]]:
    """arctan(k/32) for k = 0 … 32, as double-doubles, from the series of arctan in integers."""
    one = 1 << 160
    angle = 0
    for k in range(_STEPS + 1):
        if k:
            # arctan(k/32) − arctan((k − 1)/32) = arctan t, t = 32/(32² + k(k − 1))
            power = one * _STEPS // (_STEPS**2 + k * (k - 1))
            square = power * power // one
            for n in range(40):
                angle += (-1) ** n * power // (2 * n + 1)
                power = power * square // one
        high = angle / one
        numerator, denominator = high.as_integer_ratio()
        yield high, float((angle * denominator - numerator * one) / (one * denominator))


_ATAN_HIGH, _ATAN_LOW = np.array(list(_arctangents())).T.copy()
_ATAN_SERIES: Final = tuple((-1) ** k / (2 * k + 1) for k in range(6, 0, -1))
"""arctan s = s + s³·(−1/3 + s²/5 − …): for |s| ≤ 1/64 the first term left out is below 2⁻⁸⁰."""
_HALF_PI: Final = constant("1.57079632679489661923132169163975144209858")


@scalar
def arctangent(x: float) -> DoubleDouble:
    """arctan x to 2⁻⁶⁴, for x ≥ 0. Above 1 it is π/2 − arctan(1/x)."""
    steep = x > 1
    t = quotient(DoubleDouble(1.0, 0.0), DoubleDouble(x, 0.0)) if steep else DoubleDouble(x, 0.0)
    node = nearest(t.high * _STEPS) if t.high <= 1 else 0.0  # NaN takes any row, and returns through t
    row, c = int(node), node / _STEPS
    above = add_double(t, -c)
    below = add_double(product(DoubleDouble(c, 0.0), t), 1.0)
    s = quotient(above, below) if row != 0 else t
    z = s.high * s.high
    curve = s.high * z * polynomial(z, _ATAN_SERIES)
    angle = fast_two_sum(s.high, s.low + curve)
    angle = add(DoubleDouble(_ATAN_HIGH[row], _ATAN_LOW[row]), angle) if row != 0 else angle
    return add(_HALF_PI, multiple(-1.0, angle)) if steep else angle
