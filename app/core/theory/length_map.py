"""The length map q ← σ_w² V(q) + σ_b²: from one layer's pre-activation variance to the next layer's.

V(q) = E φ(√q Z)² with Z standard normal. All functions work on all cells of a phase diagram at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from app.core.errors import InvalidValue, LimitExceeded
from app.core.theory.duals import Dual, Moments
from app.core.theory.gaussian import BAND, Array
from app.core.theory.roots import Cells, Curve, bisect, descend

MOST_SIGMA = 1e6
"""Largest σ_w and σ_b."""

SMALLEST, LARGEST = 2.0**-640, 2.0**640
"""Variances between which V and S are integrated; beyond, their limits are used."""

_BANDS = 30
"""Bands to each side of q = 1 searched for fixed points: to 2^−240 (below is 0) and 2^240 (above is ∞)."""

_NEAR_BANDS = 8
"""How many bands beyond the start's basin are searched for another basin."""

_LEAST_START, _MOST_START = 2.0**-240, 2.0**240

BAND_WIDTH = BAND * math.log(2)
GRID = np.linspace(0, 1, 2 * BAND + 2)
"""Sample points of one band, by its width: 17 steps, so that no power of two but its ends is among them."""

RESOLUTION = 1e-14
"""Absolute accuracy of the logarithm of an integral."""

NEUTRAL = 1e-12
VERIFIED = 1e-6
"""χ₁ this near 1 is 1."""


def squares(sigma_w: ArrayLike, sigma_b: ArrayLike) -> tuple[Array, Array]:
    """σ_w² and σ_b², broadcast."""
    sigmas = {"sigma_w": np.asarray(sigma_w, np.float64), "sigma_b": np.asarray(sigma_b, np.float64)}
    for name, sigma in sigmas.items():
        if not ((sigma >= 0) & (sigma <= MOST_SIGMA)).all():
            raise InvalidValue(f"must be real numbers in [0, {MOST_SIGMA:g}]", loc=(name,))
    try:
        weight, bias = np.broadcast_arrays(*(sigma**2 for sigma in sigmas.values()))
    except ValueError:
        raise InvalidValue("must broadcast against sigma_b", loc=("sigma_w",)) from None
    return weight, bias


def times(weight: Array | float, moment: Array) -> Array:
    """``weight`` · ``moment``, with 0 · ∞ = 0."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where(np.asarray(weight) == 0, 0.0, weight * moment)


def moments_at(dual: Dual, q: Array) -> Moments:
    """V, S, V′, S′ at fixed points, 0 and infinity among them."""
    result = Moments(*np.full((4, q.size), np.inf))
    inside = (q >= SMALLEST) & (q <= LARGEST)
    small, large = q < SMALLEST, q > LARGEST
    zero = dual.at_zero()
    for target, values in zip(result, dual.moments(q[inside]), strict=True):
        target[inside] = values
    for target, limit in zip(result, zero, strict=True):
        target[small] = limit
    result.second[small] += zero.second_rate * q[small]
    if large.any():
        result.slope[large] = slope_at_infinity(dual)
    return result


def slope_at_infinity(dual: Dual) -> float:
    """S as q → ∞, infinite where it grows; for oscillating φ, S at the largest q that can be integrated."""
    largest = 1.0
    for start in 2.0 ** (BAND * np.arange(_BANDS)):
        try:
            dual.moments(np.array([start]))
        except LimitExceeded:
            break
        largest = start * 2.0 ** (BAND - 1)
    before, last = dual.moments(largest * np.array([0.25, 1.0])).slope
    return float(last) if last < (1 + VERIFIED) * before else np.inf


def fixed_lengths(dual: Dual, weight: Array, bias: Array, start: float = 1.0) -> Array:
    """q* of each cell, to which iteration from ``start`` converges: 0, finite or infinite.

    A start at 0 stays there: use it only for maps with a fixed point at 0.
    """
    if start == 0:
        return np.zeros(weight.size)
    q = np.full(weight.size, start, np.float64)
    start = min(max(start, _LEAST_START), _MOST_START)
    place = np.full(1, math.log(start))
    growth, _ = _log_growth(dual.moments(np.exp(place)), place, weight, bias)
    for direction, moving in ((1, growth > RESOLUTION), (-1, growth < -RESOLUTION)):
        (cells,) = np.nonzero(moving)
        q[cells] = _march(dual, weight[cells], bias[cells], _Search(start, direction, _BANDS))
    return q


@dataclass(frozen=True)
class Basin:
    """The starting variances, ``low`` to ``high``, from which iteration converges to ``q_star``."""

    low: float
    high: float
    q_star: float


def basins(dual: Dual, weight: float, bias: float, start: float) -> list[Basin]:
    """The basins of the length map that ``start`` lies in or next to, from the smallest variances on.

    Usually one; two or three where the map has repelling fixed points, which are their borders.
    """
    cell = np.array([weight]), np.array([bias])
    own = float(fixed_lengths(dual, *cell, start)[0])
    found = [Basin(0.0, math.inf, own)]
    for direction in (-1, 1):
        nearest = min(start, own) if direction < 0 else max(start, own)
        if not 0 < nearest < math.inf:
            continue
        nearest = min(max(nearest, _LEAST_START), _MOST_START)
        search = _Search(nearest * (1 + direction * VERIFIED), direction, _NEAR_BANDS, leaving=True)
        border = float(_march(dual, *cell, search)[0])
        if not 0 < border < math.inf:
            continue
        beyond = _Search(border * (1 + direction * VERIFIED), direction, _BANDS)
        there = float(_march(dual, *cell, beyond)[0])
        if direction < 0:
            found = [Basin(0.0, border, there), replace(found[0], low=border), *found[1:]]
        else:
            found = [*found[:-1], replace(found[-1], high=border), Basin(border, math.inf, there)]
    return found


def _log_growth(moments: Moments, s: Array, weight: Array, bias: Array) -> tuple[Array, Array]:
    """G = ln((σ_w² V + σ_b²)/q) and dG/ds at s = ln q."""
    with np.errstate(divide="ignore", invalid="ignore"):
        image = times(weight, moments.second) + bias
        growth = np.log(image) - s
        rate = times(weight, moments.second_rate) * np.exp(s) / image - 1
    return growth, rate


@dataclass(frozen=True)
class _Search:
    """From ``start`` up (1) or down (−1): where q stops moving that way, or (``leaving``) starts to."""

    start: float
    direction: int
    bands: int
    leaving: bool = False


def _march(dual: Dual, weight: Array, bias: Array, search: _Search) -> Array:
    """The first fixed point of a search, band by band; ∞ or 0 where there is none."""
    direction, origin = search.direction, math.log(search.start)
    sign = -direction if search.leaving else direction

    def ahead_at(path: Array, cells: Cells) -> tuple[Array, Array]:
        s = origin + direction * path
        growth, rate = _log_growth(dual.moments(np.exp(s)), s, weight[cells], bias[cells])
        return sign * growth, sign * direction * rate

    ends = np.full((2, weight.size), np.nan)
    pending = np.arange(weight.size)
    for band in range(search.bands):
        if not pending.size:
            break
        path = (band + GRID) * BAND_WIDTH
        try:
            ahead, rate = ahead_at(path, pending[:, None])
        except LimitExceeded:  # φ oscillates too fast from here on
            break
        ends[:, pending] = _first_crossing(ahead, path)
        for row, bracket in _touching_dips(ahead_at, pending, path, ahead, rate):
            if not ends[0, row] <= bracket[0]:
                ends[:, row] = bracket
        pending = pending[np.isnan(ends[0, pending])]
    root = np.full(weight.size, np.inf if direction > 0 else 0.0)
    (cells,) = np.nonzero(~np.isnan(ends[0]))
    path = descend(lambda at, active: ahead_at(at, cells[active]), *ends[:, cells])
    root[cells] = np.exp(origin + direction * path)
    return root


def _first_crossing(ahead: Array, path: Array) -> Array:
    """The ends of the step of ``path`` in which each row of ``ahead`` first falls below 0, or NaN."""
    below = ahead < -RESOLUTION
    place = np.maximum(below.argmax(axis=1), 1)
    return np.where(below.any(axis=1), [path[place - 1], path[place]], np.nan)


def _touching_dips(
    ahead_at: Curve, pending: Cells, path: Array, ahead: Array, rate: Array
) -> Iterator[tuple[int, tuple[float, float]]]:
    """Cells whose ``ahead`` falls to 0 and rises again within one step: the step's start, and the minimum.

    The last dip of a cell comes first.
    """
    near, far = ahead[:, :-1], ahead[:, 1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        falling, rising = rate[:, :-1], rate[:, 1:]
        # The intersection of the tangents at both ends bounds a convex dip from below.
        along = (far - near - rising * np.diff(path)) / (falling - rising)
        bound = near + falling * along
    dips = (near > NEUTRAL) & (far > NEUTRAL) & (falling < 0) & (rising > 0) & (bound <= 0)
    rows, steps = np.nonzero(dips)
    cells = pending[rows]
    bottom = bisect(lambda at: -ahead_at(at, cells)[1], path[steps], path[steps + 1])
    touches = ahead_at(bottom, cells)[0] <= RESOLUTION
    found = zip(cells[touches], path[steps[touches]], bottom[touches], strict=True)
    for cell, start, end in reversed(list(found)):
        yield int(cell), (float(start), float(end))
