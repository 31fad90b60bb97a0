"""Length, correlation and gradient layer by layer, from given inputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.core.errors import InvalidValue, LimitExceeded
from app.core.theory.duals import Distance, Dual
from app.core.theory.gaussian import Array
from app.core.theory.length_map import LARGEST, RESOLUTION, SMALLEST, moments_at, squares, times


@dataclass(frozen=True)
class Trajectory:
    """Layer by layer, (depth,) each: q, c (None if no correlation was given), S = E φ′(√q Z)², χ = σ_w² S.

    Layer 1 is the first pre-activation. c is NaN where q is 0 or infinite; all are NaN from where an
    oscillating φ can no longer be integrated.
    """

    q: Array
    c: Array | None
    slope: Array
    chi: Array

    @property
    def log10_gradient_ratio(self) -> float:
        """Log10 of the root mean square of dL/dz in layer 1 over that in the last layer, for equal widths."""
        with np.errstate(divide="ignore"):
            return float(np.log10(self.chi[:-1]).sum() / 2)


def trajectory(
    dual: Dual, sigma_w: float, sigma_b: float, depth: int, variance: float, correlation: float | None = None
) -> Trajectory:
    """q, c and χ through ``depth`` layers, from inputs with E x² = ``variance`` and ``correlation``.

    Raises `InvalidValue` for numbers outside their domains.
    """
    weight, bias = (float(each) for each in squares(sigma_w, sigma_b))
    if correlation is not None and not -1 <= correlation <= 1:
        raise InvalidValue("must be a real number in [-1, 1]", loc=("inputs", "correlation"))
    if not 0 <= variance < np.inf:
        raise InvalidValue("must be a real number in [0, inf)", loc=("inputs", "variance"))
    q, c, slope, chi = np.full((4, depth), np.nan)
    second, half_gap = variance, np.nan if correlation is None else variance * (1 - correlation)
    for layer in range(depth):
        q[layer] = weight * second + bias
        with np.errstate(divide="ignore", invalid="ignore"):
            c[layer] = 1 - np.divide(weight * half_gap, q[layer])
        if layer and _settled(q, layer):
            if correlation is None or _settled(c, layer):
                q[layer:], c[layer:], slope[layer:] = q[layer], c[layer], slope[layer - 1]
                chi[layer:] = chi[layer - 1]
                break
        else:
            try:
                moments = moments_at(dual, q[layer : layer + 1])
            except LimitExceeded:
                break
            distance = None if correlation is None else _distance_at(dual, q[layer])
        slope[layer], chi[layer] = moments.slope[0], times(weight, moments.slope)[0]
        second = moments.second[0]
        half_gap = np.nan if distance is None else _next_gap(dual, distance, q[layer], weight * half_gap)
    return Trajectory(q, None if correlation is None else c, slope, chi)


def _settled(values: Array, layer: int) -> bool:
    now, before = values[layer], values[layer - 1]
    return bool(now == before or abs(now - before) <= RESOLUTION * abs(now) or np.isnan(now))


def _distance_at(dual: Dual, q: float) -> Distance | None:
    """`Dual.distance` at one variance; None where that is out of range."""
    return dual.distance(np.array([q])) if SMALLEST <= q <= LARGEST else None


def _next_gap(dual: Dual, distance: Distance, q: float, half_gap: float) -> float:
    """V(q) − E φ(u₁)φ(u₂) where E ½(u₁ − u₂)² = q(1 − c) is ``half_gap``."""
    sine = np.sqrt(np.clip(half_gap / (2 * q), 0.0, 1.0))
    value, _ = distance(2 * np.arcsin(np.array([sine])))
    return float(value[0] * sine**dual.power)
