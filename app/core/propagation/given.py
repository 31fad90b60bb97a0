"""A network's own weights, as they were sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.core.errors import InvalidValue

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True, eq=False)
class GivenWeights:
    """A network's own matrices, rows × fan_in each, in forward order, and biases (None for none).

    The rows of a unit with several pre-activations follow each other. Raises `InvalidValue` for matrices and
    biases that do not fit each other or are not finite.
    """

    matrices: Sequence[Array]
    biases: Sequence[Array | None]

    def __post_init__(self) -> None:
        if not self.matrices or any(each.ndim != 2 or not each.size for each in self.matrices):
            raise InvalidValue("must be one or more matrices, none of them empty", loc=("weights",))
        if len(self.biases) != len(self.matrices):
            raise InvalidValue("must be as many biases as matrices", loc=("weights",))
        for number, layer in enumerate(zip(self.matrices, self.biases, strict=True), start=1):
            _check_layer(number, *layer)


def _check_layer(number: int, matrix: Array, bias: Array | None) -> None:
    if bias is not None and bias.shape != matrix.shape[:1]:
        raise InvalidValue(f"the bias of layer {number} must have {len(matrix)} numbers", loc=("weights",))
    if not all(each is None or np.isfinite(each).all() for each in (matrix, bias)):
        raise InvalidValue(f"layer {number} has a number that is not finite", loc=("weights",))
