"""A layer's activation, unit by unit: outputs, slopes, and how many units are saturated or dead.

An elementwise activation has one pre-activation a unit. A function of a short row (a maximum of several, say)
has as many as the shortest row, of two or more, that its ``width`` maps to one output; rows u·k … u·k + k − 1
of the pre-activations are those of unit u. A function that mixes a whole layer is no activation of units and
is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.core.activations.definition import Elementwise, Rowwise
from app.core.activations.from_formula import FormulaActivation
from app.core.activations.registry import Call
from app.core.arithmetic import Array, Value
from app.core.arithmetic.compiled import compiled
from app.core.errors import InvalidValue

MOST_PIECES = 64
"""Pre-activations that one unit may have."""

SATURATED = 0.1
"""A unit is saturated for an input where |φ′| is below this fraction of the activation's largest slope, on a
side where φ′ tends to zero. For the logistic function that is beyond ±3.6, for tanh beyond ±1.8."""


class Counts(NamedTuple):
    """``saturated`` pairs of unit and input, and ``dead`` units: on a flat piece of φ for the whole batch."""

    saturated: int
    dead: int


class Units:
    """The activation ``call``, applied to units of a layer."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.pieces = _pieces(call)
        entry = call.activation
        largest = entry.number(entry.largest_slope, {**entry.defaults, **call.scalars})
        # As no |φ′| is below 0, a function that saturates on no side never counts as saturated.
        self._faint = SATURATED * (largest if 0 < largest < math.inf else 1.0) if entry.saturates else 0.0
        self._flat = has_flat_piece(call)
        self._side = {frozenset({"negative"}): -1.0, frozenset({"positive"}): 1.0}.get(entry.saturates, 0.0)

    @property
    def estimated(self) -> bool:
        """Whether φ is evaluated as its formula is written, with an error that has to be measured."""
        return isinstance(self.call.activation, FormulaActivation)

    def check(self, units: int) -> None:
        """Raises `InvalidValue` for a parameter that is neither a number nor one number a unit."""
        for name, value in self.call.params.items():
            if np.ndim(value) and np.shape(value) != (units,) and np.shape(value) != (1,):
                raise InvalidValue("must be a number, or one number for each unit", loc=("params", name))

    def respond(self, z: Array, units: slice, outputs: Array, slopes: Array) -> Counts:
        """`answer`, with the counts of these units."""
        self.answer(z, units, outputs, slopes, self.call.params)
        return self.counts(z, slopes)

    def answer(
        self, z: Array, units: slice, outputs: Array, slopes: Array, params: Mapping[str, Value]
    ) -> None:
        """Writes φ and φ′ at the pre-activations ``z`` of ``units``, (units · k) × B.

        ``outputs`` is units × B, ``slopes`` = ∂φ/∂z is (units · k) × B; all three are contiguous.
        """
        entry = self.call.activation
        if isinstance(entry, Elementwise):
            spread = {name: _spread(value, z.shape, units) for name, value in params.items()}
            entry.write((outputs.reshape(-1), slopes.reshape(-1)), z.reshape(-1), **spread)
            return
        assert isinstance(entry, Rowwise)
        if entry.group is not None and not any(np.ndim(value) for value in params.values()):
            groups = (-1, self.pieces, z.shape[1])
            entry.group(z.reshape(groups), outputs, slopes.reshape(groups))
            return
        rows = self.rows(z)
        outputs[:] = entry.value(rows, **params)[..., 0]
        slopes[:] = np.moveaxis(entry.jacobian(rows, **params)[..., 0, :], -1, 1).reshape(z.shape)

    def rows(self, z: Array) -> Array:
        """Each unit's row of pre-activations, moved to the last axis: units × B × k."""
        return np.ascontiguousarray(np.moveaxis(z.reshape(-1, self.pieces, z.shape[1]), 1, -1))

    def counts(self, z: Array, slopes: Array) -> Counts:
        """Saturated pairs and dead units among those with the pre-activations ``z`` and these ``slopes``."""
        side = self._side
        if self.pieces > 1:
            z = slopes = np.abs(slopes).reshape(-1, self.pieces, z.shape[1]).max(axis=1)
            side = 0.0
        counts = np.zeros(2, np.int64)
        _count(z, slopes, self._faint, side, counts)
        saturated, dead = counts.tolist()
        # A unit whose slope only underflows to 0 is saturated, not dead.
        return Counts(saturated, dead if self._flat else 0)


@compiled("void(f4[:,::1], f4[:,::1], f8, f8, i8[::1])", "void(f8[:,::1], f8[:,::1], f8, f8, i8[::1])")
def _count(z: Array, slopes: Array, faint: float, side: float, counts: NDArray[np.int64]) -> None:
    for unit in range(len(z)):
        saturated, steep = 0, 0
        for place in range(z.shape[1]):
            steepness = abs(slopes[unit, place])
            steep += steepness != 0
            saturated += steepness < faint and (side == 0 or side * z[unit, place] > 0)
        counts[0] += saturated
        counts[1] += steep == 0


def has_flat_piece(call: Call) -> bool:
    """Whether φ′ is 0, not only very small, on a whole interval between two places where φ or φ′ jumps."""
    if not isinstance(call.activation, Elementwise) or len(call.scalars) < len(call.params):
        return True  # rows and parameters for each unit: every slope of 0 counts
    return bool(flat_pieces(call))


def flat_pieces(call: Call) -> list[tuple[float, float]]:
    """The intervals on which φ′ is 0, for φ of one number with numbers as parameters."""
    assert isinstance(call.activation, Elementwise)
    ends = [-math.inf, *call.activation.break_points(call.scalars), math.inf]
    return [
        (low, high)
        for low, high in pairwise(ends)
        if not call.activation.orders(_inside(low, high), 2, **call.params)[1].any()
    ]


def _inside(low: float, high: float) -> Array:
    """Points between two ends, near them where they are infinitely far apart."""
    if math.isinf(low) and math.isinf(high):
        return np.array([-1.0, -0.1, 0.1, 1.0])
    if math.isinf(low) or math.isinf(high):
        end, side = (high, -1) if math.isinf(low) else (low, 1)
        return end + side * max(1.0, abs(end)) * np.array([0.001, 0.1, 1.0])
    return low + (high - low) * np.array([0.1, 0.5, 0.9])


def is_of_units(call: Call) -> bool:
    """Whether a layer's units can have this activation."""
    return _shortest(call) is not None


def _shortest(call: Call) -> int | None:
    """The length of the shortest row that the function maps to one output."""
    activation = call.activation
    if not isinstance(activation, Rowwise):
        return 1
    lengths = range(2, MOST_PIECES + 1)
    return next((each for each in lengths if _gives_one(activation, each, call.params)), None)


def _pieces(call: Call) -> int:
    length = _shortest(call)
    if length is not None:
        return length
    raise InvalidValue(
        f"{call.activation.name} cannot activate units: no row of 2 to {MOST_PIECES} inputs has one output",
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
