"""Parameters over the whole registry: domains, names, constraints, arrays and their gradients."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.activations import REGISTRY
from app.core.activations.definition import Activation, Elementwise
from app.core.activations.formula import FloatArithmetic
from app.core.activations.parameters import Integers, Interval, Parameter
from app.core.activations.registry import Call
from app.core.arithmetic import Array
from app.core.errors import InvalidValue, UnknownName
from app.core.evaluation import activate
from tests.core.activations.test_promise import ELEMENTWISE, draw, draw_all
from tests.support.oracle import arithmetic, exact, nearest_float

ENTRIES = list(REGISTRY.values())
PARAMETERS = [(entry, each) for entry in ENTRIES for each in entry.parameters]
SPREAD = [
    (entry, each)
    for entry in ELEMENTWISE
    for each in entry.parameters
    if each.shape is None and isinstance(each.domain, Interval)
]
LEARNED = [(entry, each) for entry, each in SPREAD if each.learnable]
CONSTRAINED = [entry for entry in ELEMENTWISE if entry.constraints]
DEMANDED = [
    (binding.spellings[0], argument.name)
    for entry in ENTRIES
    for binding in REGISTRY.bindings(entry.name)
    for argument in binding.name.arguments
    if argument.default is None
]
assert PARAMETERS
assert SPREAD
assert LEARNED
assert CONSTRAINED
assert DEMANDED


def over(pairs: list[tuple[Any, Parameter]]) -> pytest.MarkDecorator:
    names = [f"{entry.name}-{each.name}" for entry, each in pairs]
    return pytest.mark.parametrize(("entry", "parameter"), pairs, ids=names)


def generator(entry: Activation, parameter: Parameter) -> np.random.Generator:
    return np.random.default_rng(sum(map(ord, f"{entry.name} {parameter.name}")))


def shaped(parameter: Parameter, value: float) -> float | Array:
    """``value``, or where an array is wanted one that holds it among ones."""
    if parameter.shape is None:
        return value
    array = np.ones((2,) * len(parameter.shape))
    array.flat[-1] = value
    return array


def given_with(entry: Activation, parameter: Parameter, value: Any) -> dict[str, Any]:
    """Values for the required parameters, and ``value`` for this one."""
    required = {each.name: shaped(each, sum(each.typical) / 2) for each in entry.parameters if each.required}
    return required | {parameter.name: value}


# Domains


@over(PARAMETERS)
def test_outside_the_domain_is_refused(entry: Activation, parameter: Parameter) -> None:
    outside = list(parameter.domain.outside())
    assert outside
    for value in outside:
        assert not parameter.domain.contains(value)
        with pytest.raises(InvalidValue) as caught:
            REGISTRY.resolve(entry.name, given_with(entry, parameter, shaped(parameter, value)))
        assert caught.value.message == f"must be {parameter.domain}"
        assert caught.value.loc == ("params", parameter.name)


@over(SPREAD)
def test_one_bad_element_of_an_array_is_refused(entry: Elementwise, parameter: Parameter) -> None:
    good = draw_all(entry, generator(entry, parameter))
    for value in parameter.domain.outside():
        array = np.full((2, 3), good[parameter.name])
        array[1, 1] = value
        with pytest.raises(InvalidValue) as caught:
            REGISTRY.resolve(entry.name, good | {parameter.name: array})
        assert str(parameter.domain) in caught.value.message


@over(PARAMETERS)
@pytest.mark.parametrize("value", ["1", "NaN", "", True, False])
def test_what_is_no_number_is_refused(entry: Activation, parameter: Parameter, value: Any) -> None:
    with pytest.raises(InvalidValue) as caught:
        REGISTRY.resolve(entry.name, given_with(entry, parameter, value))
    assert caught.value.message == f"must be {parameter.domain}"


@over(PARAMETERS)
def test_typical_values_and_defaults_lie_in_the_domain(entry: Activation, parameter: Parameter) -> None:
    rng = generator(entry, parameter)
    low, high = parameter.typical
    assert low < high
    for value in [*(draw(parameter, rng) for _ in range(50)), parameter.default]:
        if value is not None:
            assert parameter.domain.contains(value)


bounds = st.floats(-1e6, 1e6)


@given(ends=st.tuples(bounds, bounds).map(sorted), shape=st.sampled_from(["()", "[]", "(]", "[)"]))
def test_an_interval_contains_what_it_says(ends: list[float], shape: str) -> None:
    low, high = ends
    interval = Interval(f"{shape[0]}{low!r}, {high!r}{shape[1]}")
    assert (interval.low, interval.high) == (low, high)
    if low < high:
        assert interval.contains(low) == (shape[0] == "[")
        assert interval.contains(high) == (shape[1] == "]")
        inside = np.nextafter([low, high], [high, low])
        assert interval.contains(inside) or inside[0] >= high
    assert not any(map(interval.contains, interval.outside()))
    assert not interval.contains(np.array([low / 2 + high / 2, math.nan]))
    assert interval.text in str(interval)


def test_infinite_ends() -> None:
    assert Interval("(-inf, inf]").contains(math.inf)
    assert not Interval("(-inf, inf)").contains(math.inf)
    assert list(Interval("[-inf, inf]").outside())[:-1] == []


def test_whole_numbers() -> None:
    domain = Integers(2, 5)
    assert [value for value in range(8) if domain.contains(value)] == [2, 3, 4, 5]
    assert not any(map(domain.contains, domain.outside()))
    assert not domain.contains(np.array([2.0, 3.0]))
    assert "2" in str(domain)
    assert "5" in str(domain)


# Names


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_unknown_parameters_are_refused(entry: Activation) -> None:
    with pytest.raises(UnknownName) as caught:
        REGISTRY.resolve(entry.name, {"no such parameter": 1.0})
    assert caught.value.loc == ("params",)
    for each in entry.parameters:
        assert each.name in caught.value.message
    assert entry.parameters or "none is allowed" in caught.value.message


@over([pair for pair in PARAMETERS if len(pair[1].name) > 3])
def test_a_misspelt_parameter_is_suggested(entry: Activation, parameter: Parameter) -> None:
    for misspelt in (parameter.name[:-1] + "_", parameter.name.upper() + "s"):
        with pytest.raises(UnknownName, match="did you mean") as caught:
            REGISTRY.resolve(entry.name, {misspelt: 1.0})
        assert parameter.name in caught.value.message
        assert misspelt not in caught.value.message


@pytest.mark.parametrize(("name", "argument"), DEMANDED)
def test_what_a_framework_demands_is_demanded(name: str, argument: str) -> None:
    with pytest.raises(InvalidValue, match="is required") as caught:
        REGISTRY.resolve(name)
    assert caught.value.loc[0] == "params"
    others = {each: 0.25 for key, each in DEMANDED if key == name and each != argument}
    with pytest.raises(InvalidValue, match=f"{argument} is required"):
        REGISTRY.resolve(name, others)


# Constraints


def holds(entry: Elementwise, params: Mapping[str, Any]) -> bool:
    return all(each.evaluate(FloatArithmetic(), params) for each in entry.constraints)


@pytest.mark.parametrize("entry", CONSTRAINED, ids=lambda entry: entry.name)
def test_constraints(entry: Elementwise) -> None:
    rng = np.random.default_rng(1)
    draws = [{each.name: rng.uniform(-3, 3) for each in entry.parameters} for _ in range(200)]
    draws = [
        params
        for params in draws
        if all(each.domain.contains(params[each.name]) for each in entry.parameters)
    ]
    kept = [params for params in draws if holds(entry, params)]
    assert kept
    assert len(kept) < len(draws)
    for params in draws:
        if params in kept:
            assert REGISTRY.resolve(entry.name, params).params == params
            continue
        with pytest.raises(InvalidValue, match="must hold") as caught:
            REGISTRY.resolve(entry.name, params)
        assert any(each.text in caught.value.message for each in entry.constraints)
    bad = next(params for params in draws if params not in kept)
    arrays = {name: np.array([kept[0][name], value]) for name, value in bad.items()}
    with pytest.raises(InvalidValue, match="must hold"):
        REGISTRY.resolve(entry.name, arrays)


# Arrays


def channels(entry: Elementwise, parameter: Parameter, count: int) -> tuple[dict[str, float], Array]:
    """Parameters, and ``count`` values for one of them that fit the others."""
    rng = generator(entry, parameter)
    base = draw_all(entry, rng)
    values: list[float] = []
    while len(values) < count:
        value = draw(parameter, rng)
        if holds(entry, base | {parameter.name: value}):
            values.append(value)
    return base, np.array(values)


@over(SPREAD)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_one_value_a_channel(entry: Elementwise, parameter: Parameter, axis: int) -> None:
    x = generator(entry, parameter).normal(size=(3, 3, 3))
    base, values = channels(entry, parameter, 3)
    call = REGISTRY.resolve(entry.name, base | {parameter.name: values}, axis=axis)
    got = activate(call, x, order=2).orders
    for channel, value in enumerate(values.tolist()):
        alone = REGISTRY.resolve(entry.name, base | {parameter.name: value})
        part = activate(alone, np.take(x, channel, axis), order=2).orders
        for whole, expected in zip(got, part, strict=True):
            np.testing.assert_array_equal(np.take(whole, channel, axis), expected)


@over(SPREAD)
def test_arrays_that_broadcast_and_arrays_that_do_not(entry: Elementwise, parameter: Parameter) -> None:
    x = generator(entry, parameter).normal(size=(2, 3))
    base, values = channels(entry, parameter, 6)
    for array in (values[:6].reshape(2, 3), values[:2].reshape(2, 1), values[:1]):
        call = REGISTRY.resolve(entry.name, base | {parameter.name: array})
        spread = REGISTRY.resolve(
            entry.name, base | {parameter.name: np.array(np.broadcast_to(array, (2, 3)))}
        )
        for one, other in zip(activate(call, x).orders, activate(spread, x).orders, strict=True):
            np.testing.assert_array_equal(one, other)
    for array in (values[:4], values.reshape(3, 2), values.reshape(1, 2, 3)):
        with pytest.raises(InvalidValue, match="must broadcast") as caught:
            activate(REGISTRY.resolve(entry.name, base | {parameter.name: array}), x)
        assert caught.value.loc == ("params", parameter.name)


@over(LEARNED)
@pytest.mark.parametrize("shape", [(), (3,), (2, 1), (2, 3), (1, 1)])
def test_gradients_have_the_parameters_shape_and_sum(
    entry: Elementwise, parameter: Parameter, shape: tuple[int, ...]
) -> None:
    """dL/dθ = Σ u·∂f/∂θ over all elements that share the value, against sums in mpmath."""
    rng = generator(entry, parameter)
    x, upstream = rng.normal(size=(2, 3)) * 2, rng.normal(size=(2, 3)) * 10.0 ** rng.integers(-3, 4, (2, 3))
    base, values = channels(entry, parameter, math.prod(shape))
    value = values.reshape(shape) if shape else float(values[0])
    call = REGISTRY.resolve(entry.name, base | {parameter.name: value})
    evaluation = activate(call, x, upstream=upstream)
    gradient = evaluation.param_gradients[parameter.name]
    assert gradient.shape == shape
    spread = np.broadcast_to(value, x.shape)
    for place in np.ndindex(shape):
        sharing = [at for at in np.ndindex(x.shape) if not shape or belongs(at, place, shape)]
        assert sharing
        terms = [
            term(entry, parameter, base, x.item(at), spread.item(at), upstream.item(at)) for at in sharing
        ]
        # Each ∂f/∂θ is within 2 ulp and its product with u is rounded; the sum is rounded once.
        bound = 3 * sum(math.ulp(nearest_float(abs(each))) for each in terms)
        total = sum(terms[1:], terms[0])
        assert abs(total - float(gradient[place])) <= bound + math.ulp(nearest_float(abs(total)))


def belongs(at: tuple[int, ...], place: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether broadcasting gives the element ``at`` the parameter's element ``place``."""
    aligned = zip(reversed(at), reversed(place), reversed(shape), strict=False)
    return all(own == each or length == 1 for own, each, length in aligned)


def term(
    entry: Elementwise,
    parameter: Parameter,
    base: dict[str, float],
    x: float,
    value: float,
    upstream: float,
) -> Any:
    assert parameter.gradient is not None
    values = {"x": x, **base, parameter.name: value}
    context = arithmetic(440).context
    return context.mpf(exact(entry, parameter.gradient, values)) * context.mpf(upstream)


@over(LEARNED)
@settings(max_examples=20, deadline=None, derandomize=True)
@given(data=st.data())
def test_gradients_over_any_axis(entry: Elementwise, parameter: Parameter, data: st.DataObject) -> None:
    """One value a channel along ``axis`` gets the sum of its channel's gradients alone."""
    ndim = data.draw(st.integers(1, 4))
    axis = data.draw(st.integers(-ndim, ndim - 1))
    base, values = channels(entry, parameter, 2)
    x = np.random.default_rng(ndim).normal(size=(2,) * ndim)
    call = REGISTRY.resolve(entry.name, base | {parameter.name: values}, axis=axis)
    gradient = activate(call, x, upstream=np.ones_like(x)).param_gradients[parameter.name]
    for channel, value in enumerate(values.tolist()):
        alone = Call(entry, base | {parameter.name: value})
        part = np.take(x, [channel], axis)
        expected = activate(alone, part, upstream=np.ones_like(part)).param_gradients[parameter.name]
        assert gradient[channel] == expected
