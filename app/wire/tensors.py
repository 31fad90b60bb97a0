"""Tensors of the Open Inference Protocol: numbers in JSON, or raw bytes after the JSON object.

The protocol: https://github.com/kserve/open-inference-protocol; raw bytes are its binary tensor data
extension: little-endian, row-major, without gaps, in the order in which the JSON object names the tensors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.core.arithmetic.formats import FORMATS, round_to
from app.wire import json_body
from app.wire.errors import Malformed
from app.wire.nested import DEEPEST
from app.wire.sizes import MOST, size_of

DATATYPES: Mapping[str, np.dtype[Any]] = {
    "FP64": FORMATS["float64"],
    "FP32": FORMATS["float32"],
    "FP16": FORMATS["float16"],
    "BF16": FORMATS["bfloat16"],
}
"""The protocol's floating-point datatypes."""

ARRAY_FIELDS = frozenset({"inputs", "data"})
"""The fields of the JSON object that hold arrays."""


def loads(body: bytes, header_length: str | None, most: int | None = None) -> tuple[Any, memoryview]:
    """The JSON object of an inference request and the raw bytes after it.

    ``header_length`` is the header Inference-Header-Content-Length; without it all is JSON. Raises
    `Malformed`, and `LimitExceeded` for an array of more than ``most`` numbers.
    """
    length = len(body) if header_length is None else _header_length(header_length, len(body))
    document = body if length == len(body) else body[:length]
    return json_body.loads(document, ARRAY_FIELDS, most), memoryview(body)[length:]


def _header_length(text: str, most: int) -> int:
    length = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else -1
    if not 0 < length <= most:
        raise Malformed("Inference-Header-Content-Length must be the length of the JSON object in bytes")
    return length


def cut(binary: memoryview, sizes: Sequence[Any]) -> list[memoryview | None]:
    """``binary`` in pieces of these ``sizes``, one per tensor; None for a tensor whose size is None.

    Raises `Malformed` for an invalid size, and unless the sizes add up to the length of ``binary``.
    """
    if not all(size is None or _is_length(size) for size in sizes):
        raise Malformed("binary_data_size must be a number of bytes")
    if sum(size or 0 for size in sizes) != len(binary):
        raise Malformed("the sum of all binary_data_size must be the number of bytes after the JSON object")
    ends = accumulate(size or 0 for size in sizes)
    return [None if size is None else binary[end - size : end] for size, end in zip(sizes, ends, strict=True)]


def array(datatype: str, shape: Any, data: NDArray[Any] | None, binary: memoryview | None) -> NDArray[Any]:
    """The tensor of this ``shape``: a view of its raw bytes, or its numbers rounded to ``datatype``.

    Numbers may be nested like the tensor, or flat. Raises `Malformed` if shape and contents disagree, and
    unless exactly one of ``data`` and ``binary`` is given.
    """
    dtype = DATATYPES[datatype]
    if not isinstance(shape, list) or len(shape) > DEEPEST or not all(map(_is_length, shape)):
        raise Malformed(f"shape must be a list of at most {DEEPEST} lengths")
    count = math.prod(shape)
    if binary is not None and data is None:
        if len(binary) != count * dtype.itemsize:
            raise Malformed(f"binary_data_size must be the product of the shape times {dtype.itemsize}")
        _check_rows(shape)
        return np.frombuffer(binary, dtype).reshape(shape)
    if binary is not None or data is None:
        raise Malformed("either data or a binary_data_size is required")
    if data.shape not in {(count,), tuple(shape)}:
        raise Malformed("data must hold as many numbers as the shape says, flat or nested as it says")
    _check_rows(shape)
    return round_to(data.reshape(shape), dtype)


def _check_rows(shape: Sequence[int]) -> None:
    """Refuses huge axes beside an empty one, which makes the product 0 whatever they are."""
    if size_of(shape) > MOST:
        raise Malformed(f"shape has an empty axis beside more than {MOST:,} rows")


def _is_length(value: Any) -> bool:
    return type(value) is int and value >= 0  # not isinstance: True is an int too


def raw(values: NDArray[Any]) -> memoryview:
    """The raw bytes of ``values``, without a copy if they are in row-major order."""
    flat: NDArray[Any] = np.ascontiguousarray(values).reshape(-1)
    return flat.view(np.uint8).data
