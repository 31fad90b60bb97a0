"""Sums and matrix products against exact rational arithmetic."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.arithmetic.summation import accurate_matmul, accurate_sum, double_sum, sum_over, two_sum
from tests.support.oracle import LARGEST, SMALLEST

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@pytest.fixture(autouse=True)
def _as_in_production() -> Iterator[None]:
    with np.errstate(all="ignore"):
        yield


def exact_sum(values: np.ndarray) -> Fraction:
    return sum(map(Fraction, values.ravel().tolist()), Fraction(0))


def rounded(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return np.inf if value > 0 else -np.inf


def cancelling(rng: np.random.Generator, size: int) -> np.ndarray:
    """Numbers over 2,000 binary orders of magnitude, most of which cancel."""
    values = rng.normal(size=size) * 2.0 ** rng.integers(-1000, 1000, size)
    mixed = np.concatenate([values, -values[: size // 2], 1e-3 * values[size // 2 :]])
    return rng.permutation(mixed)


@given(a=FINITE, b=FINITE)
@settings(derandomize=True)
def test_two_sum_loses_nothing(a: float, b: float) -> None:
    with np.errstate(all="ignore"):
        s, e = two_sum(np.array(a), np.array(b))
    if np.isfinite(s):
        assert Fraction(float(s)) + Fraction(float(e)) == Fraction(a) + Fraction(b)


@pytest.mark.parametrize("size", [1, 2, 3, 10, 100, 1000])
def test_sum_is_the_exact_sum_rounded(size: int) -> None:
    rng = np.random.default_rng(size)
    for _ in range(40):
        values = cancelling(rng, size)
        truth = exact_sum(values)
        slack = Fraction(float(np.abs(values).max())) * size**3 / 2**155
        unit = Fraction(math.ulp(rounded(truth)))
        assert abs(Fraction(float(accurate_sum(values))) - truth) <= slack + unit


@given(values=st.lists(FINITE, min_size=1, max_size=8))
@settings(derandomize=True, max_examples=300)
def test_sum_of_any_floats(values: list[float]) -> None:
    with np.errstate(all="ignore"):
        total = float(accurate_sum(np.array(values)))
    truth = exact_sum(np.array(values))
    slack = max(abs(Fraction(value)) for value in values) / 2**140
    if np.isinf(total):
        assert (truth if total > 0 else -truth) + slack >= Fraction(LARGEST) + Fraction(2) ** 970
        return
    unit = Fraction(math.ulp(min(abs(rounded(truth)), LARGEST)))
    assert abs(Fraction(total) - truth) <= slack + unit


def test_sum_neither_overflows_on_the_way_nor_loses_subnormals() -> None:
    assert accurate_sum(np.array([LARGEST, LARGEST, -LARGEST])) == LARGEST
    assert accurate_sum(np.array([LARGEST, LARGEST])) == np.inf
    assert accurate_sum(np.full(5, SMALLEST)) == 5 * SMALLEST


def test_sum_of_infinities_is_ieee() -> None:
    rows = np.array(
        [[np.inf, LARGEST, -1.0], [-np.inf, LARGEST, LARGEST], [np.inf, -np.inf, 0], [np.nan, 1, 2]]
    )
    np.testing.assert_array_equal(accurate_sum(rows), [np.inf, -np.inf, np.nan, np.nan])


def test_rows_do_not_disturb_each_other() -> None:
    rows = np.random.default_rng(1).normal(size=(50, 33)) * 2.0 ** np.arange(50)[:, None]
    np.testing.assert_array_equal(accurate_sum(rows), [accurate_sum(row) for row in rows])
    assert accurate_sum(np.zeros((3, 0))).tolist() == [0, 0, 0]


def test_double_sum_keeps_what_rounding_would_lose() -> None:
    high, low = double_sum(np.array([1.0, 1e-20, -3e-25]), np.array([1e-30, 0.0, 0.0]))
    truth = Fraction(1) + Fraction(1e-20) - Fraction(3e-25) + Fraction(1e-30)
    assert abs(Fraction(float(high)) + Fraction(float(low)) - truth) < Fraction(1, 2**100)
    assert high == 1.0


@pytest.mark.parametrize("axes", [(), (0,), (1,), (0, 2), (0, 1, 2)])
def test_sum_over_keeps_axes(axes: tuple[int, ...]) -> None:
    values = np.random.default_rng(2).integers(-9, 9, (3, 4, 5)).astype(float)
    np.testing.assert_array_equal(sum_over(values, axes), values.sum(axis=axes, keepdims=True))
    assert (
        sum_over(np.zeros((0, 4, 5)), axes).shape == np.zeros((0, 4, 5)).sum(axis=axes, keepdims=True).shape
    )


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
