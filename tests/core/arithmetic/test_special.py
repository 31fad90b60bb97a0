"""The normal distribution's functions in double precision, compared with mpmath."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

from app.core.arithmetic.special import FEW, erf, erfc, normal_cdf, owens_t, sigmoid

X = np.concatenate([np.linspace(-30, 30, 241), [1e-300, -1e-300, 1e-9, 0.0, -0.0]])


@pytest.mark.parametrize(
    ("function", "right"),
    [
        (erf, mpmath.erf),
        (erfc, mpmath.erfc),
        (normal_cdf, mpmath.ncdf),
        (sigmoid, lambda x: 1 / (1 + mpmath.exp(-x))),
    ],
)
def test_elementwise(function: Callable[[Any], Any], right: Callable[[Any], Any]) -> None:
    with mpmath.workdps(40):
        wanted = np.array([float(right(mpmath.mpf(x))) for x in X.tolist()])
    # In the tails the square in the exponent amplifies the argument's rounding error.
    allowed = 4e-16 * (1 + np.where(wanted < 0.5, X * X, 0))
    found = function(X)
    normal = np.abs(wanted) > np.finfo(float).tiny
    assert (np.abs(found - wanted)[normal] <= (allowed * np.abs(wanted))[normal]).all()
    assert (np.abs(found - wanted)[~normal] <= 1e-320).all()


@pytest.mark.parametrize(("function", "single"), [(erf, math.erf), (erfc, math.erfc)])
def test_few_numbers_and_many_have_the_same_bits(
    function: Callable[[Any], Any], single: Callable[[float], float]
) -> None:
    """Few are computed one by one, many by a loop."""
    many = np.concatenate([X, np.random.default_rng(0).normal(scale=5, size=FEW)])
    one_by_one = np.array([single(x) for x in many.tolist()])
    np.testing.assert_array_equal(function(many).view(np.int64), one_by_one.view(np.int64))


@pytest.mark.parametrize(
    ("function", "ends"), [(erf, [-1, 1]), (erfc, [2, 0]), (normal_cdf, [0, 1]), (sigmoid, [0, 1])]
)
def test_ends_and_shapes(function: Callable[[Any], Any], ends: list[float]) -> None:
    assert function(np.array([-math.inf, math.inf])).tolist() == ends
    assert np.isnan(function(np.float64(math.nan)))
    assert np.ndim(function(0.5)) == 0
    assert function(np.zeros((3, 0, 2))).shape == (3, 0, 2)
    columns = np.arange(6.0).reshape(2, 3).T
    np.testing.assert_array_equal(function(columns), function(columns.copy()))


def owen(h: float, a: float) -> float:
    """The integral, over pieces short enough for the width of its bell."""
    with mpmath.workdps(30):
        ends = (
            [mpmath.mpf(0), *(mpmath.mpf(a) * k / 8 for k in range(1, 9))]
            if a <= 8
            else mpmath.linspace(0, 8, 17)
        )
        if a > 8:
            ends = [*ends, mpmath.mpf(a)]
        inner = mpmath.quad(lambda t: mpmath.exp(-(mpmath.mpf(h) ** 2) * (1 + t * t) / 2) / (1 + t * t), ends)
        return float(inner / (2 * mpmath.pi))


@pytest.mark.parametrize("h", [0.0, 1e-8, 0.3, 1.0, 2.5, 7.0, 12.0, 20.0])
def test_owens_t(h: float) -> None:
    slopes = [0.0, 1e-6, 0.2, 0.7, 1.0, 1.0000001, 1.5, 4.0, 60.0]
    wanted = np.array([owen(h, a) for a in slopes])
    found = owens_t(h, np.array(slopes))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-16)
    np.testing.assert_array_equal(owens_t(-h, -np.array(slopes)), -found)
    assert owens_t(h, math.inf) == pytest.approx(float(mpmath.ncdf(-h)) / 2, abs=1e-16)
