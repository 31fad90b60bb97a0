"""Nested lists of numbers to ndarrays and back, with NumPy only.

Non-finite numbers are the strings ``"NaN"``, ``"Infinity"`` and ``"-Infinity"`` in both directions.
"""

from __future__ import annotations

import math
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.wire.errors import Unsuitable

NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
"""The strings that stand for numbers."""

DEEPEST = 32
"""Most axes an array may have; NumPy's own limit is 64."""


def to_array(value: Any) -> NDArray[np.float64]:
    """A number or nested lists of numbers as a float64 array, of any shape.

    Raises `Unsuitable` for ragged nesting, for booleans, nulls and other strings.
    """
    if isinstance(value, np.ndarray):
        return value.astype(np.float64, copy=False)
    level: list[Any] = [value]
    shape: list[int] = []
    while set(map(type, level)) == {list}:
        lengths = set(map(len, level))
        if len(lengths) != 1:
            raise Unsuitable("rows of different lengths: every row must be as long as its neighbours")
        shape.append(lengths.pop())
        if len(shape) > DEEPEST:
            raise Unsuitable(f"nested deeper than {DEEPEST} levels")
        level = list(chain.from_iterable(level))
    return _leaves(level).reshape(shape)


def _leaves(values: list[Any]) -> NDArray[np.float64]:
    kinds = set(map(type, values))
    if list in kinds:
        raise Unsuitable("numbers and rows are mixed: all elements of an array must have the same depth")
    if str in kinds:
        values = [NON_FINITE.get(each, each) if type(each) is str else each for each in values]
        kinds = set(map(type, values))
    if not kinds <= {int, float}:
        names = ", ".join(f'"{name}"' for name in NON_FINITE)
        raise Unsuitable(f"only numbers and the strings {names} are allowed")
    try:
        return np.array(values, dtype=np.float64)
    except OverflowError:
        raise Unsuitable("an integer lies beyond the range of float64") from None


def name_of(value: float) -> str:
    """The string that stands for a non-finite number in JSON."""
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def to_lists(array: NDArray[Any]) -> Any:
    """``array`` as Python numbers in nested lists, non-finite ones as strings."""
    values = np.asarray(array, dtype=np.float64)
    if np.isfinite(values).all():
        return values.tolist()
    named = values.astype(object)
    outside = ~np.isfinite(values)
    named[outside] = [name_of(value) for value in values[outside].tolist()]
    return named.tolist()
