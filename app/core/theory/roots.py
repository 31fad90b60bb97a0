"""Roots of many functions of one variable at once, each in its own bracket."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Cells: TypeAlias = NDArray[np.intp]
Curve: TypeAlias = Callable[[Array, Cells], tuple[Array, Array]]
"""Values and derivatives of the functions with these indices, at one point each."""

_STEP = 1e-9
_CLOSED = 2.0**-51
_ITERATIONS = 200
_HALVINGS = 55


def descend(curve: Curve, low: Array, high: Array) -> Array:
    """The root of each curve, positive at ``low`` and not at ``high``, by safeguarded Newton steps."""
    low, high = low.copy(), high.copy()
    x = (low + high) / 2
    active = np.arange(x.size)
    for _ in range(_ITERATIONS):
        if not active.size:
            break
        at = x[active]
        value, slope = curve(at, active)
        positive = value > 0
        low[active] = np.where(positive, at, low[active])
        high[active] = np.where(positive, high[active], at)
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = at - value / slope
        inside = (newton >= low[active]) & (newton <= high[active])
        x[active] = np.where(inside, newton, (low[active] + high[active]) / 2)
        size = np.maximum(np.abs(x[active]), np.finfo(np.float64).tiny)
        # Newton's method converges quadratically: after a step this small only rounding error is left.
        done = inside & (np.abs(x[active] - at) <= _STEP * size)
        done |= high[active] - low[active] <= _CLOSED * size
        active = active[~done]
    return x


def bisect(falling: Callable[[Array], Array], low: Array, high: Array) -> Array:
    """Where each function changes from positive to negative, by bisection alone."""
    for _ in range(_HALVINGS if low.size else 0):
        middle = (low + high) / 2
        positive = falling(middle) > 0
        low, high = np.where(positive, middle, low), np.where(positive, high, middle)
    return low
