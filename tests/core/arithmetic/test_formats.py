"""Rounding into each format, and every small float through every activation of one variable.

The judge of a rounding is arithmetic with fractions; the judge of an activation is its formula in mpmath,
rounded once to the format.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import pytest
from hypothesis import example as tried
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.core.activations.definition import Elementwise
from app.core.activations.registry import Call
from app.core.arithmetic.formats import FORMATS, number_format, round_to
from app.core.errors import UnknownName
from app.core.evaluation import activate
from tests.core.activations.test_promise import BOUND, ELEMENTWISE, example, over
from tests.support.oracle import exact


class Format(NamedTuple):
    """Digits of precision, exponent of the smallest normal number, the largest number, what overflows to."""

    precision: int
    lowest: int
    largest: Fraction
    overflow: float


def format_of(precision: int, lowest: int, highest: int) -> Format:
    """A format with infinities, as IEEE 754 lays them out: the largest number is (2 − 2^(1−p))·2^highest."""
    largest = (2 - Fraction(2) ** (1 - precision)) * Fraction(2) ** highest
    return Format(precision, lowest, largest, math.inf)


JUDGED = {
    "float64": format_of(53, -1022, 1023),
    "float32": format_of(24, -126, 127),
    "float16": format_of(11, -14, 15),
    "bfloat16": format_of(8, -126, 127),
    # Open Compute Project, 8-bit Floating Point Specification 1.0, table 1: E4M3 has no infinity.
    "float8_e4m3fn": Format(4, -6, Fraction(448), math.nan),
    "float8_e5m2": format_of(3, -14, 15),
}
assert JUDGED.keys() == FORMATS.keys()

SMALL = ["float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"]
TINY = ["float8_e4m3fn", "float8_e5m2"]
formats = pytest.mark.parametrize("name", FORMATS)


def rounded(value: Fraction, name: str) -> float:
    """``value`` rounded to nearest, ties to even, in whole multiples of its last place."""
    form = JUDGED[name]
    if value == 0:
        return 0.0
    exponent = max(floor_log2(abs(value)), form.lowest)
    unit = Fraction(2) ** (exponent - form.precision + 1)
    result = round(value / unit) * unit  # Python rounds a fraction half to even
    if abs(result) > form.largest:
        return form.overflow if value > 0 else -form.overflow
    return float(result)


def floor_log2(value: Fraction) -> int:
    guess = value.numerator.bit_length() - value.denominator.bit_length()
    return guess if Fraction(2) ** guess <= value else guess - 1


def fraction(value: Any) -> Fraction:
    """An mpmath number, exactly; far outside every format a power of two stands for it."""
    sign, man, exponent, bits = map(int, value._mpf_)
    if abs(exponent + bits) > 1200:
        man, exponent = 1, 1200 if exponent > 0 else -1200
    return Fraction(-man if sign else man) * Fraction(2) ** exponent


def same(got: float, expected: float) -> bool:
    return got == expected or (math.isnan(got) and math.isnan(expected))


@cache
def finite_values(name: str) -> NDArray[np.float64]:
    """Every finite value of a format of 8 or 16 bits, ascending, −0 left out."""
    dtype = FORMATS[name]
    codes = np.arange(2 ** (8 * dtype.itemsize)).astype(f"u{dtype.itemsize}")
    with np.errstate(invalid="ignore"):
        values = codes.view(dtype).astype(np.float64)
    return np.unique(values[np.isfinite(values)])


# Rounding


@formats
@settings(max_examples=400, deadline=None, derandomize=True)
@given(value=st.floats(allow_nan=False, allow_infinity=False) | st.floats(width=16, allow_nan=False))
@tried(value=464.0)
@tried(value=math.nextafter(464.0, math.inf))
@tried(value=61440.0)
@tried(value=65520.0)
@tried(value=math.nextafter(65520.0, 0.0))
@tried(value=2.0**-10)
@tried(value=math.nextafter(2.0**-10, 1.0))
@tried(value=1 + 2.0**-8 + 2.0**-40)
def test_rounds_once_as_fractions_do(name: str, value: float) -> None:
    if math.isinf(value):
        return
    got = float(round_to(np.array(value), FORMATS[name]).astype(np.float64))
    assert same(got, rounded(Fraction(value), name))
    assert math.isnan(got) or math.copysign(1, got) == math.copysign(1, value)


@pytest.mark.parametrize("name", SMALL)
def test_every_boundary(name: str) -> None:
    """The middle of any two neighbours goes to the even one, the doubles beside it to the nearer one."""
    values = finite_values(name)
    low, high = values[:-1], values[1:]
    middle = (low + high) / 2
    codes = np.abs(low).astype(FORMATS[name]).view(f"u{FORMATS[name].itemsize}")
    even = np.where(codes % 2 == 0, low, high)
    for points, expected in (
        (middle, even),
        (np.nextafter(middle, -np.inf), low),
        (np.nextafter(middle, np.inf), high),
        (values, values),
    ):
        got = round_to(points, FORMATS[name]).astype(np.float64)
        np.testing.assert_array_equal(got, expected)


@formats
def test_infinities_nan_and_overflow(name: str) -> None:
    form = JUDGED[name]
    got = round_to(np.array([np.inf, -np.inf, np.nan, 0.0, -0.0]), FORMATS[name]).astype(np.float64)
    np.testing.assert_array_equal(got, [form.overflow, -form.overflow, np.nan, 0.0, 0.0])
    assert np.signbit(got[3:]).tolist() == [False, True]
    largest = float(form.largest)
    unit = math.ldexp(1.0, floor_log2(form.largest) - form.precision + 1)
    if name != "float64":
        edge = np.array([largest, largest + unit / 2, math.nextafter(largest + unit / 2, math.inf)])
        halfway = rounded(Fraction(largest) + Fraction(unit) / 2, name)
        got = round_to(edge, FORMATS[name]).astype(np.float64)
        np.testing.assert_array_equal(got, [largest, halfway, form.overflow])


@formats
def test_shape_and_dtype(name: str) -> None:
    for shape in ((), (0,), (3, 0), (2, 3)):
        result = round_to(np.zeros(shape), FORMATS[name])
        assert (result.shape, result.dtype) == (shape, FORMATS[name])


@formats
def test_from_every_format(name: str) -> None:
    for source in FORMATS.values():
        values = np.array([1.3, -0.01, 300.0]).astype(source)
        got = round_to(values, FORMATS[name]).astype(np.float64)
        expected = [rounded(Fraction(float(each)), name) for each in values]
        np.testing.assert_array_equal(got, expected)


def test_why_rounding_twice_would_not_do() -> None:
    """1 + 2⁻⁸ + 2⁻⁴⁰ is above the middle of two bfloat16s; its nearest float32 is that middle."""
    value = np.array(1 + 2.0**-8 + 2.0**-40)
    assert float(value.astype(ml_dtypes.bfloat16)) == 1.0
    assert float(round_to(value, FORMATS["bfloat16"])) == 1 + 2.0**-7


def test_unknown_format_names_the_near_ones() -> None:
    with pytest.raises(UnknownName, match="did you mean float16") as caught:
        number_format("Float_16")
    assert caught.value.loc == ("dtype",)


# Activations


def truth(entry: Elementwise, order: int, x: float) -> Fraction:
    return fraction(exact(entry, entry.formulas.orders[order], {"x": x, **example(entry)}))


def through(entry: Elementwise, name: str) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
    """Every finite value of the format and what `activate` makes of it in each order."""
    points = finite_values(name)
    dtype = FORMATS[name]
    evaluation = activate(Call(entry, dict(example(entry))), points.astype(dtype), order=2, dtype=dtype)
    assert all(values.dtype == dtype for values in evaluation.orders)
    return points, [values.astype(np.float64) for values in evaluation.orders]


def accepts(got: float, value: Fraction, order: int, name: str) -> bool:
    """Whether ``got`` is ``value`` rounded once, or so near a boundary that float64 cannot tell."""
    if same(got, rounded(value, name)):
        return True
    error = abs(value) * Fraction(BOUND[order]) / 2**52
    return any(same(got, rounded(value + side * error, name)) for side in (-1, 1))


@over(ELEMENTWISE)
@pytest.mark.parametrize("name", TINY)
def test_every_float8(entry: Elementwise, name: str) -> None:
    points, orders = through(entry, name)
    for order, values in enumerate(orders):
        for x, got in zip(points.tolist(), values.tolist(), strict=True):
            assert accepts(got, truth(entry, order, x), order, name), (order, x, got)


ENCLOSURE = 2.0**-36
"""Relative width about a float64 result that surely holds the truth, where derivatives cancel included."""


@pytest.mark.slow
@over(ELEMENTWISE)
@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_every_16_bit_float(entry: Elementwise, name: str) -> None:
    """mpmath is asked where the two ends of an enclosure of the truth round differently."""
    points, orders = through(entry, name)
    doubles = activate(Call(entry, dict(example(entry))), points, order=2).orders
    for order, (values, near) in enumerate(zip(orders, doubles, strict=True)):
        ends = [round_to(near * (1 + side * ENCLOSURE), FORMATS[name]) for side in (-1, 1)]
        low, high = (end.astype(np.float64) for end in ends)
        clear = low == high
        np.testing.assert_array_equal(values[clear], low[clear])
        open_points, open_values = points[~clear].tolist(), values[~clear].tolist()
        for x, got in zip(open_points, open_values, strict=True):
            assert accepts(got, truth(entry, order, x), order, name), (order, x, got)
