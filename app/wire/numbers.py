"""Nested sequences of numbers to ndarrays and back to JSON text.

Non-finite numbers are the strings ``"NaN"``, ``"Infinity"`` and ``"-Infinity"`` in both directions.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from app.wire.errors import Unsuitable

NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
"""The only strings that are numbers."""

DEEPEST = 32
"""Most axes an array may have; NumPy itself ends at 64."""

PIECE = 65_536
"""Numbers encoded at a time. The interpreter is held meanwhile; between pieces other threads get a turn."""


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


def json_pieces(array: NDArray[Any]) -> Iterator[bytes]:
    """`to_json` in pieces of about `PIECE` numbers."""
    if array.ndim == 0:
        yield _number(float(array))
        return
    values = np.ascontiguousarray(array, dtype=np.float64)
    if values.shape[0] <= 1 or values.size <= PIECE:
        yield _encoded(values)
        return
    rows = max(1, PIECE * values.shape[0] // values.size)
    for start in range(0, values.shape[0], rows):
        inside = memoryview(_encoded(values[start : start + rows]))[1:-1]
        yield b"".join((b"," if start else b"[", inside))
    yield b"]"


def _encoded(values: NDArray[np.float64]) -> bytes:
    text = orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)
    finite = np.isfinite(values)
    if finite.all():
        return text
    # The encoder writes null for what JSON has no number for; nothing else in the text is a null.
    names = [_number(value) for value in values[~finite].tolist()]
    parts = text.split(b"null")
    return b"".join(chain.from_iterable(zip(parts, [*names, b""], strict=True)))


def _number(value: float) -> bytes:
    if math.isfinite(value):
        return orjson.dumps(value)
    return json.dumps(name_of(value)).encode()


def name_of(value: float) -> str:
    """What a non-finite number is called in JSON."""
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def to_lists(array: NDArray[Any]) -> Any:
    """``array`` as Python numbers in nested lists, non-finite ones as their names."""
    return orjson.loads(to_json(array))
