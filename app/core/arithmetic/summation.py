"""Sums and products of matrices that do not lose digits, whatever the order in which they are worked out.

A vector is cut into slices whose elements are small integers times one power of two, so few bits wide that
adding them is exact in every order (Rump, Ogita and Oishi 2008, "Accurate floating-point summation, part I").
The products of two such slices are exact too, and a plain matrix product adds them up (Ozaki, Ogita, Oishi
and Rump 2012, "Error-free transformations of matrix multiplication by using fast routines of matrix
multiplication"): the BLAS does the work, and neither its blocking nor its threads change a bit of the result.
"""

from __future__ import annotations

import math

import numpy as np

from app.core.arithmetic import Array

_PRECISION = 53
_HEADROOM = 480
"""Rows are scaled to maxima below 2^480: a sum of products of two such rows cannot overflow."""


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """s and e with s = fl(a + b) and s + e = a + b exactly (Knuth, TAOCP 2, 4.2.2)."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def accurate_sum(values: Array) -> Array:
    """Σ values along the last axis, rounded once: (..., n) to (...).

    The error beyond that rounding is about n³·2⁻¹⁵⁹ of the largest magnitude. Infinities and NaNs follow IEEE
    arithmetic.
    """
    high, low, exponent = _scaled_sum(values, None)
    return _with_infinities(np.ldexp(high + low, exponent), values)


def double_sum(values: Array, low: Array | None = None) -> tuple[Array, Array]:
    """Σ values + Σ low along the last axis as an unevaluated pair high + low.

    ``low`` holds corrections to ``values``: about 2⁻⁵³ of them or less, summed in plain arithmetic.
    """
    high, rest, exponent = _scaled_sum(values, low)
    return np.ldexp(high, exponent), np.ldexp(rest, exponent)


def sum_over(values: Array, axes: tuple[int, ...]) -> Array:
    """Σ values over ``axes``, each kept with length 1, without loss of digits."""
    shape = [1 if axis in axes else length for axis, length in enumerate(values.shape)]
    if not values.size:
        return np.zeros(shape)
    kept = [axis for axis in range(values.ndim) if axis not in axes]
    rows = np.transpose(values, [*kept, *axes]).reshape([values.shape[axis] for axis in kept] + [-1])
    return accurate_sum(rows).reshape(shape)


def accurate_matmul(a: Array, b: Array) -> Array:
    """A·B, (m, n) × (n, p) to (m, p), every element rounded once.

    The error beyond that rounding is about 2⁻¹⁰⁰ of Σ|a||b|: within 1 ulp of the largest term even where the
    terms cancel. Rows and columns that hold an infinity or a NaN follow IEEE arithmetic (0·∞ is NaN).
    """
    finite = np.isfinite(a), np.isfinite(b)
    left, left_exponent = _scaled(np.where(finite[0], a, 0.0))
    right, right_exponent = _scaled(np.where(finite[1], b, 0.0).T)
    bits = (_PRECISION - math.ceil(math.log2(max(a.shape[1], 2)))) // 2
    columns = [piece.T for piece in _slices(right, bits)]
    high: Array = np.zeros((a.shape[0], b.shape[1]))
    low: Array = np.zeros_like(high)
    for piece in _slices(left, bits):
        for column in columns:
            high, error = two_sum(high, piece @ column)
            low += error
    product = np.ldexp(high + low, left_exponent + right_exponent.T)
    if finite[0].all() and finite[1].all():
        return product
    return np.where(finite[0].all(axis=1, keepdims=True) & finite[1].all(axis=0), product, a @ b)


def _scaled_sum(values: Array, low: Array | None) -> tuple[Array, Array, Array]:
    """h, l, e with Σ values + Σ low = (h + l)·2^e."""
    size = values.shape[-1]
    exponent = np.frexp(np.abs(values).max(axis=-1, initial=0.0, keepdims=True))[1]
    scale = np.ldexp(1.0, -exponent.clip(min=-1000))
    unit = math.ldexp(1.0, math.ceil(math.log2(size + 2)))  # no sum of ``size`` numbers up to 1 exceeds it
    first, rest = _cut(values * scale, unit)
    second, rest = _cut(rest, unit * unit * 2.0**-_PRECISION)
    high, error = two_sum(first.sum(axis=-1), second.sum(axis=-1))
    tail = rest.sum(axis=-1) if low is None else (rest + low * scale).sum(axis=-1)
    return high, error + tail, exponent[..., 0].clip(min=-1000)


def _scaled(rows: Array) -> tuple[Array, Array]:
    """Rows r and exponents e with rows = r·2^e, the largest of each between 1/2 and 2^480."""
    exponent = np.frexp(np.abs(rows).max(axis=-1, initial=0.0, keepdims=True))[1]
    shift = exponent - exponent.clip(0, _HEADROOM)
    return np.ldexp(rows, -shift), shift


def _slices(rows: Array, bits: int) -> list[Array]:
    """Slices of ``rows`` that add up to them, each at most ``bits`` bits wide against its row's largest."""
    slices = []
    while (largest := np.abs(rows).max(axis=-1, initial=0.0, keepdims=True)).any():
        exponent = np.frexp(largest)[1]
        piece, rows = _cut(rows, np.ldexp(1.0, exponent + _PRECISION - bits))
        slices.append(piece)
    return slices


def _cut(values: Array, unit: Array | float) -> tuple[Array, Array]:
    """``values`` to the nearest multiple of 2⁻⁵³·unit, and what that leaves; exact for |values| ≤ unit."""
    high = (values + unit) - unit
    return high, values - high


def _with_infinities(total: Array, values: Array) -> Array:
    """``total``, but where a row holds infinities or NaNs the sum of those alone."""
    finite = np.isfinite(values)
    if finite.all():
        return total
    return np.where(finite.all(axis=-1), total, np.where(finite, 0.0, values).sum(axis=-1))
