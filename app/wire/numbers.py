"""Arrays to JSON text.

Non-finite numbers are the strings ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
import orjson
from numpy.typing import NDArray

from app.wire.nested import NON_FINITE, name_of
from app.wire.sizes import size_of

Piece: TypeAlias = bytes | memoryview
"""A part of a text."""

PIECE = 16_384
"""Numbers encoded at a time: this holds the GIL for a third of a millisecond, and the text fits a cache."""


def to_json(array: NDArray[Any]) -> bytes:
    """``array`` as nested JSON, every number the shortest decimal that reads back as the same float64."""
    short = 0 < array.size <= PIECE or size_of(array.shape) <= PIECE  # the first is quicker
    return _short(array) if short else b"".join(_long(array))


def json_pieces(array: NDArray[Any]) -> Iterator[Piece]:
    """`to_json` in pieces of at most `PIECE` numbers."""
    if size_of(array.shape) <= PIECE:
        yield _short(array)
    else:
        yield from _long(array)


def _short(array: NDArray[Any]) -> bytes:
    return _encoded(array) if array.ndim else _number(float(array))


def _long(array: NDArray[Any]) -> Iterator[Piece]:
    """The pieces of a long array: as many rows as fit in each, or pieces of each row."""
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
    # The encoder writes null for non-finite numbers; nothing else in the text contains an n.
    if b"n" not in text:
        return text
    names = [_NAMES[name_of(value)] for value in values[~np.isfinite(values)].tolist()]
    parts = text.split(b"null")
    return b"".join(chain.from_iterable(zip(parts, [*names, b""], strict=True)))


def _number(value: float) -> bytes:
    return orjson.dumps(value) if math.isfinite(value) else _NAMES[name_of(value)]


_NAMES = {name: orjson.dumps(name) for name in NON_FINITE}
