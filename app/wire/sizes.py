"""How large an array may be, counted so that an empty axis hides no huge one."""

from __future__ import annotations

import math
from collections.abc import Sequence

from app.core.errors import LimitExceeded

MOST = 2**40
"""Numbers and rows that no array has, whatever the limits of a service are."""


def size_of(shape: Sequence[int]) -> int:
    """Π max(1, n): an array's numbers, and where an axis is empty the rows that it has all the same.

    An array of 10⁹ rows of nothing takes no memory as an array, and gigabytes as text.
    """
    return math.prod(shape) or math.prod([max(1, length) for length in shape])


def check_size(shape: Sequence[int], most: int | None, field: str = "inputs") -> None:
    """Raises `LimitExceeded` for an array of this ``shape`` if it is larger than ``most`` or any limit."""
    limit = MOST if most is None else most
    size = size_of(shape)
    if size > limit:
        raise LimitExceeded("the array", estimate=size, limit=limit, unit="numbers or rows", loc=(field,))
