"""Inputs at which frameworks in use have given wrong answers, with the exact ones.

Each row is a defect that was reported against a framework; its last words say what the plain formula gives.
The digits are those of the exact answer, from the definition with mpmath at 60 digits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.arithmetic.formats import FORMATS
from app.core.evaluation import activate
from tests.support.formats import WITH_INFINITIES
from tests.support.oracle import arithmetic, ulps


class Case(NamedTuple):
    function: str
    order: int
    x: float
    digits: str
    plain: str
    params: Mapping[str, float] = {}


CASES = [
    Case("sigmoid", 1, 40.0, "4.248354255291588959232207e-18", "0, by s(1 − s)"),
    Case("tanh", 1, 20.0, "1.699341702116635583692883e-17", "0, by 1 − t²"),
    Case("elu", 1, -40.0, "4.248354255291588995329235e-18", "0, by f + α"),
    Case("selu", 1, -700.0, "1.733429083255239601140232e-304", "0, by f + λα"),
    Case("silu", 1, -709.0, "-8.614807714413835303856357e-306", "0, by s + f(1 − s)"),
    Case("softplus", 2, 37.42994775023705, "5.551115123125775478853521e-17", "0, by s(1 − s)"),
    Case("softplus", 0, 25.0, "25.0000000000138879438648675831", "25, by a threshold of 20"),
    Case("softplus", 0, 20.5, "20.5000000012501528656053015349", "20.5, by a threshold of 20"),
    Case("softplus", 0, 0.5, "0.5", "∞, for e^βx overflows", {"beta": 1e30}),
    Case("gelu", 0, -5.5, "-1.04442593562382456611182007185e-7", "57 % off in float32, by 1 + erf"),
    Case("elu", 0, -1e-8, "-9.999999950000000375892272e-9", "half its digits, by e^x − 1"),
    Case("elu", 0, -1e-8, "-1.999999990000000075178454e-8", "half its digits, by e^x − 1", {"alpha": 2.0}),
    Case("selu", 0, -1e-8, "-1.758099332056880221788929e-8", "half its digits, by e^x − 1"),
    Case("elu", 0, 1000.0, "1000", "right, but its gradient is NaN"),
    Case("elu", 1, 1000.0, "1", "NaN, for the branch not taken overflows"),
    Case("mish", 0, 1000.0, "1000", "NaN, for e^x overflows"),
    Case("mish", 1, 1000.0, "1", "NaN, for e^x overflows"),
    Case("mish", 0, -40.0, "-1.699341702116635594521991e-16", "0, by ln(1 + e^x)"),
    Case("mish", 0, -700.0, "-6.901773580631839599693761e-302", "0, by ln(1 + e^x)"),
    Case("mish", 1, -700.0, "-6.891913904088079828837056e-302", "0, by ln(1 + e^x)"),
]

IN_FLOAT32 = [case for case in CASES if float(np.float32(case.x)) == case.x]
assert len(IN_FLOAT32) > 10


def over(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=lambda case: f"{case.function}-{case.order}-{case.x}")


def answered(case: Case, name: str) -> float:
    call = REGISTRY.resolve(case.function, case.params)
    orders = activate(call, np.array(case.x), order=case.order, dtype=FORMATS[name]).orders
    return float(orders[case.order])


@over(CASES)
def test_exact_digits(case: Case) -> None:
    truth = arithmetic(220).context.mpf(case.digits)
    assert ulps(answered(case, "float64"), truth) <= (2, 2, 4)[case.order], case.plain


@over(IN_FLOAT32)
def test_exact_digits_in_float32(case: Case) -> None:
    assert answered(case, "float32") == float(np.float32(case.digits)), case.plain


@pytest.mark.parametrize(
    ("function", "x", "expected"),
    [
        ("gelu", math.inf, math.inf),  # NaN, by ∞·0 in the second term
        ("gelu", -math.inf, 0.0),  # NaN, by −∞·0
        ("silu", -math.inf, 0.0),  # NaN, by −∞·0
        ("mish", math.inf, math.inf),  # NaN, by ∞/∞
        ("mish", -math.inf, 0.0),  # NaN, by −∞·0
        ("softshrink", math.nan, math.nan),  # 0, for every comparison with NaN is false
        ("hardshrink", math.nan, math.nan),
        ("hard_sigmoid", math.nan, math.nan),  # 0 or 1, by the order of min and max
        ("relu6", math.nan, math.nan),
        ("step", math.nan, math.nan),
    ],
)
@pytest.mark.parametrize("name", WITH_INFINITIES)
def test_infinities_and_nan(function: str, x: float, expected: float, name: str) -> None:
    got = answered(Case(function, 0, x, "", ""), name)
    np.testing.assert_equal(abs(got) if expected == 0 else got, expected)


@pytest.mark.parametrize("function", ["elu", "selu", "celu", "exponential", "softplus", "mish", "silu"])
def test_overflow_in_the_branch_not_taken_does_not_spoil_the_gradient(function: str) -> None:
    """Where a piece overflows that the result does not take, a masked gradient is 0·∞."""
    call = REGISTRY.resolve(function)
    extremes = np.array([-1e300, -1000.0, 709.0])
    evaluation = activate(call, extremes, order=2, upstream=np.ones(3))
    assert evaluation.input_gradient is not None
    assert np.isfinite(evaluation.input_gradient).all()
    assert all(np.isfinite(values).all() for values in evaluation.orders)
