"""Plain layers: z = W h + b, ẑ normalised, φ(ẑ), and perhaps a residual branch around it all."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from app.core.arithmetic import Array
from app.core.propagation.blocks import TEMPORARY, Blocks
from app.core.propagation.engine import Kind, biases, linear_map
from app.core.propagation.linear_maps import LinearMap
from app.core.propagation.network import Network
from app.core.propagation.normalisation import Normalised
from app.core.propagation.responses import Response, pulled, respond
from app.core.propagation.statistics import moments
from app.core.propagation.steps import Run, mean, rescaled
from app.core.propagation.tall import Batch, largest, product_norm


@dataclass(frozen=True)
class Tape:
    """What the backward pass needs of one layer: its map, φ′, the normalised values, its input."""

    weights: LinearMap
    slopes: Array
    normalised: Normalised | None
    inputs: Batch


class PlainLayers:
    """The layers of a network without blocks, as `steps.Steps`."""

    def __init__(self, network: Network, kinds: tuple[Kind, ...], run: Run) -> None:
        self.network = network
        self.figures = run.figures
        self._kinds = kinds
        self._run = run
        self._blocks = blocks = run.blocks
        # Smaller blocks, because normalisation makes temporary arrays.
        self._by_row = Blocks(blocks.columns, blocks.map_blocks, TEMPORARY // run.dtype.itemsize)

    def forward(self, number: int, h: Batch, *, measured: bool) -> tuple[Batch, Tape]:
        """As `steps.Steps.forward`."""
        run = self._run
        stream = run.weights.at(number)
        weights = linear_map(self.network, number, self._kinds[number], stream, self._blocks, run.dtype)
        z = weights.forward(h)
        offset = biases(self.network, number, run.biases.at(number), run.dtype)
        if offset is not None:
            z += offset[:, None]
        if measured:  # now, while z is in the cache
            self._measure_preactivations(number, z)
        normaliser = self.network.normalisation
        normalised = None if normaliser is None else normaliser.forward(z, self._by_row)
        arguments = z if normalised is None else normalised.values
        if measured and self.network.units_at(number).estimated:
            self.figures.seen(arguments)
        response = self._respond(number, arguments)
        output = self._output(number, h, response.outputs)
        if measured:
            self._measure_outputs(number, output, response)
        return output, Tape(weights, response.slopes, normalised, h)

    def backward(
        self, number: int, tape: Tape, gradient: Array, logarithm: float
    ) -> tuple[Array, int] | None:
        """As `steps.Steps.backward`."""
        delta, shift = self._delta(number, tape, gradient)
        self._measure_gradient(number, tape, delta, logarithm + shift * math.log10(2))
        if number == 0 or not np.isfinite(delta.mean_square):
            return None
        below = tape.weights.backward(delta)
        if self.network.has_branch(self.network.layers[number]):
            # Both terms are brought to the scale of the larger.
            np.ldexp(below, min(0, shift), out=below)
            shift = max(0, shift)
            below += np.ldexp(gradient, -shift) if shift else gradient
        below, exponent = rescaled(below)
        return below, exponent + shift

    def _delta(self, number: int, tape: Tape, gradient: Array) -> tuple[Batch, int]:
        """dL/dz and the power of two it was divided by; 0 unless slopes are near the end of the range."""
        delta = Batch(self._through_units(number, tape, gradient), self._blocks)
        if 0 < delta.mean_square < math.inf or not tape.slopes.any():
            return delta, 0
        shift = math.frexp(largest(tape.slopes))[1]
        np.ldexp(tape.slopes, -shift, out=tape.slopes)
        return Batch(self._through_units(number, tape, gradient), self._blocks), shift

    def _respond(self, number: int, z: Array) -> Response:
        units, count = self.network.units_at(number), self.network.layers[number].units
        response, dropout = respond(units, count, z, self._blocks), self.network.dropout
        if dropout is None or number == self.network.depth - 1:
            return response
        return dropout.of(response, dropout.mask(self._run.masks.at(number), count, self._blocks))

    def _output(self, number: int, h: Batch, response: Array) -> Batch:
        scale = self.network.residual
        if scale is None or not self.network.has_branch(self.network.layers[number]):
            return Batch(response, self._blocks)
        response *= scale
        response += h.values
        return Batch(response, self._blocks)

    def _through_units(self, number: int, tape: Tape, gradient: Array) -> Array:
        """dL/dz from dL/dh: through the branch's scale, φ′ and the normalisation."""
        layer = self.network.layers[number]
        scale = self.network.residual if self.network.has_branch(layer) else None
        delta = pulled(tape.slopes, gradient, scale, self._blocks)
        if tape.normalised is None or self.network.normalisation is None:
            return delta
        return self.network.normalisation.backward(delta, tape.normalised, self._by_row)

    def _measure_preactivations(self, number: int, z: Array) -> None:
        variance, self.figures.correlation[number], self.figures.ends = moments(z, self._blocks)
        self.figures.preactivation_variance[number] = np.inf if math.isnan(variance) else max(0.0, variance)
        self.figures.signal_peak[number] = np.log10(largest(z))

    def _measure_outputs(self, number: int, h: Batch, response: Response) -> None:
        figures = self.figures
        figures.activation_mean[number] = mean(h)
        figures.signal_peak[number] = max(figures.signal_peak[number], np.log10(largest(h.values)))
        figures.activation_mean_square[number] = np.ldexp(h.mean_square, 2 * h.exponent)
        figures.saturated_fraction[number] = response.counts.saturated / h.values.size
        figures.dead_fraction[number] = response.counts.dead / len(h.values)

    def _measure_gradient(self, number: int, tape: Tape, delta: Batch, logarithm: float) -> None:
        figures = self.figures
        figures.gradient_peak[number] = logarithm + np.log10(largest(delta.values))
        logarithm += math.log10(delta.scale)
        figures.gradient_log10_rms[number] = logarithm + np.log10(delta.mean_square) / 2
        norm = logarithm + math.log10(tape.inputs.scale) + np.log10(product_norm(delta, tape.inputs))
        figures.weight_gradient_log10_norm[number] = norm
