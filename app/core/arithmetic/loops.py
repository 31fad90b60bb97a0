"""A kernel: a function of one number, compiled into loops over arrays.

The function takes x and the parameters, all floats, and returns f, f′ and f″ (or whatever else belongs to x)
as `Scaled` numbers. Compiled, a loop over it keeps everything between x and the results in registers, and
what leads to a result that nobody asked for is left out. NumPy would pass over memory once for each
operation, ten to fifty times.

A loop differs from another in what becomes of a result: it is rounded to the nearest double; rounded to odd,
for a shorter format; cut to its high part, for networks in float32, whereupon the compiler leaves out what
only low parts need; multiplied by an upstream gradient first; or added up.

For correctly rounded float32 results there is a quick loop: it rounds high parts, and marks the numbers whose
results lie so near the middle of two float32 numbers, or are so small, that more digits have a say: about
one in half a million. Those are computed again (Ziv 1991).

A function may take ``ordinary`` as its last argument. It is true in a loop of its own, for arrays whose
numbers and parameters need neither exponents of their own nor a look at the ends of the doubles: said once
for the whole array, it lets the compiler leave out what serves only those. Both loops give the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from functools import cache
from inspect import signature
from typing import Any, Literal, TypeAlias

import numpy as np
from numba import types
from numba.np.numpy_support import from_dtype

from app.core.arithmetic import Array, Value
from app.core.arithmetic.compiled import Compiled, full_name
from app.core.arithmetic.double_double import Scaled, scalar
from app.core.arithmetic.exact_sum import Digits, add_product, clear, empty_sum, rounded_sum
from app.core.arithmetic.scaled import (
    LARGEST_ORDINARY,
    SMALLEST_ORDINARY,
    apart,
    exactly,
    high_double,
    nearest_double,
    normal,
    odd_double,
    odd_product,
    ordinary_double,
    ordinary_odd_double,
    times,
)

Function: TypeAlias = Callable[..., tuple[Scaled, ...]]
Low: TypeAlias = Literal["none", "small", "any"]
Rounding: TypeAlias = Literal["nearest", "finite", "odd", "finite odd", "high"]

FEW = 64
"""Numbers that are computed sooner with care than looked at whether they need it."""

SLACK = 2.0**-45
"""How far the high part may be from the result, relative to that, where it is known to be near."""

_ROUNDINGS: dict[Rounding, Any] = {
    "nearest": nearest_double,
    "finite": ordinary_double,
    "odd": odd_double,
    "finite odd": ordinary_odd_double,
    "high": high_double,
}


class Kernel:
    """The loops of one ``function``."""

    def __init__(self, function: Function, *, places: Collection[str] = (), low: Low = "small") -> None:
        """What is known of the function.

        Args:
            function: of x and the parameters.
            places: the parameters that are compared with x, and neither multiply nor divide it.
            low: what is known of the results' low parts. They are 0, or below `SLACK` of the high parts, or
                may be anything, where a result is the small difference of larger terms.
        """
        self.low = low
        self.name = full_name(function)
        self.function = scalar(function)
        """The compiled function itself, for other kernels."""
        _, *names = signature(function).parameters
        self._parameters = [name for name in names if name != "ordinary"]
        self._places = places
        self.knows_ordinary = "ordinary" in names
        """Whether there is a loop of its own for ordinary numbers."""
        self._ordinary = _with_ordinary(self.function)

    def write(
        self, x: Array, rows: Collection[Array], params: dict[str, Value], *, odd: bool = False
    ) -> None:
        """Writes f(x), f′(x), … into as many ``rows``, each contiguous and one-dimensional like x.

        Parameters are floats or arrays of x's length. All is computed in double precision at least. Rows of
        float32 for an x of float32 are correctly rounded where ``odd`` is asked for, which leads there.
        """
        values, arrays = self._values(x, params)
        ordinary = self.knows_ordinary and x.size > FEW and _is_ordinary(x, self._factors(values))
        single = x.dtype == np.float32
        if single and odd and self.low == "small" and x.size > FEW:
            self._write_quickly(x, rows, values, arrays, ordinary)
            return
        rounding = _rounding(odd=odd, ordinary=ordinary)
        if single and (not odd or self.low == "none"):
            rounding = "high"
        elif single:
            x = x.astype(np.float64)
        self._write(x, rows, values, arrays, ordinary, rounding)

    def _write(
        self,
        x: Array,
        rows: Collection[Array],
        values: list[Any],
        arrays: bool,
        ordinary: bool,
        rounding: Rounding,
    ) -> None:
        name, function = self._loop(ordinary)
        dtypes = x.dtype, next(iter(rows)).dtype
        loop = _writing(name, function, rounding, dtypes, len(rows), len(values), arrays)
        loop(x, *rows, tuple(values))

    def _write_quickly(
        self, x: Array, rows: Collection[Array], values: list[Any], arrays: bool, ordinary: bool
    ) -> None:
        """The high parts, then once more with care where more digits have a say."""
        name, function = self._loop(ordinary)
        marks = np.empty(x.size, np.bool_)
        loop = _marking(name, function, len(rows), len(values), arrays)
        loop(x, *rows, marks, tuple(values))
        doubtful = np.flatnonzero(marks)
        if not doubtful.size:
            return
        again = np.empty((len(rows), doubtful.size), np.float32)
        own = [value[doubtful] for value in values] if arrays else values
        x = x[doubtful].astype(np.float64)
        self._write(x, again, own, arrays, ordinary, _rounding(odd=True, ordinary=ordinary))
        for row, each in zip(rows, again, strict=True):
            row[doubtful] = each

    def _loop(self, ordinary: bool) -> tuple[str, Function]:
        """The function, and its name among the loops that are kept."""
        return (f"{self.name}.ordinary", self._ordinary) if ordinary else (self.name, self.function)

    def pull(self, x: Array, upstream: Array, params: dict[str, Value], *, odd: bool) -> Array:
        """upstream·f′(x), rounded once."""
        values, arrays = self._values(x, params)
        out = np.empty(x.shape)
        loop = _pulling(self.name, self.function, "odd" if odd else "nearest", len(values), arrays)
        loop(x, upstream, out, tuple(values))
        return out

    def sums(
        self, x: Array, upstream: Array, params: dict[str, Value], groups: int, place: int, *, odd: bool
    ) -> Array:
        """Σ upstream·r over each of as many groups of neighbours, r the result at this ``place``.

        The sums are exact sums of exact products, rounded once.
        """
        values, arrays = self._values(x, params)
        out = np.zeros(groups)
        loop = _summing(self.name, self.function, len(values), arrays)
        loop(x, upstream, place, odd, empty_sum(), out, tuple(values))
        return out

    def _factors(self, values: list[Any]) -> list[Value]:
        named = zip(self._parameters, values, strict=True)
        return [value for name, value in named if name not in self._places]

    def _values(self, x: Array, params: dict[str, Value]) -> tuple[list[Any], bool]:
        values: list[Any] = [params[name] for name in self._parameters]
        arrays = np.ndarray in map(type, values)
        if arrays:
            values = [np.broadcast_to(value, x.shape).astype(np.float64) for value in values]
        return values, arrays


def _rounding(*, odd: bool, ordinary: bool) -> Rounding:
    """Of whole results."""
    if ordinary:
        return "finite odd" if odd else "finite"
    return "odd" if odd else "nearest"


def _types(number: Any, parameters: int, arrays: bool) -> tuple[Any, Any, Any]:
    """Of an array to be read, one to be written, and the parameters."""
    # A loop for arrays that may be written to would be compiled again for those that may not.
    read, write = types.Array(number, 1, "C", readonly=True), types.Array(number, 1, "C")
    each = types.Array(types.float64, 1, "C") if arrays else types.float64
    return read, write, types.Tuple([each] * parameters)  # type: ignore[no-untyped-call]


@cache
def _writing(
    name: str,
    function: Function,
    rounding: Rounding,
    dtypes: tuple[np.dtype[Any], np.dtype[Any]],
    count: int,
    parameters: int,
    arrays: bool,
) -> Compiled:
    """Writes the first ``count`` results; ``dtypes`` are x's and theirs. The parameters may be ``arrays``."""
    at, end = _AT[parameters if arrays else 0], _ROUNDINGS[rounding]

    # A float32 is widened by NumPy's type: numba's float() would leave it what it is.
    def one(x: Array, f: Array, params: Any) -> None:
        for i in range(x.size):
            f[i] = end(function(np.float64(x[i]), *at(params, i))[0])

    def two(x: Array, f: Array, slope: Array, params: Any) -> None:
        for i in range(x.size):
            results = function(np.float64(x[i]), *at(params, i))
            f[i], slope[i] = end(results[0]), end(results[1])

    def three(x: Array, f: Array, slope: Array, curvature: Array, params: Any) -> None:
        for i in range(x.size):
            results = function(np.float64(x[i]), *at(params, i))
            f[i], slope[i], curvature[i] = end(results[0]), end(results[1]), end(results[2])

    read, _, params = _types(from_dtype(dtypes[0]), parameters, arrays)
    write = types.Array(from_dtype(dtypes[1]), 1, "C")
    return Compiled((one, two, three)[count - 1], [(read, *[write] * count, params)], f"{name}.{rounding}")


@cache
def _marking(name: str, function: Function, count: int, parameters: int, arrays: bool) -> Compiled:
    """Writes the high parts of the first ``count`` results in float32, and marks the doubtful ones."""
    at, end = _AT[parameters if arrays else 0], high_double

    def one(x: Array, f: Array, marks: Array, params: Any) -> None:
        for i in range(x.size):
            first = end(function(np.float64(x[i]), *at(params, i))[0])
            f[i] = first
            marks[i] = _doubtful(first)

    def two(x: Array, f: Array, slope: Array, marks: Array, params: Any) -> None:
        for i in range(x.size):
            results = function(np.float64(x[i]), *at(params, i))
            first, second = end(results[0]), end(results[1])
            f[i], slope[i] = first, second
            marks[i] = _doubtful(first) | _doubtful(second)

    def three(x: Array, f: Array, slope: Array, curvature: Array, marks: Array, params: Any) -> None:
        for i in range(x.size):
            results = function(np.float64(x[i]), *at(params, i))
            first, second, third = end(results[0]), end(results[1]), end(results[2])
            f[i], slope[i], curvature[i] = first, second, third
            marks[i] = _doubtful(first) | _doubtful(second) | _doubtful(third)

    read, _, params = _types(types.float32, parameters, arrays)
    write, marks = types.Array(types.float32, 1, "C"), types.Array(types.boolean, 1, "C")
    signature = (read, *[write] * count, marks, params)
    return Compiled((one, two, three)[count - 1], [signature], f"{name}.single")


@scalar
def _doubtful(value: float) -> bool:
    """Whether a number within `SLACK` of ``value`` may be rounded to another float32.

    So may a negative zero, whose low part may have made it a positive one.
    """
    bits, short = np.float64(value).view(np.int64), np.float32(value).view(np.int32)
    beyond = (bits - _MIDDLE) & _BEYOND_SINGLE
    doubt: bool = (beyond <= _WIDTH) | ((short & _SIZE <= _LEAST_NORMAL) & (bits != 0))
    return doubt


@cache
def _pulling(name: str, function: Function, rounding: Rounding, parameters: int, arrays: bool) -> Compiled:
    at, end = _AT[parameters if arrays else 0], odd_product if rounding == "odd" else _ROUNDINGS[rounding]

    def pull(x: Array, upstream: Array, out: Array, params: Any) -> None:
        for i in range(x.size):
            slope = normal(function(x[i], *at(params, i))[1])
            out[i] = end(times(slope, apart(upstream[i])))

    read, write, params = _types(types.float64, parameters, arrays)
    return Compiled(pull, [(read, read, write, params)], f"{name}.pull.{rounding}")


@cache
def _summing(name: str, function: Function, parameters: int, arrays: bool) -> Compiled:
    at = _AT[parameters if arrays else 0]

    def add_up(
        x: Array, upstream: Array, place: int, odd: bool, digits: Digits, out: Array, params: Any
    ) -> None:
        members = x.size // out.size if out.size else 0
        for group in range(out.size):
            clear(digits)
            strange = 0.0
            for i in range(group * members, (group + 1) * members):
                strange += add_product(digits, function(x[i], *at(params, i))[place], upstream[i])
            out[group] = rounded_sum(digits, odd) if strange == 0 else strange

    read, write, params = _types(types.float64, parameters, arrays)
    digits = types.Array(types.int64, 1, "C")
    signature = (read, read, types.intp, types.boolean, digits, write, params)
    return Compiled(add_up, [signature], f"{name}.sums")


_BEYOND_SINGLE = np.int64(2**29 - 1)
"""The digits of a double that a float32 has no room for."""

_MIDDLE, _WIDTH = np.int64(2**28 - SLACK * 2**53), np.int64(2 * SLACK * 2**53)
"""From where they are near the middle of two float32 numbers, and how far."""

_SIZE, _LEAST_NORMAL = np.int32(2**31 - 1), np.int32(2**23)
"""The bits of a float32 without its sign; those of 2⁻¹²⁶, below which it has fewer digits."""


def _with_ordinary(function: Function) -> Function:
    return scalar(lambda x, *params: function(x, *(params + (True,))))  # noqa: RUF005 - as numba takes it


def _is_ordinary(x: Array, factors: list[Value]) -> bool:
    """Whether all of x is ordinary, its products with all factors, and its quotients by them."""
    least, most = _sizes(x)
    for value in factors:
        small, large = _sizes(value) if isinstance(value, np.ndarray) else (float(abs(value)),) * 2
        # NaN is larger than all others.
        most *= max(1 / small if small > 0 else 1.0, large) if large <= LARGEST_ORDINARY else math.inf
    return (least >= SMALLEST_ORDINARY or most == 0) and most <= LARGEST_ORDINARY


def _sizes(values: Array) -> tuple[float, float]:
    """The least size that is not 0, or 0, and the largest, which is NaN if one is."""
    found = np.empty(2)
    (_find_32 if values.dtype == np.float32 else _find_64)(values, found)
    least, most = found.tolist()
    return least if most > 0 else 0.0, most


def _find(values: Array, found: Array) -> None:
    """Sizes are compared as integers, of which vector instructions find the least and the largest."""
    one = np.uint64(1)
    least, most = np.uint64(0) - one, np.uint64(0)
    for i in range(values.size):
        size = np.uint64(np.float64(abs(values[i])).view(np.uint64))
        most = max(most, size)
        least = min(least, size - one)  # 0 becomes the largest
    found[0], found[1] = np.uint64(least).view(np.float64), np.uint64(most).view(np.float64)


_find_64, _find_32 = (
    Compiled(
        _find, [(types.Array(number, 1, "C", readonly=True), types.float64[::1])], f"{__name__}.find.{number}"
    )
    for number in (types.float64, types.float32)
)

_AT = [
    scalar(function)
    for function in (
        lambda params, _: params,
        lambda params, i: (params[0][i],),
        lambda params, i: (params[0][i], params[1][i]),
        lambda params, i: (params[0][i], params[1][i], params[2][i]),
        lambda params, i: (params[0][i], params[1][i], params[2][i], params[3][i]),
    )
]
"""A number's own parameters, by how many of them are arrays."""


def _given(r: float) -> tuple[Scaled, Scaled]:
    return exactly(r), exactly(r)


GIVEN = Kernel(_given)
"""For numbers that are known already: their products and sums with an upstream gradient."""
