"""Writes named arrays, with a statement of what they are, to a safetensors file or a NumPy archive."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from app.wire.npy import plain

STATEMENT = "metadata"
"""The member of an archive that holds the statement, as JSON in a string."""

_NAMED = frozenset({"float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"})
"""Formats that safetensors has a name for."""


def safetensors_file(arrays: Mapping[str, NDArray[Any]], statement: Mapping[str, str]) -> bytes:
    """A safetensors file of the arrays; formats that it does not know are converted to float32, exactly."""
    held = {
        name: np.ascontiguousarray(each if each.dtype.name in _NAMED else plain(each))
        for name, each in arrays.items()
    }
    return bytes(safetensors.numpy.save(held, dict(statement)))


def archive(arrays: Mapping[str, NDArray[Any]], statement: str) -> bytes:
    """A NumPy archive with the ``statement``; formats unknown to ``.npy`` become float32, exactly."""
    stream = io.BytesIO()
    members: dict[str, Any] = {name: plain(each) for name, each in arrays.items()}
    np.savez(stream, allow_pickle=False, **members, **{STATEMENT: np.array(statement)})
    return stream.getvalue()
