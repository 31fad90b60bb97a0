"""The promise, over the whole registry: f and f′ within 2 ulp, f″ within 4, against mpmath.

Near a zero of f′ or f″ where a sum cancels, the bound is in ulps of the sum's largest term.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.activations import REGISTRY
from app.core.activations.definition import Elementwise
from app.core.activations.formula import Expression, FloatArithmetic
from app.core.activations.parameters import Flags, Integers, Parameter
from app.core.arithmetic import Array, Value
from tests.support.oracle import LARGEST, SMALLEST, exact, ulps

BOUND = (2.0, 2.0, 4.0)
ELEMENTWISE = [entry for entry in REGISTRY.values() if isinstance(entry, Elementwise)]
assert ELEMENTWISE


PARAMETRIC = [entry for entry in ELEMENTWISE if entry.parameters]


def over(entries: list[Elementwise]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("entry", entries, ids=lambda entry: entry.name)


def hard_points(entry: Elementwise, params: dict[str, float]) -> Iterator[float]:
    """Kinks and their neighbours, zero down to the subnormals, tails up to overflow, saturation edges."""
    for kink in entry.break_points(params):
        yield from (kink, np.nextafter(kink, -np.inf), np.nextafter(kink, np.inf))
    for size in (SMALLEST, 2.3e-308, 1e-300, 1e-160, 1e-30, 1e-17, 1e-8, 1e-5, 1e-3, 0.1):
        yield from (size, -size)
    for edge in (
        18.7,
        19.1,
        20.0,
        36.0,
        36.7,
        37.43,
        38.6,
        39.0,
        354.9,
        372.6,
        700.0,
        709.0,
        709.8,
        745.0,
        745.2,
    ):
        yield from (edge, -edge)
    for size in (*np.geomspace(30.0, LARGEST / 2, 24), LARGEST):
        yield from (size, -size)
    yield from (0.0, -0.0, 0.5, 1.0, -1.0)


def random_points(entry: Elementwise, count: int) -> Iterator[float]:
    rng = np.random.default_rng(zlib.crc32(entry.name.encode()))
    yield from rng.uniform(-30, 30, count)
    yield from rng.uniform(-3, 3, count // 2)
    yield from rng.uniform(-750, 715, count // 2)
    yield from np.exp(rng.uniform(np.log(1e-300), np.log(1e300), count // 2)) * rng.choice(
        [-1, 1], count // 2
    )


def draw(parameter: Parameter, rng: np.random.Generator) -> float:
    low, high = parameter.typical
    if isinstance(parameter.domain, Integers | Flags):
        return float(rng.integers(int(low), int(high) + 1))
    return float(rng.uniform(low, high))


def worst(
    entry: Elementwise,
    points: np.ndarray,
    params: dict[str, float],
    order: int,
    answered: np.ndarray | None = None,
) -> tuple[float, float]:
    """The largest error in ulp (of the largest term where the sum cancels) and where it is.

    Checked are the values ``answered``, or where none are given the entry's own.
    """
    if answered is None:
        with np.errstate(all="ignore"):
            got = entry.orders(points, order + 1, False, **params)[order]
    else:
        got = answered
    expression = entry.formulas.orders[order]
    error, place = 0.0, 0.0
    for x, y in zip(points.tolist(), got.tolist(), strict=True):
        values = {"x": x, **params}
        truth = exact(entry, expression, values)
        here = ulps(y, truth)
        if order and here > BOUND[order] and changes_sign_near(entry, expression, values):
            here = ulps(y, truth, exact(entry, expression, values, terms=True))
        if here > error:
            error, place = here, x
    return error, place


def changes_sign_near(entry: Elementwise, expression: Expression, values: dict[str, float]) -> bool:
    sides = [exact(entry, expression, {**values, "x": values["x"] * factor}) for factor in (0.5, 1.5)]
    return bool(sides[0] * sides[1] < 0)


@over(ELEMENTWISE)
@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("count", [60, pytest.param(400, marks=pytest.mark.slow)])
def test_default_parameters(entry: Elementwise, order: int, count: int) -> None:
    points = np.array([*hard_points(entry, entry.defaults), *random_points(entry, count)])
    error, place = worst(entry, points, example(entry), order)
    assert error <= BOUND[order], f"{error:.3g} ulp at x = {place!r}"


@over(PARAMETRIC)
@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("count", [2, pytest.param(12, marks=pytest.mark.slow)])
def test_random_parameters(entry: Elementwise, order: int, count: int) -> None:
    rng = np.random.default_rng(zlib.crc32(entry.name.encode()) + order)
    for _ in range(count):
        params = draw_all(entry, rng)
        points = np.array([*hard_points(entry, params), *random_points(entry, 16)])
        error, place = worst(entry, points, params, order)
        assert error <= BOUND[order], f"{error:.3g} ulp at x = {place!r} with {params}"


@over(ELEMENTWISE)
@settings(max_examples=50, deadline=None, derandomize=True)
@given(x=st.floats(allow_nan=False, allow_infinity=False))
def test_any_float(entry: Elementwise, x: float) -> None:
    for order, bound in enumerate(BOUND):
        error, _ = worst(entry, np.array([x]), example(entry), order)
        assert error <= bound, f"order {order}: {error:.3g} ulp at x = {x!r}"


def example(entry: Elementwise) -> dict[str, float]:
    """The defaults, completed with the middle of the typical range where a value is required."""
    return {
        each.name: each.default if each.default is not None else sum(each.typical) / 2
        for each in entry.parameters
    }


def parameter_gradients(entry: Elementwise, x: Array, params: Mapping[str, Value]) -> dict[str, Array]:
    """∂f/∂θ at every x, for every learnable parameter."""
    return entry.parameter_derivatives(x, **params)


def draw_all(entry: Elementwise, rng: np.random.Generator) -> dict[str, float]:
    """Parameters drawn from their typical ranges until the entry's constraints hold."""
    while True:
        params = {each.name: draw(each, rng) for each in entry.parameters}
        if all(constraint.evaluate(FloatArithmetic(), params) for constraint in entry.constraints):
            return params
