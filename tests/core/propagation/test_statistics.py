"""Variance and correlation of a layer's pre-activations, against their definitions in exact arithmetic."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations
from typing import Any

import mpmath
import numpy as np
import pytest

from app.core.arithmetic import Array
from app.core.propagation.blocks import Blocks
from app.core.propagation.statistics import moments

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)


def drawn(units: int, inputs: int, together: float, dtype: np.dtype[Any]) -> Array:
    """Columns with nonzero means, which share the fraction ``together`` of their variance."""
    rng = np.random.default_rng(units)
    own, common = rng.normal(0.3, 1, (units, inputs)), rng.normal(0.3, 1, (units, 1))
    return np.asarray(np.sqrt(1 - together) * own + np.sqrt(together) * common, dtype)


def by_definition(z: Array) -> tuple[float, float]:
    exact = [[Fraction(float(value)) for value in column] for column in z.T]
    everything = [value for column in exact for value in column]
    mean = sum(everything) / len(everything)
    variance = sum((value - mean) ** 2 for value in everything) / len(everything)

    def product(left: list[Fraction], right: list[Fraction]) -> Any:
        found = sum(a * b for a, b in zip(left, right, strict=True))
        return mpmath.mpf(found.numerator) / found.denominator

    with mpmath.workdps(40):
        cosines = [
            product(one, other) / mpmath.sqrt(product(one, one) * product(other, other))
            for one, other in permutations(exact, 2)
        ]
        return float(variance), float(mpmath.fsum(cosines) / len(cosines))


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64])
@pytest.mark.parametrize("together", [0.0, 0.7, 1 - 1e-9])
@pytest.mark.parametrize(("units", "inputs"), [(1, 2), (30, 5), (200, 8)])
def test_both_agree_with_their_definitions(
    units: int, inputs: int, together: float, dtype: np.dtype[Any]
) -> None:
    z = drawn(units, inputs, together, dtype)
    for elements in (65_536, 16):  # whole, and in many blocks
        variance, correlation, _ = moments(z, Blocks(inputs, elements=elements))
        expected = by_definition(z)
        assert variance == pytest.approx(expected[0], rel=1e-13)
        assert correlation == pytest.approx(expected[1], abs=1e-14)


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_columns_whose_squares_leave_the_range_have_a_correlation(size: float) -> None:
    z = drawn(30, 5, 0.7, FLOAT64)
    with np.errstate(over="ignore", under="ignore"):  # as `propagate` does
        variance, correlation, _ = moments(size * z, Blocks(5))
    assert correlation == pytest.approx(by_definition(z)[1], abs=1e-14)
    assert variance == (0 if size < 1 else np.inf)


def test_a_variance_within_the_range_is_found_though_the_sum_of_squares_is_not() -> None:
    z = drawn(30, 5, 0.7, FLOAT64)
    with np.errstate(over="ignore"):  # as `propagate` does
        variance, *_ = moments(np.ldexp(z, 509), Blocks(5))
    assert variance == pytest.approx(by_definition(z)[0] * 2.0**1018, rel=1e-13)


def test_one_input_has_no_correlation_and_an_input_of_zeros_has_none() -> None:
    z = drawn(30, 4, 0.5, FLOAT64)
    assert np.isnan(moments(z[:, :1].copy(), Blocks(1)).correlation)
    z[:, 2] = 0
    with np.errstate(divide="ignore"):  # as `propagate` does
        assert np.isnan(moments(z, Blocks(4)).correlation)


@pytest.mark.parametrize("exponent", [0, 509, -560])
def test_each_input_has_its_own_mean_square(exponent: int) -> None:
    z = np.ldexp(np.random.default_rng(3).normal(size=(40, 5)) * np.array([1, 2, 3, 4, 0.5]), exponent)
    expected = np.ldexp(np.mean(np.ldexp(z, -exponent) ** 2, axis=0), 2 * exponent)
    np.testing.assert_allclose(moments(z, Blocks(5)).squares, expected, rtol=1e-14)
