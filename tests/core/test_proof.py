"""Entries against formulas of their own text, and proved values against the entries' bounds."""

from __future__ import annotations

import math
import pickle
import time
from itertools import product
from typing import Any

import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.activations.definition import Elementwise
from app.core.activations.from_formula import tree_of
from app.core.activations.registry import Call
from app.core.arithmetic.formats import FORMATS
from app.core.arithmetic.rounding import Rounding
from app.core.evaluation import activate
from app.core.formulas.proving import Part, prove
from app.core.formulas.tree import text
from app.core.jobs import ignore
from app.core.proof import ProvedActivation
from tests.support.balls import values_of
from tests.support.oracle import exact

DOUBLE = Rounding(np.dtype(np.float64))
BOUNDS = (2.0, 2.0, 4.0)
ENTRIES = [entry for entry in REGISTRY.values() if isinstance(entry, Elementwise)]
TAILS = np.geomspace(1e-300, 1e300, 61)
POINTS = np.concatenate([np.linspace(-20, 20, 161), TAILS, -TAILS])

assert ENTRIES


def settings_of(entry: Elementwise) -> dict[str, float]:
    return {each.name: 0.75 if each.default is None else each.default for each in entry.parameters}


def typed(entry: Elementwise) -> tuple[str, dict[str, Any]]:
    """The entry's formula as somebody would type it, with the parameters that it names."""
    tree = tree_of(entry, entry.formulas.value)
    params = settings_of(entry)
    written = text(tree)
    if any(math.isinf(value) for value in params.values()):
        inside = "".join(f", {name}={value}" for name, value in params.items() if math.isfinite(value))
        return f"formula:{entry.name}(x{inside})", {}
    return f"formula:{written}", params


def proof(name: str, inputs: Any, order: int = 2, **fields: Any) -> Any:
    call = REGISTRY.resolve(name, fields.pop("params", {}))
    rounding = fields.pop("rounding", DOUBLE)
    return ProvedActivation(call, np.asarray(inputs, float), order, rounding, **fields)(map, ignore)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_an_entry_typed_as_a_formula_is_the_entry(entry: Elementwise) -> None:
    name, params = typed(entry)
    breaks = np.array(entry.break_points(settings_of(entry)))
    away = [x for x in POINTS.tolist() if not any(abs(x - each) < 1e-9 for each in breaks)]
    points = np.array(away)
    proved = proof(name, points, params=params)
    own = entry.orders(points, 3, **settings_of(entry))
    assert proved.unproved == 0
    for order, bound in enumerate(BOUNDS):
        right, here = proved.orders[order], own[order]
        infinite = np.isinf(right)
        np.testing.assert_array_equal(here[infinite], right[infinite])
        normal = ~infinite & (np.abs(right) >= np.finfo(float).tiny)
        scale, difference = np.abs(right[normal]), np.abs(here[normal] - right[normal])
        # Near a zero of f′ or f″ the promise is made for the largest term of the sum that cancels.
        inner = np.abs(points[normal]) <= 20
        cancels = inner & (scale < 0.02 * scale[inner].max(initial=0.0)) & (order > 0)
        missed = (difference > bound * np.spacing(scale)) & ~cancels
        assert not missed.any(), (order, points[normal][missed][:5])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bfloat16", "float16"])
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_an_entry_typed_as_a_formula_is_the_entry_at_every_value_of_16_bits(
    entry: Elementwise, name: str
) -> None:
    """Both correctly rounded: bit for bit, the formula's derivatives being those of the series of f."""
    dtype = FORMATS[name]
    points = values_of(dtype)
    written, params = typed(entry)
    proved = proof(written, points, params=params, rounding=Rounding(dtype))
    assert proved.unproved == 0
    own = activate(Call(entry, dict(settings_of(entry))), points, order=2, dtype=dtype).orders
    smooth = ~np.isin(points, entry.break_points(settings_of(entry)))
    for order, (ours, theirs) in enumerate(zip(proved.orders, own, strict=True)):
        judged = smooth if order else slice(None)
        np.testing.assert_array_equal(ours[judged], theirs[judged].astype(float), f"order {order}")


@pytest.mark.parametrize(("name", "written"), [("mish", "x * tanh(softplus(x))"), ("gelu", "x * Phi(x)")])
@pytest.mark.parametrize(("order", "bar"), [(0, 100_000), (2, 50_000)])
def test_points_a_second(name: str, written: str, order: int, bar: int) -> None:
    """By processor time, the best of five, since a busy machine is slower."""
    points = np.random.default_rng(1).normal(0, 3, 2000)
    for each in (name, f"formula:{written}"):
        best = 0.0
        for _ in range(5):
            start = time.thread_time()
            assert proof(each, points, order).unproved == 0
            best = max(best, points.size / (time.thread_time() - start))
        assert best >= bar, each


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_the_written_derivatives_are_those_of_the_formula(entry: Elementwise) -> None:
    """The series of f's formula against the formulas of f′ and f″, both proved: bit for bit."""
    if any(math.isinf(value) for value in settings_of(entry).values()):
        pytest.skip("bounded by infinity: its derivatives are the next entry's")
    breaks = entry.break_points(settings_of(entry))
    points = np.array([x for x in POINTS[::3].tolist() if x not in breaks])
    values: dict[str, Any] = {"x": points, **settings_of(entry)}
    series = prove(Part(tree_of(entry, entry.formulas.value), 0, 2), values, DOUBLE)
    for order, expression in enumerate(entry.formulas.orders):
        written = prove(Part(tree_of(entry, expression)), values, DOUBLE)
        assert written.proved.all()
        np.testing.assert_array_equal(series.orders[order], written.orders[0], f"{entry.name} {order}")


@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [("silu", 9.183549615799121e-41, 9.183549615799121e-41), ("silu", -9.183549615799121e-41, -0.0)],
)
def test_a_term_far_below_a_double_decides_a_tie(name: str, x: float, expected: float) -> None:
    found = proof(name, [x], 0, rounding=Rounding(FORMATS["bfloat16"]))
    assert found.orders[0].tolist() == [expected]
    assert math.copysign(1, found.orders[0][0]) == math.copysign(1, expected)


def test_higher_orders_of_an_entry() -> None:
    found = proof("exponential", [0.5, -3.0], 8)
    for values in found.orders:
        np.testing.assert_allclose(values, np.exp([0.5, -3.0]), rtol=1e-15)


def test_gradients_are_sums_of_exact_products_rounded_once() -> None:
    upstream = np.array([1 + 2.0**-30, -1.0])
    for name in ("linear", "formula:slope * x"):
        params: dict[str, Any] = {"slope": 1.0}
        found = proof(name, [1 - 2.0**-30, 1.0], 0, params=params, upstream=upstream)
        assert found.param_gradients["slope"] == -(2.0**-60)
        assert found.unproved == 0
    found = proof("formula:sigmoid(x)", [-800.0], 0, upstream=np.array([1e300]))
    assert found.input_gradient.tolist() == [3.667874584177687e-48]


def test_a_parameter_of_its_own_for_every_column() -> None:
    beta = np.array([1.0, 2.0])
    x, upstream = np.array([[0.5, -8.0], [1.0, 2.0]]), np.array([[1.0, 1.0], [2.0, 3.0]])
    found = proof("formula:x * sigmoid(beta * x)", x, 1, params={"beta": beta}, upstream=upstream)
    s = 1 / (1 + np.exp(-beta * x))
    np.testing.assert_allclose(found.orders[0], x * s, rtol=1e-14)
    np.testing.assert_allclose(
        found.param_gradients["beta"], (upstream * x * x * s * (1 - s)).sum(axis=0), rtol=1e-12
    )
    assert found.unproved == 0


def test_zeros_keep_their_sign() -> None:
    found = proof("formula:x * sigmoid(x)", [0.0, -0.0], 0)
    assert np.signbit(found.orders[0]).tolist() == [False, True]


@pytest.mark.parametrize("written", ["entry", "formula"])
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_at_infinity_f_and_its_derivatives_are_their_limits(entry: Elementwise, written: str) -> None:
    """f is what the catalogue says, f′ and f″ what the entry gives, and mpmath's values far out."""
    params = settings_of(entry)
    name, given = (entry.name, params) if written == "entry" else typed(entry)
    found = proof(name, [-math.inf, math.inf], params=given)
    for place, side in enumerate((-1, 1)):
        limit = entry.limits[place]
        if limit is not None:
            assert found.orders[0][place] == pytest.approx(entry.number(limit, params), rel=1e-15)
        elif entry.wave is not None:
            assert np.isnan([each[place] for each in found.orders]).all()
        if entry.wave is not None:
            continue
        own = entry.orders(np.array([side * math.inf]), 3, **params)[:, 0]
        for order, expression in enumerate(entry.formulas.orders):
            value = found.orders[order][place]
            np.testing.assert_equal(value + 0.0, own[order] + 0.0, f"{order} at {side} * inf")
            far = [float(exact(entry, expression, {**params, "x": side * x})) for x in (1e4, 1e8)]
            if math.isinf(value):
                assert np.sign(far[0]) == np.sign(value)
                assert abs(far[1]) >= abs(far[0]) > 10
            else:
                assert far[1] == pytest.approx(value, rel=1e-3, abs=1e-3)


INFINITE = [
    (entry, values)
    for entry in ENTRIES
    for open_ended in [[each for each in entry.parameters if each.domain.contains(math.inf)]]
    for values in product((-math.inf, 0.5, math.inf), repeat=len(open_ended))
    if open_ended and all(each.domain.contains(x) for each, x in zip(open_ended, values, strict=True))
    if not entry.constraints or list(values) == sorted(values)  # the lower bound is below the upper one
]


@pytest.mark.parametrize(("entry", "values"), INFINITE, ids=lambda each: getattr(each, "name", str(each)))
def test_infinite_parameters_are_bounds(entry: Elementwise, values: tuple[float, ...]) -> None:
    names = [each.name for each in entry.parameters if each.domain.contains(math.inf)]
    params = settings_of(entry) | dict(zip(names, values, strict=True))
    points = np.array([-1e300, -3.0, -0.25, 0.25, 0.5, 2.0, 8.0, 1e300])
    proved = proof(entry.name, points, params=params)
    for order, own in enumerate(entry.orders(points, 3, **params)):
        np.testing.assert_array_equal(proved.orders[order], own, err_msg=f"order {order}")
    assert len(INFINITE) > 12


@pytest.mark.parametrize("dtype", FORMATS)
def test_a_job_that_was_begun_here_can_be_sent_elsewhere(dtype: str) -> None:
    """What a few bits leave open here is left to a worker, which gets the same job by pickle."""
    rounding = Rounding(FORMATS[dtype], saturate=True)
    call = REGISTRY.resolve("formula:x * tanh(exp(x))", {})
    job = ProvedActivation(call, np.array([-0.5, 0.0, 1.5]), 2, rounding)
    here = job(map, ignore)
    there = pickle.loads(pickle.dumps(job))(map, ignore)
    np.testing.assert_array_equal(here.orders, there.orders)
