"""Power series that are a rational series plus a small ball: what decides ties, zeros and exact answers.

Plain balls show that x − tanh(x) lies above x − 1 at x = 10⁹ only with billions of bits. Here tanh(x) is
1 − b with a tiny ball b that does not contain 0, so the sum is (x − 1) + b and the tie is decided. The
rational part is exact, and where the formula is rational it is all there is.

Each function defines its own rational part: exp(c + r) = exp(r) + expm1(c)·exp(r) where c is small, and so
on; where it has none, the whole value is a ball.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from flint import arb, arb_series, fmpq, fmpq_series

from app.core.arithmetic.balls import SERIES, Undecided

_MOST_BITS = 60_000
"""Size of a rational coefficient; larger ones become balls."""

_MOST_FACTORS = 64
_NEAR = fmpq(1, 4)


class Undefined(ArithmeticError):
    """Certainly no real number: the logarithm of a negative number."""


class Singular(ArithmeticError):
    """Exactly at a pole, or where a derivative does not exist."""


class NearRational:
    """``exact`` + ``rest``, series of the same length; ``rest`` is None where there is none."""

    __slots__ = ("exact", "rest")

    def __init__(self, exact: fmpq_series, rest: arb_series | None = None) -> None:
        self.exact = exact
        self.rest = rest

    def __neg__(self) -> NearRational:
        return NearRational(-self.exact, None if self.rest is None else -self.rest)

    def __add__(self, other: NearRational) -> NearRational:
        return _made(self.exact + other.exact, _sum(self.rest, other.rest))

    def __sub__(self, other: NearRational) -> NearRational:
        if self is other:
            return NearRational(fmpq_series([], 1, self.exact.prec))
        return self + -other

    def __mul__(self, other: NearRational) -> NearRational:
        rest = None
        if other.rest is not None:
            rest = _balls(self.exact) * other.rest
        if self.rest is not None:
            rest = _sum(rest, self.rest * _balls(other.exact))
            if other.rest is not None:
                rest = _sum(rest, self.rest * other.rest)
        return _made(self.exact * other.exact, rest)

    def __truediv__(self, other: NearRational) -> NearRational:
        if other.exact[0] == 0:
            return self._over_ball(other)
        quotient = self.exact / other.exact
        if self.rest is None and other.rest is None:
            return _made(quotient, None)
        numerator = self.rest
        if other.rest is not None:
            numerator = _sum(numerator, -(_balls(quotient) * other.rest))
        assert numerator is not None
        denominator = other.whole
        if not denominator[0].is_finite() or denominator[0].contains(0):
            raise Undecided
        return _made(quotient, numerator / denominator)

    def _over_ball(self, other: NearRational) -> NearRational:
        if other.rest is None or other.rest[0].is_zero():
            raise Singular
        if other.rest[0].contains(0):
            raise Undecided
        return _ball_only(self.whole / other.whole)

    @property
    def whole(self) -> arb_series:
        """The sum, as a series of balls."""
        balls = _balls(self.exact)
        return balls if self.rest is None else balls + self.rest

    @property
    def sign(self) -> int:
        """The sign of the value at the point."""
        return self._sign_of(0)

    def sign_beside(self, side: int) -> int:
        """The sign just right (1) or left (−1) of the point; 0 where the series is 0."""
        signs = ((order, self._sign_of(order)) for order in range(self.exact.prec))
        return next((sign * side**order for order, sign in signs if sign), 0)

    def _sign_of(self, order: int) -> int:
        if self.rest is None or self.rest[order].is_zero():
            value = self.exact[order]
            return int(value > 0) - int(value < 0)
        ball = self.rest[order] if self.exact[order] == 0 else arb(self.exact[order]) + self.rest[order]
        if ball > 0:
            return 1
        if ball < 0:
            return -1
        raise Undecided

    @property
    def whole_number(self) -> Fraction | None:
        """Its value, where it is an exact constant."""
        if self.rest is not None or self.exact.length() > 1:
            return None
        return Fraction(int(self.exact[0].p), int(self.exact[0].q))


def rational(value: Fraction, terms: int) -> NearRational:
    """A constant."""
    return NearRational(fmpq_series([fmpq(value.numerator, value.denominator)], 1, terms))


def variable(value: float, terms: int) -> NearRational:
    """The variable at a point."""
    start = Fraction(value)
    coefficients = [fmpq(start.numerator, start.denominator), fmpq(1)]
    return NearRational(fmpq_series(coefficients[:terms], 1, terms))


def inexact(value: arb, terms: int) -> NearRational:
    """A constant that is no rational number."""
    return _ball_only(arb_series([value], terms))


def _balls(series: fmpq_series) -> arb_series:
    return arb_series(series)


def _sum(a: arb_series | None, b: arb_series | None) -> arb_series | None:
    if a is None:
        return b
    return a if b is None else a + b


def _ball_only(series: arb_series) -> NearRational:
    return NearRational(fmpq_series([], 1, series.prec), series)


def _made(exact: fmpq_series, rest: arb_series | None) -> NearRational:
    """The sum of both; an ``exact`` part whose coefficients are too large becomes a ball."""
    height = max((int(each.p).bit_length() + int(each.q).bit_length() for each in exact.coeffs()), default=0)
    if height <= _MOST_BITS:
        return NearRational(exact, rest)
    balls = _balls(exact)
    return _ball_only(balls if rest is None else balls + rest)


# Functions


def _around_zero(u: NearRational) -> tuple[fmpq_series, arb_series] | None:
    """r and c with u = r + c, r rational without a constant and c small balls; None where u is not near 0."""
    start = u.exact[0]
    if not -_NEAR < start < _NEAR:
        return None
    constant = arb_series([arb(start)], u.exact.prec)
    small = constant if u.rest is None else constant + u.rest
    if not abs(small[0]) < 1:
        return None
    return u.exact - fmpq_series([start], 1, u.exact.prec), small


def _plain(name: str) -> Callable[[NearRational], NearRational]:
    """The function over balls, with no rational part but at 0, where flint's rational series know it."""
    over_balls = SERIES[name]

    def function(u: NearRational) -> NearRational:
        at_zero = getattr(u.exact, name, None)
        if u.rest is None and u.exact[0] == 0 and at_zero is not None:
            return NearRational(at_zero())
        value = over_balls(u.whole)
        return _ball_only(value)

    return function


def _within(name: str, low: int | None, high: int | None) -> Callable[[NearRational], NearRational]:
    """The function over balls, defined from ``low`` to ``high``, with no slope at these ends."""
    plain = _plain(name)

    def function(u: NearRational) -> NearRational:
        room = [u - _constant(low, u)] if low is not None else []
        room += [_constant(high, u) - u] if high is not None else []
        signs = [each.sign for each in room]
        if min(signs) < 0:
            raise Undefined
        if min(signs) == 0 and (name == "atanh" or u.exact.prec > 1):
            raise Singular
        return plain(u)

    return function


def _shifted(
    name: str, change: Callable[[arb_series, arb_series], arb_series]
) -> Callable[[NearRational], NearRational]:
    """f(r + c) = f(r) + change(r, c) near 0, with f(r) rational."""
    plain = _plain(name)

    def function(u: NearRational) -> NearRational:
        parts = _around_zero(u)
        if parts is None:
            return plain(u)
        r, c = parts
        exact = getattr(r, name)()
        if u.rest is None and u.exact[0] == 0:
            return NearRational(exact)
        return NearRational(exact, change(_balls(r), c))

    return function


def _tanh_change(r: arb_series, c: arb_series) -> arb_series:
    t: arb_series = SERIES["tanh"](r)
    s: arb_series = SERIES["tanh"](c)
    return s * (1 - t * t) / (1 + t * s)


_EXP = _shifted("exp", lambda r, c: SERIES["expm1"](c) * r.exp())
_TANH_NEAR = _shifted("tanh", _tanh_change)


def _constant(value: int, like: NearRational) -> NearRational:
    return rational(Fraction(value), like.exact.prec)


def _normed(series: fmpq_series) -> fmpq_series:
    """The series divided by its value at the point."""
    return series / fmpq_series([series[0]], 1, series.prec)


def _log(u: NearRational) -> NearRational:
    start = u.exact[0]
    if start <= 0:
        sign = u.sign
        if sign <= 0:
            raise Singular if sign == 0 else Undefined
        return _ball_only(u.whole.log())
    if u.rest is not None and u.sign < 0:
        raise Undefined
    exact = _normed(u.exact).log()
    rest = None
    if start != 1:
        # Near 1 the logarithm of 1 + d, which keeps its digits.
        rest = arb_series([arb(start - 1).log1p() if abs(start - 1) < 1 else arb(start).log()], u.exact.prec)
    if u.rest is not None:
        rest = _sum(rest, SERIES["log1p"](u.rest / _balls(u.exact)))
    return _made(exact, rest)


def _sqrt(u: NearRational) -> NearRational:
    sign = u.sign
    if sign < 0:
        raise Undefined
    if sign == 0:
        if u.exact.prec > 1:
            raise Singular
        return u
    start = u.exact[0]
    root = _exact_root(start)
    if root is None:
        return _ball_only(u.whole.sqrt())
    exact = _normed(u.exact).sqrt() * fmpq_series([root], 1, u.exact.prec)
    if u.rest is None:
        return _made(exact, None)
    return _made(exact, u.rest / (u.whole.sqrt() + _balls(exact)))


def _exact_root(value: fmpq) -> fmpq | None:
    if value <= 0:
        return None
    p, q = value.p.isqrt(), value.q.isqrt()
    return fmpq(p, q) if p * p == value.p and q * q == value.q else None


def _exp(u: NearRational) -> NearRational:
    return _EXP(u)


def _expm1(u: NearRational) -> NearRational:
    return _exp(u) - _constant(1, u)


def _log1p(u: NearRational) -> NearRational:
    return _log(u + _constant(1, u))


def _sigmoid(u: NearRational) -> NearRational:
    one = _constant(1, u)
    if u.sign < 0:
        e = _exp(u)
        return e / (one + e)
    return one / (one + _exp(-u))


def _softplus(u: NearRational) -> NearRational:
    one = _constant(1, u)
    return u + _log(one + _exp(-u)) if u.sign > 0 else _log(one + _exp(u))


def _tanh(u: NearRational) -> NearRational:
    if _around_zero(u) is not None:
        return _TANH_NEAR(u)
    one, two = _constant(1, u), _constant(2, u)
    if u.sign > 0:
        e = _exp(-two * u)
        return one - two * e / (one + e)
    e = _exp(two * u)
    return two * e / (one + e) - one


def _sech(u: NearRational) -> NearRational:
    return _constant(1, u) / _COSH(u)


def _erf(u: NearRational) -> NearRational:
    value = u.whole[0]
    if abs(value) < 1:
        return _plain("erf")(u) if u.sign else _odd_zero("erf", u)
    if value > 0:
        return _constant(1, u) - _ball_only(u.whole.erfc())
    return _ball_only((-u.whole).erfc()) - _constant(1, u)


def _odd_zero(name: str, u: NearRational) -> NearRational:
    """At exactly 0, where the value is 0 though its derivatives are not rational."""
    series = SERIES[name](u.whole)
    series[0] = arb(0)
    return _ball_only(series)


def _erfc(u: NearRational) -> NearRational:
    return _constant(1, u) - _erf(u) if u.whole[0] < 1 else _ball_only(u.whole.erfc())


def _normal_cdf(u: NearRational) -> NearRational:
    half = rational(Fraction(1, 2), u.exact.prec)
    root = inexact((arb(1) / 2).sqrt(), u.exact.prec)
    scaled = u * root
    if u.sign == 0:
        scaled = _ball_only(_pinned(scaled.whole))
    return half + half * _erf(scaled) if u.whole[0] > -1 else half * _erfc(-scaled)


def _pinned(series: arb_series) -> arb_series:
    series[0] = arb(0)
    return series


def _normal_density(u: NearRational) -> NearRational:
    return _exp(-(u * u) / _constant(2, u)) * inexact(1 / (2 * arb.pi()).sqrt(), u.exact.prec)


def _power(base: NearRational, exponent: NearRational) -> NearRational:
    known = exponent.whole_number
    if known is None or abs(known) > _MOST_FACTORS or known.denominator > 2:
        return _general_power(base, exponent, known)
    if known.denominator == 2:
        return _power(_sqrt(base), rational(2 * known, base.exact.prec))
    if known < 0:
        return _constant(1, base) / _power(base, -exponent)
    value = _constant(1, base)
    for _ in range(int(known)):
        value = value * base
    return value


def _general_power(base: NearRational, exponent: NearRational, known: Fraction | None) -> NearRational:
    if known is not None and known.denominator == 1:
        return _ball_only(SERIES["**"](base.whole, arb(int(known))))
    sign = base.sign
    if sign < 0:
        raise Undefined
    if sign == 0:
        if known is not None and known > 0 and base.exact.prec == 1:
            return base
        raise Singular
    return _exp(exponent * _log(base))


def _logarithm(base: int) -> Callable[[NearRational], NearRational]:
    def logarithm(u: NearRational) -> NearRational:
        return _log(u) / _log(_constant(base, u))

    return logarithm


_SINH = _shifted("sinh", lambda r, c: 2 * SERIES["cosh"](r + c / 2) * SERIES["sinh"](c / 2))
_COSH = _shifted("cosh", lambda r, c: 2 * SERIES["sinh"](r + c / 2) * SERIES["sinh"](c / 2))

NEAR_RATIONAL: Mapping[str, Callable[..., NearRational]] = {
    "neg": operator.neg,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": _power,
    "exp": _exp,
    "expm1": _expm1,
    "log": _log,
    "log1p": _log1p,
    "log2": _logarithm(2),
    "log10": _logarithm(10),
    "sqrt": _sqrt,
    "sinh": _SINH,
    "cosh": _COSH,
    "tanh": _tanh,
    "sech": _sech,
    "asinh": _plain("asinh"),
    "acosh": _within("acosh", 1, None),
    "atanh": _within("atanh", -1, 1),
    "sin": _shifted("sin", lambda r, c: 2 * (r + c / 2).cos() * (c / 2).sin()),
    "cos": _shifted("cos", lambda r, c: -2 * (r + c / 2).sin() * (c / 2).sin()),
    "tan": _plain("tan"),
    "asin": _within("asin", -1, 1),
    "acos": _within("acos", -1, 1),
    "atan": _plain("atan"),
    "erf": _erf,
    "erfc": _erfc,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "Phi": _normal_cdf,
    "phi": _normal_density,
}
"""The functions and operations of the formula language over these series, but for those that choose."""


@dataclass(frozen=True, eq=False)
class Choices:
    """The functions that choose between branches, and the comparisons."""

    functions: Mapping[str, Callable[..., NearRational]]
    compare: Mapping[str, Callable[[NearRational, NearRational], bool]]


def _choices(sign: Callable[[NearRational], int]) -> Choices:
    def signum(u: NearRational) -> NearRational:
        return _constant(sign(u), u)

    def compared(a: NearRational, b: NearRational) -> int:
        # A part of a formula, which is one object, equals itself at any precision.
        return 0 if a is b else sign(a - b)

    def maximum(first: NearRational, *others: NearRational) -> NearRational:
        for each in others:
            first = each if compared(each, first) > 0 else first
        return first

    def minimum(first: NearRational, *others: NearRational) -> NearRational:
        for each in others:
            first = each if compared(each, first) < 0 else first
        return first

    return Choices(
        {"sign": signum, "abs": lambda u: u * signum(u), "min": minimum, "max": maximum},
        {
            "<": lambda a, b: compared(a, b) < 0,
            "<=": lambda a, b: compared(a, b) <= 0,
            ">": lambda a, b: compared(a, b) > 0,
            ">=": lambda a, b: compared(a, b) >= 0,
            "==": lambda a, b: compared(a, b) == 0,
            "!=": lambda a, b: compared(a, b) != 0,
        },
    )


AT_THE_POINT = _choices(lambda u: u.sign)
BESIDE = _choices(lambda u: u.sign_beside(1)), _choices(lambda u: u.sign_beside(-1))
"""The choices just right and just left of the point."""
