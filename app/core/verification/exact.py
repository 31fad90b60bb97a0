"""The exact answers that a kernel is compared with, as precise as the judgement needs them.

For formats shorter than a double the entry's own values in double precision come first. Where the margin
around them leaves open which number of the format is the right one, and for doubles and formulas everywhere,
ball arithmetic decides.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from app.core.activations.definition import Elementwise
from app.core.activations.from_formula import FormulaActivation
from app.core.activations.registry import Call
from app.core.arithmetic import Array
from app.core.arithmetic.balls import precision
from app.core.arithmetic.rounding import Rounding
from app.core.errors import InvalidValue
from app.core.evaluation import aligned
from app.core.formulas.proving import CHUNK, FIRST_BITS, Part, enclosures
from app.core.formulas.tree import with_infinite
from app.core.jobs import ignore
from app.core.proof import ProvedActivation, finite_and_infinite, parts_of

MARGIN = 2.0**-38
"""Relative error allowed for a value in double precision, and for its neighbours where it passes through
zero: 2¹² times the error that entries promise."""

NEAR = 2.0**-12
"""Relative distance of a neighbour of x, whose value shows the size of the terms of a sum that is near
zero."""

TINY = 1e-300
"""A size below the numbers of every format but doubles."""

MOST_REMEMBERED = 20_000
"""The most numbers proved for one kernel that are kept for the next: half a megabyte."""

_SMALLEST = 5e-324

DOUBLE = np.dtype(np.float64)


@dataclass(frozen=True)
class Exact:
    """One order at all points: ``value`` + ``rest`` is the exact answer to within ``margin``.

    ``rounded`` is the right number of the format, as a double; where it is not ``known`` nothing is judged.
    """

    value: Array
    rest: Array
    margin: Array
    rounded: Array
    known: NDArray[np.bool_]


def spread(call: Call, shape: tuple[int, ...]) -> Call:
    """The call for inputs of this shape in one row: each array among its parameters has one number an input.

    Raises `InvalidValue` for an array that does not broadcast.
    """
    params = {name: aligned(value, shape, call.axis, name) for name, value in call.params.items()}
    flat = {name: value.ravel() if isinstance(value, np.ndarray) else value for name, value in params.items()}
    return replace(call, params=flat, axis=-1)


def turned(call: Call, shape: tuple[int, ...]) -> dict[int, Call]:
    """The calls, spread, whose one-dimensional parameters run along another axis, where they fit; by axis."""
    found: dict[int, Call] = {}
    own = spread(call, shape)
    if len(own.scalars) == len(own.params):
        return found
    for axis in range(len(shape)):
        with contextlib.suppress(InvalidValue):
            other = spread(replace(call, axis=axis), shape)
            if any(not np.array_equal(value, own.params[name]) for name, value in other.params.items()):
                found[axis] = other
    return found


def call_at(call: Call, places: Any) -> Call:
    """The call for some of the inputs, of one that is `spread`."""
    params = {
        name: value[places] if isinstance(value, np.ndarray) else value for name, value in call.params.items()
    }
    return replace(call, params=params)


class Digits(NamedTuple):
    """The exact answer at one point in decimal, and the condition |x f′/f| there, where there is one."""

    text: str
    condition: float | None


def exact_orders(
    call: Call, x: Array, count: int, rounding: Rounding, progress: Callable[[float], None] = ignore
) -> list[Exact]:
    """The first ``count`` orders at ``x``, numbers of the format."""
    activation = call.activation
    assert isinstance(activation, Elementwise)
    slow = rounding.dtype == DOUBLE or isinstance(activation, FormulaActivation)
    found = _by_balls(call, x, count, progress) if slow else _quick(activation, call, x, count)
    rounded, decided = zip(*(rounded_near(each, rounding) for each in found), strict=True)
    orders = [Exact(*each, right, known) for each, right, known in zip(found, rounded, decided, strict=True)]
    return _with_proofs(orders, call, x, rounding)


class Near(NamedTuple):
    """The exact answer is ``value`` + ``rest`` to within ``margin``."""

    value: Array
    rest: Array
    margin: Array


def _quick(activation: Elementwise, call: Call, x: Array, count: int) -> list[Near]:
    """The orders from the entry's values in double precision."""
    params = call.params
    with np.errstate(all="ignore"):
        here, above, below = (
            activation.orders(points, count, **params) for points in (x, x * (1 + NEAR), x * (1 - NEAR))
        )
        size = np.fmax(np.abs(here), np.fmax(np.abs(above), np.abs(below)))
        margin = np.where(np.isfinite(x) & np.isfinite(size), MARGIN * size + TINY, 0.0)
    return [Near(value, np.zeros_like(value), each) for value, each in zip(here, margin, strict=True)]


def _by_balls(call: Call, x: Array, count: int, progress: Callable[[float], None]) -> list[Near]:
    """The orders from balls: the nearest double and the rest."""
    value = np.full((count, x.size), np.nan)
    rest, margin = np.zeros_like(value), np.zeros_like(value)
    row = 0
    for part in parts_of_call(call, count - 1):
        for start in range(0, x.size, CHUNK):
            block = slice(start, start + CHUNK)
            found = _enclosures(call_at(call, block), part, x[block], FIRST_BITS)
            with precision(2 * FIRST_BITS):
                for place, balls in enumerate(found, start):
                    for number, each in enumerate(balls or (), row):
                        value[number, place], rest[number, place], margin[number, place] = read_ball(each)
            progress((row + min(1.0, (start + CHUNK) / x.size) * part.count) / count)
        row += part.count
    return [Near(*each) for each in zip(value, rest, margin, strict=True)]


def read_ball(ball: Any) -> tuple[float, float, float]:
    """The nearest double, the midpoint's difference from it, and the radius rounded up."""
    value = float(ball.mid())
    if not ball.is_finite() or not math.isfinite(value):
        return math.nan, 0.0, 0.0
    radius = float(ball.rad())
    return value, float((ball - value).mid()), 0.0 if ball.is_exact() else 2 * radius + _SMALLEST


def parts_of_call(call: Call, order: int) -> list[Part]:
    """The formulas to evaluate for f and its derivatives, infinite parameters substituted."""
    assert isinstance(call.activation, Elementwise)
    _, infinite = finite_and_infinite(call.params)
    return [
        replace(part, tree=with_infinite(part.tree, infinite)) for part in parts_of(call.activation, order)
    ]


def _enclosures(call: Call, part: Part, x: Array, bits: int) -> list[list[Any] | None]:
    fixed, _ = finite_and_infinite(call.params)
    return enclosures(part, {"x": x, **fixed}, bits)


def rounded_near(near: Near, rounding: Rounding) -> tuple[Array, NDArray[np.bool_]]:
    """The right numbers of the format, and where the margin is small enough to be sure of them."""
    with np.errstate(all="ignore"):
        if rounding.dtype == DOUBLE:
            spacing = np.spacing(np.abs(near.value))
            # Below a power of two numbers lie twice as close.
            power = np.abs(np.frexp(near.value)[0]) == 0.5
            room = np.where(power, spacing / 4, spacing / 2) * (1 - 2.0**-10)
            clear = (np.abs(near.rest) + near.margin < room) | ((near.rest == 0) & (near.margin == 0))
            return near.value.copy(), clear & np.isfinite(near.value)
        # The sum is rounded and leaves out the rest: bounds two steps further out contain the answer again.
        low = _step(_step(near.value - near.margin, -np.inf), -np.inf)
        high = _step(_step(near.value + near.margin, np.inf), np.inf)
        down, up = (doubles(rounding.array(each)) for each in (low, high))
        beyond = np.isinf(near.value)
        value = np.where(beyond, doubles(rounding.array(near.value)), up)
        undefined = np.isnan(near.value)
    return value, ((down == up) | beyond | (np.isnan(down) & np.isnan(up))) & ~undefined


_step = np.nextafter


def _with_proofs(orders: list[Exact], call: Call, x: Array, rounding: Rounding) -> list[Exact]:
    """Proves the answers that are still open; NaN stays NaN."""
    no_number = np.isnan(x)
    places = np.flatnonzero(~np.all([each.known for each in orders], axis=0) & ~no_number)
    for each in orders:
        each.known[no_number] = True
        each.rounded[no_number] = np.nan
    if not places.size:
        return orders
    proved = _proved(_Question(call_at(call, places), x[places], len(orders), rounding))
    for each, right in zip(orders, proved, strict=True):
        each.rounded[places] = right
        # NaN means "not proved", or "no value" where double precision gives none either.
        each.known[places] = ~np.isnan(right) | ~np.isfinite(each.value[places]) | ~np.isfinite(x[places])
        lost = places[~np.isfinite(each.value[places])]
        each.value[lost], each.rest[lost] = each.rounded[lost], 0.0
    return orders


@dataclass(frozen=True)
class _Question:
    """What is to be proved, as a cache key: the hard numbers of a format are the same for all kernels."""

    call: Call
    x: Array
    count: int
    rounding: Rounding

    @property
    def _key(self) -> tuple[object, ...]:
        params = {name: np.asarray(value).tobytes() for name, value in self.call.params.items()}
        return self.call.activation.name, *params.items(), self.x.tobytes(), self.count, self.rounding

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Question) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


def _proved(question: _Question) -> tuple[Array, ...]:
    return _remembered(question) if question.x.size <= MOST_REMEMBERED else _answered(question)


def _answered(question: _Question) -> tuple[Array, ...]:
    job = ProvedActivation(question.call, question.x, question.count - 1, question.rounding)
    return job(map, ignore).orders


_remembered = lru_cache(maxsize=32)(_answered)


def digits(call: Call, order: int, x: float) -> Digits | None:
    """20 digits of the exact answer at ``x``; None where it is not a number."""
    for bits in (256, 2048, 16384):
        found = _with_slope(call, order, x, bits)
        if found is None:
            return None
        value = found[0]
        if value.is_zero() or value.rel_accuracy_bits() > 80:
            with precision(bits):
                return Digits(decimal(value), _condition(found, x))
    return None


def _with_slope(call: Call, order: int, x: float, bits: int) -> list[Any] | None:
    """The derivative of this order and the next at ``x`` as balls; the former alone at a kink."""
    part = parts_of_call(call, order)[-1]
    for last in (part.last + 1, part.last):
        (found,) = _enclosures(call, replace(part, first=part.last, last=last), np.array([x]), bits)
        if found is not None and found[0].is_finite():
            return found
    return None


def decimal(value: Any) -> str:
    """The midpoint of a ball to 20 digits."""
    return "0" if value.is_zero() else str(value.str(20, radius=False))


def _condition(found: list[Any], x: float) -> float | None:
    if len(found) < 2 or found[0].is_zero():
        return None
    condition = float(abs(found[1] * x / found[0]).mid())
    return condition if math.isfinite(condition) else None


def doubles(values: NDArray[Any]) -> Array:
    """Numbers of a format as doubles, without warnings for NaN with a payload."""
    with np.errstate(invalid="ignore"):
        return values.astype(np.float64)


def every_number(dtype: np.dtype[Any]) -> Array | None:
    """As doubles, all numbers of a format of 16 bits or fewer, in the order of their bit patterns."""
    bits = int(ml_dtypes.finfo(dtype).bits)  # type: ignore[no-untyped-call]
    if bits > 16:
        return None
    patterns = np.arange(2**bits, dtype=np.uint16 if dtype.itemsize == 2 else np.uint8)
    return doubles(patterns.view(dtype))
