"""How gradients fluctuate over networks of finite width, and how often networks are born dead: for one input.

In the backward pass a layer of n units multiplies the squared gradient by a sum of n independent terms
φ′(zᵢ)² (wᵢ·δ)², whose relative variance is κ/n, κ = 3 E φ′⁴/(E φ′²)² − 1: 5 for ReLU, 2 for linear layers.
Over many layers the logarithm is a sum, so that ln of the squared ratio is near N(−Σκ/2n, Σκ/n) around the
infinite width's (Hanin 2018, arXiv:1801.03744; Hanin and Nica 2020, arXiv:1812.05994: κ = 5, β = Σ 1/n).
Fluctuations of q are neglected; they do not affect ReLU and leaky ReLU, whose slopes do not depend on q.

A layer of n units passes no gradient if all its pre-activations, independent normal numbers of variance q,
lie on flat pieces of φ, each with probability p (Lu et al. 2019, arXiv:1903.06733: ½ for ReLU). So a network
is born dead with probability 1 − Π (1 − pⁿ); for a batch it is dead only if it is for every input.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.core.activations.definition import Elementwise
from app.core.activations.registry import Call
from app.core.propagation.units import flat_pieces
from app.core.theory.gaussian import expectation
from app.core.theory.length_map import LARGEST, SMALLEST

QUANTILE = 1.6448536269514722
"""The 95 % quantile of the standard normal distribution."""


@dataclass(frozen=True)
class FiniteWidth:
    """β = Σ 1/n over the layers below the last; log10_ratio's mean, 5th and 95th percentile; born dead."""

    beta: float
    mean: float
    low: float
    high: float
    born_dead: float


def finite_width(
    calls: Sequence[Call], widths: Sequence[int], variances: Sequence[float], log10_ratio: float
) -> FiniteWidth | None:
    """The fluctuations for plain layers of ``widths`` with pre-activations of these ``variances``.

    ``log10_ratio`` is that for infinite width. None for activations of several pre-activations, and where
    a variance is 0 or infinite.
    """
    if not all(isinstance(each.activation, Elementwise) for each in calls):
        return None
    if not all(0 < each < math.inf for each in variances) or not math.isfinite(log10_ratio):
        return None
    layers = list(zip(calls, widths, variances, strict=True))
    spread = sum(_kappa(call, q) / width for call, width, q in layers[:-1])
    mean = log10_ratio - spread / 4 / math.log(10)
    deviation = math.sqrt(spread) / 2 / math.log(10)
    alive = sum(math.log1p(-min(flat_share(call, q) ** width, 1 - 2**-53)) for call, width, q in layers)
    return FiniteWidth(
        sum(1 / width for width in widths[:-1]),
        mean,
        mean - QUANTILE * deviation,
        mean + QUANTILE * deviation,
        -math.expm1(alive),
    )


def flat_share(call: Call, q: float) -> float:
    """The probability that φ is flat at a normal number of variance q."""
    root = math.sqrt(2 * q)
    return sum((math.erf(high / root) - math.erf(low / root)) / 2 for low, high in flat_pieces(call))


def _kappa(call: Call, q: float) -> float:
    entry, params = call.activation, call.scalars
    assert isinstance(entry, Elementwise)
    kinks = entry.break_points({**entry.defaults, **params})
    second, fourth = expectation(
        lambda x: np.stack([entry.orders(x, 2, **params)[1] ** power for power in (2, 4)]),
        np.clip([q], SMALLEST, LARGEST),  # beyond, the ratio stays the same
        kinks,
    )
    return 3 * float(fourth[0] / second[0] ** 2) - 1
