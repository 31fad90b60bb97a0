"""Values and derivatives of formulas, each proved to be the correctly rounded one.

A number is evaluated in balls of 90 bits, which decide almost every rounding. One that they leave open is
evaluated again as a rational number plus a small ball, at increasing precision: that also decides ties and
exact results. What is still open at `MOST_BITS` counts as unproved.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, reduce
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from flint import arb, arb_series, fmpq
from numpy.typing import NDArray

from app.core.arithmetic import balls, near_rational
from app.core.arithmetic.balls import Undecided, ball, precision
from app.core.arithmetic.near_rational import (
    Choices,
    NearRational,
    Singular,
    Undefined,
    inexact,
    rational,
)
from app.core.arithmetic.rounding import Rounding
from app.core.formulas.calculus import derivative
from app.core.formulas.closures import Arithmetic, function
from app.core.formulas.limits import limits
from app.core.formulas.tree import Tree, walk, written_size
from app.core.formulas.vectorised import evaluator

FIRST_BITS = 90
"""Enough for all but ties and near ties of double precision."""

NEXT_BITS = (256, 1024, 4096, 16384)
FEW_BITS = NEXT_BITS[0]
MOST_BITS = NEXT_BITS[-1]
"""Bits after which a number is given up as unproved."""

HIGHEST_ORDER = 8

MOST_WRITTEN = 20_000
"""Size of the largest derivative (`written_size`) that is evaluated at a singularity."""

CHUNK = 2048
"""Points between two reports of progress."""

Doubles: TypeAlias = NDArray[np.floating[Any]]

BALLS = Arithmetic(ball, arb.pi, balls.BALL, balls.SERIES, balls.COMPARE)
UNTIED_BALLS = replace(BALLS, varying=balls.UNTIED_SERIES, compare=balls.UNTIED)

CHOOSING = frozenset({"abs", "sign", "min", "max", "if"})


@dataclass(frozen=True)
class Part:
    """Derivatives ``first`` to ``last`` with respect to ``variable`` of the formula ``tree``."""

    tree: Tree
    first: int = 0
    last: int = 0
    variable: str = "x"

    @property
    def count(self) -> int:
        """How many derivatives it is."""
        return self.last - self.first + 1


class Proved(NamedTuple):
    """Derivatives by order, each the shape of the points, and where the rounding is proved."""

    orders: Doubles
    proved: NDArray[np.bool_]


def prove(
    part: Part,
    values: Mapping[str, float | Doubles],
    rounding: Rounding,
    progress: Callable[[float], None] = lambda _: None,
    *,
    most_bits: int = MOST_BITS,
) -> Proved:
    """The part at ``values``: floats, or arrays of one length, which the answer has too.

    (last − first + 1, length) numbers of the format, as doubles; NaN where nothing is proved. ``progress``
    is called with the fraction that is done.
    """
    columns, fixed, places = _columns(values)
    prover = _Prover(part, columns, fixed, rounding, most_bits)
    count = prover.count
    orders, proved = np.empty((part.count, count)), np.empty((part.count, count), np.bool_)
    for start in range(0, count, CHUNK):
        block = slice(start, min(start + CHUNK, count))
        orders[:, block], proved[:, block] = prover.found(block)
        progress(block.stop / count)
    return Proved(orders[:, places], proved[:, places])


def prove_sums(
    part: Part,
    values: Mapping[str, Doubles],
    groups: Sequence[NDArray[np.intp]],
    rounding: Rounding,
    *,
    most_bits: int = MOST_BITS,
) -> Proved:
    """The sums of the part's one derivative over groups of the points at ``values``, each rounded once."""
    prover = _Prover(part, {name: each.tolist() for name, each in values.items()}, {}, rounding, most_bits)
    sums = [prover.summed(group.tolist()) for group in groups]
    known = np.array([each is not None for each in sums])
    return Proved(np.array([math.nan if each is None else each for each in sums]), known)


def _columns(
    values: Mapping[str, float | Doubles],
) -> tuple[dict[str, list[float]], dict[str, float], NDArray[np.intp]]:
    """The arrays' distinct combinations, as columns; the fixed values; and each point's combination."""
    arrays = {name: np.asarray(value) for name, value in values.items() if np.ndim(value)}
    fixed = {name: float(value) for name, value in values.items() if name not in arrays}
    stacked = np.array(list(arrays.values()), np.float64)
    distinct, places = np.unique(stacked.view(np.int64), axis=1, return_inverse=True)
    rows = np.ascontiguousarray(distinct).view(np.float64)
    return dict(zip(arrays, rows.tolist(), strict=True)), fixed, places.ravel()


def enclosures(part: Part, values: Mapping[str, float | Doubles], bits: int) -> list[list[arb] | None]:
    """Balls that contain the part's derivatives at each of the points; None where there is no enclosure.

    ``values`` are floats, or arrays of one length.
    """
    columns = {name: np.asarray(each).tolist() for name, each in values.items() if np.ndim(each)}
    fixed = {name: float(each) for name, each in values.items() if name not in columns}
    return _Prover(part, columns, fixed, Rounding(np.dtype(np.float64)), bits).enclosed(bits)


class _Prover:
    """Evaluates a part at points given as columns."""

    def __init__(
        self,
        part: Part,
        columns: Mapping[str, list[float]],
        fixed: Mapping[str, float],
        rounding: Rounding,
        most_bits: int,
    ) -> None:
        self._bits = tuple(bits for bits in NEXT_BITS if bits <= most_bits)
        self._part = part
        self._names = list(columns)
        self._points = list(zip(*columns.values(), strict=True))
        self._fixed = fixed
        self._rounding = rounding
        self._terms = part.last + 1
        self._near_rational_functions: dict[tuple[int, Choices], Callable[..., NearRational]] = {}

    @property
    def count(self) -> int:
        """How many points there are."""
        return len(self._points)

    def found(self, block: slice) -> Proved:
        """The numbers at a block of the points."""
        points = self._points[block]
        low, high = self._bounds(points, FIRST_BITS)
        orders, proved = self._decide(low, high)
        for place in np.flatnonzero(~proved.all(axis=0)).tolist():
            for row, decision in enumerate(self._decide_hard(points[place])):
                if decision is not None:
                    orders[row, place] = decision
                    proved[row, place] = True
        return Proved(orders, proved)

    def enclosed(self, bits: int) -> list[list[arb] | None]:
        """The derivatives at all points as balls; None where there is no enclosure."""
        found: list[list[arb] | None] = []
        with precision(bits):
            run = self._function(BALLS, arb, lambda value: arb_series([value, 1], self._terms))
            for point in self._points:
                try:
                    found.append(self._coefficients(run(point)) if all(map(math.isfinite, point)) else None)
                except (ArithmeticError, ValueError):  # flint raises either at a pole
                    found.append(None)
        return found

    def summed(self, places: Sequence[int]) -> float | None:
        """The sum over these points, rounded; None where it is not proved."""
        points = [self._points[place] for place in places]
        if not np.isfinite(np.array(points)).all():
            return None
        for bits in self._bits:
            try:
                with precision(bits):
                    run = self._near_rational_function()
                    total = reduce(operator.add, map(run, points), rational(Fraction(0), self._terms))
                    decision = self._decided(total, self._part.first)
            except Undecided:
                continue
            except Undefined:
                return math.nan
            except (Singular, ValueError):
                return None
            if decision is not None:
                return decision
        return None

    def _decide(self, low: Doubles, high: Doubles) -> tuple[Doubles, NDArray[np.bool_]]:
        """The rounded numbers, proved where both ends of the enclosure round to the same one."""
        if self._rounding.dtype != np.float64:
            # The ends were rounded to doubles: moved outwards by one double, they enclose it again.
            low, high = np.nextafter(low, -math.inf), np.nextafter(high, math.inf)
        with np.errstate(all="ignore"):
            down = self._rounding.array(low).astype(np.float64)
            up = self._rounding.array(high).astype(np.float64)
        proved = (down == up) & np.isfinite(low) & np.isfinite(high)
        return np.where(proved, up, np.nan), proved

    def _bounds(self, points: Sequence[tuple[float, ...]], bits: int) -> tuple[Doubles, Doubles]:
        """The ends of all enclosures, rounded to the nearest doubles; NaN where there is no enclosure."""
        low = np.full((self._part.count, len(points)), np.nan)
        high = low.copy()
        with precision(bits):
            run = self._function(UNTIED_BALLS, arb, lambda value: arb_series([value, 1], self._terms))
            for place, point in enumerate(points):
                if not all(map(math.isfinite, point)):
                    continue
                try:
                    value = run(point)
                except (ArithmeticError, ValueError):  # flint raises either at a pole
                    continue
                for row, coefficient in enumerate(self._coefficients(value)):
                    low[row, place] = float(coefficient.lower())
                    high[row, place] = float(coefficient.upper())
        return low, high

    def _coefficients(self, value: Any) -> list[arb]:
        """The derivatives from the series, or from the one ball where there is no series."""
        if not isinstance(value, arb_series):
            return [value if order == 0 else arb(0) for order in self._range()]
        return [
            value[order] * math.factorial(order) if order > 1 else value[order] for order in self._range()
        ]

    def _range(self) -> range:
        return range(self._part.first, self._part.last + 1)

    def _function(
        self,
        arithmetic: Arithmetic,
        value: Callable[[Any], Any],
        series: Callable[[float], Any],
    ) -> Callable[[Sequence[float]], Any]:
        """The part's formula as a function of a point's numbers."""
        varying = frozenset({self._part.variable} if self._terms > 1 else ())
        given = {
            name: series(number) if name in varying else value(number) for name, number in self._fixed.items()
        }
        run = function(self._part.tree, arithmetic, self._names, varying, given)
        kinds = [series if name in varying else value for name in self._names]
        if len(kinds) == 1:
            (kind,) = kinds
            return lambda point: run((kind(point[0]),))
        return lambda point: run([kind(each) for kind, each in zip(kinds, point, strict=True)])

    def _decide_hard(self, point: Sequence[float]) -> list[float | None]:
        """The rounded numbers at one point, at increasing precision; None where a rounding stays open."""
        if not all(map(math.isfinite, point)):
            return self._at_infinity(point)
        decisions: list[float | None] = [None] * self._part.count
        for bits in self._bits:
            try:
                decisions = self._near_rational(point, bits, self._range())
            except Undecided:
                continue
            except Undefined:
                return [math.nan] * self._part.count
            except (ArithmeticError, ValueError):  # flint raises either at a pole
                return self._at_singularity(point)
            if None not in decisions:
                break
        if self._chooses and None not in decisions:
            for order, value in self._beside(point):
                decisions[order - self._part.first] = value
        return decisions

    def _beside(self, point: Sequence[float]) -> Iterator[tuple[int, float | None]]:
        """Derivatives that are the same on both sides of the point, where f is continuous.

        There is no kink then, whatever branches meet, and no convention is needed: log cosh x written with
        |x| has the second derivative 1 at 0.
        """
        orders = range(self._terms)
        choices = near_rational.AT_THE_POINT, *near_rational.BESIDE
        for bits in self._bits:
            try:
                here, right, left = (self._near_rational(point, bits, orders, each) for each in choices)
            except Undecided:
                continue
            except (ArithmeticError, ValueError):
                return
            if None not in (here[0], *right, *left):
                break
        else:
            return
        if here[0] != right[0]:
            return
        for order in orders:
            if right[order] != left[order]:
                return
            if order >= self._part.first:
                yield order, right[order]

    @cached_property
    def _chooses(self) -> bool:
        """Whether branches of the formula may meet at a point."""
        return self._terms > 1 and any(node.op in CHOOSING for node in walk(self._part.tree))

    def _at_infinity(self, point: Sequence[float]) -> list[float | None]:
        """NaN for NaN, the limits for infinite x; None for an infinite upstream gradient."""
        values = {**self._fixed, **dict(zip(self._names, point, strict=True))}
        if any(map(math.isnan, values.values())):
            return [math.nan] * self._part.count
        x = values.pop("x", 0.0)
        if not math.isinf(x) or not all(map(math.isfinite, values.values())) or self._part.variable != "x":
            return [None] * self._part.count
        side = 1 if x > 0 else -1
        return limits(self._part.tree, values, side, self._part.last, self._rounding)[self._part.first :]

    def _at_singularity(self, point: Sequence[float]) -> list[float | None]:
        """At a pole, or where a derivative does not exist: the infinity or NaN of IEEE arithmetic.

        The value itself may still be finite there: √0.
        """
        in_doubles = self._in_doubles
        if in_doubles is None:
            return [None] * self._part.count
        found = in_doubles([np.array([value]) for value in (*self._fixed.values(), *point)])
        quick = [float(each[0]) for each in found]
        decisions: list[float | None] = [
            None if math.isfinite(each) else self._overflowed(each) for each in quick
        ]
        if decisions[0] is None and self._part.last:
            alone = _Prover(
                Part(self._part.tree),
                dict(zip(self._names, ([each] for each in point), strict=True)),
                self._fixed,
                self._rounding,
                self._bits[-1],
            )
            decisions[0] = alone._decide_hard(point)[0]
        return decisions[self._part.first :]

    @cached_property
    def _in_doubles(self) -> Callable[[Sequence[Doubles]], list[NDArray[np.float64]]] | None:
        """f and its derivatives, in double precision; None where their formulas are too long."""
        roots = [self._part.tree]
        for _ in range(self._part.last):
            roots.append(derivative(roots[-1], self._part.variable))
            if written_size(roots[-1]) > MOST_WRITTEN:
                return None
        return evaluator(roots, [*self._fixed, *self._names], {})

    def _overflowed(self, value: float) -> float:
        return value if math.isnan(value) else math.copysign(1.0, value) * self._rounding.beyond

    def _near_rational(
        self,
        point: Sequence[float],
        bits: int,
        orders: range,
        choices: Choices = near_rational.AT_THE_POINT,
    ) -> list[float | None]:
        key = (bits, choices)
        with precision(bits):
            if key not in self._near_rational_functions:
                self._near_rational_functions[key] = self._near_rational_function(choices)
            value = self._near_rational_functions[key](point)
            return [self._decided(value, order) for order in orders]

    def _near_rational_function(
        self, choices: Choices = near_rational.AT_THE_POINT
    ) -> Callable[[Sequence[float]], NearRational]:
        terms = self._terms
        functions = {**near_rational.NEAR_RATIONAL, **choices.functions}
        arithmetic = Arithmetic(
            lambda value: rational(value, terms),
            lambda: inexact(arb.pi(), terms),
            functions,
            functions,
            choices.compare,
            undefined=Undefined,
        )
        return self._function(
            arithmetic,
            lambda value: rational(Fraction(value), terms),
            lambda value: near_rational.variable(value, terms),
        )

    def _decided(self, value: NearRational, order: int) -> float | None:
        factor = math.factorial(order)
        rest = arb(0) if value.rest is None else value.rest[order] * factor
        return self._rounding.decided(value.exact[order] * fmpq(factor), rest)


__all__ = ["HIGHEST_ORDER", "MOST_BITS", "Part", "Proved", "Singular", "prove"]
