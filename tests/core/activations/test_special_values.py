"""NaN, ±∞ and ±0 in every activation of one variable, in every order and every learnable gradient.

At ±∞ the answer is the limit, which is read off the entry's own formula at huge arguments.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from app.core.activations.definition import Elementwise
from app.core.activations.formula import Expression, FloatArithmetic
from app.core.activations.registry import Call
from app.core.arithmetic.formats import FORMATS, round_to
from app.core.evaluation import activate
from tests.core.activations.test_promise import (
    BOUND,
    ELEMENTWISE,
    draw_all,
    example,
    over,
    parameter_gradients,
)
from tests.support.formats import WITH_NAN
from tests.support.oracle import arithmetic, exact, ulps

HUGE = tuple(map(float, np.geomspace(1e60, 1e66, 9)))
"""Far beyond every scale there is: what is below 1e-25 there tends to 0, what is above 1e25 to infinity."""

BITS = (1400,)
"""A precision that resolves 1 + 1e-66 and its square, and every sum of such numbers."""

LEARNABLE = [entry for entry in ELEMENTWISE if entry.parameter_gradients]
assert LEARNABLE


def settings_of(entry: Elementwise) -> Iterator[dict[str, float]]:
    """The defaults, two random choices, and every parameter at 0 and at 1 where that is allowed."""
    yield example(entry)
    if not entry.parameters:
        return
    rng = np.random.default_rng(0)
    yield from (draw_all(entry, rng) for _ in range(2))
    for parameter in entry.parameters:
        for value in (0.0, 1.0):
            params = example(entry) | {parameter.name: value}
            if parameter.domain.contains(value) and holds(entry, params):
                yield params


def holds(entry: Elementwise, params: dict[str, float]) -> bool:
    return all(each.evaluate(FloatArithmetic(), params) for each in entry.constraints)


def limit(entry: Elementwise, expression: Expression, params: dict[str, float], sign: int) -> Any:
    """The formula's limit on one side: a number, an infinity, or NaN where there is none."""
    context = arithmetic(BITS[0]).context
    values = [exact(entry, expression, {"x": sign * x, **params}, precisions=BITS) for x in HUGE]
    last = values[-1]
    if all(abs(a - last) < 1e-25 for a in values):
        return context.mpf(0) if abs(last) < 1e-25 else last
    if all(abs(a) > 1e25 and a * last > 0 for a in values):
        return context.sign(last) * context.inf
    return context.nan


def agrees(got: float, truth: Any, bound: float) -> bool:
    if not math.isfinite(truth):
        return got == float(truth) or (math.isnan(got) and math.isnan(truth))
    return got == 0 if truth == 0 else ulps(got, truth) <= bound


def at_infinities(entry: Elementwise, params: dict[str, float]) -> Iterator[tuple[Expression, Any, float]]:
    """Every formula with what is computed at −∞ and +∞, and the bound in ulp."""
    points = np.array([-np.inf, np.inf])
    orders = activate(Call(entry, dict(params)), points, order=2).orders
    yield from zip(entry.formulas.orders, orders, BOUND, strict=True)
    if entry.parameter_gradients is None:
        return
    gradients = parameter_gradients(entry, points, params)
    for parameter in entry.parameters:
        if parameter.gradient is not None:
            yield parameter.gradient, gradients[parameter.name], 2.0


@over(ELEMENTWISE)
def test_infinity_gives_the_limit(entry: Elementwise) -> None:
    for params in settings_of(entry):
        for expression, computed, bound in at_infinities(entry, params):
            for sign, got in zip((-1, 1), computed.tolist(), strict=True):
                truth = limit(entry, expression, params, sign)
                assert agrees(got, truth, bound), (expression.text, sign, got, truth, params)


@over(ELEMENTWISE)
@pytest.mark.parametrize("dtype", WITH_NAN.values(), ids=WITH_NAN)
def test_nan_gives_nan(entry: Elementwise, dtype: np.dtype[Any]) -> None:
    x = np.array([np.nan, 0.0, -np.nan]).astype(dtype)
    for params in settings_of(entry):
        call = Call(entry, dict(params))
        at_zero = activate(call, np.zeros(1), order=2).orders
        for values, doubles in zip(activate(call, x, order=2, dtype=dtype).orders, at_zero, strict=True):
            # A slope of 31 overflows a format that ends at 30, and one without infinity says NaN.
            overflows = np.isnan(round_to(doubles, dtype)).item()
            assert np.isnan(values).tolist() == [True, overflows, True]
            assert not np.isnan(doubles).any()


@over(LEARNABLE)
def test_nan_gives_nan_in_every_gradient(entry: Elementwise) -> None:
    assert entry.parameter_gradients is not None
    for params in settings_of(entry):
        gradients = parameter_gradients(entry, np.array([np.nan, 1.0]), params)
        for gradient in gradients.values():
            assert np.isnan(gradient).tolist() == [True, False]
        evaluation = activate(Call(entry, dict(params)), np.array([np.nan, 1.0]), upstream=np.ones(2))
        assert evaluation.input_gradient is not None
        assert np.isnan(evaluation.input_gradient).tolist() == [True, False]
        assert all(np.isnan(each) for each in evaluation.param_gradients.values())


@over(ELEMENTWISE)
def test_both_zeros_are_the_same_number(entry: Elementwise) -> None:
    for params in settings_of(entry):
        for values in activate(Call(entry, dict(params)), np.array([0.0, -0.0]), order=2).orders:
            assert np.isfinite(values).all()
            assert values[0] == values[1]


@over(ELEMENTWISE)
def test_no_warning_whatever_the_caller_asks_of_numpy(entry: Elementwise) -> None:
    """Overflow, underflow and invalid operations in intermediate results raise no warning."""
    extremes = [np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324, -5e-324, 1e308, -1e308, 709.9, -745.2]
    with np.errstate(all="raise"):
        for name, dtype in FORMATS.items():
            held = extremes if name in WITH_NAN else extremes[1:]
            activate(Call(entry, dict(example(entry))), np.array(held), order=2, dtype=dtype)
        activate(Call(entry, dict(example(entry))), np.array(extremes), upstream=np.array(extremes))
