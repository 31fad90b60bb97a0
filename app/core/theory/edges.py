"""Mean-field theory of convolutions with zeros beyond the edge, position by position.

At infinite width the pre-activations at position p have the variance

    q_p ← σ_w²/taps · Σ_t V(q_{p+t}) + σ_b²        over the taps t that lie inside, V(q) = E φ(√q Z)²

and the second moment of dL/dh at p is that of dL/dz at all positions that see p,

    g_p ← σ_w²/taps · Σ_t S(q_{p−t}) g_{p−t},      S(q) = E φ′(√q Z)²

since the weights of different taps are independent. Positions near the edge have fewer taps, so that the
signal is weakest in the corners. Without the edges all positions are alike, which is the dense mean field
(Xiao et al. 2018, arXiv:1806.05393). What is reported is the mean over all positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from app.core.propagation.dropout import Dropout
from app.core.theory.gaussian import Array
from app.core.theory.recursion import Passage, Response

MOST = 2**24
"""The most positions × kernel side × layers for which the recursion is computed."""

_ALIKE = 40
"""Positions whose variances agree to so many bits are computed once."""


@dataclass(frozen=True)
class EdgedLayer:
    """A convolution: its response, σ_w² and σ_b² of fan_in = channels · taps, the kernel's side, dropout."""

    response: Response
    weight: float
    bias: float
    kernel: int
    dropout: Dropout | None = None

    def variances(self, squares: Array) -> Array:
        """The variance of z at each position, from the mean square of h."""
        return self.weight * self._seen(squares, (self.kernel - 1) // 2) + self.bias

    def responses(self, variances: Array) -> tuple[Array, Array]:
        """E φ² and E φ′² at each position; positions that are alike are computed once."""
        rounded, places = np.unique(_rounded(variances), return_inverse=True)
        second, _, slope = self.response.at(rounded, self.dropout)
        return second[places.reshape(variances.shape)], slope[places.reshape(variances.shape)]

    def back(self, gradient: Array) -> Array:
        """E (dL/dh)² from E (dL/dz)² at each position: `variances` with the taps reversed."""
        return self.weight * self._seen(gradient, self.kernel - 1 - (self.kernel - 1) // 2)

    def _seen(self, values: Array, before: int) -> Array:
        """The mean over a kernel's taps, ``before`` of which precede the position; zeros beyond the edge."""
        edges = [(before, self.kernel - 1 - before)]
        for axis in range(values.ndim):
            none = [(0, 0)]
            padded = np.pad(values, none * axis + edges + none * (values.ndim - axis - 1))
            values = sliding_window_view(padded, self.kernel, axis).mean(axis=-1)
        return values


def edged_passage(layers: Sequence[EdgedLayer], squares: Array) -> Passage:
    """The signal from inputs with these mean squares at each position, and a gradient of rms 1 back."""
    q, chi = np.empty((2, len(layers)))
    slopes = []
    for number, layer in enumerate(layers):
        variances = layer.variances(squares)
        q[number] = np.mean(variances)
        squares, slope = layer.responses(variances)
        slopes.append(slope)
    gradient = np.ones_like(squares)
    for number in reversed(range(len(layers))):
        gradient = layers[number].back(slopes[number] * gradient)
        chi[number] = np.mean(gradient)
        if chi[number] > 0:
            gradient /= chi[number]
    with np.errstate(divide="ignore"):
        return Passage(q, chi, np.cumsum(np.log10(chi[::-1]))[::-1] / 2)


def _rounded(values: Array) -> Array:
    mantissas, exponents = np.frexp(values)
    rounded: Array = np.ldexp(np.round(np.ldexp(mantissas, _ALIKE)), exponents - _ALIKE)
    return rounded
