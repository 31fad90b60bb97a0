"""Mills' ratio Φ(−a)/φ(a) against mpmath, from 0 to where it is cut, and what the cut leaves out."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np

from app.core.arithmetic.normal_tail import END, mills_ratio
from tests.support.oracle import LARGEST, SMALLEST

POINTS = np.concatenate(
    [
        np.random.default_rng(1).uniform(0, END, 1000),
        np.random.default_rng(2).uniform(0, 3, 1000),
        np.array([0.0, SMALLEST, 1e-300, 1e-8, np.nextafter(END, 0), END]),
        # At the nodes, and half way between two of them, where the series is longest.
        np.arange(0, END * 32, 37) / 32,
        (np.arange(0, END * 32, 37) + 0.5) / 32,
    ]
)


def exact(a: float) -> Any:
    a = mpmath.mpf(a)
    return mpmath.erfc(a / mpmath.sqrt(2)) / 2 / mpmath.npdf(a)


def test_both_parts_together_are_right_to_58_bits() -> None:
    with mpmath.workprec(200):
        errors = [
            abs((mpmath.mpf(high) + mpmath.mpf(low)) / exact(a) - 1)
            for a, high, low in zip(
                POINTS.tolist(), *(part.tolist() for part in mills_ratio(POINTS)), strict=True
            )
        ]
        worst = int(np.argmax(errors))
        assert errors[worst] <= mpmath.mpf(2) ** -58, f"at a = {POINTS[worst]!r}"


def test_the_shape_is_that_of_the_argument() -> None:
    grid = POINTS[:12].reshape(3, 4)
    for part, row in zip(mills_ratio(grid), mills_ratio(POINTS[:12]), strict=True):
        np.testing.assert_array_equal(part, row.reshape(3, 4))


def test_nothing_is_left_beyond_the_end() -> None:
    with mpmath.workprec(200):
        left = mpmath.npdf(END) * END**2 * mpmath.mpf(LARGEST) ** 2
        assert left < mpmath.mpf(SMALLEST) / 2


def test_nan_stays_nan() -> None:
    for part in mills_ratio(np.array([np.nan, 1.0])):
        assert np.isnan(part[0])
        assert np.isfinite(part[1])
