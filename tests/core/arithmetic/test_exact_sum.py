"""Exact sums: against fractions, for sizes from the subnormals to products of two of the largest doubles."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.arithmetic.double_double import Scaled
from app.core.arithmetic.exact_sum import add_product, clear, empty_sum, rounded_sum, scaled_sum

numbers = st.floats(allow_nan=False, allow_infinity=False)
terms = st.lists(st.tuples(numbers, st.integers(-1500, 1500), numbers), min_size=1, max_size=20)


def exact(given_terms: list[tuple[float, int, float]]) -> Fraction:
    return sum(
        (Fraction(a) * Fraction(2) ** exponent * Fraction(b) for a, exponent, b in given_terms), Fraction(0)
    )


def nearest(number: Fraction) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


@settings(max_examples=300, deadline=None, derandomize=True)
@given(given_terms=terms)
def test_sums_are_rounded_once(given_terms: list[tuple[float, int, float]]) -> None:
    digits = empty_sum()
    clear(digits)
    for a, exponent, b in given_terms:
        assert add_product(digits, Scaled(a, 0.0, float(exponent)), b) == 0
    assert rounded_sum(digits, False) == nearest(exact(given_terms))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(given_terms=terms)
def test_a_sum_may_be_read_and_continued(given_terms: list[tuple[float, int, float]]) -> None:
    digits = empty_sum()
    clear(digits)
    for number, (a, exponent, b) in enumerate(given_terms, 1):
        add_product(digits, Scaled(a, 0.0, float(exponent)), b)
        read = scaled_sum(digits)
        truth = exact(given_terms[:number])
        got = (Fraction(read.high) + Fraction(read.low)) * Fraction(2) ** int(read.exponent)
        assert abs(got - truth) <= abs(truth) * Fraction(1, 2**90)


def test_rounding_to_odd_marks_what_was_cut_off() -> None:
    digits = empty_sum()
    above, below = np.nextafter(1.0, 2.0), np.nextafter(1.0, 0.0)
    for more, expected in ((0.0, 1.0), (2.0**-200, above), (-(2.0**-200), below)):
        clear(digits)
        add_product(digits, Scaled(1.0, more, 0.0), 1.0)
        assert rounded_sum(digits, True) == expected


def test_what_is_not_finite_is_returned() -> None:
    digits = empty_sum()
    clear(digits)
    assert add_product(digits, Scaled(math.inf, 0.0, 0.0), 2.0) == math.inf
    assert math.isnan(add_product(digits, Scaled(math.inf, 0.0, 0.0), 0.0))
