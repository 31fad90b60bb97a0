"""One ``.npy`` array as a body: https://numpy.org/neps/nep-0001-npy-format.html.

Only real numbers pass; nothing is ever unpickled, and nothing is allocated before the header's claim has been
held against the bytes that are there.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from app.wire.errors import Unsuitable
from app.wire.nested import DEEPEST

_NAMED = frozenset(map(np.dtype, ("f8", "f4", "f2")))

LONGEST_HEADER = 10_000
"""Bytes of header that are read; NumPy's own writers stay below 200."""


class Header(NamedTuple):
    """What a ``.npy`` file says of its array, and where the array starts."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]
    start: int


def loads(body: bytes) -> NDArray[np.float64]:
    """The array in ``body`` as float64; raises `Unsuitable`."""
    shape, fortran_order, dtype, start = header(body)
    # float64 holds every value of these kinds, integers beyond 2^53 rounded as JSON's are.
    if dtype.kind not in "fiu" or dtype.itemsize > 8:
        raise Unsuitable("the array must hold integers or floats of at most 64 bits")
    if math.prod(shape) * dtype.itemsize != len(body) - start:
        raise Unsuitable("the header's shape and the number of bytes after it do not agree")
    flat = np.frombuffer(body, dtype, offset=start)
    return flat.reshape(shape, order="F" if fortran_order else "C").astype(np.float64, order="C", copy=False)


def header(body: bytes) -> Header:
    """The header at the beginning of ``body``; raises `Unsuitable`."""
    stream = io.BytesIO(body)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    try:
        shape, fortran_order, dtype = readers[npy.read_magic(stream)](stream, max_header_size=LONGEST_HEADER)
    except Exception:  # noqa: BLE001 - the header is a Python literal: parsing it can fail in any way
        raise Unsuitable("no valid .npy header, version 1.0 or 2.0, where one must be") from None
    if len(shape) > DEEPEST:
        raise Unsuitable(f"the array has more than {DEEPEST} axes")
    if not all(type(length) is int and length >= 0 for length in shape):  # True is an int too, and a lie
        raise Unsuitable("the header's shape must be whole numbers")
    return Header(shape, fortran_order, dtype, stream.tell())


def dumps(array: NDArray[Any]) -> bytes:
    """``array`` as a ``.npy`` file. Formats that ``.npy`` has no name for travel as float32, exactly."""
    plain = np.ascontiguousarray(_named(array))
    return b"".join((_header(plain.dtype, plain.shape), _memory(plain)))


def stacked(arrays: Sequence[NDArray[Any]]) -> list[bytes | memoryview]:
    """What `dumps` makes of equally shaped ``arrays`` along a new first axis: in pieces, and not copied."""
    plain = [np.ascontiguousarray(_named(array)) for array in arrays]
    return [_header(plain[0].dtype, (len(plain), *arrays[0].shape)), *map(_memory, plain)]


def _named(array: NDArray[Any]) -> NDArray[Any]:
    return array if array.dtype in _NAMED else array.astype(np.float32)


def _header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    stream = io.BytesIO()
    described = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    npy.write_array_header_1_0(stream, described)
    return stream.getvalue()


def _memory(array: NDArray[Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data
