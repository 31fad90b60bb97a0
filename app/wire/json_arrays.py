"""A long array of numbers in JSON text, parsed piece by piece into an ndarray.

The parser is given one piece at a time, so that its element counts, which are limited to 2²⁴ − 1, never get
near that limit, and the GIL is held no longer than one piece takes. The pieces hold numbers and commas only.
The nesting is checked separately, from the positions of the brackets among the commas:

Let the rows of the innermost axis hold P₁ numbers, those of the next P₂, and so on. In an array of equal
rows, the c-th number is followed by j ``]`` where P₁ … Pⱼ divide c and Pⱼ₊₁ does not, and the comma after
them by j ``[``. Each Pⱼ is taken from its first row, and all later positions are compared with it.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import orjson
from numpy.typing import NDArray

from app.core.errors import LimitExceeded
from app.wire import parser
from app.wire.errors import Malformed, Unsuitable
from app.wire.nested import DEEPEST, NON_FINITE
from app.wire.sizes import MOST

PIECE = 65_536
"""Bytes parsed at a time. No number is that long."""

MOST_BRACKETS = 1000
"""Consecutive opening brackets: every JSON parser refuses deeper nesting."""

Text: TypeAlias = bytes | bytearray
Integers: TypeAlias = NDArray[np.intp]

_COMMA, _OPEN, _CLOSE = b",[]"
_BLANKS = (b" ", b"\n", b"\r", b"\t")
_NAMES = tuple(b'"' + name.encode() + b'"' for name in NON_FINITE)
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"')

_TOO_LONG = f"something in an array takes more than {PIECE:,} bytes"
NOT_JSON = "the body is not valid JSON in UTF-8"
_RAGGED = "rows of different lengths: every row must be as long as its neighbours"
_ONLY_NUMBERS = f"only numbers and the strings {b', '.join(_NAMES).decode()} are allowed"


class Read(NamedTuple):
    """An array, and where its text ends."""

    array: NDArray[np.float64]
    end: int


def read(text: Text, start: int, most: int | None = None) -> Read:
    """The array whose first bracket is at ``start``.

    Raises:
        Malformed: the text there is not JSON, as far as it was read.
        Unsuitable: it is not an array of numbers.
        LimitExceeded: more than ``most`` numbers or rows.
    """
    limit = MOST if most is None else most
    depth, place = _opened(text, start)
    leaves: _Leaves
    if text[place : place + 1] == b"]":
        leaves = _Empty()
    else:
        leaves = _Numbers(min(limit + PIECE, (len(text) - place) // 2 + 1))
    rows = _Rows(depth)
    count = 0
    while True:
        piece, following = _cut(text, place)
        marks = _without_strings(piece)
        end = rows.end(marks)
        added = leaves.add(piece[:end])
        if count + added > limit:
            raise LimitExceeded("an array", estimate=count + added, limit=limit, unit="numbers or rows")
        rows.check(marks[:end], count, count + added, closing=end is not None)
        count += added
        if end is not None:
            return Read(leaves.array(rows.shape(count)), place + end)
        if following >= len(text):
            raise Malformed(NOT_JSON)
        place = following


def _opened(text: Text, start: int) -> tuple[int, int]:
    """The number of brackets that the array begins with, and the place after them and blanks."""
    depth, place = 0, start
    while (mark := text[place : place + 1]) and mark in b"[ \t\n\r":
        depth += mark == b"["
        place += 1
        if depth > MOST_BRACKETS:
            raise Malformed("nested too deeply")
        if place - start > PIECE:
            raise Malformed(_TOO_LONG)
    if depth > DEEPEST:
        raise Unsuitable(f"nested deeper than {DEEPEST} levels")
    return depth, place


def _cut(text: Text, start: int) -> tuple[bytes, int]:
    """The bytes up to the last comma within `PIECE`, and where the next piece begins."""
    stop = start + PIECE
    if len(text) <= stop:
        return bytes(text[start:]), len(text)
    comma = text.rfind(b",", start, stop)
    if comma >= 0:
        return bytes(text[start:comma]), comma + 1
    if text.find(b"]", start, stop) < 0:
        raise Malformed(_TOO_LONG)
    return bytes(text[start:stop]), len(text)  # the array ends here, or nowhere


def _without_strings(piece: bytes) -> bytes:
    """The piece with zeros in place of strings, of unchanged length."""
    for name in _NAMES:
        if b'"' not in piece:
            return piece
        piece = piece.replace(name, b"0" * len(name))
    return _STRING.sub(lambda found: b"0" * len(found[0]), piece)


def _without_blanks(piece: bytes) -> bytes:
    for blank in _BLANKS:
        piece = piece.replace(blank, b"")  # four times this is faster than `translate`
    return piece


class _Leaves(Protocol):
    """The elements in an array's innermost brackets."""

    def add(self, piece: bytes) -> int:
        """Adds a piece; the number of leaves in it."""

    def array(self, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """All leaves, in this shape."""


class _Numbers:
    """Numbers, at most ``capacity`` of them."""

    def __init__(self, capacity: int) -> None:
        self._parser = parser.Parser()
        self._all = np.empty(capacity)
        self._count = 0

    def add(self, piece: bytes) -> int:
        flat = b"[" + piece.replace(b"[", b" ").replace(b"]", b" ") + b"]"
        part = self._parsed(flat)
        if part is None:
            part = _one_by_one(flat, piece)
        self._all[self._count : self._count + part.size] = part
        self._count += part.size
        return part.size

    def array(self, shape: tuple[int, ...]) -> NDArray[np.float64]:
        self._all.resize(self._count, refcheck=False)
        return self._all.reshape(shape)

    def _parsed(self, flat: bytes) -> NDArray[np.float64] | None:
        try:
            array: Any = self._parser.parse(flat)
            return np.frombuffer(array.as_buffer(of_type="d"))
        except (ValueError, RuntimeError, TypeError):
            return None


def _one_by_one(flat: bytes, piece: bytes) -> NDArray[np.float64]:
    """The numbers of a piece that the parser cannot convert: integers beyond 64 bits, and NaN and ±∞."""
    if b"{" in piece:
        raise Unsuitable(_ONLY_NUMBERS)
    try:
        values = orjson.loads(flat)
    except orjson.JSONDecodeError:
        if b"[]" in _without_blanks(piece):
            raise Unsuitable(_RAGGED) from None
        if piece.count(b'"') % 2:  # the comma that ends the piece is within a string
            raise Unsuitable(_ONLY_NUMBERS) from None
        raise Malformed("an array is not valid JSON, or holds a number that no float64 can hold") from None
    numbers = [NON_FINITE.get(each, each) if type(each) is str else each for each in values]
    if not set(map(type, numbers)) <= {int, float}:
        raise Unsuitable(_ONLY_NUMBERS)
    return np.array(numbers, dtype=np.float64)


class _Empty:
    """No numbers: each innermost pair of brackets is counted as if it held one."""

    def add(self, piece: bytes) -> int:
        if any(gap in _without_blanks(piece) for gap in (b",,", b"[,", b",]")):
            raise Malformed(NOT_JSON)
        if piece.translate(None, b"[], \n\r\t"):
            raise Unsuitable(_RAGGED)
        return piece.count(b",") + 1

    def array(self, shape: tuple[int, ...]) -> NDArray[np.float64]:
        if shape[-1] != 1:
            raise Malformed(NOT_JSON)
        return np.empty((*shape[:-1], 0))


class _Rows:
    """The row lengths of an array that begins with ``depth`` brackets, as found so far."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._closing = re.compile(rb"[ \t\n\r]*".join([rb"\]"] * depth))
        self._lengths: list[int] = []
        """P₁, P₂, …: leaves in a row of the innermost axis, of the next, and so on, once a row has ended."""
        self._pending = 0
        """Brackets that closed after the last leaf of the piece before."""

    def end(self, marks: bytes) -> int | None:
        """Where in this piece the array ends, if it does: where as many brackets close as it began with.

        They are never split, since pieces end at commas. In a ragged array so many may close before the end,
        which `check` finds.
        """
        if any(blank in marks for blank in _BLANKS):
            found = self._closing.search(marks)
            return found.end() if found else None
        place = marks.find(b"]" * self._depth)
        return place + self._depth if place >= 0 else None

    def check(self, marks: bytes, before: int, after: int, *, closing: bool) -> None:
        """Checks the brackets among the leaves from ``before`` to ``after`` against those seen so far."""
        # Of one row's brackets only the one at its end is left: to look for others is quicker than to count.
        if self._depth == 1 and b"[" not in marks and (closing or b"]" not in marks):
            return
        text = np.frombuffer(_without_blanks(marks), np.uint8)
        brackets = np.flatnonzero((text == _OPEN) | (text == _CLOSE))
        opens = text[brackets] == _OPEN
        opened, closed = brackets[opens], brackets[~opens]
        _check_neighbours(text, opened, closed)
        commas = np.flatnonzero(text == _COMMA)
        ends = before + 1 + np.searchsorted(commas, closed)
        starts = before + np.searchsorted(commas, opened)
        self._check_pairs(ends, starts, before, after)
        last = after - closing  # the end of the array ends every row
        self._check_places(ends[ends <= last], before, last)
        if closing and any(after % length for length in self._lengths):
            raise Unsuitable(_RAGGED)

    def shape(self, count: int) -> tuple[int, ...]:
        """The shape of an array of ``count`` leaves."""
        missing = self._depth - len(self._lengths)
        products = [1, *self._lengths, *[count] * missing]
        return tuple(larger // smaller for smaller, larger in pairwise(products))[::-1]

    def _check_pairs(self, ends: Integers, starts: Integers, before: int, after: int) -> None:
        """Checks that after each comma as many brackets open as close before it."""
        own = np.searchsorted(starts, before, "right")
        if own != self._pending:
            raise Unsuitable(_RAGGED)
        behind = np.searchsorted(ends, after)
        self._pending = int(ends.size - behind)
        if not np.array_equal(ends[:behind], starts[own:]):
            raise Unsuitable(_RAGGED)

    def _check_places(self, ends: Integers, before: int, last: int) -> None:
        """Checks that all rows of an axis are as long as its first one."""
        first = np.flatnonzero(np.diff(ends, prepend=-1))
        places, together = ends[first], np.diff(first, append=ends.size)
        for level in range(1, self._depth):
            found = places[together >= level]
            if len(self._lengths) < level:
                if not found.size:
                    return
                self._lengths.append(int(found[0]))
            length = self._lengths[level - 1]
            if not np.array_equal(found, np.arange(before // length * length + length, last + 1, length)):
                raise Unsuitable(_RAGGED)


def _check_neighbours(text: NDArray[np.uint8], opened: Integers, closed: Integers) -> None:
    """Checks that brackets open after another or a comma, and close before another or a comma."""
    ahead = text[opened[opened > 0] - 1]
    behind = text[closed[closed + 1 < text.size] + 1]
    opens = ((ahead == _OPEN) | (ahead == _COMMA)).all()
    if not opens or not ((behind == _CLOSE) | (behind == _COMMA)).all():
        raise Malformed(NOT_JSON)
