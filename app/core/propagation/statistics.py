"""What is reported of every layer, and how it spreads over networks.

For layer l, z is its pre-activation W h + b before any normalisation, units × B, h its output:

    preactivation_variance      mean z² − (mean z)², over units and inputs
    activation_mean             mean h
    activation_mean_square      mean h²
    correlation                 mean over pairs of inputs a ≠ b of zₐ·z_b / (|zₐ| |z_b|); NaN for one input,
                                and where one is sent to 0
    saturated_fraction          pairs of unit and input that are saturated (`units.SATURATED`)
    dead_fraction               units with φ′ = 0 for every input
    gradient_log10_rms          log10 of the root of the mean of (dL/dz)²; −∞ for a gradient that is exactly 0
    weight_gradient_log10_norm  log10 ‖dL/dW‖, Frobenius, dL/dW = (dL/dz) hᵀ with the layer's input h

Where the forward pass overflows there is nothing to differentiate: see `Figures.overflow`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field, fields
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.core.arithmetic import Array
from app.core.arithmetic.compiled import compiled
from app.core.propagation.blocks import Blocks
from app.core.propagation.tall import excess, total

Column: TypeAlias = NDArray[np.float64]


@dataclass
class Figures:
    """The figures of one network, arrays of ``depth`` numbers, first layer first; NaN until measured.

    ``overflow`` is the number (from 1) of the first layer whose output is not finite. From there on
    preactivation_variance and activation_mean_square are ∞ and the other figures NaN; no gradient is defined,
    so gradient figures are NaN in every layer. ``collapse`` is the number (from 1) of the first layer after
    which the inputs have collapsed. ``arguments`` are the smallest and the largest argument that φ
    had, where φ is a formula. ``matrices`` are the weight_gradient_log10_norm of each of a block's matrices
    by name, ``own`` the figures that only blocks of its kind have. ``signal_peak`` and ``gradient_peak`` are
    log10 of the largest |z| or |h|, and of the largest |dL/dz|. ``ends`` is the mean square of each input's
    pre-activations in the last layer that was reached; plain layers and blocks that measure z have it.
    """

    depth: InitVar[int]
    names: InitVar[Sequence[str]] = ()
    figures: InitVar[Sequence[str]] = ()
    preactivation_variance: Column = field(init=False)
    activation_mean: Column = field(init=False)
    activation_mean_square: Column = field(init=False)
    correlation: Column = field(init=False)
    saturated_fraction: Column = field(init=False)
    dead_fraction: Column = field(init=False)
    gradient_log10_rms: Column = field(init=False)
    weight_gradient_log10_norm: Column = field(init=False)
    signal_peak: Column = field(init=False)
    gradient_peak: Column = field(init=False)
    overflow: int | None = field(init=False, default=None)
    collapse: int | None = field(init=False, default=None)
    arguments: tuple[float, float] | None = field(init=False, default=None)
    ends: Column | None = field(init=False, default=None)
    matrices: dict[str, Column] = field(init=False)
    own: dict[str, Column] = field(init=False)

    def __post_init__(self, depth: int, names: Sequence[str], figures: Sequence[str]) -> None:
        for name in (*NAMES, *_PEAKS):
            setattr(self, name, np.full(depth, np.nan))
        self.matrices = {name: np.full(depth, np.nan) for name in names}
        self.own = {name: np.full(depth, np.nan) for name in figures}

    @property
    def log10_ratio(self) -> float:
        """gradient_log10_rms of layer 1 minus that of the last layer; −∞ for a `dead` network."""
        return -math.inf if self.dead else float(self.gradient_log10_rms[0] - self.gradient_log10_rms[-1])

    @property
    def dead(self) -> bool:
        """Whether no gradient at all reaches the first layer."""
        return bool(self.gradient_log10_rms[0] == -np.inf)

    @property
    def factor_per_layer(self) -> float:
        """The geometric mean of the factors by which layers change the gradient; NaN for one layer."""
        steps = len(self.gradient_log10_rms) - 1
        return float(10 ** (self.log10_ratio / steps)) if steps else float("nan")

    def seen(self, z: Array) -> None:
        """Extends the range of φ's arguments by those of one more layer."""
        low, high = float(z.min(initial=np.inf)), float(z.max(initial=-np.inf))
        before = self.arguments or (np.inf, -np.inf)
        self.arguments = min(low, before[0]), max(high, before[1])

    def overflowed(self, layer: int) -> None:
        """Records that the output of ``layer`` (from 0) is not finite."""
        self.overflow = layer + 1
        variance = self.preactivation_variance
        variance[layer:] = np.where(np.isnan(variance[layer:]), np.inf, variance[layer:])
        self.activation_mean_square[layer:] = self.signal_peak[layer:] = np.inf
        columns = self.activation_mean, self.saturated_fraction, self.dead_fraction, *self.own.values()
        for column in columns:
            column[layer:] = np.nan


_PEAKS = ("signal_peak", "gradient_peak")
_OF_THE_NETWORK = ("overflow", "collapse", "arguments", "ends", "matrices", "own")
NAMES = tuple(each.name for each in fields(Figures) if each.name not in _OF_THE_NETWORK + _PEAKS)
"""The figures of a layer, in the order they are reported."""


class Spread(NamedTuple):
    """Median, 5th and 95th percentile over networks."""

    median: Column
    low: Column
    high: Column


def spread(values: Array) -> Spread:
    """Percentiles along the first axis over the values that are numbers; NaN where none is.

    Between two networks it interpolates linearly; a neighbour at infinity is that percentile, between two of
    them the nearer.
    """
    ordered = np.sort(np.asarray(values, np.float64), axis=0)  # NaN comes last
    count = np.count_nonzero(~np.isnan(ordered), axis=0)
    fractions = np.reshape(_FRACTIONS, (-1, *[1] * count.ndim))
    if count.size and (count == len(ordered)).all():
        place = fractions * (len(ordered) - 1)
        below, above = (ordered[side(place).astype(np.intp).ravel()] for side in (np.floor, np.ceil))
    else:
        place = fractions * np.maximum(count - 1, 0)
        below, above = (
            np.take_along_axis(ordered, side(place).astype(np.intp), axis=0) for side in (np.floor, np.ceil)
        )
    return Spread(*_between(below, above, place - np.floor(place)))


_FRACTIONS = (0.5, 0.05, 0.95)


def _between(below: Column, above: Column, weight: Column) -> Column:
    # Equal neighbours need no interpolation, and an infinite one with a weight of 0 would give NaN.
    single = (below == above) | (weight == 0)
    with np.errstate(invalid="ignore"):
        between = np.where(single, below, (1 - weight) * below + weight * above)
    opposite = np.isinf(below) & np.isinf(above) & (below != above)
    quantile: Column = np.where(opposite, np.where(weight < 0.5, below, above), between)
    return quantile


def summarise(networks: Sequence[Figures]) -> dict[str, Spread]:
    """The spread of every figure over ``networks``, layer by layer, by `NAMES`; then those of their own."""
    return {
        **{name: spread(np.stack([getattr(each, name) for each in networks])) for name in NAMES},
        **{name: spread(np.stack([each.own[name] for each in networks])) for name in networks[0].own},
    }


def summarise_matrices(networks: Sequence[Figures]) -> dict[str, Spread]:
    """The spread of the weight gradient's norm, block by block, for each matrix of a block."""
    return {
        name: spread(np.stack([each.matrices[name] for each in networks])) for name in networks[0].matrices
    }


class Moments(NamedTuple):
    """Variance and correlation of pre-activations, and the mean square of each input's."""

    variance: float
    correlation: float
    squares: Column


def moments(z: Array, blocks: Blocks) -> Moments:
    """The moments of the pre-activations ``z``, units × B, in two passes over them, every sum in float64.

    The cosines of all pairs, of each input with itself too, add up to |Σₐ zₐ / |zₐ||².
    """
    columns = z.shape[1]
    sums, squares = _moments(z, blocks)
    exponent = excess(float(squares.sum()), z)
    if exponent:
        z = np.ldexp(z, -exponent)
        sums, squares = _moments(z, blocks)
    mean, square = float(sums.sum()) / z.size, float(squares.sum())
    variance = float(np.ldexp(square / z.size - mean * mean, 2 * exponent))
    each = squares / len(z)
    if exponent:
        each = np.ldexp(each, 2 * exponent)
    if columns < 2:
        return Moments(variance, math.nan, each)
    weights = 1 / np.sqrt(squares)

    def together(block: slice) -> float:
        part = np.zeros(1)
        _add_together(z[block], weights, part)
        return float(part[0])

    cosines = sum(blocks.each(len(z), together))
    return Moments(variance, (cosines - columns) / (columns * (columns - 1)), each)


def _moments(z: Array, blocks: Blocks) -> Array:
    """Σ z and Σ z² of each column, 2 × B."""

    def added(block: slice) -> Array:
        part = np.zeros((2, z.shape[1]))
        _add_moments(z[block], part)
        return part

    return total(blocks.each(len(z), added))


@compiled("void(f4[:,::1], f8[:,::1])", "void(f8[:,::1], f8[:,::1])")
def _add_moments(z: Array, moments: Column) -> None:
    for unit in range(z.shape[0]):
        for column in range(z.shape[1]):
            value = np.float64(z[unit, column])
            moments[0, column] += value
            moments[1, column] += value * value


@compiled("void(f4[:,::1], f8[::1], f8[::1])", "void(f8[:,::1], f8[::1], f8[::1])")
def _add_together(z: Array, weights: Column, square: Column) -> None:
    """Adds |z w|²."""
    for unit in range(z.shape[0]):
        along = 0.0
        for column in range(z.shape[1]):
            along += z[unit, column] * weights[column]
        square[0] += along * along
