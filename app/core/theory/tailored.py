"""Rectifiers whose slope on the negative side suits a depth.

With weights that keep the signal's size, σ_w² = 2/(1 + a²), leaky ReLU of slope a maps the correlation of two
signals to

    c + (1 − a)²/(π (1 + a²)) · (√(1 − c²) − c arccos c)

which is c for a = 1, the identity, and moves fastest towards 1 for a = 0. In a deep network the correlation
of all inputs converges to 1 unless a is near 1: the slope is chosen so that uncorrelated inputs leave the
last layer with a given correlation. Source: Zhang, Botev and Martens 2022 (arXiv:2203.08120).
"""

from __future__ import annotations

import math

CORRELATION = 0.9
"""The outputs' correlation, as in the paper: φ is still nonlinear enough, and inputs stay distinct."""

MOST_LAYERS = 10_000
"""Layers up to which a slope is looked for."""

_DIGITS = 2


def tailored_slope(depth: int) -> float | None:
    """The slope for ``depth`` layers, rounded up to two digits.

    None where ReLU itself suffices, and where no slope below 1 does.
    """
    if depth > MOST_LAYERS or correlation_after(depth, 0.0) <= CORRELATION:
        return None
    low, high = 0, 10**_DIGITS
    while high - low > 1:
        middle = (low + high) // 2
        if correlation_after(depth, middle / 10**_DIGITS) > CORRELATION:
            low = middle
        else:
            high = middle
    return high / 10**_DIGITS if high < 10**_DIGITS else None


def correlation_after(depth: int, slope: float) -> float:
    """The correlation of two signals after ``depth`` layers, 0 before the first."""
    bend = (1 - slope) ** 2 / (math.pi * (1 + slope * slope))
    c = 0.0
    for _ in range(depth):
        c = min(1.0, c + bend * (math.sqrt(1 - c * c) - c * math.acos(c)))
    return c
