"""Functions made of straight pieces: pieces chosen by a condition, with NaN in giving NaN out.

A comparison with NaN is false, so a plain choice would turn NaN into whatever the other piece says.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from app.core.arithmetic import Array, Value
from app.core.arithmetic.double_double import scalar


@scalar
def unless_nan(value: float, x: float) -> float:
    """``value``; NaN where x is NaN."""
    return x if math.isnan(x) else value


@scalar
def proportional(slope: float, x: float) -> float:
    """slope·x, with 0·∞ = 0: a flat line is flat out to infinity."""
    return slope if slope == 0 and math.isinf(x) else slope * x


def select(condition: NDArray[np.bool_], yes: Value, no: Value) -> Array:
    """``yes`` where the condition holds, else ``no``: np.where bit by bit, and without its branches.

    np.where jumps at every element, and the processor guesses the sign of random numbers wrongly every other
    time: three to four times the cost of all four passes here. Where the condition hardly ever holds, or
    hardly ever fails, np.where is the faster one.
    """
    dtype = np.result_type(yes, no)
    bits = np.dtype(f"i{dtype.itemsize}")
    one, other = (np.asarray(each, dtype).view(bits) for each in (yes, no))
    mask = np.negative(np.asarray(condition).astype(bits))  # all ones where the condition holds
    return np.asarray(((one ^ other) & mask) ^ other).view(dtype)
