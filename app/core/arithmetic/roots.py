"""Roots of functions of one number, in any arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

SECANTS = 200
"""Steps to a root; ten to thirty are usual."""


def falling_root(falling: Callable[[Any], Any], low: Any, high: Any) -> Any:
    """Where a falling function is 0, to the precision of the arithmetic.

    By secants that keep the root between their ends (the Illinois method).
    """
    above, below = falling(low), falling(high)
    for _ in range(SECANTS):
        middle = low + (high - low) * (above / (above - below))
        if not low < middle < high:
            break
        value = falling(middle)
        if value > 0:
            low, above, below = middle, value, below / 2
        elif value < 0:
            high, below, above = middle, value, above / 2
        else:
            return middle
    return low if abs(above) < abs(below) else high
