"""A recurrent network, step by step. What is passed on is the state: of each layer h, and c of an lstm.

The last layer's state comes first, h over c, so that the loss takes the first rows. Where there are
several layers, h_t and c_t below are those of all of them.

gradient_log10_rms              of dL/dh_t, h_t the output of step t
cell_gradient_log10_rms         of dL/dc_t, through h_t and c_{t+1}
activation_*, correlation       of h_t
preactivation_variance, saturated_fraction, dead_fraction
                                at the argument of the φ that makes the candidate
weight_gradient_log10_norm      of what step t adds to the gradients of the shared weights
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from app.core.arithmetic import Array
from app.core.propagation.block import Part
from app.core.propagation.block_parts import Activation, Linear
from app.core.propagation.block_steps import cosine, mean_square, together
from app.core.propagation.engine import Kind, block_map, drawn_biases, given_bias, given_map
from app.core.propagation.given import GivenWeights
from app.core.propagation.initialisers import Gaussian, Initialiser
from app.core.propagation.layer import Matrix
from app.core.propagation.linear_maps import LinearMap
from app.core.propagation.network import GaussianInputs, Network
from app.core.propagation.recurrent_block import CELL_GRADIENT, RecurrentBlock
from app.core.propagation.recurrent_cells import LongShortTerm, RecurrentCell, cell
from app.core.propagation.responses import Response
from app.core.propagation.statistics import Figures, moments
from app.core.propagation.steps import Run, mean, rescaled
from app.core.propagation.streams import Stream
from app.core.propagation.tall import Batch, largest
from app.core.propagation.tied_maps import TiedGaussian


class Stage(NamedTuple):
    """A cell after its forward pass: the maps of h and of x, and the cell."""

    state: Linear
    inputs: Linear
    cell: RecurrentCell


class Back(NamedTuple):
    """The gradients of the state before and of x, where something follows, and log10 ‖dL/dW‖ by name."""

    state: Array | None
    inputs: Array | None
    log10_norms: dict[str, float]


def tied_map(
    weights: Initialiser, matrix: Matrix, kind: Kind, stream: Stream, most: int, run: Run
) -> LinearMap:
    """Matrices that all steps share, one below the other, made or deferred, for up to ``most`` columns."""
    layer = matrix.layer
    law = weights.weight_law(layer.fan_in, layer.units)
    if kind == "dense":
        return block_map(weights, matrix, kind, stream, run.blocks, run.dtype)
    assert isinstance(law, Gaussian)
    return TiedGaussian(layer.fan_in, layer.rows, law.std, stream, most, run.dtype)


class Cells:
    """The cells of a recurrent network, layer by layer, with weights that all their steps share."""

    def __init__(
        self,
        network: Network,
        block: RecurrentBlock,
        kinds: tuple[Kind, ...],
        run: Run,
        inputs: GaussianInputs | Array,
        stream: Stream,
    ) -> None:
        self._network, self._block, self._run = network, block, run
        self._inputs, self._stream = inputs, stream
        self._width = network.sizes[0]
        law = network.weights
        self._shapes = network.matrices
        most = network.depth * run.blocks.columns
        if isinstance(law, GivenWeights):
            places = range(len(self._shapes))
            self._maps = tuple(given_map(law, place, run.blocks, run.dtype) for place in places)
            self._offsets = tuple(given_bias(law, place, run.dtype) for place in places)
            return
        self._maps = tuple(
            tied_map(law, matrix, kind, run.weights.at(place), most, run)
            for place, (matrix, kind) in enumerate(zip(self._shapes, kinds, strict=True))
        )
        self._offsets = tuple(
            offset for place in range(block.cells) for offset in (None, self._biases(law, place))
        )

    def step(
        self, place: int, before: Array, x: Array, observed: Preactivations, *, measured: bool
    ) -> tuple[Stage, Array]:
        """One step of cell ``place`` from the state before and x: what is kept of it, and the next state."""
        state, inputs = self._linear(2 * place), self._linear(2 * place + 1)
        made = cell(self._block.cell, self._activations(observed, measured=measured))
        mapped = state.forward(before[: self._width]), inputs.forward(x)
        after = made.forward(before, *mapped)
        observed.peak = max(observed.peak, *(largest(each) for each in (*mapped, after)))
        return Stage(state, inputs, made), after

    def back(self, stage: Stage, gradient: Array, *, first: bool, inside: bool) -> Back:
        """The gradients of one step from that of its state.

        ``first``: no state came before. ``inside``: x came from another cell.
        """
        from_hidden, from_input, past = stage.cell.backward(gradient)
        if inside:
            inputs = stage.inputs.backward(from_input)
        else:
            stage.inputs.measure(from_input)
            inputs = None
        if first:
            stage.state.measure(from_hidden)
            return Back(None, inputs, stage.state.log10_norms | stage.inputs.log10_norms)
        below = stage.state.backward(from_hidden)
        if past is not None:
            past[: self._width] += below
            below = past
        return Back(below, inputs, stage.state.log10_norms | stage.inputs.log10_norms)

    def _linear(self, place: int) -> Linear:
        """The shared matrix number ``place``, for one forward and one backward call."""
        return Linear(self._shapes[place], self._maps[place], self._offsets[place], self._run.blocks)

    def input(self, number: int) -> Array:
        """x at this time, features × B."""
        run, features = self._run, self._block.inputs(self._width)
        if isinstance(self._inputs, GaussianInputs):
            return self._inputs.draw(features, self._stream.at(number), run.blocks, run.dtype)
        rows = self._inputs[number * features : (number + 1) * features]
        return np.ascontiguousarray(rows, run.dtype)

    def _activations(self, observed: Preactivations, *, measured: bool) -> list[Part]:
        """φ for the candidate, which is measured, and for an lstm's output."""
        figures, blocks = self._run.figures, self._run.blocks

        def measure(z: Array, response: Response) -> None:
            observed.variances.append(moments(z, blocks).variance)
            observed.saturated.append(response.counts.saturated / response.outputs.size)
            observed.dead.append(response.counts.dead / len(response.outputs))
            look(z, response)

        def look(z: Array, _response: Response) -> None:
            if measured and self._network.units.estimated:
                figures.seen(z)

        listening = [measure if measured else look, look]
        return [
            Activation(self._network.units, self._width, blocks, each)
            for each in listening[: self._block.states]
        ]

    def _biases(self, law: Initialiser, place: int) -> Array | None:
        """One bias for each row of a cell's input matrices."""
        shape = self._shapes[2 * place + 1].layer
        offset = drawn_biases(law, shape, self._run.biases.at(place), self._run.dtype)
        if self._block.cell != "lstm" or not self._block.forget_bias:
            return offset
        offset = np.zeros(shape.rows, self._run.dtype) if offset is None else offset
        offset[self._width : 2 * self._width] += self._block.forget_bias
        return offset


class RecurrentSteps:
    """A recurrent network of one direction, as `steps.Steps`."""

    def __init__(self, network: Network, block: RecurrentBlock, cells: Cells, run: Run) -> None:
        self._block, self._cells, self._run = block, cells, run
        self._width = network.sizes[0]

    def forward(self, number: int, h: Batch, *, measured: bool) -> tuple[Batch, list[Stage]]:
        """As `steps.Steps.forward`; the tape is the layers, the first first."""
        figures, blocks, observed = self._run.figures, self._run.blocks, Preactivations()
        stages: list[Stage] = []
        states: list[Array] = []
        x = self._cells.input(number)
        for layer, before in enumerate(reversed(np.split(h.values, self._block.layers))):
            stage, state = self._cells.step(layer, before, x, observed, measured=measured)
            states.append(state)
            stages.append(stage)
            x = state[: self._width]
        output = Batch(stacked(states[::-1]), blocks)
        if measured:
            shown = output if self._block.states == 1 else Batch(self._shown(output.values), blocks)
            record_states(figures, number, output, shown)
            observed.record(figures, number)
        return output, stages

    def backward(
        self, number: int, tape: list[Stage], gradient: Array, logarithm: float
    ) -> tuple[Array, int] | None:
        """As `steps.Steps.backward`."""
        figures = self._run.figures
        earlier: list[Array] = []
        cells: list[Array] = []
        norms: dict[str, float] = {}
        above: Array | None = None
        for stage, own in zip(reversed(tape), np.split(gradient, self._block.layers), strict=True):
            if above is not None:
                own[: self._width] += above
            back = self._cells.back(stage, own, first=not number, inside=stage is not tape[0])
            if isinstance(stage.cell, LongShortTerm):
                cells.append(stage.cell.cell_gradient)
            above = back.inputs
            if back.state is not None:
                earlier.append(back.state)
            norms |= back.log10_norms
        figures.gradient_peak[number] = logarithm + np.log10(largest(gradient))
        square = self._measured("gradient_log10_rms", number, self._shown(gradient), logarithm)
        if cells:
            square += self._measured(CELL_GRADIENT, number, stacked(cells), logarithm)
        record_norms(figures, number, norms, logarithm)
        return rescaled(stacked(earlier)) if earlier and math.isfinite(square) else None

    def _shown(self, states: Array) -> Array:
        """h of all layers, without c."""
        layers, batch = self._block.layers, states.shape[1]
        rows = states.reshape(layers, self._block.states, self._width, batch)[:, 0]
        return np.ascontiguousarray(rows).reshape(layers * self._width, batch)

    def _measured(self, name: str, number: int, gradient: Array, logarithm: float) -> float:
        """The mean square of a gradient, whose logarithm becomes a figure."""
        square = mean_square(gradient, self._run.blocks)
        figures = self._run.figures
        column = figures.own[name] if name in figures.own else getattr(figures, name)
        column[number] = logarithm + float(np.log10(square)) / 2
        return square


def stacked(states: list[Array]) -> Array:
    """The states of all layers, one below the other."""
    return states[0] if len(states) == 1 else np.concatenate(states)


def record_states(figures: Figures, number: int, states: Batch, shown: Batch) -> None:
    """The figures of a step's states, of which h are ``shown``."""
    # A cell state that overflows counts even if h is finite.
    figures.activation_mean[number] = mean(shown) if math.isfinite(states.mean_square) else math.nan
    figures.activation_mean_square[number] = np.ldexp(shown.mean_square, 2 * shown.exponent)
    figures.correlation[number] = cosine(shown)


def record_norms(figures: Figures, number: int, log10_norms: dict[str, float], logarithm: float) -> None:
    """Records the norms of what a step adds to the weights' gradients, over 10^``logarithm``."""
    for name, each in log10_norms.items():
        figures.matrices[name][number] = logarithm + each
    figures.weight_gradient_log10_norm[number] = logarithm + together(np.array(list(log10_norms.values())))


class Preactivations:
    """Statistics of the candidates' pre-activations, layer by layer, and the largest value of all."""

    def __init__(self) -> None:
        self.peak = 0.0
        self.variances: list[float] = []
        self.saturated: list[float] = []
        self.dead: list[float] = []

    def record(self, figures: Figures, number: int) -> None:
        """Records their means as the step's figures."""
        figures.signal_peak[number] = np.log10(self.peak)
        variance = float(np.mean(self.variances))
        figures.preactivation_variance[number] = np.inf if math.isnan(variance) else max(0.0, variance)
        figures.saturated_fraction[number] = np.mean(self.saturated)
        figures.dead_fraction[number] = np.mean(self.dead)
