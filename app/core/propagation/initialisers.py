"""How weights and biases are drawn before training: the frameworks' initialisers, by their formulas.

| name | weights: variance | distribution | biases | after |
|---|---|---|---|---|
| xavier_normal, xavier_uniform | 2 / (fan_in + fan_out) | normal, uniform | 0 | Glorot and Bengio 2010 |
| he_normal, he_uniform | 2 / fan_in | normal, uniform | 0 | He et al. 2015, arXiv:1502.01852 |
| lecun_normal, lecun_uniform | 1 / fan_in | normal, uniform | 0 | LeCun et al. 1998 |
| orthogonal | 1 / max(fan_in, fan_out) | semi-orthogonal, uniform | 0 | Saxe et al. 2013, arXiv:1312.6120 |
| torch_default | 1 / (3 fan_in) | uniform | uniform, 1 / (3 fan_in) | torch.nn.Linear |
| keras_default | 2 / (fan_in + fan_out) | uniform | 0 | keras.layers.Dense |
| flax_default | 1 / fan_in | normal, cut at two standard deviations | 0 | flax.linen.Dense |

The names without a framework mean the plain normal and uniform distributions of the papers, as torch.nn.init
draws them. Keras and JAX cut their ``glorot_normal``, ``he_normal`` and ``lecun_normal`` at two standard
deviations and stretch them back to the same variance; of those only flax_default is offered. torch.nn.Linear
calls kaiming_uniform_ with a = √5, which is the uniform distribution on ±1/√fan_in, for weights and biases.

A maximum over ``pieces`` pre-activations a unit has as many matrices, each drawn for itself: fan_out is the
number of units.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np

from app.core.arithmetic import Array
from app.core.errors import UnknownName
from app.core.propagation.blocks import Blocks
from app.core.propagation.streams import Stream

Invariance: TypeAlias = Literal["gaussian", "haar"]
Fan: TypeAlias = Literal["in", "out", "average", "none"]
Distribution: TypeAlias = Literal["normal", "uniform", "truncated_normal", "orthogonal"]


@dataclass(frozen=True)
class Gaussian:
    """Independent N(0, std²)."""

    std: float
    invariance: ClassVar[Invariance | None] = "gaussian"

    def fill(self, stream: Stream, out: Array) -> None:
        """Draws into ``out``."""
        stream.standard_normal(out)
        out *= self.std


@dataclass(frozen=True)
class TruncatedGaussian:
    """A normal distribution cut at two of its standard deviations, ``std`` after the cut."""

    std: float
    invariance: ClassVar[Invariance | None] = None

    CUT: ClassVar[float] = 2.0
    SHRINKAGE: ClassVar[float] = math.sqrt(
        1 - 2 * CUT * math.exp(-(CUT**2) / 2) / math.sqrt(2 * math.pi) / math.erf(CUT / math.sqrt(2))
    )
    """Standard deviation of the standard normal cut at ±2, 0.87962566…"""

    def fill(self, stream: Stream, out: Array) -> None:
        """Draws into ``out``; values beyond the cut are drawn again."""
        stream.standard_normal(out)
        generator = stream.at(1).generator()
        beyond = np.abs(out) > self.CUT
        while beyond.any():
            out[beyond] = generator.standard_normal(int(beyond.sum()), dtype=out.dtype)
            beyond = np.abs(out) > self.CUT
        out *= self.std / self.SHRINKAGE


@dataclass(frozen=True)
class Uniform:
    """Independent, uniform on ±√3 · std."""

    std: float
    invariance: ClassVar[Invariance | None] = None

    def fill(self, stream: Stream, out: Array) -> None:
        """Draws into ``out``."""
        stream.generator().random(dtype=out.dtype, out=out)
        out -= 0.5
        out *= 2 * math.sqrt(3) * self.std


Independent: TypeAlias = Gaussian | TruncatedGaussian | Uniform


@dataclass(frozen=True)
class Orthogonal:
    """gain · O with O uniform among matrices with orthonormal rows or columns, whichever are fewer."""

    gain: float = 1.0
    invariance: ClassVar[Invariance | None] = "haar"

    def matrix(self, fan_out: int, fan_in: int, generator: np.random.Generator) -> Array:
        """One matrix in float64: Q of a Gaussian matrix, R's diagonal made positive.

        Source: Mezzadri 2007, "How to generate random matrices from the classical compact groups",
        arXiv:math-ph/0609050.
        """
        tall = (max(fan_out, fan_in), min(fan_out, fan_in))
        q, r = np.linalg.qr(generator.standard_normal(tall))
        q *= self.gain * np.copysign(1.0, np.diag(r))
        return q if fan_out >= fan_in else q.T


@dataclass(frozen=True)
class Scaled:
    """Independent entries of variance ``scale`` / fan: fan_in, fan_out, the mean of both, or 1."""

    distribution: type[Independent]
    scale: float
    fan: Fan

    def law(self, fan_in: int, fan_out: int) -> Independent:
        """The distribution for a layer of this shape."""
        fans = {"in": fan_in, "out": fan_out, "average": (fan_in + fan_out) / 2, "none": 1}
        return self.distribution(math.sqrt(self.scale / fans[self.fan]))


@dataclass(frozen=True)
class Initialiser:
    """The distributions of a layer's weights and, where they are not zero, biases.

    ``unit_variance`` divides each layer's weights by the standard deviation of their output for its input.
    """

    weights: Scaled | Orthogonal
    biases: Scaled | None = None
    unit_variance: bool = False

    def weight_law(self, fan_in: int, fan_out: int) -> Independent | Orthogonal:
        """The distribution of W, fan_out × fan_in."""
        return self.weights if isinstance(self.weights, Orthogonal) else self.weights.law(fan_in, fan_out)

    def sigma_w(self, fan_in: int, fan_out: int) -> float:
        """√(fan_in Var W): the σ_w of mean-field theory."""
        law = self.weight_law(fan_in, fan_out)
        if isinstance(law, Orthogonal):
            return law.gain * math.sqrt(fan_in / max(fan_in, fan_out))
        return law.std * math.sqrt(fan_in)

    def sigma_b(self, fan_in: int, fan_out: int) -> float:
        """√Var b."""
        return self.biases.law(fan_in, fan_out).std if self.biases else 0.0


def gaussian(sigma_w: float, sigma_b: float = 0.0) -> Initialiser:
    """Weights N(0, σ_w² / fan_in), biases N(0, σ_b²)."""
    biases = Scaled(Gaussian, sigma_b**2, "none") if sigma_b else None
    return Initialiser(Scaled(Gaussian, sigma_w**2, "in"), biases)


def detailed(distribution: Distribution, gain: float, fan: Fan) -> Initialiser:
    """Weights of standard deviation gain / √fan (fan 1 for ``none``), or gain times a semi-orthogonal matrix.

    No biases. A truncated normal distribution has that standard deviation after the cut.
    """
    if distribution == "orthogonal":
        return Initialiser(Orthogonal(gain))
    laws: dict[str, type[Independent]] = {
        "normal": Gaussian,
        "uniform": Uniform,
        "truncated_normal": TruncatedGaussian,
    }
    return Initialiser(Scaled(laws[distribution], gain**2, fan))


INITIALISERS: Mapping[str, Initialiser] = {
    "xavier_normal": Initialiser(Scaled(Gaussian, 1, "average")),
    "xavier_uniform": Initialiser(Scaled(Uniform, 1, "average")),
    "he_normal": Initialiser(Scaled(Gaussian, 2, "in")),
    "he_uniform": Initialiser(Scaled(Uniform, 2, "in")),
    "lecun_normal": Initialiser(Scaled(Gaussian, 1, "in")),
    "lecun_uniform": Initialiser(Scaled(Uniform, 1, "in")),
    "orthogonal": Initialiser(Orthogonal()),
    "torch_default": Initialiser(Scaled(Uniform, 1 / 3, "in"), Scaled(Uniform, 1 / 3, "in")),
    "keras_default": Initialiser(Scaled(Uniform, 1, "average")),
    "flax_default": Initialiser(Scaled(TruncatedGaussian, 1, "in")),
}
"""Initialisers, by the contract's names."""


LSUV = Initialiser(Orthogonal(), unit_variance=True)
"""Layer-sequential unit variance, which depends on the inputs (Mishkin and Matas 2016, arXiv:1511.06422)."""


def initialiser(name: str) -> Initialiser:
    """The initialiser called ``name``; raises `UnknownName`."""
    if name not in INITIALISERS:
        raise UnknownName("initialiser", name, INITIALISERS, loc=("init",))
    return INITIALISERS[name]


def draw(
    law: Independent | Orthogonal, rows: int, stream: Stream, blocks: Blocks, dtype: np.dtype[Any]
) -> Array:
    """A matrix of ``rows`` × ``blocks.columns`` entries distributed as ``law`` says."""
    if isinstance(law, Orthogonal):
        return law.matrix(rows, blocks.columns, stream.generator()).astype(dtype)
    values = np.empty((rows, blocks.columns), dtype)
    blocks.each(rows, lambda block: law.fill(stream.at(block.start), values[block]))
    return values
