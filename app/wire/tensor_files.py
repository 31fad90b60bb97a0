"""Named arrays written to a file, with a statement of what they are: safetensors, or a NumPy archive."""

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
    """Arrays as they are; of a format that safetensors does not know, the same numbers in float32."""
    held = {
        name: np.ascontiguousarray(each if each.dtype.name in _NAMED else plain(each))
        for name, each in arrays.items()
    }
    return bytes(safetensors.numpy.save(held, dict(statement)))


def archive(arrays: Mapping[str, NDArray[Any]], statement: str) -> bytes:
    """Formats that NumPy does not know travel as float32, exactly; the ``statement`` is a member."""
    stream = io.BytesIO()
    members: dict[str, Any] = {name: plain(each) for name, each in arrays.items()}
    np.savez(stream, allow_pickle=False, **members, **{STATEMENT: np.array(statement)})
    return stream.getvalue()
