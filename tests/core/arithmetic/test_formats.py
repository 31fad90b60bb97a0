"""Rounding into each format, and every small float through every activation of one variable.

The reference for rounding is arithmetic with fractions; that for an activation is its formula in mpmath,
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

from app.core.activations import REGISTRY
from app.core.activations.definition import Elementwise
from app.core.activations.registry import Call
from app.core.arithmetic.formats import FORMATS, number_format, round_to
from app.core.arithmetic.rounding import Rounding
from app.core.errors import InvalidValue, UnknownName
from app.core.evaluation import activate
from app.core.jobs import ignore
from app.core.proof import ProvedActivation
from tests.core.activations.test_promise import BOUND, ELEMENTWISE, example, over
from tests.support.formats import BITS
from tests.support.oracle import exact


class Format(NamedTuple):
    """Digits of precision, exponent of the smallest normal number, the largest number, what overflows to.

    ``overflow`` None: there is neither infinity nor NaN, and the largest number stands for what is beyond.
    """

    precision: int
    lowest: int
    largest: Fraction
    overflow: float | None
    signed_zero: bool = True

    @property
    def beyond(self) -> float:
        return float(self.largest) if self.overflow is None else self.overflow


def format_of(precision: int, lowest: int, highest: int) -> Format:
    """A format with infinities, as IEEE 754 lays them out: the largest number is (2 − 2^(1−p))·2^highest."""
    largest = (2 - Fraction(2) ** (1 - precision)) * Fraction(2) ** highest
    return Format(precision, lowest, largest, math.inf)


SPECIFIED = {
    "float64": format_of(53, -1022, 1023),
    "float32": format_of(24, -126, 127),
    "float16": format_of(11, -14, 15),
    "bfloat16": format_of(8, -126, 127),
    # Open Compute Project, 8-bit Floating Point Specification 1.0, table 1: E4M3 has no infinity.
    "float8_e4m3fn": Format(4, -6, Fraction(448), math.nan),
    "float8_e5m2": format_of(3, -14, 15),
    # Noune et al. 2022, "8-bit numerical formats for deep neural networks": exponent biases 8 and 16, and one
    # NaN in place of −0, so that every other pattern is a number. The third is of bias 11.
    "float8_e4m3fnuz": Format(4, -7, Fraction(240), math.nan, signed_zero=False),
    "float8_e5m2fnuz": Format(3, -15, Fraction(57344), math.nan, signed_zero=False),
    "float8_e4m3b11fnuz": Format(4, -10, Fraction(30), math.nan, signed_zero=False),
    # IEEE 754's layout with other widths: bias 2^(bits of the exponent − 1) − 1.
    "float8_e4m3": format_of(4, -6, 7),
    "float8_e3m4": format_of(5, -2, 3),
    # Open Compute Project, Microscaling Formats 1.0, tables of FP6 and FP4: neither infinity nor NaN.
    "float6_e3m2fn": Format(3, -2, Fraction(28), None),
    "float6_e2m3fn": Format(4, 0, Fraction(15, 2), None),
    "float4_e2m1fn": Format(2, 0, Fraction(6), None),
}
assert SPECIFIED.keys() == FORMATS.keys()

TINY = [name for name in FORMATS if BITS[name] <= 8]
SMALL = ["float16", "bfloat16", *TINY]
formats = pytest.mark.parametrize("name", FORMATS)


def rounded(value: Fraction, name: str) -> float:
    """``value`` rounded to nearest, ties to even, in whole multiples of its last place."""
    form = SPECIFIED[name]
    if value == 0:
        return 0.0
    exponent = max(floor_log2(abs(value)), form.lowest)
    unit = Fraction(2) ** (exponent - form.precision + 1)
    result = round(value / unit) * unit  # Python rounds a fraction half to even
    if abs(result) > form.largest:
        return form.beyond if value > 0 else -form.beyond
    return float(result)


def zero(sign: float, name: str) -> float:
    """The zero of this sign, or the only one."""
    return math.copysign(0.0, sign) if SPECIFIED[name].signed_zero else 0.0


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
    """Every finite value of a format of 16 bits or fewer, ascending, −0 left out."""
    dtype = FORMATS[name]
    codes = np.arange(2 ** BITS[name]).astype(f"u{dtype.itemsize}")
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
    sign = value if got else zero(value, name)
    assert math.isnan(got) or math.copysign(1, got) == math.copysign(1, sign)


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
    form = SPECIFIED[name]
    got = round_to(np.array([np.inf, -np.inf, 0.0, -0.0]), FORMATS[name]).astype(np.float64)
    np.testing.assert_array_equal(got, [form.beyond, -form.beyond, 0.0, 0.0])
    assert np.signbit(got[2:]).tolist() == [False, form.signed_zero]
    if form.overflow is not None:
        assert np.isnan(round_to(np.array([np.nan, -np.nan]), FORMATS[name]).astype(np.float64)).all()
    largest = float(form.largest)
    unit = math.ldexp(1.0, floor_log2(form.largest) - form.precision + 1)
    if name != "float64":
        edge = np.array([largest, largest + unit / 2, math.nextafter(largest + unit / 2, math.inf)])
        halfway = rounded(Fraction(largest) + Fraction(unit) / 2, name)
        got = round_to(edge, FORMATS[name]).astype(np.float64)
        np.testing.assert_array_equal(got, [largest, halfway, form.beyond])


@formats
@settings(max_examples=200, deadline=None, derandomize=True)
@given(value=st.floats(allow_nan=False, allow_infinity=False) | st.floats(width=16, allow_nan=False))
@tried(value=-1e-60)
@tried(value=-1e60)
def test_exact_numbers_round_as_doubles_do(name: str, value: float) -> None:
    """`Rounding.exact`, by which numbers are proved, bit for bit, also where overflow saturates."""
    if math.isinf(value):
        return
    for saturate in (False, True):
        rounding = Rounding(FORMATS[name], saturate)
        got = rounding.exact(Fraction(value))
        expected = float(rounding.array(np.array(value)).astype(np.float64))
        assert same(got, expected)
        assert not value or math.isnan(got) or math.copysign(1, got) == math.copysign(1, expected)


def test_a_nan_is_refused_where_the_format_has_none() -> None:
    without = {name for name, form in SPECIFIED.items() if form.overflow is None}
    call, good, bad = REGISTRY.resolve("relu", {}), np.array([1.0]), np.array([np.nan])
    for name, dtype in FORMATS.items():
        rounding = Rounding(dtype)
        for inputs, upstream, loc in ((bad, good, "inputs"), (good, bad, "upstream")):
            for apply in (
                lambda x, seed, dtype=dtype: activate(call, x, dtype=dtype, upstream=seed),
                lambda x, seed, rounding=rounding: ProvedActivation(call, x, 1, rounding, seed)(map, ignore),
            ):
                if name not in without:
                    assert np.isnan(np.asarray(apply(inputs, upstream).input_gradient, np.float64)).all()
                    continue
                with pytest.raises(InvalidValue, match=f"no NaN: {name} has none") as caught:
                    apply(inputs, upstream)
                assert caught.value.loc == (loc,)


@formats
def test_shape_and_dtype(name: str) -> None:
    for shape in ((), (0,), (3, 0), (2, 3)):
        result = round_to(np.zeros(shape), FORMATS[name])
        assert (result.shape, result.dtype) == (shape, FORMATS[name])


@formats
def test_from_every_format(name: str) -> None:
    for source in FORMATS.values():
        values = round_to(np.array([1.3, -0.01, 300.0]), source)
        values = values[np.isfinite(values.astype(np.float64))]
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


ENCLOSURE = 2.0**-36
"""Relative width about a float64 result that surely holds the truth, where derivatives cancel included."""


@over(ELEMENTWISE)
@pytest.mark.parametrize(
    "name", [*TINY, *(pytest.param(each, marks=pytest.mark.slow) for each in ("float16", "bfloat16"))]
)
def test_every_value_of_a_format(entry: Elementwise, name: str) -> None:
    """mpmath is asked where the two ends of an enclosure of the truth round differently."""
    points, orders = through(entry, name)
    doubles = activate(Call(entry, dict(example(entry))), points, order=2).orders
    for order, (values, near) in enumerate(zip(orders, doubles, strict=True)):
        ends = [round_to(near * (1 + side * ENCLOSURE), FORMATS[name]) for side in (-1, 1)]
        low, high = (end.astype(np.float64) for end in ends)
        clear = (low == high) | (np.isnan(low) & np.isnan(high))
        np.testing.assert_array_equal(values[clear], low[clear])
        open_points, open_values = points[~clear].tolist(), values[~clear].tolist()
        for x, got in zip(open_points, open_values, strict=True):
            assert accepts(got, truth(entry, order, x), order, name), (order, x, got)


@pytest.mark.slow
@over(ELEMENTWISE)
@pytest.mark.parametrize("name", ["float8_e4m3fn", "float8_e5m2"])
def test_every_float8_by_mpmath_alone(entry: Elementwise, name: str) -> None:
    points, orders = through(entry, name)
    for order, values in enumerate(orders):
        for x, got in zip(points.tolist(), values.tolist(), strict=True):
            assert accepts(got, truth(entry, order, x), order, name), (order, x, got)
