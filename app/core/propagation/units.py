"""A layer's activation, unit by unit: outputs, slopes, and how many units are saturated or dead.

An elementwise activation has one pre-activation a unit. A function of a short row (a maximum of several, say)
has as many as the shortest row, of two or more, that its ``width`` maps to one output; rows u·k … u·k + k − 1
of the pre-activations are those of unit u. A function that mixes a whole layer is no activation of units and
is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from app.core.activations.definition import Elementwise, Rowwise
from app.core.activations.parameters import Array, Value
from app.core.activations.registry import Call
from app.core.errors import InvalidValue

MOST_PIECES = 64
"""Pre-activations that one unit may have."""

SATURATED = 0.1
"""A unit is saturated for an input where |φ′| is below this fraction of the activation's largest slope, on a
side where φ′ tends to zero. For the logistic function that is beyond ±3.6, for tanh beyond ±1.8."""


@dataclass(frozen=True)
class Response:
    """What some units answer to their pre-activations: φ and φ′, and two counts.

    ``outputs`` is units × B, ``slopes`` = ∂φ/∂z is (units · k) × B. ``saturated`` counts pairs of unit and
    input, ``dead`` counts units whose slopes are all 0 for the whole batch.
    """

    outputs: Array
    slopes: Array
    saturated: int
    dead: int


class Units:
    """The activation ``call`` at work in a layer."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.pieces = _pieces(call)
        entry = call.activation
        largest = entry.number(entry.largest_slope, {**entry.defaults, **call.scalars})
        self._faint = SATURATED * (largest if 0 < largest < math.inf else 1.0)

    def check(self, units: int) -> None:
        """Raises `InvalidValue` for a parameter that is neither a number nor one number a unit."""
        for name, value in self.call.params.items():
            if np.ndim(value) and np.shape(value) != (units,) and np.shape(value) != (1,):
                raise InvalidValue("must be a number, or one number for each unit", loc=("params", name))

    def respond(self, z: Array, units: slice) -> Response:
        """φ and φ′ at the pre-activations ``z`` of ``units``, (units · k) × B."""
        outputs, slopes = self._elementwise(z, units) if self.pieces == 1 else self._grouped(z)
        steepness = np.abs(slopes)
        if self.pieces > 1:
            steepness = steepness.reshape(len(outputs), self.pieces, -1).max(axis=1)
        dead = 0 if steepness.all() else len(outputs) - int(np.count_nonzero(steepness.any(axis=1)))
        return Response(outputs, slopes, self._saturated(z, steepness), dead)

    def _elementwise(self, z: Array, units: slice) -> tuple[Array, Array]:
        assert isinstance(self.call.activation, Elementwise)
        params = {name: _spread(value, z.shape, units) for name, value in self.call.params.items()}
        outputs, slopes = self.call.activation.orders(z, 2, **params)
        return outputs, slopes

    def _grouped(self, z: Array) -> tuple[Array, Array]:
        """Each unit's row of pre-activations, moved to the last axis: units × B × k."""
        assert isinstance(self.call.activation, Rowwise)
        rows = np.ascontiguousarray(np.moveaxis(z.reshape(-1, self.pieces, z.shape[1]), 1, -1))
        outputs = self.call.activation.value(rows, **self.call.params)[..., 0]
        slopes = self.call.activation.jacobian(rows, **self.call.params)[..., 0, :]
        return outputs.astype(z.dtype), np.moveaxis(slopes, -1, 1).reshape(z.shape).astype(z.dtype)

    def _saturated(self, z: Array, steepness: Array) -> int:
        sides = self.call.activation.saturates
        if not sides:
            return 0
        faint = steepness < self._faint
        if self.pieces == 1 and len(sides) == 1:
            faint &= z < 0 if "negative" in sides else z > 0
        return int(np.count_nonzero(faint))


def _pieces(call: Call) -> int:
    activation = call.activation
    if not isinstance(activation, Rowwise):
        return 1
    for length in range(2, MOST_PIECES + 1):
        if _gives_one(activation, length, call.params):
            return length
    raise InvalidValue(
        f"{activation.name} is no activation of units: it makes no row of 2 to {MOST_PIECES} one output",
        loc=("activation",),
    )


def _gives_one(activation: Rowwise, length: int, params: Mapping[str, Value]) -> bool:
    try:
        return activation.width(length, **params) == 1
    except InvalidValue:
        return False


def _spread(value: Value, shape: tuple[int, ...], units: slice) -> Value:
    """A parameter for each unit, laid along the batch too and flattened."""
    if not np.ndim(value):
        return value
    each = np.broadcast_to(value, (units.stop,)) if np.shape(value) == (1,) else np.asarray(value)
    return np.repeat(each[units], shape[1])
