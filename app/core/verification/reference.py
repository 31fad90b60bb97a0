"""Reference values to test a kernel against: inputs of a format, and f, f′ and f″ correctly rounded.

A format of 16 bits or fewer is given whole, in the order of its bit patterns. Of float32 and float64 it is a
set of hard inputs: see `HARD`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from app.core.activations.definition import Elementwise
from app.core.activations.registry import Call
from app.core.arithmetic import Array
from app.core.arithmetic.formats import round_to
from app.core.arithmetic.rounding import Rounding
from app.core.evaluation import Mapper
from app.core.jobs import Progress, ignore
from app.core.verification.exact import DOUBLE, Exact, doubles, every_number, exact_orders
from app.core.verification.judgement import spacing

HARD = (
    "zeros, infinities, NaN; the smallest and largest numbers, subnormal ones; powers of 2 and their "
    "neighbours; 2,001 numbers evenly spaced from -30 to 30; tails, evenly spaced in the logarithm; kinks "
    "and roots of f and its derivatives, with their two neighbours; inputs whose exact answers lie closest "
    "to the middle between two numbers, of 20,000 (4,000 in float64) drawn with a fixed seed"
)
"""The inputs for formats that have too many numbers to list all of them."""

ALL = "every number of the format, in the order of the bit patterns"

DRAWN = {False: 20_000, True: 4_000}
"""The number of candidates among which hard cases of rounding are searched for: in float32, and in float64,
where balls are needed."""

CLOSEST = 100
"""The number of hard cases of rounding for each order."""


class Reference(NamedTuple):
    """``inputs`` and the ``orders`` there, numbers of the format held as doubles; ``which`` inputs they are.

    An answer that could not be proved is left out of the hard set, with its input; of a whole format it is
    NaN and counted in ``unproved``.
    """

    inputs: Array
    orders: tuple[Array, ...]
    which: str
    unproved: int


@dataclass(frozen=True)
class ReferenceValues:
    """The job: f and its derivatives up to ``order``, at the inputs of ``dtype``."""

    call: Call
    dtype: np.dtype[Any]
    order: int

    def __call__(self, _: Mapper, progress: Progress, /) -> Reference:
        """Computes the reference values."""
        every = every_number(self.dtype)
        x = hard_inputs(self.call, self.dtype, self.order) if every is None else every
        found = exact_orders(self.call, x, self.order + 1, Rounding(self.dtype), progress)
        known = np.all([each.known for each in found], axis=0)
        if every is None:
            return Reference(x[known], tuple(each.rounded[known] for each in found), HARD, 0)
        values = tuple(np.where(each.known, each.rounded, np.nan) for each in found)
        return Reference(x, values, ALL, int((~known).sum()))


def hard_inputs(call: Call, dtype: np.dtype[Any], order: int) -> Array:
    """Inputs where kernels go wrong, numbers of the format, ascending, NaN last; zero has both signs."""
    activation = call.activation
    assert isinstance(activation, Elementwise)
    facts: Any = ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]
    points = [*_ends(facts), *_spread(facts), *activation.break_points(call.scalars)]
    points += _roots(activation, call, order)
    centre = _beside(np.array(points), dtype)
    x = np.concatenate([centre, _hard_to_round(call, dtype, order)])
    x = np.unique(doubles(round_to(x[np.isfinite(x)], dtype)))
    x = np.concatenate([x[x != 0], [-0.0, 0.0, -math.inf, math.inf]])
    return np.concatenate([x[np.argsort(x, kind="stable")], [math.nan]])


def _ends(facts: Any) -> Iterator[float]:
    for value in (facts.smallest_subnormal, facts.smallest_normal, facts.max):
        yield from (float(value), -float(value))
    for share in (0.25, 0.5, 0.75):
        yield from (share * float(facts.smallest_normal), -share * float(facts.smallest_normal))


def _spread(facts: Any) -> Iterator[float]:
    yield from np.linspace(-30.0, 30.0, 2001).tolist()
    low, high = math.log2(float(facts.smallest_normal)), math.log2(float(facts.max))
    for sign in (1.0, -1.0):
        yield from (sign * np.exp2(np.arange(math.ceil(low), math.floor(high)))).tolist()
        yield from (sign * np.exp2(np.linspace(math.log2(30.0), high, 200, endpoint=False))).tolist()


def _roots(activation: Elementwise, call: Call, order: int) -> list[float]:
    """Where an order, or the next, changes its sign, found by bisection."""
    grid = np.linspace(-30.0, 30.0, 6001) + 1e-3

    def values(x: Array, which: int) -> Array:
        with np.errstate(all="ignore"):
            order: Array = activation.orders(x, 3, **call.scalars)[which]
            return order

    found: list[float] = []
    for which in range(min(order + 2, 3)):
        sign = np.sign(values(grid, which))
        places = np.flatnonzero(sign[1:] * sign[:-1] < 0)[:CLOSEST]
        found += _halved(lambda x, which=which: values(x, which), grid[places], grid[places + 1])  # type: ignore[misc]
    return found


def _halved(values: Callable[[Array], Array], low: Array, high: Array) -> list[float]:
    """For each interval at whose ends the signs differ, a point where they change, to the last bit."""
    left = np.sign(values(low))
    for _ in range(60):
        middle = (low + high) / 2
        same = np.sign(values(middle)) == left
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return [*low.tolist(), *high.tolist()]


def _beside(x: Array, dtype: np.dtype[Any]) -> Array:
    """The numbers of the format next to ``x`` and their neighbours."""
    held = round_to(x, dtype)
    with np.errstate(over="ignore"):  # beyond the largest number
        up, down = (np.nextafter(held, dtype.type(to)) for to in (math.inf, -math.inf))
    return np.concatenate([doubles(each) for each in (held, up, down)])


def _hard_to_round(call: Call, dtype: np.dtype[Any], order: int) -> Array:
    """The numbers, of many drawn at random, whose answers lie closest to the middle between two numbers."""
    chance = np.random.default_rng(0)
    count = DRAWN[dtype == DOUBLE]
    near, far = chance.uniform(-10, 10, count // 2), np.exp2(chance.uniform(-30, 7, count // 4))
    x = np.concatenate([near, far, -far])
    x = doubles(round_to(x, dtype))
    found = exact_orders(call, x, order + 1, Rounding(dtype), ignore)
    closest = [np.argsort(_from_middle(each, dtype), kind="stable")[:CLOSEST] for each in found]
    return x[np.concatenate(closest)]


def _from_middle(exact: Exact, dtype: np.dtype[Any]) -> Array:
    """How far the exact answers lie from the middle between two numbers, in ulps."""
    with np.errstate(all="ignore"):
        ulps = np.abs((exact.value - exact.rounded) + exact.rest) / spacing(exact, dtype)
    return np.where(np.isfinite(ulps) & (ulps > 0), np.abs(0.5 - ulps), np.inf)
