"""Mean-field theory of batch normalisation, at any batch size B.

Source: Yang et al. 2019, "A mean field theory of batch normalization", arXiv:1902.08129.

Let all inputs of a batch have the second moment p, and any two of them the mean product κ. A unit's
pre-activations over the batch are then jointly normal; centred and divided by their standard deviation they
are √B times a direction that is uniform on the sphere orthogonal to (1, …, 1), whatever p, κ and the weights.
Two of its components are

    ẑ₁, ẑ₂ = √(B − 1) r cos(t ∓ θ),   tan θ = 1/√(1 − 2/B),   t uniform,   1 − (1 − r²)^((B − 3)/2) uniform.

So V = E φ(ẑ₁)² and κ = E φ(ẑ₁) φ(ẑ₂) are the same after every layer, and pre-activations vary over the batch
with variance v = σ_w² (p − κ). In the backward pass y = φ′ ∘ δ is projected orthogonally to 1 and to ẑ and
divided by the standard deviation, whose square is v/B times a χ² variable of B − 1 degrees of freedom:

    E (dL/dz)² = (E y² − E (Σ y)²/B² − E (Σ ẑ y)²/B²) · B/(v (B − 3)).

For ReLU and B → ∞ the gradient's second moment grows by π/(π − 1) a layer. ε is neglected.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre

from app.core.activations.definition import Elementwise
from app.core.activations.registry import Call
from app.core.theory.gaussian import Array
from app.core.theory.recursion import Passage

SMALLEST_BATCH = 4
"""With three inputs the gradient's second moment is infinite."""

NEGLIGIBLE = 1e-3
"""Largest ε/v at which ε is neglected."""

_RADII, _ORDER = 96, 24


@dataclass(frozen=True)
class BatchMoments:
    """Moments of φ at the normalised pre-activations of two inputs, z₁ and z₂ (see the module).

    Attributes:
        second, both: E φ(z₁)², E φ(z₁) φ(z₂).
        slope, slopes: E φ′(z₁)², E φ′(z₁) φ′(z₂).
        pull, pulls: E φ′(z₁)² z₁², E φ′(z₁) z₁ φ′(z₂) z₂.
    """

    batch: int
    second: float
    both: float
    slope: float
    slopes: float
    pull: float
    pulls: float

    def projected(self, own: float, other: float) -> float:
        """E (dL/dẑ)² orthogonal to 1 and ẑ, of δ with E δ₁² = ``own`` and E δ₁ δ₂ = ``other``."""
        rest = (self.batch - 1) * other
        along_one = own * self.slope + rest * self.slopes
        along_z = own * self.pull + rest * self.pulls
        return own * self.slope - (along_one + along_z) / self.batch


def batch_moments(call: Call, batch: int) -> BatchMoments:
    """The moments of an elementwise activation, for batches of 4 or more, to about eight digits."""
    entry, params = call.activation, call.scalars
    assert isinstance(entry, Elementwise)
    kinks = entry.break_points({**entry.defaults, **params})
    first, second, weights = _pairs(batch, kinks)
    (value, slope), (other, tilt) = (entry.orders(each, 2, **params) for each in (first, second))

    def mean(product: Array) -> float:
        return float(np.sum(product * weights))

    return BatchMoments(
        batch,
        mean(value**2),
        mean(value * other),
        mean(slope**2),
        mean(slope * tilt),
        mean((slope * first) ** 2),
        mean(slope * first * tilt * second),
    )


def _pairs(batch: int, kinks: Sequence[float]) -> tuple[Array, Array, Array]:
    """Nodes ẑ₁ and ẑ₂ and weights of a quadrature, split at the angles at which one of them is at a kink."""
    nodes, weights = legendre.leggauss(_RADII)
    # Integrated over the fourth root of the uniform number: r² is nearly its logarithm, singular at 0.
    rest = (1 + nodes) / 2
    radius = np.sqrt(-np.expm1(8 / (batch - 3) * np.log(rest)))
    radial = 2 * weights * rest**3
    turn = math.atan2(1.0, math.sqrt(1 - 2 / batch))
    size = math.sqrt(batch - 1) * radius
    edges = [np.full(_RADII, -math.pi), np.full(_RADII, math.pi)]
    for kink in {0.0, *kinks}:
        half = np.arccos(np.clip(kink / size, -1, 1))
        edges += [
            np.remainder(sign * half + side * turn + math.pi, 2 * math.pi) - math.pi
            for sign in (1, -1)
            for side in (1, -1)
        ]
    ends = np.sort(np.stack(edges), axis=0)
    inner, along = legendre.leggauss(_ORDER)
    middle, half = (ends[1:] + ends[:-1]) / 2, (ends[1:] - ends[:-1]) / 2
    angle = middle[..., None] + half[..., None] * inner
    share = half[..., None] * along * radial[:, None] / (2 * math.pi)
    first, second = (size[:, None] * np.cos(angle - side * turn) for side in (1, -1))
    return first.ravel(), second.ravel(), share.ravel()


@dataclass(frozen=True)
class NormalisedLayer:
    """A plain layer that normalises over the batch: φ's moments, σ_w², σ_b², fan_out/fan_in."""

    moments: BatchMoments
    weight: float
    bias: float
    widening: float


def batch_passage(
    layers: Sequence[NormalisedLayer], second: float, correlation: float, epsilon: float
) -> Passage | None:
    """The signal from inputs of that second moment and correlation, and a gradient of rms 1 back.

    None where pre-activations vary so little over the batch that ε matters.
    """
    variances = np.empty(len(layers))
    q = np.empty(len(layers))
    both = second * correlation
    for number, layer in enumerate(layers):
        q[number] = layer.weight * second + layer.bias
        variances[number] = layer.weight * (second - both)
        if not epsilon <= NEGLIGIBLE * variances[number]:
            return None
        second, both = layer.moments.second, layer.moments.both
    own, other = 1.0, 0.0
    exponent = 0.0  # log10 of what the gradient's second moment was divided by
    chi, rms = np.empty((2, len(layers)))
    for number in reversed(range(len(layers))):
        layer, batch = layers[number], layers[number].moments.batch
        here = layer.moments.projected(own, other) * batch / (variances[number] * (batch - 3))
        rms[number] = (exponent + np.log10(here)) / 2
        chi[number] = layer.weight * layer.widening * here / own
        exponent += math.log10(chi[number] * own)
        own, other = 1.0, -1 / (batch - 1)
    return Passage(q, chi, rms)
