"""Limits on the size of arrays, in a measure that an empty axis does not make zero."""

from __future__ import annotations

import math
from collections.abc import Sequence

from app.core.errors import LimitExceeded

MOST = 2**40
"""Numbers and rows beyond which any array is refused, whatever the service's limits are."""


def size_of(shape: Sequence[int]) -> int:
    """Π max(1, n): the numbers of an array, or its rows if they are empty.

    An array of 10⁹ empty rows takes no memory as an array, but gigabytes as text.
    """
    return math.prod(shape) or math.prod([max(1, length) for length in shape])


def check_size(shape: Sequence[int], most: int | None, field: str = "inputs") -> None:
    """Raises `LimitExceeded` if an array of this ``shape`` is larger than ``most``, by default `MOST`."""
    limit = MOST if most is None else most
    size = size_of(shape)
    if size > limit:
        raise LimitExceeded("the array", estimate=size, limit=limit, unit="numbers or rows", loc=(field,))
