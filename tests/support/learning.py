"""Does a network learn? Small ones trained on handwritten digits, several learning rates side by side.

The network of a setting is the one that ``POST /gradient-flow`` would judge, with a linear head on top. It is
trained by plain stochastic gradient descent, the weights of all `RATES` and `RUNS` stacked in one array.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from app.core.activations import REGISTRY
from app.core.arithmetic import Array
from app.core.propagation.blocks import Blocks
from app.core.propagation.initialisers import Initialiser, draw, gaussian, initialiser
from app.core.propagation.normalisation import EPSILON, NORMALISATIONS
from app.core.propagation.streams import Stream
from app.core.propagation.units import Units

RATES = 0.001, 0.01, 0.03, 0.1, 0.3, 1.0
"""Learning rates that are tried."""

RUNS = 2
"""Networks for each rate."""

STEPS = 500
"""Steps of training: 16 passes over the data."""

BATCH = 32
EXAMPLES = 1024
LAST = 40
"""Steps at the end over which accuracy is taken."""

LEARNED = 0.8
"""Training accuracy from which a network has learned; guessing gives 0.1."""

FLOAT32 = np.dtype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A network as a request for ``POST /gradient-flow`` names it, inputs of 64 pixels understood."""

    activation: str
    hidden: tuple[int, ...]
    init: str | tuple[float, float] | Initialiser
    normalization: str | None = None
    residual: float | None = None
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Inputs, then the units of each layer."""
        return (64, *self.hidden)

    @property
    def initialiser(self) -> Initialiser:
        """How weights and biases are drawn."""
        if isinstance(self.init, Initialiser):
            return self.init
        return initialiser(self.init) if isinstance(self.init, str) else gaussian(*self.init)


@cache
def digits() -> tuple[Array, np.ndarray[Any, Any]]:
    """Images, 64 × examples, of mean 0 and variance 1, and their classes."""
    images, classes = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))[:EXAMPLES]
    chosen = images[order].T
    return ((chosen - chosen.mean()) / chosen.std()).astype(FLOAT32), classes[order]


def accuracy(setting: Setting) -> Array:
    """Training accuracy, (rates, runs), at the end or once all runs of a rate have learned; diverged: 0."""
    with np.errstate(all="ignore"):
        return _Trainer(setting).trained()


def learns(setting: Setting) -> bool:
    """Whether one of the rates takes the typical run to `LEARNED`."""
    return bool(np.median(accuracy(setting), axis=1).max() >= LEARNED)


ACTIVATIONS = (
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "gelu",
    "silu",
    "tanh",
    "sigmoid",
    "softplus",
    "softsign",
    "hard_tanh",
)
NAMED = "he_normal", "xavier_normal", "lecun_normal", "torch_default", "orthogonal", "he_uniform"
TAPERED = (
    (256, 64, 16),
    (16, 64, 256),
    (64, 4, 64),
    (256, 128, 64, 32, 16),
    (32, 8, 8, 32),
    (512,),
    (512, 512),
)


def grid(count: int, seed: int = 0) -> list[Setting]:
    """Settings drawn at random from what a request may ask for: half of them at a framework's initialiser."""
    rng = np.random.default_rng(seed)
    found: list[Setting] = []
    while len(found) < count:
        depth, width = int(rng.choice([1, 2, 4, 8, 16, 32, 50])), int(rng.choice([16, 32, 64]))
        hidden = TAPERED[rng.integers(len(TAPERED))] if rng.random() < 0.1 else (width,) * depth
        sigmas = (
            float(rng.choice([0.3, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0])),
            float(rng.choice([0, 0, 0.3, 1, 3])),
        )
        setting = Setting(
            activation=str(rng.choice(ACTIVATIONS)),
            hidden=hidden,
            init=str(rng.choice(NAMED)) if rng.random() < 0.5 else sigmas,
            normalization=None if rng.random() < 0.7 else str(rng.choice(list(NORMALISATIONS))),
            residual=None if rng.random() < 0.8 else float(rng.choice([1.0, 0.25])),
        )
        if setting not in found:
            found.append(setting)
    return found


TWO_WAYS = {"gelu": (1.46, 1.62), "silu": (1.5, 1.8), "mish": (1.47, 1.6), "hard_swish": (1.5, 1.8)}
"""Activations whose length map has a repelling fixed point near one, for σ_w in this range."""


def near_a_border(count: int, seed: int) -> list[Setting]:
    """Settings at random in which chance decides whether a signal dies out or grows."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        activation = str(rng.choice(list(TWO_WAYS)))
        sigma_w = round(float(rng.uniform(*TWO_WAYS[activation])), 2)
        depth, width = int(rng.choice([8, 16, 20, 24, 28, 32, 40])), int(rng.choice([32, 48, 64]))
        found.append(Setting(activation=activation, hidden=(width,) * depth, init=(sigma_w, 0.0)))
    return found


class _Trainer:
    """The stacked networks of a setting; every array begins with an axis over rates × runs."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._units = Units(REGISTRY.resolve(setting.activation, setting.params))
        self._rates = np.repeat(RATES, RUNS).astype(FLOAT32)[:, None, None]
        layers = [np.stack(each) for each in zip(*(_drawn(setting, run) for run in range(RUNS)), strict=True)]
        self._weights = [np.tile(each, (len(RATES), 1, 1)) for each in layers[0::2]]
        self._biases = [np.tile(each, (len(RATES), 1, 1)) for each in layers[1::2]]

    def trained(self) -> Array:
        images, classes = digits()
        rng = np.random.default_rng(1)
        right = []
        for _ in range(STEPS):
            chosen = rng.permutation(EXAMPLES)[:BATCH]
            right.append(self._step(images[:, chosen], classes[chosen]))
            last = np.mean(right[-LAST:], axis=0).reshape(len(RATES), RUNS)
            if len(right) >= LAST and last.min(axis=1).max() >= LEARNED:
                break
        return np.asarray(last)

    def _step(self, x: Array, classes: np.ndarray[Any, Any]) -> Array:
        """One step of all networks; the share of ``x`` that each had right before it."""
        h = np.broadcast_to(x, (len(self._rates), *x.shape))
        tape = []
        for weights, bias in zip(self._weights[:-1], self._biases[:-1], strict=True):
            z = weights @ h + bias
            ready, pull = self._normalised(z)
            outputs, slopes = np.empty_like(ready), np.empty_like(ready)
            flat = (-1, ready.shape[-1])
            self._units.respond(
                np.ascontiguousarray(ready).reshape(flat),
                slice(0, ready.size // flat[1]),
                outputs.reshape(flat),
                slopes.reshape(flat),
            )
            branch = self._setting.residual is not None and outputs.shape == h.shape
            tape.append((h, slopes, pull, branch))
            h = h + np.float32(self._setting.residual) * outputs if branch else outputs
        logits = self._weights[-1] @ h + self._biases[-1]
        logits -= logits.max(axis=1, keepdims=True)
        chances = np.exp(logits)
        chances /= chances.sum(axis=1, keepdims=True)
        places = np.arange(classes.size)
        right = (chances.argmax(axis=1) == classes).mean(axis=1)
        right[~np.isfinite(chances).all(axis=(1, 2))] = 0.0
        chances[:, classes, places] -= 1
        self._descend(chances / np.float32(classes.size), h, tape)
        return np.asarray(right)

    def _descend(self, delta: Array, h: Array, tape: list[Any]) -> None:
        gradient = self._weights[-1].transpose(0, 2, 1) @ delta
        self._update(-1, delta, h)
        for number in reversed(range(len(tape))):
            h, slopes, pull, branch = tape[number]
            scale = np.float32(self._setting.residual) if branch else np.float32(1)
            delta = pull(gradient * slopes * scale)
            below = self._weights[number].transpose(0, 2, 1) @ delta
            gradient = gradient + below if branch else below
            self._update(number, delta, h)

    def _update(self, number: int, delta: Array, h: Array) -> None:
        self._weights[number] -= self._rates * (delta @ h.transpose(0, 2, 1))
        self._biases[number] -= self._rates * delta.sum(axis=2, keepdims=True)

    def _normalised(self, z: Array) -> tuple[Array, Any]:
        """The normalised pre-activations, and the function from dL/d(these) to dL/dz."""
        name = self._setting.normalization
        if name is None:
            return z, lambda delta: delta
        axis = 2 if name == "batch_norm" else 1
        centred = name != "rms_norm"
        rest = z - z.mean(axis=axis, keepdims=True) if centred else z
        inverse = 1 / np.sqrt((rest**2).mean(axis=axis, keepdims=True) + np.float32(EPSILON))
        ready = rest * inverse

        def pull(delta: Array) -> Array:
            inner = delta - delta.mean(axis=axis, keepdims=True) if centred else delta
            along = (delta * ready).mean(axis=axis, keepdims=True)
            return np.asarray((inner - ready * along) * inverse)

        return ready, pull


def _drawn(setting: Setting, run: int) -> Iterator[Array]:
    """Weights and bias of each layer in turn, the linear head's last."""
    shapes = [*pairwise(setting.sizes), (setting.sizes[-1], 10)]
    for number, (fan_in, units) in enumerate(shapes):
        chosen = setting.initialiser if number < len(shapes) - 1 else initialiser("lecun_normal")
        stream = Stream(run, (number,))
        law = chosen.weight_law(fan_in, units)
        yield draw(law, units, stream.at(0), Blocks(fan_in), FLOAT32)
        bias = np.zeros((units, 1), FLOAT32)
        if chosen.biases is not None:
            bias[:] = draw(chosen.biases.law(fan_in, units), units, stream.at(1), Blocks(1), FLOAT32)
        yield bias
