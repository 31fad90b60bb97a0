"""Training in a short format: where the signal overflows, and by how much the loss has to be scaled.

Gradients are linear in the loss, so that a scale on it shifts all of them in the format's range (Micikevicius
et al. 2018, "Mixed precision training", arXiv:1710.03740). A scale is safe when in every layer

    the largest |dL/dz| is finite, and so is the largest entry of dL/dW;
    the root mean square of each is a normal number: half of the digits are not lost to underflow.

Of dL/dW only the norm is known. The largest of its n entries is taken for that of n normal numbers, √(2 ln n)
times their root mean square. All figures are medians over the networks, layer by layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import ml_dtypes
import numpy as np

from app.core.arithmetic import Array
from app.core.arithmetic.formats import FORMATS
from app.core.propagation.network import Network
from app.core.propagation.statistics import Figures, spread

SHORT = ("float16", "bfloat16")
"""Formats shorter than float32 in which networks are trained."""


@dataclass(frozen=True)
class MixedPrecision:
    """``overflow`` is the first layer with a number beyond the format's range, or None; scales are 2^n.

    Both scales are None where no scale is safe.
    """

    overflow: int | None
    smallest_scale: float | None
    largest_scale: float | None


def mixed_precision(network: Network, networks: Sequence[Figures]) -> dict[str, MixedPrecision]:
    """The results for each of the `SHORT` formats."""
    signal, gradient, rms, norms = (
        spread(np.stack([getattr(each, name) for each in networks])).median
        for name in ("signal_peak", "gradient_peak", "gradient_log10_rms", "weight_gradient_log10_norm")
    )
    count = np.array([_weights(network, number) for number in range(network.depth)], np.float64)
    entries = norms - np.log10(count) / 2
    peaks = entries + np.log10(2 * np.log(np.maximum(count, 2))) / 2
    return {
        name: _in_format(name, signal, np.concatenate([gradient, peaks]), np.concatenate([rms, entries]))
        for name in SHORT
    }


def _weights(network: Network, number: int) -> int:
    """How many weights a layer has, or a block."""
    shapes = [network.layers[number]] if network.block is None else network.maps
    return sum(each.rows * each.fan_in for each in shapes)


def _in_format(name: str, signal: Array, peaks: Array, sizes: Array) -> MixedPrecision:
    limits = ml_dtypes.finfo(FORMATS[name])  # type: ignore[no-untyped-call]
    # Values from half a spacing above the largest number on round to infinity.
    most = math.log10(float(limits.max)) + math.log10(1 + float(limits.eps) / 4)
    (beyond,) = np.nonzero(~(signal < most))
    overflow = int(beyond[0]) + 1 if beyond.size else None
    present = np.isfinite(sizes)
    if overflow is not None or not present.any() or np.isnan(peaks).any():
        return MixedPrecision(overflow, None, None)
    least = math.ceil((math.log10(float(limits.smallest_normal)) - sizes[present].min()) / math.log10(2))
    largest = math.ceil((most - peaks.max()) / math.log10(2)) - 1
    if least > largest or max(abs(least), abs(largest)) > 1022:
        return MixedPrecision(overflow, None, None)
    return MixedPrecision(overflow, 2.0**least, 2.0**largest)
