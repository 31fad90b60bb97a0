"""Figures of networks in training, on all training examples, and their spread over runs.

For each run:

    loss, accuracy            on the training examples; ``held_out_`` the same on those held out

and for each of its layers, the head last, with NaN for figures that the head does not have:

    gradient_log10_rms        log10 of the root mean square of dL/dz
    dead_fraction             units with slope 0 for every example
    saturated_fraction        pairs of unit and example that are saturated (`units.SATURATED`)
    activation_mean           mean output
    update_to_weight          ‖ΔW‖ / ‖W‖ of the last step; NaN before the first
    sign_agreement_sample     the share of a unit's weight gradients that have the majority's sign, for the
                              loss of one example alone, mean over examples; as dL/dw_j = δ h_j, it is the
                              share of inputs of one sign, the same for all units
    sign_agreement_batch      the same for the loss of all examples together, mean over units

Gradients that are 0 have no sign and do not count. A figure that no run has is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.core.activations.exponential import SOFTPLUS
from app.core.arithmetic import Array
from app.core.arithmetic.compiled import compiled
from app.core.propagation.statistics import Spread, spread
from app.core.training.data import Examples
from app.core.training.learner import Evaluation, Learner, Pass, Tape
from app.core.training.losses import Loss, accuracy

BINS = 16
"""Bins of a histogram."""

MARGIN = 0.1
"""How far a boundary reaches beyond the inputs, as a share of their range."""

WHOLE = ("loss", "accuracy", "held_out_loss", "held_out_accuracy")
"""Figures of a whole run, in the order they are reported."""

LAYERS = (
    "gradient_log10_rms",
    "dead_fraction",
    "saturated_fraction",
    "activation_mean",
    "update_to_weight",
    "sign_agreement_sample",
    "sign_agreement_batch",
)
"""Figures of a layer, in that order."""


@dataclass(frozen=True)
class Observation:
    """Figures of some runs, by run: arrays of runs, or of runs × layers.

    ``dead`` are the units of each hidden layer that are dead, runs × units; ``outputs`` the outputs of each
    layer, from which histograms are made; ``argument`` is φ's argument in the first layer, for some of the
    runs; ``gradient`` is dL/d(numbers), runs × numbers.
    """

    loss: Array
    accuracy: Array
    held_out_loss: Array
    held_out_accuracy: Array
    layers: Mapping[str, Array]
    dead: Sequence[NDArray[np.bool_]]
    outputs: Sequence[Array]
    argument: Array | None
    gradient: Array


def observe(
    learner: Learner,
    values: Array,
    evaluation: Evaluation,
    training: Examples,
    held_out: Examples | None,
    loss: Loss,
) -> Observation:
    """All figures but ``update_to_weight``; ``evaluation`` is of the training examples."""
    passed, gradients = evaluation.passed, evaluation.gradients
    kept = [tape.slopes for tape in passed.tapes if tape.slopes is not None]
    dead = [_dead(slopes, learner.layers[number].pieces) for number, slopes in enumerate(kept)]
    outputs = [*(tape.inputs for tape in passed.tapes[1:]), passed.outputs]
    nothing = np.full(len(values), np.nan)
    columns = {
        "gradient_log10_rms": [_log10_rms(delta) for delta in gradients.deltas],
        "dead_fraction": [*(each.mean(axis=1) for each in dead), nothing],
        "saturated_fraction": [
            *(_saturated(learner, tape) for tape in passed.tapes[:-1]),
            nothing,
        ],
        "activation_mean": [each.mean(axis=(1, 2)) for each in outputs],
        "update_to_weight": [nothing for _ in passed.tapes],
        "sign_agreement_sample": [_agreement(tape.inputs, -2, len(values)) for tape in passed.tapes],
        "sign_agreement_batch": [
            _agreement(slots.weights.of(gradients.values), -1, len(values)) for slots in learner.slots
        ],
    }
    held = _held_out(learner, values, passed, held_out, loss)
    layers = {name: np.stack(columns[name], axis=1) for name in LAYERS}
    right = accuracy_of(passed.outputs, training, loss)
    argument = passed.tapes[0].argument if kept else None
    return Observation(
        evaluation.loss, right, *held, layers, dead, outputs, argument, evaluation.gradients.values
    )


def joined(parts: Sequence[Observation]) -> Observation:
    """The observations of several groups of runs as one."""
    if len(parts) == 1:
        return parts[0]
    columns = {each.name: [getattr(part, each.name) for part in parts] for each in fields(Observation)}
    layers = {name: np.concatenate([each[name] for each in columns["layers"]]) for name in LAYERS}
    return Observation(
        **{name: np.concatenate(columns[name]) for name in WHOLE},
        layers=layers,
        dead=[np.concatenate(each) for each in zip(*columns["dead"], strict=True)],
        outputs=[np.concatenate(each) for each in zip(*columns["outputs"], strict=True)],
        argument=parts[0].argument,
        gradient=np.concatenate(columns["gradient"]),
    )


def over(alive: NDArray[np.bool_], values: Array) -> Spread:
    """The spread over the runs that are ``alive``; NaN where none is."""
    kept = values[alive]
    if len(kept):
        return spread(kept)
    return Spread(*(np.full(values.shape[1:], np.nan) for _ in range(3)))


def each_over(alive: NDArray[np.bool_], figures: Mapping[str, Array]) -> dict[str, Spread]:
    """The same for several ``figures`` of any shapes, with a single sort."""
    flat = [each.reshape(len(alive), -1) for each in figures.values()]
    together = over(alive, np.concatenate(flat, axis=1))
    ends = np.cumsum([each.shape[1] for each in flat])[:-1]
    parts = [np.split(column, ends) for column in together]
    return {
        name: Spread(*(part[number].reshape(figure.shape[1:]) for part in parts))
        for number, (name, figure) in enumerate(figures.items())
    }


@dataclass(frozen=True)
class Histogram:
    """Shares of a layer's outputs in equal bins from ``low`` to ``high``."""

    low: float
    high: float
    shares: Spread


def histograms(outputs: Sequence[Array], alive: NDArray[np.bool_]) -> list[Histogram | None]:
    """A histogram of each layer's outputs, runs × units × B, over the runs ``alive``; None where none is."""
    binned = [_binned(each if alive.all() else each[alive]) for each in outputs]
    found = [each for each in binned if each is not None]
    if not found:
        return [None] * len(binned)
    spreads = spread(np.stack([each.shares for each in found], axis=1))
    shares = (Spread(*each) for each in zip(*spreads, strict=True))
    return [None if each is None else Histogram(each.low, each.high, next(shares)) for each in binned]


class _Binned(NamedTuple):
    low: float
    high: float
    shares: Array


def _binned(outputs: Array) -> _Binned | None:
    """Shares, runs × bins."""
    if not outputs.size:
        return None
    low, high = float(outputs.min()), float(outputs.max())  # NaN if any output is NaN
    if not (math.isfinite(low) and math.isfinite(high)):
        return None
    counts = np.zeros((len(outputs), BINS), np.int64)
    _count(np.ascontiguousarray(outputs).reshape(len(outputs), -1), low, BINS / ((high - low) or 1.0), counts)
    return _Binned(low, high, counts / outputs[0].size)


@compiled("void(f8[:,::1], f8, f8, i8[:,::1])")
def _count(outputs: Array, low: float, bins: float, counts: NDArray[np.int64]) -> None:
    """Adds each row's numbers to its bins, of which there are so many from ``low`` to ``low + 1``."""
    last = counts.shape[1] - 1
    for row in range(outputs.shape[0]):
        for column in range(outputs.shape[1]):
            place = int((outputs[row, column] - low) * bins)
            counts[row, min(place, last)] += 1


@dataclass(frozen=True)
class Grid:
    """Where the decision boundary is sampled: equally spaced points on a line or in a rectangle."""

    low: Array
    high: Array
    points: int

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of values on it; in a rectangle rows go up and columns to the right."""
        return (self.points,) * len(self.low)

    @property
    def inputs(self) -> Array:
        """The points, features × points."""
        axes = [np.linspace(*ends, self.points) for ends in zip(self.low, self.high, strict=True)]
        grid = np.meshgrid(*axes)
        return np.stack([each.ravel() for each in grid])


def grid_around(inputs: Array, points: int) -> Grid:
    """A grid around all ``inputs``, features × count."""
    low, high = inputs.min(axis=1), inputs.max(axis=1)
    margin = MARGIN * np.where(high > low, high - low, 1.0)
    return Grid(low - margin, high + margin, points)


def boundary(learner: Learner, values: Array, training: Examples, loss: Loss, grid: Grid) -> Array:
    """The first run's prediction on ``grid``: the probability of class 1; with several classes, the class.

    With the squared loss it is the output instead of the probability.
    """
    values = values[:1]
    statistics = None
    if learner.normalisation is not None:
        statistics = learner.batch_statistics(learner.forward(values, training.inputs))
    z = learner.forward(values, grid.inputs, statistics).outputs[0]
    if len(z) > 1 and training.classes is not None:
        return np.asarray(z.argmax(axis=0), np.float64).reshape(grid.shape)
    if loss.threshold == 0:
        z = SOFTPLUS.orders(z, 2, **SOFTPLUS.defaults)[1]
    return np.asarray(z[0].reshape(grid.shape))


def accuracy_of(outputs: Array, examples: Examples, loss: Loss) -> Array:
    """The accuracy by run, NaN where there are no classes."""
    if examples.classes is None:
        return np.full(len(outputs), np.nan)
    return accuracy(outputs, examples.targets, loss.threshold)


def _held_out(
    learner: Learner, values: Array, passed: Pass, held_out: Examples | None, loss: Loss
) -> tuple[Array, Array]:
    if held_out is None:
        return np.full(len(values), np.nan), np.full(len(values), np.nan)
    outputs = learner.forward(values, held_out.inputs, learner.batch_statistics(passed)).outputs
    return loss(outputs, held_out.targets).loss, accuracy_of(outputs, held_out, loss)


def _log10_rms(delta: Array) -> Array:
    """log10 of the root mean square by run; squares may over- or underflow."""
    rows = delta.reshape(len(delta), -1)
    squares = np.einsum("ij,ij->i", rows, rows)
    if (squares >= _PLAIN_SQUARES).all() and (squares < np.inf).all():
        return np.asarray(np.log10(squares / rows.shape[1]) / 2)
    largest = np.abs(rows).max(axis=1)
    scale = np.where((largest > 0) & np.isfinite(largest), largest, 1.0)
    return np.asarray(np.log10(scale) + np.log10(((rows / scale[:, None]) ** 2).mean(axis=1)) / 2)


_PLAIN_SQUARES = 1e-200
"""A sum of squares above this is accurate even if some squares underflowed."""


def _dead(slopes: Array, pieces: int) -> NDArray[np.bool_]:
    runs, rows, _ = slopes.shape
    return np.asarray(~(slopes != 0).reshape(runs, rows // pieces, -1).any(axis=2))


def _saturated(learner: Learner, tape: Tape) -> Array:
    assert tape.slopes is not None
    pairs = tape.outputs.shape[1] * tape.outputs.shape[2]
    counts = [learner.units.counts(*each).saturated for each in zip(tape.argument, tape.slopes, strict=True)]
    return np.asarray(np.array(counts, np.float64) / pairs)


def _agreement(gradients: Array, axis: int, runs: int) -> Array:
    """By run the mean over units or examples of the share that has the majority's sign along ``axis``."""
    groups = np.moveaxis(gradients[None] if gradients.ndim == 2 else gradients, axis, 1)
    groups = np.ascontiguousarray(groups)
    positive, negative = np.zeros((2, len(groups), groups.shape[2]), np.int64)
    _count_signs(groups, positive, negative)
    signed = positive + negative
    share = np.where(signed > 0, np.maximum(positive, negative) / np.maximum(signed, 1), 0.0)
    mean = share.sum(axis=-1) / np.count_nonzero(signed, axis=-1)
    return np.asarray(np.broadcast_to(mean, runs))  # inputs may be shared by all runs


@compiled("void(f8[:,:,::1], i8[:,::1], i8[:,::1])")
def _count_signs(gradients: Array, positive: NDArray[np.int64], negative: NDArray[np.int64]) -> None:
    """Counts along the middle axis."""
    for group in range(gradients.shape[0]):
        for member in range(gradients.shape[1]):
            for column in range(gradients.shape[2]):
                value = gradients[group, member, column]
                positive[group, column] += value > 0
                negative[group, column] += value < 0
