"""Long JSON documents: arrays of numbers are read from the text, and the parser is given the rest.

A parser holds the GIL until it is done, which is long for hundreds of megabytes. Arrays of numbers, which
make documents long, are therefore found first and parsed piece by piece; in the text for the parser, an empty
array replaces each. The remaining text is short, or refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import orjson

from app.core.errors import LimitExceeded
from app.wire import json_arrays
from app.wire.errors import Malformed
from app.wire.json_arrays import NOT_JSON, Read, Text

LONGEST = 4 * 2**20
"""Bytes of a document besides its arrays of numbers."""

MOST_ARRAYS = 1000
"""Arrays that are read separately; further ones count towards `LONGEST`."""

Path: TypeAlias = tuple[str | int, ...]

MOST_KEYS = 200
"""Keys of one object. The parser searches them linearly, so that reading all takes quadratic time."""

MOST_VALUES = 100_000
"""Values outside arrays of numbers. Each takes a step in Python, which holds the GIL."""

_BLANK = re.compile(rb"[ \t\n\r]{0,%d}+" % LONGEST)
_MARK = re.compile(rb'["\[\]{}]')
_SCALAR = re.compile(rb"[^,\]}\[{\": \t\n\r]{1,65536}+")


class Found(NamedTuple):
    """An array of numbers, and the keys and indices that lead to it."""

    path: Path
    start: int
    read: Read


class _TooMuch(Exception):
    """The most arrays were found, or too much text between them: the rest is left to the parser."""


def loads(text: Text, arrays: Collection[str], most: int | None, parse: Callable[[bytes], Any]) -> Any:
    """The document as ``parse`` returns it, with every array in the fields ``arrays`` as an ndarray.

    Raises as ``parse`` and `json_arrays.read` do, and `Malformed` for a document of more than `LONGEST`
    bytes besides its arrays of numbers.
    """
    outline = _Outline(text, arrays, most)
    document = parse(outline.rest())
    for each in outline.found:
        _put(document, each)
    return document


def _put(document: Any, found: Found) -> None:
    *path, last = found.path
    for step in path:
        document = document[step]
    if not isinstance(document[last], np.ndarray | list) or len(document[last]):
        raise Malformed(NOT_JSON)
    document[last] = found.read.array


class _Outline:
    """The arrays of numbers in a document, found by walking through the parts that may hold some."""

    def __init__(self, text: Text, arrays: Collection[str], most: int | None) -> None:
        self._text = text
        self._arrays = arrays
        self._most = most
        self._taken = 0
        self.found: list[Found] = []
        start = self._blank(0)
        if self._at(start) == b"{":
            self._walk(start)

    def rest(self) -> bytes:
        """The document with an empty array in place of each array that was found."""
        if len(self._text) - self._taken > LONGEST:
            raise Malformed(f"what is not an array of numbers takes more than {LONGEST:,} bytes")
        pieces = []
        place = 0
        for each in self.found:
            pieces += [self._text[place : each.start], b"[]"]
            place = each.read.end
        return b"".join([*pieces, self._text[place:]])

    def _walk(self, start: int) -> None:
        try:
            self._object(start, (), given=False)
        except _TooMuch:
            pass
        except IndexError:
            raise Malformed(NOT_JSON) from None
        except RecursionError:
            raise Malformed("nested too deeply") from None

    def _object(self, start: int, path: Path, *, given: bool) -> int:
        """Walks through the object at ``start``; ``given`` means that each field may hold an array."""
        place = self._blank(start + 1)
        if self._at(place) == b"}":
            return place + 1
        for _ in range(MOST_KEYS):
            end = self._string(place)
            key = self._key(place, end)
            place = self._blank(end)
            self._expect(place, b":")
            place = self._value(self._blank(place + 1), (*path, key), given=given or key in self._arrays)
            place = self._blank(place)
            if self._at(place) == b"}":
                return place + 1
            self._expect(place, b",")
            place = self._blank(place + 1)
        raise _TooMuch

    def _objects(self, start: int, path: Path) -> int:
        """Walks through a list of objects, each like the document."""
        place, index = start, 0
        while index < MOST_VALUES:
            place = self._blank(place + 1)
            inner = (*path, index)
            place = (
                self._object(place, inner, given=False) if self._at(place) == b"{" else self._skipped(place)
            )
            place = self._blank(place)
            if self._at(place) == b"]":
                return place + 1
            self._expect(place, b",")
            index += 1
        raise _TooMuch

    def _value(self, place: int, path: Path, *, given: bool) -> int:
        """Where the value at ``place`` ends."""
        mark = self._at(place)
        if not given or mark not in (b"{", b"["):
            return self._skipped(place)
        if mark == b"{":
            return self._object(place, path, given=True)
        if self._at(self._blank(place + 1)) == b"{":
            return self._objects(place, path)
        try:
            read = json_arrays.read(self._text, place, self._most)
        except LimitExceeded as error:
            error.loc = path
            raise
        self.found.append(Found(path, place, read))
        self._taken += read.end - place
        if len(self.found) == MOST_ARRAYS:
            raise _TooMuch
        return read.end

    def _skipped(self, place: int) -> int:
        """Where the value at ``place`` ends, whose arrays are left to the parser."""
        if self._at(place) not in (b"{", b"[", b'"'):
            found = _SCALAR.match(self._text, place)
            if found is None:
                raise Malformed(NOT_JSON)
            return found.end()
        level = 0
        while True:
            mark = _MARK.search(self._text, place)
            if mark is None:
                raise Malformed(NOT_JSON)
            self._hold(mark.start())
            if mark[0] == b'"':
                place = self._string(mark.start())
            else:
                level += 1 if mark[0] in b"[{" else -1
                place = mark.end()
            if level <= 0:
                return place

    def _string(self, start: int) -> int:
        """Where the string ends that begins at ``start``."""
        self._expect(start, b'"')
        place = start
        while True:
            place = self._text.find(b'"', place + 1)
            if place < 0:
                raise Malformed(NOT_JSON)
            self._hold(place)
            slashes = place
            while self._text[slashes - 1] == ord("\\"):
                slashes -= 1
            if (place - slashes) % 2 == 0:
                return place + 1

    def _key(self, start: int, end: int) -> str:
        try:
            key: str = orjson.loads(bytes(self._text[start:end]))
        except orjson.JSONDecodeError:
            raise Malformed(NOT_JSON) from None
        return key

    def _blank(self, place: int) -> int:
        found = _BLANK.match(self._text, place)
        assert found is not None
        return found.end()

    def _at(self, place: int) -> bytes:
        """The byte at ``place``."""
        self._hold(place)
        if place >= len(self._text):
            raise IndexError
        return bytes(self._text[place : place + 1])

    def _expect(self, place: int, mark: bytes) -> None:
        if self._at(place) != mark:
            raise Malformed(NOT_JSON)

    def _hold(self, place: int) -> None:
        """Ends the walk if there is too much text besides the arrays."""
        if place - self._taken > LONGEST:
            raise _TooMuch
