"""Functions made of straight pieces: pieces chosen by a condition, with NaN in giving NaN out.

A comparison with NaN is false, so a plain choice would turn NaN into whatever the other piece says.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.core.activations.parameters import Array, Value


def choose(x: Array, condition: NDArray[np.bool_], inside: Value, outside: Value) -> Array:
    """``inside`` where the condition holds, else ``outside``; NaN where x is NaN. In x's format."""
    values: NDArray[Any] = np.where(condition, inside, outside).astype(x.dtype, copy=False)
    np.copyto(values, x, where=np.isnan(x))
    return values


def flat(x: Array) -> Array:
    """0 for every number, NaN for NaN: the curvature of straight pieces."""
    values = np.zeros_like(x)
    np.copyto(values, x, where=np.isnan(x))
    return values


def line(slope: Value, x: Array) -> Array:
    """slope·x, with 0·∞ = 0: a flat line is flat out to infinity."""
    product: Array = slope * x
    if np.all(slope):
        return product
    return np.where(np.isinf(x) & (np.asarray(slope) == 0), slope, product).astype(x.dtype, copy=False)
