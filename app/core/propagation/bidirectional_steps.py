"""A recurrent network that runs both ways, as `steps.Steps`.

A layer needs the outputs of both directions of the layer below at all times. So the signal is computed layer
by layer, not step by step: all of it at the first step's forward call, and all gradients at the last step's
backward call. Gradients of different times then have their own powers of two. Step k is that of both
directions (`recurrent_block`); figures are those of `recurrent_steps` over the states of all cells at step k.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from app.core.arithmetic import Array
from app.core.propagation.block_steps import mean_square, together
from app.core.propagation.network import Network
from app.core.propagation.recurrent_block import CELL_GRADIENT, RecurrentBlock
from app.core.propagation.recurrent_cells import LongShortTerm
from app.core.propagation.recurrent_steps import (
    Cells,
    Preactivations,
    Stage,
    record_norms,
    record_states,
    stacked,
)
from app.core.propagation.statistics import Figures
from app.core.propagation.steps import Run, rescaled
from app.core.propagation.tall import Batch, largest


class Part(NamedTuple):
    """values · 2^exponent."""

    values: Array
    exponent: int


class BidirectionalSteps:
    """All steps of both directions."""

    def __init__(self, network: Network, block: RecurrentBlock, cells: Cells, run: Run) -> None:
        self._block, self._cells, self._run = block, cells, run
        self._width, self._steps = network.sizes[0], network.depth

    def forward(self, number: int, h: Batch, *, measured: bool) -> tuple[Batch, None]:
        """As `steps.Steps.forward`; what the backward pass needs is kept in this object."""
        if not number:
            self._pass(np.zeros_like(h.values[: self._block.states * self._width]), measured=measured)
        output = Batch(stacked([each[number] for each in self._states]), self._run.blocks)
        if measured:
            shown = Batch(stacked([each[number][: self._width] for each in self._states]), self._run.blocks)
            record_states(self._run.figures, number, output, shown)
            self._observed[number].record(self._run.figures, number)
        return output, None

    def backward(self, number: int, tape: None, gradient: Array, logarithm: float) -> None:
        """As `steps.Steps.backward`, for all steps at once."""
        del number, tape
        by_step = [_StepGradients() for _ in range(self._steps)]
        above: list[Part | None] = [None] * self._steps
        last = self._block.layers - 1
        for layer in reversed(range(self._block.layers)):
            below: list[Part | None] = [None] * self._steps
            for direction in range(2):
                rows = slice(direction * self._width, (direction + 1) * self._width)
                loss = gradient[rows] if layer == last else None
                self._back(2 * layer + direction, loss, rows, above, below, by_step)
            above = below
        for step, each in enumerate(by_step):
            each.record(self._run.figures, step, logarithm)

    def _pass(self, before: Array, *, measured: bool) -> None:
        """The signal through all layers: by cell and step what the backward pass needs, and the state."""
        self._observed = [Preactivations() for _ in range(self._steps)]
        self._stages: list[list[Stage]] = []
        self._states: list[list[Array]] = []
        inputs = [self._cells.input(time) for time in range(self._steps)]
        for layer in range(self._block.layers):
            for direction in range(2):
                stages, states, state = [], [], before
                for step in range(self._steps):
                    x = inputs[self._time(direction, step)]
                    stage, state = self._cells.step(
                        2 * layer + direction, state, x, self._observed[step], measured=measured
                    )
                    stages.append(stage)
                    states.append(state)
                self._stages.append(stages)
                self._states.append(states)
            onward, reverse = self._states[-2], self._states[-1][::-1]
            inputs = [
                np.concatenate([each[: self._width] for each in pair])
                for pair in zip(onward, reverse, strict=True)
            ]

    def _back(
        self,
        place: int,
        loss: Array | None,
        rows: slice,
        above: list[Part | None],
        below: list[Part | None],
        by_step: list[_StepGradients],
    ) -> None:
        """The gradient back through all steps of one cell.

        ``above`` is that of the layer's outputs by time, of which ``rows`` are this cell's, and that of its
        inputs is added to ``below``.
        """
        carried: Part | None = None
        if loss is not None:
            carried = Part(self._in_h(loss), 0)
        for step in reversed(range(self._steps)):
            time = self._time(place % 2, step)
            outputs = above[time]
            if outputs is not None:
                carried = _sum(carried, Part(self._in_h(outputs.values[rows]), outputs.exponent))
            assert carried is not None
            stage = self._stages[place][step]
            back = self._cells.back(stage, carried.values, first=not step, inside=place > 1)
            by_step[step].add(stage, carried, self._width, self._run, back.log10_norms)
            if back.inputs is not None:
                below[time] = _sum(below[time], Part(back.inputs, carried.exponent))
            if back.state is not None:
                values, exponent = rescaled(back.state)
                carried = Part(values, carried.exponent + exponent)

    def _in_h(self, gradient: Array) -> Array:
        """The gradient of a state whose h has this gradient."""
        unseen = (self._block.states - 1) * self._width
        return np.pad(gradient, ((0, unseen), (0, 0)))

    def _time(self, direction: int, step: int) -> int:
        """The time, from 0, of a direction's step."""
        return self._steps - 1 - step if direction else step


def _sum(first: Part | None, second: Part) -> Part:
    if first is None or not largest(first.values):
        return second
    if not largest(second.values):
        return first
    exponent = max(first.exponent, second.exponent)
    total: Array = np.add(*(np.ldexp(each.values, each.exponent - exponent) for each in (first, second)))
    return Part(total, exponent)


class _StepGradients:
    """The gradients of one step of all cells, as log10."""

    def __init__(self) -> None:
        self._peak = -math.inf
        self._norms: list[float] = []
        self._cell_norms: list[float] = []
        self._elements = 0
        self._matrices: dict[str, float] = {}

    def add(self, stage: Stage, state: Part, width: int, run: Run, log10_norms: dict[str, float]) -> None:
        """Adds one cell's gradients."""
        shift = state.exponent * math.log10(2)
        h = state.values[:width]
        self._peak = max(self._peak, shift + float(np.log10(largest(state.values))))
        self._elements += h.size
        self._norms.append(shift + _log10_norm(h, run))
        if isinstance(stage.cell, LongShortTerm):
            self._cell_norms.append(shift + _log10_norm(stage.cell.cell_gradient, run))
        self._matrices |= {name: shift + each for name, each in log10_norms.items()}

    def record(self, figures: Figures, number: int, logarithm: float) -> None:
        """Records them as the step's figures."""
        size = logarithm - math.log10(self._elements) / 2
        figures.gradient_peak[number] = logarithm + self._peak
        figures.gradient_log10_rms[number] = size + together(np.array(self._norms))
        if self._cell_norms:
            figures.own[CELL_GRADIENT][number] = size + together(np.array(self._cell_norms))
        record_norms(figures, number, self._matrices, logarithm)


def _log10_norm(values: Array, run: Run) -> float:
    return float(np.log10(mean_square(values, run.blocks)) + np.log10(values.size)) / 2
