"""Which linear map each layer uses, and what a simulation costs. Pure functions of shapes.

Two engines: ``dense`` makes the weights, ``deferred`` does not and is exact in distribution for Gaussian
weights and for square orthogonal ones with at least 2B units; ``auto`` takes, layer by layer, the cheaper one
that is exact.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from app.core.arithmetic import Array
from app.core.errors import InvalidValue, UnknownName
from app.core.propagation.blocks import Blocks
from app.core.propagation.given import GivenWeights
from app.core.propagation.initialisers import Initialiser, Orthogonal, draw
from app.core.propagation.layer import Layer, Matrix
from app.core.propagation.linear_maps import (
    DeferredGaussian,
    DeferredOrthogonal,
    Dense,
    Interleaved,
    LinearMap,
    Stacked,
    UnitVariance,
)
from app.core.propagation.network import Network, Weights
from app.core.propagation.streams import Stream

Kind: TypeAlias = Literal["dense", "deferred"]
Engine: TypeAlias = Literal["auto", "dense", "deferred"]

_KINDS: tuple[Kind, ...] = ("dense", "deferred")

FLOPS_PER_DRAW = 300
"""A standard normal number takes as long as this many operations of a matrix product.

Measured on one core in float64: 7 ns at 50 Gflop/s. In float32 it is fewer, 0.7 ns at 80 Gflop/s; what a
layer runs on does not depend on the dtype.
"""

FLOPS_PER_RESPONSE = 500
"""Operations for a value, a slope and their part in the figures, for each element (measured: 10 ns)."""

FLOPS_PER_DEFERRAL = 10_000_000
"""The fixed cost of deferring a layer's weights: small factorisations (measured: 0.2 ms)."""

_REPEATED = 1.5
"""The factor of work if the forward pass, nearly half of it, is run twice."""

WORKING_ARRAYS = 6
"""Arrays of one layer's pre-activations that exist at the same time beside the tape."""


@dataclass(frozen=True)
class Cost:
    """Floating-point operations, standard normal numbers drawn, and bytes at the peak."""

    flops: float
    draws: float
    bytes: float

    @property
    def work(self) -> float:
        """The total in operations of a matrix product; 5e10 are about a second of one core."""
        return self.flops + FLOPS_PER_DRAW * self.draws


def engines(network: Network, batch: int, engine: Engine) -> tuple[Kind, ...]:
    """The kind of map for each layer, or for each of a block's matrices.

    Raises `InvalidValue` where ``engine`` is ``deferred`` and a layer's weights allow no deferring.
    """
    if engine not in ("auto", "dense", "deferred"):
        raise UnknownName("engine", engine, ("auto", "dense", "deferred"), loc=("engine",))
    weighed = list(zip(_laws(network), network.maps, network.columns(batch), strict=True))
    choices = {each: _choice(network, *each, engine) for each in set(weighed)}
    return tuple(choices[each] for each in weighed)


def _laws(network: Network) -> list[tuple[Weights, ...]]:
    """For each of `Network.maps` the weights it may have; blocks may differ in the weights of a map."""
    if network.block is None:
        return [(network.weights_at(number),) for number in range(network.depth)]
    return [tuple(dict.fromkeys(network.laws)) or (network.weights,)] * len(network.maps)


def _choice(network: Network, laws: tuple[Weights, ...], layer: Layer, batch: int, engine: Engine) -> Kind:
    shared = network.tied and any(_orthogonal_weights(each) for each in laws)
    possible = not shared and all(deferrable(each, layer, batch) for each in laws)
    if engine == "deferred" and not possible:
        raise InvalidValue(
            "deferred needs Gaussian weights, or, where no steps share them, orthogonal ones in square "
            "layers with at least twice as many units as the batch has inputs; auto takes what is possible",
            loc=("engine",),
        )
    if engine == "auto" and possible:
        dense, deferred = (_use_cost(network, laws[0], layer, batch, kind).work for kind in _KINDS)
        return "deferred" if deferred < dense else "dense"
    return "dense" if engine == "auto" else engine


def deferrable(weights: Weights, layer: Layer, batch: int) -> bool:
    """Whether the layer's weights need not be made."""
    if isinstance(weights, GivenWeights):
        return False
    invariance = weights.weight_law(layer.fan_in, layer.fan_out).invariance
    if invariance == "haar":
        return layer.fan_in == layer.units >= 2 * batch
    return invariance == "gaussian"


def linear_map(
    network: Network, number: int, kind: Kind, stream: Stream, blocks: Blocks, dtype: np.dtype[Any]
) -> LinearMap:
    """The weights of layer ``number`` (from 0), made or deferred."""
    weights = network.weights_at(number)
    if isinstance(weights, GivenWeights):
        return given_map(weights, number, blocks, dtype)
    return _drawn(weights, network.layers[number], Interleaved, kind, stream, blocks, dtype)


def given_map(weights: GivenWeights, place: int, blocks: Blocks, dtype: np.dtype[Any]) -> LinearMap:
    """The caller's matrix number ``place`` (from 0)."""
    return Dense(weights.matrices[place].astype(dtype, copy=False), blocks)


def given_bias(weights: GivenWeights, place: int, dtype: np.dtype[Any]) -> Array | None:
    """The bias of the caller's matrix number ``place`` (from 0), or None."""
    bias = weights.biases[place]
    return None if bias is None else bias.astype(dtype)


def block_map(
    weights: Initialiser, matrix: Matrix, kind: Kind, stream: Stream, blocks: Blocks, dtype: np.dtype[Any]
) -> LinearMap:
    """A block's matrices of one shape, one below the other, made or deferred."""
    join = Interleaved if len(matrix.names) == 1 else Stacked
    return _drawn(weights, matrix.layer, join, kind, stream, blocks, dtype)


def _drawn(
    weights: Initialiser,
    layer: Layer,
    join: Callable[[list[LinearMap]], LinearMap],
    kind: Kind,
    stream: Stream,
    blocks: Blocks,
    dtype: np.dtype[Any],
) -> LinearMap:
    if weights.unit_variance:
        plain = replace(weights, unit_variance=False)
        return UnitVariance(_drawn(plain, layer, join, kind, stream, blocks, dtype))
    law = weights.weight_law(layer.fan_in, layer.fan_out)
    if isinstance(law, Orthogonal):
        if layer.pieces == 1:
            return _orthogonal(layer, law, kind, stream, blocks, dtype)
        pieces = range(layer.pieces)
        return join([_orthogonal(layer, law, kind, stream.at(each), blocks, dtype) for each in pieces])
    if kind == "deferred":
        return DeferredGaussian(layer.fan_in, layer.rows, law.std, stream)
    columns = Blocks(layer.fan_in, blocks.map_blocks)
    return Dense(draw(law, layer.rows, stream, columns, dtype), blocks)


def _orthogonal(
    layer: Layer, law: Orthogonal, kind: Kind, stream: Stream, blocks: Blocks, dtype: np.dtype[Any]
) -> LinearMap:
    if kind == "deferred":
        return DeferredOrthogonal(layer.units, law.gain, stream)
    columns = Blocks(layer.fan_in, blocks.map_blocks)
    return Dense(draw(law, layer.units, stream, columns, dtype), blocks)


def biases(network: Network, number: int, stream: Stream, dtype: np.dtype[Any]) -> Array | None:
    """The biases of layer ``number`` (from 0), one a row of W, or None."""
    weights = network.weights_at(number)
    if isinstance(weights, GivenWeights):
        return given_bias(weights, number, dtype)
    return drawn_biases(weights, network.layers[number], stream, dtype)


def drawn_biases(weights: Initialiser, layer: Layer, stream: Stream, dtype: np.dtype[Any]) -> Array | None:
    """One bias for each row of W, or None where they are 0."""
    if weights.biases is None:
        return None
    law = weights.biases.law(layer.fan_in, layer.fan_out)
    return draw(law, layer.rows, stream, Blocks(1), dtype)[:, 0]


def _map_cost(weights: Weights, layer: Layer, batch: int, kind: Kind) -> Cost:
    """A layer's linear map alone, forward and backward; ``bytes`` are numbers that the tape holds of it."""
    given = isinstance(weights, GivenWeights)
    orthogonal = _orthogonal_weights(weights)
    rows, fan_in = layer.rows, layer.fan_in
    if kind == "dense":
        factoring = 4 * rows * fan_in * min(rows, fan_in) if orthogonal else 0
        entries = rows * fan_in
        return Cost(4 * entries * batch + factoring, 0 if given else entries, entries + fan_in * batch)
    products = 4 * rows + 6 * fan_in + (2 * rows + 2 * fan_in if orthogonal else 0)
    return Cost(products * batch**2 + FLOPS_PER_DEFERRAL, (rows + fan_in) * batch, (rows + fan_in) * batch)


def _use_cost(network: Network, weights: Weights, layer: Layer, batch: int, kind: Kind) -> Cost:
    """The cost of a linear map in one layer, block or step."""
    if network.tied:
        return _tied_cost(network, layer, batch, kind)
    if network.convolves:
        return _convolution_cost(weights, layer, batch, kind)
    return _map_cost(weights, layer, batch, kind)


def _convolution_cost(weights: Weights, layer: Layer, columns: int, kind: Kind) -> Cost:
    """The same for a convolution and so many ``columns``, positions of inputs; dense ones make no patches."""
    found = _map_cost(weights, layer, columns, kind)
    if kind == "dense":
        unpacked = (layer.fan_in - layer.fan_in / layer.places) * columns
        gradient = 2 * layer.rows * layer.fan_in * columns
        return replace(found, flops=found.flops + gradient, bytes=found.bytes - unpacked)
    grams = 4 * layer.rows + 2 * layer.fan_in + 5 * columns
    return replace(found, flops=found.flops + grams * columns**2, bytes=found.bytes + 4 * columns**2)


def _tied_cost(network: Network, layer: Layer, batch: int, kind: Kind) -> Cost:
    """The same for one step's part of a map with tied weights; x_t's has no backward pass."""
    rows, fan_in, steps = layer.rows, layer.fan_in, network.depth
    back = 1 - 1 / len(network.matrices)
    if kind == "dense":
        return Cost((2 + 2 * back) * rows * fan_in * batch, rows * fan_in / steps, fan_in * batch)
    right, left = (min(steps * batch, each) for each in (fan_in, rows))
    forward = (4 * fan_in + rows) * right
    backward = (4 * rows + fan_in) * left + (2 * rows + 4 * fan_in) * right
    small = 20 * (rows + fan_in) * batch
    drawn = (rows * right + fan_in * left * back) / steps
    kept = ((rows + fan_in) * (right + left * back)) / steps
    return Cost(
        (forward + backward * back + small) * batch + FLOPS_PER_DEFERRAL, drawn, kept + fan_in * batch
    )


def cost(network: Network, batch: int, kinds: tuple[Kind, ...], itemsize: int, tape: float) -> Cost:
    """One network whose numbers take ``itemsize`` bytes, with ``tape`` bytes kept for the backward pass."""
    length = segment_length(network, batch, kinds, itemsize, tape)
    shapes = Counter(_map_uses(network, batch, kinds))
    maps = {shape: _use_cost(network, *shape) for shape in shapes}
    flops = sum(
        count * (maps[shape].flops + _shared_flops(network, *shape[1:])) for shape, count in shapes.items()
    )
    draws = sum(count * maps[shape].draws for shape, count in shapes.items())
    if network.block is not None:  # so far one block was counted
        load = network.block.load(network.sizes[-1], batch, network.units.pieces)
        flops, draws = network.depth * (flops + load.flops), network.depth * draws
    repeated = 1.0 if length == network.depth else _REPEATED
    kept, between = _tape_sizes(network, batch, kinds)
    working = WORKING_ARRAYS * max(each.layer.rows * each.columns for each in shapes)
    numbers = length * kept + math.ceil(network.depth / length) * between + working
    if network.tied:
        made = zip(network.maps, kinds, strict=True)
        numbers += sum(layer.rows * layer.fan_in for layer, kind in made if kind == "dense")
    return Cost(repeated * flops, repeated * draws, itemsize * numbers)


class _MapUse(NamedTuple):
    """A linear map, how many columns it is applied to, and by which engine."""

    weights: Weights
    layer: Layer
    columns: int
    kind: Kind


def _map_uses(network: Network, batch: int, kinds: tuple[Kind, ...]) -> list[_MapUse]:
    """How each map is used; where layers differ, with the weights that cost most."""
    laws = [max(each, key=_orthogonal_weights) for each in _laws(network)]
    uses = zip(laws, network.maps, network.columns(batch), kinds, strict=True)
    return [_MapUse(*each) for each in uses]


def _orthogonal_weights(weights: Weights) -> bool:
    return isinstance(weights, Initialiser) and isinstance(weights.weights, Orthogonal)


def segment_length(network: Network, batch: int, kinds: tuple[Kind, ...], itemsize: int, tape: float) -> int:
    """How many layers to keep at a time: all, or the most that fit ``tape`` bytes, or what needs the least.

    If not all are kept, only the input of each stretch of layers is. The stretch is recomputed, from the same
    random numbers, when the backward pass reaches it (Griewank and Walther 2000, doi:10.1145/347837.347846).
    """
    # Deferred maps keep all their products anyway, and recomputed products would be rounded differently.
    if network.tied and ("deferred" in kinds or network.bidirectional):
        return network.depth
    kept, between = _tape_sizes(network, batch, kinds)
    lengths = np.arange(1, network.depth + 1)
    sizes = itemsize * (lengths * kept + np.ceil(network.depth / lengths) * between)
    fitting = lengths[sizes <= tape]
    return int(fitting[-1] if len(fitting) else lengths[np.argmin(sizes)])


def _tape_sizes(network: Network, batch: int, kinds: tuple[Kind, ...]) -> tuple[float, float]:
    """Numbers kept for the largest layer, or for a block, and between two stretches of layers."""
    between = float(network.state * batch)
    maps = _map_uses(network, batch, kinds)
    if network.block is not None:
        load = network.block.load(network.sizes[-1], batch, network.units.pieces)
        mapped = sum(_use_cost(network, *each).bytes for each in maps)
        return load.kept + mapped, between
    responses = 2 if network.normalisation else 1
    kept = max(_map_cost(*each).bytes + responses * each.layer.rows * each.columns for each in set(maps))
    return float(kept), between


def _shared_flops(network: Network, layer: Layer, batch: int, kind: Kind) -> float:
    """What a layer costs beside its map: Gram matrices of z, δ and h, activation, figures.

    A block's weights that are made need no Gram matrices: the norm of δ hᵀ is then found the cheaper way.
    """
    gram = 0.0 if network.convolves else (4.0 * layer.rows + 2 * layer.fan_in) * batch**2
    if network.block is not None and not network.tied and kind == "dense":
        gram = min(gram, 2.0 * layer.rows * layer.fan_in * batch)
    return gram + FLOPS_PER_RESPONSE * layer.rows * batch
