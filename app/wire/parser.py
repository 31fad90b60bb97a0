"""The JSON parser: simdjson, and what stands in for it where there is no wheel of it, as on Python 3.14.

The stand-in has of simdjson what is used here, in the standard library: slower, and the same answers. Which
texts are JSON, orjson says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson


class Object:
    """An object, with every pair that its text has."""

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
        """The keys; one that is given twice is there twice."""
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
        """Python's own lists and dictionaries."""
        return [_plain(each) for each in self._values]

    def as_buffer(self, *, of_type: str) -> memoryview:
        """The numbers, of any nesting, as doubles. Raises `TypeError` where something else is among them."""
        numbers = list(_leaves(self._values))
        if not set(map(type, numbers)) <= {int, float}:
            raise TypeError("not all are numbers")
        return memoryview(np.array(numbers, dtype=of_type).tobytes())


class Parser:
    """Reads one document after the other."""

    @staticmethod
    def parse(text: bytes) -> Any:
        """The document. Raises `ValueError` for what is no JSON."""
        try:
            orjson.loads(text)
        except orjson.JSONDecodeError:
            raise ValueError("NUMBER_ERROR") from None  # or no JSON: whoever is told looks which of the two
        return _shown(json.loads(text, object_pairs_hook=Object, parse_int=_integer))


def _integer(digits: str) -> int | float:
    """As an int where 64 bits hold it."""
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
