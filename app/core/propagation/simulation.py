"""One pass through a random network: signal forward, gradient back, figures of every layer.

The loss gradient at the last layer's output is a standard normal array, or the caller's own. The way back is
linear in it, so it is brought back to size one layer by layer and its logarithm carried along: ten thousand
layers are fine.

The seam to what is built on this:
    `propagate` returns one network's `Figures`, `statistics.summarise` the spreads over several;
    `engine.engines` says which engine each layer ran on, `engine.cost` what it will cost;
    `Initialiser.sigma_w` and ``sigma_b`` are what theory needs; `Figures.overflow` is a finding.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from app.core.arithmetic import Array
from app.core.errors import InvalidValue
from app.core.evaluation import FLOAT64, Mapper
from app.core.propagation.blocks import TEMPORARY, Blocks
from app.core.propagation.collapse import first_collapsed, stride
from app.core.propagation.engine import Engine, Kind, biases, engines, linear_map, segment_length
from app.core.propagation.linear_maps import LinearMap
from app.core.propagation.network import GaussianInputs, Network
from app.core.propagation.normalisation import Normalised
from app.core.propagation.statistics import Figures, variance_and_correlation
from app.core.propagation.streams import Stream
from app.core.propagation.tall import Batch, largest, product_norm
from app.core.propagation.units import Counts

Inputs: TypeAlias = GaussianInputs | Array
"""Drawn anew for each network, or the caller's own batch: features × batch."""

Progress: TypeAlias = Callable[[int, int], None]
"""Called before each step with the steps done and their total; what it raises ends the simulation."""

TAPE = 2.0**31
"""Bytes kept for the way back, unless the caller says otherwise."""

_NEAR = 16
"""Exponent that a gradient may have before it is brought back to one: the range is 2¹²⁶ in float32."""

_INPUTS, _WEIGHTS, _BIASES, _LOSS = range(4)


class Response(NamedTuple):
    """What a layer's units answer: φ, units × B, and φ′ = ∂φ/∂z, pre-activations × B."""

    outputs: Array
    slopes: Array
    counts: Counts


@dataclass(frozen=True)
class Tape:
    """What the way back needs of one layer: its map, φ′, the normalised values, its input."""

    weights: LinearMap
    slopes: Array
    normalised: Normalised | None
    inputs: Batch


def propagate(  # noqa: PLR0913  the request's own fields, all but two with a default
    network: Network,
    inputs: Inputs,
    *,
    seed: int,
    index: int = 0,
    dtype: np.dtype[Any] = FLOAT64,
    engine: Engine | tuple[Kind, ...] = "auto",
    upstream: Array | None = None,
    tape: float = TAPE,
    map_blocks: Mapper = map,
    progress: Progress | None = None,
) -> Figures:
    """The figures of network ``index`` of ``seed``: a function of its arguments, whatever runs beside it.

    Args:
        network: what to simulate.
        inputs: Gaussian, or a batch of features × B.
        seed: any non-negative integer.
        index: which of the seed's networks.
        dtype: float64 or float32.
        engine: which map drives a layer, as for `engine.engines`; or what that chose, layer by layer.
        upstream: dL/d(outputs), units × B, instead of a standard normal array.
        tape: bytes to keep for the way back; beyond, layers are run twice.
        map_blocks: as the built-in ``map``; may run the calls side by side. BLAS should keep to one thread:
            its own threads are slow on matrices this thin, and change the last bits.
        progress: see `Progress`.

    Raises:
        InvalidValue: inputs that do not fit the network, an engine that cannot be exact.
    """
    with np.errstate(all="ignore"):
        batch = _checked_batch(network, inputs, dtype)
        kinds = engine if isinstance(engine, tuple) else engines(network, batch, engine)
        segment = segment_length(network, batch, kinds, dtype.itemsize, tape)
        run = _Run(
            network, kinds, segment, Stream(seed, (index,)), dtype, Blocks(batch, map_blocks), progress
        )
        run.forward(inputs)
        if run.figures.overflow is None:
            run.backward(upstream)
        return run.figures


def _checked_batch(network: Network, inputs: Inputs, dtype: np.dtype[Any]) -> int:
    """How many inputs there are, once all three are known to fit each other."""
    if dtype not in (np.float64, np.float32):
        raise InvalidValue("must be float64 or float32", loc=("dtype",))
    if isinstance(inputs, np.ndarray):
        if inputs.ndim != 2 or len(inputs) != network.sizes[0] or not inputs.size:
            raise InvalidValue(f"must be inputs of {network.sizes[0]} features", loc=("inputs",))
        if not np.isfinite(inputs).all():
            raise InvalidValue("must be finite", loc=("inputs",))
    batch = inputs.batch if isinstance(inputs, GaussianInputs) else inputs.shape[1]
    if network.normalisation is not None and network.normalisation.over == "batch" and batch < 2:
        raise InvalidValue("must be 2 or more where the batch is normalised", loc=("batch",))
    return batch


class _Run:
    """One network, from its inputs to its figures."""

    def __init__(
        self,
        network: Network,
        kinds: tuple[Kind, ...],
        segment: int,
        stream: Stream,
        dtype: np.dtype[Any],
        blocks: Blocks,
        progress: Progress | None,
    ) -> None:
        self.network = network
        self.figures = Figures(network.depth)
        self._kinds = kinds
        self._segment = segment
        self._stream = stream
        self._dtype = dtype
        self._blocks = blocks
        self._tapes: dict[int, Tape] = {}
        self._checkpoints: dict[int, Batch] = {}
        self._progress = progress
        self._done = 0
        # Responses go by unit, normalisation by pre-activation; both make temporaries.
        numbers = TEMPORARY // dtype.itemsize
        self._by_unit = Blocks(blocks.columns * network.units.pieces, blocks.map_blocks, numbers)
        self._by_row = Blocks(blocks.columns, blocks.map_blocks, numbers)

    def forward(self, inputs: Inputs) -> None:
        """The signal through all layers, or up to the one that overflows; the last stretch stays on tape."""
        h = first = Batch(self._first(inputs), self._blocks)
        depth = self.network.depth
        kept, grams = stride(depth, self._blocks.columns), []
        for number in range(depth):
            if number % self._segment == 0:
                self._tapes.clear()
                self._checkpoints[number] = h
            h = self._layer(number, h, measured=True)
            if not np.isfinite(self.figures.activation_mean[number]):
                self.figures.overflowed(number)
                return
            if (depth - 1 - number) % kept == 0:
                grams.append(h.gram)
        # A residual branch leaves what tells inputs apart where it is, however much is added to all of them.
        if self._blocks.columns > 1 and self.network.residual is None:
            place = first_collapsed(first.gram, grams)
            self.figures.collapse = None if place is None else depth - (len(grams) - 1 - place) * kept

    def backward(self, upstream: Array | None) -> None:
        """The gradient of the loss back through all layers."""
        gradient, exponent = self._loss_gradient(upstream)
        logarithm = exponent * math.log10(2)
        for number in reversed(range(self.network.depth)):
            tape = self._tape(number)
            self._step()
            delta, shift = self._delta(number, tape, gradient)
            self._measure_gradient(number, tape, delta, logarithm + shift * math.log10(2))
            if number == 0 or not np.isfinite(delta.mean_square):
                return
            below = tape.weights.backward(delta)
            branch = None
            if self.network.has_branch(self.network.layers[number]):
                # Both parts at the scale of the larger.
                np.ldexp(below, min(0, shift), out=below)
                shift = max(0, shift)
                branch = np.ldexp(gradient, -shift) if shift else gradient
            gradient, exponent = _rescaled(below, branch)
            logarithm += (exponent + shift) * math.log10(2)

    def _delta(self, number: int, tape: Tape, gradient: Array) -> tuple[Batch, int]:
        """dL/dz and the power of two it was divided by: 0, or that of slopes near the end of the range."""
        delta = Batch(self._through_units(number, tape, gradient), self._blocks)
        if 0 < delta.mean_square < math.inf or not tape.slopes.any():
            return delta, 0
        shift = math.frexp(largest(tape.slopes))[1]
        np.ldexp(tape.slopes, -shift, out=tape.slopes)
        return Batch(self._through_units(number, tape, gradient), self._blocks), shift

    def _loss_gradient(self, upstream: Array | None) -> tuple[Array, int]:
        """dL/d(outputs), given or drawn, and the power of two that it was divided by."""
        if upstream is None:
            units = self.network.layers[-1].units
            return self._stream.at(_LOSS).normals(units, self._blocks, self._dtype), 0
        gradient, exponent = _rescaled(upstream.astype(np.float64), None)
        return gradient.astype(self._dtype), exponent

    def _step(self) -> None:
        if self._progress is not None:
            replayed = (self.network.depth - 1) // self._segment * self._segment
            self._progress(self._done, 2 * self.network.depth + replayed)
        self._done += 1

    def _first(self, inputs: Inputs) -> Array:
        if isinstance(inputs, GaussianInputs):
            return inputs.draw(self.network.sizes[0], self._stream.at(_INPUTS), self._blocks, self._dtype)
        return np.ascontiguousarray(inputs, self._dtype)

    def _tape(self, number: int) -> Tape:
        """The layer's tape, its stretch of layers run again if it was not kept."""
        if number not in self._tapes:
            start = number // self._segment * self._segment
            h = self._checkpoints.pop(start)
            for each in range(start, number + 1):
                h = self._layer(each, h, measured=False)
        return self._tapes.pop(number)

    def _layer(self, number: int, h: Batch, *, measured: bool) -> Batch:
        """h_{l−1} to h_l, with everything the way back needs put on tape."""
        self._step()
        stream = self._stream.at(_WEIGHTS, number)
        weights = linear_map(self.network, number, self._kinds[number], stream, self._blocks, self._dtype)
        z = weights.forward(h)
        offset = biases(self.network, number, self._stream.at(_BIASES, number), self._dtype)
        if offset is not None:
            z += offset[:, None]
        if measured:  # while they lie in the cache
            self._measure_preactivations(number, z)
        normaliser = self.network.normalisation
        normalised = None if normaliser is None else normaliser.forward(z, self._by_row)
        arguments = z if normalised is None else normalised.values
        if measured and self.network.units.estimated:
            self.figures.seen(arguments)
        response = self._respond(number, arguments)
        output = self._output(number, h, response.outputs)
        self._tapes[number] = Tape(weights, response.slopes, normalised, h)
        if measured:
            self._measure_outputs(number, output, response)
        return output

    def _respond(self, number: int, z: Array) -> Response:
        """φ and φ′ of a whole layer, in blocks of units."""
        layer = self.network.layers[number]
        outputs = np.empty((layer.units, z.shape[1]), self._dtype)
        slopes = np.empty_like(z)

        def respond(block: slice) -> Counts:
            rows = slice(block.start * layer.pieces, block.stop * layer.pieces)
            return self.network.units.respond(z[rows], block, outputs[block], slopes[rows])

        saturated, dead = (sum(each) for each in zip(*self._by_unit.each(layer.units, respond), strict=True))
        return Response(outputs, slopes, Counts(saturated, dead))

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
        delta = np.empty_like(tape.slopes)

        def pull(block: slice) -> None:
            rows = slice(block.start * layer.pieces, block.stop * layer.pieces)
            # Every pre-activation of a unit takes part in the unit's output.
            shape = (-1, layer.pieces, gradient.shape[1])
            slopes = tape.slopes[rows].reshape(shape)
            np.multiply(slopes, gradient[block][:, None], out=delta[rows].reshape(shape))
            if scale is not None:
                delta[rows] *= scale

        self._blocks.each(layer.units, pull)
        if tape.normalised is None or self.network.normalisation is None:
            return delta
        return self.network.normalisation.backward(delta, tape.normalised, self._by_row)

    def _measure_preactivations(self, number: int, z: Array) -> None:
        variance, correlation = variance_and_correlation(z, self._blocks)
        self.figures.preactivation_variance[number] = np.inf if math.isnan(variance) else max(0.0, variance)
        self.figures.correlation[number] = correlation

    def _measure_outputs(self, number: int, h: Batch, response: Response) -> None:
        figures = self.figures
        figures.activation_mean[number] = _mean(h)
        figures.activation_mean_square[number] = np.ldexp(h.mean_square, 2 * h.exponent)
        figures.saturated_fraction[number] = response.counts.saturated / h.values.size
        figures.dead_fraction[number] = response.counts.dead / len(h.values)

    def _measure_gradient(self, number: int, tape: Tape, delta: Batch, logarithm: float) -> None:
        figures = self.figures
        logarithm += math.log10(delta.scale)
        figures.gradient_log10_rms[number] = logarithm + np.log10(delta.mean_square) / 2
        norm = logarithm + math.log10(tape.inputs.scale) + np.log10(product_norm(delta, tape.inputs))
        figures.weight_gradient_log10_norm[number] = norm


def _mean(batch: Batch) -> float:
    """The mean of all values: each block summed pairwise in its own dtype, the blocks in float64."""
    sums = batch.blocks.each(len(batch.values), lambda block: float(batch.scaled[block].sum()))
    return float(np.ldexp(sum(sums) / batch.values.size, batch.exponent))


def _rescaled(gradient: Array, branch: Array | None) -> tuple[Array, int]:
    """``gradient`` + ``branch``, divided by a power of two that brings it near one; and the exponent."""
    if branch is not None:
        gradient += branch
    size = largest(gradient)
    exponent = math.frexp(size)[1] if math.isfinite(size) else 0
    if abs(exponent) < _NEAR:
        return gradient, 0
    return np.ldexp(gradient, -exponent, out=gradient), exponent
