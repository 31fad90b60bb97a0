"""JSON bodies read while they arrive: a long array of numbers is parsed piece by piece, its text let go.

Otherwise 19 MB of digits would lie there three times, as they came, joined, and padded for the parser, which
would begin when the last byte is there and hold the interpreter until it is done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import orjson
import simdjson
from numpy.typing import NDArray

from app.wire import json_body
from app.wire.errors import WireError

Read: TypeAlias = Callable[[], Awaitable[bytes]]
"""Gives the next bytes of a document, and none behind the last."""

PIECE = 65_536
"""Bytes parsed at a time, at least; a shorter document is parsed as a whole."""

_ENDINGS = (b"[]}", b"[]}}", b"[]}]}")
"""What completes a document that breaks off before an array: a field of its own, a field of an object that is
a field, a field of an object in a list that is a field."""


async def loads(read: Read, arrays: Collection[str] = ()) -> Any:
    """What `json_body.loads` makes of all that ``read`` gives; raises as it does.

    An array in which the first piece ends is parsed as it comes; in its place, the document around it has an
    empty one until all is there.
    """
    first = await _piece(read)
    if len(first) < PIECE:
        return json_body.loads(first, arrays)
    before, _, inside = first.rpartition(b"[")
    place = _place(before, arrays) if b"]" not in inside else None
    if place is None:
        return json_body.loads(b"".join([first, *await chunks(read)]), arrays)
    array = await _array(inside, read)
    middle = b"[]" + array.left if array.closed else _written_again(array)
    fields = json_body.loads(b"".join([before, middle, *await chunks(read)]), arrays)
    if array.closed:
        _put(fields, place, array.numbers)
    return fields


async def chunks(read: Read) -> list[bytes]:
    """All that is left, as it comes."""
    left = []
    while chunk := await read():
        left.append(chunk)
    return left


async def _piece(read: Read) -> bytes:
    """The next bytes, `PIECE` of them at least but for the last; none behind those."""
    waiting: list[bytes] = []
    length = 0
    while length < PIECE and (chunk := await read()):
        waiting.append(chunk)
        length += len(chunk)
    return b"".join(waiting)


def _place(before: bytes, arrays: Collection[str]) -> list[Any] | None:
    """Keys and indices that lead to an array behind ``before``; None where none may stand there."""
    for ending in _ENDINGS:
        try:
            value = json_body.loads(before + ending, arrays)
        except WireError:
            continue
        place = []
        while isinstance(value, dict | list) and value:
            place.append(next(reversed(value)) if isinstance(value, dict) else len(value) - 1)
            value = value[place[-1]]
        return place if isinstance(value, np.ndarray) else None
    return None


def _put(fields: Any, place: list[Any], array: NDArray[np.float64]) -> None:
    *path, last = place
    for step in path:
        fields = fields[step]
    fields[last] = array


class _Array(NamedTuple):
    """What was read of an array, and the text behind it; unless it is ``closed``, this goes on with it."""

    numbers: NDArray[np.float64]
    left: bytes
    closed: bool


async def _array(text: bytes, read: Read) -> _Array:
    """The array whose inside begins with ``text``, up to where there is something else than numbers."""
    parts = [np.empty(0)]
    parser = simdjson.Parser()
    left, piece = b"", text
    while True:
        end = piece.find(b"]")
        cut = end if end >= 0 else piece.rfind(b",")
        part = _numbers(parser, b"".join([b"[", left, memoryview(piece)[: max(cut, 0)], b"]"]))
        if cut < 0 or not part.size:
            return _Array(np.concatenate(parts), left + piece, closed=False)
        parts.append(part)
        left = piece[cut + 1 :]
        if end >= 0:
            return _Array(np.concatenate(parts), left, closed=True)
        piece = await _piece(read)


def _numbers(parser: simdjson.Parser, text: bytes) -> NDArray[np.float64]:
    """The array ``text``; an empty one where it holds anything but numbers."""
    if text.rfind(b"[") > 0:  # the buffer of [1, [2]] is that of [1, 2]
        return np.empty(0)
    try:
        array: Any = parser.parse(text)
        return np.frombuffer(array.as_buffer(of_type="d"))
    except (ValueError, RuntimeError, TypeError):
        return np.empty(0)


def _written_again(array: _Array) -> bytes:
    digits = orjson.dumps(array.numbers, option=orjson.OPT_SERIALIZE_NUMPY)[:-1]
    return digits + (b"," if array.numbers.size else b"") + array.left
