"""Proved limits of a formula and its derivatives at infinity, from their transseries.

Near infinity a formula of exp, log, powers and related functions is a sum of terms c·m, where a monomial m is
exp(c₁m₁ + c₂m₂ + …) of larger monomials, down to iterated logarithms of x: x = exp(ℓ₁), ℓ₁ = log x =
exp(ℓ₂). Two monomials are compared by the sign of the leading term of the difference of their exponents.
Sums are truncated to `MOST_TERMS` terms, with a monomial that bounds the remainder. (van der Hoeven 2006,
"Transseries and Real Differential Algebra"; Gruntz 1996, "On Computing Limits in a Symbolic Manipulation
System".)

Coefficients are exact (`constants`), so that equal ones cancel; where the sign of one matters and cannot be
decided, the limit stays unknown. The sine of an infinite argument is O(1): bounded, unlike its derivative.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cmp_to_key, lru_cache, partial
from typing import Any, NamedTuple, TypeAlias, TypeVar

from flint import arb, arb_series, fmpq

from app.core.arithmetic.balls import SERIES, Undecided, precision
from app.core.arithmetic.rounding import Rounding
from app.core.formulas import constants
from app.core.formulas.closures import Arithmetic, function
from app.core.formulas.constants import Coefficient, as_ball, may_vanish, plus, sign, times
from app.core.formulas.tree import Tree, written_size
from app.core.formulas.vectorised import stable

MOST_TERMS = 4
"""Terms that are kept of a sum, and of a power series."""

MOST_WRITTEN = 600
"""Size of the largest formula (`written_size`) whose limits are sought."""

BITS = 256

Result = TypeVar("Result")


class NoLimit(ArithmeticError):
    """The formula is not real near infinity."""


class Monomial(NamedTuple):
    """exp(Σ coefficient · monomial), largest first; the number 1 where the sum is empty.

    ``atom`` is the depth of an iterated logarithm that is not written as an exponential: ℓ₃.
    """

    exponent: tuple[tuple[Coefficient, Monomial], ...] = ()
    atom: int = 0


class Sum(NamedTuple):
    """Σ coefficient · monomial, largest first, + O(``error``); exact where that is None."""

    terms: tuple[tuple[Coefficient, Monomial], ...]
    error: Monomial | None = None


ONE = Monomial()
_LOG3 = Monomial(atom=3)
_LOG2 = Monomial(((Fraction(1), _LOG3),))
_LOG1 = Monomial(((Fraction(1), _LOG2),))
_X = Monomial(((Fraction(1), _LOG1),))


def limits(
    root: Tree, numbers: Mapping[str, float], side: int, last: int, rounding: Rounding
) -> list[float | None]:
    """The limits of the derivatives 0 to ``last`` of ``root`` at ``side`` · ∞, rounded; None where unknown.

    NaN where it is proved not to be real near that infinity.
    """
    return list(_limits(root, tuple(sorted(numbers.items())), side, last, rounding))


@lru_cache(maxsize=512)
def _limits(
    root: Tree, numbers: tuple[tuple[str, float], ...], side: int, last: int, rounding: Rounding
) -> list[float | None]:
    if written_size(root) > MOST_WRITTEN:
        return [None] * (last + 1)
    at = partial(_at_infinity, root, dict(numbers), side)
    with precision(BITS):
        try:
            value = _known(at, _BOUNDED)
            found = [_known(_limit, value, rounding)]
            value = _known(at, _SMOOTH) if last else None
            for _ in range(last):
                value = _known(_derivative, value, side)
                found.append(_known(_limit, value, rounding))
        except NoLimit:
            return [float("nan")] * (last + 1)
    return found


def _known(find: Callable[..., Result], first: Any, *rest: Any) -> Result | None:
    """``find`` of ``first``; None where ``first`` is None or the result cannot be decided."""
    if first is None:
        return None
    try:
        return find(first, *rest)
    except NoLimit:
        raise
    except (ArithmeticError, ValueError):
        return None


def _at_infinity(root: Tree, numbers: Mapping[str, float], side: int, arithmetic: Arithmetic) -> Sum:
    given = {name: _constant(Fraction(value)) for name, value in numbers.items() if name != "x"}
    run = function(stable(root), arithmetic, ["x"], frozenset({"x"}), given)
    value: Sum = run([Sum(((Fraction(side), _X),))])
    return value


def _limit(value: Sum, rounding: Rounding) -> float:
    if value.terms and _order(value.terms[0][1], ONE) > 0:  # the error is smaller than any term
        return sign(value.terms[0][0]) * rounding.beyond
    if value.error is not None and _order(value.error, ONE) >= 0:
        raise Undecided
    if not value.terms:
        return 0.0
    coefficient, monomial = value.terms[0]
    size, side = _order(monomial, ONE), sign(coefficient)
    if size < 0:
        return side * 0.0
    exact = isinstance(coefficient, Fraction)
    whole = (
        fmpq(coefficient.numerator, coefficient.denominator) if isinstance(coefficient, Fraction) else fmpq(0)
    )
    decided = rounding.decided(whole, arb(0) if exact else as_ball(coefficient))
    if decided is None:
        raise Undecided
    return decided


# Monomials


def _order(a: Monomial, b: Monomial) -> int:
    """1 where a is the larger near infinity, −1 where b is, 0 where they are the same."""
    if a == b:
        return 0
    difference = _sum([*_logarithm(a), *_negative(_logarithm(b))])
    return sign(difference[0][0]) if difference else 0


_Terms: TypeAlias = Sequence[tuple[Coefficient, Monomial]]


def _logarithm(monomial: Monomial) -> _Terms:
    """log of a monomial, as terms; log ℓₖ of an iterated logarithm is the atom ℓₖ₊₁."""
    if monomial.atom:
        return ((Fraction(1), Monomial(atom=monomial.atom + 1)),)
    return monomial.exponent


def _negative(terms: _Terms) -> _Terms:
    return [(constants.negative(coefficient), monomial) for coefficient, monomial in terms]


def _sum(terms: _Terms) -> list[tuple[Coefficient, Monomial]]:
    """Like terms collected, largest first, zeros left out."""
    return [term for term in _joined(terms) if sign(term[0])]


def _joined(terms: _Terms) -> list[tuple[Coefficient, Monomial]]:
    joined: list[tuple[Coefficient, Monomial]] = []
    for coefficient, monomial in sorted(terms, key=_BY_SIZE, reverse=True):
        if joined and joined[-1][1] == monomial:
            joined[-1] = (plus(joined[-1][0], coefficient), monomial)
        else:
            joined.append((coefficient, monomial))
    return joined


def _compared(a: Monomial, b: Monomial) -> int:
    if a.atom and b.atom:
        return (a.atom < b.atom) - (a.atom > b.atom)
    return _order(a, b)


def _compared_terms(a: tuple[Coefficient, Monomial], b: tuple[Coefficient, Monomial]) -> int:
    return _compared(a[1], b[1])


_BY_SIZE = cmp_to_key(_compared_terms)


def _product(a: Monomial, b: Monomial) -> Monomial:
    return Monomial(tuple(_sum([*_logarithm(a), *_logarithm(b)])))


def _power(monomial: Monomial, power: Coefficient) -> Monomial:
    return Monomial(tuple((times(each, power), inner) for each, inner in _logarithm(monomial)))


def _largest(*monomials: Monomial | None) -> Monomial | None:
    known = [each for each in monomials if each is not None]
    return max(known, key=cmp_to_key(_order)) if known else None


# Sums


def _constant(value: Coefficient) -> Sum:
    return Sum(((value, ONE),) if sign(value) else ())


def _truncated(terms: _Terms, *errors: Monomial | None) -> Sum:
    """The sum of terms, without those no larger than an error, truncated to `MOST_TERMS`."""
    joined = _joined(terms)
    # A term whose coefficient may be zero counts as an error: O(monomial).
    error = _largest(*errors, *(monomial for each, monomial in joined if may_vanish(each)))
    joined = [term for term in joined if not may_vanish(term[0]) and sign(term[0])]
    if error is not None:
        joined = [term for term in joined if _order(term[1], error) > 0]
    if len(joined) > MOST_TERMS:
        error = _largest(error, joined[MOST_TERMS][1])
        joined = joined[:MOST_TERMS]
    return Sum(tuple(joined), error)


def _add(a: Sum, b: Sum) -> Sum:
    return _truncated([*a.terms, *b.terms], a.error, b.error)


def _scaled(a: Sum, factor: Coefficient) -> Sum:
    if not sign(factor):
        return Sum((), None)
    return Sum(tuple((times(each, factor), monomial) for each, monomial in a.terms), a.error)


def _multiply(a: Sum, b: Sum) -> Sum:
    terms = [(times(c, d), _product(m, n)) for c, m in a.terms for d, n in b.terms]
    errors = [
        _product(error, size)
        for error, size in ((a.error, _size(b)), (b.error, _size(a)))
        if error is not None and size is not None
    ]
    return _truncated(terms, *errors)


def _size(a: Sum) -> Monomial | None:
    return a.terms[0][1] if a.terms else a.error


def _lead(a: Sum) -> tuple[Coefficient, Monomial, Sum]:
    """a = c·m·(1 + δ), δ infinitesimal."""
    if not a.terms:
        raise Undecided
    coefficient, monomial = a.terms[0]
    inverse = _power(monomial, Fraction(-1))
    rest = [
        (times(each, constants.reciprocal(coefficient)), _product(inner, inverse))
        for each, inner in a.terms[1:]
    ]
    error = None if a.error is None else _product(a.error, inverse)
    return coefficient, monomial, Sum(tuple(rest), error)


def _composed(coefficients: Sequence[Coefficient], small: Sum) -> Sum:
    """Σ coefficientₖ · smallᵏ of an infinitesimal ``small``, by Horner's rule, with its truncation error."""
    value = _constant(Fraction(0))
    for coefficient in reversed(coefficients):
        value = _add(_multiply(value, small), _constant(coefficient))
    size = _size(small)
    if size is None:
        return value
    return _truncated(value.terms, value.error, _power(size, Fraction(len(coefficients))))


def _divide(a: Sum, b: Sum) -> Sum:
    coefficient, monomial, small = _lead(b)
    series = _composed([Fraction((-1) ** k) for k in range(MOST_TERMS)], small)
    inverse = Sum(((constants.reciprocal(coefficient), _power(monomial, Fraction(-1))),))
    return _multiply(a, _multiply(inverse, series))


def _parts(a: Sum) -> tuple[list[tuple[Coefficient, Monomial]], Coefficient, Sum]:
    """The infinite terms, the constant, and the infinitesimal rest."""
    if a.error is not None and _order(a.error, ONE) >= 0:
        raise Undecided
    large = [term for term in a.terms if _order(term[1], ONE) > 0]
    constant = next((each for each, monomial in a.terms if monomial == ONE), Fraction(0))
    small = tuple(term for term in a.terms if _order(term[1], ONE) < 0)
    return large, constant, Sum(small, a.error)


def _exp(a: Sum) -> Sum:
    large, constant, small = _parts(a)
    factorials = [Fraction(1)]
    for k in range(1, MOST_TERMS):
        factorials.append(factorials[-1] / k)
    whole = Sum(((constants.exp(constant), Monomial(tuple(large))),))
    return _multiply(whole, _composed(factorials, small))


def _log(a: Sum) -> Sum:
    coefficient, monomial, small = _lead(a)
    if sign(coefficient) < 0:
        raise NoLimit
    series = _composed([Fraction(0), *(Fraction((-1) ** (k + 1), k) for k in range(1, MOST_TERMS))], small)
    constant = constants.log(coefficient)
    if any(inner.atom > 3 for _, inner in _logarithm(monomial)):
        raise Undecided
    return _add(_truncated([*_logarithm(monomial), (constant, ONE)]), series)


def _to_the(a: Sum, b: Sum) -> Sum:
    _, power, _ = _parts(b)
    if b.terms and b != _constant(power):
        return _exp(_multiply(b, _log(a)))
    if not b.terms:
        return _constant(Fraction(1))
    whole = isinstance(power, Fraction) and power.denominator == 1
    if not a.terms and sign(power) > 0 and (a.error is None or whole):
        return Sum((), None if a.error is None else _power(a.error, power))
    coefficient, monomial, rest = _lead(a)
    if sign(coefficient) < 0 and not whole:
        raise NoLimit
    binomials: list[Coefficient] = [Fraction(1)]
    for k in range(1, MOST_TERMS):
        step = times(plus(power, Fraction(1 - k)), Fraction(1, k))
        binomials.append(times(binomials[-1], step))
    scale = constants.power(coefficient, power)
    return _multiply(Sum(((scale, _power(monomial, power)),)), _composed(binomials, rest))


def _derivative(a: Sum, side: int) -> Sum:
    """The derivative in the variable that tends to ``side`` · ∞, term by term."""
    terms = [
        (times(coefficient, factor), _product(monomial, inner))
        for coefficient, monomial in a.terms
        for factor, inner in _growth(monomial).terms
    ]
    error = a.error
    if error is not None:
        growth = _size(_growth(error))
        error = _power(_X, Fraction(-1)) if growth is None else _product(error, growth)
    return _scaled(_truncated(terms, error), Fraction(side))


def _growth(monomial: Monomial) -> Sum:
    """m′/m."""
    if monomial.atom:
        inverse = _power(_product(_product(_X, _LOG1), _product(_LOG2, _LOG3)), Fraction(-1))
        return Sum(((Fraction(1), inverse),))
    return _truncated(
        [
            (times(times(coefficient, factor), Fraction(1)), _product(inner, rate))
            for coefficient, inner in monomial.exponent
            for factor, rate in _growth(inner).terms
        ]
    )


# Functions


def _sign_of(a: Sum) -> int:
    if a.terms:
        return sign(a.terms[0][0])
    if a.error is None:
        return 0
    raise Undecided


def _analytic(name: str, beyond: Callable[[Sum], Sum]) -> Callable[[Sum], Sum]:
    """A function by its power series where its argument has a finite limit, else by ``beyond``."""

    def at(a: Sum) -> Sum:
        large, constant, small = _parts(a)
        if large:
            return beyond(a)
        series = SERIES[name](arb_series([as_ball(constant), arb(1)], MOST_TERMS))
        coefficients = [constants.enclosed((name, constant, k), series[k]) for k in range(MOST_TERMS)]
        if not sign(constant) and name in _ODD:
            coefficients[::2] = [Fraction(0)] * len(coefficients[::2])
        return _composed(coefficients, small)

    return at


_ODD = frozenset({"erf", "atan", "sin", "tan", "asin"})
_UNIT = _constant(Fraction(1))
_TWO = _constant(Fraction(2))


def _negated(a: Sum) -> Sum:
    return _scaled(a, Fraction(-1))


def _subtract(a: Sum, b: Sum) -> Sum:
    return _add(a, _negated(b))


def _undecided(_: Sum) -> Sum:
    """For infinite arguments of functions whose limit there is not sought."""
    raise Undecided


def _bounded(_: Sum) -> Sum:
    """O(1): a sine."""
    return Sum((), ONE)


def _arctangent(a: Sum) -> Sum:
    """±π/2 − 1/a + 1/(3a³) − …, at infinity."""
    inverse = _divide(_UNIT, a)
    odd: list[Coefficient] = [Fraction(0)] * MOST_TERMS
    for k in range(1, MOST_TERMS, 2):
        odd[k] = Fraction((-1) ** ((k - 1) // 2), k)
    right_angle = _constant(times(constants.pi(), Fraction(_sign_of(a), 2)))
    return _subtract(right_angle, _composed(odd, inverse))


def _tail(a: Sum) -> Sum:
    """erfc(a) for a → ∞: e^(−a²)/(a√π) · (1 − 1/(2a²) + 3/(4a⁴) − …); 2 − erfc(−a) for a → −∞."""
    if _sign_of(a) < 0:
        return _subtract(_TWO, _tail(_negated(a)))
    square = _multiply(a, a)
    coefficients: list[Coefficient] = [Fraction(1)]
    for k in range(1, MOST_TERMS):
        coefficients.append(times(coefficients[-1], Fraction(-(2 * k - 1), 2)))
    series = _composed(coefficients, _divide(_UNIT, square))
    density = _scaled(_exp(_negated(square)), constants.power(constants.pi(), Fraction(-1, 2)))
    return _divide(_multiply(density, series), a)


_erfc = _analytic("erfc", _tail)


def _erf(a: Sum) -> Sum:
    large, _, _ = _parts(a)
    return _subtract(_UNIT, _erfc(a)) if large else _analytic("erf", _undecided)(a)


def _sigmoid(a: Sum) -> Sum:
    return _divide(_UNIT, _add(_UNIT, _exp(_negated(a))))


def _tanh(a: Sum) -> Sum:
    if not a.terms and a.error is None:
        return a
    e = _exp(_scaled(a, Fraction(-2 if _sign_of(a) > 0 else 2)))
    value = _divide(_subtract(_UNIT, e), _add(_UNIT, e))
    return value if _sign_of(a) > 0 else _negated(value)


def _sqrt(a: Sum) -> Sum:
    return _to_the(a, _constant(Fraction(1, 2))) if a.terms or a.error else a


def _asinh(a: Sum) -> Sum:
    size = _absolute(a)
    value = _log(_add(size, _sqrt(_add(_multiply(a, a), _UNIT))))
    return value if _sign_of(a) > 0 else _negated(value)


def _absolute(a: Sum) -> Sum:
    return _negated(a) if _sign_of(a) < 0 else a


def _normal_tail(a: Sum) -> Sum:
    """Φ(a) for a → −∞: −φ(a)/a · (1 − 1/a² + 3/a⁴ − …); 1 − Φ(−a) for a → ∞."""
    if _sign_of(a) > 0:
        return _subtract(_UNIT, _normal_tail(_negated(a)))
    coefficients: list[Coefficient] = [Fraction(1)]
    for k in range(1, MOST_TERMS):
        coefficients.append(times(coefficients[-1], Fraction(-(2 * k - 1))))
    series = _composed(coefficients, _divide(_UNIT, _multiply(a, a)))
    return _negated(_divide(_multiply(_density(a), series), a))


def _density(a: Sum) -> Sum:
    scale = constants.power(times(Fraction(2), constants.pi()), Fraction(-1, 2))
    return _scaled(_exp(_scaled(_multiply(a, a), Fraction(-1, 2))), scale)


def _logarithm_to(base: int) -> Callable[[Sum], Sum]:
    return lambda a: _scaled(_log(a), constants.reciprocal(constants.log(Fraction(base))))


def _half(a: Sum) -> Sum:
    return _scaled(a, Fraction(1, 2))


def _extreme(side: int) -> Callable[..., Sum]:
    def extreme(first: Sum, *others: Sum) -> Sum:
        for each in others:
            if _sign_of(_subtract(each, first)) * side > 0:
                first = each
        return first

    return extreme


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "neg": _negated,
    "+": _add,
    "-": _subtract,
    "*": _multiply,
    "/": _divide,
    "**": _to_the,
    "exp": _exp,
    "expm1": lambda a: _subtract(_exp(a), _UNIT),
    "log": _log,
    "log1p": lambda a: _log(_add(_UNIT, a)),
    "log2": _logarithm_to(2),
    "log10": _logarithm_to(10),
    "sqrt": _sqrt,
    "abs": _absolute,
    "sign": lambda a: _constant(Fraction(_sign_of(a))),
    "sinh": lambda a: _half(_subtract(_exp(a), _exp(_negated(a)))),
    "cosh": lambda a: _half(_add(_exp(a), _exp(_negated(a)))),
    "tanh": _tanh,
    "sech": lambda a: _divide(_TWO, _add(_exp(a), _exp(_negated(a)))),
    "asinh": _asinh,
    "acosh": lambda a: _log(_add(a, _sqrt(_subtract(_multiply(a, a), _UNIT)))),
    "atanh": lambda a: _half(_log(_divide(_add(_UNIT, a), _subtract(_UNIT, a)))),
    "sin": _analytic("sin", _undecided),
    "cos": _analytic("cos", _undecided),
    "tan": _analytic("tan", _undecided),
    "asin": _analytic("asin", _undecided),
    "acos": _analytic("acos", _undecided),
    "atan": _analytic("atan", _arctangent),
    "erf": _erf,
    "erfc": _erfc,
    "sigmoid": _sigmoid,
    "softplus": lambda a: _log(_add(_UNIT, _exp(a))),
    "Phi": _analytic("Phi", _normal_tail),
    "phi": _density,
    "min": _extreme(-1),
    "max": _extreme(1),
}


def _relation(holds: Callable[[int, int], bool]) -> Callable[[Sum, Sum], bool]:
    return lambda a, b: holds(_sign_of(_subtract(a, b)), 0)


_SMOOTH = Arithmetic(
    _constant,
    lambda: _constant(constants.pi()),
    _FUNCTIONS,
    _FUNCTIONS,
    {
        "<": _relation(operator.lt),
        "<=": _relation(operator.le),
        ">": _relation(operator.gt),
        ">=": _relation(operator.ge),
        "==": _relation(operator.eq),
        "!=": _relation(operator.ne),
    },
)
"""The arithmetic whose sums may be differentiated term by term."""

_WAVES = {**_FUNCTIONS, **{name: _analytic(name, _bounded) for name in ("sin", "cos")}}
_BOUNDED = replace(_SMOOTH, fixed=_WAVES, varying=_WAVES)
"""The arithmetic for limits of the value alone: sin and cos of infinite arguments are bounded as well."""
