"""The correlation map c ← (σ_w² E φ(u₁)φ(u₂) + σ_b²)/q*: its stable fixed point and the slope there."""

from __future__ import annotations

import numpy as np

from app.core.theory.duals import Dual
from app.core.theory.gaussian import Array
from app.core.theory.length_map import LARGEST, SMALLEST
from app.core.theory.roots import Cells, descend

_ALIKE = 1e-8
"""Below this angle between two inputs their correlation rounds to 1."""


def fixed_angles(dual: Dual, weight: Array, q: Array, chi: Array) -> tuple[Array, Array]:
    """Arccos c* and the correlation map's slope there, for each cell.

    1 − c is mapped to σ_w² E ½(φ(u₁) − φ(u₂))²/q. The ratio of the two falls as θ grows, since the map is a
    power series in c without negative coefficients: from χ₁ at θ = 0 to at most 1 at θ = π/2.
    """
    angle, stretch = np.where(np.isfinite(q), 0.0, np.nan), np.where(np.isfinite(q), chi, np.nan)
    unstable = (chi > 1) | (dual.power == 1)
    (cells,) = np.nonzero(unstable & (q > 0) & np.isfinite(q) & (weight > 0))
    lengths = np.clip(q[cells], SMALLEST, LARGEST)  # beyond, the map stays the same
    scale = weight[cells] / (2 * lengths)
    series = dual.distance(lengths)

    def excess(at: Array, active: Cells) -> tuple[Array, Array]:
        value, slope = series.select(active)(at)
        sine, half_cosine = np.sin(at / 2), np.cos(at / 2) / 2
        chord, rate = sine ** (2 - dual.power), (2 - dual.power) * half_cosine
        return scale[active] * value - chord, scale[active] * slope - rate

    nearest = np.full(cells.size, _ALIKE)
    first, _ = excess(nearest, np.arange(cells.size))
    unknown, (apart,) = np.isnan(first), np.nonzero(first > 0)
    angle[cells[unknown]] = stretch[cells[unknown]] = np.nan
    found = descend(
        lambda at, active: excess(at, apart[active]), nearest[apart], np.full(apart.size, np.pi / 2)
    )
    angle[cells[apart]] = found
    stretch[cells[apart]] = scale[apart] * series.select(apart).steepness(found)
    return angle, stretch
