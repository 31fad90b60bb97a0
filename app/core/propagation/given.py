"""A network's own weights, as they were sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class GivenWeights:
    """A network's own matrices, rows × fan_in each, in forward order, and biases (None for none).

    The rows of a unit with several pre-activations follow each other.
    """

    matrices: tuple[Array, ...]
    biases: tuple[Array | None, ...]
