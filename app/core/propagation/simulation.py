"""One pass through a random network: signal forward, gradient back, figures of every layer.

The loss gradient at the last layer's output is a standard normal array, or the caller's own. The backward
pass is linear in it, so it is rescaled to size one in every layer and its logarithm carried along: ten
thousand layers are fine.

The interface for callers:
    `propagate` returns one network's `Figures`, `statistics.summarise` the spreads over several;
    `engine.engines` says which engine each layer ran on, `engine.cost` what it will cost;
    `Initialiser.sigma_w` and ``sigma_b`` are what theory needs; `Figures.overflow` is a finding.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from app.core.arithmetic import Array
from app.core.errors import InvalidValue
from app.core.evaluation import FLOAT64, Mapper
from app.core.propagation.bidirectional_steps import BidirectionalSteps
from app.core.propagation.block_steps import BlockSteps
from app.core.propagation.blocks import Blocks
from app.core.propagation.collapse import first_collapsed, stride
from app.core.propagation.engine import Engine, Kind, engines, segment_length
from app.core.propagation.network import GaussianInputs, Network
from app.core.propagation.plain_layers import PlainLayers
from app.core.propagation.recurrent_block import RecurrentBlock
from app.core.propagation.recurrent_steps import Cells, RecurrentSteps
from app.core.propagation.statistics import Figures
from app.core.propagation.steps import Run, Steps, rescaled
from app.core.propagation.streams import Stream
from app.core.propagation.tall import Batch

Inputs: TypeAlias = GaussianInputs | Array
"""Drawn separately for each network, or the caller's own batch: features × batch."""

Progress: TypeAlias = Callable[[int, int], None]
"""Called before each step with the steps done and their total; an exception from it ends the simulation."""

TAPE = 2.0**31
"""Bytes kept for the backward pass, unless the caller says otherwise."""

_INPUTS, _WEIGHTS, _BIASES, _LOSS, _MASKS = range(5)


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
        tape: bytes to keep for the backward pass; beyond, layers are run twice.
        map_blocks: as the built-in ``map``; may run the calls in parallel. BLAS should keep to one thread:
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
            network,
            inputs,
            kinds,
            segment,
            Stream(seed, (index,)),
            dtype,
            Blocks(batch, map_blocks),
            progress=progress,
        )
        run.forward()
        if run.figures.overflow is None:
            run.backward(upstream)
        return run.figures


def _checked_batch(network: Network, inputs: Inputs, dtype: np.dtype[Any]) -> int:
    """How many inputs there are; checks that network, inputs and dtype fit each other."""
    if dtype not in (np.float64, np.float32):
        raise InvalidValue("must be float64 or float32", loc=("dtype",))
    if isinstance(inputs, np.ndarray):
        if inputs.ndim != 2 or len(inputs) != network.input_features or not inputs.size:
            raise InvalidValue(f"must be inputs of {network.input_features} features", loc=("inputs",))
        if not np.isfinite(inputs).all():
            raise InvalidValue("must be finite", loc=("inputs",))
    network.check_inputs(inputs)
    batch = inputs.batch if isinstance(inputs, GaussianInputs) else inputs.shape[1]
    if network.normalisation is not None and network.normalisation.over == "batch" and batch < 2:
        raise InvalidValue("must be 2 or more where the batch is normalised", loc=("batch",))
    return batch


class _Run:
    """One network, from its inputs to its figures."""

    def __init__(
        self,
        network: Network,
        inputs: Inputs,
        kinds: tuple[Kind, ...],
        segment: int,
        stream: Stream,
        dtype: np.dtype[Any],
        blocks: Blocks,
        *,
        progress: Progress | None,
    ) -> None:
        self.network = network
        names = [name for matrix in network.matrices for name in matrix.names]
        self.figures = Figures(network.depth, names, network.block.figures if network.block else ())
        self._inputs = inputs
        self._segment = segment
        self._stream = stream
        self._dtype = dtype
        self._blocks = blocks
        self._tapes: dict[int, Any] = {}
        self._checkpoints: dict[int, Batch] = {}
        self._progress = progress
        self._done = 0
        weights, offsets, masks = (stream.at(each) for each in (_WEIGHTS, _BIASES, _MASKS))
        self._steps = self._steps_of(kinds, Run(self.figures, weights, offsets, masks, dtype, blocks))

    def _steps_of(self, kinds: tuple[Kind, ...], run: Run) -> Steps:
        """The network as steps."""
        network = self.network
        if network.block is None:
            return PlainLayers(network, kinds, run)
        if isinstance(network.block, RecurrentBlock):
            cells = Cells(network, network.block, kinds, run, self._inputs, self._stream.at(_INPUTS))
            made = BidirectionalSteps if network.block.bidirectional else RecurrentSteps
            return made(network, network.block, cells, run)
        return BlockSteps(network, network.block, kinds, run)

    def forward(self) -> None:
        """The signal through all layers, or up to the one that overflows; the last stretch stays on tape."""
        # With a skip connection, differences between inputs persist, however much is added to all of them.
        watched = self._blocks.columns > 1 and not self.network.passes
        gram_needed = watched or self.network.block is None
        h = first = Batch(self._first(), self._blocks, gram_needed=gram_needed)
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
            if watched and (depth - 1 - number) % kept == 0:
                grams.append(h.gram)
        if watched:
            place = first_collapsed(first.gram, grams)
            self.figures.collapse = None if place is None else depth - (len(grams) - 1 - place) * kept

    def backward(self, upstream: Array | None) -> None:
        """The gradient of the loss back through all layers."""
        gradient, exponent = self._loss_gradient(upstream)
        logarithm = exponent * math.log10(2)
        for number in reversed(range(self.network.depth)):
            tape = self._tape(number)
            self._step()
            below = self._steps.backward(number, tape, gradient, logarithm)
            if below is None:
                return
            gradient, exponent = below
            logarithm += exponent * math.log10(2)

    def _loss_gradient(self, upstream: Array | None) -> tuple[Array, int]:
        """dL/d(outputs), given or drawn, and the power of two that it was divided by."""
        if upstream is None:
            units = self.network.layers[-1].units
            gradient, exponent = self._stream.at(_LOSS).normals(units, self._blocks, self._dtype), 0
        else:
            gradient, exponent = rescaled(upstream.astype(np.float64))
        unseen = self.network.state - len(gradient) if self.network.tied else 0
        return np.pad(gradient.astype(self._dtype, copy=False), ((0, unseen), (0, 0))), exponent

    def _step(self) -> None:
        if self._progress is not None:
            replayed = (self.network.depth - 1) // self._segment * self._segment
            self._progress(self._done, 2 * self.network.depth + replayed)
        self._done += 1

    def _first(self) -> Array:
        inputs = self._inputs
        if self.network.tied:
            return np.zeros((self.network.state, self._blocks.columns), self._dtype)
        if isinstance(inputs, GaussianInputs):
            return inputs.draw(self.network.features, self._stream.at(_INPUTS), self._blocks, self._dtype)
        return np.ascontiguousarray(inputs, self._dtype)

    def _tape(self, number: int) -> Any:
        """The layer's tape; if it was not kept, its stretch of layers is recomputed."""
        if number not in self._tapes:
            start = number // self._segment * self._segment
            h = self._checkpoints.pop(start)
            for each in range(start, number + 1):
                h = self._layer(each, h, measured=False)
        return self._tapes.pop(number)

    def _layer(self, number: int, h: Batch, *, measured: bool) -> Batch:
        """h_{l−1} to h_l, with everything the backward pass needs put on tape."""
        self._step()
        output, self._tapes[number] = self._steps.forward(number, h, measured=measured)
        return output
