"""A network of blocks, step by step: builds each block, follows signal and gradient, takes the figures.

gradient_log10_rms              of dL/dh at the block's input
activation_*, correlation       of the stream at the block's end
preactivation_variance, saturated_fraction, dead_fraction
                                at φ's input inside the block; over all of them where φ occurs several times
weight_gradient_log10_norm      over all the block's matrices; `Figures.matrices` has each one's own
"""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.core.arithmetic import Array
from app.core.propagation.block import Block, MemoryMap, Part, Where
from app.core.propagation.block_parts import Activation, Branched, Chain, Linear, MemoryLinear, Norm
from app.core.propagation.blocks import TEMPORARY, Blocks
from app.core.propagation.dropout import Dropout, LeftOut
from app.core.propagation.engine import Kind, block_map, drawn_biases, given_bias, given_map
from app.core.propagation.given import Affine, GivenWeights
from app.core.propagation.linear_maps import LinearMap
from app.core.propagation.network import Network
from app.core.propagation.normalisation import NORMALISATIONS
from app.core.propagation.responses import Response
from app.core.propagation.statistics import moments
from app.core.propagation.steps import Run, mean, rescaled
from app.core.propagation.streams import Stream
from app.core.propagation.tall import Batch, largest, squares


class Tape(NamedTuple):
    """A block after its forward pass, and the linear maps in it."""

    part: Part
    linear: list[Linear]


class BlockSteps:
    """The blocks of a network, as `steps.Steps`."""

    def __init__(self, network: Network, block: Block, kinds: tuple[Kind, ...], run: Run) -> None:
        self._network = network
        self._block = block
        self._kinds = kinds
        self._run = run

    def forward(self, number: int, h: Batch, *, measured: bool) -> tuple[Batch, Tape]:
        """As `steps.Steps.forward`."""
        if not number:
            self._inputs = h.values
        workshop = _Workshop(self._network, self._block, self._kinds, self._run, self._inputs)
        workshop.number, workshop.measured = number, measured
        part = self._block.build(workshop)
        output = Batch(part.forward(h.values), self._run.blocks, gram_needed=False)
        if measured:
            figures = self._run.figures
            figures.activation_mean[number] = mean(output)
            figures.signal_peak[number] = np.log10(max(workshop.peak, largest(output.values)))
            figures.activation_mean_square[number] = np.ldexp(output.mean_square, 2 * output.exponent)
            figures.correlation[number] = cosine(output)
        return output, Tape(part, workshop.made)

    def backward(
        self, number: int, tape: Tape, gradient: Array, logarithm: float
    ) -> tuple[Array, int] | None:
        """As `steps.Steps.backward`."""
        below, exponent = rescaled(tape.part.backward(gradient))
        figures = self._run.figures
        square = mean_square(below, self._run.blocks)
        figures.gradient_peak[number] = logarithm + exponent * math.log10(2) + np.log10(largest(below))
        figures.gradient_log10_rms[number] = (
            logarithm + exponent * math.log10(2) + float(np.log10(square)) / 2
        )
        norms = {name: each for linear in tape.linear for name, each in linear.log10_norms.items()}
        for name, each in norms.items():
            figures.matrices[name][number] = logarithm + each
        figures.weight_gradient_log10_norm[number] = logarithm + together(np.array(list(norms.values())))
        return (below, exponent) if math.isfinite(square) else None


class _Workshop:
    """`block.Workshop` for block ``number`` of a network."""

    number: int
    measured: bool
    peak: float = 0.0

    def __init__(
        self, network: Network, block: Block, kinds: tuple[Kind, ...], run: Run, inputs: Array
    ) -> None:
        self._inputs = inputs
        self.width, self.depth = network.sizes[-1], network.depth
        self.blocks = run.blocks
        self.made: list[Linear] = []
        self._network = network
        self._run = run
        shapes = block.shapes(self.width, network.units.pieces)
        self._places = {each.names[0]: place for place, each in enumerate(shapes)}
        self._shapes, self._kinds = shapes, kinds
        self._masks = self._norms = 0
        self._norms_each = len(block.norms(self.width))
        self._observed: list[tuple[int, float, int, int, int]] = []
        # A convolution has outputs at every position, and as many columns.
        self._inside = (
            run.blocks
            if network.places == 1
            else Blocks(run.blocks.columns * network.places, run.blocks.map_blocks)
        )
        self._by_row = Blocks(run.blocks.columns, run.blocks.map_blocks, TEMPORARY // run.dtype.itemsize)

    def linear(self, name: str) -> Part:
        return self._linear(name, self._inside)

    def memory_map(self, name: str, memory: Array | None) -> MemoryMap:
        values = self._inputs if memory is None else np.ascontiguousarray(memory.T, self._run.dtype)
        return MemoryLinear(self._linear(name, Blocks(values.shape[1], self.blocks.map_blocks)), values)

    def _linear(self, name: str, blocks: Blocks) -> Linear:
        place, run = self._places[name], self._run
        matrix, kind = self._shapes[place], self._kinds[place]
        address = self.number, place
        law = self._network.weights_at(self.number)
        weights: LinearMap
        if isinstance(law, GivenWeights):
            given = self.number * len(self._shapes) + place
            weights = given_map(law, given, blocks, run.dtype)
            offset = given_bias(law, given, run.dtype)
        else:
            weights = block_map(law, matrix, kind, run.weights.at(*address), blocks, run.dtype)
            offset = drawn_biases(law, matrix.layer, run.biases.at(*address), run.dtype)
        self.made.append(Linear(matrix, weights, offset, blocks, gram_needed=kind == "deferred"))
        return self.made[-1]

    def activation(self, units: int) -> Part:
        dropout, masked = self._network.dropout, None
        if dropout is not None:
            stream = self._mask_stream()
            masked = partial(self._left_out, dropout, stream)
        layer_units = self._network.units_at(self.number)
        return Activation(layer_units, units, self._inside, self._measure, masked)

    def norm(self) -> Part:
        normalisation = self._network.normalisation or NORMALISATIONS["layer_norm"]
        place, self._norms = self.number * self._norms_each + self._norms, self._norms + 1
        law = self._network.weights_at(self.number)
        if not (isinstance(law, GivenWeights) and law.norms):
            return Norm(normalisation, self._by_row)
        affine = (None if each is None else each.astype(self._run.dtype) for each in law.norms[place])
        return Norm(normalisation, self._by_row, Affine(*affine))

    def branched(self, branch: Part, norm: Where | None, skip: float, scale: float) -> Part:
        inside = Chain([self.norm(), branch]) if norm == "pre" else branch
        whole = Branched(inside, skip, scale, self.blocks)
        return Chain([whole, self.norm()]) if norm == "post" else whole

    def dropout(self) -> Part | None:
        dropout = self._network.dropout
        if dropout is None or dropout.kind != "standard":
            return None
        return LeftOut(dropout, self._mask_stream(), self.blocks)

    def mask(self, rows: int) -> tuple[NDArray[np.bool_], float] | None:
        dropout = self._network.dropout
        if dropout is None or dropout.kind != "standard":
            return None
        return dropout.mask(self._mask_stream(), rows, self.blocks), dropout.factor

    def report(self, name: str, value: float) -> None:
        if self.measured:
            self._run.figures.own[name][self.number] = value

    def _left_out(self, dropout: Dropout, stream: Stream, response: Response) -> Response:
        return dropout.of(response, dropout.mask(stream, len(response.outputs), self._inside))

    def _mask_stream(self) -> Stream:
        """A new stream at each call; a block that is built again makes the same calls in the same order."""
        self._masks += 1
        return self._run.masks.at(self.number, self._masks)

    def _measure(self, z: Array, response: Response) -> None:
        if not self.measured:
            return
        figures, number = self._run.figures, self.number
        self.peak = max(self.peak, largest(z), largest(response.outputs))
        variance, _, ends = moments(z, self._inside)
        figures.ends = ends.reshape(self._network.places, -1).mean(axis=0)
        variance = np.inf if math.isnan(variance) else max(0.0, variance)
        self._observed.append((len(z), len(z) * variance, len(response.outputs), *response.counts))
        rows, spread, units, saturated, dead = (sum(each) for each in zip(*self._observed, strict=True))
        figures.preactivation_variance[number] = spread / rows
        figures.saturated_fraction[number] = saturated / (units * response.outputs.shape[1])
        figures.dead_fraction[number] = dead / units
        if self._network.units_at(self.number).estimated:
            figures.seen(z)


def cosine(h: Batch) -> float:
    """The mean cosine over pairs of columns; NaN for one column, and where one is 0."""
    return moments(h.scaled, h.blocks).correlation


def mean_square(values: Array, blocks: Blocks) -> float:
    """The mean square of values near one."""
    return squares(values, blocks) / values.size


def together(log10_norms: Array) -> float:
    """log10 of the norm of several arrays together, from the log10 of each one's norm."""
    largest = log10_norms.max()
    if not np.isfinite(largest):
        return float(largest)
    return float(largest + np.log10(np.sum(10 ** (2 * (log10_norms - largest)))) / 2)
