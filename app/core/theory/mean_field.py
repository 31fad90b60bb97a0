"""Mean-field theory of random networks: length, correlation and gradient by depth, at infinite width.

In a network z = W φ(z_prev) + b with W of variance σ_w²/fan_in and b of variance σ_b², every pre-activation
is normal, and two inputs give two of them, u₁ and u₂, of variance q and correlation c. From layer to layer

    q ← σ_w² V(q) + σ_b²,                       V(q) = E φ(√q Z)²
    c ← (σ_w² E φ(u₁)φ(u₂) + σ_b²)/q*           at the length map's fixed point q*
    gradient's second moment × χ₁,              χ₁ = σ_w² S(q*),  S(q) = E φ′(√q Z)²

with Z standard normal. χ₁ is also the slope of the correlation map at c = 1: for χ₁ < 1 (ordered) all inputs
converge to one and gradients vanish, for χ₁ > 1 (chaotic) nearby inputs separate and gradients explode, and
χ₁ = 1 is the edge of chaos. Sources: Poole et al. 2016 (arXiv:1606.05340), Schoenholz et al. 2017
(arXiv:1611.01232), Hayou et al. 2019 (arXiv:1902.06853).

All functions work on all cells of a phase diagram at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from app.core.theory.correlation_map import fixed_angles
from app.core.theory.duals import Dual
from app.core.theory.gaussian import Array
from app.core.theory.length_map import NEUTRAL, RESOLUTION, fixed_lengths, moments_at, squares, times

CRITICAL = 1e-9
"""|χ₁ − 1| up to this counts as critical."""


@dataclass(frozen=True)
class MeanField:
    """The fixed points and depth scales of each cell: arrays of the cells' shape.

    Attributes:
        q_star: the fixed point of the length map to which iteration from ``start`` converges: the first one
            in the direction in which the map moves. 0 where all signals die out, infinite where they grow
            without bound. A half-stable point, which the map touches from one side, counts.
        c_star: the stable fixed point of the correlation map in [0, 1], to which the correlation of two
            inputs converges. 1 where q* is 0, NaN where q* is infinite: there is none.
        chi_1: χ₁ = σ_w² E φ′(√q* Z)², the factor of the gradient's second moment in one layer; where q* is
            infinite, the limit.
        xi_q: layers in which q − q* shrinks by a factor of e: 1/ξ_q = −ln |σ_w² V′(q*)|, where
            V′(q) = E φ′² + E φφ″ with the jumps of φ′ counted in φ″. NaN where q* is infinite or repels.
        xi_c: the correlation length, layers in which c − c* shrinks by a factor of e: 1/ξ_c = −ln of the
            correlation map's slope at c*, which is σ_w² E φ′(u₁)φ′(u₂), and more where φ jumps. NaN where
            there is no c*.
        xi_gradient: 1/|ln χ₁|; ``phase`` tells whether gradients vanish or explode over this depth.
        phase: "ordered" where χ₁ < 1, "critical" where |χ₁ − 1| ≤ `CRITICAL`, "chaotic" where χ₁ > 1.

    A depth scale is infinite where the approach is slower than exponential.
    """

    q_star: Array
    c_star: Array
    chi_1: Array
    xi_q: Array
    xi_c: Array
    xi_gradient: Array
    phase: NDArray[np.str_]


def mean_field(dual: Dual, sigma_w: ArrayLike, sigma_b: ArrayLike, start: float = 1.0) -> MeanField:
    """Fixed points, depth scales and phase for every pair of σ_w and σ_b, which broadcast.

    c* and ξ_c are NaN too where φ oscillates too fast for the integral over the plane (`gaussian.Plane`).

    Raises:
        InvalidValue: a σ that is negative or too large, or shapes that do not broadcast.
        LimitExceeded: φ oscillates too fast for the integral over the line.
    """
    weight, bias = squares(sigma_w, sigma_b)
    shape = weight.shape
    weight, bias = weight.ravel(), bias.ravel()
    q = fixed_lengths(dual, weight, bias, start)
    moments = moments_at(dual, q)
    chi = times(weight, moments.slope)
    angle, stretch = fixed_angles(dual, weight, q, chi)
    # A slope of the length map below the resolution of its integrals counts as 0.
    steepness = np.abs(times(weight, moments.second_rate))
    steepness[steepness < RESOLUTION] = 0.0
    steepness[np.isinf(q)] = np.nan
    with np.errstate(divide="ignore"):
        rates = (-np.log(steepness), -np.log(stretch), np.abs(np.log(chi)))
    xi_q, xi_c, xi_gradient = (_depth_scale(rate).reshape(shape) for rate in rates)
    return MeanField(
        q_star=q.reshape(shape),
        c_star=np.cos(angle).reshape(shape),
        chi_1=chi.reshape(shape),
        xi_q=xi_q,
        xi_c=xi_c,
        xi_gradient=xi_gradient,
        phase=_phases(chi).reshape(shape),
    )


def _phases(chi: Array) -> NDArray[np.str_]:
    critical = np.abs(chi - 1) <= CRITICAL
    return np.where(critical, "critical", np.where(chi < 1, "ordered", "chaotic"))


def _depth_scale(rate: Array) -> Array:
    """1/rate; infinite for a rate of 0, NaN for a negative one."""
    with np.errstate(divide="ignore"):
        scale = np.where(np.abs(rate) <= NEUTRAL, np.inf, 1 / rate)
    return np.where(scale < 0, np.nan, scale)
