"""One ``.npy`` array as a body: https://numpy.org/neps/nep-0001-npy-format.html.

Only real numbers are accepted. The header is parsed with a strict grammar, in one pass: NumPy's reader
accepts any Python literal, and may take half a minute for ten kilobytes of it. Nothing is allocated before
the size in the header has been checked against the limit and the number of bytes.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from app.wire.errors import Unsuitable
from app.wire.nested import DEEPEST
from app.wire.sizes import check_size

_NAMED = frozenset(map(np.dtype, ("f8", "f4", "f2")))

LONGEST_HEADER = 10_000
"""Bytes of header that are read; those that NumPy writes stay below 200."""

_MAGIC = b"\x93NUMPY"
_LENGTH_BYTES = {b"\x01\x00": 2, b"\x02\x00": 4}
"""Size of the header's length field, in bytes, by the version of the format."""

_NO_HEADER = "no valid .npy header, version 1.0 or 2.0, where one must be"

_FIELD = re.compile(
    rb"""
    \s*+ (?:
        (?P<a>['"]) descr (?P=a) \s*+ : \s*+ (?P<b>['"]) (?P<descr> [<>|=]? [?biufcmMOSUV] [0-9]{0,4} ) (?P=b)
      | (?P<c>['"]) fortran_order (?P=c) \s*+ : \s*+ (?P<fortran_order> True | False )
      | (?P<d>['"]) shape (?P=d) \s*+ : \s*+
        \( \s*+ (?P<shape> (?: (?: [0-9]{1,19} L? \s*+ , \s*+ )++ (?: [0-9]{1,19} L? \s*+ )? )? ) \)
    )
    \s*+ (?: , \s*+ )?+
    """,
    re.VERBOSE,
)
"""One entry of the header's dictionary; Python 2 wrote an L after long integers."""


class Header(NamedTuple):
    """The header of a ``.npy`` file, and where the array starts."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]
    start: int


def loads(body: bytes | bytearray, most: int | None = None) -> NDArray[np.float64]:
    """The array in ``body`` as float64.

    Raises:
        Unsuitable: not an array of real numbers, or not of the declared size.
        LimitExceeded: more than ``most`` numbers or rows.
    """
    shape, fortran_order, dtype, start = header(body)
    # float64 holds every value of these kinds; integers beyond 2^53 are rounded, as in JSON.
    if dtype.kind not in "fiu" or dtype.itemsize > 8:
        raise Unsuitable("the array must hold integers or floats of at most 64 bits")
    if math.prod(shape) * dtype.itemsize != len(body) - start:
        raise Unsuitable("the header's shape and the number of bytes after it do not agree")
    check_size(shape, most)
    flat = np.frombuffer(body, dtype, offset=start)
    return flat.reshape(shape, order="F" if fortran_order else "C").astype(np.float64, order="C", copy=False)


def header(body: bytes | bytearray) -> Header:
    """The header at the beginning of ``body``; raises `Unsuitable`."""
    text, start = _header_text(body)
    fields: dict[str, bytes] = {}
    place = 1
    while entry := _FIELD.match(text, place):
        name = str(entry.lastgroup)
        if name in fields:
            raise Unsuitable(_NO_HEADER)
        fields[name] = entry[name]
        place = entry.end()
    if text[:1] != b"{" or text[place:].strip() != b"}" or len(fields) != 3:
        raise Unsuitable(_NO_HEADER)
    descr = fields["descr"].decode()
    try:
        # NumPy writes f1 for some float8 formats of ml_dtypes, and cannot read it back.
        dtype = np.dtype("V1" if descr.endswith("f1") else descr)
    except TypeError:  # an integer of three bytes
        raise Unsuitable(_NO_HEADER) from None
    shape = tuple(
        int(length.strip(b" \t\r\n\v\fL")) for length in fields["shape"].split(b",") if length.strip()
    )
    if len(shape) > DEEPEST:
        raise Unsuitable(f"the array has more than {DEEPEST} axes")
    return Header(shape, fields["fortran_order"] == b"True", dtype, start)


def _header_text(body: bytes | bytearray) -> tuple[bytes, int]:
    """The header's text, stripped, and where the array's bytes begin."""
    begin = len(_MAGIC) + 2
    width = _LENGTH_BYTES.get(bytes(body[len(_MAGIC) : begin]), 0)
    if not width or not body.startswith(_MAGIC):
        raise Unsuitable(_NO_HEADER)
    length = int.from_bytes(body[begin : begin + width], "little")
    start = begin + width + length
    if length > LONGEST_HEADER or start > len(body):
        raise Unsuitable(_NO_HEADER)
    return bytes(body[begin + width : start]).strip(), start


def dumps(array: NDArray[Any]) -> bytes:
    """``array`` as a ``.npy`` file. Formats without a name in ``.npy`` are converted to float32, exactly."""
    held = np.ascontiguousarray(plain(array))
    return b"".join((_header(held.dtype, held.shape), _memory(held)))


def stacked(arrays: Sequence[NDArray[Any]]) -> list[bytes | memoryview]:
    """`dumps` of ``arrays`` of one shape, stacked along a new first axis: in pieces, without copying."""
    held = [np.ascontiguousarray(plain(array)) for array in arrays]
    return [_header(held[0].dtype, (len(held), *arrays[0].shape)), *map(_memory, held)]


def plain(array: NDArray[Any]) -> NDArray[Any]:
    """The same numbers in a format that ``.npy`` has a name for."""
    with np.errstate(invalid="ignore"):  # signalling NaN
        return array if array.dtype in _NAMED else array.astype(np.float32)


def _header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    stream = io.BytesIO()
    described = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    npy.write_array_header_1_0(stream, described)
    return stream.getvalue()


def _memory(array: NDArray[Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data
