"""E f(√q Z) and E f(u₁) f(u₂): Z standard normal, u₁ and u₂ normal of variance q, their correlation cos θ.

Both are composite Gauss–Legendre sums split at the kinks of f, on a mesh that is bisected until f times the
density is resolved for every variance. One mesh serves all variances of a band (a factor of 2⁸), so that f is
evaluated once a band and thousands of variances cost one matrix product.

**The plane in polar coordinates.** With u₁ = ρ cos(α + θ/2) and u₂ = ρ cos(α − θ/2) the Gaussian depends on
ρ alone: ρ/√q is Rayleigh distributed and α uniform. So

    E ½(f(u₁) − f(u₂))² = ∫ M(ρ, θ) (ρ/q) e^(−ρ²/2q) dρ,   M = the mean over α of ½(f(u₁) − f(u₂))²,

where M, the expensive part, does not depend on q. The difference, unlike E f(u₁) f(u₂) itself, keeps its
relative accuracy as θ → 0. Integrals are split exactly at the lines on which f has its kinks: in α where u₁
or u₂ crosses a kink, in ρ where a circle first touches such a line and where two of them cross. In θ the
result is smooth on all of [0, π], kinks or not (as in ReLU's arc-cosine kernel): it is a Chebyshev series.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.polynomial import chebyshev, legendre
from numpy.typing import NDArray

from app.core.errors import LimitExceeded

Array: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
Function: TypeAlias = Callable[[Array], Array]
Judge: TypeAlias = Callable[[Array], tuple[Flags, Flags]]
"""From nodes, (panels, 16): which panels are resolved, and which are not negligible."""

BAND = 8
"""Variances from 2^(BAND·k) to 2^(BAND·(k+1)) share a mesh."""

REACH = 39.0
"""Standard deviations to integrate over: beyond, the normal density is below the smallest float."""

PANEL_LIMIT = 8192
"""Panels a mesh may have: a function that oscillates faster than this resolves is refused."""

WORK_LIMIT = 50_000_000
"""Evaluations of f that one table of `Plane` may take."""

_ORDER = 16
_NODES, _WEIGHTS = legendre.leggauss(_ORDER)
_LAST = np.stack(
    [(k + 0.5) * _WEIGHTS * legendre.Legendre.basis(k)(_NODES) for k in (_ORDER - 2, _ORDER - 1)], axis=-1
)
"""Values at the nodes to the last two Legendre coefficients."""

_TAIL = 1e-8
"""Gauss's rule squares the error of interpolation: a relative tail of 1e-8 integrates to 1e-16."""

_FEATURE_TAIL = 1e-10
_NEGLIGIBLE = 1e-19
_HUGE = 1e300
_ROUNDS = 60
_SERIES_TAIL = 4e-14
_SERIES_AIM = 1e-17
"""The tail to which a series is lengthened: below rounding error."""

_SHORTEST, _LONGEST = 24, 384

UNGRADED = 8.0
"""A grading δ so large that the variable is practically not graded."""
_VARIANCES = 64
"""Terms of a series in log q, which replaces long sums where there are more variances than this."""

_MANY_NODES = 4096
_CELLS = 2048
_TINY = 2.0**-1000


def expectation(f: Function, q: Array, kinks: Sequence[float] = ()) -> Array:
    """E f(√q Z), to 1e-13 of E |f(√q Z)|.

    Args:
        f: elementwise; may return a stack of functions, (m, *x.shape).
        q: variances, any shape, > 0 and finite.
        kinks: where f or a derivative of it jumps.

    Returns:
        The shape of q, or (m, *q.shape).

    Raises:
        LimitExceeded: f oscillates too fast to be resolved.
    """
    return Line(f, kinks)(q)


def covariance(f: Function, q: Array, c: Array, kinks: Sequence[float] = ()) -> Array:
    """E f(u₁) f(u₂) for normal u₁, u₂ of variance q and correlation c, to 1e-12 of E f(u₁)².

    Arguments broadcast; f is one continuous function; the rest is as for `expectation`.
    """
    q, c = np.broadcast_arrays(np.asarray(q, np.float64), np.asarray(c, np.float64))
    difference = Plane(f, kinks).difference(q.ravel(), np.arccos(c).ravel())
    return expectation(lambda x: f(x) ** 2, q, kinks) - difference.reshape(q.shape)


@dataclass(frozen=True)
class _Mesh:
    """Nodes on the half line x ≥ 0 with f's even part there, and where f overflows."""

    band: int
    panels: Array  # (panels, 2)
    nodes: Array
    values: Array  # (m, nodes): weight/√(the band's smallest q) · (f(x) + f(−x))
    overflow: float

    def at(self, q: Array) -> Array:
        """E f(√q Z): (m, q)."""
        many = q.size > _VARIANCES and self.nodes.size > _MANY_NODES
        return _interpolated(self._in_log_q, self.band, q) if many else self._sums(q)

    def _sums(self, q: Array) -> Array:
        density = np.exp(self.nodes**2 / (-2 * q[:, None]))
        moments: Array = (self.values @ density.T) / np.sqrt(2 * np.pi / _start(self.band) * q)
        return np.where(REACH * np.sqrt(q) < self.overflow, moments, np.inf)

    @cached_property
    def _in_log_q(self) -> Array:
        return _series_in_log_q(self._sums, self.band)


class Line:
    """q to E f(√q Z) for one f, keeping the meshes it has made.

    A value is infinite where f overflows within 39 standard deviations.
    """

    def __init__(self, f: Function, kinks: Sequence[float] = ()) -> None:
        self._f = f
        self._kinks = kinks
        self._meshes: dict[int, _Mesh] = {}
        self._stack = f(np.zeros(1)).shape[:-1]

    def __call__(self, q: Array) -> Array:
        """E f(√q Z) for each q > 0: the shape of q, or (m, *q.shape) for a stack of functions."""
        q = np.asarray(q, np.float64)
        flat = q.ravel()
        result = np.empty((math.prod(self._stack), flat.size))
        for band, cells in _bands(flat):
            result[:, cells] = self.mesh(band).at(flat[cells])
        return result.reshape((*self._stack, *q.shape))

    def mesh(self, band: int) -> _Mesh:
        """The mesh for the variances of ``band``."""
        if band not in self._meshes:
            self._meshes[band] = self._make(band)
        return self._meshes[band]

    def _make(self, band: int) -> _Mesh:
        variances = _representative(band)[:, None, None]
        low, high = np.sqrt(variances.flat[[0, -1]])
        overflow = math.inf
        peaks = np.zeros(())

        def judge(x: Array) -> tuple[Flags, Flags]:
            nonlocal overflow, peaks
            sides = _both_sides(self._f, x)
            finite = np.abs(sides) < _HUGE
            overflow = min(overflow, x[~finite.all(axis=0)].min(initial=math.inf))
            product = np.where(finite, sides, 0.0)[:, None] * np.exp(x**2 / (-2 * variances))
            size = np.abs(product).max(axis=-1)
            peaks = np.maximum(peaks, size.max(axis=-1, keepdims=True))
            resolved = _tail(product) <= _TAIL * peaks
            return resolved.all(axis=(0, 1)), (size > _NEGLIGIBLE * peaks).any(axis=(0, 1))

        panels = _bisected(judge, _graded(min(low, 0.25), REACH * high, self._kinks))
        nodes, weights = _gauss(panels)
        right, left = np.split(_both_sides(self._f, nodes.ravel()), 2)
        even = right + left
        values = np.where(np.abs(even) < _HUGE, even, 0.0) * (weights.ravel() / low)
        return _Mesh(band, panels, nodes.ravel(), values, overflow)


@dataclass(frozen=True)
class AngularSeries:
    """D(θ)/sinᵖ(θ/2) for θ in [0, π], one for each cell, as Chebyshev series in a graded variable.

    In y = ln((θ + δ)/(π − θ + δ)) a function that varies over lengths of δ at either end is smooth. The
    arrays are coefficients, (n, cells), and δ, (cells,).
    """

    coefficients: Array
    grading: Array
    power: Literal[1, 2]

    def select(self, cells: NDArray[np.intp]) -> AngularSeries:
        """The functions of some cells."""
        return AngularSeries(self.coefficients[:, cells], self.grading[cells], self.power)

    def __call__(self, angle: Array) -> tuple[Array, Array]:
        """Values and derivatives at one θ for each cell."""
        above, below = angle + self.grading, np.pi - angle + self.grading
        span = np.log1p(np.pi / self.grading)
        place = np.log(above / below) / span
        value = chebyshev.chebval(place, self.coefficients, tensor=False)
        slope = chebyshev.chebval(place, chebyshev.chebder(self.coefficients), tensor=False)
        return np.asarray(value), np.asarray(slope * (1 / above + 1 / below) / span)

    def steepness(self, angle: Array) -> Array:
        """The derivative of D in sin²(θ/2) at one θ > 0 for each cell."""
        value, slope = self(angle)
        sine, cosine, p = np.sin(angle / 2), np.cos(angle / 2), self.power
        return np.asarray(slope * sine ** (p - 1) / cosine + p / 2 * value * sine ** (p - 2))


@dataclass(frozen=True)
class _Table:
    """M(ρ, θ)/sinᵖ(θ/2), weighted, at Chebyshev's θ (rows) and their radii (one row where all share them)."""

    band: int
    squared_radii: Array
    values: Array
    grading: float

    def at(self, q: Array) -> Array:
        """E ½(f(u₁) − f(u₂))²/sinᵖ(θ/2): (θ, q)."""
        if len(self.squared_radii) == 1:
            rows: Array = self.values @ np.exp(self.squared_radii[0, :, None] / (-2 * q))
            return rows * (_start(self.band) / q)
        return self._row_by_row(q) if q.size <= _VARIANCES else _interpolated(self._in_log_q, self.band, q)

    def _row_by_row(self, q: Array) -> Array:
        pairs = zip(self.squared_radii, self.values, strict=True)
        rows = np.stack([value @ np.exp(radii[:, None] / (-2 * q)) for radii, value in pairs])
        return np.asarray(rows * (_start(self.band) / q))

    @cached_property
    def _in_log_q(self) -> Array:
        return _series_in_log_q(self._row_by_row, self.band)


class _Cuts(NamedTuple):
    """Where the plane is cut for one band: circles at these radii, arcs where |u₁| or |u₂| is a feature of f.

    By symmetry a quarter of each circle is enough where f is odd or even (``mirrored``), else a half.
    """

    radii: Array
    features: Array
    mirrored: bool

    def work(self, length: int) -> int:
        """About how many evaluations of f a table of ``length`` angles takes."""
        return length * self.radii.size * self.features.size * (2 if self.mirrored else 4) * _ORDER**2


class Plane:
    """q and θ to E ½(f(u₁) − f(u₂))², for one f, keeping the tables it has made.

    ``power`` is the p of the factor sinᵖ(θ/2) that is divided out before interpolating in θ: 2 where f is
    continuous, 1 where f jumps. The answer is NaN where f oscillates too often over one standard deviation to
    be integrated within `WORK_LIMIT`.
    """

    def __init__(self, f: Function, kinks: Sequence[float] = (), power: Literal[1, 2] = 2) -> None:
        self.power = power
        self._f = f
        self._kinks = kinks
        # The radii extend as far as the density, even where f has decayed: one of u₁ and u₂ may be near 0.
        self._line = Line(lambda x: np.stack([f(x) ** 2, np.ones_like(x)]), kinks)
        self._tables: dict[int, _Table] = {}

    def series(self, q: Array) -> AngularSeries:
        """E ½(f(u₁) − f(u₂))²/sinᵖ(θ/2) as a function of θ for each variance: q is (cells,)."""
        tables = [(self._table(band), cells) for band, cells in _bands(q)]
        coefficients = np.zeros((max((len(table.values) for table, _ in tables), default=1), q.size))
        grading = np.ones(q.size)
        for table, cells in tables:
            coefficients[: len(table.values), cells] = chebyshev_coefficients(table.at(q[cells]))
            grading[cells] = table.grading
        return AngularSeries(coefficients, grading, self.power)

    def difference(self, q: Array, angle: Array) -> Array:
        """E ½(f(u₁) − f(u₂))² for each pair of a variance and an angle θ in [0, π]."""
        value, _ = self.series(q)(angle)
        return np.asarray(value * np.sin(angle / 2) ** self.power)

    def _table(self, band: int) -> _Table:
        if band not in self._tables:
            self._tables[band] = self._make(band)
        return self._tables[band]

    def _make(self, band: int) -> _Table:
        variances = _representative(band)
        graded = min(2 / math.sqrt(variances[-1]), UNGRADED)
        edges = np.unique(np.append(self._line.mesh(band).panels, 0.0))
        cuts = _Cuts(edges, self._features(band, edges[-1]), self._mirrored(band))
        length, grading = _SHORTEST, UNGRADED
        while cuts.work(length) <= WORK_LIMIT:
            table = self._tabulated(band, cuts, length, grading)
            tail = _series_tail(table, variances)
            if tail <= _SERIES_TAIL:
                return table
            if length == _LONGEST:
                break
            if grading == graded:
                length = _longer(length, tail)
            grading = graded
        return _Table(band, np.zeros((1, 1)), np.full((1, 1), np.nan), UNGRADED)

    def _mirrored(self, band: int) -> bool:
        """Whether f is odd or even."""
        right, left = np.split(_both_sides(self._f, self._line.mesh(band).nodes), 2)
        return bool((right == left).all() or (right == -left).all())

    def _tabulated(self, band: int, cuts: _Cuts, length: int, grading: float) -> _Table:
        angles = angles_of(length, grading)
        radii, values = [], []
        for radius, weight in self._rings(cuts.radii, angles):
            mean = self._circle_mean(radius, angles, cuts)
            radii.append(radius)
            # Scaled by the band's smallest variance: ρ² f² would overflow long before its mean.
            values.append(weight / _start(band) * mean / np.sin(angles[:, None] / 2) ** self.power)
        return _Table(band, np.concatenate(radii, axis=1) ** 2, np.concatenate(values, axis=1), grading)

    def _features(self, band: int, reach: float) -> Array:
        """Ends of the longest panels on which f itself is resolved: where arcs are split."""
        centre = math.sqrt(_start(band))
        scale = np.abs(_both_sides(self._f, np.linspace(0, centre, 2 * _ORDER))).max()

        def judge(x: Array) -> tuple[Flags, Flags]:
            sides = _both_sides(self._f, x)
            sides = np.where(np.isfinite(sides), sides, 0.0)
            size = np.maximum(np.abs(sides).max(axis=(0, -1)), scale)
            return _tail(sides).max(axis=0) <= _FEATURE_TAIL * size, np.ones(len(x), bool)

        panels = _bisected(judge, _graded(min(centre, 0.25), reach, self._kinks))
        return _merged(judge, panels, {abs(kink) for kink in self._kinks})

    def _rings(self, edges: Array, angles: Array) -> Iterator[tuple[Array, Array]]:
        """Radii and weights ρ dρ of Gauss's rule, ring by ring: (θ, nodes), one row if the same for all θ.

        A circle of a radius just above |b| meets the line u₁ = b at ±arccos(b/ρ), which behaves like
        √(ρ − |b|). In τ, with ρ² = b² + τ², it is the smooth arctan(τ/b).
        """
        touching = np.unique(np.abs([0.0, *self._kinks]))
        crossings = self._crossings(angles, edges[-1])
        rows = np.broadcast_to(edges, (len(crossings), edges.size))
        bounds = np.sort(np.concatenate([rows, crossings], axis=1), axis=1)
        for low, high in zip(bounds.T[:-1], bounds.T[1:], strict=True):
            anchor = touching[np.searchsorted(touching, low * (1 + 1e-12), side="right") - 1]
            ends = np.sqrt(np.maximum(np.stack([low, high], axis=-1) ** 2 - anchor[:, None] ** 2, 0.0))
            tau, weights = _gauss(ends)
            yield np.sqrt(anchor[:, None] ** 2 + tau**2), weights * tau

    def _crossings(self, angles: Array, reach: float) -> Array:
        """The radii at which a line u₁ = a crosses a line u₂ = b, away from the origin: (θ, pairs)."""
        pairs = [(a, b) for i, a in enumerate(self._kinks) for b in self._kinks[i:] if a or b]
        if not pairs:
            return np.empty((1, 0))
        a, b = np.array(pairs).T
        c, s = np.cos(angles / 2)[:, None], np.sin(angles / 2)[:, None]
        # a² + b² − 2ab cos θ, without cancellation where the lines fall together.
        square = np.where(a * b > 0, (a - b) ** 2 + 4 * a * b * s**2, (a + b) ** 2 - 4 * a * b * c**2)
        radii: Array = np.sqrt(square) / (2 * s * c)
        return np.minimum(radii, reach)

    def _circle_mean(self, radius: Array, angles: Array, cuts: _Cuts) -> Array:
        """M(ρ, θ), the mean over α in [0, π] (the rest of the circle swaps u₁ and u₂): (θ, ρ)."""
        half = angles[:, None, None] / 2
        features = cuts.features[cuts.features < radius.max()]
        marks = np.unique(np.concatenate([features, -features]))
        meets = np.arccos(np.clip(marks / np.maximum(radius, _TINY)[..., None], -1, 1))
        later = meets + half
        inner = np.concatenate([np.abs(meets - half), np.pi - np.abs(np.pi - later)], axis=-1)
        ends = np.broadcast_to([0.0, np.pi / 2, np.pi], (*inner.shape[:-1], 3))
        bounds = np.sort(np.concatenate([ends, inner], axis=-1), axis=-1)
        if cuts.mirrored:  # π − α swaps −u₁ and −u₂
            bounds = bounds[..., : bounds.shape[-1] // 2 + 1]
        alpha, weights = _gauss(np.stack([bounds[..., :-1], bounds[..., 1:]], axis=-1))
        shift, scale = half[..., None], radius[..., None, None]
        gap = self._f(scale * np.cos(alpha + shift)) - self._f(scale * np.cos(alpha - shift))
        square = np.where(np.isfinite(gap), gap, 0.0) ** 2
        return np.asarray((square * weights).sum(axis=(-2, -1)) / (np.pi if cuts.mirrored else 2 * np.pi))


def _series_tail(table: _Table, q: Array) -> float:
    """The last coefficients of the series in θ, relative to its largest: the worst over q."""
    # The difference of two values of f has a relative rounding error of ε/θ. Times sin(θ/2) it has the same
    # error at all θ, to which the tail of the series can be compared.
    even = table.at(q) * np.sin(angles_of(len(table.values), table.grading)[:, None] / 2)
    series = np.abs(chebyshev_coefficients(even))
    return float((series[-3:].max(axis=0) / np.maximum(series.max(axis=0), _TINY)).max())


def _longer(length: int, tail: float) -> int:
    """The number of terms after which a geometrically decreasing tail is small enough."""
    if not tail < 1:
        return _LONGEST
    return min(math.ceil(length * math.log(_SERIES_AIM) / math.log(tail)), _LONGEST)


def angles_of(length: int, grading: float) -> Array:
    """θ where the graded variable is a zero of the Chebyshev polynomial of degree ``length``."""
    excess = np.expm1(np.sin(_chebyshev_grid(length)) * math.log1p(math.pi / grading))
    angles: Array = (np.pi * (1 + excess) + grading * excess) / (2 + excess)
    return angles


def _chebyshev_grid(length: int) -> Array:
    # Written with the sine, the zeros are symmetric to the last bit.
    return np.asarray((2 * np.arange(length) + 1 - length) * (np.pi / (2 * length)))


def _series_in_log_q(function: Function, band: int) -> Array:
    """A function from q to (m, q), as a Chebyshev series in log q over the band: (terms, m)."""
    places = np.sin(_chebyshev_grid(_VARIANCES))
    return chebyshev_coefficients(function(np.exp2(BAND * (band + (1 + places) / 2))).T)


def _interpolated(series: Array, band: int, q: Array) -> Array:
    """The values at each q of what `_series_in_log_q` gave: (m, q)."""
    place = np.clip(2 * (np.log2(q) / BAND - band) - 1, -1, 1)
    values: Array = series.T @ np.cos(np.arange(len(series))[:, None] * np.arccos(place))
    return values


def chebyshev_coefficients(values: Array) -> Array:
    """Values at `angles_of`, (n, ...), to the coefficients of the interpolating series, (n, ...)."""
    length = len(values)
    polynomials = np.cos(np.arange(length)[:, None] * (np.pi / 2 - _chebyshev_grid(length)))
    coefficients = (2 / length) * (polynomials @ values)
    coefficients[0] /= 2
    return np.asarray(coefficients)


def _start(band: int) -> float:
    """The smallest variance of a band."""
    return 2.0 ** (BAND * band)


def _representative(band: int) -> Array:
    return np.exp2(np.linspace(BAND * band, BAND * (band + 1), 5))


def _bands(q: Array) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """The bands that occur in ``q``, each with the indices of its members, in blocks that fit memory."""
    band = (np.frexp(q)[1] - 1) // BAND
    for each in np.unique(band):
        (cells,) = np.nonzero(band == each)
        for start in range(0, cells.size, _CELLS):
            yield int(each), cells[start : start + _CELLS]


def _graded(finest: float, reach: float, kinks: Sequence[float]) -> Array:
    """Panels of [0, reach] that double in width from ``finest`` on, split at every |kink|: (panels, 2)."""
    doubling = reach * 0.5 ** np.arange(math.ceil(math.log2(reach / finest)) + 1)
    inside = [abs(kink) for kink in kinks if abs(kink) < reach]
    edges = np.unique([0.0, *doubling, *inside])
    return np.stack([edges[:-1], edges[1:]], axis=-1)


def _bisected(judge: Judge, panels: Array) -> Array:
    """``panels`` halved until ``judge`` finds each resolved, without those it finds negligible."""
    done: list[Array] = []
    for _ in range(_ROUNDS):
        resolved, matters = judge(_gauss(panels)[0])
        done.append(panels[resolved & matters])
        left, right = panels[~resolved & matters].T
        middle = (left + right) / 2
        panels = np.concatenate([np.stack([left, middle], -1), np.stack([middle, right], -1)])
        if len(panels) > PANEL_LIMIT:
            raise LimitExceeded(
                "the integration mesh", estimate=len(panels), limit=PANEL_LIMIT, unit="panels"
            )
        if not len(panels):
            break
    found = np.concatenate([*done, panels])
    return found[np.argsort(found[:, 0])]


def _merged(judge: Judge, panels: Array, fixed: Collection[float]) -> Array:
    """The left ends of the longest panels that ``judge`` still finds resolved, ``fixed`` ends kept."""
    starts = [0.0]
    for left, right in panels:
        resolved, _ = judge(_gauss(np.array([[starts[-1], right]]))[0])
        if left in fixed or not resolved[0]:
            starts.append(left)
    return np.unique(starts)


def _both_sides(f: Function, x: Array) -> Array:
    """The values f(x) and f(−x) for a function or a stack of m: (2m, *x.shape)."""
    sides = [f(side) for side in (x, -x)]
    return np.concatenate([side if side.ndim > x.ndim else side[None] for side in sides])


def _gauss(panels: Array) -> tuple[Array, Array]:
    """Gauss–Legendre nodes and weights: panels (..., 2) to (..., 16) each."""
    half = (panels[..., 1:] - panels[..., :1]) / 2
    return panels[..., :1] + half * (1 + _NODES), half * _WEIGHTS


def _tail(values: Array) -> Array:
    """The larger of the last two Legendre coefficients on each panel: (..., 16) to (...)."""
    return np.asarray(np.abs(values @ _LAST).max(axis=-1))
