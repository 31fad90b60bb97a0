"""A recurrent network, time by time. What is handed on is the state: h, and over it c below for an lstm.

gradient_log10_rms              of dL/dh_t, h_t what step t hands on
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
from app.core.propagation.statistics import variance_and_correlation
from app.core.propagation.steps import Run, mean, rescaled
from app.core.propagation.streams import Stream
from app.core.propagation.tall import Batch, largest
from app.core.propagation.tied_maps import TiedGaussian


class Tape(NamedTuple):
    """A step after its way forward: what was asked about h and x, and the cell."""

    state: Linear
    inputs: Linear
    cell: RecurrentCell


def tied_map(
    weights: Initialiser, matrix: Matrix, kind: Kind, stream: Stream, most: int, run: Run
) -> LinearMap:
    """Matrices that all steps share, one below the other, made or deferred; asked about ``most`` columns."""
    layer = matrix.layer
    law = weights.weight_law(layer.fan_in, layer.units)
    if kind == "dense":
        return block_map(weights, matrix, kind, stream, run.blocks, run.dtype)
    assert isinstance(law, Gaussian)
    return TiedGaussian(layer.fan_in, layer.rows, law.std, stream, most, run.dtype)


class RecurrentSteps:
    """A recurrent network, as `steps.Steps`."""

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
        self._offsets = None, self._biases(law)

    def forward(self, number: int, h: Batch, *, measured: bool) -> tuple[Batch, Tape]:
        """As `steps.Steps.forward`."""
        run = self._run
        state, inputs = (
            Linear(*each, run.blocks) for each in zip(self._shapes, self._maps, self._offsets, strict=True)
        )
        made = cell(self._block.cell, self._activations(number, measured=measured))
        answers = state.forward(h.values[: self._width]), inputs.forward(self._input(number))
        output = Batch(made.forward(h.values, *answers), run.blocks)
        if measured:
            sizes = [largest(each) for each in (*answers, output.values)]
            run.figures.signal_peak[number] = np.log10(max(sizes))
        if measured:
            shown = output if self._block.states == 1 else Batch(output.values[: self._width], run.blocks)
            figures = run.figures
            # A cell that overflows is lost, whatever is shown of it.
            figures.activation_mean[number] = mean(shown) if math.isfinite(output.mean_square) else math.nan
            figures.activation_mean_square[number] = np.ldexp(shown.mean_square, 2 * shown.exponent)
            figures.correlation[number] = cosine(shown)
        return output, Tape(state, inputs, made)

    def backward(
        self, number: int, tape: Tape, gradient: Array, logarithm: float
    ) -> tuple[Array, int] | None:
        """As `steps.Steps.backward`."""
        figures = self._run.figures
        figures.gradient_peak[number] = logarithm + np.log10(largest(gradient))
        square = self._measured("gradient_log10_rms", number, gradient[: self._width], logarithm)
        asked, given, past = tape.cell.backward(gradient)
        if isinstance(tape.cell, LongShortTerm):
            square += self._measured(CELL_GRADIENT, number, tape.cell.cell_gradient, logarithm)
        tape.inputs.measure(given)
        tape.state.measure(asked)
        norms = tape.state.log10_norms | tape.inputs.log10_norms
        for name, each in norms.items():
            figures.matrices[name][number] = logarithm + each
        figures.weight_gradient_log10_norm[number] = logarithm + together(np.array(list(norms.values())))
        if number == 0 or not math.isfinite(square):
            return None
        below = tape.state.backward(asked)
        if past is not None:
            past[: self._width] += below
            below = past
        return rescaled(below)

    def _input(self, number: int) -> Array:
        """x at this time, features × B."""
        run, features = self._run, self._block.inputs(self._width)
        if isinstance(self._inputs, GaussianInputs):
            return self._inputs.draw(features, self._stream.at(number), run.blocks, run.dtype)
        rows = self._inputs[number * features : (number + 1) * features]
        return np.ascontiguousarray(rows, run.dtype)

    def _measured(self, name: str, number: int, gradient: Array, logarithm: float) -> float:
        """The mean square of a gradient, whose logarithm becomes a figure."""
        square = mean_square(gradient, self._run.blocks)
        figures = self._run.figures
        column = figures.own[name] if name in figures.own else getattr(figures, name)
        column[number] = logarithm + float(np.log10(square)) / 2
        return square

    def _activations(self, number: int, *, measured: bool) -> list[Part]:
        """φ for the candidate, which is measured, and for an lstm's output."""
        figures, blocks = self._run.figures, self._run.blocks

        def measure(z: Array, response: Response) -> None:
            variance, _ = variance_and_correlation(z, blocks)
            figures.preactivation_variance[number] = np.inf if math.isnan(variance) else max(0.0, variance)
            figures.saturated_fraction[number] = response.counts.saturated / response.outputs.size
            figures.dead_fraction[number] = response.counts.dead / len(response.outputs)
            look(z, response)

        def look(z: Array, _response: Response) -> None:
            if measured and self._network.units.estimated:
                figures.seen(z)

        heard = [measure if measured else look, look]
        return [
            Activation(self._network.units, self._width, blocks, each) for each in heard[: self._block.states]
        ]

    def _biases(self, law: Initialiser) -> Array | None:
        """One for each row of the inputs' matrices."""
        layer = self._shapes[1].layer
        offset = drawn_biases(law, layer, self._run.biases.at(0), self._run.dtype)
        if self._block.cell != "lstm" or not self._block.forget_bias:
            return offset
        offset = np.zeros(layer.rows, self._run.dtype) if offset is None else offset
        offset[self._width : 2 * self._width] += self._block.forget_bias
        return offset
