"""What is simulated: layer sizes, activation, weights, normalisation, residual branches, inputs.

Layer l computes z = W h + b, ẑ = normalised z (or z), and

    h_l = φ(ẑ),    or    h_l = h_{l−1} + scale · φ(ẑ)    with residual branches.

A layer that changes the width has no residual branch, as its input and output differ in size. A network
of blocks has a block (`block`) where this has a layer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from app.core.activations.registry import Call
from app.core.arithmetic import Array
from app.core.errors import InvalidValue
from app.core.propagation.block import Block
from app.core.propagation.blocks import Blocks
from app.core.propagation.convolution_block import ConvolutionBlock
from app.core.propagation.dropout import Dropout
from app.core.propagation.given import GivenWeights
from app.core.propagation.initialisers import Initialiser
from app.core.propagation.layer import Layer, Matrix
from app.core.propagation.normalisation import Normalisation
from app.core.propagation.recurrent_block import RecurrentBlock
from app.core.propagation.residual_block import ResidualBlock
from app.core.propagation.streams import Stream
from app.core.propagation.units import Units

Weights: TypeAlias = Initialiser | GivenWeights


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network of ``len(sizes) − 1`` layers, or blocks.

    Attributes:
        sizes: inputs, then the units of each layer.
        call: the activation with its parameters.
        weights: how they are drawn, or the matrices.
        normalisation: of pre-activations, or None.
        residual: the scale of the branches, or None.
        block: what a layer is; None for plain layers. ``normalisation`` is then the block's n(·).
        dropout: after the activation in every layer but the last, or in every block; or None.
        calls: where layers differ, each one's own activation; ``call`` is then the first one's.
        laws: where layers differ, how each one's weights are drawn; ``weights`` is then the first one's.

    Raises `InvalidValue` for sizes or matrices that do not fit together, and for an activation that mixes a
    whole layer.
    """

    sizes: tuple[int, ...]
    call: Call
    weights: Weights
    normalisation: Normalisation | None = None
    residual: float | None = None
    block: Block | RecurrentBlock | None = None
    dropout: Dropout | None = None
    calls: tuple[Call, ...] = ()
    laws: tuple[Initialiser, ...] = ()

    def __post_init__(self) -> None:
        if len(self.sizes) < 2 or min(self.sizes) < 1:
            raise InvalidValue("must be two or more positive sizes", loc=("width",))
        for name, listed in (("activation", self.calls), ("init", self.laws)):
            if len(listed) not in (0, self.depth):
                raise InvalidValue(f"must be one for each layer: {self.depth:,}", loc=(name,))
        if self.block is not None:
            self._check_block(self.block)
        for each, size in {(each, size) for each, size in zip(self._units, self.sizes[1:], strict=True)}:
            each.check(size)
        if isinstance(self.weights, GivenWeights):
            matrices = tuple(each.layer for each in self.matrices) * (1 if self.tied else self.depth)
            _check_fit(self.weights, matrices or self.layers)

    @cached_property
    def units(self) -> Units:
        """The activation applied to units."""
        return Units(self.call)

    @cached_property
    def _units(self) -> tuple[Units, ...]:
        if not self.calls:
            return (self.units,) * self.depth
        made = {id(call): Units(call) for call in self.calls}
        return tuple(made[id(call)] for call in self.calls)

    def units_at(self, number: int) -> Units:
        """The activation of layer ``number`` (from 0), applied to units."""
        return self._units[number]

    def weights_at(self, number: int) -> Weights:
        """How the weights of layer ``number`` (from 0) are drawn, or all matrices."""
        return self.laws[number] if self.laws else self.weights

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The layers' shapes, first to last; a block's is that of the stream."""
        if self.block is not None:
            features = self.features * (
                self.block.directions if isinstance(self.block, RecurrentBlock) else 1
            )
            return (Layer(features, features, 1),) * self.depth
        shapes = zip(pairwise(self.sizes), self._units, strict=True)
        return tuple(Layer(fan_in, units, each.pieces) for (fan_in, units), each in shapes)

    @cached_property
    def matrices(self) -> tuple[Matrix, ...]:
        """The weights of a block, each block's the same; none for plain layers."""
        return () if self.block is None else self.block.shapes(self.sizes[-1], self.units.pieces)

    @property
    def maps(self) -> tuple[Layer, ...]:
        """The shapes that an engine is chosen for: each layer's, or those of one block's matrices."""
        return self.layers if self.block is None else tuple(each.layer for each in self.matrices)

    def columns(self, batch: int) -> tuple[int, ...]:
        """How many columns each of `maps` is applied to, for so many inputs."""
        if self.block is None:
            return (batch,) * self.depth
        return tuple(each.columns or batch * self.places for each in self.matrices)

    @property
    def passes(self) -> bool:
        """Whether every layer has a skip connection: the signal is added to, never replaced."""
        return self.residual is not None if self.block is None else self.block.passes

    @property
    def distinct_calls(self) -> list[Call]:
        """The activations of its layers, each once for the same name and parameters."""
        calls = self.calls or (self.call,)
        return list({(each.activation.name, *each.scalars.items()): each for each in calls}.values())

    @property
    def depth(self) -> int:
        """How many layers."""
        return len(self.sizes) - 1

    def has_branch(self, layer: Layer) -> bool:
        """Whether the layer adds to its input."""
        return self.residual is not None and layer.fan_in == layer.units

    @property
    def tied(self) -> bool:
        """Whether all steps have the same weights."""
        return isinstance(self.block, RecurrentBlock)

    @property
    def bidirectional(self) -> bool:
        """Whether its steps run in both directions."""
        return isinstance(self.block, RecurrentBlock) and self.block.bidirectional

    @property
    def convolves(self) -> bool:
        """Whether its layers are convolutions."""
        return isinstance(self.block, ConvolutionBlock)

    @property
    def places(self) -> int:
        """Positions at which each unit has an output."""
        return self.block.places if isinstance(self.block, ConvolutionBlock) else 1

    @property
    def features(self) -> int:
        """Numbers of the stream at the first layer."""
        return self.sizes[0] * self.places

    @property
    def input_features(self) -> int:
        """Numbers of one input: the stream's, or those of all times of a recurrent network."""
        if isinstance(self.block, RecurrentBlock):
            return self.depth * self.block.inputs(self.sizes[0])
        return self.features

    @property
    def state(self) -> int:
        """How many numbers a step passes on for each input."""
        states = self.block.cells * self.block.states if isinstance(self.block, RecurrentBlock) else 1
        return states * max(self.sizes) * self.places

    def check_inputs(self, inputs: GaussianInputs | Array) -> None:
        """Raises `InvalidValue` for inputs that it cannot have."""
        if self.tied and isinstance(inputs, np.ndarray) and len(inputs) != self.input_features:
            each = self.input_features // self.depth
            message = f"must be batch × times × features: {self.depth:,} times, {each:,} features"
            raise InvalidValue(message, loc=("inputs",))
        if self.convolves and isinstance(inputs, np.ndarray) and len(inputs) != self.features:
            message = f"must be inputs of {self.features:,} numbers, channels · positions"
            raise InvalidValue(message, loc=("inputs",))

    def _check_block(self, block: Block | RecurrentBlock) -> None:
        if len(set(self.sizes)) > 1:
            raise InvalidValue(
                "a block keeps the width: it must be one number, and as many features as the inputs have",
                loc=("width",),
            )
        if self.residual is not None:
            raise InvalidValue("a block has its own: skip and branch", loc=("residual",))
        if self.normalisation is not None and block.norm is None:
            message = "must be null where the block has no normalisation; its norm may be pre or post"
            raise InvalidValue(message, loc=("normalization",))
        over_batch = self.normalisation is not None and self.normalisation.over == "batch"
        if over_batch and not isinstance(block, ResidualBlock):
            message = "must be layer_norm or rms_norm in a block that is not residual"
            raise InvalidValue(message, loc=("normalization",))
        if self.tied:
            self._check_tied()
        if self.convolves and any(
            isinstance(each, Initialiser) and each.unit_variance for each in (self.weights, *self.laws)
        ):
            raise InvalidValue("must not be lsuv with convolutions", loc=("init",))
        if len({each.pieces for each in self._units}) > 1:
            raise InvalidValue("must all gate or none: blocks have the same matrices", loc=("activation",))
        for units in self._units:
            units.check(1)  # parts differ in their units: per-unit parameters are refused
        block.check(self.sizes[0])

    def _check_tied(self) -> None:
        for name, listed in (("activation", self.calls), ("init", self.laws)):
            if listed:
                raise InvalidValue("must be one: all steps have the same weights", loc=(name,))
        if self.units.pieces > 1:
            message = "must have one pre-activation per unit in a recurrent network"
            raise InvalidValue(message, loc=("activation",))
        if isinstance(self.weights, Initialiser) and self.weights.unit_variance:
            message = "must not depend on the inputs in a recurrent network, whose steps share their weights"
            raise InvalidValue(message, loc=("init",))
        if self.dropout is not None:
            raise InvalidValue("must be null in a recurrent network", loc=("dropout",))


def given_network(
    call: Call,
    weights: GivenWeights,
    *,
    normalisation: Normalisation | None = None,
    residual: float | None = None,
    block: Block | RecurrentBlock | None = None,
    dropout: Dropout | None = None,
    calls: tuple[Call, ...] = (),
) -> Network:
    """The network made of the caller's own matrices; sizes are theirs.

    Raises `InvalidValue` where the rows are no multiple of the activation's pre-activations a unit, and for
    blocks, whose weights these are not.
    """
    if len(calls) not in (0, len(weights.matrices)):
        raise InvalidValue(f"must be one for each layer: {len(weights.matrices):,}", loc=("activation",))
    at_work = {id(each): Units(each).pieces for each in calls or (call,)}
    pieces = [at_work[id(each)] for each in calls or (call,) * len(weights.matrices)]
    for number, (matrix, each) in enumerate(zip(weights.matrices, pieces, strict=True), start=1):
        if len(matrix) % each:
            raise InvalidValue(
                f"layer {number} must have a multiple of {each} rows: {each} for each unit",
                loc=("weights",),
            )
    units = (len(matrix) // each for matrix, each in zip(weights.matrices, pieces, strict=True))
    sizes = (weights.matrices[0].shape[1], *units)
    return Network(
        sizes=sizes,
        call=call,
        weights=weights,
        normalisation=normalisation,
        residual=residual,
        block=block,
        dropout=dropout,
        calls=calls,
    )


def _check_fit(weights: GivenWeights, layers: tuple[Layer, ...]) -> None:
    if len(weights.matrices) != len(layers):
        raise InvalidValue("must be as many matrices as layers", loc=("weights",))
    for number, (matrix, layer) in enumerate(zip(weights.matrices, layers, strict=True), start=1):
        if matrix.shape != (layer.rows, layer.fan_in):
            raise InvalidValue(
                f"layer {number} must have {layer.rows} rows and {layer.fan_in} columns: rows are outputs, "
                "columns the units before them",
                loc=("weights",),
            )


@dataclass(frozen=True)
class GaussianInputs:
    """A batch of Gaussian inputs: entries N(0, variance), any two inputs correlated by ``correlation``.

    The correlation of B inputs is at least −1/(B − 1).
    """

    batch: int
    variance: float = 1.0
    correlation: float = 0.0

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise InvalidValue("must be a positive whole number", loc=("batch",))
        if not (self.variance >= 0 and math.isfinite(self.variance)):
            raise InvalidValue("must be 0 or a positive number", loc=("inputs", "variance"))
        lowest = -1 / (self.batch - 1) if self.batch > 1 else -1.0
        if not lowest <= self.correlation <= 1:
            raise InvalidValue(
                f"must lie in [{lowest:.3g}, 1] for {self.batch} inputs", loc=("inputs", "correlation")
            )

    def draw(self, features: int, stream: Stream, blocks: Blocks, dtype: np.dtype[Any]) -> Array:
        """features × batch.

        G (a + b 11ᵀ/B) with a = √(1 − c) and a + b = √(1 + (B − 1) c) has the covariance (1 − c) + c 11ᵀ.
        """
        values = stream.normals(features, blocks, dtype)
        apart = math.sqrt(1 - self.correlation)
        together = math.sqrt(max(0.0, 1 + (self.batch - 1) * self.correlation)) - apart
        deviation = math.sqrt(self.variance)

        def mix(block: slice) -> None:
            mean = values[block].mean(axis=1, keepdims=True)
            values[block] = deviation * (apart * values[block] + together * mean)

        blocks.each(features, mix)
        return values
