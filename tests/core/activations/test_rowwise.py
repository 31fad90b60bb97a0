"""The promise for activations that mix elements, over the whole registry, against mpmath.

Values and Jacobians within 2 ulp; an element of a vector–Jacobian product within 2 ulp of its largest term,
u_i ∂y_i/∂x_k, or of itself where the terms add up to more.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import app.core.evaluation as evaluation_module
from app.core.activations import REGISTRY
from app.core.activations.definition import Rowwise
from app.core.activations.formula import Expression
from app.core.activations.registry import Call
from app.core.arithmetic import Array, Value
from app.core.errors import InvalidValue, LimitExceeded
from app.core.evaluation import JACOBIAN_LIMIT, activate
from tests.support.oracle import LARGEST, PRECISIONS, SMALLEST, arithmetic, exact, ulps

BOUND = 2.0
ROWWISE = [entry for entry in REGISTRY.values() if isinstance(entry, Rowwise)]
assert ROWWISE

EXACT_SUMS = tuple(bits for bits in PRECISIONS if bits > 2200)
"""Precisions that hold the sum of any two doubles exactly."""


def over(entries: list[Rowwise]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("entry", entries, ids=lambda entry: entry.name)


def call(entry: Rowwise, axis: int = -1) -> Call:
    return REGISTRY.resolve(entry.name, axis=axis)


def fits(entry: Rowwise, n: int) -> bool:
    try:
        return entry.width(n, **call(entry).params) > 0
    except InvalidValue:
        return False


def lengths(entry: Rowwise, most: int = 4) -> list[int]:
    found = [n for n in range(1, most + 1) if fits(entry, n)]
    assert found
    return found


def generator(entry: Rowwise, salt: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(f"{entry.name} {salt}".encode()))


def random_rows(entry: Rowwise, count: int) -> Iterator[Array]:
    """Ordinary rows, nearly equal and very unequal ones, tails, tiny and huge elements."""
    rng = generator(entry, "rows")
    for index in range(count):
        n = int(rng.choice(lengths(entry)))
        row = rng.normal(size=n)
        kinds = (
            row,
            row / 3,
            row * 30,
            row * 300,
            1 + row * 1e-8,
            np.where(rng.random(n) < 0.5, row, -720 - 30 * rng.random(n)),
            np.where(rng.random(n) < 0.5, row, 720 + 30 * rng.random(n)),
            row * 10.0 ** rng.integers(-300, 300, n),
        )
        yield kinds[index % len(kinds)]


def hard_rows(entry: Rowwise) -> Iterator[Array]:
    """Ties, zeros, subnormals, the ends of the range, differences that overflow or vanish."""
    n = lengths(entry)[-1]
    elements = (
        0.0,
        -0.0,
        SMALLEST,
        -SMALLEST,
        1e-30,
        1.0,
        np.nextafter(1.0, 2.0),
        -36.7,
        38.0,
        745.0,
        -745.2,
    )
    for element in elements:
        yield np.full(n, element)
        yield np.where(np.arange(n) < n // 2, element, 0.0)
        yield np.where(np.arange(n) % 2, element, 1.0)
    yield np.where(np.arange(n) % 2, LARGEST, -LARGEST)
    yield np.where(np.arange(n) == 1, LARGEST, 1e300)
    yield np.linspace(0, 1, n)


def names(entry: Rowwise, row: Array, **indices: int) -> dict[str, Any]:
    params = call(entry).params
    return {"x": row, "n": row.size, "m": entry.width(row.size, **params), **params, **indices}


def truth(entry: Rowwise, expression: Expression, values: dict[str, Any], *, terms: bool = False) -> Any:
    # Where the formulas compare sums, a rounding must not decide.
    precisions = EXACT_SUMS if entry.smoothness <= 0 else PRECISIONS
    return exact(entry, expression, values, terms=terms, precisions=precisions)


def computed(function: Any, entry: Rowwise, *rows: Array) -> Any:
    with np.errstate(all="ignore"):
        return function(*(row[None] for row in rows), **call(entry).params)


def value_error(entry: Rowwise, row: Array) -> float:
    got = computed(entry.value, entry, row)[0]
    return max(
        ulps(float(y), truth(entry, entry.formulas.value, names(entry, row, i=i))) for i, y in enumerate(got)
    )


def passes_zero(entry: Rowwise, values: dict[str, Any]) -> bool:
    """Whether the derivative changes sign nearby, as silu′ does: there the terms of its formula cancel."""
    sides = [
        truth(entry, entry.formulas.slope, {**values, "x": values["x"] * factor}) for factor in (0.5, 1.5)
    ]
    return bool(sides[0] * sides[1] < 0)


def slope_errors(entry: Rowwise, row: Array) -> Iterator[float]:
    got = computed(entry.jacobian, entry, row)[0]
    for (i, k), slope in np.ndenumerate(got):
        values = names(entry, row, i=i, k=k)
        exactly = truth(entry, entry.formulas.slope, values)
        error = ulps(float(slope), exactly)
        if error > BOUND and passes_zero(entry, values):
            error = ulps(float(slope), exactly, truth(entry, entry.formulas.slope, values, terms=True))
        yield error


def product_errors(entry: Rowwise, row: Array, upstream: Array) -> Iterator[float]:
    gradient, _ = computed(entry.pullback, entry, row, upstream)
    number = arithmetic(EXACT_SUMS[0]).context.mpf
    for k, got in enumerate(gradient[0]):
        places = [names(entry, row, i=i, k=k) for i in range(upstream.size)]
        parts = [
            number(u) * number(truth(entry, entry.formulas.slope, values))
            for u, values in zip(upstream.tolist(), places, strict=True)
        ]
        total = sum(parts, number(0))
        largest = max([abs(total), *map(abs, parts)])
        error = ulps(float(got), total, largest)
        if error > BOUND:
            cancelling = [
                abs(number(u)) * number(truth(entry, entry.formulas.slope, values, terms=True))
                for u, values in zip(upstream.tolist(), places, strict=True)
                if passes_zero(entry, values)
            ]
            largest = max([largest, *cancelling])
            error = ulps(float(got), total, largest)
        yield error


def upstreams(entry: Rowwise, row: Array, rng: np.random.Generator) -> Iterator[Array]:
    m = entry.width(row.size, **call(entry).params)
    yield rng.normal(size=m) * 10.0 ** rng.integers(-3, 4, m)
    yield np.eye(m)[int(rng.integers(m))]


@over(ROWWISE)
@pytest.mark.parametrize("count", [30, pytest.param(160, marks=pytest.mark.slow)])
def test_values(entry: Rowwise, count: int) -> None:
    for row in (*hard_rows(entry), *random_rows(entry, count)):
        assert value_error(entry, row) <= BOUND, row.tolist()


@over(ROWWISE)
@pytest.mark.parametrize(("every", "count"), [(6, 6), pytest.param(3, 32, marks=pytest.mark.slow)])
def test_jacobians(entry: Rowwise, every: int, count: int) -> None:
    for row in (*list(hard_rows(entry))[::every], *random_rows(entry, count)):
        assert max(slope_errors(entry, row)) <= BOUND, row.tolist()


@over(ROWWISE)
def test_products(entry: Rowwise) -> None:
    rng = generator(entry, "upstream")
    for row in random_rows(entry, 8):
        for upstream in upstreams(entry, row, rng):
            assert max(product_errors(entry, row, upstream)) <= BOUND, (row.tolist(), upstream.tolist())


@over(ROWWISE)
@settings(max_examples=30, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_floats(entry: Rowwise, data: st.DataObject) -> None:
    n = data.draw(st.sampled_from(lengths(entry)))
    floats = st.floats(allow_nan=False, allow_infinity=False)
    row = np.array(data.draw(st.lists(floats, min_size=n, max_size=n)))
    assert value_error(entry, row) <= BOUND


@over(ROWWISE)
def test_long_rows(entry: Rowwise) -> None:
    row = 5 * generator(entry, "long").normal(size=72)
    got = computed(entry.value, entry, row)[0]
    for i in (0, got.size // 2, got.size - 1):
        assert ulps(float(got[i]), truth(entry, entry.formulas.value, names(entry, row, i=i))) <= BOUND


@over(ROWWISE)
def test_the_jacobian_shown_is_the_derivative_of_the_function_shown(entry: Rowwise) -> None:
    step = 2.0**-40
    if entry.smoothness < 0:
        step = 0.0
    for row in random_rows(entry, 2):
        for i in range(entry.width(row.size, **call(entry).params)):
            for k in range(row.size):
                up, down = row.copy(), row.copy()
                up[k] += step
                down[k] -= step
                difference = truth(entry, entry.formulas.value, names(entry, up, i=i)) - truth(
                    entry, entry.formulas.value, names(entry, down, i=i)
                )
                slope = truth(entry, entry.formulas.slope, names(entry, row, i=i, k=k))
                assert abs(difference - slope * (up[k] - down[k])) <= 1e-20 * max(1, np.abs(row).max())


# Facts


def own_inputs(entry: Rowwise, n: int) -> list[list[int]]:
    """For every output the inputs that are its own: all that reach it, or of these the one of its index."""
    rng = generator(entry, "own")
    m = entry.width(n, **call(entry).params)
    reached = np.zeros((m, n), bool)
    for _ in range(20):
        reached |= np.abs(computed(entry.jacobian, entry, rng.normal(size=n))[0]) > 0
    if m == n:
        return [[i] for i in range(n)]
    return [np.flatnonzero(row).tolist() for row in reached]


@over(ROWWISE)
def test_values_lie_in_the_range(entry: Rowwise) -> None:
    low, high = entry.bounds()
    for row in random_rows(entry, 40):
        values = computed(entry.value, entry, row)
        # An open end may be reached by rounding, never passed.
        assert ((values >= low) & (values <= high)).all()


@over(ROWWISE)
@pytest.mark.parametrize("side", [0, 1])
def test_limits_of_the_own_inputs(entry: Rowwise, side: int) -> None:
    expected = entry.limits[side]
    n = lengths(entry)[-1]
    row = generator(entry, "limits").normal(size=n)
    for i, own in enumerate(own_inputs(entry, n)):
        far = row.copy()
        far[own] = (-1e4, 1e4)[side]
        got = float(computed(entry.value, entry, far)[0, i])
        if expected is None:
            continue
        limit = entry.number(expected)
        assert got == pytest.approx(limit, abs=1e-9) if np.isfinite(limit) else got * np.sign(limit) > 1e3
        slopes = np.abs(computed(entry.jacobian, entry, far)[0, i, own])
        assert (("negative", "positive")[side] in entry.saturates) == bool(slopes.max() < 1e-9)


STEEP = (np.array([1.4, 50.0]), np.array([2.4, 50.0]))
"""A gate where swish is steepest, and a value beyond its bound."""


@over(ROWWISE)
def test_largest_slope_is_a_bound_and_is_reached(entry: Rowwise) -> None:
    bound = entry.number(entry.largest_slope)
    steepest = 0.0
    for row in (*random_rows(entry, 40), np.zeros(2), np.zeros(100), *hard_rows(entry), *STEEP):
        slopes = np.abs(computed(entry.jacobian, entry, row)[0])
        assert slopes.max() <= bound
        steepest = max(steepest, float(slopes.max()))
    # One score ahead of a crowd that is just inside the support.
    crowd = np.append(1.99, np.zeros(2**20 - 1))
    one = np.eye(1, entry.width(crowd.size, **call(entry).params))[0]
    gradient, _ = computed(entry.pullback, entry, crowd, one)
    assert np.abs(gradient).max() <= bound
    steepest = max(steepest, float(np.abs(gradient).max()))
    assert steepest >= (0.98 * bound if np.isfinite(bound) else 1e100)


@over(ROWWISE)
def test_monotone_in_the_own_inputs(entry: Rowwise) -> None:
    falls = False
    for row in random_rows(entry, 16):
        jacobian = computed(entry.jacobian, entry, row)[0]
        falls |= any((jacobian[i, own] < 0).any() for i, own in enumerate(own_inputs(entry, row.size)))
    assert entry.monotone == (not falls)


@over(ROWWISE)
def test_zero_centred_for_normal_inputs(entry: Rowwise) -> None:
    rows = generator(entry, "centre").normal(size=(40_000, 6))
    with np.errstate(all="ignore"):
        outputs = entry.value(rows, **call(entry).params)
    sigmas = np.abs(outputs.mean(axis=0)) / (outputs.std(axis=0) / 200)
    assert entry.zero_centred == bool((sigmas < 5).all())


# Evaluation


@over(ROWWISE)
def test_nan_fills_its_row_or_its_output_and_no_other(entry: Rowwise) -> None:
    n = lengths(entry)[-1]
    rows = generator(entry, "nan").normal(size=(3, n))
    clean = activate(call(entry), rows, order=0).orders[0]
    for i, own in enumerate(own_inputs(entry, n)):
        for k in own:
            dirty = rows.copy()
            dirty[1, k] = np.nan
            outputs, jacobian = activate(call(entry), dirty).orders
            assert np.isnan(outputs[1, i])
            assert np.isnan(jacobian[1, i]).any()
            gradient = activate(call(entry), dirty, upstream=np.ones_like(outputs)).input_gradient
            assert gradient is not None
            assert np.isnan(gradient[1]).any()
            np.testing.assert_array_equal(outputs[[0, 2]], clean[[0, 2]])


@over(ROWWISE)
def test_any_axis(entry: Rowwise) -> None:
    n = lengths(entry)[-1]
    rng = generator(entry, "axis")
    rows = rng.normal(size=(2, 3, n))
    expected = activate(call(entry), rows)
    upstream = rng.normal(size=expected.orders[0].shape)
    gradient = activate(call(entry), rows, upstream=upstream).input_gradient
    assert gradient is not None
    for axis in (0, 1, -2, -1):
        got = activate(call(entry, axis), np.moveaxis(rows, -1, axis))
        np.testing.assert_array_equal(np.moveaxis(got.orders[0], axis, -1), expected.orders[0])
        np.testing.assert_array_equal(got.orders[1], expected.orders[1])
        turned = activate(
            call(entry, axis), np.moveaxis(rows, -1, axis), upstream=np.moveaxis(upstream, -1, axis)
        ).input_gradient
        assert turned is not None
        np.testing.assert_array_equal(np.moveaxis(turned, axis, -1), gradient)


@over(ROWWISE)
def test_blocks_and_threads_change_no_bit(entry: Rowwise, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = generator(entry, "blocks").normal(size=(61, 30))
    whole = activate(call(entry), rows)
    seed = np.ones_like(whole.orders[0])
    gradient = activate(call(entry), rows, upstream=seed).input_gradient
    monkeypatch.setattr(evaluation_module, "BLOCK", 100)
    with ThreadPoolExecutor(2) as pool:
        cut = activate(call(entry), rows, map_blocks=pool.map)
        pulled = activate(call(entry), rows, upstream=seed, map_blocks=pool.map).input_gradient
    for one, other in zip(whole.orders, cut.orders, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(gradient, pulled)


@over(ROWWISE)
def test_empty_arrays(entry: Rowwise) -> None:
    n = lengths(entry)[-1]
    outputs, jacobian = activate(call(entry), np.zeros((2, 0, n))).orders
    m = entry.width(n, **call(entry).params)
    assert (outputs.shape, jacobian.shape) == ((2, 0, m), (2, 0, m, n))
    gradient = activate(call(entry), np.zeros((0, n)), upstream=np.zeros((0, m))).input_gradient
    assert gradient is not None
    assert gradient.shape == (0, n)
    assert activate(call(entry), np.zeros((3, 0))).orders[0].shape == (3, 0)


@over(ROWWISE)
def test_what_does_not_fit_is_refused(entry: Rowwise) -> None:
    rows = np.zeros((2, lengths(entry)[-1]))
    if not entry.several_axes:
        with pytest.raises(InvalidValue, match="no axes"):
            activate(call(entry), np.array(1.0))
    with pytest.raises(InvalidValue, match="axis"):
        activate(call(entry, 2), rows)
    with pytest.raises(InvalidValue, match="order"):
        activate(call(entry), rows, order=2)
    with pytest.raises(InvalidValue, match="shape of the outputs"):
        activate(call(entry), rows, upstream=np.zeros((3, 3)))


@over(ROWWISE)
def test_large_jacobians_are_refused_but_products_are_not(entry: Rowwise) -> None:
    rows = np.zeros((1, 2 * int(JACOBIAN_LIMIT**0.5)))
    with pytest.raises(LimitExceeded):
        activate(call(entry), rows)
    outputs = activate(call(entry), rows, order=0).orders[0]
    assert activate(call(entry), rows, upstream=np.ones_like(outputs)).input_gradient is not None


# Textbook properties


def outputs(name: str, *rows: list[float], **params: Value) -> Array:
    return activate(REGISTRY.resolve(name, params), np.array(rows), order=0).orders[0]


@pytest.mark.parametrize("name", ["softmax", "softmin", "sparsemax", "entmax15", "hardmax"])
def test_probabilities_add_up_to_one(name: str) -> None:
    rows = np.random.default_rng(0).normal(size=(200, 50)) * 4
    probabilities = activate(REGISTRY.resolve(name), rows, order=0).orders[0]
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, rtol=1e-15 * 50)


@pytest.mark.parametrize("name", ["softmax", "softmin", "log_softmax"])
def test_both_loops_give_the_same_gradients(name: str) -> None:
    """A huge upstream gradient at a masked element does not count, but sends its row to the other loop."""
    rng = np.random.default_rng(3)
    x, upstream = rng.normal(0, 5, (50, 40)), rng.normal(0, 1, (50, 40))
    upstream[::3] = upstream[::3] > 2
    mask = rng.random(x.shape) < 0.8
    mask[:, 0] = 0
    entry = REGISTRY[name]
    assert isinstance(entry, Rowwise)
    for odd in (False, True):
        moderate = entry.pullback(x, upstream, odd=odd, mask=mask)[0]
        upstream[:, 0] = 1e300
        np.testing.assert_array_equal(entry.pullback(x, upstream, odd=odd, mask=mask)[0], moderate)
        upstream[:, 0] = 0


def test_infinite_scores_have_limits_or_none() -> None:
    inf, nan = np.inf, np.nan
    rows = [[inf, 1.0, -inf], [inf, inf, 1.0], [-inf, 0.0, 0.0], [-inf, -inf, -inf]]
    np.testing.assert_array_equal(
        outputs("softmax", *rows), [[1, 0, 0], [nan, nan, nan], [0, 0.5, 0.5], [nan, nan, nan]]
    )
    np.testing.assert_array_equal(
        outputs("sparsemax", *rows), [[1, 0, 0], [nan, nan, nan], [0, 0.5, 0.5], [nan, nan, nan]]
    )
    np.testing.assert_array_equal(outputs("log_softmax", *rows)[0], [0, -inf, -inf])
    assert np.isnan(outputs("log_softmax", *rows)[[1, 3]]).all()
    np.testing.assert_array_equal(outputs("hardmax", *rows), [[1, 0, 0], [1, 0, 0], [0, 1, 0], [1, 0, 0]])


def test_sparsemax_of_two_scores_is_a_hard_sigmoid() -> None:
    """Martins and Astudillo 2016, section 2.2: sparsemax(t, 0)_1 = min(1, max(0, (t + 1)/2))."""
    for t in (-3.0, -1.0, -0.5, 0.0, 0.25, 1.0, 7.0):
        assert outputs("sparsemax", [t, 0.0])[0, 0] == min(1.0, max(0.0, (t + 1) / 2))


def test_the_second_half_gates_in_glu_and_the_first_in_the_others() -> None:
    """Dauphin et al. 2017, section 2: (X W + b) ⊗ σ(X V + c). Shazeer 2020, section 2: the gate first."""
    assert outputs("glu", [3.0, 0.0]) == 1.5
    assert outputs("reglu", [-1.0, 3.0]) == 0
    assert outputs("reglu", [2.0, -3.0]) == -6
    for name in ("swiglu", "geglu"):
        assert outputs(name, [0.0, 3.0]) == 0
        assert outputs(name, [60.0, -2.0]) == -120
    assert outputs("onnx:SwiGLU", [1.0, 1.0], alpha=0.0) == 0.5


def test_a_gate_needs_two_halves() -> None:
    with pytest.raises(InvalidValue, match="even length"):
        outputs("glu", [1.0, 2.0, 3.0])


def test_a_closed_gate_is_opened_by_a_huge_value() -> None:
    """σ(−800) is no double, 1e300·σ(−800) is one: e^(ln 1e300 − 800) to all digits."""
    context = arithmetic(440).context
    huge = context.mpf(1e300)
    for name, gate in (("glu", context.mpf(1)), ("swiglu", context.mpf(-800))):
        row = [1e300, -800.0] if name == "glu" else [-800.0, 1e300]
        assert ulps(float(outputs(name, row)[0, 0]), gate * huge * context.exp(-800)) <= BOUND


def test_infinite_gates_and_values_have_limits_or_none() -> None:
    inf, nan = np.inf, np.nan
    rows = [[2.0, inf], [2.0, -inf], [inf, 0.0], [inf, -inf], [0.0, inf]]
    np.testing.assert_array_equal(outputs("glu", *rows)[:, 0], [2, 0, inf, nan, 0])
    for name in ("swiglu", "geglu"):
        swapped = [[-inf, 2.0], [inf, 2.0], [inf, -2.0], [-inf, inf], [0.5, -inf]]
        np.testing.assert_array_equal(outputs(name, *swapped)[:, 0], [0, inf, -inf, nan, -inf])


# Maxout


RNG = np.random.default_rng(1302)
WEIGHTS, BIASES = RNG.normal(size=(3, 4, 6)), RNG.normal(size=(3, 4))


def affine(rows: Array, **given: Value) -> tuple[Call, dict[str, Any]]:
    resolved = REGISTRY.resolve("maxout", given)
    return resolved, {"n": rows.shape[-1], "m": WEIGHTS.shape[1], **resolved.params}


def linear_truth(rows: Array, part: str, values: dict[str, Any], **indices: int) -> Any:
    """One of the entry's formulas at one row."""
    entry = REGISTRY["maxout"]
    expression = entry.formulas.where["w"] if part == "winner" else getattr(entry.formulas, part)
    return exact(entry, expression, {"x": rows, "i": 0, **values, **indices})


@pytest.mark.parametrize("given", [{"weights": WEIGHTS}, {"weights": WEIGHTS, "biases": BIASES}])
def test_affine_maxout_is_its_formula(given: dict[str, Value]) -> None:
    rows = RNG.normal(size=(8, 6))
    resolved, values = affine(rows, **given)
    got, jacobian = activate(resolved, rows).orders
    for (r, i), y in np.ndenumerate(got):
        exactly = linear_truth(rows[r], "value", values, i=i)
        largest = float(max(np.abs(WEIGHTS[:, i] * rows[r]).max(), np.abs(BIASES[:, i]).max()))
        assert ulps(float(y), exactly, max(abs(exactly), type(exactly)(largest))) <= BOUND
        slopes = [float(linear_truth(rows[r], "slope", values, i=i, k=k)) for k in range(6)]
        np.testing.assert_array_equal(jacobian[r, i], slopes)


def test_affine_maxout_gradients() -> None:
    """dL/dx = Σ_i u_i W_wi, dL/dW_pi = Σ u_i x and dL/db_pi = Σ u_i over the rows that p wins."""
    rows, upstream = RNG.normal(size=(8, 6)), RNG.normal(size=(8, 4))
    resolved, values = affine(rows, weights=WEIGHTS, biases=BIASES)
    result = activate(resolved, rows, upstream=upstream)
    winner = np.array(
        [[int(linear_truth(row, "winner", values, i=i)) for i in range(4)] for row in rows], dtype=int
    )
    number = arithmetic(440).context.mpf

    def right(got: float, terms: list[Any]) -> bool:
        total = sum(terms, number(0))
        return ulps(got, total, max([abs(total), *map(abs, terms)], default=0)) <= BOUND

    assert result.input_gradient is not None
    for (r, k), got in np.ndenumerate(result.input_gradient):
        assert right(
            float(got), [number(upstream[r, i]) * number(WEIGHTS[winner[r, i], i, k]) for i in range(4)]
        )
    for (p, i, k), got in np.ndenumerate(result.param_gradients["weights"]):
        won = np.flatnonzero(winner[:, i] == p)
        assert right(float(got), [number(upstream[r, i]) * number(rows[r, k]) for r in won])
    for (p, i), got in np.ndenumerate(result.param_gradients["biases"]):
        assert right(float(got), [number(upstream[r, i]) for r in np.flatnonzero(winner[:, i] == p)])


def test_of_equal_pieces_the_first_wins() -> None:
    np.testing.assert_array_equal(
        activate(REGISTRY.resolve("maxout", {"pieces": 3}), np.array([[2.0, 2.0, 1.0]])).orders[1],
        [[[1, 0, 0]]],
    )
    twice = np.ones((2, 1, 1))
    gradients = activate(
        REGISTRY.resolve("maxout", {"weights": twice}), np.array([[5.0]]), upstream=np.array([[1.0]])
    ).param_gradients
    np.testing.assert_array_equal(gradients["weights"], [[[5]], [[0]]])
    assert "biases" not in gradients


def test_pieces_follow_from_the_weights() -> None:
    assert REGISTRY.resolve("maxout").params["pieces"] == 2
    assert REGISTRY.resolve("maxout", {"weights": WEIGHTS}).params["pieces"] == 3
    assert REGISTRY.resolve("maxout", {"weights": WEIGHTS, "pieces": 3}).params["pieces"] == 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"weights": WEIGHTS, "pieces": 2}, "must be 3"),
        ({"biases": BIASES}, "need weights"),
        ({"weights": WEIGHTS, "biases": BIASES.T}, r"shape \[3, 4\]"),
        ({"weights": WEIGHTS[0]}, "3 axes"),
        ({"weights": np.zeros((2, 0, 3))}, "not be empty"),
        ({"pieces": 0}, "whole number"),
        ({"pieces": 1.5}, "whole number"),
        ({"weights": np.full((1, 1, 1), np.inf)}, "real number"),
    ],
)
def test_contradictions_are_refused(given: dict[str, Value], message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        REGISTRY.resolve("maxout", given)


def test_lengths_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InvalidValue, match="multiple of 2"):
        outputs("maxout", [1.0, 2.0, 3.0])
    with pytest.raises(InvalidValue, match="6 elements"):
        outputs("maxout", [1.0, 2.0], weights=WEIGHTS)
