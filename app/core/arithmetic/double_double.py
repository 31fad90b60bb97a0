"""Scalar arithmetic with twice a double's digits, for kernels that are compiled into loops (see `loops`).

A `DoubleDouble` is an unevaluated sum high + low with |low| at most half a unit in high's last place or so.
In a compiled loop it stays in registers, so that the digits a plain formula would lose cost less than one
more pass over memory. Nothing here calls the C library: LLVM turns a loop over such functions into vector
instructions, and every processor gives the same bits.

Where a bound is given, it is relative to the result.

A function may be told that numbers are ordinary (see `scaled`), and more: that a rough answer is enough, one
whose high part alone counts, right to 2⁻⁴³ or more. `loops` says where that is enough.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final, NamedTuple, ParamSpec, TypeVar

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

P = ParamSpec("P")
R = TypeVar("R")


def scalar(function: Callable[P, R]) -> Callable[P, R]:
    """``function`` of numbers, for use in other such functions and in kernels, where it is inlined.

    Without the wrappers, Python cannot call it, and it takes half the time to compile.
    """
    inlined: Callable[P, R] = njit(  # type: ignore[call-overload]  # numba's types lack the wrappers' options
        function, error_model="numpy", forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True
    )
    return inlined


class DoubleDouble(NamedTuple):
    """high + low."""

    high: float
    low: float


def constant(number: str | Fraction) -> DoubleDouble:
    """A constant, decimal or rational, as its nearest double and what that leaves."""
    exact = Fraction(number)
    high = float(exact)
    return DoubleDouble(high, float(exact - Fraction(high)))


class Scaled(NamedTuple):
    """(high + low)·2^exponent, high between 1/√2 and √2; the exponent is whole."""

    high: float
    low: float
    exponent: float


def _fma(_context: Any, _a: Any, _b: Any, _c: Any) -> Any:
    def emit(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return types.float64(types.float64, types.float64, types.float64), emit


fma: Callable[[float, float, float], float] = intrinsic(_fma)  # type: ignore[assignment]  # it is typed as _fma
"""a·b + c, rounded once."""


def _ldexp(_context: Any, _a: Any, _k: Any) -> Any:
    def emit(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        number, whole = ir.DoubleType(), ir.IntType(32)
        declared = ir.FunctionType(number, [number, whole])
        function = builder.module.declare_intrinsic("llvm.ldexp", [number, whole], declared)
        a, k = arguments
        return builder.call(function, [a, builder.fptosi(k, whole)])

    return types.float64(types.float64, types.float64), emit


ldexp: Callable[[float, float], float] = intrinsic(_ldexp)  # type: ignore[assignment]  # as above
"""a·2^k, rounded once, for a whole |k| < 2³¹. Slow, but where `has_ldexp`."""


def _has_ldexp(_context: Any) -> Any:
    def emit(context: Any, _builder: Any, _signature: Any, _arguments: Any) -> Any:
        _, _, features = context.codegen().magic_tuple()
        return ir.IntType(1)(int("+avx512vl" in features))

    return types.boolean(), emit


has_ldexp: Callable[[], bool] = intrinsic(_has_ldexp)  # type: ignore[assignment]  # as above
"""Whether the processor that is compiled for has `ldexp` as a vector instruction, as AVX-512 does."""


LARGEST = sys.float_info.max
"""The largest finite number."""

_ROUNDER = 1.5 * 2.0**52
"""Adding this puts a number's nearest integer into the last bits, and subtracting it again gives that."""

_LOG2_E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
"""ln 2 in two parts (fdlibm, e_exp.c): multiples of the first up to 2²⁰ are exact."""

_LN2 = 0.6931471805599453, 2.3190468138462996e-17
"""ln 2 as a pair (fdlibm's constants, added and rounded)."""


ROUGH: Final = 2
"""Said for ``ordinary``, which else is true or false: numbers are ordinary, and a rough answer is enough."""

_ROUGH_EXP_SERIES = (
    2.756207449861834e-07,
    2.7630138654276253e-06,
    2.480166691791836e-05,
    0.00019841197216156775,
    0.0013888888802489996,
    0.008333333361663075,
    0.04166666666690218,
    0.16666666666632907,
)
"""e^r = 1 + r + r²/2 + r³·(…): for |r| ≤ ln 2 / 2 the best of this degree (Remez), e^r − 1 to 2⁻⁴⁹."""

_ROUGH_LOG1P_SERIES = (
    -0.00021467292472338888,
    0.001944272939316133,
    -0.008294420592985305,
    0.022414501759966253,
    -0.0438333024163989,
    0.06780284954867394,
    -0.0893893968447309,
    0.10737295482784526,
    -0.12401302152017064,
    0.1426673241147107,
    -0.1666410734703877,
    0.19999771050087414,
    -0.2499998751377105,
    0.33333332973447505,
    -0.49999999995878464,
    0.9999999999999213,
)
"""ln(1 + y) = y·(…): for 0 ≤ y ≤ 1 the best of this degree, to 2⁻⁴³."""


@scalar
def nearest(x: float) -> float:
    """The integer nearest to x, |x| < 2⁵¹; of two, the even one."""
    return (x + _ROUNDER) - _ROUNDER


@scalar
def power_of_two(k: float) -> float:
    """2^k for a whole −1022 ≤ k ≤ 1023."""
    bits = np.float64(k + (_ROUNDER + 1023.0)).view(np.int64) << 52
    return float(np.int64(bits).view(np.float64))


@scalar
def at_least(x: float, bound: float) -> float:
    """The larger of the two; NaN where x is NaN."""
    return bound if x < bound else x  # noqa: FURB136 - compiled, max and min lose NaN


@scalar
def at_most(x: float, bound: float) -> float:
    """The smaller of the two; NaN where x is NaN."""
    return bound if x > bound else x  # noqa: FURB136


@scalar
def scaled(value: float, k: float) -> float:
    """value·2^k for a whole k, which may end beyond the normal numbers.

    Without an instruction for it, in steps. Beyond ±3000 k counts as that: no double is left of the value.
    """
    if has_ldexp():
        return ldexp(value, k)
    k = at_most(at_least(k, -3000.0), 3000.0)
    third = nearest(k * (1 / 3))
    step = power_of_two(third)
    return value * step * step * power_of_two(k - 2 * third)


@scalar
def fast_two_sum(a: float, b: float) -> DoubleDouble:
    """a + b exactly, for |a| ≥ |b| or a = 0 (Dekker 1971, §4)."""
    high = a + b
    return DoubleDouble(high, b - (high - a))


@scalar
def two_sum(a: float, b: float) -> DoubleDouble:
    """a + b exactly (Knuth, TAOCP 2, 4.2.2)."""
    high = a + b
    part = high - a
    return DoubleDouble(high, (a - (high - part)) + (b - part))


@scalar
def two_product(a: float, b: float) -> DoubleDouble:
    """a·b exactly, but for under- and overflow."""
    high = a * b
    return DoubleDouble(high, fma(a, b, -high))


@scalar
def add_double(a: DoubleDouble, b: float) -> DoubleDouble:
    """a + b to 2⁻¹⁰⁴ of the larger."""
    head = two_sum(a.high, b)
    return fast_two_sum(head.high, head.low + a.low)


@scalar
def add(a: DoubleDouble, b: DoubleDouble) -> DoubleDouble:
    """a + b to 2⁻¹⁰³ of the larger."""
    head = two_sum(a.high, b.high)
    return fast_two_sum(head.high, head.low + (a.low + b.low))


@scalar
def product(a: DoubleDouble, b: DoubleDouble) -> DoubleDouble:
    """a·b to 2⁻¹⁰²."""
    head = two_product(a.high, b.high)
    return fast_two_sum(head.high, head.low + (a.high * b.low + a.low * b.high))


@scalar
def product_unnormalised(a: DoubleDouble, b: DoubleDouble) -> DoubleDouble:
    """a·b to 2⁻¹⁰⁰. Like `inverse` it is not normalised: the low part may be some units in high's last place.

    Lange, Rump, Faithfully Rounded Floating-point Computations, 2020.
    """
    high = a.high * b.high
    return DoubleDouble(high, fma(a.high, b.low, fma(a.low, b.high, fma(a.high, b.high, -high))))


@scalar
def square_unnormalised(a: DoubleDouble) -> DoubleDouble:
    """a² to 2⁻¹⁰⁰, not normalised."""
    high = a.high * a.high
    return DoubleDouble(high, fma(2 * a.high, a.low, fma(a.high, a.high, -high)))


@scalar
def times_double(a: DoubleDouble, b: float) -> DoubleDouble:
    """a·b to 2⁻¹⁰⁰, not normalised."""
    high = a.high * b
    return DoubleDouble(high, fma(a.low, b, fma(a.high, b, -high)))


@scalar
def inverse_unnormalised(a: DoubleDouble) -> DoubleDouble:
    """1/a to 2⁻¹⁰⁰, not normalised."""
    high = 1 / a.high
    return DoubleDouble(high, high * fma(-high, a.low, fma(-high, a.high, 1.0)))


@scalar
def inverse_of_sum(a: float, b: DoubleDouble) -> DoubleDouble:
    """1/(a + b) to 2⁻¹⁰⁰ for a ≥ |b|, not normalised."""
    head = fast_two_sum(a, b.high)
    return inverse_unnormalised(DoubleDouble(head.high, head.low + b.low))


@scalar
def multiple(factor: float, a: DoubleDouble) -> DoubleDouble:
    """factor·a for a power of two, or one with its sign changed."""
    return DoubleDouble(factor * a.high, factor * a.low)


@scalar
def beside_one(a: DoubleDouble, exponent: float) -> DoubleDouble:
    """a·2^exponent, to be added to 1: what is below 2⁻¹⁰⁰⁰ counts as that."""
    return multiple(power_of_two(at_least(exponent, -1000.0)), a)


@scalar
def rounded_product(a: DoubleDouble, b: DoubleDouble) -> float:
    """a·b, rounded once."""
    return fma(a.high, b.high, fma(a.high, b.low, a.low * b.high))


@scalar
def quotient(a: DoubleDouble, b: DoubleDouble) -> DoubleDouble:
    """a/b to 2⁻¹⁰⁰: a first quotient, and what its remainder adds."""
    inverse = 1.0 / b.high
    head = a.high * inverse
    rest = fma(-head, b.high, a.high) + (a.low - head * b.low)
    return fast_two_sum(head, rest * inverse)


_EXP_SERIES = tuple(1 / math.factorial(n) for n in range(14, 2, -1))
"""From r³ on: for |r| ≤ ln 2 / 2 the first term left out is below 2⁻⁶⁰."""

_ARTANH_SERIES = tuple(2 / n for n in range(25, 1, -2))
"""2 artanh s = 2s + s·z·(2/3 + 2z/5 + …), z = s²: for |s| ≤ 1/5 the first term left out is below 2⁻⁶⁰."""


@scalar
def square_root(a: DoubleDouble) -> DoubleDouble:
    """√a to 2⁻¹⁰³, for a > 0, not normalised. Its inverse shares the division."""
    root = math.sqrt(a.high)
    inverse = 1 / root
    return DoubleDouble(root, (fma(-root, root, a.high) + a.low) * (0.5 * inverse))


@scalar
def polynomial(x: float, coefficients: tuple[float, ...]) -> float:
    """Σ cₙ xⁿ, an even number of coefficients from the highest power down.

    Odd and even powers apart, by Horner in x²: neither chain waits for the other.
    """
    square = x * x
    odd, even = coefficients[0], coefficients[1]
    for coefficient in coefficients[2::2]:
        odd = fma(odd, square, coefficient)
    for coefficient in coefficients[3::2]:
        even = fma(even, square, coefficient)
    return fma(odd, x, even)


FARTHEST = 2200.0
"""e^−2200 is below 2⁻³¹⁷³: nothing, even times two of the largest doubles."""


@scalar
def _reduced(x: float, low: float, ordinary: int) -> tuple[float, float, float]:
    """r, what its rounding left, and the whole k, where x + low = k·ln 2 + r and |r| ≤ ln 2 / 2.

    Beyond ±2200, where no ``ordinary`` x lies, x counts as ±2200 and ``low`` as 0.
    """
    if not ordinary:
        given, x = x, at_most(at_least(x, -FARTHEST), FARTHEST)
        low = low if x == given else 0.0
    k = nearest(x * _LOG2_E)
    coarse = x - k * _LN2_HIGH  # exact: the product by its factors' bits, the difference by their nearness
    r, rest = fast_two_sum(coarse, -k * _LN2_LOW)
    return r, rest + low, k


@scalar
def _rough_exponential(x: float) -> tuple[float, Any]:
    """m and k's bits with e^x = 2^k·(1 + m), m to 2⁻⁴⁸, and 2⁻⁵⁵ for each unit of k, for |x| ≤ 700.

    The bits stand where a double has its exponent.
    """
    shifted = fma(x, _LOG2_E, _ROUNDER)
    k = shifted - _ROUNDER
    r = fma(-k, _LN2[0], x)
    bits = np.int64(np.float64(shifted).view(np.int64) << 52)
    bend = fma(r, polynomial(r, _ROUGH_EXP_SERIES), 0.5)
    return fma(r * r, bend, r), bits


@scalar
def _with_bits(a: float, bits: Any) -> float:
    """a·2^k for a normal number, by k's bits alone."""
    return float(np.int64(np.float64(a).view(np.int64) + bits).view(np.float64))


@scalar
def exp_scaled(x: float, low: float = 0.0, ordinary: int = False) -> Scaled:
    """e^(x + low) to 2⁻⁵⁶, where |low| is at most an ulp or so of x; not normalised.

    Beyond ±2200 it is e^±2200, whatever ``low``: no product of that with doubles is an ordinary number. For
    an ``ordinary`` x, |x| ≤ 512, the result's exponent is 0.
    """
    if ordinary == ROUGH:
        m, bits = _rough_exponential(x)
        return Scaled(_with_bits(1.0 + m, bits), 0.0, 0.0)
    r, rest, k = _reduced(x, low, ordinary)
    # 1 + r + (r²/2 + …): the last, which is rounded, is at most a thirteenth of the whole.
    bend = fma(0.5 * r, r, r * (r * r) * polynomial(r, _EXP_SERIES))
    line = fast_two_sum(1.0, r)
    head = fast_two_sum(line.high, bend)
    mantissa = DoubleDouble(head.high, fma(head.high, rest, head.low + line.low))
    if ordinary:
        unit = power_of_two(k)
        return Scaled(mantissa.high * unit, mantissa.low * unit, 0.0)
    return Scaled(mantissa.high, mantissa.low, k)


@scalar
def exp(x: float, low: float = 0.0) -> DoubleDouble:
    """e^(x + low) to 2⁻⁵⁶, not normalised; `exp_scaled` keeps digits where this is no normal number."""
    e = exp_scaled(x, low)
    return DoubleDouble(scaled(e.high, e.exponent), scaled(e.low, e.exponent))


@scalar
def _expm1_near_zero(r: float, rest: float) -> DoubleDouble:
    """e^(r + rest) − 1 to 2⁻⁵⁶ for |r| ≤ ln 2 / 2, not normalised."""
    square = two_product(r, r)
    cubic = r * square.high * polynomial(r, _EXP_SERIES)
    curve = fast_two_sum(r, 0.5 * square.high)
    rest = 0.5 * square.low + (cubic + rest * (1 + (curve.high + cubic)))
    return fast_two_sum(curve.high, curve.low + rest)


@scalar
def _with_multiple(whole: DoubleDouble, scale: float, m: DoubleDouble) -> DoubleDouble:
    """whole + scale·m, for whole = 2^k − 1, scale = 2^k and an m from `_expm1_near_zero`.

    The larger comes first: |2^k − 1| ≥ 2^k·|m|, or k is 0.
    """
    head = fast_two_sum(whole.high, scale * m.high)
    return DoubleDouble(head.high, head.low + (whole.low + scale * m.low))


@scalar
def expm1(x: float, low: float = 0.0, ordinary: int = False) -> DoubleDouble:
    """e^(x + low) − 1 to 2⁻⁵⁶, for x ≤ 700, not normalised; ``ordinary`` as in `exp_scaled`."""
    if ordinary == ROUGH:
        change, bits = _rough_exponential(x)
        unit = _with_bits(1.0, bits)
        return DoubleDouble(fma(unit, change, unit - 1.0), 0.0)
    r, rest, k = _reduced(x, low, ordinary)
    m = _expm1_near_zero(r, rest)
    scale = power_of_two(at_least(k, -200.0))  # e^x is below 2⁻²⁰⁰: lost beside the 1 anyway
    return _with_multiple(two_sum(scale, -1.0), scale, m)


@scalar
def exp_and_expm1(x: float, low: float = 0.0, ordinary: int = False) -> tuple[Scaled, DoubleDouble]:
    """`exp_scaled` and `expm1` for x ≤ 0, from one series."""
    if ordinary == ROUGH:
        return exp_scaled(x, low, ordinary), expm1(x, low, ordinary)
    r, rest, k = _reduced(x, low, ordinary)
    m = _expm1_near_zero(r, rest)
    head = fast_two_sum(1.0, m.high)
    e = DoubleDouble(head.high, head.low + m.low)
    scale = power_of_two(k if ordinary else at_least(k, -200.0))  # as in `expm1`
    less = _with_multiple(fast_two_sum(-1.0, scale), scale, m)
    if ordinary:
        return Scaled(e.high * scale, e.low * scale, 0.0), less
    return Scaled(e.high, e.low, k), less


@scalar
def log1p(y: DoubleDouble, ordinary: int = False) -> DoubleDouble:
    """ln(1 + y) to 2⁻⁵⁷, for 0 ≤ y ≤ 1, not normalised.

    With s = (y − j)/(y + 2 + j) it is 2·artanh s + j·ln 2, where j is 0 or 1: |s| ≤ 1/5.
    """
    if ordinary == ROUGH:
        return DoubleDouble(y.high * polynomial(y.high, _ROUGH_LOG1P_SERIES), 0.0)
    j = 1.0 if y.high > 0.5 else 0.0
    raw = product_unnormalised(fast_two_sum(y.high - j, y.low), inverse_of_sum(2.0 + j, y))
    s = fast_two_sum(raw.high, raw.low)
    z = s.high * s.high
    rest = fast_two_sum(2 * s.high, 2 * s.low + s.high * z * polynomial(z, _ARTANH_SERIES))
    head = fast_two_sum(j * _LN2[0], rest.high)
    return DoubleDouble(head.high, head.low + (j * _LN2[1] + rest.low))
