"""Recurrent cells, from the outputs of their linear maps to the next state, and the backward pass.

``asked`` is W_h h and ``given`` W_i x + b, gates · N × B each. ``backward`` gives dL/d(asked), dL/d(given),
and the part of the previous state's gradient that bypasses the linear maps.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from app.core.arithmetic import Array
from app.core.arithmetic.special import sigmoid
from app.core.propagation.block import Part
from app.core.propagation.recurrent_block import Cell


class RecurrentCell(Protocol):
    """One time step; called once forward, once back."""

    def forward(self, state: Array, asked: Array, given: Array) -> Array:
        """The next state."""

    def backward(self, gradient: Array) -> tuple[Array, Array, Array | None]:
        """From that of the next state: dL/d(asked), dL/d(given), and the bypassing part, states · N × B."""


class Plain:
    """h′ = φ(asked + given)."""

    def __init__(self, activation: Part) -> None:
        self._activation = activation

    def forward(self, state: Array, asked: Array, given: Array) -> Array:  # noqa: ARG002
        """As `RecurrentCell.forward`."""
        return self._activation.forward(asked + given)

    def backward(self, gradient: Array) -> tuple[Array, Array, None]:
        """As `RecurrentCell.backward`."""
        delta = self._activation.backward(gradient)
        return delta, delta, None


class LongShortTerm:
    """h′ = o ∘ φ(c′), c′ = f ∘ c + i ∘ φ(g); the state is h over c."""

    cell_gradient: Array
    """The total dL/dc′, after the backward pass."""

    def __init__(self, candidate: Part, output: Part) -> None:
        self._candidate = candidate
        self._output = output

    def forward(self, state: Array, asked: Array, given: Array) -> Array:
        """As `RecurrentCell.forward`."""
        taken, kept, new, shown = np.split(asked + given, 4)
        self._cell = state[len(taken) :]
        self._taken, self._kept, self._shown = Gate(taken), Gate(kept), Gate(shown)
        self._new = self._candidate.forward(new)
        cell = self._kept.value * self._cell + self._taken.value * self._new
        self._seen = self._output.forward(cell)
        return np.concatenate([self._shown.value * self._seen, cell])

    def backward(self, gradient: Array) -> tuple[Array, Array, Array]:
        """As `RecurrentCell.backward`."""
        output, cell = np.split(gradient, 2)
        self.cell_gradient = cell = cell + self._output.backward(output * self._shown.value)
        delta = np.concatenate(
            [
                self._taken.backward(cell * self._new),
                self._kept.backward(cell * self._cell),
                self._candidate.backward(cell * self._taken.value),
                self._shown.backward(output * self._seen),
            ]
        )
        return delta, delta, np.concatenate([np.zeros_like(output), cell * self._kept.value])


class Gated:
    """h′ = (1 − z) ∘ n + z ∘ h, n = φ(given + r ∘ asked)."""

    def __init__(self, candidate: Part) -> None:
        self._candidate = candidate

    def forward(self, state: Array, asked: Array, given: Array) -> Array:
        """As `RecurrentCell.forward`."""
        width = len(state)
        reset, update = np.split(asked[: 2 * width] + given[: 2 * width], 2)
        self._state, self._asked = state, asked[2 * width :].copy()
        self._reset, self._update = Gate(reset), Gate(update)
        self._new = self._candidate.forward(given[2 * width :] + self._reset.value * self._asked)
        return self._update.rest * self._new + self._update.value * state

    def backward(self, gradient: Array) -> tuple[Array, Array, Array]:
        """As `RecurrentCell.backward`."""
        new = self._candidate.backward(gradient * self._update.rest)
        gates = [
            self._reset.backward(new * self._asked),
            self._update.backward(gradient * (self._state - self._new)),
        ]
        asked = np.concatenate([*gates, new * self._reset.value])
        return asked, np.concatenate([*gates, new]), gradient * self._update.value


class Gate:
    """σ(z) and 1 − σ(z) = σ(−z), each with all its digits."""

    def __init__(self, z: Array) -> None:
        self.value: Array = sigmoid(z)
        self.rest: Array = sigmoid(-z)

    def backward(self, gradient: Array) -> Array:
        """σ′(z) · δ."""
        return gradient * self.value * self.rest


def cell(kind: Cell, activations: list[Part]) -> RecurrentCell:
    """A cell of that kind for one step; ``activations`` are φ for the candidate, and for an lstm's output."""
    candidate, *others = activations
    if kind == "lstm":
        return LongShortTerm(candidate, *others)
    return Gated(candidate) if kind == "gru" else Plain(candidate)
