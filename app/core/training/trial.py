"""A verdict put to the test: does the network that was judged learn the handwritten digits in a few steps?

Its layers stand between the 64 pixels and a linear head of ten classes, LeCun's initialisation; four fifths
of the digits, batches of 64, SGD with momentum 0.9. The learning rate is not tuned: a network whose gradient
survives learns at this one. One that needs another is hard to train, and that is what the trial tests.

A trial may take `MOST_WORK`. Networks that are too large for that have one run instead of three, and their
wide layers are halved until the trial is cheap enough: the depth, over which gradients decay, stays the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from app.core.errors import InvalidValue
from app.core.propagation.initialisers import Initialiser
from app.core.propagation.network import Network
from app.core.propagation.statistics import Spread
from app.core.training import data
from app.core.training.cost import Cost, Extent, cost
from app.core.training.initial import linear
from app.core.training.learner import Learner, always_learned
from app.core.training.losses import LOSSES
from app.core.training.optimisers import SGD
from app.core.training.run import Outcome, Training, Watch

RUNS = 3

STEPS = 200

MOST_WORK = 5e11
"""Operations of a trial: ten seconds of a core."""

LEAST_WIDTH = 32
"""Units below which layers are not narrowed."""

BATCH = 64

RATE = 0.01

MOMENTUM = 0.9

HELD_OUT = 0.2

CHANCE = 0.1
"""Accuracy of guessing one digit in ten."""

_EXAMPLES = data.DIGITS - round(HELD_OUT * data.DIGITS)

LEARNED = 0.5
"""Held-out accuracy from which on the network has learned something: five times that of guessing."""

TrialState: TypeAlias = Literal["learns", "does_not_learn", "diverges"]


@dataclass(frozen=True)
class Trial:
    """The result: loss on the training examples, accuracy on those held out."""

    state: TrialState
    loss: Spread
    accuracy: Spread
    diverged: int


def learner(network: Network) -> Learner:
    """The network, from the digits' pixels to a head.

    Raises `InvalidValue` for a network of given weights, whose inputs are no digits.
    """
    if not isinstance(network.weights, Initialiser):
        raise InvalidValue("is only for random networks, not for given weights", loc=("train",))
    if network.block is not None or network.calls or network.laws or network.dropout:
        message = "is only for plain layers that are all the same, not for blocks, lists or dropout"
        raise InvalidValue(message, loc=("train",))
    if network.weights.unit_variance:
        raise InvalidValue("is only for initialisations that do not depend on the inputs", loc=("train",))
    features, outputs, _ = data.shape("digits", 10)
    return Learner(
        sizes=(features, *network.sizes[1:], outputs),
        call=network.call,
        weights=network.weights,
        head=linear(),
        learned=always_learned(network.call),
        normalisation=network.normalisation,
        residual=network.residual,
    )


class Fitting(NamedTuple):
    """The networks of a trial, the number of runs, and the cost."""

    learner: Learner
    runs: int
    cost: Cost


def fitting(learner: Learner, most_bytes: float) -> Fitting | None:
    """The widest networks, and the most runs, that a trial can afford; None where there are none."""
    for units in _narrower(learner):
        sizes = tuple(min(each, units) for each in learner.sizes[1:-1])
        tried = replace(learner, sizes=(learner.sizes[0], *sizes, learner.sizes[-1]))
        for runs in (RUNS, 1):
            found = cost(tried, Extent(_EXAMPLES, BATCH, STEPS, runs, frames=2, memories=1), Watch())
            if found.work <= MOST_WORK and found.bytes <= most_bytes:
                return Fitting(tried, runs, found)
    return None


def _narrower(learner: Learner) -> Iterator[int]:
    """The widest layer's units, halved again and again; not where each unit has a parameter of its own."""
    units = max(learner.sizes[1:-1], default=1)
    yield units
    if not any(np.ndim(value) for value in learner.call.params.values()):
        while units > LEAST_WIDTH:
            units = max(units // 2, LEAST_WIDTH)
            yield units


def trial(fitted: Fitting, seed: int) -> Training:
    """The training that tries it."""
    return Training(
        learner=fitted.learner,
        split=data.drawn("digits", seed, held_out=HELD_OUT),
        loss=LOSSES["logistic"],
        optimiser=SGD(RATE, MOMENTUM),
        steps=STEPS,
        runs=fitted.runs,
        seed=seed,
        batch=BATCH,
        every=STEPS,
    )


def judged(outcome: Outcome, runs: int) -> Trial:
    """The result by the median of the ``runs``; it is divergence if more than half have diverged."""
    whole, diverged = outcome.last.whole, len(outcome.diverged)
    state: TrialState = "learns" if whole["held_out_accuracy"].median >= LEARNED else "does_not_learn"
    if 2 * diverged > runs:
        state = "diverges"
    return Trial(state, whole["loss"], whole["held_out_accuracy"], diverged)
