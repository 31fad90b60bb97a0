"""Mean-field theory of random networks: what depth does to length, correlation and gradient, width infinite.

In a network z = W φ(z_prev) + b with W of variance σ_w²/fan_in and b of variance σ_b², every pre-activation
is normal, and two inputs give two of them, u₁ and u₂, of variance q and correlation c. From layer to layer

    q ← σ_w² V(q) + σ_b²,                       V(q) = E φ(√q Z)²
    c ← (σ_w² E φ(u₁)φ(u₂) + σ_b²)/q*           at the length map's fixed point q*
    gradient's second moment × χ₁,              χ₁ = σ_w² S(q*),  S(q) = E φ′(√q Z)²

with Z standard normal. χ₁ is also the slope of the correlation map at c = 1, so that χ₁ < 1 (ordered) makes
all inputs alike and gradients vanish, χ₁ > 1 (chaotic) tears neighbours apart and gradients explode, and
χ₁ = 1 is the edge of chaos. Sources: Poole et al. 2016 (arXiv:1606.05340), Schoenholz et al. 2017
(arXiv:1611.01232), Hayou et al. 2019 (arXiv:1902.06853).

All functions work on all cells of a phase diagram at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from app.core.errors import InvalidValue, LimitExceeded
from app.core.gaussian import BAND, Array
from app.core.kernels import Moments, Parting, Unit
from app.core.roots import Cells, Curve, bisect, descend

CRITICAL = 1e-9
"""|χ₁ − 1| up to this counts as critical."""

MOST_SIGMA = 1e6
"""Largest σ_w and σ_b."""

SMALLEST, LARGEST = 2.0**-640, 2.0**640
"""Variances between which V and S are integrals; beyond, their limits."""

_BANDS = 30
"""Bands to each side of q = 1 in which fixed points are looked for: to 2^−240, below 0, and 2^240, then ∞."""

_CRITICAL_BANDS = 8
_BAND_WIDTH = BAND * math.log(2)
_GRID = np.linspace(0, 1, 2 * BAND + 2)
"""Places to look at in one band: 17 steps, so that no power of two but its ends is among them."""

_ALIKE = 1e-8
"""Inputs at an angle below have a correlation that rounds to 1."""

_RESOLUTION = 1e-14
_NEUTRAL = 1e-12
_SIGNIFICANT = 1e-11
_VERIFIED = 1e-6


@dataclass(frozen=True)
class MeanField:
    """The fixed points and depth scales of each cell: arrays of the cells' shape.

    Attributes:
        q_star: the fixed point of the length map that iteration from q = 1 runs into: going from 1 the way
            the map moves, the first q that it leaves alone. 0 and infinity are answers: all signals die out,
            or grow without bound. A point that the map touches from one side (half-stable) counts.
        c_star: the stable fixed point of the correlation map in [0, 1]: where two inputs end. 1 where q* is
            0, NaN where q* is infinite: there is none.
        chi_1: χ₁ = σ_w² E φ′(√q* Z)², the factor of the gradient's second moment in one layer; where q* is
            infinite, the limit.
        xi_q: in as many layers q − q* shrinks by e: 1/ξ_q = −ln |σ_w² V′(q*)|, where
            V′(q) = E φ′² + E φφ″ with the jumps of φ′ counted in φ″. NaN where q* is infinite or repels.
        xi_c: in as many layers c − c* shrinks by e: 1/ξ_c = −ln of the correlation map's slope at c*, which
            is σ_w² E φ′(u₁)φ′(u₂), and more where φ jumps. NaN where there is no c*.
        xi_gradient: 1/|ln χ₁|. Whether gradients vanish or explode over it, ``phase`` says.
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


def mean_field(unit: Unit, sigma_w: ArrayLike, sigma_b: ArrayLike) -> MeanField:
    """Fixed points, depth scales and phase for every pair of σ_w and σ_b, which broadcast.

    c* and ξ_c are NaN too where φ oscillates too fast for the integral over the plane (`gaussian.Plane`).

    Raises:
        InvalidValue: a σ that is negative or too large, or shapes that do not broadcast.
        LimitExceeded: φ oscillates too fast for the integral over the line.
    """
    weight, bias = _squares(sigma_w, sigma_b)
    shape = weight.shape
    weight, bias = weight.ravel(), bias.ravel()
    q = _fixed_lengths(unit, weight, bias)
    moments = _moments_at(unit, q)
    chi = _times(weight, moments.slope)
    angle, stretch = _fixed_angles(unit, weight, q, chi)
    # A slope of the length map below the resolution of its integrals is none.
    steepness = np.abs(_times(weight, moments.second_rate))
    steepness[steepness < _RESOLUTION] = 0.0
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


def critical_sigma_w(unit: Unit, sigma_b: ArrayLike) -> Array:
    """The smallest σ_w with χ₁ = 1 at q*, for each σ_b (its shape); NaN where there is none.

    On χ₁ = 1 both are functions of q: σ_w² = 1/S(q) and σ_b² = q − V(q)/S(q). The second is solved for q; a
    solution counts if `mean_field` finds χ₁ = 1 there. q → 0 and q → ∞ count too (tanh without bias, ReLU).
    """
    _, bias = _squares(0.0, sigma_b)
    distinct, places = np.unique(bias, return_inverse=True)
    owners, widths = _critical_candidates(unit, distinct)
    q = _fixed_lengths(unit, widths, distinct[owners])
    found = np.abs(_times(widths, _moments_at(unit, q).slope) - 1) <= _VERIFIED
    smallest = np.full(distinct.size, np.inf)
    np.minimum.at(smallest, owners[found], widths[found])
    result = np.where(np.isfinite(smallest), np.sqrt(smallest), np.nan)
    return np.asarray(result[places].reshape(np.shape(sigma_b)))


@dataclass(frozen=True)
class Trajectory:
    """Layer by layer, (depth,) each: q, c (None if no correlation was given) and χ = σ_w² E φ′(√q Z)².

    Layer 1 is the first pre-activation. c is NaN where q is 0 or infinite; all are NaN from where an
    oscillating φ can no longer be integrated.
    """

    q: Array
    c: Array | None
    chi: Array

    @property
    def log10_gradient_ratio(self) -> float:
        """Log10 of the root mean square of dL/dz in layer 1 over that in the last layer, equal widths."""
        with np.errstate(divide="ignore"):
            return float(np.log10(self.chi[:-1]).sum() / 2)


def trajectory(
    unit: Unit, sigma_w: float, sigma_b: float, depth: int, variance: float, correlation: float | None = None
) -> Trajectory:
    """How q, c and χ run through ``depth`` layers from inputs with E x² = ``variance`` and ``correlation``.

    Raises `InvalidValue` for numbers outside their domains.
    """
    weight, bias = (float(each) for each in _squares(sigma_w, sigma_b))
    if correlation is not None and not -1 <= correlation <= 1:
        raise InvalidValue("must be a real number in [-1, 1]", loc=("inputs", "correlation"))
    if not 0 <= variance < np.inf:
        raise InvalidValue("must be a real number in [0, inf)", loc=("inputs", "variance"))
    q, c, chi = np.full((3, depth), np.nan)
    second, parted = variance, np.nan if correlation is None else variance * (1 - correlation)
    for layer in range(depth):
        q[layer] = weight * second + bias
        with np.errstate(divide="ignore", invalid="ignore"):
            c[layer] = 1 - np.divide(weight * parted, q[layer])
        if layer and _settled(q, layer):
            if correlation is None or _settled(c, layer):
                q[layer:], c[layer:], chi[layer:] = q[layer], c[layer], chi[layer - 1]
                break
        else:
            try:
                moments = _moments_at(unit, q[layer : layer + 1])
            except LimitExceeded:
                break
            parting = None if correlation is None else _parting(unit, q[layer])
        chi[layer] = _times(weight, moments.slope)[0]
        second = moments.second[0]
        parted = np.nan if parting is None else _parted(unit, parting, q[layer], weight * parted)
    return Trajectory(q, None if correlation is None else c, chi)


def _settled(values: Array, layer: int) -> bool:
    now, before = values[layer], values[layer - 1]
    return bool(now == before or abs(now - before) <= _RESOLUTION * abs(now) or np.isnan(now))


def _parting(unit: Unit, q: float) -> Parting | None:
    """What `Unit.parting` says at one variance; None where it is out of range."""
    return unit.parting(np.array([q])) if SMALLEST <= q <= LARGEST else None


def _parted(unit: Unit, parting: Parting, q: float, half_gap: float) -> float:
    """V(q) − E φ(u₁)φ(u₂) where E ½(u₁ − u₂)² = q(1 − c) is ``half_gap``."""
    sine = np.sqrt(np.clip(half_gap / (2 * q), 0.0, 1.0))
    value, _ = parting(2 * np.arcsin(np.array([sine])))
    return float(value[0] * sine**unit.power)


def _squares(sigma_w: ArrayLike, sigma_b: ArrayLike) -> tuple[Array, Array]:
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


def _times(weight: Array | float, moment: Array) -> Array:
    """``weight`` · ``moment``, where no weight makes nothing even of infinity."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where(np.asarray(weight) == 0, 0.0, weight * moment)


def _moments_at(unit: Unit, q: Array) -> Moments:
    """V, S, V′, S′ at fixed points, 0 and infinity among them."""
    result = Moments(*np.full((4, q.size), np.inf))
    inside = (q >= SMALLEST) & (q <= LARGEST)
    small, large = q < SMALLEST, q > LARGEST
    zero = unit.at_zero()
    for target, values in zip(result, unit.moments(q[inside]), strict=True):
        target[inside] = values
    for target, limit in zip(result, zero, strict=True):
        target[small] = limit
    result.second[small] += zero.second_rate * q[small]
    if large.any():
        result.slope[large] = _slope_at_infinity(unit)
    return result


def _slope_at_infinity(unit: Unit) -> float:
    """S as q → ∞, infinite where it grows; for oscillating φ, S at the largest q that can be integrated."""
    largest = 1.0
    for start in 2.0 ** (BAND * np.arange(_BANDS)):
        try:
            unit.moments(np.array([start]))
        except LimitExceeded:
            break
        largest = start * 2.0 ** (BAND - 1)
    before, last = unit.moments(largest * np.array([0.25, 1.0])).slope
    return float(last) if last < (1 + _VERIFIED) * before else np.inf


def _phases(chi: Array) -> NDArray[np.str_]:
    critical = np.abs(chi - 1) <= CRITICAL
    return np.where(critical, "critical", np.where(chi < 1, "ordered", "chaotic"))


def _depth_scale(rate: Array) -> Array:
    """1/rate; infinite where nothing decays, NaN where it grows."""
    with np.errstate(divide="ignore"):
        scale = np.where(np.abs(rate) <= _NEUTRAL, np.inf, 1 / rate)
    return np.where(scale < 0, np.nan, scale)


def _fixed_lengths(unit: Unit, weight: Array, bias: Array) -> Array:
    """q* of each cell: 0, finite or infinite."""
    q = np.ones(weight.size)
    start, _ = _log_growth(unit.moments(np.ones(1)), np.zeros(1), weight, bias)
    for direction, moving in ((1, start > _RESOLUTION), (-1, start < -_RESOLUTION)):
        (cells,) = np.nonzero(moving)
        q[cells] = _march(unit, weight[cells], bias[cells], direction)
    return q


def _log_growth(moments: Moments, s: Array, weight: Array, bias: Array) -> tuple[Array, Array]:
    """G = ln((σ_w² V + σ_b²)/q) and dG/ds at s = ln q."""
    with np.errstate(divide="ignore", invalid="ignore"):
        image = _times(weight, moments.second) + bias
        growth = np.log(image) - s
        rate = _times(weight, moments.second_rate) * np.exp(s) / image - 1
    return growth, rate


def _march(unit: Unit, weight: Array, bias: Array, direction: int) -> Array:
    """The first fixed point above (1) or below (−1) q = 1, band by band; ∞ or 0 where there is none."""

    def ahead_at(path: Array, cells: Cells) -> tuple[Array, Array]:
        s = direction * path
        growth, rate = _log_growth(unit.moments(np.exp(s)), s, weight[cells], bias[cells])
        return direction * growth, rate

    ends = np.full((2, weight.size), np.nan)
    pending = np.arange(weight.size)
    for band in range(_BANDS):
        if not pending.size:
            break
        path = (band + _GRID) * _BAND_WIDTH
        try:
            ahead, rate = ahead_at(path, pending[:, None])
        except LimitExceeded:  # φ oscillates: as far as it can be followed, q has grown
            break
        ends[:, pending] = _first_crossing(ahead, path)
        for row, bracket in _touching_dips(ahead_at, pending, path, ahead, rate):
            if not ends[0, row] <= bracket[0]:
                ends[:, row] = bracket
        pending = pending[np.isnan(ends[0, pending])]
    root = np.full(weight.size, np.inf if direction > 0 else 0.0)
    (cells,) = np.nonzero(~np.isnan(ends[0]))
    path = descend(lambda at, active: ahead_at(at, cells[active]), *ends[:, cells])
    root[cells] = np.exp(direction * path)
    return root


def _first_crossing(ahead: Array, path: Array) -> Array:
    """The ends of the step of ``path`` in which each row of ``ahead`` first falls below 0, or NaN."""
    below = ahead < -_RESOLUTION
    place = np.maximum(below.argmax(axis=1), 1)
    return np.where(below.any(axis=1), [path[place - 1], path[place]], np.nan)


def _touching_dips(
    ahead_at: Curve, pending: Cells, path: Array, ahead: Array, rate: Array
) -> Iterator[tuple[int, tuple[float, float]]]:
    """Cells whose ``ahead`` falls to 0 and rises again within one step: where it starts, and its bottom.

    The last dip of a cell comes first.
    """
    near, far = ahead[:, :-1], ahead[:, 1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        falling, rising = rate[:, :-1], rate[:, 1:]
        # Where the tangents at both ends meet bounds a convex dip from below.
        along = (far - near - rising * np.diff(path)) / (falling - rising)
        bound = near + falling * along
    dips = (near > _NEUTRAL) & (far > _NEUTRAL) & (falling < 0) & (rising > 0) & (bound <= 0)
    rows, steps = np.nonzero(dips)
    cells = pending[rows]
    bottom = bisect(lambda at: -ahead_at(at, cells)[1], path[steps], path[steps + 1])
    touches = ahead_at(bottom, cells)[0] <= _RESOLUTION
    found = zip(cells[touches], path[steps[touches]], bottom[touches], strict=True)
    for cell, start, end in reversed(list(found)):
        yield int(cell), (float(start), float(end))


def _fixed_angles(unit: Unit, weight: Array, q: Array, chi: Array) -> tuple[Array, Array]:
    """Arccos c* and the correlation map's slope there, for each cell.

    1 − c is sent to σ_w² E ½(φ(u₁) − φ(u₂))²/q. The ratio of the two falls as θ grows, since the map is a
    power series in c without negative coefficients: from χ₁ at θ = 0 to at most 1 at θ = π/2.
    """
    angle, stretch = np.where(np.isfinite(q), 0.0, np.nan), np.where(np.isfinite(q), chi, np.nan)
    unstable = (chi > 1) | (unit.power == 1)
    (cells,) = np.nonzero(unstable & (q > 0) & np.isfinite(q) & (weight > 0))
    scale = weight[cells] / (2 * q[cells])
    series = unit.parting(q[cells])

    def excess(at: Array, active: Cells) -> tuple[Array, Array]:
        value, slope = series.select(active)(at)
        sine, half_cosine = np.sin(at / 2), np.cos(at / 2) / 2
        chord, rate = sine ** (2 - unit.power), (2 - unit.power) * half_cosine
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


def _critical_candidates(unit: Unit, bias: Array) -> tuple[Cells, Array]:
    """Pairs of a cell and a σ_w² that may put it on χ₁ = 1."""
    grid, critical_bias = _critical_line(unit)
    gap = critical_bias - bias[:, None]
    clear = np.abs(gap) > _SIGNIFICANT * grid
    changes = clear[:, :-1] & clear[:, 1:] & (gap[:, :-1] * gap[:, 1:] < 0)
    owners, steps = np.nonzero(changes)
    sign = np.sign(gap[owners, steps])

    def gap_at(q: Array, active: Cells) -> tuple[Array, Array]:
        value, rate = _critical_bias(unit.moments(q), q)
        return sign[active] * (value - bias[owners[active]]), sign[active] * rate

    q = descend(gap_at, grid[steps], grid[steps + 1])
    limits = np.array([unit.at_zero().slope, _slope_at_infinity(unit)])
    everyone = np.repeat(np.arange(bias.size), limits.size)
    slopes = np.concatenate([unit.moments(q).slope, np.tile(limits, bias.size)])
    usable = (slopes > 0) & np.isfinite(slopes)
    return np.concatenate([owners, everyone])[usable], 1 / slopes[usable]


def _critical_line(unit: Unit) -> tuple[Array, Array]:
    """A grid of q, as far as φ's oscillations can be resolved, and the σ_b² of χ₁ = 1 there."""
    line = []
    for band in range(-_CRITICAL_BANDS, _CRITICAL_BANDS):
        q = np.exp((band + _GRID[:-1]) * _BAND_WIDTH)
        try:
            line.append((q, _critical_bias(unit.moments(q), q)[0]))
        except LimitExceeded:
            break
    grid, bias = np.concatenate(line, axis=1)
    return grid, bias


def _critical_bias(moments: Moments, q: Array) -> tuple[Array, Array]:
    """The σ_b² that puts the fixed point of χ₁ = 1 at q, q − V/S, and its derivative in q."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = moments.second / moments.slope
        rate = (moments.second_rate - ratio * moments.slope_rate) / moments.slope
    return q - ratio, 1 - rate
