"""Matrix products against exact rational arithmetic."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.arithmetic.summation import accurate_matmul, two_sum

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@pytest.fixture(autouse=True)
def _as_in_production() -> Iterator[None]:
    with np.errstate(all="ignore"):
        yield


@given(a=FINITE, b=FINITE)
@settings(derandomize=True)
def test_two_sum_loses_nothing(a: float, b: float) -> None:
    with np.errstate(all="ignore"):
        s, e = two_sum(np.array(a), np.array(b))
    if np.isfinite(s):
        assert Fraction(float(s)) + Fraction(float(e)) == Fraction(a) + Fraction(b)


def matrices(kind: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    a, b = rng.normal(size=(4, 30)), rng.normal(size=(30, 3))
    if kind == "wide range":
        return a * 2.0 ** rng.integers(-200, 200, a.shape), b * 2.0 ** rng.integers(-200, 200, b.shape)
    if kind == "cancelling":
        a[:, 15:], b[15:] = a[:, :15], -b[:15]
        a[:, 0] *= 1 + 1e-15
    if kind == "badly scaled":
        return a * 1e300, b * 1e-310
    return a, b


@pytest.mark.parametrize("kind", ["plain", "wide range", "cancelling", "badly scaled"])
def test_matmul_is_exact_to_the_largest_term(kind: str) -> None:
    a, b = matrices(kind, np.random.default_rng(3))
    product = accurate_matmul(a, b)
    for (i, j), got in np.ndenumerate(product):
        terms = [Fraction(x) * Fraction(y) for x, y in zip(a[i].tolist(), b[:, j].tolist(), strict=True)]
        truth = sum(terms, Fraction(0))
        unit = Fraction(math.ulp(float(truth)))
        assert abs(Fraction(float(got)) - truth) <= unit + max(map(abs, terms)) / 2**95


def test_matmul_is_bit_identical_in_blocks() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=(37, 200)) * 10.0 ** rng.integers(-9, 9, (37, 1)), rng.normal(size=(200, 19))
    whole = accurate_matmul(a, b)
    np.testing.assert_array_equal(
        whole, np.vstack([accurate_matmul(a[i : i + 5], b) for i in range(0, 37, 5)])
    )
    np.testing.assert_array_equal(whole[:, 3:4], accurate_matmul(a, b[:, 3:4]))


def test_matmul_of_nothing_and_of_infinities() -> None:
    assert accurate_matmul(np.zeros((3, 0)), np.zeros((0, 2))).tolist() == [[0, 0]] * 3
    assert accurate_matmul(np.zeros((0, 4)), np.zeros((4, 2))).shape == (0, 2)
    a = np.array([[np.inf, 1.0], [2.0, 3.0], [np.nan, 0.0]])
    np.testing.assert_array_equal(
        accurate_matmul(a, np.array([[1.0, 0.0], [1.0, 1.0]])),
        [[np.inf, np.nan], [5.0, 3.0], [np.nan, np.nan]],
    )
