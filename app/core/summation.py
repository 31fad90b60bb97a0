"""Sums that do not lose digits: a tree of error-free additions (Knuth's TwoSum), vectorised.

The error of the result is one rounding of the exact sum plus about n·2⁻¹⁰⁶ of the sum of magnitudes
(Ogita, Rump and Oishi 2005, "Accurate sum and dot product").
"""

from __future__ import annotations

import numpy as np

from app.core.activations.parameters import Array


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """s and e with s = fl(a + b) and s + e = a + b exactly (Knuth, TAOCP 2, 4.2.2)."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def accurate_sum(values: Array) -> Array:
    """Σ values along the last axis, rounded once: (..., n) to (...)."""
    high, low = double_sum(values)
    total: Array = high + low
    # Infinities make the error terms NaN; the plain sum is right then.
    return np.where(np.isfinite(high), total, high)


def double_sum(values: Array) -> tuple[Array, Array]:
    """Σ values along the last axis as an unevaluated pair high + low."""
    high = values
    low = np.zeros_like(values)
    while high.shape[-1] > 1:
        half = high.shape[-1] // 2
        s, e = two_sum(high[..., :half], high[..., half : 2 * half])
        e = e + (low[..., :half] + low[..., half : 2 * half])
        high = np.concatenate([s, high[..., 2 * half :]], axis=-1)
        low = np.concatenate([e, low[..., 2 * half :]], axis=-1)
    if high.shape[-1] == 0:
        zero = np.zeros(high.shape[:-1], high.dtype)
        return zero, zero
    return high[..., 0], low[..., 0]


def sum_over(values: Array, axes: tuple[int, ...]) -> Array:
    """Σ values over ``axes``, each kept with length 1, without loss of digits."""
    kept = [axis for axis in range(values.ndim) if axis not in axes]
    moved = np.transpose(values, [*kept, *axes])
    rows = moved.reshape([values.shape[axis] for axis in kept] + [-1] if values.size else [0, 0])
    if not values.size:
        return np.zeros([1 if axis in axes else length for axis, length in enumerate(values.shape)])
    total = accurate_sum(np.ascontiguousarray(rows))
    return total.reshape([1 if axis in axes else length for axis, length in enumerate(values.shape)])
