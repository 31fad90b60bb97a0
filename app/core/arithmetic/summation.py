"""Accurate matrix products, bit for bit the same in whatever order the BLAS sums.

Rows and columns are cut into slices whose elements are small integers times one power of two, so few bits
wide that adding products of them is exact in every order (Rump, Ogita and Oishi 2008, "Accurate
floating-point summation, part I"; Ozaki, Ogita, Oishi and Rump 2012, "Error-free transformations of matrix
multiplication by using fast routines of matrix multiplication"): the BLAS does the work, and neither its
blocking nor its threads change a bit of the result.
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
