"""The size of answers with values, found before anything is allocated for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from app.core.activations.definition import Rowwise
from app.core.activations.registry import Call
from app.core.errors import LimitExceeded
from app.wire.sizes import size_of


def answer_size(call: Call, shape: Sequence[int], order: int) -> int:
    """Numbers of the answer, or of its largest intermediate; an empty row counts as one.

    Functions that mix elements may have more outputs than inputs, and learned weights compute as many
    candidates for each row as they have rows themselves. Jacobians have a separate limit.
    """
    size = size_of(shape)
    axis = call.axis
    # Functions that mix several axes, or the axis that PyTorch chooses, have as many outputs as inputs.
    if isinstance(call.activation, Rowwise) and isinstance(axis, int) and -len(shape) <= axis < len(shape):
        length = shape[axis]
        learned = [
            np.size(call.params.get(each.name, 0)) for each in call.activation.parameters if each.learnable
        ]
        candidates = max(learned, default=0) // max(1, length)
        width = max(call.activation.width(length, **call.params), candidates)
        size = max(size, size // max(1, length) * width)
    return size * (order + 1)


def check_answer_size(size: int, limit: int) -> None:
    """Raises `LimitExceeded` for an answer of more than ``limit`` numbers."""
    if size > limit:
        raise LimitExceeded("the answer", estimate=size, limit=limit, unit="numbers", loc=("inputs",))


def numbers_in(values: Iterable[Any]) -> int:
    """Numbers in ``values``, besides the inputs: parameters and an upstream gradient."""
    size = 0  # a comprehension would take longer for none, as there nearly always are
    for value in values:
        if value is not None:
            size += np.size(value)
    return size
