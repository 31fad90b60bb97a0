"""Sampled lines: near the curve, cut at jumps, never across a kink."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.activations.definition import Elementwise, Rowwise
from app.core.errors import InvalidValue
from app.core.evaluation import activate
from app.pictures.curves import MOST_POINTS, RESOLUTION, curves

DRAWN = [
    name
    for name, entry in REGISTRY.items()
    if isinstance(entry, Elementwise) and all(not each.required for each in entry.parameters)
]
MIXING = [name for name, entry in REGISTRY.items() if isinstance(entry, Rowwise)]


@pytest.mark.parametrize("name", DRAWN)
def test_lines_keep_to_the_curve(name: str) -> None:
    """At random points the line differs from the curve by about a pixel at most, where it is not cut."""
    call = REGISTRY.resolve(name)
    low, high = -5.0, 7.0
    x = np.random.default_rng(0).uniform(low, high, 5_000)
    for curve, exact in zip(curves(call, low, high, 2), activate(call, x, order=2).orders, strict=True):
        drawn = np.interp(x, curve.x, curve.y)
        seen = np.isfinite(drawn)
        assert seen.mean() > 0.95
        height = np.ptp(exact)
        assert np.abs(drawn - exact)[seen].max() <= 4 * RESOLUTION * height


@pytest.mark.parametrize("name", [name for name in DRAWN if REGISTRY[name].kinks])
def test_no_line_crosses_a_kink(name: str) -> None:
    call = REGISTRY.resolve(name)
    entry = call.activation
    assert isinstance(entry, Elementwise)
    kinks = entry.break_points(call.scalars)
    low, high = min(kinks) - 1.3, max(kinks) + 2.1
    for curve in curves(call, low, high, 2):
        assert set(kinks) <= set(curve.x.tolist())
        assert (np.diff(curve.x) >= 0).all()
        for kink in kinks:
            assert not any(left < kink < right for left, right in pairwise(curve.x.tolist()))


def test_a_jump_is_cut_and_marked_with_its_convention() -> None:
    """ReLU's slope: 0 to the left and at 0, 1 to the right."""
    value, slope, curvature = curves(REGISTRY.resolve("relu"), -1.0, 1.0, 2)
    assert value.values == curvature.values == []
    assert not np.isnan(value.y).any()
    assert slope.values == [(0.0, 0.0)]
    assert slope.limits == [(0.0, 1.0)]
    (cut,) = np.flatnonzero(np.isnan(slope.y))
    assert slope.y[cut - 1] == 0.0
    assert slope.y[cut + 1] == 1.0
    assert slope.x[cut - 1] == slope.x[cut + 1] == 0.0


def test_both_limits_are_marked_where_the_value_is_neither() -> None:
    """Softsign's curvature −2x/|x|·(1 + |x|)⁻³ tends to 2 and −2; the convention at 0 is 0."""
    *_, curvature = curves(REGISTRY.resolve("softsign"), -1.0, 1.0, 2)
    assert curvature.values == [(0.0, 0.0)]
    assert np.array(curvature.limits) == pytest.approx(np.array([[0.0, 2.0], [0.0, -2.0]]))


def test_a_corner_is_not_cut() -> None:
    """ELU with α = 1 has one slope at 0 from both sides, with α = 2 two."""
    smooth = curves(REGISTRY.resolve("elu", {"alpha": 1.0}), -1.0, 1.0, 1)[1]
    bent = curves(REGISTRY.resolve("elu", {"alpha": 2.0}), -1.0, 1.0, 1)[1]
    assert smooth.values == []
    assert bent.limits != []


def test_a_kink_at_the_end_shows_the_limit_from_inside() -> None:
    slope = curves(REGISTRY.resolve("relu"), 0.0, 1.0, 1)[1]
    assert slope.y[0] == 1.0


def test_what_is_not_finite_leaves_a_gap() -> None:
    """exp overflows beyond 709.78: ln of the largest double (IEEE 754)."""
    (value,) = curves(REGISTRY.resolve("exponential"), 0.0, 1000.0, 0)
    drawn = value.x[np.isfinite(value.y)]
    assert 709.0 < drawn.max() < 709.79
    assert np.isnan(value.y[-1])


def test_a_fast_oscillation_is_followed_within_bounds() -> None:
    (value,) = curves(REGISTRY.resolve("sine", {"omega": 100.0}), -6.0, 6.0, 0)
    assert value.y.max() > 0.99
    assert 1_000 < value.x.size <= MOST_POINTS


@pytest.mark.parametrize("name", MIXING[:1])
def test_functions_that_mix_elements_have_no_curve(name: str) -> None:
    with pytest.raises(InvalidValue, match="elementwise"):
        curves(REGISTRY.resolve(name), -1.0, 1.0, 0)


def test_straight_lines_take_few_points() -> None:
    (value,) = curves(REGISTRY.resolve("relu"), -6.0, 6.0, 0)
    assert value.x.size < 100
    assert math.isclose(value.y[-1], 6.0)
