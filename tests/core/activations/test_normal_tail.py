"""Φ(−a), φ(a) and Φ(−a) − a·φ(a) against mpmath: from 0 to where they vanish, and the table itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

from app.core.activations import normal_tail
from app.core.activations.normal_tail import END, NormalTail
from tests.oracle import SMALLEST, ulps

POINTS = np.concatenate(
    [
        np.random.default_rng(1).uniform(0, END, 600),
        np.random.default_rng(2).uniform(0, 3, 600),
        np.array([0.0, SMALLEST, 1e-300, 1e-8, 36.0, 37.5, 38.4, 38.48, 38.5, 38.6, END]),
        # Half way between two nodes, where the series is longest.
        (np.arange(0, END * 64, 37) + 0.5) / 64,
    ]
)


def probability(a: float) -> Any:
    return mpmath.erfc(mpmath.mpf(a) / mpmath.sqrt(2)) / 2


def density(a: float) -> Any:
    return mpmath.exp(-(mpmath.mpf(a) ** 2) / 2) / mpmath.sqrt(2 * mpmath.pi)


def excess(a: float) -> Any:
    return probability(a) - a * density(a)


def cancelled(a: float) -> Any:
    """The larger term of the excess where the two nearly meet, around a = 0.75."""
    return max(probability(a), a * density(a)) if 0.5 < a < 1.5 else None


@pytest.mark.parametrize(
    ("method", "truth", "scale", "bound"),
    [
        (NormalTail.probability, probability, lambda _: None, 1.0),
        (NormalTail.density, density, lambda _: None, 2.0),
        (NormalTail.excess, excess, cancelled, 1.5),
    ],
)
def test_last_places(
    method: Callable[[NormalTail], np.ndarray],
    truth: Callable[[float], Any],
    scale: Callable[[float], Any],
    bound: float,
) -> None:
    tail = NormalTail(POINTS)
    values = method(tail) * tail.unit
    with mpmath.workprec(200):
        errors = [
            ulps(value, truth(a), scale(a)) for a, value in zip(POINTS.tolist(), values.tolist(), strict=True)
        ]
    assert max(errors) <= bound, f"at a = {POINTS[int(np.argmax(errors))]!r}"


def test_a_product_with_a_subnormal_probability_keeps_its_digits() -> None:
    a = np.linspace(37.5, 38.3, 50)
    tail = NormalTail(a)
    products = 1e30 * tail.probability() * tail.unit
    with mpmath.workprec(200):
        factor = mpmath.mpf(1e30)
        errors = [
            ulps(product, factor * probability(x)) for product, x in zip(products, a.tolist(), strict=True)
        ]
    assert max(errors) <= 2.5


def test_nothing_is_left_beyond_the_end() -> None:
    tail = NormalTail(np.array([END, 40.0, 1e300, np.inf]))
    for values in (tail.probability(), tail.density(), tail.excess(), tail.size**2 * tail.density()):
        assert not np.any(values * tail.unit)


def test_nan_stays_nan() -> None:
    with np.errstate(invalid="ignore"):
        tail = NormalTail(np.array([np.nan, 1.0]))
    for values in (tail.probability(), tail.density(), tail.excess()):
        assert np.isnan(values).tolist() == [True, False]


def test_the_table_is_right_at_its_nodes() -> None:
    nodes = np.arange(0, 36 * 64, 61)
    with mpmath.workprec(200):
        for node in nodes.tolist():
            a = mpmath.mpf(node) / 64
            head, low = normal_tail._SERIES[0, node], normal_tail._SERIES_LOW[node]
            both = mpmath.mpf(float(head)) + mpmath.mpf(float(low))
            assert abs(both / probability(a) - 1) < mpmath.mpf(2) ** -70
            assert ulps(float(normal_tail._DENSITY[node]), density(a)) <= 0.5 + 1e-9
            # The series is that of Mills' ratio: its coefficients from mpmath's own differentiation.
            ratio = mpmath.taylor(lambda c: probability(c) / density(c), a, 6)
            for k, coefficient in enumerate(ratio):
                expected = coefficient * density(a)
                assert abs(mpmath.mpf(float(normal_tail._SERIES[k, node])) / expected - 1) < 1e-15
