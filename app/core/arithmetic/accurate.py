"""Numerical tools the families share: products with their rounding error, exponentials that keep their tails.

All work in the precision of the array they are given.
"""

from __future__ import annotations

import math

import numpy as np

from app.core.activations.piecewise import select
from app.core.arithmetic import Array, Value
from app.core.arithmetic.summation import two_sum

_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
"""ln 2 in two parts (fdlibm, e_exp.c): multiples of the first up to 2²⁰ are exact."""

_SHIFT = 1100
_SHIFT_HIGH, _SHIFT_LOW = 762.4618986159398, -4.2444621076449e-15
"""1100 ln 2: e^{x + 1100 ln 2} is normal for every x that a double factor can keep from vanishing."""

_SUBNORMAL = -708.0
_VANISHED = -1460.0


def two_product(a: Value, b: Value) -> tuple[Array, Array]:
    """p and e with p = fl(a·b) and p + e = a·b, exactly but for under- and overflow (Dekker 1971, §5).

    The error counts as 0 where splitting the factors overflows. One factor at least is an array.
    """
    dtype = np.result_type(a, b)
    product = np.multiply(a, b)
    if any(isinstance(factor, float) and _is_power_of_two(factor) for factor in (a, b)):
        return product, np.zeros_like(product)
    a_high, a_low = _halves(np.asarray(a, dtype))
    b_high, b_low = _halves(np.asarray(b, dtype))
    error = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
    return product, finite(error)


def two_quotient(a: Array, b: Value) -> tuple[Array, Array]:
    """q = fl(a/b) and e with q + e = a/b to twice the working precision; e is 0 where q overflows."""
    q = a / b
    product, low = two_product(q, b)
    return q, finite(((a - product) - low) / b)


def _halves(a: Array) -> tuple[Array, Array]:
    """``a`` as a sum of two numbers with half its bits each (Veltkamp 1968)."""
    shifted = a * (2.0 ** (np.finfo(a.dtype).nmant // 2 + 1) + 1)
    high = shifted - (shifted - a)
    return high, a - high


def _is_power_of_two(number: float) -> bool:
    return abs(math.frexp(number)[0]) == 0.5


def finite(correction: Array) -> Array:
    """``correction``, and 0 where overflow on the way has made it infinite or NaN."""
    return np.where(np.isfinite(correction), correction, 0.0)


def rescaled_tail(product: Array, factor: Value, x: Array, low: Value = 0.0) -> Array:
    """factor·e^{x + low}, given ``product`` as its value wherever e^x is no subnormal number.

    Where it is, the product may still be an ordinary number, whatever the factor's size.
    """
    tail = x < _SUBNORMAL
    if not np.any(tail):
        return product
    shifted, error = two_sum(x, np.asarray(_SHIFT_HIGH, product.dtype))
    e = np.exp(shifted)
    mantissa, exponent = np.frexp(factor)
    scaled = np.ldexp(mantissa * (e + e * (error + (low + _SHIFT_LOW))), exponent - _SHIFT)
    vanished = np.where(x < _VANISHED, np.copysign(0.0, factor), scaled)
    return np.where(tail, vanished, product).astype(product.dtype)


def exp_pair(x: Array, low: Value = 0.0) -> tuple[Array, Array]:
    """e and r with e·(1 + r) = e^{x + low} to some 2⁻⁵⁵, for x ≤ 0: what np.exp rounds off is in r.

    e^x = 2^k·(1 + expm1(x − k ln 2)), where expm1's error weighs a fifth of its last place.
    """
    x = np.maximum(x, -2000.0)
    k = np.rint(x / (_LN2_HIGH + _LN2_LOW))
    rest = x - k * _LN2_HIGH
    r = rest - k * _LN2_LOW
    r_low = ((rest - r) - k * _LN2_LOW) + low
    m = np.expm1(r)
    a = 1 + m
    return np.ldexp(a, k.astype(np.int32)), ((1 - a) + m) / a + r_low


def logistic_tail(e: Array, relative: Value = 0.0) -> Array:
    """E/(1 + E) for E = e·(1 + ``relative``) ≤ 1: the logistic function on its small side, E = e^−|t|.

    e/(1 + e) alone is up to 2.5 ulp off: the rounding of 1 + e weighs up to one ulp of the quotient.
    """
    q = e / (1 + e)
    if isinstance(relative, float) and not relative:
        return select(e < 1 / 3, e - e * q, q)
    shift = relative * q * (1 - q)
    return select(e < 1 / 3, e - (e * q - shift), q + shift)
