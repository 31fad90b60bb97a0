"""Proved values and derivatives, compared with mpmath."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from flint import arb
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from app.core.arithmetic.balls import SERIES, precision
from app.core.arithmetic.formats import FORMATS
from app.core.arithmetic.rounding import Rounding
from app.core.formulas import calculus
from app.core.formulas.calculus import derivative
from app.core.formulas.language import Expression
from app.core.formulas.proving import FIRST_BITS, Part, Proved, enclosures, prove
from app.core.formulas.tree import Tree, tree
from tests.support.formulas import formulas, settled
from tests.support.oracle import arithmetic, nearest_float

DOUBLE = Rounding(np.dtype(np.float64))
POINTS = st.one_of(
    st.sampled_from([0.0, 1.0, -1.0, 0.5, 2.0, -3.0, 1e-300, -1e-160, 5e-324, 2.0**53 + 2, 1e10]),
    st.floats(-30, 30),
    st.floats(allow_nan=False, allow_infinity=False),
)


def proved(text: str, x: Any, order: int = 0, rounding: Rounding = DOUBLE, **params: float) -> Proved:
    return prove(Part(tree(text), 0, order), {"x": np.atleast_1d(np.asarray(x, float)), **params}, rounding)


def holds(text: str, x: float) -> None:
    """The balls contain mpmath's value to 60 digits, and a proved value is that value rounded."""
    found = proved(text, x)
    exact = settled(text, x)
    assume(exact is not None)
    for bits in (FIRST_BITS, 1024):
        (balls,) = enclosures(Part(tree(text)), {"x": np.array([x])}, bits)
        if balls is not None:
            assert balls[0].overlaps(sixty_digits(exact)), (text, x, bits)
    if found.proved[0, 0]:
        assert found.orders[0, 0] == nearest_float(exact), (text, x)


def sixty_digits(exact: Any) -> arb:
    """A ball around mpmath's value, which `settled` gives to 200 bits."""
    sign, mantissa, exponent, _ = exact._mpf_
    with precision(3000):
        value = arb((-1) ** sign * int(mantissa)) * arb(2) ** int(exponent)
        return value + arb(0, abs(value) * arb(2) ** -199)


@given(formulas(), POINTS)
@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_proved_values_are_what_mpmath_rounds_to(text: str, x: float) -> None:
    holds(text, x)


@pytest.mark.study
@given(formulas(20), POINTS)
@settings(max_examples=100_000, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_hundred_thousand_proved_values(text: str, x: float) -> None:
    holds(text, x)


@pytest.mark.parametrize(
    "text",
    [
        "x * tanh(softplus(x))",
        "x * Phi(x)",
        "x * sigmoid(1.702 * x)",
        "log(1 + x**2) * sech(x)",
        "asinh(x) + atan(x) * erfc(x)",
        "sinh(x) / (1 + cosh(x))",
        "(x + sqrt(x**2 + 4)) / 2",
        "sin(3 * x)**2 - cos(x) * tan(x / 4)",
        "2**x + x**2.5 if x > 0 else expm1(x)",
        "phi(x) * log1p(x**2)**0.5 + atanh(x / 50)",
    ],
)
def test_derivatives_to_the_eighth(text: str) -> None:
    judge = arithmetic(900)
    expression = Expression(text)
    for x in (-2.75, -0.3, 0.7, 5.5):
        found = proved(text, x, 8)
        assert found.proved.all()
        exact = judge.context.taylor(
            lambda at: expression.evaluate(judge, {"x": at}), judge.context.mpf(x), 8
        )
        for order, coefficient in enumerate(exact):
            right = nearest_float(coefficient * math.factorial(order))
            assert found.orders[order, 0] == pytest.approx(right, rel=1e-15), (text, x, order)


@pytest.mark.parametrize(
    ("text", "x", "expected"),
    [
        ("x - tanh(x)", 2.0**53 + 2, 2.0**53 + 2),  # a tie, decided by e^−2x
        ("x - tanh(x)", -(2.0**53) - 2, -(2.0**53) - 2),
        ("x * sigmoid(x)", 5e-324, 5e-324),  # x/2 + x²/4 lies above the tie
        ("x * sigmoid(x)", -5e-324, -0.0),
        ("x / 2", 5e-324, 0.0),  # a tie, to even
        ("3 * x / 2", 5e-324, 1e-323),
        ("0.1", 0.0, 0.1),
        ("x + 1 - tanh(x)", 1e300, 1e300),
        ("max(0, min(1, 0.2 * x + 0.5))", 2.5, 1.0),
        ("1 if 0 < 0.2 * x + 0.5 < 1 else 0", 2.5, 0.0),  # 0.2 is that decimal, and the sum exactly 1
        ("x**3 - x * x * x", 0.1, 0.0),
        ("sqrt(x)", 2.25, 1.5),
    ],
)
def test_ties_and_exact_answers(text: str, x: float, expected: float) -> None:
    found = proved(text, x)
    assert found.proved.all()
    assert found.orders[0, 0] == expected


@pytest.mark.parametrize(
    ("text", "x", "expected"),
    [
        ("log(x)", -1.0, math.nan),
        ("log(x)", 0.0, -math.inf),
        ("1 / x", 0.0, math.inf),
        ("1 / x", -0.0, -math.inf),
        ("sqrt(x)", -1.0, math.nan),
        ("sqrt(x)", 0.0, 0.0),
        ("sin(x) / x", 0.0, math.nan),
        ("x**(1 / 3)", -8.0, math.nan),
        ("exp(x)", 1000.0, math.inf),
        ("exp(x)", -1e308, 0.0),
        ("asin(x)", 2.0, math.nan),
        ("x * sigmoid(x)", math.inf, math.inf),
        ("x * sigmoid(x)", -math.inf, 0.0),
        ("x * tanh(exp(x))", math.inf, math.inf),
        ("x * Phi(x)", -math.inf, 0.0),
        ("x if x > 0 else 1.5 * expm1(x)", -math.inf, -1.5),
        ("atan(x)", math.inf, math.pi / 2),
        ("x", math.nan, math.nan),
        ("1 if x > 0 else 0", math.nan, math.nan),
    ],
)
def test_special_values(text: str, x: float, expected: float) -> None:
    found = proved(text, x)
    assert found.proved.all()
    np.testing.assert_equal(found.orders[0, 0] + 0.0, expected)


@pytest.mark.parametrize("text", ["sin(x)", "x * sin(x)", "x + x * cos(x)", "exp(sin(x))", "tan(x) + x**2"])
def test_what_oscillates_at_infinity_is_not_guessed(text: str) -> None:
    found = proved(text, math.inf)
    assert not found.proved.any()
    assert np.isnan(found.orders).all()


def test_a_bounded_oscillation_may_leave_a_limit_but_no_slope() -> None:
    for text, limit in (
        ("x + sin(x**2)", math.inf),
        ("sin(x**2) / x", 0.0),
        ("exp(x) - 9 * cos(x)", math.inf),
    ):
        found = proved(text, math.inf, 1)
        assert found.orders[0, 0] == limit
        assert found.proved[:, 0].tolist() == [True, False]


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("sqrt(2 / pi) * x - sqrt(2 / pi) * x", 0.0),
        ("exp(sqrt(2 / pi) * x) / exp(x / sqrt(pi / 2))", 1.0),
        ("exp(sqrt(3) * x + x**2) - exp(x**2) * exp(x * sqrt(3))", 0.0),
        ("sqrt(2) * x - 2 * x / sqrt(2) + 3", 3.0),
        ("log(3 * x) - log(x) - log(3)", 0.0),
        ("x * (log(exp(1) * x) - log(x) - 1) + 2", 2.0),
        ("pi**2 * x - pi * (pi * x) + 1 / x", 0.0),
        ("x**pi / x**3 / x**(pi - 3)", 1.0),
        ("(1 + tanh(-x * sqrt(2 / pi))) * x**9", 0.0),
        ("sin(1 / x) * x * sqrt(5) - sqrt(5)", 0.0),
        ("max(0, -x)**2", 0.0),
        ("max(0, -x)**0.5 + abs(min(x, 0))**3", 0.0),
        ("exp(x + exp(1)) / exp(x) - exp(exp(1))", 0.0),
    ],
)
def test_irrational_constants_that_cancel_leave_nothing(text: str, limit: float) -> None:
    found = proved(text, math.inf)
    assert found.proved.all()
    assert found.orders[0, 0] == limit


def test_constants_that_cannot_be_shown_to_cancel_are_not_guessed() -> None:
    found = proved("x * (sqrt(2 + sqrt(3)) - (sqrt(6) + sqrt(2)) / 2) + 1", math.inf)
    assert not found.proved.any()


def test_an_undecidable_comparison_is_counted() -> None:
    found = proved("1 if sin(pi * x) == 0 else 2", 1.0)
    assert not found.proved.any()


@pytest.mark.parametrize(
    ("text", "slope"),
    [
        ("abs(x)", 0.0),
        ("max(0, x)", 0.0),
        ("max(x, 0)", 1.0),
        ("min(x, 0)", 1.0),
        ("x if x > 0 else 0.5 * x", 0.5),
        ("x if x >= 0 else 0.5 * x", 1.0),
    ],
)
def test_the_slope_at_a_kink_is_that_of_the_branch_that_holds(text: str, slope: float) -> None:
    assert proved(text, 0.0, 1).orders[1, 0] == slope


SMOOTH = ("x", "0", "x**2", "sin(x)", "x * erf(x)", "-tanh(x)", "1 - cos(x)", "expm1(x)")


@pytest.mark.parametrize("u", SMOOTH)
@pytest.mark.parametrize("v", SMOOTH)
def test_derivatives_where_branches_join_smoothly(u: str, v: str) -> None:
    """At 0, where all of these meet, and beside it."""
    for whole, plain in (
        (f"max({u}, {v}) + min({u}, {v})", f"({u}) + ({v})"),
        (f"abs({u}) * abs({u}) + abs({v})**2", f"({u})**2 + ({v})**2"),
        (f"({u} if {u} < {v} else {v}) + ({v} if {u} < {v} else {u})", f"({u}) + ({v})"),
    ):
        ours, theirs = (proved(text, [0.0, 1.5, -0.5], 4) for text in (whole, plain))
        np.testing.assert_array_equal(ours.proved, theirs.proved, whole)
        np.testing.assert_array_equal(ours.orders + 0.0, theirs.orders + 0.0, whole)


def test_a_sum_that_is_smooth_though_its_terms_are_not() -> None:
    found = proved("abs(x) + log1p(exp(-2 * abs(x))) - log(2)", 0.0, 8)
    context = arithmetic(600).context
    exact = context.taylor(lambda at: context.log(context.cosh(at)), 0, 8)
    right = [nearest_float(each * math.factorial(order)) for order, each in enumerate(exact)]
    assert found.proved.all()
    np.testing.assert_allclose(found.orders[:, 0], right, atol=1e-60)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x * abs(x)", [0.0, 0.0, 0.0]),  # f″ jumps
        ("1 if x == 0 else 0", [1.0, 0.0, 0.0]),
        ("x if x != 0 else 5", [5.0, 0.0, 0.0]),
        ("x if x > 0 else expm1(x)", [0.0, 1.0, 1.0]),
        ("max(x, 2 * x)", [0.0, 1.0, 0.0]),
    ],
)
def test_the_convention_holds_from_the_first_discontinuous_derivative_on(
    text: str, expected: list[float]
) -> None:
    assert proved(text, 0.0, 2).orders[:, 0].tolist() == expected


@pytest.mark.parametrize("called", sorted(set(filter(str.isalnum, SERIES)) - {"min", "max", "neg", "sign"}))
def test_a_part_that_is_constant_where_it_stands_has_no_slope(called: str) -> None:
    """A sign, or a branch without x, is a ball and no series."""
    whole = proved(f"{called}(sign(x) * 0.5)", 3.0, 2)
    plain = proved(f"{called}(0.5 + 0 * x)", 3.0, 0)
    assert np.array_equal(whole.orders[0], plain.orders[0], equal_nan=True)
    finite = np.isfinite(whole.orders[0])
    assert (whole.orders[1:, finite] == 0).all()


@given(formulas(8), st.floats(-10, 10).map(lambda x: x + 0.1234567))
@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_written_derivatives_are_those_of_the_series(text: str, x: float) -> None:
    """Away from the points where branches meet, at which the written ones are those of one branch."""
    series = prove(Part(tree(text), 0, 2), {"x": np.array([x])}, DOUBLE)
    slope = derivative(tree(text))
    written = [prove(Part(each), {"x": np.array([x])}, DOUBLE) for each in (slope, derivative(slope))]
    for order, each in enumerate(written, start=1):
        both = series.proved[order, 0] and each.proved[0, 0] and np.isfinite(series.orders[order, 0])
        if both and np.isfinite(each.orders[0, 0]):
            assert series.orders[order, 0] == each.orders[0, 0], (text, x, order)


# Formats


SHORT = [name for name in FORMATS if name not in ("float64", "float32")]


def nearest(value: Fraction, dtype: np.dtype[Any]) -> set[float]:
    """The oracle: the nearest of all finite numbers of the format, of two the one with an even pattern."""
    bits = ml_dtypes.finfo(dtype).bits  # type: ignore[no-untyped-call]
    patterns = np.arange(2**bits, dtype=np.uint16 if bits == 16 else np.uint8)
    with np.errstate(all="ignore"):
        numbers = patterns.view(dtype).astype(np.float64)
    known = np.isfinite(numbers)
    numbers, patterns = numbers[known], patterns[known]
    guess = numbers[np.argsort(np.abs(numbers - float(value)))[:4]]
    distances = {each: abs(Fraction(each) - value) for each in guess.tolist()}
    least = min(distances.values())
    best = {each for each, distance in distances.items() if distance == least}
    if len(best) > 1:
        even = {each for each in best if any(p % 2 == 0 for p in patterns[numbers == each])}
        best = even or best
    return best


@pytest.mark.parametrize("name", SHORT)
def test_rationals_round_to_the_nearest_number_of_the_format(name: str) -> None:
    rounding = Rounding(FORMATS[name])
    generator = np.random.default_rng(3)
    drawn = generator.normal(size=150) * 2.0 ** generator.integers(-8, 3, 150)
    held = rounding.array(drawn).astype(np.float64)
    halves = (held[:-1] + held[1:]) / 2
    for value in [*drawn.tolist(), *halves.tolist(), *(held * 1.5).tolist()]:
        if abs(value) <= rounding.largest:
            assert rounding.exact(Fraction(value)) in nearest(Fraction(value), FORMATS[name]), value


@pytest.mark.parametrize("name", FORMATS)
def test_exact_rounding_is_the_format_s_own_conversion(name: str) -> None:
    rounding = Rounding(FORMATS[name])
    generator = np.random.default_rng(5)
    values = generator.normal(size=400) * 2.0 ** generator.integers(-160, 130, 400)
    np.testing.assert_array_equal(
        [rounding.exact(Fraction(each)) for each in values.tolist()],
        rounding.array(values).astype(np.float64) + 0.0,
    )


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("text", ["x * sigmoid(x)", "x - tanh(x)", "x * (x + 3) / 6", "exp(x)"])
def test_every_format_is_rounded_to_once(name: str, text: str) -> None:
    rounding = Rounding(FORMATS[name])
    x = rounding.array(np.linspace(-4, 4, 60)).astype(np.float64)
    found = proved(text, x, rounding=rounding)
    assert found.proved.all()
    for place, at in enumerate(x.tolist()):
        exact = settled(text, at)
        sign, mantissa, exponent, _ = exact._mpf_
        value = Fraction((-1) ** sign * int(mantissa)) * Fraction(2) ** int(exponent)
        np.testing.assert_equal(found.orders[0, place] + 0.0, rounding.exact(value) + 0.0, f"{at} {name}")


@pytest.mark.parametrize(
    ("name", "saturate", "expected"),
    [
        ("float8_e4m3fn", False, math.nan),
        ("float8_e4m3fn", True, 448.0),
        ("float8_e5m2", False, math.inf),
        ("float8_e5m2", True, 57344.0),
        ("float8_e4m3", False, math.inf),
        ("float8_e4m3fnuz", False, math.nan),
        ("float6_e3m2fn", False, 28.0),
        ("float4_e2m1fn", False, 6.0),
        ("float16", True, 65504.0),
        ("float64", True, float(np.finfo(np.float64).max)),
    ],
)
def test_overflow(name: str, saturate: bool, expected: float) -> None:
    found = proved("exp(x)", 1000.0, rounding=Rounding(FORMATS[name], saturate))
    np.testing.assert_equal(found.orders[0, 0], expected)
    assert found.proved.all()


def test_subnormals_are_kept_or_flushed() -> None:
    x = np.array([2.0**-20, -(2.0**-15), 2.0**-14])
    kept = proved("x", x, rounding=Rounding(FORMATS["float16"])).orders[0]
    flushed = proved("x", x, rounding=Rounding(FORMATS["float16"], flush=True)).orders[0]
    assert kept.tolist() == x.tolist()
    assert flushed.tolist() == [0.0, 0.0, 2.0**-14]


def test_a_formula_is_differentiated_once_however_many_poles_are_met(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    whole = calculus._derivative

    def counted(node: Tree, found: Any, variable: str) -> Tree:
        made.append(node.op)
        return whole(node, found, variable)

    monkeypatch.setattr(calculus, "_derivative", counted)
    numbers = []
    for count in (1, 200):
        calculus.derivative.cache_clear()
        made.clear()
        found = proved("sin(x)*max(x, 2)**(3/0)/(x*0)", np.linspace(1, 2, count), 2)
        assert not np.isfinite(found.orders).any()
        numbers.append(len(made))
    assert numbers[0] == numbers[1] > 0
