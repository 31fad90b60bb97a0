"""Losses: means over the examples of a function of the head's outputs z and the targets t.

    logistic   two classes: −ln σ(±z), + where t = 1; more: −ln softmax(z)_t, the cross entropy
    squared    the mean over outputs of (z − t)²

σ(−z) is accurate where 1 − σ(z) would cancel, so that examples already learned keep a gradient.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from app.core.activations.exponential import SOFTPLUS
from app.core.arithmetic import Array
from app.core.errors import UnknownName


class Assessment(NamedTuple):
    """By run the mean loss, and its gradient in z, the shape of z."""

    loss: Array
    gradient: Array


class Loss(Protocol):
    """A function of outputs, runs × outputs × B, and targets, which broadcast against them."""

    @property
    def threshold(self) -> float:
        """A single output above it predicts class 1."""

    @property
    def meets_numbers(self) -> bool:
        """Whether targets may be any numbers (regression)."""

    def __call__(self, z: Array, targets: Array) -> Assessment:
        """Loss and gradient."""


@dataclass(frozen=True)
class Logistic:
    """Binary cross entropy for one output, softmax cross entropy for more."""

    threshold: float = 0.0
    meets_numbers: bool = False

    def __call__(self, z: Array, targets: Array) -> Assessment:
        """Loss and gradient."""
        return _binary(z, targets) if z.shape[1] == 1 else _softmax(z, targets)


def _binary(z: Array, targets: Array) -> Assessment:
    """ln(1 + e^(s z)) with s = 1 − 2t; its derivative is s σ(s z)."""
    sign = 1 - 2 * targets
    loss, slope = SOFTPLUS.orders(sign * z, 2, **SOFTPLUS.defaults)
    return Assessment(_mean(loss), sign * slope / z.shape[2])


def _softmax(z: Array, targets: Array) -> Assessment:
    """ln Σ e^(z_j − z_t), whose derivative is softmax(z) − t."""
    lifted = z - z.max(axis=1, keepdims=True)
    powers = np.exp(lifted)
    total = powers.sum(axis=1, keepdims=True)
    loss = np.log(total) - (lifted * targets).sum(axis=1, keepdims=True)
    return Assessment(_mean(loss), (powers / total - targets) / z.shape[2])


@dataclass(frozen=True)
class Squared:
    """Mean squared error."""

    threshold: float = 0.5
    meets_numbers: bool = True

    def __call__(self, z: Array, targets: Array) -> Assessment:
        """Loss and gradient."""
        error = z - targets
        return Assessment(_mean(error**2), 2 / (z.shape[1] * z.shape[2]) * error)


def _mean(values: Array) -> Array:
    """The mean, by run."""
    rows = values.reshape(len(values), -1)
    return np.asarray(np.add.reduce(rows, axis=1) / rows.shape[1])


def accuracy(z: Array, targets: Array, threshold: float) -> Array:
    """By run the share of examples whose predicted class is right."""
    if z.shape[1] == 1:
        right = (z[:, 0] > threshold) == (targets[..., 0, :] > 0.5)
    else:
        right = z.argmax(axis=1) == targets.argmax(axis=-2)
    return np.asarray(right.mean(axis=-1))


LOSSES: Mapping[str, Loss] = {"logistic": Logistic(), "squared": Squared()}
"""Losses, by the contract's names."""


def loss(name: str) -> Loss:
    """The loss called ``name``; raises `UnknownName`."""
    if name not in LOSSES:
        raise UnknownName("loss", name, LOSSES, loc=("loss",))
    return LOSSES[name]
