"""Optimisers: v holds all numbers that are learned, g their gradient, runs × numbers.

    sgd    m ← momentum · m + g,   v ← v − rate · m
    adam   m ← β₁ m + (1 − β₁) g,  s ← β₂ s + (1 − β₂) g²,  both corrected for their start at 0:
           v ← v − rate · m/(1 − β₁ᵗ) / (√(s/(1 − β₂ᵗ)) + ε)

Sources: Polyak 1964 in the form of PyTorch's `torch.optim.SGD`; Kingma and Ba 2015, arXiv:1412.6980, with the
paper's β₁ = 0.9, β₂ = 0.999, ε = 1e-8.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from app.core.arithmetic import Array
from app.core.errors import InvalidValue, UnknownName

KINDS = ("sgd", "adam")


class Optimiser(Protocol):
    """An update rule, applied in place, and the size of its state."""

    @property
    def learning_rate(self) -> float:
        """The size of a step."""

    @property
    def memories(self) -> int:
        """How many numbers of optimiser state there are for each number that is learned."""

    def step(self, values: Array, gradient: Array, memory: list[Array], number: int) -> None:
        """Step ``number``, from 0; ``memory`` is the state: arrays of the values' shape, 0 at the start."""


@dataclass(frozen=True)
class SGD:
    """Gradient descent, with momentum if wanted."""

    learning_rate: float
    momentum: float = 0.0

    @property
    def memories(self) -> int:
        """The velocity, where there is one."""
        return 1 if self.momentum else 0

    def step(self, values: Array, gradient: Array, memory: list[Array], number: int) -> None:
        """v ← v − rate · m."""
        del number
        if self.momentum:
            (velocity,) = memory
            velocity *= self.momentum
            velocity += gradient
            gradient = velocity
        values -= self.learning_rate * gradient


@dataclass(frozen=True)
class Adam:
    """Adam: gradient descent with a step size of its own for every number."""

    learning_rate: float
    memories: int = 2

    FIRST = 0.9
    SECOND = 0.999
    EPSILON = 1e-8

    def step(self, values: Array, gradient: Array, memory: list[Array], number: int) -> None:
        """v ← v − rate · m / (√s + ε), both corrected."""
        mean, square = memory
        mean += (1 - self.FIRST) * (gradient - mean)
        square *= self.SECOND
        square += (1 - self.SECOND) * gradient**2
        started = -math.expm1((number + 1) * math.log(self.SECOND))
        size = np.sqrt(square) / math.sqrt(started) + self.EPSILON
        values -= self.learning_rate / -math.expm1((number + 1) * math.log(self.FIRST)) * (mean / size)


def optimiser(kind: str, learning_rate: float, momentum: float = 0.0) -> Optimiser:
    """The rule called ``kind``; raises `UnknownName` and `InvalidValue`."""
    if kind not in KINDS:
        raise UnknownName("optimizer", kind, KINDS, loc=("optimizer", "kind"))
    if not (0 < learning_rate < math.inf):
        raise InvalidValue("must be a positive number", loc=("optimizer", "learning_rate"))
    if not 0 <= momentum < 1:
        raise InvalidValue("must lie in [0, 1)", loc=("optimizer", "momentum"))
    if kind == "sgd":
        return SGD(learning_rate, momentum)
    if momentum:
        raise InvalidValue("is only for sgd; adam has its own", loc=("optimizer", "momentum"))
    return Adam(learning_rate)
