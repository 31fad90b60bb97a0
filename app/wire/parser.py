"""The JSON parser: simdjson, or a fallback where simdjson has no wheel, as on Python 3.14.

The fallback implements the part of simdjson's interface that is used here with the standard library: slower,
with the same results. orjson decides which texts are valid JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson


class Object:
    """An object, with all pairs of its text."""

    def __init__(self, pairs: Sequence[tuple[str, Any]]) -> None:
        self._pairs = pairs
        self._values = dict(pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, key: str) -> Any:
        if "\0" in key:
            raise KeyError(key)  # as simdjson, which looks a key up to its first U+0000
        return _shown(self._values[key])

    def keys(self) -> list[str]:
        """The keys, duplicates included."""
        return [key for key, _ in self._pairs]


class Array:
    """An array."""

    def __init__(self, values: list[Any]) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index: int) -> Any:
        return _shown(self._values[index])

    def __iter__(self) -> Iterator[Any]:
        return map(_shown, self._values)

    def as_list(self) -> list[Any]:
        """The values as Python lists and dicts."""
        return [_plain(each) for each in self._values]

    def as_buffer(self, *, of_type: str) -> memoryview:
        """The numbers, flattened, as doubles. Raises `TypeError` if not all are numbers."""
        numbers = list(_leaves(self._values))
        if not set(map(type, numbers)) <= {int, float}:
            raise TypeError("not all are numbers")
        return memoryview(np.array(numbers, dtype=of_type).tobytes())


class Parser:
    """Parses documents."""

    @staticmethod
    def parse(text: bytes) -> Any:
        """The document. Raises `ValueError` for invalid JSON."""
        try:
            orjson.loads(text)
        except orjson.JSONDecodeError:
            raise ValueError("NUMBER_ERROR") from None  # or invalid JSON: the caller finds out which
        return _shown(json.loads(text, object_pairs_hook=Object, parse_int=_integer))


def _integer(digits: str) -> int | float:
    """As an int if it fits in 64 bits, else as a float."""
    if len(digits) > 20:
        return float(digits)
    value = int(digits)
    return value if -(2**63) <= value < 2**64 else float(digits)


def _shown(value: Any) -> Any:
    return Array(value) if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Object):
        return {key: _plain(value._values[key]) for key in value.keys()}  # noqa: SIM118, SLF001
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _leaves(values: list[Any]) -> Iterator[Any]:
    for each in values:
        if isinstance(each, list):
            yield from _leaves(each)
        else:
            yield each


if not TYPE_CHECKING:
    with suppress(ImportError):
        from simdjson import Array, Object, Parser  # noqa: F401
