"""A kernel's arrays in a file: safetensors, which can store short formats, or a NumPy archive.

NumPy writes arrays of ml_dtypes as raw bytes (``V2``, ``V1``) without naming the format; they are read in the
format of the request.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from app.core.arithmetic.formats import FORMATS
from app.core.errors import InvalidValue, LimitExceeded
from app.wire.errors import Unsuitable
from app.wire.nested import DEEPEST
from app.wire.sizes import size_of
from app.wire.stored import Stored, Taken, tensors

MEMBERS = ("outputs", "inputs", "derivative", "second_derivative")

_SAFETENSORS = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
}
_REFUSAL = (
    "arrays must be float64, float32, float16, in safetensors bfloat16 and float8 too, or, in a NumPy "
    "archive, the raw bytes of the dtype"
)
_LONG = (np.dtype(np.float64), np.dtype(np.float32))
"""Formats in which the numbers of a shorter one may be stored."""


class KernelArrays(NamedTuple):
    """The arrays by name, and the format of the outputs."""

    arrays: dict[str, NDArray[np.float64]]
    dtype: str


def loads(body: memoryview, dtype: str | None, most: int) -> KernelArrays:
    """The arrays in ``body``, for a kernel in the format ``dtype``, by default that of its outputs.

    Raises:
        Unsuitable: neither a safetensors file nor a NumPy archive, or broken.
        InvalidValue: an array with an unknown name or of another format.
        LimitExceeded: more than ``most`` numbers.
    """
    wanted = FORMATS.get(dtype or "")

    def archived(found: np.dtype[Any]) -> np.dtype[Any] | None:
        if found.kind == "f" and found.itemsize <= np.dtype(np.float64).itemsize:
            return found
        raw = found.kind == "V" and wanted is not None and found.itemsize == wanted.itemsize
        return wanted if raw else None

    found = tensors(body, Taken(_SAFETENSORS, archived, _REFUSAL, _check_shape))
    numbers = sum(size_of(each.shape) for each in found)
    if numbers > most:
        raise LimitExceeded("the arrays", estimate=numbers, limit=most, unit="numbers", loc=("arrays",))
    by_name = {each.name: each for each in found}
    for name in by_name:
        if name not in MEMBERS:
            raise InvalidValue(f"the file holds {', '.join(MEMBERS)} and nothing else", loc=("arrays",))
    if "outputs" not in by_name:
        raise InvalidValue("the file must hold outputs", loc=("arrays",))
    own = _name(by_name["outputs"].dtype)
    for each in found:
        _check_format(each, dtype or own)
    return KernelArrays({name: each.read() for name, each in by_name.items()}, own)


def _name(dtype: np.dtype[Any]) -> str:
    return next(name for name, each in FORMATS.items() if each == dtype.newbyteorder("="))


def _check_format(stored: Stored, dtype: str) -> None:
    own = _name(stored.dtype)
    if own != dtype and FORMATS[own] not in _LONG:
        raise InvalidValue(f"is {own}, not the requested dtype", loc=(stored.name,))


def _check_shape(shape: Sequence[int]) -> None:
    if len(shape) > DEEPEST:
        raise Unsuitable(f"an array has more than {DEEPEST} axes")
