"""Mean-field theory of networks with normalisation, residual branches, dropout, or layers that differ.

At infinite width a layer maps the second moment p (and the mean m) of its input to that of its output, and
multiplies the second moment of the gradient by a factor χ. With V(q) = E φ(√q Z)², S(q) = E φ′(√q Z)², M(q) =
E φ(√q Z), ε of `normalisation` and dropout's own effect on the three:

    plain layer       q = σ_w² p + σ_b²; φ's argument has variance v = q (ν = 1), or v = q/(q + ε) where z is
                      normalised (ν = 1/(q + ε)); p ← V(v), χ = σ_w² S(v) ν fan_out/fan_in
    with a branch s   p ← p + 2 s m M + s² V,  m ← m + s M,  χ = 1 + s² σ_w² S ν
    residual block    u = n(h), f(u) = φ(W₁ u), W₂ φ(W₁ u) or W₃ φ(W₂ φ(W₁ u)): p ← k² p + 2 k a m E f +
                      a² E f², χ = k² + a² F ν with F the product of all σ_w² and S; where n follows the sum,
                      p/(p + ε) of that and χ/(p + ε). q is the mean over all φ of the block

A branch's weights are independent of the stream, so that only means enter the cross term. Normalisation also
removes the gradient's components along ẑ and along 1, which vanish at infinite width. Sources: Yang and
Schoenholz 2017 (arXiv:1712.08969), Doshi et al. 2021 (arXiv:2111.12143), Schoenholz et al. 2017 for dropout.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from app.core.activations.definition import Elementwise
from app.core.activations.registry import Call
from app.core.propagation.dropout import LEFT_OUT, Dropout
from app.core.propagation.normalisation import EPSILON
from app.core.theory.duals import Dual, dual_of
from app.core.theory.gaussian import Array, Line
from app.core.theory.length_map import LARGEST, SMALLEST, moments_at


class Moments(NamedTuple):
    """A function of a normal variable: its second moment, its mean, and its slope's second moment."""

    second: float
    mean: float
    slope: float


class Response:
    """φ, perhaps with dropout after it, at normal pre-activations; φ is a function of one number."""

    def __init__(self, call: Call) -> None:
        assert isinstance(call.activation, Elementwise)
        entry, params = call.activation, call.scalars
        self._dual: Dual = dual_of(call)
        kinks = entry.break_points({**entry.defaults, **params})
        self._mean = Line(lambda x: np.asarray(entry.orders(x, 1, **params)), kinks)
        self._at_zero = float(np.mean(entry.orders(np.array([-1e-300, 1e-300]), 1, **params)[0]))

    def __call__(self, variance: float, dropout: Dropout | None) -> Moments:
        """The moments at this variance of the pre-activations."""
        return Moments(*(float(each[0]) for each in self.at(np.array([variance]), dropout)))

    def at(self, variances: Array, dropout: Dropout | None) -> tuple[Array, Array, Array]:
        """The same for an array of variances: second moments, means, slopes' second moments."""
        moments = moments_at(self._dual, variances)
        second, slope, mean = moments.second, moments.slope, self._mean_at(variances)
        if dropout is None:
            return second, mean, slope
        kept, factor = 1 - dropout.rate, dropout.factor
        slope = slope * (kept * factor * factor)
        if dropout.kind == "standard":
            return second / kept, mean, slope
        # The moments of a (φ m + α (1 − m)) + b, with b = −a α · rate.
        inner, middle = kept * second + dropout.rate * LEFT_OUT**2, kept * mean + dropout.rate * LEFT_OUT
        shift = -LEFT_OUT * dropout.rate
        return factor**2 * (inner + 2 * shift * middle + shift**2), factor * (middle + shift), slope

    def _mean_at(self, variances: Array) -> Array:
        """M; NaN where a variance is out of the range of integrals."""
        means = np.where(variances < SMALLEST, self._at_zero, math.nan)
        inside = (variances >= SMALLEST) & (variances <= LARGEST)
        if inside.any():
            means[inside] = np.ravel(self._mean(variances[inside]))
        return means


class Stream(NamedTuple):
    """Second moment and mean of a signal's entries."""

    second: float
    mean: float


class Through(NamedTuple):
    """One layer: its output, the variance of its pre-activations, χ, and the factor of dL/dz or dL/dh."""

    stream: Stream
    q: float
    chi: float
    own: float


class Step(Protocol):
    """A layer, or a block."""

    def __call__(self, stream: Stream) -> Through:
        """The signal's moments after it, with the factors of the gradient."""


@dataclass(frozen=True)
class PlainStep:
    """A plain layer: σ_w², σ_b², fan_out/fan_in, a branch's scale or None."""

    response: Response
    weight: float
    bias: float
    widening: float = 1.0
    normalised: bool = False
    branch: float | None = None
    dropout: Dropout | None = None

    def __call__(self, stream: Stream) -> Through:
        """As `Step`; ``own`` is the factor of dL/dz."""
        q = self.weight * stream.second + self.bias
        inverse = 1 / (q + EPSILON) if self.normalised else 1.0
        second, mean, slope = self.response(q * inverse, self.dropout)
        slope *= inverse
        if self.branch is None:
            return Through(Stream(second, mean), q, self.weight * slope * self.widening, slope)
        scale = self.branch
        new = Stream(
            stream.second + 2 * scale * stream.mean * mean + scale * scale * second,
            stream.mean + scale * mean,
        )
        own = scale * scale * slope
        return Through(new, q, 1 + self.weight * own, own)


@dataclass(frozen=True)
class ResidualStep:
    """A residual block as `propagation.residual_block` defines it, except for the norm "inside".

    ``maps`` are σ_w² and σ_b² of its matrices; φ follows all but the last, or the only one.
    """

    response: Response
    maps: tuple[tuple[float, float], ...]
    norm: str | None
    centred: bool
    skip: float
    branch: float
    dropout: Dropout | None = None

    def __call__(self, stream: Stream) -> Through:
        """As `Step`; ``own`` is the factor of dL/dh at the block's input."""
        entering, inverse = self._normalised(stream) if self.norm == "pre" else (stream, 1.0)
        inner, last = (self.maps[:-1], self.maps[-1]) if len(self.maps) > 1 else (self.maps, None)
        second, mean, slope, variances = entering.second, 0.0, inverse, []
        for weight, bias in inner:
            variances.append(weight * second + bias)
            second, mean, own = self.response(variances[-1], self.dropout)
            slope *= weight * own
        if last is not None:
            second, mean, slope = last[0] * second + last[1], 0.0, last[0] * slope
        q = sum(variances) / len(variances)
        skip, scale = self.skip, self.branch
        new = Stream(
            skip * skip * stream.second + 2 * skip * scale * stream.mean * mean + scale * scale * second,
            skip * stream.mean + scale * mean,
        )
        chi = skip * skip + scale * scale * slope
        if self.norm == "post":
            new, inverse = self._normalised(new)
            chi *= inverse
        return Through(new, q, chi, chi)

    def _normalised(self, stream: Stream) -> tuple[Stream, float]:
        variance = max(0.0, stream.second - self.centred * stream.mean * stream.mean)
        inverse = 1 / (variance + EPSILON)
        return Stream(variance * inverse, 0.0 if self.centred else stream.mean * inverse**0.5), inverse


@dataclass(frozen=True)
class Passage:
    """Layer by layer: q, χ, and log10 of the gradient's rms, at the place where the figures measure it."""

    q: Array
    chi: Array
    gradient_log10_rms: Array


def passage(steps: Sequence[Step], inputs: Stream) -> Passage:
    """The signal through all steps, and a gradient of rms 1 from the end back through them."""
    stream = inputs
    rows = np.empty((len(steps), 3))
    for number, step in enumerate(steps):
        stream, *rows[number] = step(stream)
    q, chi, own = rows.T
    with np.errstate(divide="ignore"):
        gains, ends = np.log10(chi), np.log10(own)
    above = np.append(np.cumsum(gains[::-1])[::-1][1:], 0.0)
    return Passage(q, chi, (above + ends) / 2)
