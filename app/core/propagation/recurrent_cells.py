"""Recurrent cells, from the outputs of their linear maps to the next state, and the backward pass.

``from_hidden`` is W_h h and ``from_input`` W_i x + b, gates · N × B each. ``backward`` gives the
gradients of both, and the part of the previous state's gradient that bypasses the linear maps.
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

    def forward(self, state: Array, from_hidden: Array, from_input: Array) -> Array:
        """The next state."""

    def backward(self, gradient: Array) -> tuple[Array, Array, Array | None]:
        """The gradients of ``from_hidden`` and ``from_input``, and the bypassing part, states · N × B."""


class Plain:
    """h′ = φ(from_hidden + from_input)."""

    def __init__(self, activation: Part) -> None:
        self._activation = activation

    def forward(self, state: Array, from_hidden: Array, from_input: Array) -> Array:  # noqa: ARG002
        """As `RecurrentCell.forward`."""
        return self._activation.forward(from_hidden + from_input)

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

    def forward(self, state: Array, from_hidden: Array, from_input: Array) -> Array:
        """As `RecurrentCell.forward`."""
        input_gate, forget_gate, new, output_gate = np.split(from_hidden + from_input, 4)
        self._cell = state[len(input_gate) :]
        self._input_gate, self._forget_gate, self._output_gate = (
            Gate(input_gate),
            Gate(forget_gate),
            Gate(output_gate),
        )
        self._new = self._candidate.forward(new)
        cell = self._forget_gate.value * self._cell + self._input_gate.value * self._new
        self._activated_cell = self._output.forward(cell)
        return np.concatenate([self._output_gate.value * self._activated_cell, cell])

    def backward(self, gradient: Array) -> tuple[Array, Array, Array]:
        """As `RecurrentCell.backward`."""
        output, cell = np.split(gradient, 2)
        self.cell_gradient = cell = cell + self._output.backward(output * self._output_gate.value)
        delta = np.concatenate(
            [
                self._input_gate.backward(cell * self._new),
                self._forget_gate.backward(cell * self._cell),
                self._candidate.backward(cell * self._input_gate.value),
                self._output_gate.backward(output * self._activated_cell),
            ]
        )
        return delta, delta, np.concatenate([np.zeros_like(output), cell * self._forget_gate.value])


class Gated:
    """h′ = (1 − z) ∘ n + z ∘ h, n = φ(from_input + r ∘ from_hidden)."""

    def __init__(self, candidate: Part) -> None:
        self._candidate = candidate

    def forward(self, state: Array, from_hidden: Array, from_input: Array) -> Array:
        """As `RecurrentCell.forward`."""
        width = len(state)
        reset, update = np.split(from_hidden[: 2 * width] + from_input[: 2 * width], 2)
        self._state, self._from_hidden = state, from_hidden[2 * width :].copy()
        self._reset, self._update = Gate(reset), Gate(update)
        self._new = self._candidate.forward(from_input[2 * width :] + self._reset.value * self._from_hidden)
        return self._update.complement * self._new + self._update.value * state

    def backward(self, gradient: Array) -> tuple[Array, Array, Array]:
        """As `RecurrentCell.backward`."""
        new = self._candidate.backward(gradient * self._update.complement)
        gates = [
            self._reset.backward(new * self._from_hidden),
            self._update.backward(gradient * (self._state - self._new)),
        ]
        from_hidden = np.concatenate([*gates, new * self._reset.value])
        return from_hidden, np.concatenate([*gates, new]), gradient * self._update.value


class Gate:
    """σ(z) and 1 − σ(z) = σ(−z), each with all its digits."""

    def __init__(self, z: Array) -> None:
        self.value: Array = sigmoid(z)
        self.complement: Array = sigmoid(-z)

    def backward(self, gradient: Array) -> Array:
        """σ′(z) · δ."""
        return gradient * self.value * self.complement


def cell(kind: Cell, activations: list[Part]) -> RecurrentCell:
    """A cell of that kind for one step; ``activations`` are φ for the candidate, and for an lstm's output."""
    candidate, *others = activations
    if kind == "lstm":
        return LongShortTerm(candidate, *others)
    return Gated(candidate) if kind == "gru" else Plain(candidate)
