"""Sine and cosine of an exact product ω·x, however large: all digits are right, near the zeros too.

θ = quarters·π/2 + r with |r| ≤ π/4. Up to 2²⁰ the reduction takes π/2 in four parts (Cody and Waite 1980);
beyond, it multiplies θ, an integer times a power of two, by the bits of 2/π that matter (Payne and Hanek
1983): those before them only contribute whole turns.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numba import njit

from app.core.arithmetic.double_double import (
    Scaled,
    constant,
    fast_two_sum,
    nearest,
    polynomial,
    power_of_two,
    product,
    scalar,
    two_product,
    two_sum,
)
from app.core.arithmetic.scaled import choose, exactly, negative, plus, signed, times, times_power, unscaled

_PARTS: Final = (1.5707963267341256, 6.077100506303966e-11, 2.0222662487111665e-21, 8.4784276603689e-32)
"""π/2 in parts of 33, 33, 33 and 53 bits: multiples of the first three up to 2²⁰ are exact."""
_HALF_PI: Final = constant("1.57079632679489661923132169163975144209858469968755291")

_SINE: Final = tuple((-1) ** k / math.factorial(2 * k + 1) for k in range(10, 0, -1))
_COSINE: Final = tuple(-((-1) ** k) / math.factorial(2 * k) for k in range(11, 1, -1))
"""Taylor coefficients of sin r from r³ and of 1 − cos r from r⁴ on; the next ones are below 2⁻⁶⁰."""

_WIDTH: Final = 28
"""Bits of a digit: four products of two still fit 64 bits."""
_MASK: Final = (1 << _WIDTH) - 1
_TAKEN: Final = 14
"""Digits of 2/π that are used: even after the worst cancellation, more than 100 bits are left."""
_DIGITS: Final = 100


class Angle(NamedTuple):
    """``quarters`` 0 to 3, sin r and 1 − cos r."""

    quarters: int
    sine: Scaled
    versine: Scaled


def _two_by_pi() -> list[int]:
    """The digits of 2/π behind the point, by Machin's π/4 = 4 arctan(1/5) − arctan(1/239)."""
    bits = _WIDTH * _DIGITS + 64

    def arctan_of_inverse(n: int) -> int:
        power, total, k = (1 << bits) // n, 0, 1
        while power:
            total += power // k if k % 4 == 1 else -(power // k)
            power //= n * n
            k += 2
        return total

    half_pi = 8 * arctan_of_inverse(5) - 2 * arctan_of_inverse(239)
    inverse = (1 << (2 * bits)) // half_pi >> 64
    return [inverse >> _WIDTH * (_DIGITS - 1 - k) & _MASK for k in range(_DIGITS)]


_TWO_BY_PI: Final = np.array(_two_by_pi(), np.int64)


@njit(error_model="numpy")
def _reduced(a: float, b: float, exponent: int) -> tuple[int, float, float]:
    """Quarters and r as a double-double, for θ = a·b·2^exponent, mantissas a and b between 1/2 and 1."""
    first, second = np.int64(a * 2.0**53), np.int64(b * 2.0**53)
    a0, a1, b0, b1 = first & _MASK, first >> _WIDTH, second & _MASK, second >> _WIDTH
    factor = np.zeros(4, np.int64)
    factor[0], factor[1], factor[2] = a0 * b0, a0 * b1 + a1 * b0, a1 * b1
    for i in range(3):
        factor[i + 1] += factor[i] >> _WIDTH
        factor[i] &= _MASK
    power = exponent - 106
    start = max(0, (power - 2) // _WIDTH)  # digits before it count multiples of four quarters
    number = np.zeros(_TAKEN + 6, np.int64)
    for i in range(4):
        for j in range(_TAKEN):
            number[i + _TAKEN - 1 - j] += factor[i] * _TWO_BY_PI[start + j]
    for i in range(_TAKEN + 5):
        number[i + 1] += number[i] >> _WIDTH
        number[i] &= _MASK
    point = _WIDTH * (start + _TAKEN) - power  # bits behind the binary point
    place, bit = point // _WIDTH, point % _WIDTH
    quarters = (number[place] >> bit | number[place + 1] << (_WIDTH - bit)) & 3
    number[place] &= (1 << bit) - 1
    number[place + 1 :] = 0
    last = point - 1
    above = number[last // _WIDTH] >> (last % _WIDTH) & 1
    if above:  # r = fraction − 1
        carry = 1
        for i in range(place + 1):
            digit = (_MASK - number[i]) + carry
            number[i], carry = digit & _MASK, digit >> _WIDTH
        number[place] &= (1 << bit) - 1
    top = place
    while top > 0 and number[top] == 0:
        top -= 1
    high, low, unit = 0.0, 0.0, 1.0
    for i in range(top, max(top - 6, -1), -1):
        term = float(number[i]) * unit
        total = high + term
        low += term - (total - high)
        high = total
        unit *= 2.0**-_WIDTH
    scale = power_of_two(float(_WIDTH * top - point)) * (-1.0 if above else 1.0)
    r = product(_HALF_PI, fast_two_sum(high * scale, low * scale))
    return quarters + above, r.high, r.low


@scalar
def angle(omega: Scaled, x: Scaled) -> Angle:
    """ω·x for mantissas between 1/2 and 1."""
    exact = two_product(omega.high, x.high)
    exponent = omega.exponent + x.exponent
    unit = power_of_two(max(min(exponent, 1000.0), -1000.0))
    p, e = exact.high * unit, exact.low * unit
    k = nearest(p * (2 / math.pi)) if exponent <= 20 else 0.0
    r = two_sum(p - k * _PARTS[0], -k * _PARTS[1])
    high, low = r.high, r.low
    r = two_sum(high, e)
    high, low = r.high, low + r.low
    r = two_sum(high, -k * _PARTS[2])
    high, low = r.high, low + (r.low - k * _PARTS[3])
    quarters = int(k) & 3
    if exponent > 20:
        sign = math.copysign(1.0, exact.high)
        turns, high, low = _reduced(abs(omega.high), abs(x.high), int(exponent))
        quarters = (turns if sign > 0 else -turns) & 3
        high, low = sign * high, sign * low
    z = two_product(high, high)
    sine = fast_two_sum(high, low - low * z.high / 2 + high * z.high * polynomial(z.high, _SINE))
    rest = high * low + 0.5 * z.low + z.high * z.high * polynomial(z.high, _COSINE)
    versine = fast_two_sum(0.5 * z.high, rest)
    tiny = exponent < -400
    theta = Scaled(exact.high, exact.low, exponent)
    return Angle(
        quarters,
        choose(tiny, theta, unscaled(sine)),
        choose(tiny, times_power(times(theta, theta), -1.0), unscaled(versine)),
    )


@scalar
def sine_of(a: Angle, turn: int) -> Scaled:
    """sin(θ + turn·π/2)."""
    quarters = (a.quarters + turn) & 3
    cosine = plus(exactly(1.0), negative(a.versine))
    return signed(choose(quarters & 1 == 1, cosine, a.sine), 1.0 if quarters < 2 else -1.0)


@scalar
def versine_of(a: Angle, turn: int) -> Scaled:
    """1 − cos(θ + turn·π/2), which keeps its digits where it touches zero."""
    quarters = (a.quarters + turn) & 3
    odd = quarters & 1 == 1
    base = 1.0 if odd else 2.0 if quarters == 2 else 0.0
    term = choose(odd, a.sine, a.versine)
    # 1 − cos(r + q·π/2) is v, 1 + sin r, 2 − v, 1 − sin r.
    return plus(exactly(base), signed(term, 1.0 if quarters < 2 else -1.0))
