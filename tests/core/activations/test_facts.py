"""The facts that an entry states about its function, checked against its own formula in mpmath.

Facts that depend on parameters hold at the defaults; formulas and kinks are tried at random parameters too.
The facts of activations that mix elements are in test_rowwise.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterator
from functools import cache, partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.activations.definition import Activation, Elementwise
from app.core.activations.formula import Expression
from app.core.activations.parameters import Parameter
from app.core.arithmetic import Array
from tests.core.activations.test_promise import (
    ELEMENTWISE,
    changes_sign_near,
    draw_all,
    example,
    hard_points,
    over,
    parameter_gradients,
    random_points,
)
from tests.support.oracle import arithmetic, exact, nearest_float, ulps

MP = arithmetic(440).context
HIGHEST = (2800,)
"""Bits that resolve 1 − 1e-300."""

FAR = (1e250, 3e275, 1e300)
TINY = MP.mpf(2) ** -400
"""A step beside a kink, or a difference that counts as zero."""

SIDES = {"negative": -1, "positive": 1}
KINKED = [entry for entry in ELEMENTWISE if entry.kinks]
LEARNED = [(entry, each) for entry in ELEMENTWISE for each in entry.parameters if each.learnable]
assert KINKED
assert LEARNED

everywhere = pytest.mark.parametrize("entry", REGISTRY.values(), ids=lambda entry: entry.name)
learned = pytest.mark.parametrize(
    ("entry", "parameter"), LEARNED, ids=[f"{entry.name}-{each.name}" for entry, each in LEARNED]
)


def at(entry: Elementwise, order: int, x: Any, params: dict[str, Any] | None = None) -> Any:
    """The formula of that order at ``x``, an mpmath number or a float, in 440 bits."""
    values = {"x": x, **(example(entry) if params is None else params)}
    return exact(entry, entry.formulas.orders[order], values, precisions=(440,))


def fact(entry: Activation, text: str, params: dict[str, float] | None = None) -> Any:
    """A fact given as a formula, in mpmath."""
    judge = arithmetic(HIGHEST[0])
    numbers = {name: judge.number(digits) for name, (_, digits) in entry.constants.items()}
    numbers |= {name: judge.context.mpf(value) for name, value in (params or entry.defaults).items()}
    return judge.context.mpf(entry.expression(text).evaluate(judge, numbers))


def far_out(entry: Elementwise, order: int, sign: int) -> list[Any]:
    """The formula far out on one side."""
    expression = entry.formulas.orders[order]
    return [exact(entry, expression, {"x": sign * x, **example(entry)}, precisions=HIGHEST) for x in FAR]


def generator(entry: Activation, salt: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(f"{entry.name} {salt}".encode()))


def computed(entry: Elementwise, x: Array, params: dict[str, float]) -> list[Array]:
    with np.errstate(all="ignore"):
        return list(entry.orders(x, 3, **params))


def grid(entry: Elementwise) -> list[float]:
    """Points in [−40, 40], kinks with their neighbours and a few points far out, sorted."""
    kinks = entry.break_points()
    beside = [math.nextafter(kink, side) for kink in kinks for side in (-math.inf, math.inf)]
    right = [1e-300, *np.linspace(0, 12, 241).tolist(), *np.linspace(13, 40, 28).tolist(), 1e4, *FAR]
    return sorted({*right, *(-x for x in right), *kinks, *beside})


@cache
def values_on_grid(name: str, order: int) -> list[Any]:
    entry = REGISTRY[name]
    assert isinstance(entry, Elementwise)
    return [at(entry, order, x) for x in grid(entry)]


# Range, limits, slopes, means


def peak(function: Any, left: float, right: float) -> Any:
    """The largest value between two points of a function with a single maximum there."""
    a, b = MP.mpf(left), MP.mpf(right)
    for _ in range(80):
        third = (b - a) / 3
        low, high = a + third, b - third
        a, b = (low, b) if function(low) < function(high) else (a, high)
    return function((a + b) / 2)


def supremum(entry: Elementwise, order: int, measure: Any, within: float = math.inf) -> Any:
    """sup of measure(f) for one order over |x| ≤ within: the largest on the grid, refined beside it."""
    near = [
        (measure(value), x)
        for x, value in zip(grid(entry), values_on_grid(entry.name, order), strict=True)
        if abs(x) <= within
    ]
    best = max(range(len(near)), key=near.__getitem__)
    if best in (0, len(near) - 1):
        return near[best][0]
    around = near[best - 1][1], near[best + 1][1]
    return max(near[best][0], peak(lambda x: measure(at(entry, order, x)), *around))


@over(ELEMENTWISE)
@pytest.mark.parametrize("end", [0, 1])
def test_range_is_respected_and_used_up(entry: Elementwise, end: int) -> None:
    sign = (-1, 1)[end]
    bound = sign * fact(entry, entry.range[1:-1].split(",")[end])
    reached = supremum(entry, 0, lambda value: sign * value)
    closed = entry.range[(0, -1)[end]] in "[]"
    if bound == math.inf:
        assert not closed
        assert reached > 1e100
        return
    # Where the extremum is no closed expression, an entry states it in some twenty decimals.
    slack = 1e-18 * abs(bound)
    assert bound - 1e-12 * max(abs(bound), 1) <= reached <= bound + slack
    # A bound that is a value is one not far from 0: corners and humps lie there.
    within = max(3.0, *map(abs, entry.break_points()), 0.0)
    assert closed == (supremum(entry, 0, lambda value: sign * value, within=within) >= bound - slack)


@over(ELEMENTWISE)
def test_what_is_computed_lies_in_the_range(entry: Elementwise) -> None:
    low, high = (nearest_float(fact(entry, text)) for text in entry.range[1:-1].split(","))
    points = np.array([*hard_points(entry, example(entry)), *random_points(entry, 500)])
    values = computed(entry, points, example(entry))[0]
    # An open end may be reached by rounding, never passed.
    assert ((values >= low) & (values <= high)).all()


@over(ELEMENTWISE)
@pytest.mark.parametrize("end", [0, 1])
def test_limits(entry: Elementwise, end: int) -> None:
    stated = entry.limits[end]
    values = far_out(entry, 0, (-1, 1)[end])
    if stated is None:
        assert max(values) - min(values) > 1e-3 * max(map(abs, values))
        return
    limit = fact(entry, stated)
    if math.isinf(limit):
        assert all(value * limit > 0 for value in values)
        assert all(abs(a) < abs(b) for a, b in pairwise(values))
        assert abs(values[-1]) > 1e100
    else:
        assert all(abs(value - limit) <= 1e-240 for value in values)


@over(ELEMENTWISE)
@pytest.mark.parametrize("side", SIDES)
def test_saturates_where_the_slope_vanishes(entry: Elementwise, side: Any) -> None:
    vanishes = all(abs(slope) < 1e-100 for slope in far_out(entry, 1, SIDES[side]))
    assert vanishes == (side in entry.saturates)


@over(ELEMENTWISE)
def test_largest_slope(entry: Elementwise) -> None:
    stated = fact(entry, entry.largest_slope)
    steepest = supremum(entry, 1, abs)
    if math.isinf(stated):
        assert steepest > 1e100
    else:
        assert abs(steepest - stated) <= stated * 1e-12
        assert steepest <= stated * (1 + MP.mpf("1e-18"))


@over(ELEMENTWISE)
def test_monotone(entry: Elementwise) -> None:
    values = values_on_grid(entry.name, 0)
    assert entry.monotone == all(a <= b for a, b in pairwise(values))


@over(ELEMENTWISE)
def test_zero_centred(entry: Elementwise) -> None:
    judge = arithmetic(100).context
    parts = sorted({-12.0, 12.0, *np.linspace(-8, 8, 17).tolist(), *entry.break_points()})
    parts = [x for x in parts if abs(x) <= 12]

    def weighted(z: Any) -> Any:
        f = exact(entry, entry.formulas.value, {"x": z, **example(entry)}, precisions=(100,))
        return f * judge.exp(-z * z / 2)

    # Beyond ±12 the normal density is below 1e-31.
    mean = judge.quad(weighted, parts, method="gauss-legendre", maxdegree=4)
    assert entry.zero_centred == (abs(mean) < 1e-12)


# Kinks


def kinks(entry: Elementwise, params: dict[str, float]) -> list[Any]:
    """The kinks in mpmath, infinite ones left out."""
    return [kink for text in entry.kinks if math.isfinite(kink := fact(entry, text, params))]


def jumps(entry: Elementwise, order: int, kink: Any, params: dict[str, float]) -> tuple[Any, Any]:
    """The limits from the left and from the right."""
    left, right = (value_at(entry, order, kink + side * TINY, params) for side in (-1, 1))
    return left, right


def value_at(entry: Elementwise, order: int, kink: Any, params: dict[str, float]) -> Any:
    return exact(entry, entry.formulas.orders[order], {"x": kink, **params}, precisions=HIGHEST)


def differ(a: Any, b: Any) -> bool:
    return bool(abs(a - b) > 1e-60)


def settings_of(entry: Elementwise) -> Iterator[dict[str, float]]:
    """The defaults and, where there are parameters, three random choices."""
    yield example(entry)
    if entry.parameters:
        rng = generator(entry, "settings")
        yield from (draw_all(entry, rng) for _ in range(3))


@over(ELEMENTWISE)
def test_smoothness_counts_the_continuous_derivatives(entry: Elementwise) -> None:
    broken = [
        order
        for kink in kinks(entry, example(entry))
        for order in range(3)
        if differ(*jumps(entry, order, kink, example(entry)))
    ]
    # Where none of the three breaks, one beyond them may.
    assert entry.smoothness in ({min(broken) - 1} if broken else {2, math.inf})


@over(KINKED)
def test_every_kink_is_one(entry: Elementwise) -> None:
    for kink in kinks(entry, example(entry)):
        assert any(differ(*jumps(entry, order, kink, example(entry))) for order in range(3)), kink


@over(KINKED)
def test_convention_at_kinks(entry: Elementwise) -> None:
    """f and f′ belong to one side, the same one where f jumps; a flat side wins at a corner.

    Where f″ jumps, it is 0.
    """
    for params in settings_of(entry):
        for kink in kinks(entry, params):
            (f, *sides_of_f), (slope, *sides), (curvature, *bends) = (
                (value_at(entry, order, kink, params), *jumps(entry, order, kink, params))
                for order in range(3)
            )
            whose = [not differ(f, of_side) for of_side in sides_of_f]
            assert any(whose)
            if all(whose) and 0 in sides:
                assert slope == 0
            assert any(own and not differ(slope, of_side) for own, of_side in zip(whose, sides, strict=True))
            assert curvature == 0 or not differ(*bends)


@over(KINKED)
def test_the_kernel_follows_the_convention(entry: Elementwise) -> None:
    for params in settings_of(entry):
        points = np.array(entry.break_points(params))
        for order, values in enumerate(computed(entry, points, params)):
            for x, got in zip(points.tolist(), values.tolist(), strict=True):
                truth = exact(entry, entry.formulas.orders[order], {"x": x, **params})
                assert ulps(got, truth) <= (2, 2, 4)[order]


@over(ELEMENTWISE)
def test_no_jump_apart_from_the_kinks(entry: Elementwise) -> None:
    """Bisection of every cell of a fine grid: what does not shrink with the cell is a jump."""
    for params in settings_of(entry):
        left, right = cells(entry, params)
        for order in range(3):
            low, high = left, right
            for _ in range(60):
                low, high = rougher_halves(entry, order, low, high, params)
            a, b = (computed(entry, ends, params)[order] for ends in (low, high))
            rough = np.abs(a - b) > 1e-6 * np.maximum(1, np.maximum(np.abs(a), np.abs(b)))
            assert not rough.any(), (order, low[rough].tolist(), params)


def cells(entry: Elementwise, params: dict[str, float]) -> tuple[Array, Array]:
    """A grid of [−45, 45] as cells, with a little space left around each kink."""
    ends = np.linspace(-45, 45, 3001)
    around = [
        (kink - abs(kink) * 1e-12 - 1e-300, kink + abs(kink) * 1e-12 + 1e-300)
        for kink in entry.break_points(params)
    ]
    points = np.unique([*ends, *(end for pair in around for end in pair)])
    outside = np.ones(points.size - 1, bool)
    for low, high in around:
        outside &= (points[1:] <= low) | (points[:-1] >= high)
    return points[:-1][outside], points[1:][outside]


def rougher_halves(
    entry: Elementwise, order: int, low: Array, high: Array, params: dict[str, float]
) -> tuple[Array, Array]:
    middle = low / 2 + high / 2
    a, m, b = (computed(entry, points, params)[order] for points in (low, middle, high))
    first = np.abs(m - a) >= np.abs(b - m)
    return np.where(first, low, middle), np.where(first, middle, high)


# Formulas: each order is the derivative of the one before


def ordinary_points(entry: Elementwise, params: dict[str, float], count: int) -> list[float]:
    points = generator(entry, "points").normal(scale=3, size=count).tolist()
    return [x for x in points if all(abs(x - kink) > 1e-3 for kink in entry.break_points(params))]


@over(ELEMENTWISE)
@pytest.mark.parametrize("order", [1, 2])
def test_each_order_is_the_derivative_of_the_one_before(entry: Elementwise, order: int) -> None:
    for params in settings_of(entry):
        points = ordinary_points(entry, params, 8)
        assert points
        for x in points:
            slope = MP.diff(partial(at, entry, order - 1, params=params), MP.mpf(x))
            assert abs(slope - at(entry, order, x, params)) <= 1e-40 * max(1, abs(slope))


@learned
def test_gradient_formula_is_the_derivative_in_the_parameter(
    entry: Elementwise, parameter: Parameter
) -> None:
    assert parameter.gradient is not None
    for params in settings_of(entry):
        for x in ordinary_points(entry, params, 8):
            values = {"x": x, **params}
            slope = MP.diff(
                lambda theta, given=values: exact(
                    entry, entry.formulas.value, {**given, parameter.name: theta}, precisions=(440,)
                ),
                MP.mpf(params[parameter.name]),
            )
            stated = exact(entry, parameter.gradient, values, precisions=(440,))
            assert abs(slope - stated) <= 1e-40 * max(1, abs(slope))


@learned
def test_parameter_gradients_within_two_ulp(entry: Elementwise, parameter: Parameter) -> None:
    assert parameter.gradient is not None
    for params in settings_of(entry):
        points = np.array([*hard_points(entry, params), *random_points(entry, 40)])
        gradients = parameter_gradients(entry, points, params)
        for x, got in zip(points.tolist(), gradients[parameter.name].tolist(), strict=True):
            error = gradient_error(entry, parameter.gradient, got, {"x": x, **params})
            assert error <= 2, f"{error:.3g} ulp at x = {x!r} with {params}"


def gradient_error(entry: Elementwise, gradient: Expression, got: float, values: dict[str, float]) -> float:
    truth = exact(entry, gradient, values)
    error = ulps(got, truth)
    if error > 2 and changes_sign_near(entry, gradient, values):
        return ulps(got, truth, exact(entry, gradient, values, terms=True))
    return error


@over(ELEMENTWISE)
def test_orders_can_be_taken_one_by_one(entry: Elementwise) -> None:
    points = np.array([-2.5, -0.0, 0.5, 4.0])
    before = points.copy()
    three = computed(entry, points, example(entry))
    assert len(three) == len(entry.formulas.orders) == 3
    (first,) = entry.orders(points, 1, **example(entry))
    np.testing.assert_array_equal(first, three[0])
    np.testing.assert_array_equal(points, before)
    assert all(each.shape == points.shape and each.dtype == points.dtype for each in three)
    assert not any(np.shares_memory(each, points) for each in three)


# Texts and sources


@everywhere
def test_texts_in_both_languages(entry: Activation) -> None:
    hangul = re.compile("[가-힣]")
    for text in (entry.title, entry.summary):
        assert text.en.strip() == text.en != ""
        assert text.ko.strip() == text.ko != ""
        assert not hangul.search(text.en)
    assert hangul.search(entry.summary.ko)
    assert entry.summary.en.endswith(".")
    assert entry.summary.ko.endswith("다.")
    for english, korean in (each.description for each in entry.parameters):
        assert english
        assert hangul.search(korean)


def test_titles_tell_the_entries_apart() -> None:
    for language in ("en", "ko"):
        titles = [getattr(entry.title, language) for entry in REGISTRY.values()]
        assert len(set(titles)) == len(titles) > 0


@everywhere
def test_references(entry: Activation) -> None:
    assert entry.references
    for reference in entry.references:
        assert reference.authors
        assert reference.title
        assert 1800 <= reference.year <= 2026
        if reference.identifier is not None:
            arxiv = re.fullmatch(r"arXiv:(\d\d)(0[1-9]|1[0-2])\.\d{4,5}", reference.identifier)
            assert arxiv or re.fullmatch(r"doi:10\.\d{4,9}/\S+", reference.identifier)
            # A preprint may appear in the year before its paper, hardly ever later than it.
            assert not arxiv or 0 <= reference.year - (2000 + int(arxiv[1])) <= 1


@everywhere
def test_constants_are_the_nearest_doubles_when_read(entry: Activation) -> None:
    for name, (symbol, digits) in entry.constants.items():
        assert symbol
        assert entry.numbers[name] == nearest_float(MP.mpf(digits))
