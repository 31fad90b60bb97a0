"""Exact real constants such as √(2/π), as Σ rational · Π base^exponent, so that like terms cancel exactly.

An irrational constant is built from bases: integers under roots, π, e, logarithms, and anything else that is
known only by a ball around it. Sums and products are taken term by term, so that √(2/π) − √(2/π) is exactly 0
and not a ball around it. Signs come from the balls; where a ball contains 0, `Undecided` is raised.

All balls have the precision that is set when they are made.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, reduce
from typing import TypeAlias

from flint import arb

from app.core.arithmetic.balls import Undecided, ball

MOST_TERMS = 24
"""Terms of a sum that is kept term by term; a longer one becomes a base of its own."""

LARGEST_POWER = 64
"""Largest exponent that a rational number is multiplied out for."""

LARGEST_EXPONENT = 4000
"""Largest binary exponent, in magnitude, of an exact ball that becomes a rational number."""


@dataclass(frozen=True, eq=False)
class Base:
    """An irrational number, or an integer under a root, identified by ``key`` and contained in ``value``."""

    key: Hashable
    value: arb

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Base) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    @cached_property
    def positive(self) -> bool:
        """Whether it is certainly positive, so that its fractional powers are real."""
        return bool(self.value > 0)


Product: TypeAlias = frozenset[tuple[Base, Fraction]]
"""Π base^exponent; the number 1 where it is empty."""

_NONE: Product = frozenset()


@dataclass(frozen=True)
class Real:
    """Σ rational · product, irrational: a rational number is a `Fraction`."""

    terms: frozenset[tuple[Product, Fraction]]

    @cached_property
    def value(self) -> arb:
        """A ball that contains it; raises `Undecided` where that is not finite."""
        found = sum((ball(factor) * _value(product) for product, factor in self.terms), arb(0))
        if not found.is_finite():
            raise Undecided
        return found

    @property
    def only(self) -> tuple[Product, Fraction] | None:
        """The only term; None where there are several."""
        return next(iter(self.terms)) if len(self.terms) == 1 else None


Coefficient: TypeAlias = Fraction | Real


def _value(product: Product) -> arb:
    return reduce(operator.mul, (_raised(base.value, power) for base, power in product), arb(1))


def _raised(value: arb, power: Fraction) -> arb:
    return value ** int(power) if power.denominator == 1 else value ** ball(power)


def _normalised(terms: Mapping[Product, Fraction]) -> Coefficient:
    kept = {product: factor for product, factor in terms.items() if factor}
    if not kept.keys() - {_NONE}:
        return kept.get(_NONE, Fraction(0))
    found = Real(frozenset(kept.items()))
    return _base(("sum", found), found.value) if len(kept) > MOST_TERMS else found


def _terms(a: Coefficient) -> Iterator[tuple[Product, Fraction]]:
    return iter(((_NONE, a),)) if isinstance(a, Fraction) else iter(a.terms)


def _base(key: Hashable, value: arb, power: Fraction = Fraction(1)) -> Coefficient:
    return Real(frozenset({(frozenset({(Base(key, value), power)}), Fraction(1))}))


def enclosed(key: Hashable, value: arb) -> Coefficient:
    """The number that ``value`` contains; equal keys stand for equal numbers.

    Raises `Undecided` for a ball that is not finite.
    """
    if not value.is_finite():
        raise Undecided
    if value.is_exact():
        mantissa, exponent = map(int, value.man_exp())
        if abs(exponent) <= LARGEST_EXPONENT:
            return mantissa * Fraction(2) ** exponent
    return _base(key, value)


def as_ball(a: Coefficient) -> arb:
    """A ball that contains the number."""
    return ball(a) if isinstance(a, Fraction) else a.value


def sign(a: Coefficient) -> int:
    """1, 0 or −1; raises `Undecided`."""
    if isinstance(a, Fraction):
        return (a > 0) - (a < 0)
    if a.value > 0:
        return 1
    if a.value < 0:
        return -1
    raise Undecided


def may_vanish(a: Coefficient) -> bool:
    """Whether it is not known to be zero, nor known not to be."""
    return isinstance(a, Real) and bool(a.value.contains(0))


def plus(a: Coefficient, b: Coefficient) -> Coefficient:
    """a + b."""
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return a + b
    terms = dict(_terms(a))
    for product, factor in _terms(b):
        terms[product] = terms.get(product, Fraction(0)) + factor
    return _normalised(terms)


def times(a: Coefficient, b: Coefficient) -> Coefficient:
    """a·b."""
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return a * b
    terms: dict[Product, Fraction] = {}
    for one, factor in _terms(a):
        for other, second in _terms(b):
            whole, product = _joined(one, other)
            terms[product] = terms.get(product, Fraction(0)) + whole * factor * second
    return _normalised(terms)


def negative(a: Coefficient) -> Coefficient:
    """−a."""
    return times(a, Fraction(-1))


def _joined(a: Product, b: Product) -> tuple[Fraction, Product]:
    """The product of two, as a rational factor, from integer powers of integers, and the rest."""
    powers = dict(a)
    for base, each in b:
        powers[base] = powers.get(base, Fraction(0)) + each
    number = Fraction(1)
    for base, each in powers.items():
        whole = math.floor(each)
        if isinstance(base.key, int) and abs(whole) <= LARGEST_POWER:
            number *= Fraction(base.key) ** whole
            powers[base] = each - whole
    return number, frozenset((base, each) for base, each in powers.items() if each)


def reciprocal(a: Coefficient) -> Coefficient:
    """1/a; raises `ZeroDivisionError`, or `Undecided` where a may be zero."""
    if isinstance(a, Fraction):
        return 1 / a
    if a.only is not None:
        product, factor = a.only
        number, inverse = _joined(frozenset((base, -each) for base, each in product), _NONE)
        return _normalised({inverse: number / factor})
    return enclosed(("1/", a), 1 / a.value)


def power(a: Coefficient, exponent: Coefficient) -> Coefficient:
    """a^exponent for a positive a or an integer exponent; raises `Undecided` otherwise."""
    if not isinstance(exponent, Fraction):
        return exp(times(exponent, log(a)))
    if isinstance(a, Fraction):
        if exponent.denominator == 1 and abs(exponent) <= LARGEST_POWER:
            return a ** int(exponent)
        return times(_root(a.numerator, exponent), _root(a.denominator, -exponent))
    if exponent.denominator == 1 and 0 <= exponent <= MOST_TERMS:
        whole: Coefficient = Fraction(1)
        for _ in range(int(exponent)):
            whole = times(whole, a)
        return whole
    if a.only is not None and (exponent.denominator == 1 or all(base.positive for base, _ in a.only[0])):
        product, factor = a.only
        number, raised = _joined(frozenset((base, each * exponent) for base, each in product), _NONE)
        return times(_normalised({raised: number}), power(factor, exponent))
    if not a.value > 0 and exponent.denominator != 1:
        raise Undecided
    return _base(("sum", a), a.value, exponent)


def _root(number: int, exponent: Fraction) -> Coefficient:
    """number^exponent, the exponent's integer part as a rational factor where that is not too large."""
    if number == 1:
        return Fraction(1)
    if number <= 0:
        raise Undecided
    factor, product = _joined(frozenset({(Base(number, arb(number)), exponent)}), _NONE)
    return _normalised({product: factor})


def exp(a: Coefficient) -> Coefficient:
    """e^a, a product over the terms of a."""
    found: Coefficient = Fraction(1)
    for product, factor in _terms(a):
        if factor:
            found = times(found, _base(("exp", product), _value(product).exp(), factor))
    return found


def log(a: Coefficient) -> Coefficient:
    """ln a, a sum over the factors of a; raises `Undecided` where a may not be positive."""
    if isinstance(a, Fraction):
        return plus(_log(a.numerator), negative(_log(a.denominator)))
    if a.only is None or not all(base.positive for base, _ in a.only[0]):
        return enclosed(("log", a), a.value.log())
    product, factor = a.only
    found = log(factor)
    for base, each in product:
        found = plus(found, times(each, _log_of(base)))
    return found


def _log(number: int) -> Coefficient:
    if number <= 0:
        raise Undecided
    return Fraction(0) if number == 1 else _base(("log", number), arb(number).log())


def _log_of(base: Base) -> Coefficient:
    match base.key:
        case ("exp", frozenset() as product):
            return _normalised({product: Fraction(1)})
        case int() as number:
            return _log(number)
    return enclosed(("log", base.key), base.value.log())


def pi() -> Coefficient:
    """π."""
    return _base("pi", arb.pi())
