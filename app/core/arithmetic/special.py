"""The normal distribution's functions over arrays of doubles, in double precision.

For formulas in simulations and integrals, which need millions of values and not their last bit; results that
must be accurate to the last bit come from `app.core.arithmetic.functions` and `normal_tail`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from app.core.arithmetic import Array
from app.core.arithmetic.compiled import Compiled, compiled

_SQRT_HALF = math.sqrt(0.5)

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(40)


@compiled("void(f8[::1], f8[::1])")
def _erf(x: Array, values: Array) -> None:
    for i in range(x.size):
        values[i] = math.erf(x[i])


@compiled("void(f8[::1], f8[::1])")
def _erfc(x: Array, values: Array) -> None:
    for i in range(x.size):
        values[i] = math.erfc(x[i])


FEW = 2**16
"""Up to this many numbers the C library's function is called one by one; the loop calls the same one."""


def _elementwise(loop: Compiled, single: Callable[[float], float]) -> Callable[[Any], Any]:
    def apply(x: Any) -> Any:
        inputs = np.ascontiguousarray(x, np.float64)
        if inputs.size <= FEW and not loop.loaded:
            values = np.fromiter(map(single, inputs.ravel().tolist()), np.float64, inputs.size)
        else:
            values = np.empty_like(inputs)
            loop(inputs.reshape(-1), values.reshape(-1))
        return values.reshape(np.shape(x))[()]

    return apply


erf = _elementwise(_erf, math.erf)
erfc = _elementwise(_erfc, math.erfc)


def sigmoid(x: Any) -> Any:
    """1/(1 + e^−x), which never overflows."""
    e = np.exp(-np.abs(x))
    return np.where(np.signbit(x), e, 1.0) / (1 + e)


def normal_cdf(x: Any) -> Any:
    """Φ(x), the distribution function of the standard normal distribution."""
    return 0.5 * erfc(-_SQRT_HALF * np.asarray(x))


def owens_t(h: Any, a: Any) -> Array:
    """T(h, a) = 1/(2π) ∫₀^a exp(−h²(1 + t²)/2)/(1 + t²) dt, for arrays that broadcast; a may be ±∞.

    Owen, "Tables for computing bivariate normal probabilities" (1956): beyond |a| = 1 his relation to
    T(ah, 1/a) leads back to a short interval, on which 40 Gauss–Legendre nodes reach double precision.
    """
    h, a = np.broadcast_arrays(np.abs(np.asarray(h, np.float64)), np.asarray(a, np.float64))
    size = np.abs(a)
    far = size > 1
    with np.errstate(invalid="ignore", divide="ignore"):
        product = np.where(h == 0, 0.0, h * size)
        found = _short(np.where(far, product, h), np.where(far, 1 / size, size))
    here, there = normal_cdf(h), normal_cdf(product)
    found = np.where(far, (here + there) / 2 - here * there - found, found)
    at_zero = np.arctan(size) / (2 * math.pi)
    return np.asarray(np.copysign(np.where(h == 0, at_zero, found), a))


def _short(h: Array, a: Array) -> Array:
    """T(h, a) for 0 ≤ a ≤ 1. For large h the integrand is concentrated near 0, and so are the nodes."""
    end = np.minimum(a, 9 / np.maximum(h, 1.0))
    square = (end[..., None] * (1 + _NODES) / 2) ** 2
    values = np.exp(-0.5 * h[..., None] ** 2 * (1 + square)) / (1 + square)
    return np.asarray(end / (4 * math.pi) * (values @ _WEIGHTS))
