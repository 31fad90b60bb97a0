"""Sums that are exact: Σ aᵢ·bᵢ in one long fixed-point number, rounded once at the end.

The number's digits have 32 bits and stand in 64-bit integers, so that carries wait until the sum is complete
(Kulisch, Computer Arithmetic and Validity, 2013, §8). It reaches from 2⁻⁶⁶⁵⁶ to 2⁵⁰⁰⁰: products of
doubles and of `Scaled` numbers, whatever their size. Infinities and NaNs follow IEEE arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, ParamSpec, TypeAlias, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

from app.core.arithmetic.double_double import LARGEST, Scaled, power_of_two, scalar, scaled, two_product
from app.core.arithmetic.scaled import apart

Digits: TypeAlias = NDArray[np.int64]

_BELOW: Final = 6656
"""Bits below the binary point."""

LENGTH: Final = 370
"""Digits of a sum; three more places hold the first and the last digit in use, and how many were added."""

_LOWEST, _HIGHEST, _COUNT = LENGTH, LENGTH + 1, LENGTH + 2
_MASK: Final = (1 << 32) - 1
_FRACTION: Final = (1 << 52) - 1
_ONE, _TWO = np.uint64(1), np.uint64(2)


def empty_sum() -> Digits:
    """Memory for one sum; `clear` it before use."""
    return np.zeros(LENGTH + 3, np.int64)


P = ParamSpec("P")
R = TypeVar("R")


def _function(python: Callable[P, R]) -> Callable[P, R]:
    """A compiled function that is not inlined, which would compile it again for each of its many uses."""
    made: Any = njit(python, error_model="numpy")
    return cast("Callable[P, R]", made)


@_function
def clear(digits: Digits) -> None:
    """The sum is 0."""
    for k in range(digits[_LOWEST], digits[_HIGHEST] + 1):
        digits[k] = 0
    digits[_LOWEST], digits[_HIGHEST], digits[_COUNT] = LENGTH, -1, 0


@scalar
def _add(digits: Digits, value: float, exponent: int) -> int:
    """Adds value·2^exponent, for a finite value; returns the first digit that it changed, or `LENGTH`."""
    bits = np.float64(value).view(np.int64)
    field = (bits >> 52) & 0x7FF
    whole = (bits & _FRACTION) | ((1 << 52) if field else 0)
    place = exponent + (field if field > 0 else 1) - 1075 + _BELOW
    if whole == 0 or place < 0:
        return LENGTH
    place = min(place, 32 * (LENGTH - 4))
    first, shift = np.uint64(place >> 5), place & 31
    low, high = (whole & _MASK) << shift, (whole >> 32) << shift
    sign = -1 if bits < 0 else 1
    digits[first] += sign * (low & _MASK)
    digits[first + _ONE] += sign * ((low >> 32) + (high & _MASK))
    digits[first + _TWO] += sign * (high >> 32)
    return int(place >> 5)


@scalar
def _end(first: int) -> int:
    """The last of the digits that `_add` changed, or −1."""
    return first + 2 if first < LENGTH else -1


@_function
def _carry(digits: Digits) -> None:
    """Digits from 0 to 2³² − 1 again, but for the highest, which has the sum's sign."""
    digits[_COUNT] = 0
    carry = 0
    for k in range(digits[_LOWEST], digits[_HIGHEST]):
        total = digits[k] + carry
        digits[k], carry = total & _MASK, total >> 32
    top = digits[_HIGHEST]
    if top < 0:
        return
    total = digits[top] + carry
    if total < -(1 << 31) or total > _MASK:
        digits[top], digits[top + 1] = total & _MASK, total >> 32
        digits[_HIGHEST] = top + 1
    else:
        digits[top] = total


@_function
def add_product(digits: Digits, a: Scaled, b: float) -> float:
    """Adds a·b exactly; what is not finite is returned instead, else 0."""
    if not (abs(a.high) <= LARGEST and abs(b) <= LARGEST):
        return a.high * b
    factor, high = apart(b), apart(a.high)
    head = two_product(high.high, factor.high)
    tail = two_product(scaled(a.low, -high.exponent), factor.high)
    exponent = int(a.exponent + high.exponent + factor.exponent)
    first, second = _add(digits, head.high, exponent), _add(digits, head.low, exponent)
    third, fourth = _add(digits, tail.high, exponent), _add(digits, tail.low, exponent)
    digits[_LOWEST] = min(digits[_LOWEST], first, second, third, fourth)
    digits[_HIGHEST] = max(digits[_HIGHEST], _end(first), _end(second), _end(third), _end(fourth))
    digits[_COUNT] += 4
    if digits[_COUNT] >= 1 << 28:
        _carry(digits)
    return 0.0


@_function
def _negate(digits: Digits) -> None:
    for k in range(digits[_LOWEST], digits[_HIGHEST] + 1):
        digits[k] = -digits[k]


@_function
def _leading(digits: Digits) -> tuple[int, int, int, bool]:
    """The sum's sign, its first 62 bits, the power of two that they count, and whether more follow.

    The digits are left those of the sum's magnitude.
    """
    _carry(digits)
    top = digits[_HIGHEST]
    negative = top >= 0 and digits[top] < 0
    if negative:
        _negate(digits)
        _carry(digits)
    while top >= 0 and digits[top] == 0:
        top -= 1
    if top < 0:
        return 1, 0, 0, False
    width = 0
    while digits[top] >> width:
        width += 1
    second = digits[top - 1] if top >= 1 else 0
    third = digits[top - 2] if top >= 2 else 0
    spare = 30 - width
    if spare >= 0:
        number = (digits[top] << (32 + spare)) | (second << spare) | (third >> (32 - spare))
        rest = third & ((1 << (32 - spare)) - 1)
    else:
        number = (digits[top] << (32 + spare)) | (second >> -spare)
        rest = (second & ((1 << -spare) - 1)) | third
    for k in range(digits[_LOWEST], top - 2):
        rest |= digits[k]
    return (-1 if negative else 1), number, 32 * top - (32 + spare) - _BELOW, rest != 0


@_function
def rounded_sum(digits: Digits, odd: bool) -> float:
    """The sum rounded to the nearest double, or to odd. The sum is spent: `clear` it."""
    sign, number, power, more = _leading(digits)
    if number == 0:
        return 0.0
    drop = max(9, -1074 - power)  # 53 of 62 bits stay, fewer of a subnormal number
    if drop > 62:
        kept, rest, half = 0, 1, 2
    else:
        kept, rest, half = number >> drop, number & ((1 << drop) - 1), 1 << (drop - 1)
    if odd:
        kept |= 1 if rest or more else 0
    elif rest > half or (rest == half and (more or kept & 1)):
        kept += 1
    return scaled(float(sign * kept), float(min(max(power + drop, -1100), 1100)))


@_function
def scaled_sum(digits: Digits) -> Scaled:
    """The sum as a `Scaled` number, right to 2⁻⁹⁴. The sum stays as it is."""
    sign, number, power, _ = _leading(digits)
    if number == 0:
        return Scaled(0.0, 0.0, 0.0)
    result = _with_rest(digits, sign, number, power)
    if sign < 0:
        _negate(digits)
    return result


@_function
def _with_rest(digits: Digits, sign: int, number: int, power: int) -> Scaled:
    """The 62 bits of a `_leading` number, and those below them."""
    below, shift = (power + _BELOW) >> 5, (power + _BELOW) & 31
    unit = power_of_two(float(-62 - shift))  # what digit ``below`` counts
    rest = float(digits[below] & ((1 << shift) - 1)) * unit if below >= 0 else 0.0
    if below >= 1:
        rest += float(digits[below - 1]) * unit * 2.0**-32
    high, low = float(number >> 9) * 2.0**-53, float(number & 511) * 2.0**-62
    return Scaled(sign * high, sign * (low + rest), float(power + 62))
