"""Nested sequences of numbers to ndarrays and back to JSON text.

Non-finite numbers are the strings ``"NaN"``, ``"Infinity"`` and ``"-Infinity"`` in both directions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
import orjson
from numpy.typing import NDArray

from app.core.errors import LimitExceeded
from app.wire.errors import Unsuitable

NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
"""The only strings that are numbers."""

DEEPEST = 32
"""Most axes an array may have; NumPy itself ends at 64."""

MOST = 2**40
"""Numbers and rows that no array has, whatever the limits of a service are."""

Piece: TypeAlias = bytes | memoryview
"""A part of a text."""

PIECE = 16_384
"""Numbers encoded at a time: a third of a millisecond of the interpreter, and text that fits a cache."""


def size_of(shape: Iterable[int]) -> int:
    """Π max(1, n): an array's numbers, and where an axis is empty the rows that it has all the same.

    An array of 10⁹ rows of nothing takes no memory as an array, and gigabytes as text.
    """
    return math.prod(max(1, length) for length in shape)


def check_size(shape: Sequence[int], most: int | None, field: str = "inputs") -> None:
    """Raises `LimitExceeded` where an array of this ``shape`` is larger than ``most`` or than any array is."""
    limit = MOST if most is None else most
    size = size_of(shape)
    if size > limit:
        raise LimitExceeded("the array", estimate=size, limit=limit, unit="numbers or rows", loc=(field,))


def to_array(value: Any) -> NDArray[np.float64]:
    """A number or nested sequences of numbers as float64, of any shape.

    Raises `Unsuitable` for ragged nesting, for booleans, nulls and other strings.
    """
    if isinstance(value, np.ndarray):
        return value.astype(np.float64, copy=False)
    level: list[Any] = [value]
    shape: list[int] = []
    while set(map(type, level)) == {list}:
        lengths = set(map(len, level))
        if len(lengths) != 1:
            raise Unsuitable("rows of different lengths: every row must be as long as its neighbours")
        shape.append(lengths.pop())
        if len(shape) > DEEPEST:
            raise Unsuitable(f"nested deeper than {DEEPEST} levels")
        level = list(chain.from_iterable(level))
    return _leaves(level).reshape(shape)


def _leaves(values: list[Any]) -> NDArray[np.float64]:
    kinds = set(map(type, values))
    if list in kinds:
        raise Unsuitable("numbers beside rows: every row must be as deep as its neighbours")
    if str in kinds:
        values = [NON_FINITE.get(each, each) if type(each) is str else each for each in values]
        kinds = set(map(type, values))
    if not kinds <= {int, float}:
        names = ", ".join(f'"{name}"' for name in NON_FINITE)
        raise Unsuitable(f"only numbers and the strings {names} are allowed")
    try:
        return np.array(values, dtype=np.float64)
    except OverflowError:
        raise Unsuitable("an integer lies beyond the range of float64") from None


def to_json(array: NDArray[Any]) -> bytes:
    """``array`` as nested JSON, every number the shortest decimal that reads back as the same float64."""
    return b"".join(json_pieces(array))


def json_pieces(array: NDArray[Any]) -> Iterator[Piece]:
    """`to_json` in pieces of at most `PIECE` numbers."""
    if array.ndim == 0:
        yield _number(float(array))
    elif size_of(array.shape) <= PIECE:
        yield _encoded(array)
    else:
        yield from _long(array)


def _long(array: NDArray[Any]) -> Iterator[Piece]:
    """The pieces of an array of several: as many rows at a time as fit, or each row in pieces of its own."""
    count = len(array)
    rows = PIECE * count // size_of(array.shape)
    yield b"["
    for start in range(0, count, max(1, rows)):
        if start:
            yield b","
        if rows:
            yield memoryview(_encoded(array[start : start + rows]))[1:-1]
        else:
            yield from json_pieces(array[start])
    yield b"]"


def _encoded(array: NDArray[Any]) -> bytes:
    values = np.ascontiguousarray(array, dtype=np.float64)
    text = orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)
    # The encoder writes null for what JSON has no number for; nothing else in the text has an n.
    if b"n" not in text:
        return text
    names = [_NAMES[name_of(value)] for value in values[~np.isfinite(values)].tolist()]
    parts = text.split(b"null")
    return b"".join(chain.from_iterable(zip(parts, [*names, b""], strict=True)))


def _number(value: float) -> bytes:
    return orjson.dumps(value) if math.isfinite(value) else _NAMES[name_of(value)]


_NAMES = {name: orjson.dumps(name) for name in NON_FINITE}


def name_of(value: float) -> str:
    """What a non-finite number is called in JSON."""
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def to_lists(array: NDArray[Any]) -> Any:
    """``array`` as Python numbers in nested lists, non-finite ones as their names."""
    return orjson.loads(to_json(array))
