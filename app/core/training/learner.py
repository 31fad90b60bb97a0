"""Networks in training, many runs at a time: every array has a leading axis of runs.

Hidden layer l computes z = W h + b, ẑ = normalised z (or z), h_l = φ(ẑ), or h_{l−1} + scale · φ(ẑ) with a
residual branch, as in `propagation.network`; the last layer, the head, is z = W h + b, on which the loss is
computed.

All numbers that a run learns are one row of an array, runs × numbers: each layer's W, b and the activation's
own learned parameters, one for the layer, or one for each unit where the caller gave an array. An optimiser
therefore needs to know nothing of layers.

The results of a run depend on that run alone: bit for bit the same however many are computed together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from app.core.activations.definition import Elementwise, Rowwise
from app.core.activations.registry import Call
from app.core.arithmetic import Array, Value
from app.core.errors import InvalidValue
from app.core.evaluation import FLOAT64
from app.core.propagation.blocks import Blocks
from app.core.propagation.given import GivenWeights
from app.core.propagation.initialisers import Initialiser, Orthogonal, draw
from app.core.propagation.layer import Layer
from app.core.propagation.normalisation import EPSILON, Normalisation
from app.core.propagation.streams import Stream
from app.core.propagation.units import Units
from app.core.training.losses import Loss

_WEIGHTS, _BIASES = range(2)


class Slot(NamedTuple):
    """The position of one array in a run's row of numbers: from ``start`` up to ``stop``."""

    start: int
    stop: int
    shape: tuple[int, ...]

    def of(self, values: Array) -> Array:
        """The array of every run, runs × shape: a view."""
        return values[:, self.start : self.stop].reshape(-1, *self.shape)


def _slot(start: int, *shape: int) -> Slot:
    return Slot(start, start + math.prod(shape), shape)


@dataclass(frozen=True)
class Slots:
    """The positions of a layer's arrays."""

    weights: Slot
    biases: Slot
    params: Mapping[str, Slot]

    @property
    def start(self) -> int:
        """The first of them."""
        return self.weights.start

    @property
    def stop(self) -> int:
        """The place after the last."""
        return max(slot.stop for slot in (self.biases, *self.params.values()))


class Normalised(NamedTuple):
    """ẑ, runs × rows × B, with the mean, where one was subtracted, and 1/√(variance + ε) that made it."""

    values: Array
    mean: Array | None
    inverse: Array


class Tape(NamedTuple):
    """What a layer keeps for the backward pass and the figures; the head has neither φ nor slopes."""

    inputs: Array
    z: Array
    normalised: Normalised | None
    slopes: Array | None
    outputs: Array

    @property
    def argument(self) -> Array:
        """The argument of φ."""
        return self.z if self.normalised is None else self.normalised.values


class Pass(NamedTuple):
    """A forward pass: the head's outputs, runs × outputs × B, and the layers' tapes."""

    outputs: Array
    tapes: list[Tape]


class Gradients(NamedTuple):
    """dL/d(numbers), runs × numbers, and dL/dz of every layer."""

    values: Array
    deltas: list[Array]


class Evaluation(NamedTuple):
    """A forward pass, the mean loss by run, and the backward pass."""

    passed: Pass
    loss: Array
    gradients: Gradients


def always_learned(call: Call) -> tuple[str, ...]:
    """The parameters that networks train wherever they use the function."""
    return tuple(
        each.name for each in call.activation.parameters if each.trained and each.name in call.params
    )


@dataclass(frozen=True, kw_only=True)
class Learner:
    """One activation's networks.

    Attributes:
        sizes: features, hidden units layer by layer, outputs.
        call: the activation of hidden layers, with its parameters at the start.
        weights: how they are drawn, or the matrices that all runs start from.
        head: how the head is drawn.
        learned: which of the activation's parameters are trained.
        normalisation: of hidden pre-activations, or None.
        residual: the scale of the branches, or None.

    Raises `InvalidValue` for parameters and matrices that do not fit.
    """

    sizes: tuple[int, ...]
    call: Call
    weights: Initialiser | GivenWeights
    head: Initialiser
    learned: tuple[str, ...] = ()
    normalisation: Normalisation | None = None
    residual: float | None = None

    def __post_init__(self) -> None:
        for units in set(self.sizes[1:-1]):
            self.units.check(units)
        if isinstance(self.weights, GivenWeights):
            _check_given(self.weights, self.layers)

    @cached_property
    def units(self) -> Units:
        """The activation applied to layers of units."""
        return Units(self.call)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """All layers' shapes, the head's last."""
        shapes = list(pairwise(self.sizes))
        hidden = [Layer(fan_in, units, self.units.pieces) for fan_in, units in shapes[:-1]]
        return (*hidden, Layer(*shapes[-1], 1))

    @cached_property
    def slots(self) -> tuple[Slots, ...]:
        """Each layer's positions in the row of numbers."""
        return tuple(self._slots())

    @property
    def numbers(self) -> int:
        """How many a run learns."""
        return self.slots[-1].stop

    def _slots(self) -> Iterator[Slots]:
        start = 0
        for number, layer in enumerate(self.layers):
            weights = _slot(start, layer.rows, layer.fan_in)
            biases = _slot(weights.stop, layer.rows)
            params = {}
            start = biases.stop
            for name in self.learned if number < len(self.layers) - 1 else ():
                params[name] = _slot(start, *np.shape(self.call.params[name]))
                start = params[name].stop
            yield Slots(weights, biases, params)

    def branch(self, number: int) -> float | None:
        """The scale of φ where layer ``number`` (from 0) adds to its input, else None."""
        layer = self.layers[number]
        fits = number < len(self.layers) - 1 and layer.fan_in == layer.units
        return self.residual if fits else None

    def start(self, seed: int, runs: int) -> Array:
        """The numbers at the start, runs × numbers; run r is drawn from address (r,) of the seed."""
        values = np.zeros((runs, self.numbers))
        for number, slots in enumerate(self.slots):
            for run in range(runs):
                self._draw(number, slots, values[run : run + 1], Stream(seed, (run,)))
            for name, slot in slots.params.items():
                slot.of(values)[:] = self.call.params[name]
        return values

    def _draw(self, number: int, slots: Slots, row: Array, stream: Stream) -> None:
        if isinstance(self.weights, GivenWeights):
            bias = self.weights.biases[number]
            slots.weights.of(row)[0] = self.weights.matrices[number]
            slots.biases.of(row)[0] = 0.0 if bias is None else bias
            return
        layer = self.layers[number]
        law = self.weights if number < len(self.layers) - 1 else self.head
        slots.weights.of(row)[0] = _matrix(law, layer, stream.at(_WEIGHTS, number))
        if law.biases is not None:
            drawn = law.biases.law(layer.fan_in, layer.units)
            column = draw(drawn, layer.rows, stream.at(_BIASES, number), Blocks(1), FLOAT64)
            slots.biases.of(row)[0] = column[:, 0]

    def forward(
        self, values: Array, inputs: Array, statistics: list[Normalised | None] | None = None
    ) -> Pass:
        """``inputs``, features × B for all runs or runs × features × B, through all layers.

        ``statistics``, `batch_statistics` of another batch, normalise instead of the inputs' own.
        """
        h = inputs
        tapes: list[Tape] = []
        last = len(self.layers) - 1
        for number, slots in enumerate(self.slots):
            z = np.matmul(slots.weights.of(values), h)
            z += slots.biases.of(values)[:, :, None]
            if number == last:
                tapes.append(Tape(h, z, None, None, z))
                return Pass(z, tapes)
            normalised = None
            if self.normalisation is not None:
                known = None if statistics is None else statistics[number]
                normalised = _normalised(self.normalisation, z, known)
            x = z if normalised is None else normalised.values
            outputs, slopes = self.respond(number, x, values)
            tapes.append(Tape(h, z, normalised, slopes, outputs))
            scale = self.branch(number)
            h = outputs if scale is None else h + scale * outputs
        raise AssertionError

    def evaluate(self, values: Array, inputs: Array, targets: Array, loss: Loss) -> Evaluation:
        """The loss of ``inputs``, with its gradient in all numbers."""
        passed = self.forward(values, inputs)
        assessment = loss(passed.outputs, targets)
        return Evaluation(passed, assessment.loss, self.backward(values, passed, assessment.gradient))

    def batch_statistics(self, passed: Pass) -> list[Normalised | None] | None:
        """The statistics with which to normalise other inputs; None unless normalised over the batch."""
        if self.normalisation is None or self.normalisation.over != "batch":
            return None
        return [tape.normalised for tape in passed.tapes]

    def backward(self, values: Array, passed: Pass, gradient: Array) -> Gradients:
        """The gradient in all numbers, from that in the head's outputs."""
        gradients = np.empty_like(values)
        deltas: list[Array] = []
        upstream = gradient
        for number in reversed(range(len(self.layers))):
            tape, slots = passed.tapes[number], self.slots[number]
            delta = upstream
            if tape.slopes is not None:
                delta = self._through_units(number, tape, upstream, values, gradients)
            deltas.append(delta)
            np.matmul(delta, tape.inputs.swapaxes(-1, -2), out=slots.weights.of(gradients))
            np.add.reduce(delta, axis=2, out=slots.biases.of(gradients))
            if number:
                turned = slots.weights.of(values).swapaxes(1, 2)
                # NumPy does not call BLAS for the product of a column and a row, and its own loop is slow.
                below = turned * delta if delta.shape[1] == 1 else np.matmul(turned, delta)
                upstream = below if self.branch(number) is None else below + upstream
        return Gradients(gradients, deltas[::-1])

    def respond(self, number: int, x: Array, values: Array) -> tuple[Array, Array]:
        """φ, runs × units × B, and ∂φ/∂x, the shape of x."""
        (runs, _, batch), units = x.shape, self.layers[number].units
        outputs, slopes = np.empty((runs, units, batch)), np.empty_like(x)
        entry = self.call.activation
        if isinstance(entry, Elementwise):
            params = self._spread(number, values, batch)
            entry.write((outputs.reshape(-1), slopes.reshape(-1)), x.reshape(-1), **params)
            return outputs, slopes
        if not self.learned:
            flat = [each.reshape(-1, batch) for each in (x, outputs, slopes)]
            self.units.answer(flat[0], slice(0, runs * units), flat[1], flat[2], self.call.params)
            return outputs, slopes
        for run in range(runs):
            own = self._params(number, run, values)
            self.units.answer(x[run], slice(0, units), outputs[run], slopes[run], own)
        return outputs, slopes

    def _params(self, number: int, run: int, values: Array) -> Mapping[str, Value]:
        """The activation's parameters in layer ``number`` of a run, learned ones as they are now."""
        slots = self.slots[number].params
        return {**self.call.params, **{name: slot.of(values)[run] for name, slot in slots.items()}}

    def _spread(self, number: int, values: Array, batch: int) -> Mapping[str, Value]:
        """The same for all runs, as numbers or broadcast along runs, units and examples."""
        slots, shape = self.slots[number].params, (len(values), self.layers[number].units, batch)
        spread: dict[str, Value] = {}
        for name, value in self.call.params.items():
            own = slots[name].of(values) if name in slots else np.asarray(value)[None]
            single = own.ndim == 1
            if single and name not in slots:
                spread[name] = value
            else:
                spread[name] = np.broadcast_to(
                    own[:, None, None] if single else own[..., None], shape
                ).ravel()
        return spread

    def _through_units(
        self, number: int, tape: Tape, upstream: Array, values: Array, gradients: Array
    ) -> Array:
        """dL/dz from dL/dh, through φ and the normalisation; the activation's own gradients on the way."""
        assert tape.slopes is not None
        layer = self.layers[number]
        scale = self.branch(number)
        if scale is not None:
            upstream = scale * upstream
        if self.learned:
            self._learn_params(number, tape.argument, upstream, values, gradients)
        if layer.pieces == 1:
            # Upstream may be overwritten, unless a residual branch still adds to it.
            delta = np.multiply(tape.slopes, upstream, out=None if scale is not None else upstream)
        else:
            groups = (len(values), layer.units, layer.pieces, -1)
            delta = (tape.slopes.reshape(groups) * upstream[:, :, None]).reshape(tape.z.shape)
        if tape.normalised is None or self.normalisation is None:
            return delta
        return _through_normalisation(self.normalisation, delta, tape.normalised)

    def _learn_params(self, number: int, x: Array, upstream: Array, values: Array, gradients: Array) -> None:
        """dL/dθ of the activation's learned parameters in one layer."""
        entry, slots = self.call.activation, self.slots[number].params
        if isinstance(entry, Elementwise):
            partial = entry.parameter_derivatives(x.ravel(), **self._spread(number, values, x.shape[2]))
            for name, slot in slots.items():
                by_example = partial[name].reshape(x.shape) * upstream
                axes = (1, 2) if not slot.shape else 2
                slot.of(gradients)[:] = by_example.sum(axis=axes).reshape(len(x), *slot.shape)
            return
        assert isinstance(entry, Rowwise)
        for run, each in enumerate(x):
            rows, params = self.units.rows(each), self._params(number, run, values)
            _, found = entry.pullback(rows, upstream[run][..., None], **params)
            for name, slot in slots.items():
                slot.of(gradients)[run] = found[name]


def _matrix(law: Initialiser, layer: Layer, stream: Stream) -> Array:
    """W, rows × fan_in; of orthogonal matrices one for each piece of a unit, their rows in turn."""
    weights = law.weight_law(layer.fan_in, layer.units)
    columns = Blocks(layer.fan_in)
    if layer.pieces == 1 or not isinstance(weights, Orthogonal):
        return draw(weights, layer.rows, stream, columns, FLOAT64)
    pieces = [draw(weights, layer.units, stream.at(piece), columns, FLOAT64) for piece in range(layer.pieces)]
    return np.stack(pieces, axis=1).reshape(layer.rows, layer.fan_in)


def _axis(normalisation: Normalisation) -> int:
    return 1 if normalisation.over == "units" else 2


def _normalised(normalisation: Normalisation, z: Array, known: Normalised | None) -> Normalised:
    """ẑ by z's own statistics, or by those that are ``known``."""
    axis = _axis(normalisation)
    if known is not None:
        centred = z if known.mean is None else z - known.mean
        return Normalised(centred * known.inverse, known.mean, known.inverse)
    mean = z.mean(axis=axis, keepdims=True) if normalisation.centred else None
    centred = z if mean is None else z - mean
    inverse = 1 / np.sqrt(np.mean(centred * centred, axis=axis, keepdims=True) + EPSILON)
    return Normalised(centred * inverse, mean, inverse)


def _through_normalisation(normalisation: Normalisation, delta: Array, forward: Normalised) -> Array:
    """dL/dz of δ = dL/dẑ, by the formula of `propagation.normalisation`."""
    axis = _axis(normalisation)
    rest = delta - forward.values * np.mean(delta * forward.values, axis=axis, keepdims=True)
    if normalisation.centred:
        rest -= delta.mean(axis=axis, keepdims=True)
    scaled: Array = rest * forward.inverse
    return scaled


def _check_given(weights: GivenWeights, layers: tuple[Layer, ...]) -> None:
    if not len(weights.matrices) == len(weights.biases) == len(layers):
        raise InvalidValue(f"must be {len(layers)} layers, the head included", loc=("weights",))
    for number, layer in enumerate(layers):
        matrix, bias = weights.matrices[number], weights.biases[number]
        if matrix.shape != (layer.rows, layer.fan_in):
            message = f"layer {number + 1} must have {layer.rows} rows and {layer.fan_in} columns"
            raise InvalidValue(message, loc=("weights",))
        if bias is not None and bias.shape != (layer.rows,):
            message = f"the bias of layer {number + 1} must have {layer.rows} numbers"
            raise InvalidValue(message, loc=("weights",))
        if not all(each is None or np.isfinite(each).all() for each in (matrix, bias)):
            raise InvalidValue(f"layer {number + 1} has a number that is not finite", loc=("weights",))
