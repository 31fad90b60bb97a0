"""The edge of chaos: the σ_w at which χ₁ = 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from app.core.errors import LimitExceeded
from app.core.theory.duals import Dual, Moments
from app.core.theory.gaussian import Array
from app.core.theory.length_map import (
    BAND_WIDTH,
    GRID,
    VERIFIED,
    fixed_lengths,
    moments_at,
    slope_at_infinity,
    squares,
    times,
)
from app.core.theory.roots import Cells, descend

_BANDS = 8
"""Bands to each side of q = 1 that are searched for the edge of chaos."""

_SIGNIFICANT = 1e-11
"""Relative to q: a larger difference between σ_b² and its critical value is not rounding error."""


def critical_sigma_w(dual: Dual, sigma_b: ArrayLike) -> Array:
    """The smallest σ_w with χ₁ = 1 at q*, for each σ_b (its shape); NaN where there is none.

    On χ₁ = 1 both are functions of q: σ_w² = 1/S(q) and σ_b² = q − V(q)/S(q). The second is solved for q; a
    solution counts if `mean_field` finds χ₁ = 1 there. q → 0 and q → ∞ count too (tanh without bias, ReLU).
    """
    _, bias = squares(0.0, sigma_b)
    distinct, places = np.unique(bias, return_inverse=True)
    owners, widths = _critical_candidates(dual, distinct)
    q = fixed_lengths(dual, widths, distinct[owners])
    found = np.abs(times(widths, moments_at(dual, q).slope) - 1) <= VERIFIED
    smallest = np.full(distinct.size, np.inf)
    np.minimum.at(smallest, owners[found], widths[found])
    result = np.where(np.isfinite(smallest), np.sqrt(smallest), np.nan)
    return np.asarray(result[places].reshape(np.shape(sigma_b)))


def _critical_candidates(dual: Dual, bias: Array) -> tuple[Cells, Array]:
    """Pairs of a cell and a σ_w² that may put it on χ₁ = 1."""
    grid, critical_bias = _critical_line(dual)
    gap = critical_bias - bias[:, None]
    clear = np.abs(gap) > _SIGNIFICANT * grid
    changes = clear[:, :-1] & clear[:, 1:] & (gap[:, :-1] * gap[:, 1:] < 0)
    owners, steps = np.nonzero(changes)
    sign = np.sign(gap[owners, steps])

    def gap_at(q: Array, active: Cells) -> tuple[Array, Array]:
        value, rate = _critical_bias(dual.moments(q), q)
        return sign[active] * (value - bias[owners[active]]), sign[active] * rate

    q = descend(gap_at, grid[steps], grid[steps + 1])
    limits = np.array([dual.at_zero().slope, slope_at_infinity(dual)])
    all_cells = np.repeat(np.arange(bias.size), limits.size)
    slopes = np.concatenate([dual.moments(q).slope, np.tile(limits, bias.size)])
    usable = (slopes > 0) & np.isfinite(slopes)
    return np.concatenate([owners, all_cells])[usable], 1 / slopes[usable]


def _critical_line(dual: Dual) -> tuple[Array, Array]:
    """A grid of q, and the σ_b² of χ₁ = 1 there.

    It starts where φ is accurate enough to be integrated, as a formula may cancel near 0, and ends where its
    oscillations can no longer be resolved.
    """
    line = [np.empty((2, 0))]
    for band in range(-_BANDS, _BANDS):
        q = np.exp((band + GRID[:-1]) * BAND_WIDTH)
        try:
            line.append(np.stack((q, _critical_bias(dual.moments(q), q)[0])))
        except LimitExceeded:
            if len(line) > 1:
                break
    grid, bias = np.concatenate(line, axis=1)
    return grid, bias


def _critical_bias(moments: Moments, q: Array) -> tuple[Array, Array]:
    """The σ_b² that puts the fixed point of χ₁ = 1 at q, q − V/S, and its derivative in q."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = moments.second / moments.slope
        rate = (moments.second_rate - ratio * moments.slope_rate) / moments.slope
    return q - ratio, 1 - rate
