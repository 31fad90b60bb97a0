"""Mills' ratio Φ(−a)/φ(a) against mpmath, from 0 to where it is cut, and what the cut leaves out."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np

from app.core.arithmetic import Array
from app.core.arithmetic.double_double import ROUGH, Scaled
from app.core.arithmetic.loops import Kernel
from app.core.arithmetic.normal_tail import END, mills
from app.core.arithmetic.scaled import exactly
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


@Kernel
def _mills(a: float) -> tuple[Scaled, Scaled]:
    ratio = mills(a)
    return exactly(ratio.high), exactly(ratio.low)


@Kernel
def _rough_mills(a: float) -> tuple[Scaled]:
    return (exactly(mills(a, 0.0, ROUGH).high),)


def mills_ratio(a: Array) -> Array:
    """The two parts, (2, *shape of a)."""
    rows = np.empty((2, a.size))
    _mills.write(a, rows, {})
    return rows


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


def test_a_rough_ratio_is_right_to_50_bits() -> None:
    """As far as float32 knows anything of the tail."""
    near = np.concatenate([np.linspace(0, 15, 1001), np.linspace(0.7, 0.8, 101), [SMALLEST, 1e-300, 1e-8]])
    rows = np.empty((1, near.size))
    _rough_mills.write(near, rows, {})
    with mpmath.workprec(200):
        assert mpmath.npdf(15) * 15 < mpmath.mpf(2) ** -151
        for a, ratio in zip(near.tolist(), rows[0].tolist(), strict=True):
            assert abs(ratio / exact(a) - 1) <= mpmath.mpf(2) ** -50, a


def test_nothing_is_left_beyond_the_end() -> None:
    with mpmath.workprec(200):
        left = mpmath.npdf(END) * END**2 * mpmath.mpf(LARGEST) ** 2
        assert left < mpmath.mpf(SMALLEST) / 2


def test_nan_stays_nan() -> None:
    for part in mills_ratio(np.array([np.nan, 1.0])):
        assert np.isnan(part[0])
        assert np.isfinite(part[1])
