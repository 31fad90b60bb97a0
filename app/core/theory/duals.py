"""What mean-field theory needs to know of an activation φ: second moments over normal pre-activations.

With Z standard normal, and u₁, u₂ normal of variance q and correlation c,

    V(q) = E φ(√q Z)²,   S(q) = E φ′(√q Z)²,   E φ(u₁)φ(u₂) = V(q) − E ½(φ(u₁) − φ(u₂))².
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

from app.core.activations.definition import Elementwise, Rowwise, Wave
from app.core.activations.from_formula import FormulaActivation
from app.core.activations.registry import Call
from app.core.arithmetic.special import normal_cdf, owens_t
from app.core.errors import InvalidValue
from app.core.propagation.units import Units
from app.core.theory.gaussian import (
    UNGRADED,
    AngularSeries,
    Array,
    Line,
    Plane,
    angles_of,
    chebyshev_coefficients,
    expectation,
)

_TINY = 1e-300
_LARGEST_POWER = 1e200
_ANGLES = 48


class Moments(NamedTuple):
    """V(q), S(q) and their derivatives in q, one for each variance."""

    second: Array
    slope: Array
    second_rate: Array
    slope_rate: Array


class Distance(Protocol):
    """E ½(φ(u₁) − φ(u₂))²/sinᵖ(θ/2) as a function of θ = arccos c, one for each of some cells."""

    def select(self, cells: NDArray[np.intp]) -> Distance:
        """The functions of some of the cells."""

    def __call__(self, angle: Array) -> tuple[Array, Array]:
        """Values and derivatives in θ at one θ for each cell; NaN where they are not known."""

    def steepness(self, angle: Array) -> Array:
        """The derivative of E ½(φ(u₁) − φ(u₂))² in sin²(θ/2): 2q E φ′(u₁)φ′(u₂), and more where φ jumps."""


class Dual(Protocol):
    """What mean-field theory needs to know of an activation."""

    @property
    def power(self) -> Literal[1, 2]:
        """The p of `distance`: 2, or 1 for a function that jumps."""

    def moments(self, q: Array) -> Moments:
        """V, S, V′, S′ at each q > 0."""

    def at_zero(self) -> Moments:
        """Their limits as q → 0 (V′ where V is 0 there)."""

    def distance(self, q: Array) -> Distance:
        """E ½(φ(u₁) − φ(u₂))²/sinᵖ(θ/2) as a function of θ = arccos c, for each variance."""


class ElementwiseDual:
    """φ of one pre-activation; ``params`` are numbers."""

    def __init__(self, activation: Elementwise, params: Mapping[str, float]) -> None:
        self._activation = activation
        self._params = params
        kinks = activation.break_points({**activation.defaults, **params})
        self.power: Literal[1, 2] = 1 if activation.smoothness < 0 else 2
        self._line = Line(self._integrands, kinks)
        self._plane = Plane(lambda x: self._orders(x, 1)[0], kinks, self.power)

    def _orders(self, x: Array, count: int) -> Array:
        """The first ``count`` of φ, φ′, φ″, each the shape of x."""
        return np.asarray(self._activation.orders(x, count, **self._params))

    def _integrands(self, x: Array) -> Array:
        value, slope = self._orders(x, 2)
        with np.errstate(over="ignore", invalid="ignore"):
            # Stein's lemma gives V′ from φ′ without cancellation, but φ′ does not include the jumps of φ.
            rate = x * value * slope if self.power == 2 else (x * value) ** 2
            return np.stack([value**2, slope**2, rate, (x * slope) ** 2])

    def moments(self, q: Array) -> Moments:
        """V, S, V′, S′ at each q > 0."""
        second, slope, rate, weighted = self._line(q)
        with np.errstate(over="ignore", invalid="ignore"):
            second_rate = rate / q if self.power == 2 else (rate / q - second) / (2 * q)
            return Moments(second, slope, second_rate, (weighted / q - slope) / (2 * q))

    def at_zero(self) -> Moments:
        """Their limits as q → 0 (V′ where V is 0 there)."""
        value, slope = self._orders(np.array([-_TINY, _TINY]), 2)
        second, slope_square = np.asarray(np.mean(value**2)), np.asarray(np.mean(slope**2))
        return Moments(second, slope_square, slope_square, np.zeros(()))

    def distance(self, q: Array) -> AngularSeries:
        """E ½(φ(u₁) − φ(u₂))²/sinᵖ(θ/2) as a function of θ = arccos c, for each variance."""
        return self._plane.series(q)


class WaveDual:
    """φ(x) = a x + A (1 − cos ωx) + B sin ωx: all expectations follow from E e^(iωu) = e^(−ω²q/2)."""

    power: Literal[1, 2] = 2

    def __init__(self, wave: Wave, activation: Elementwise, params: Mapping[str, float]) -> None:
        values = {**activation.defaults, **params}
        self._omega, self._linear, self._versine, self._sine = (
            np.float64(activation.number(text, values)) for text in wave
        )

    def moments(self, q: Array) -> Moments:
        """V, S, V′, S′ at each q > 0."""
        a, versine, sine = self._linear, self._versine**2, self._sine**2
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            z = _power(self._omega, q)
            rate, square, mixed = z / q, self._omega**2, 2 * a * self._sine * self._omega * np.exp(-z / 2)
            first, second, last = -np.expm1(-z / 2), -np.expm1(-z), np.exp(-2 * z)
            falling = first * np.exp(-z / 2) + second * np.exp(-z)
            return Moments(
                a**2 * q + mixed * q + versine * (first**2 + second**2 / 2) - sine * np.expm1(-2 * z) / 2,
                a**2 + mixed + square * (-versine * np.expm1(-2 * z) + sine * (1 + last)) / 2,
                a**2 + mixed * (1 - z / 2) + rate * (versine * falling + sine * last),
                rate * (square * (versine - sine) * last - mixed / 2),
            )

    def at_zero(self) -> Moments:
        """Their limits as q → 0 (V′ where V is 0 there)."""
        with np.errstate(over="ignore"):
            slope = np.asarray((self._linear + self._sine * self._omega) ** 2)
        return Moments(np.zeros(()), slope, slope, np.zeros(()))

    def distance(self, q: Array) -> WaveDistance:
        """E ½(φ(u₁) − φ(u₂))²/sin²(θ/2) as a function of θ = arccos c, for each variance."""
        z = _power(self._omega, q)
        mixed = 4 * self._linear * self._sine * self._omega * q * np.exp(-z / 2)
        return WaveDistance(2 * self._linear**2 * q + mixed, z, self._versine**2, self._sine**2)


def _power(omega: np.float64, q: Array) -> Array:
    """ω²q, cut off where it is as good as infinite."""
    with np.errstate(over="ignore"):
        return np.asarray(np.minimum(omega**2 * q, _LARGEST_POWER))


@dataclass(frozen=True)
class WaveDistance:
    """``linear`` + e^(−z) (A² (cosh z − cosh zc) + B² (sinh z − sinh zc))/s, with z = ω²q and s = (1 − c)/2.

    The differences are written as products of 1 − e^(−2zs) and 1 ± e^(−2z(1−s)), which neither cancel nor
    overflow.
    """

    linear: Array
    z: Array
    versine: float
    sine: float

    def select(self, cells: NDArray[np.intp]) -> WaveDistance:
        """The functions of some of the cells."""
        return WaveDistance(self.linear[cells], self.z[cells], self.versine, self.sine)

    def __call__(self, angle: Array) -> tuple[Array, Array]:
        """Values and derivatives at one θ > 0 for each cell."""
        s, rest, z = np.sin(angle / 2) ** 2, np.cos(angle / 2) ** 2, self.z
        with np.errstate(under="ignore"):
            near, far = np.exp(-2 * z * s), np.exp(-2 * z * rest)
            chord = -np.expm1(-2 * z * s) / s
            height = self.versine * -np.expm1(-2 * z * rest) + self.sine * (1 + far)
            bend = (2 * z * near - chord) / s * height - chord * 2 * z * (self.versine - self.sine) * far
        return self.linear + chord * height / 2, np.sin(angle) / 4 * bend

    def steepness(self, angle: Array) -> Array:
        """The derivative of ½E(φ(u₁) − φ(u₂))² in s at one θ for each cell: 2q E φ′(u₁)φ′(u₂)."""
        z = self.z
        with np.errstate(under="ignore"):
            near, far = np.exp(-2 * z * np.sin(angle / 2) ** 2), np.exp(-2 * z * np.cos(angle / 2) ** 2)
            return np.asarray(self.linear + z * (self.versine * (near - far) + self.sine * (near + far)))


class MaximumDual:
    """The maximum of ``pieces`` independent pre-activations of variance q each (Maxout).

    The gradient goes to the piece that attains the maximum, so S = 1. By Price's theorem the covariance of
    two outputs has the derivative q P(c) in c, P the probability that the same piece is the largest for both
    inputs: P = k E Φ₂(Z₁, Z₂; c)^(k−1), Φ₂ the bivariate normal distribution function.
    """

    power: Literal[1, 2] = 2

    def __init__(self, pieces: int) -> None:
        self._pieces = pieces
        self._second = expectation(self._square_of_largest, np.ones(1))[0]
        angles = angles_of(_ANGLES, UNGRADED)
        agreement = AngularSeries(
            chebyshev_coefficients(self._same_winner(angles)[:, None]), np.array([UNGRADED]), self.power
        )
        nodes, weights = legendre.leggauss(_ANGLES)
        inner = angles[:, None] * (1 + nodes) / 2
        slope, _ = agreement(inner)
        half_gap = angles / 2 * ((slope * np.sin(inner)) @ weights)
        self._series = chebyshev_coefficients((half_gap / np.sin(angles / 2) ** 2)[:, None])

    def _square_of_largest(self, x: Array) -> Array:
        return np.asarray(self._pieces * x**2 * normal_cdf(x) ** (self._pieces - 1))

    def _same_winner(self, angles: Array) -> Array:
        nodes, weights = legendre.leggauss(16)
        edges = np.arange(-10.0, 10.0, 2.0)
        along = (edges[:, None] + 1 + nodes).ravel()
        density = np.tile(weights, edges.size) * np.exp(-(along**2) / 2) / np.sqrt(2 * np.pi)
        x, y = along[:, None], along[along > 0]
        chances = np.array([_both_below(x, y, angle) for angle in angles.tolist()])
        powers = chances ** (self._pieces - 1)
        return np.asarray(2 * self._pieces * (powers @ density[along > 0]) @ density)

    def moments(self, q: Array) -> Moments:
        """V, S, V′, S′ at each q > 0."""
        constant = np.broadcast_to(self._second, np.shape(q))
        return Moments(self._second * q, np.ones_like(q), constant, np.zeros_like(q))

    def at_zero(self) -> Moments:
        """Their limits as q → 0."""
        return Moments(np.zeros(()), np.ones(()), np.asarray(self._second), np.zeros(()))

    def distance(self, q: Array) -> AngularSeries:
        """E ½(φ(u₁) − φ(u₂))²/sin²(θ/2) as a function of θ = arccos c, for each variance."""
        return AngularSeries(self._series * q, np.full(q.size, UNGRADED), self.power)


def _both_below(x: Array, y: Array, angle: float) -> Array:
    """Φ₂(u₁, u₂; cos θ) at u₁, u₂ = cos(θ/2) x ± sin(θ/2) y, by Owen's T (Owen 1956)."""
    c, s = np.cos(angle / 2), np.sin(angle / 2)
    first, second = c * x + s * y, c * x - s * y
    with np.errstate(divide="ignore"):
        wedge = owens_t(first, (s * x - c * y) / first) + owens_t(second, (s * x + c * y) / second)
    below = (normal_cdf(first) + normal_cdf(second)) / 2 - wedge
    return np.asarray(np.maximum(np.where(first * second < 0, below - 0.5, below), 0.0))


def undefined_at(call: Call) -> float | None:
    """A number at which a formula has no value, as log(x) has none at −0.25; None for all other functions."""
    activation = call.activation
    return activation.undefined_at(call.scalars) if isinstance(activation, FormulaActivation) else None


def dual_of(call: Call) -> Dual:
    """The mean-field description of an activation with its parameters.

    Raises `InvalidValue` for an activation that mixes elements in any way but by their maximum, for a
    parameter that is an array, and for a formula without a value somewhere: it has no expectation.
    """
    for name, value in call.params.items():
        if np.ndim(value):
            raise InvalidValue("must be one number, the same for all units", loc=("params", name))
    gap = undefined_at(call)
    if gap is not None:
        message = f"mean-field theory needs a value everywhere; this formula has none at x = {gap:g}"
        raise InvalidValue(message, loc=("activation",))
    if isinstance(call.activation, Elementwise):
        wave = call.activation.wave
        if wave is not None:
            return WaveDual(wave, call.activation, call.scalars)
        return ElementwiseDual(call.activation, call.scalars)
    pieces = Units(call).pieces
    if not (isinstance(call.activation, Rowwise) and _is_maximum(call.activation, call, pieces)):
        raise InvalidValue(
            "mean-field theory is for functions of one element and for maxima", loc=("activation",)
        )
    return MaximumDual(pieces)


def _is_maximum(activation: Rowwise, call: Call, pieces: int) -> bool:
    """Whether the function gives the largest element of a row, at any position."""
    row = np.sqrt(np.arange(1.0, pieces + 1))
    rows = np.stack([np.roll(sign * row, place) for place in range(pieces) for sign in (1, -1)])
    return np.array_equal(activation.value(rows, **call.params)[:, 0], rows.max(axis=1))


class Gains(NamedTuple):
    """Factors on the weights that preserve the variance, 1/√Var φ(Z), or the mean square, 1/√E φ(Z)²."""

    standard: float
    he: float


def gains(activation: Elementwise, params: Mapping[str, float]) -> Gains:
    """The gains of φ for standard normal Z; infinite where φ is constant."""

    def powers(x: Array) -> Array:
        with np.errstate(all="ignore"):
            (value,) = activation.orders(x, 1, **params)
            return np.stack([value, value**2])

    mean, second = expectation(
        powers, np.ones(()), activation.break_points({**activation.defaults, **params})
    )
    with np.errstate(divide="ignore"):
        return Gains(float(1 / np.sqrt(second - mean**2)), float(1 / np.sqrt(second)))
