"""Ball arithmetic: numbers with a proved bound, and power series of them, which hold all derivatives.

A ball is a midpoint and a radius; what is computed from balls is a ball that holds the exact answer
(Johansson 2017, "Arb: efficient arbitrary-precision midpoint-radius interval arithmetic"). Here are the
functions of the formula language over balls (``BALL``) and over truncated power series of balls
(``SERIES``), each written so that it keeps its relative precision in the tails and near zero.

Balls round to the precision that `precision` sets. A result that is not certainly a real number is a ball
that is not finite, and a comparison that overlapping balls do not decide raises `Undecided`.
"""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

from flint import arb, arb_series, ctx, fmpq

from app.core.arithmetic.roots import falling_root

MOST_TERMS = 10
"""Terms of a series that flint keeps by itself: orders 0 to 9."""

_lock = threading.RLock()


class Undecided(ArithmeticError):
    """The balls are too wide to say which of two numbers is the larger."""


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Balls of so many bits. The setting is the process's, so that one thread at a time has it."""
    with _lock:
        before = ctx.prec, ctx.cap
        ctx.prec, ctx.cap = bits, MOST_TERMS
        try:
            yield
        finally:
            ctx.prec, ctx.cap = before


def ball(value: Fraction | float) -> arb:
    """A number as a ball: exact for a float, an enclosure at the current precision for a fraction."""
    if isinstance(value, Fraction):
        return arb(fmpq(value.numerator, value.denominator))
    return arb(value)


# Comparisons


def _constant(value: Any) -> Any:
    """The value of a series at its point."""
    return value[0] if isinstance(value, arb_series) else value


def _compared(
    relation: Callable[[Any, Any], Any], opposite: Callable[[Any, Any], Any]
) -> Callable[[Any, Any], bool]:
    def compare(a: Any, b: Any) -> bool:
        a, b = _constant(a), _constant(b)
        if relation(a, b):
            return True
        if opposite(a, b):
            return False
        raise Undecided

    return compare


def _equal(a: Any, b: Any) -> bool:
    a, b = _constant(a), _constant(b)
    if a < b or a > b:
        return False
    if a.is_exact() and b.is_exact():
        return True
    raise Undecided


COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": _compared(operator.lt, operator.ge),
    "<=": _compared(operator.le, operator.gt),
    ">": _compared(operator.gt, operator.le),
    ">=": _compared(operator.ge, operator.lt),
    "==": _equal,
    "!=": lambda a, b: not _equal(a, b),
}
"""The comparisons, of balls or of series at their points."""


def _untied(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def untied(a: Any, b: Any) -> bool:
        if (isinstance(a, arb_series) or isinstance(b, arb_series)) and _constant(a) == _constant(b):
            raise Undecided
        return compare(a, b)

    return untied


UNTIED = {op: _untied(compare) for op, compare in COMPARE.items()}
"""The same, but ties of series raise `Undecided`: beside the point another branch may hold."""


def _choosing(compare: Mapping[str, Callable[[Any, Any], bool]]) -> dict[str, Callable[..., Any]]:
    """The functions that choose between branches, of series too; of equal arguments they take the first."""
    less, more = compare["<"], compare[">"]

    def maximum(first: Any, *others: Any) -> Any:
        for each in others:
            first = each if less(first, each) else first
        return first

    def minimum(first: Any, *others: Any) -> Any:
        for each in others:
            first = each if more(first, each) else first
        return first

    def sign(u: Any) -> arb:
        return arb(int(more(u, 0)) - int(less(u, 0)))

    return {"sign": sign, "min": minimum, "max": maximum}


# Balls


def _softplus(u: arb) -> arb:
    return u + (-u).exp().log1p() if u > 0 else u.exp().log1p()


def _log(base: int) -> Callable[[Any], Any]:
    return lambda u: u.log() / arb(base).log()


def _sigmoid(u: arb) -> arb:
    if u < 0:
        e = u.exp()
        return e / (1 + e)
    return 1 / (1 + (-u).exp())


def power(base: Any, exponent: Any) -> Any:
    """base^exponent; a negative base takes whole exponents."""
    if isinstance(exponent, arb_series):
        return (exponent * _series_of(base, exponent).log()).exp()
    if not isinstance(base, arb_series):
        return base**exponent
    whole = exponent.unique_fmpz() if exponent.is_exact() else None
    if whole is not None:
        return base ** int(whole) if whole >= 0 else 1 / base ** int(-whole)
    twice = (2 * exponent).unique_fmpz() if exponent.is_exact() else None
    if twice is not None:
        return power(base.sqrt(), arb(twice))
    return (exponent * base.log()).exp()


def enclosed_root(falling: Callable[[Any], Any], low: Any, high: Any) -> Any:
    """Where a falling function is 0: a ball at whose ends its signs are proved."""
    near = falling_root(lambda at: falling(at).mid(), low, high).mid()
    for lost in range(8, ctx.prec, 8):
        room = abs(near) * arb(2) ** (lost - ctx.prec)
        left, right = (near - room).mid(), (near + room).mid()
        if falling(left) > 0 and falling(right) < 0:
            return left.union(right)
    raise Undecided


BALL: Mapping[str, Callable[..., Any]] = {
    "neg": operator.neg,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": power,
    "exp": arb.exp,
    "expm1": arb.expm1,
    "log": arb.log,
    "log1p": arb.log1p,
    "log2": _log(2),
    "log10": _log(10),
    "sqrt": arb.sqrt,
    "abs": abs,
    "sinh": arb.sinh,
    "cosh": arb.cosh,
    "tanh": arb.tanh,
    "sech": arb.sech,
    "asinh": arb.asinh,
    "acosh": arb.acosh,
    "atanh": arb.atanh,
    "sin": arb.sin,
    "cos": arb.cos,
    "tan": arb.tan,
    "asin": arb.asin,
    "acos": arb.acos,
    "atan": arb.atan,
    "erf": arb.erf,
    "erfc": arb.erfc,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "Phi": lambda u: (-u * (arb(1) / 2).sqrt()).erfc() / 2,
    "phi": lambda u: (-u * u / 2).exp() / (2 * arb.pi()).sqrt(),
    **_choosing(COMPARE),
    "root": enclosed_root,
}
"""The functions and operations of the formula language over balls."""


# Series


def _series_of(value: Any, like: arb_series) -> arb_series:
    return value if isinstance(value, arb_series) else arb_series([value], like.prec)


def _with_constant(series: arb_series, constant: arb) -> arb_series:
    """``series``, changed in place, with a tighter ball for the value at its point."""
    series[0] = constant
    return series


def _series_expm1(u: arb_series) -> arb_series:
    return _with_constant(u.exp(), u[0].expm1())


def _series_log1p(u: arb_series) -> arb_series:
    return _with_constant((1 + u).log(), u[0].log1p())


def _positive(u: arb_series) -> bool:
    """Whether the value at the point is certainly positive; it only chooses between forms that both hold."""
    return bool(u[0] > 0)


def _series_tanh(u: arb_series) -> arb_series:
    if _positive(u):
        m = _series_expm1(-2 * u)
        return -m / (m + 2)
    m = _series_expm1(2 * u)
    return m / (m + 2)


def _series_sigmoid(u: arb_series) -> arb_series:
    if _positive(u):
        return 1 / (1 + (-u).exp())
    e = u.exp()
    return e / (1 + e)


def _series_softplus(u: arb_series) -> arb_series:
    return u + _series_log1p((-u).exp()) if _positive(u) else _series_log1p(u.exp())


def _series_sinh(u: arb_series) -> arb_series:
    m = _series_expm1(u)
    return (m + m / (m + 1)) / 2


def _series_sech(u: arb_series) -> arb_series:
    e = (-u).exp() if _positive(u) else u.exp()
    return 2 * e / (1 + e * e)


def _series_asinh(u: arb_series) -> arb_series:
    square = u * u
    size = -u if u[0] < 0 else u
    value = _series_log1p(size + square / (1 + (1 + square).sqrt()))
    return -value if u[0] < 0 else value


def _quotient(a: Any, b: Any) -> Any:
    """a/b; where both are zero no limit is taken, unlike in flint."""
    if isinstance(b, arb_series) and b[0].is_zero():
        raise Undecided
    return a / b


_OVER_SERIES: Mapping[str, Callable[[Any], Any]] = {
    "exp": arb_series.exp,
    "expm1": _series_expm1,
    "log": arb_series.log,
    "log1p": _series_log1p,
    "log2": _log(2),
    "log10": _log(10),
    "sqrt": arb_series.sqrt,
    "sinh": _series_sinh,
    "cosh": lambda u: (u.exp() + (-u).exp()) / 2,
    "tanh": _series_tanh,
    "sech": _series_sech,
    "asinh": _series_asinh,
    "acosh": lambda u: (u + (u * u - 1).sqrt()).log(),
    "atanh": lambda u: _series_log1p(2 * u / (1 - u)) / 2,
    "sin": arb_series.sin,
    "cos": arb_series.cos,
    "tan": arb_series.tan,
    "asin": arb_series.asin,
    "acos": arb_series.acos,
    "atan": arb_series.atan,
    "erf": arb_series.erf,
    "erfc": arb_series.erfc,
    "sigmoid": _series_sigmoid,
    "softplus": _series_softplus,
    "Phi": lambda u: (-u * (arb(1) / 2).sqrt()).erfc() / 2,
    "phi": lambda u: (-u * u / 2).exp() / (2 * arb.pi()).sqrt(),
}


def _over_either(name: str) -> Callable[[Any], Any]:
    """The function over series, or over a ball, where a sign or a branch of a condition is constant.

    flint's methods of series take any argument for a series.
    """
    over_series, over_balls = _OVER_SERIES[name], BALL[name]
    return lambda u: over_series(u) if isinstance(u, arb_series) else over_balls(u)


SERIES: Mapping[str, Callable[..., Any]] = {
    **{op: BALL[op] for op in ("neg", "+", "-", "*", "**", "sign", "min", "max")},
    "/": _quotient,
    "abs": lambda u: u * BALL["sign"](u) if isinstance(u, arb_series) else abs(u),
    **{name: _over_either(name) for name in _OVER_SERIES},
}
"""The same over series. A kink's slope is that of the branch that holds at the point."""

_UNTIED = _choosing(UNTIED)
UNTIED_SERIES: Mapping[str, Callable[..., Any]] = {
    **SERIES,
    **_UNTIED,
    "abs": lambda u: u * _UNTIED["sign"](u) if isinstance(u, arb_series) else abs(u),
}
"""The same, but ties raise `Undecided`."""
