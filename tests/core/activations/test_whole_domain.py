"""The promise over every parameter's whole domain, and for gradients: kinds of errors, each by its values.

The expected numbers come from the functions' definitions in exact arithmetic or with mpmath.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.activations import REGISTRY
from app.core.activations.definition import Elementwise
from app.core.activations.parameters import Interval, Nonzero, Parameter
from app.core.activations.registry import Call
from app.core.arithmetic.formats import FORMATS
from app.core.errors import InvalidValue
from app.core.evaluation import activate
from tests.core.activations.test_promise import BOUND, PARAMETRIC, over
from tests.support.balls import nearest
from tests.support.oracle import LARGEST, SMALLEST


class Case(NamedTuple):
    function: str
    params: Mapping[str, float]
    x: float
    order: int
    expected: float


CASES = [
    # A product of parameters overflows on the way.
    Case("snake", {"alpha": 9e307}, 1.0, 0, 1.0),
    Case("sine", {"omega": 1e103}, 0.0, 2, 0.0),
    # A product is split into parts that are too small.
    Case("sine", {"omega": 1e-299}, 5e301, 0, -0.4677718053225063),
    Case("snake", {"alpha": 2.01e-298}, 2.4e300, 2, -3.801713351251594e-298),
    # Parameters at the ends of the doubles.
    Case("rrelu", {"lower": 1.7e308, "upper": 1.7e308}, -0.13, 0, -2.21e307),
    Case("squareplus", {"b": 5e-324}, 9.645202376919676e-13, 2, 2.7530913868524248e-288),
    Case("isru", {"alpha": 5e-324}, math.inf, 0, 4.4989137945431964e161),
    # Two terms cancel to 10⁻¹⁷ of them beside the root.
    Case("xielu", {}, -2.432484276931448, 0, 3.470302371057706e-17),
    Case("xielu", {}, -2.432484276931449, 0, 2.3875782616962716e-16),
    Case("xielu", {"alpha_n": 1.0, "beta": 0.0}, -1e-20, 0, 5e-41),
    # A difference overflows that is multiplied by something small.
    Case("keras:relu", {"negative_slope": 0.01, "threshold": 4e307}, -1.7e308, 0, -2.1e306),
    # Parameters that frameworks take.
    Case("onnx:Clip", {"min": 2.0, "max": 1.0}, -5.0, 0, 1.0),
    Case("onnx:Clip", {"min": 2.0, "max": 1.0}, 1.5, 1, 0.0),
    Case("celu", {"alpha": -1.0}, -2.0, 0, -6.38905609893065),
    Case("torch:Softplus", {"beta": -1.0}, 0.5, 0, -0.4740769841801067),
    Case("hardshrink", {"lambd": -1.0}, 0.25, 0, 0.25),
    Case("snake", {"alpha": 0.0}, 0.7, 0, 0.7),
    Case("snake", {"alpha": -1.0}, 0.5, 0, 0.2701511529340699),
    Case("squareplus", {"b": 0.0}, -3.0, 0, 0.0),
    Case("squareplus", {"b": 0.0}, 3.0, 0, 3.0),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.function}-{case.x}-{case.order}")
def test_values(case: Case) -> None:
    call = REGISTRY.resolve(case.function, case.params)
    got = float(activate(call, np.array(case.x), order=2).orders[case.order])
    assert abs(got - case.expected) <= 2 * math.ulp(case.expected)


@pytest.mark.parametrize(
    ("function", "x", "dtype", "expected"),
    [
        ("silu", 9.183549615799121e-41, "bfloat16", 9.183549615799121e-41),
        ("tanhshrink", 18.0, "float8_e4m3fn", 18.0),
        ("sigmoid", 3 * 2.0**-23, "float32", 0.5000000596046448),
    ],
)
def test_a_term_that_a_double_drops_decides_a_tie(
    function: str, x: float, dtype: str, expected: float
) -> None:
    assert (
        float(activate(REGISTRY.resolve(function), np.array(x), dtype=FORMATS[dtype]).orders[0]) == expected
    )


# Gradients


@pytest.mark.parametrize(
    ("function", "x", "upstream", "expected"),
    [
        ("sigmoid", [-800.0], [1e300], 3.667874584177687e-48),
        ("exponential", [710.0], [1e-300], 223399476.61617112),
        ("log_softmax", [0.0, -1000.0], [1e308, 0.0], 5.075958897549457e-127),
        ("softsign", [1e200], [1e300], 1e-100),
        ("elu", [-2100.0], [1e308], 0.0),
    ],
)
def test_a_slope_is_multiplied_by_its_upstream_before_rounding(
    function: str, x: list[float], upstream: list[float], expected: float
) -> None:
    gradient = activate(REGISTRY.resolve(function), np.array(x), upstream=np.array(upstream)).input_gradient
    assert gradient is not None
    assert abs(float(gradient[0]) - expected) <= 2 * math.ulp(expected)


wide = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(pairs=st.lists(st.tuples(wide, wide), min_size=1, max_size=30))
def test_the_gradient_of_a_parameter_is_the_exact_sum_of_exact_products(
    pairs: list[tuple[float, float]],
) -> None:
    x, upstream = np.array(pairs).T
    got = float(activate(REGISTRY.resolve("linear"), x, upstream=upstream).param_gradients["slope"])
    exact = sum((Fraction(a) * Fraction(b) for a, b in pairs), Fraction(0))
    try:
        expected = float(exact)
    except OverflowError:
        expected = math.inf if exact > 0 else -math.inf
    assert got == expected


def test_products_are_not_rounded_before_their_sum() -> None:
    x, upstream = np.array([1 - 2.0**-30, 1.0]), np.array([1 + 2.0**-30, -1.0])
    assert activate(REGISTRY.resolve("linear"), x, upstream=upstream).param_gradients["slope"] == -(2.0**-60)


# Parameters to the ends of their domains


def drawn(parameter: Parameter, rng: np.random.Generator) -> float:
    """Log-uniform from the least subnormal number to the largest double, of any sign that is allowed."""
    while True:
        value = float(np.exp(rng.uniform(math.log(SMALLEST), math.log(LARGEST)))) * rng.choice([-1.0, 1.0])
        value = value if rng.random() < 0.8 else float(rng.choice([SMALLEST, LARGEST, 2.3e-308, 1.0]))
        if parameter.domain.contains(value):
            return value


WIDE = [
    entry
    for entry in PARAMETRIC
    if not entry.constraints and all(isinstance(each.domain, Interval | Nonzero) for each in entry.parameters)
]
assert len(WIDE) > 10


@over(WIDE)
def test_parameters_to_the_ends_of_their_domains(entry: Elementwise) -> None:
    """Values and slopes within 2 ulp, curvatures within 4, wherever the exact answer is a normal number."""
    rng = np.random.default_rng(zlib.crc32(entry.name.encode()))
    for _ in range(40):
        params = {each.name: drawn(each, rng) for each in entry.parameters}
        points = np.exp(rng.uniform(math.log(SMALLEST), math.log(LARGEST), 8)) * rng.choice([-1.0, 1.0], 8)
        largest = max(abs(value) for value in params.values())
        scale = 1 / min(max(largest, 1e-300), 1e300)
        near = rng.normal(size=8) * scale
        x = np.concatenate([points, near])
        orders = activate(Call(entry, dict(params)), x, order=2).orders
        for order, (expression, answers) in enumerate(zip(entry.formulas.orders, orders, strict=True)):
            for point, got in zip(x.tolist(), answers.tolist(), strict=True):
                truth = nearest(entry, expression, point, params)
                if math.isfinite(truth) and 2.3e-308 < abs(truth) < 1e308:
                    error = abs(got - truth) / math.ulp(truth)
                    assert error <= BOUND[order] + 0.5, (order, point, params, got, truth)


@over(WIDE)
def test_float32_is_the_exact_answer_rounded_once_whatever_the_parameters(entry: Elementwise) -> None:
    """Within half an ulp of float32, where the answer is a normal number; ties are tested elsewhere."""
    rng = np.random.default_rng(zlib.crc32(entry.name.encode()) + 1)
    smallest, largest = 2.0**-126, float(np.finfo(np.float32).max)
    for _ in range(10):
        params = {each.name: drawn(each, rng) for each in entry.parameters}
        signs = rng.choice([-1.0, 1.0], 6)
        x = np.concatenate([signs * np.exp(rng.uniform(-87, 88, 6)), rng.normal(0, 3, 6)]).astype(np.float32)
        orders = activate(Call(entry, dict(params)), x, order=2, dtype=FORMATS["float32"]).orders
        for order, (expression, answers) in enumerate(zip(entry.formulas.orders, orders, strict=True)):
            for point, got in zip(x.tolist(), answers.tolist(), strict=True):
                truth = nearest(entry, expression, point, params)
                if smallest < abs(truth) < largest * (1 - 2.0**-20):
                    ulp = float(np.spacing(np.float32(abs(truth))))
                    assert abs(got - truth) <= (0.5 + 2.0**-20) * ulp, (order, point, params, got, truth)


# Functions that mix elements


def test_a_missing_dim_is_pytorchs_rule() -> None:
    for ndim, axis in ((1, 0), (2, 1), (3, 0), (4, 1)):
        x = np.random.default_rng(ndim).normal(size=(2, 3, 4, 5)[:ndim])
        got = activate(REGISTRY.resolve("torch:Softmax"), x).orders[0]
        np.testing.assert_array_equal(got, activate(REGISTRY.resolve("softmax", axis=axis), x).orders[0])


def test_several_axes_are_one_row() -> None:
    x = np.random.default_rng(1).normal(size=(2, 3, 4))
    flat = activate(REGISTRY.resolve("softmax"), x.reshape(2, 12), upstream=x.reshape(2, 12))
    got = activate(REGISTRY.resolve("softmax", axis=(1, 2)), x, upstream=x)
    np.testing.assert_array_equal(got.orders[0].reshape(2, 12), flat.orders[0])
    assert got.input_gradient is not None
    assert flat.input_gradient is not None
    np.testing.assert_array_equal(got.input_gradient.reshape(2, 12), flat.input_gradient)
    assert activate(REGISTRY.resolve("softmax", axis=(1, 2)), x).orders[1].shape == (2, 12, 12)
    for axes in ((0, 0), (), (3,), (0, -3)):
        with pytest.raises(InvalidValue):
            activate(REGISTRY.resolve("softmax", axis=axes), x)
    with pytest.raises(InvalidValue):
        activate(REGISTRY.resolve("glu", axis=(0, 1)), x)


def test_a_scalar_is_a_row_of_one() -> None:
    for name, value in (("softmax", 1.0), ("log_softmax", 0.0), ("sparsemax", 1.0), ("hardmax", 1.0)):
        evaluation = activate(REGISTRY.resolve(name), np.array(3.0))
        assert (evaluation.orders[0].shape, float(evaluation.orders[0])) == ((), value)
    prelu = REGISTRY.resolve("prelu", {"weight": np.array([0.5])})
    assert float(activate(prelu, np.array(-2.0)).orders[0]) == -1.0


@pytest.mark.parametrize(
    "name", ["softmax", "softmin", "log_softmax", "sparsemax", "entmax15", "softmax_sink", "hardmax"]
)
def test_masked_elements_do_not_count(name: str) -> None:
    x = np.random.default_rng(2).normal(size=(2, 4))
    mask = np.array([1.0, 0.0, 1.0, 1.0])
    kept = mask == 1
    got = activate(REGISTRY.resolve(name, {"mask": mask}), x, upstream=x)
    alone = activate(REGISTRY.resolve(name), x[:, kept], upstream=x[:, kept])
    np.testing.assert_array_equal(got.orders[0][:, kept], alone.orders[0])
    assert (got.orders[0][:, ~kept] == (-np.inf if name == "log_softmax" else 0)).all()
    assert got.input_gradient is not None
    assert alone.input_gradient is not None
    np.testing.assert_array_equal(got.input_gradient[:, kept], alone.input_gradient)
    assert (got.input_gradient[:, ~kept] == 0).all()
    empty = activate(REGISTRY.resolve(name, {"mask": np.zeros(4)}), x).orders
    assert (empty[0] == (-np.inf if name == "log_softmax" else 0)).all()
    assert (empty[1] == 0).all()


def test_one_nan_is_not_lost() -> None:
    assert np.isnan(activate(REGISTRY.resolve("log_softmax"), np.array([np.nan])).orders[1]).all()


def test_rows_in_short_formats_are_rounded_once() -> None:
    got: Any = activate(
        REGISTRY.resolve("log_softmax"), np.array([112.0, -4.0]), dtype=FORMATS["float8_e4m3fn"]
    )
    assert got.orders[0].astype(float).tolist() == [0, -120]
