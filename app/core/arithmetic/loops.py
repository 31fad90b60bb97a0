"""A kernel: a function of one number, compiled into loops over arrays.

The function takes x and the parameters, all floats, and returns f, f′ and f″ (or whatever else belongs to x)
as `Scaled` numbers. Compiled, a loop over it keeps everything between x and the results in registers, and
what leads to a result that nobody asked for is left out. NumPy would pass over memory once for each
operation, ten to fifty times.

A loop differs from another in what becomes of a result: it is rounded to the nearest double; rounded to odd,
for a shorter format; cut to its high part, for networks in float32, so that the compiler leaves out what only
low parts need; multiplied by an upstream gradient first; or added up.

For correctly rounded float32 results there is a quick loop: it rounds high parts, and marks the numbers whose
results lie so near the middle of two float32 numbers that further digits decide: about one in ten thousand.
Those are computed again (Ziv 1991).

A function may take ``ordinary`` as its last argument. It is true in a loop of its own, for arrays whose
numbers and parameters need neither separate exponents nor special treatment at the ends of the doubles. As it
holds for the whole array, the compiler leaves out what only those need. Both loops give the same bits.

In the quick loop it is `ROUGH`: the function's parts are computed in fewer steps there, its results are right
to `SLACK` or NaN, and numbers that are not ordinary are marked. A function that takes ``rough`` as its last
argument distinguishes only this loop, and accepts every float32 but infinities and NaN there.
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
from app.core.arithmetic.compiled import MANY_REGISTERS, VECTORS, Compiled, full_name
from app.core.arithmetic.double_double import ROUGH, Scaled, scalar
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
Unsigned: TypeAlias = Any  # NumPy's integers without a sign

FEW = 64
"""Up to this many numbers it takes less time to compute all digits than to check which numbers need them."""

SLACK = 2.0**-39
"""The relative error of the high part, where it is known to be small."""

Ends: TypeAlias = tuple[float, float, float]
"""From what size on numbers are plain in the quick loop, up to what size, and up to what size it takes them.

What is plain has no results that are subnormal, infinite, NaN, or −0: nothing is sought there.
"""

_VECTORS_OF_ROUGH = 10
"""Side by side in the quick loop: a rough answer is one long chain of steps, and holds few numbers at a time.

On a Zen 5 kernels of exponentials take 0.71 to 0.92 of the time with four, and 0.73 to 0.93 by AVX2 alone.
"""

_NOWHERE: Ends = 0.0, 0.0, 0.0

_LEAST_PLAIN = 2.0**-40

_FAR = 2.0**60
"""Products of numbers between this and its inverse are normal ones in float32."""

_WIDEST_FLOAT32 = float(np.finfo(np.float32).max)

_NARROWEST = 16.0
"""If parameters narrow the range of ordinary numbers to less than this, trying the quick loop rarely pays."""

_ROUNDINGS: dict[Rounding, Any] = {
    "nearest": nearest_double,
    "finite": ordinary_double,
    "odd": odd_double,
    "finite odd": ordinary_odd_double,
    "high": high_double,
}


class Kernel:
    """The loops of one ``function``."""

    def __init__(
        self,
        function: Function,
        *,
        places: Collection[str] = (),
        low: Low = "small",
        ties: bool = False,
        linear: bool = False,
        plain: float = 12.0,
        vectors: int = VECTORS,
        exact_infinities: bool = False,
    ) -> None:
        """Describes the function.

        Args:
            function: of x and the parameters.
            places: the parameters that are compared with x, and neither multiply nor divide it.
            low: what is known of the results' low parts where the quick loop takes all steps. They are 0, or
                below `SLACK` of the high parts, or may be anything, where a result is the small difference
                of larger terms.
            ties: whether many a result is the middle of two float32 numbers. Its low part is 0 then, in the
                quick loop too, where else it means nothing.
            linear: whether each result is x, a parameter, a product of both, or 0 or 1.
            plain: up to what size numbers, times and by the parameters, have results of 2⁻¹²⁵ at least, or 0,
                where a rough answer is possible; from 2⁻⁴⁰ on.
            vectors: how many the loop for ordinary numbers takes side by side, where there are registers
                enough; measured.
            exact_infinities: whether the low part of an infinite result is 0, so that parts are added without
                a look at them.
        """
        self.low = low
        self._ties = ties
        self._linear = linear
        self._plain = plain
        self._vectors = vectors if MANY_REGISTERS else VECTORS
        self._exact_infinities = exact_infinities
        self.name = full_name(function)
        self.function = scalar(function)
        """The compiled function itself, for use in other kernels."""
        _, *names = signature(function).parameters
        self._parameters = [name for name in names if name not in {"ordinary", "rough"}]
        self._places = places
        self.knows_ordinary = "ordinary" in names
        """Whether there is a separate loop for ordinary numbers."""
        self.knows_rough = self.knows_ordinary or "rough" in names
        """Whether the quick loop takes fewer steps."""
        self._ordinary = _specialised(self.function, True)
        self._rough = _specialised(self.function, ROUGH) if self.knows_rough else self.function

    def write(
        self, x: Array, rows: Collection[Array], params: dict[str, Value], *, odd: bool = False
    ) -> None:
        """Writes f(x), f′(x), … into as many ``rows``, each contiguous and one-dimensional like x.

        Parameters are floats or arrays of x's length. All is computed in double precision at least. Rows of
        float32 for an x of float32 are correctly rounded where ``odd`` is asked for, which leads there.
        """
        values, arrays = self._values(x, params)
        if x.dtype == np.float32 and odd and self.low != "none":
            ends = self._ends(values) if x.size > FEW else _NOWHERE
            if ends[2] >= _NARROWEST:
                self._write_quickly(x, rows, values, arrays, ends)
            else:
                self._write(x.astype(np.float64), rows, values, arrays, False, "odd")
            return
        ordinary = self.knows_ordinary and x.size > FEW and _is_ordinary(x, self._factors(values))
        finite = ordinary or (self._exact_infinities and not odd)
        rounding = "high" if x.dtype == np.float32 else _rounding(odd=odd, finite=finite)
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
        name = f"{self.name}.ordinary" if ordinary else self.name
        function = self._ordinary if ordinary else self.function
        dtypes = x.dtype, next(iter(rows)).dtype
        vectors = self._vectors if ordinary else VECTORS
        loop = _writing(name, function, rounding, dtypes, len(rows), len(values), arrays, vectors=vectors)
        loop(x, *rows, tuple(values))

    def _write_quickly(
        self, x: Array, rows: Collection[Array], values: list[Any], arrays: bool, ends: Ends
    ) -> None:
        """The high parts; then all digits again where these decide, or x is too large."""
        marks, noted = np.empty(x.size, np.bool_), np.empty(x.size + 1, np.intp)
        end = _unless_exact if self._ties else _unless_sure
        vectors = _VECTORS_OF_ROUGH if self.knows_rough and not self._ties else VECTORS
        loop = _quickly(self.name, self._rough, end, len(rows), len(values), arrays, vectors=vectors)
        loop(x, *rows, marks, tuple(values))
        doubtful = noted[: _DOUBTFUL[len(rows) - 1](x, tuple(rows), marks, noted, ends)]
        if not doubtful.size:
            return
        again = np.empty((len(rows), doubtful.size), np.float32)
        own = [value[doubtful] for value in values] if arrays else values
        self._write(x[doubtful].astype(np.float64), again, own, arrays, False, "odd")
        for row, each in zip(rows, again, strict=True):
            row[doubtful] = each

    def _ends(self, values: list[Any]) -> Ends:
        if self._ties:
            return 0.0, _WIDEST_FLOAT32, _WIDEST_FLOAT32
        if self._linear:
            within = _growth(self._factors(values)) <= _FAR
            return (1 / _FAR, _FAR, _WIDEST_FLOAT32) if within else (0.0, 0.0, _WIDEST_FLOAT32)
        if self.knows_ordinary:
            growth = _growth(self._factors(values))
            return _LEAST_PLAIN, self._plain / growth, LARGEST_ORDINARY / growth
        if self.knows_rough:
            return _LEAST_PLAIN, self._plain, _WIDEST_FLOAT32
        return (0.0, 0.0, _WIDEST_FLOAT32) if self.low == "small" else _NOWHERE

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
        loop = _summing(self.name, self.function, place, len(values), arrays)
        loop(x, upstream, odd, empty_sum(), tuple(np.empty((3, int(_AT_A_TIME)))), out, tuple(values))
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


def _rounding(*, odd: bool, finite: bool) -> Rounding:
    """Of whole results."""
    if finite:
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
    *,
    vectors: int = VECTORS,
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
    signature = (read, *[write] * count, params)
    return Compiled((one, two, three)[count - 1], [signature], f"{name}.{rounding}", vectors=vectors)


@cache
def _quickly(
    name: str,
    function: Function,
    end: Any,
    count: int,
    parameters: int,
    arrays: bool,
    *,
    vectors: int = VECTORS,
) -> Compiled:
    """Writes the high parts of the first ``count`` results in float32; marks those that ``end`` doubts."""
    at = _AT[parameters if arrays else 0]

    def one(x: Array, f: Array, marks: Array, params: Any) -> None:
        for i in range(x.size):
            f[i], first = end(function(np.float64(x[i]), *at(params, i))[0])
            marks[i] = first == 0

    def two(x: Array, f: Array, slope: Array, marks: Array, params: Any) -> None:
        for i in range(x.size):
            results = function(np.float64(x[i]), *at(params, i))
            f[i], first = end(results[0])
            slope[i], second = end(results[1])
            marks[i] = min(first, second) == 0

    def three(x: Array, f: Array, slope: Array, curvature: Array, marks: Array, params: Any) -> None:
        for i in range(x.size):
            results = function(np.float64(x[i]), *at(params, i))
            f[i], first = end(results[0])
            slope[i], second = end(results[1])
            curvature[i], third = end(results[2])
            marks[i] = min(first, second, third) == 0

    read, write, params = _types(types.float32, parameters, arrays)
    signature = (read, *[write] * count, _MARKS, params)
    return Compiled((one, two, three)[count - 1], [signature], f"{name}.quick", vectors=vectors)


_MARKS = types.Array(types.boolean, 1, "C")
_NOTHING, _HANDFUL, _PIECE = np.uint64(0), np.uint64(64), np.uint64(1024)

_STEP = np.int64(SLACK * 2**53)
"""A number's `SLACK` in units of a double's last place, or more."""

_BEYOND_SINGLE = np.int64(2**29 - 2 * SLACK * 2**53)
"""The digits of a double that a float32 has no room for, but for those that count less than twice that."""

_MIDDLE, _SURE, _EXACT = np.int64(2**28), np.int64(2**29), np.int64(0)
"""These digits in the middle of two float32 numbers, and so near above it; what they never are."""

_TINY = 2.0**-126
"""Numbers below have fewer digits in float32."""


@scalar
def _unless_sure(a: Scaled) -> tuple[Any, Any]:
    """A high part in float32, and 0 if a number within `SLACK` of it may be rounded to another.

    It is rounded from a little further out, so that what is rounded to 0 is no larger than half the smallest
    float32. Infinities become NaN, and other subnormal results are in doubt too: see `_mark_strange`.
    """
    bits = np.float64(high_double(a)).view(np.int64) + _STEP
    return np.float32(np.int64(bits).view(np.float64)), (bits & _BEYOND_SINGLE) ^ _MIDDLE


@scalar
def _unless_exact(a: Scaled) -> tuple[Any, Any]:
    """The same where a low part of 0 takes away all doubt, for subnormal results too.

    All others that are subnormal are in doubt, so that no high part needs to be moved before it is rounded.
    """
    high = high_double(a)
    beyond = ((np.float64(high).view(np.int64) + _STEP) & _BEYOND_SINGLE) ^ _MIDDLE
    doubt = _EXACT if abs(high) < _TINY else beyond
    return np.float32(high), _SURE if a.low == 0 else doubt


_ZERO, _ONE, _LAST = np.uint32(0), np.uint32(1), np.uint32(31)
_LEAST, _INFINITE = np.uint32(2**24 + 1), np.uint32(255 * 2**24)
"""The bits of −2⁻¹²⁶, to which a number just above it may have been rounded, and of ∞: see `_size`."""


@scalar
def _mark_strange(row: Array, marks: Array, start: Unsigned, stop: Unsigned) -> None:
    """Marks results that are subnormal, where a float32 has fewer digits, infinite or NaN.

    Negative zeros too, which a low part may have made positive ones.
    """
    least, most = _INFINITE, _ZERO
    for i in range(start, stop):
        size = _size(row[i])
        least, most = min(least, _less(size)), max(most, size)
    if least < _LEAST or most >= _INFINITE:
        for i in range(start, stop):
            size = _size(row[i])
            marks[i] |= (_less(size) < _LEAST) | (size >= _INFINITE)


@scalar
def _size(value: float) -> Unsigned:
    """The bits of a float32, that of its sign moved to the end."""
    bits = np.float32(value).view(np.uint32)
    return np.uint32(np.uint32(bits << _ONE) | np.uint32(bits >> _LAST))


@scalar
def _less(size: Unsigned) -> Unsigned:
    """The next smaller; the largest of all for 0."""
    return np.uint32(size - _ONE)


@scalar
def _within(x: Array, first: float, last: float, start: Unsigned, stop: Unsigned) -> bool:
    """Whether all sizes are between the two."""
    least, most = _INFINITE, _ZERO
    for i in range(start, stop):
        size = _bits(x[i])
        least, most = min(least, size), max(most, size)  # NaN's are larger than those of infinities
    return bool(least >= _bits(first) and most <= _bits(last))


@scalar
def _bits(x: float) -> Unsigned:
    """The bits of |x| in float32."""
    return np.float32(abs(x)).view(np.uint32)


@scalar
def _mark_far(x: Array, marks: Array, reach: float, start: Unsigned, stop: Unsigned) -> None:
    """Marks numbers beyond ``reach``, and NaN."""
    for i in range(start, stop):
        marks[i] |= _bits(x[i]) > _bits(reach)


@scalar
def _note(marks: Array, noted: Array, found: Unsigned, start: Unsigned, stop: Unsigned) -> Unsigned:
    """Notes the indices of marked numbers after the ``found`` ones, and returns how many they are then."""
    if not _some(marks, start, stop):
        return found
    for first in range(start, stop, _HANDFUL):
        last = min(first + _HANDFUL, stop)
        if _some(marks, first, last):
            for i in range(first, last):
                noted[found] = i
                found += np.uint64(marks[i])
    return found


@scalar
def _some(marks: Array, start: Unsigned, stop: Unsigned) -> bool:
    """Whether any is set."""
    some = False
    for i in range(start, stop):
        some |= marks[i]
    return some


def _doubtful(x: Array, rows: Any, marks: Array, noted: Array, ends: Any) -> Any:
    """Notes which numbers are in doubt, those marked and the strange ones, and returns how many there are.

    It goes piece by piece, and indices have no sign: loops need no look for negative ones.
    """
    found, size = _NOTHING, np.uint64(x.size)
    for start in range(_NOTHING, size, _PIECE):
        stop = min(start + _PIECE, size)
        if not _within(x, ends[0], ends[1], start, stop):
            for row in rows:
                _mark_strange(row, marks, start, stop)
            if not _within(x, 0.0, ends[2], start, stop):
                _mark_far(x, marks, ends[2], start, stop)
        found = _note(marks, noted, found, start, stop)
    return found


def _doubtful_in(count: int) -> Compiled:
    read, row, ends = _types(types.float32, 3, False)
    rows = types.Tuple([row] * count)  # type: ignore[no-untyped-call]
    noted = types.Array(types.intp, 1, "C")
    return Compiled(_doubtful, [(read, rows, _MARKS, noted, ends)], f"{__name__}.doubtful")


_DOUBTFUL = [_doubtful_in(count) for count in (1, 2, 3)]
"""For so many results a number."""


@cache
def _pulling(name: str, function: Function, rounding: Rounding, parameters: int, arrays: bool) -> Compiled:
    at, end = _AT[parameters if arrays else 0], odd_product if rounding == "odd" else _ROUNDINGS[rounding]

    def pull(x: Array, upstream: Array, out: Array, params: Any) -> None:
        for i in range(x.size):
            slope = normal(function(x[i], *at(params, i))[1])
            out[i] = end(times(slope, apart(upstream[i])))

    read, write, params = _types(types.float64, parameters, arrays)
    return Compiled(pull, [(read, read, write, params)], f"{name}.pull.{rounding}")


_AT_A_TIME = np.uint64(256)
"""Results that are computed, by vector instructions, before they are added up one by one."""


@cache
def _summing(name: str, function: Function, place: int, parameters: int, arrays: bool) -> Compiled:
    at = _AT[parameters if arrays else 0]

    def add_up(
        x: Array, upstream: Array, odd: bool, digits: Digits, parts: Any, out: Array, params: Any
    ) -> None:
        members = x.size // out.size if out.size else 0
        high, low, exponent = parts
        for group in range(out.size):
            clear(digits)
            strange = 0.0
            end = np.uint64((group + 1) * members)
            for start in range(np.uint64(group * members), end, _AT_A_TIME):
                stop = min(start + _AT_A_TIME, end)
                for i in range(start, stop):
                    result = function(x[i], *at(params, i))[place]
                    high[i - start], low[i - start], exponent[i - start] = result
                for i in range(start, stop):
                    each = Scaled(high[i - start], low[i - start], exponent[i - start])
                    strange += add_product(digits, each, upstream[i])
            out[group] = rounded_sum(digits, odd) if strange == 0 else strange

    read, write, params = _types(types.float64, parameters, arrays)
    digits = types.Array(types.int64, 1, "C")
    parts = types.UniTuple(write, 3)  # type: ignore[no-untyped-call]
    signature = (read, read, types.boolean, digits, parts, write, params)
    return Compiled(add_up, [signature], f"{name}.sums.{place}")


def _specialised(function: Function, ordinary: int) -> Function:
    return scalar(lambda x, *params: function(x, *(params + (ordinary,))))  # noqa: RUF005 - as numba takes it


def _is_ordinary(x: Array, factors: list[Value]) -> bool:
    """Whether all of x is ordinary, its products with all factors, and its quotients by them."""
    least, most = _sizes(x)
    within = most * _growth(factors) <= LARGEST_ORDINARY
    return within and (least >= SMALLEST_ORDINARY or most == 0)


def _growth(factors: list[Value]) -> float:
    """How many times larger a product with all of the factors, or quotients by them, may be."""
    growth = 1.0
    for value in factors:
        small, large = _sizes(value) if isinstance(value, np.ndarray) else (float(abs(value)),) * 2
        # NaN is larger than all others.
        growth *= max(1 / small if small > 0 else 1.0, large) if large <= LARGEST_ORDINARY else math.inf
    return growth


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
