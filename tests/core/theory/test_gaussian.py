"""Gaussian expectations against closed forms and against mpmath on the registry's own formulas."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import mpmath
import numpy as np
import pytest
from scipy import special

from app.core.activations import REGISTRY
from app.core.activations.definition import Elementwise
from app.core.errors import LimitExceeded
from app.core.theory.gaussian import Array, Plane, covariance, expectation
from tests.core.activations.test_promise import example
from tests.support.oracle import arithmetic

ELEMENTWISE = [entry for entry in REGISTRY.values() if isinstance(entry, Elementwise)]
assert ELEMENTWISE

VARIANCES = np.array([1e-30, 1e-6, 0.01, 0.3, 0.97, 3.7, 20.0, 300.0, 1e5, 1e12])
CORRELATIONS = np.array([-1.0, -0.999, -0.5, 0.0, 0.3, 0.9, 0.999, 1 - 1e-7, 1.0])


def relu(x: Array) -> Array:
    return np.maximum(x, 0.0)


def relative(got: Array, exact: Any, scale: Any) -> float:
    return float(np.max(np.abs(got - np.asarray(exact)) / np.asarray(scale)))


@pytest.mark.parametrize(("power", "moment"), [(0, 1), (2, 1), (4, 3), (6, 15), (8, 105)])
def test_moments_of_the_normal_distribution(power: int, moment: int) -> None:
    exact = moment * VARIANCES ** (power / 2)
    assert relative(expectation(lambda x: x**power, VARIANCES), exact, exact) < 1e-14


def test_exponential_far_beyond_its_centre() -> None:
    q = np.array([1e-4, 0.1, 1.0, 4.0, 50.0])
    with np.errstate(over="ignore"):
        got = expectation(lambda x: np.exp(2 * x), q)
    assert relative(got, np.exp(2 * q), np.exp(2 * q)) < 1e-13


def test_overflow_is_infinity() -> None:
    with np.errstate(over="ignore"):
        assert expectation(np.exp, np.array([1e6]))[0] == np.inf


def test_fast_oscillation() -> None:
    q = np.array([1e-5, 1e-3, 0.04, 1.0])
    assert relative(expectation(lambda x: np.cos(40 * x), q), np.exp(-800 * q), 1) < 1e-14


def test_an_oscillation_too_fast_is_refused() -> None:
    with pytest.raises(LimitExceeded):
        expectation(lambda x: np.sin(1e6 * x), np.array([1.0]))


def test_a_stack_of_functions_and_any_shape() -> None:
    q = np.array([[0.5, 2.0, 9.0]])
    both = expectation(lambda x: np.stack([x**2, relu(x)]), q, (0.0,))
    assert both.shape == (2, 1, 3)
    assert relative(both[1], np.sqrt(q / (2 * np.pi)), np.sqrt(q)) < 1e-15
    assert expectation(np.square, np.array(2.0)).shape == ()


@pytest.mark.parametrize("entry", ELEMENTWISE, ids=lambda entry: entry.name)
def test_second_moments_of_every_activation(entry: Elementwise) -> None:
    params, q = example(entry), 1.7

    def squares(x: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.stack([order**2 for order in entry.orders(x, 2, **params)])

    got = expectation(squares, np.array([q]), entry.break_points(params))[:, 0]
    for order, value in enumerate(got.tolist()):
        exact = exact_second_moment(entry, params, q, order)
        assert abs(value - exact) <= 1e-12 * exact


def exact_second_moment(entry: Elementwise, params: dict[str, float], q: float, order: int) -> float:
    """E f(√q Z)² from the entry's formula: Gauss's rule on panels short enough for 30 rad a unit."""
    judge = arithmetic(100)
    mp = judge.context
    names = {name: judge.number(digits) for name, (_, digits) in entry.constants.items()}
    names |= {name: mp.mpf(value) for name, value in params.items()}
    deviation = mp.sqrt(mp.mpf(q))
    nodes, weights = (each.tolist() for each in np.polynomial.legendre.leggauss(32))

    def integrand(z: Any) -> Any:
        values = {**names, "x": deviation * z}
        for name, definition in entry.formulas.where.items():
            values[name] = definition.evaluate(judge, values)
        return entry.formulas.orders[order].evaluate(judge, values) ** 2 * mp.npdf(z)

    kinks = [mp.mpf(kink) / deviation for kink in entry.break_points(params)]
    edges = sorted([*(mp.mpf(place) / 2 for place in range(-20, 25)), *(z for z in kinks if abs(z) < 10)])
    total = mp.mpf(0)
    for low, high in pairwise(edges):
        half, middle = (high - low) / 2, (high + low) / 2
        total += half * sum(w * integrand(middle + half * x) for x, w in zip(nodes, weights, strict=True))
    return float(total)


def arc_cosine(q: Any, c: Any) -> Any:
    """ReLU: Cho and Saul 2009, "Kernel Methods for Deep Learning", degree 1."""
    angle = mpmath.acos(c)
    return q * (mpmath.sin(angle) + (mpmath.pi - angle) * c) / (2 * mpmath.pi)


def leaky_arc_cosine(q: Any, c: Any) -> Any:
    """max(x, x/5) = 4/5 relu(x) + x/5, and E relu(u₁) u₂ = qc/2."""
    a = mpmath.mpf(1) / 5
    return (1 - a) ** 2 * arc_cosine(q, c) + a * q * c


def arcsine(q: Any, c: Any) -> Any:
    """erf: Williams 1998, "Computation with Infinite Neural Networks"."""
    return 2 / mpmath.pi * mpmath.asin(2 * q * c / (1 + 2 * q))


def gelu_kernel(q: Any, c: Any) -> Any:
    """GELU: Tsuchida et al. 2020 (arXiv:2002.08517), here as Stein's lemma gives it."""
    r = q * c
    density = 1 / (2 * mpmath.pi * mpmath.sqrt((1 + q) ** 2 - r**2))
    orthant = r / 4 + r / (2 * mpmath.pi) * mpmath.asin(r / (1 + q))
    return orthant + density * (q**2 + r**2 * (1 - q) / (1 + q))


def fast_sine(q: Any, c: Any) -> Any:
    """sin 5x: (E cos 5(u₁ − u₂) − E cos 5(u₁ + u₂))/2."""
    return (mpmath.exp(-25 * q * (1 - c)) - mpmath.exp(-25 * q * (1 + c))) / 2


KERNELS: dict[str, tuple[Callable[[Array], Array], tuple[float, ...], Callable[[Any, Any], Any], float]] = {
    "relu": (relu, (0.0,), arc_cosine, 1e12),
    "leaky_relu": (lambda x: np.maximum(x, x / 5), (0.0,), leaky_arc_cosine, 1e12),
    "erf": (special.erf, (), arcsine, 300.0),
    "gelu": (lambda x: x * special.ndtr(x), (), gelu_kernel, 300.0),
    "sine": (lambda x: np.sin(5 * x), (), fast_sine, 0.3),
}


@pytest.mark.parametrize("name", KERNELS)
def test_covariance_against_the_closed_form(name: str) -> None:
    f, kinks, kernel, largest = KERNELS[name]
    variances = VARIANCES[largest >= VARIANCES]
    q, c = np.meshgrid(variances, CORRELATIONS, indexing="ij")
    with mpmath.workdps(90):
        exact = np.vectorize(lambda q, c: float(kernel(mpmath.mpf(q), mpmath.mpf(c))))(q, c)
    assert relative(covariance(f, q, c, kinks), exact, exact[:, -1:]) < 1e-12


@pytest.mark.parametrize("name", KERNELS)
def test_the_difference_of_nearly_equal_inputs_keeps_its_digits(name: str) -> None:
    """V − C keeps its digits where V and C agree in nine of theirs."""
    f, kinks, kernel, largest = KERNELS[name]
    q = VARIANCES[(largest >= VARIANCES) & (VARIANCES >= 1e-6)]
    for angle in (0.5, 1e-2, 1e-4):
        with mpmath.workdps(90):
            c = mpmath.cos(mpmath.mpf(angle))
            exact = [
                float(kernel(mpmath.mpf(v), mpmath.mpf(1)) - kernel(mpmath.mpf(v), c)) for v in q.tolist()
            ]
        got = Plane(f, kinks).difference(q, np.full(q.size, angle))
        assert relative(got, exact, exact) < 1e-13 + 1e-14 / angle


def test_covariance_of_an_even_function_that_decays() -> None:
    """E e^−(u₁² + u₂²) is a ratio of determinants."""
    q, c = np.meshgrid([0.3, 3.7, 20.0], CORRELATIONS, indexing="ij")
    exact = 1 / np.sqrt((1 + 2 * q * (1 - c)) * (1 + 2 * q * (1 + c)))
    assert relative(covariance(lambda x: np.exp(-(x**2)), q, c), exact, exact[:, -1:]) < 1e-12


PIECEWISE = {
    "hard tanh": (-1.0, [(-1.0, 1.0), (1.0, -1.0)]),
    "unequal corners": (-1.0, [(-1.0, 1.0), (1.1, -1.0)]),
    "corner and origin": (0.0, [(0.0, 1.0), (6.0, -1.0)]),
    "zigzag": (0.25, [(-0.5, 2.0), (0.2, -3.0), (0.3, 1.5)]),
}
"""The value far to the left, and the corners with their change of slope."""


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=pytest.mark.slow if each == "zigzag" else ()) for each in PIECEWISE]
)
def test_covariance_with_kinks_off_the_origin(name: str) -> None:
    level, corners = PIECEWISE[name]

    def f(x: Array) -> Array:
        return np.asarray(level + sum(jump * relu(x - corner) for corner, jump in corners))

    for q in (0.3, 30.0):
        second = expectation(lambda x: f(x) ** 2, np.array([q]), [corner for corner, _ in corners])[0]
        for c in (-0.9, 0.97):
            got = covariance(f, np.array(q), np.array(c), [corner for corner, _ in corners])
            assert abs(got - exact_piecewise(level, corners, q, c)) < 2e-13 * second


def exact_piecewise(level: float, corners: list[tuple[float, float]], q: float, c: float) -> float:
    """E f(u₁) E[f(u₂) | u₁]: the inner mean of max(u₂ − b, 0) is closed, the outer integral is mpmath's."""
    with mpmath.workdps(20):
        deviation = mpmath.sqrt(mpmath.mpf(q))
        rest = deviation * mpmath.sqrt(1 - mpmath.mpf(c) ** 2)

        def mean_of_ramp(mean: Any, corner: float) -> Any:
            z = (mean - corner) / rest
            return (mean - corner) * mpmath.ncdf(z) + rest * mpmath.npdf(z)

        def integrand(z: Any) -> Any:
            u = deviation * z
            value = level + sum(jump * max(u - corner, 0) for corner, jump in corners)
            mean = level + sum(jump * mean_of_ramp(c * u, corner) for corner, jump in corners)
            return value * mean * mpmath.npdf(z)

        # The places of the kinks in the inner means, and of those in f.
        bends = {corner / deviation for corner, _ in corners}
        bends |= {corner / (c * deviation) for corner, _ in corners if c}
        edges = sorted({*range(-9, 10), *(z for z in bends if abs(z) < 9)})
        return float(mpmath.quad(integrand, edges, method="gauss-legendre"))


@pytest.mark.parametrize("threshold", [0.0, 0.7, -0.4])
def test_a_jump_separates_outputs_with_the_probability_between(threshold: float) -> None:
    """E ½(s(u₁) − s(u₂))² = P(u₁ > b ≥ u₂) for a unit step at b: Φ(−h) − P(u₁, u₂ > b), h = b/√q."""
    plane = Plane(lambda x: (x > threshold).astype(np.float64), (threshold,), power=1)
    angles = np.array([3.0, 1.6, 0.4, 0.02])
    for q in (0.3, 4.0, 100.0):
        h = threshold / np.sqrt(q)
        between = 2 * special.owens_t(h, np.tan(angles / 2)) if h else angles / (2 * np.pi)
        assert relative(plane.difference(np.full(4, q), angles), between, between) < 1e-12


def test_a_jump_separates_outputs_of_nearly_equal_inputs() -> None:
    """The lines u₁ = b and u₂ = b all but coincide; where they cross must not be lost in rounding."""
    q, threshold = np.array([1 / 64, 0.3, 1.0]), 0.7
    plane = Plane(lambda x: (x > threshold).astype(np.float64), (threshold,), power=1)
    for angle in (0.01, 1e-3, 1e-4):
        between = 2 * special.owens_t(threshold / np.sqrt(q), np.tan(angle / 2))
        assert relative(plane.difference(q, np.full(3, angle)), between, between) < 3e-12


def test_what_oscillates_too_fast_over_the_plane_is_nan() -> None:
    assert np.isnan(Plane(lambda x: np.sin(200 * x)).difference(np.array([9.0]), np.array([1.0]))).all()
