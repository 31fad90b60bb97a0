"""JSON bodies with large arrays, parsed without creating a Python object for every number.

simdjson parses them, and gives arrays as buffers. Its `as_buffer` flattens any nesting, so the shape is found
separately, and the lengths of all rows are compared.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from app.wire import json_outline, parser
from app.wire.errors import Malformed, Unsuitable
from app.wire.json_arrays import NOT_JSON, PIECE
from app.wire.json_outline import MOST_KEYS, MOST_VALUES
from app.wire.nested import DEEPEST

_BOM = b"\xef\xbb\xbf"


def loads(body: bytes | bytearray, arrays: Collection[str] = (), most: int | None = None) -> Any:
    """The JSON document ``body``, with every array in the top-level fields ``arrays`` as an ndarray.

    If such a field is an object, the same holds for its own fields; if it is a list of objects, each object
    is treated like the document. What is not an array of numbers is left as nested lists, for validation to
    report what is wrong with it.

    Raises `Malformed` for anything but JSON in UTF-8 without a byte order mark, for a number that no float64
    can hold, for a duplicate key, for more than `MOST_VALUES` values, and for nesting that is too deep;
    `Unsuitable` for an object of more than `MOST_KEYS` keys and for U+0000 in a key; `LimitExceeded` for more
    than ``most`` numbers or rows in one array of a long document.
    """
    if not body:
        raise Malformed("the body is empty")
    if body.startswith(_BOM):
        raise Malformed("JSON starts with a byte order mark; send plain UTF-8")
    if len(body) > PIECE:
        return json_outline.loads(body, arrays, most, lambda rest: _parsed(rest, arrays))
    return _parsed(bytes(body), arrays)


def _parsed(body: bytes, arrays: Collection[str]) -> Any:
    """The document, which must be short enough to be parsed as a whole.

    simdjson's element counts are limited to 2²⁴ − 1, and pysimdjson sizes memory by them: longer arrays never
    reach it.
    """
    try:
        document = parser.Parser().parse(body)
    except (ValueError, RuntimeError) as error:
        return _beyond_64_bits(body, error)
    try:
        return _read(document, body, arrays)
    except RecursionError:
        raise Malformed("nested too deeply") from None
    except KeyError:  # simdjson looks a key up to its first U+0000
        raise Unsuitable("a key contains the character U+0000") from None


def _read(document: Any, body: bytes, arrays: Collection[str]) -> Any:
    if not isinstance(document, parser.Object):
        return _Reader(arrays, trusted=False).plain(document)
    # simdjson's buffers hide nesting: [1, [2]] looks like [1, 2]. The number of brackets differs.
    reader = _Reader(arrays, trusted=True)
    fields = reader.fields(document)
    if reader.brackets == body.count(b"["):
        return fields
    return _Reader(arrays, trusted=False).fields(document)


class _Reader:
    """Converts parsed JSON to Python values and counts the brackets on the way."""

    def __init__(self, arrays: Collection[str], *, trusted: bool) -> None:
        self._arrays = arrays
        self._trusted = trusted
        self._values = 0
        self.brackets = 0

    def fields(self, document: parser.Object) -> dict[str, Any]:
        return {
            key: self._field(document[key]) if key in self._arrays else self.plain(document[key])
            for key in _keys(document)
        }

    def plain(self, value: Any) -> Any:
        self._count()
        if isinstance(value, parser.Object):
            return {key: self.plain(value[key]) for key in _keys(value)}
        if isinstance(value, parser.Array):
            self.brackets += 1
            return [self.plain(each) for each in value]
        return value

    def _field(self, value: Any) -> Any:
        self._count()
        if isinstance(value, parser.Object):
            return {key: self._field(value[key]) for key in _keys(value)}
        if not isinstance(value, parser.Array):
            return value
        if len(value) and isinstance(value[0], parser.Object):
            self.brackets += 1
            return [self._element(each) for each in value]
        array = self._buffered(value) if self._trusted else None
        return value.as_list() if array is None else array

    def _element(self, value: Any) -> Any:
        self._count()
        return self.fields(value) if isinstance(value, parser.Object) else self.plain(value)

    def _count(self) -> None:
        self._values += 1
        if self._values > MOST_VALUES:
            raise Malformed(f"more than {MOST_VALUES:,} values outside arrays of numbers")

    def _buffered(self, value: parser.Array) -> NDArray[np.float64] | None:
        """The array from its buffer, or None if it is not clearly numbers in equal rows."""
        shape, count = _shape(value)
        if shape is None:
            return None
        try:
            flat = np.frombuffer(value.as_buffer(of_type="d"), dtype=np.float64)
        except (TypeError, ValueError):
            return None
        if flat.size != math.prod(shape):
            return None
        self.brackets += count
        return flat.reshape(shape)


def _shape(value: parser.Array) -> tuple[tuple[int, ...] | None, int]:
    """The shape, or None if rows differ in length, and the number of arrays."""
    level = [value]
    shape = [len(value)]
    count = 1
    while len(shape) <= DEEPEST and shape[-1] and isinstance(level[0][0], parser.Array):
        children = [row for array in level for row in array]
        level = [row for row in children if isinstance(row, parser.Array)]
        if len(level) != len(children):
            return None, count
        lengths = set(map(len, level))
        if len(lengths) != 1:
            return None, count
        shape.append(lengths.pop())
        count += len(level)
    return tuple(shape), count


def _keys(document: parser.Object) -> list[str]:
    """The object's keys, for looking up each value: `items()` would convert all values to Python objects."""
    if len(document) > MOST_KEYS:
        raise Unsuitable(f"an object has {len(document):,} keys; the limit is {MOST_KEYS}")
    keys = list(document.keys())
    if len(set(keys)) != len(keys):
        raise Malformed("a key is given twice in one object")
    return keys


def _beyond_64_bits(body: bytes, error: Exception) -> Any:
    """The document if only simdjson refuses it: JSON allows integers of 64 bits and more."""
    if not {"NUMBER_ERROR", "BIGINT_ERROR"} & set(str(error).replace(":", " ").split()):
        raise Malformed(NOT_JSON) from None
    if len(body) > PIECE:
        raise Malformed("an integer of more than 64 bits, outside an array of numbers")
    try:
        orjson.loads(body)  # refuses lone surrogates, bare NaN and numbers beyond float64
        return json.loads(body, object_pairs_hook=unique, parse_int=_integer)
    except orjson.JSONDecodeError:
        raise Malformed("the body is not valid JSON, or holds a number that no float64 can hold") from None
    except RecursionError:
        raise Malformed("nested too deeply") from None


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these ``pairs``; raises `Malformed` for a duplicate key."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Malformed("a key is given twice in one object")
    return fields


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) < 19 else float(digits)
