"""`activate` as a whole: shapes, blocks, upstream gradients, orders, and what it refuses.

Functions that mix elements have their own tests of axes and blocks in test_rowwise.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import app.core.evaluation as evaluation_module
from app.core.activations import REGISTRY
from app.core.activations.definition import Elementwise
from app.core.activations.registry import Call
from app.core.arithmetic import Array
from app.core.arithmetic.formats import FORMATS, round_to
from app.core.errors import InvalidValue
from app.core.evaluation import BLOCK, FLOAT32, FLOAT64, LONG_BLOCKS, Evaluation, activate
from tests.core.activations.test_promise import ELEMENTWISE, example, over
from tests.core.arithmetic.test_formats import fraction, rounded, same
from tests.support.oracle import exact

LEARNABLE = [entry for entry in ELEMENTWISE if entry.parameter_gradients]
SHAPES = [(), (1,), (0,), (3,), (2, 3), (2, 0), (2, 3, 2), (1, 2, 1, 3), (2, 1, 3, 1, 2), (2, 0, 3, 1, 2)]
assert LEARNABLE
assert {len(shape) for shape in SHAPES} == {0, 1, 2, 3, 4, 5}


def call(entry: Elementwise) -> Call:
    return REGISTRY.resolve(entry.name, example(entry))


def sample(*shape: int) -> Array:
    return 4 * np.random.default_rng(5).normal(size=shape)


def parts(evaluation: Evaluation) -> list[Array]:
    gradient = evaluation.input_gradient
    return [
        *evaluation.orders,
        *([] if gradient is None else [gradient]),
        *evaluation.param_gradients.values(),
    ]


def assert_same_bits(one: Evaluation, other: Evaluation) -> None:
    assert one.param_gradients.keys() == other.param_gradients.keys()
    for a, b in zip(parts(one), parts(other), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        # The sign of a NaN has no meaning, and may differ between vector and scalar instructions.
        np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
        numbers = ~np.isnan(a)
        assert a[numbers].tobytes() == b[numbers].tobytes()


# Shapes and orders


@over(ELEMENTWISE)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shapes(entry: Elementwise, shape: tuple[int, ...]) -> None:
    x = sample(*shape)
    evaluation = activate(call(entry), x, order=2, upstream=np.ones(shape))
    assert [values.shape for values in evaluation.orders] == [shape] * 3
    assert evaluation.input_gradient is not None
    assert evaluation.input_gradient.shape == shape
    assert all(gradient.shape == () for gradient in evaluation.param_gradients.values())
    flat = activate(call(entry), x.ravel(), order=2).orders
    for values, expected in zip(evaluation.orders, flat, strict=True):
        np.testing.assert_array_equal(values.ravel(), expected)


@over(ELEMENTWISE)
def test_as_many_orders_as_asked_for(entry: Elementwise) -> None:
    x = sample(5)
    whole = activate(call(entry), x, order=2).orders
    assert len(activate(call(entry), x).orders) == 2
    for order in (0, 1, 2):
        some = activate(call(entry), x, order=order)
        assert len(some.orders) == order + 1
        assert some.input_gradient is None
        assert some.param_gradients == {}
        for values, expected in zip(some.orders, whole, strict=False):
            assert values.tobytes() == expected.tobytes()


@over(ELEMENTWISE)
@pytest.mark.parametrize("dtype", FORMATS.values(), ids=FORMATS)
def test_everything_comes_in_the_format_asked_for(entry: Elementwise, dtype: np.dtype[Any]) -> None:
    evaluation = activate(call(entry), sample(3), order=2, dtype=dtype, upstream=np.ones(3))
    assert {values.dtype for values in parts(evaluation)} == {dtype}


@over(ELEMENTWISE)
def test_inputs_are_rounded_to_the_format_first(entry: Elementwise) -> None:
    x = np.array([0.1, -1.7, 2.3])
    for dtype in FORMATS.values():
        held = x.astype(np.float32).astype(dtype) if dtype.itemsize < 8 else x
        assert_same_bits(activate(call(entry), x, dtype=dtype), activate(call(entry), held, dtype=dtype))


@over(ELEMENTWISE)
def test_integers_are_real_numbers(entry: Elementwise) -> None:
    whole = np.array([[-3, 0, 1], [2, 7, -1]])
    expected = activate(call(entry), whole.astype(np.float64), order=2, upstream=np.full((2, 3), 2.0))
    for kind in (np.int64, np.int32, np.int8):
        got = activate(call(entry), whole.astype(kind), order=2, upstream=np.full((2, 3), 2, kind))
        assert_same_bits(got, expected)
    params = {name: int(value) if value.is_integer() else value for name, value in example(entry).items()}
    assert_same_bits(
        activate(REGISTRY.resolve(entry.name, params), whole, order=2),
        activate(call(entry), whole, order=2),
    )


@over(ELEMENTWISE)
def test_strides_do_not_matter_and_arguments_stay_as_they_are(entry: Elementwise) -> None:
    base = sample(6, 8)
    before = base.copy()
    for view in (base.T, base[::2, ::-1], np.asfortranarray(base), np.broadcast_to(base[0], (3, 8))):
        got = activate(call(entry), view, order=2, upstream=view)
        plain = np.ascontiguousarray(view)
        assert_same_bits(got, activate(call(entry), plain, order=2, upstream=plain))
    np.testing.assert_array_equal(base, before)


@over(ELEMENTWISE)
def test_arguments_may_be_read_only(entry: Elementwise) -> None:
    x, upstream = sample(7), sample(7)
    x.flags.writeable = upstream.flags.writeable = False
    assert activate(call(entry), x, order=2, upstream=upstream).input_gradient is not None


# Blocks


def forwards(function: Callable[[slice], None], blocks: Iterable[slice]) -> Iterator[None]:
    return map(function, blocks)


def backwards(function: Callable[[slice], None], blocks: Iterable[slice]) -> Iterator[None]:
    return map(function, reversed(list(blocks)))


def cut(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    """Makes `activate` work in blocks of this length."""
    monkeypatch.setattr(evaluation_module, "BLOCK", block)
    monkeypatch.setattr(evaluation_module, "LONG_BLOCKS", {})


@over(ELEMENTWISE)
@pytest.mark.parametrize("block", [1, 7, 64, 100_000])
def test_blocks_change_no_bit(entry: Elementwise, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.concatenate([sample(150), [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e300, 5e-324]])
    dtypes: tuple[np.dtype[Any], ...] = FLOAT64, FLOAT32
    expected = [activate(call(entry), x, order=2, dtype=dtype) for dtype in dtypes]
    cut(monkeypatch, block)
    for dtype, known in zip(dtypes, expected, strict=True):
        for mapper in (forwards, backwards):
            assert_same_bits(activate(call(entry), x, order=2, dtype=dtype, map_blocks=mapper), known)


@over(ELEMENTWISE)
def test_an_element_alone_gets_the_same_bits_as_in_an_array(entry: Elementwise) -> None:
    """Vectorised loops treat the last few elements apart from the rest; the answer must not show it."""
    x = np.concatenate([sample(61), [1e300, -1e300, 700.0, -700.0]])
    for dtype in (FLOAT64, FLOAT32):
        together = activate(call(entry), x, order=2, dtype=dtype).orders
        for place in range(x.size):
            alone = activate(call(entry), x[place], order=2, dtype=dtype).orders
            for values, single in zip(together, alone, strict=True):
                np.testing.assert_array_equal(values[place], single)


@pytest.mark.parametrize(
    ("name", "step"),
    [("float64", LONG_BLOCKS[FLOAT64]), ("float32", LONG_BLOCKS[FLOAT32]), ("bfloat16", BLOCK)],
)
def test_threads_compute_every_block_once(name: str, step: int) -> None:
    entry = ELEMENTWISE[0]
    x = sample(5 * step + 3)
    seen: list[slice] = []
    lock = threading.Lock()

    def spread(function: Callable[[slice], None], blocks: Iterable[slice]) -> Iterable[None]:
        def noted(block: slice) -> None:
            with lock:
                seen.append(block)
            function(block)

        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(noted, blocks))

    got = activate(call(entry), x, order=2, dtype=FORMATS[name], map_blocks=spread)
    assert_same_bits(got, activate(call(entry), x, order=2, dtype=FORMATS[name]))
    assert len(seen) == 6
    covered = np.zeros(x.size, int)
    for block in seen:
        covered[block] += 1
    assert (covered == 1).all()


@over([entry for entry in ELEMENTWISE if entry.parameters])
def test_array_parameters_are_cut_with_the_inputs(
    entry: Elementwise, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = sample(5, 9)
    params = {each.name: np.linspace(1, 1.1, 9) * example(entry)[each.name] for each in entry.parameters}
    arrays = REGISTRY.resolve(entry.name, params)
    expected = activate(arrays, x, order=2)
    cut(monkeypatch, 4)
    assert_same_bits(activate(arrays, x, order=2), expected)


# Upstream


@over(ELEMENTWISE)
def test_the_input_gradient_is_upstream_times_slope(entry: Elementwise) -> None:
    x, upstream = sample(4, 5), sample(4, 5)[::-1]
    evaluation = activate(call(entry), x, upstream=upstream)
    assert evaluation.input_gradient is not None
    # The slope is not rounded before it is multiplied; this product of rounded ones is off by an ulp or so.
    rounded_twice = upstream * evaluation.orders[1]
    np.testing.assert_allclose(evaluation.input_gradient, rounded_twice, rtol=2.0**-51, atol=0)


ULPS = 2.0**-50
"""Relative width around a product in float64 that surely contains the exact one: f′ is within 2 ulp."""


@over(ELEMENTWISE)
@pytest.mark.parametrize("name", [name for name in FORMATS if name != "float64"])
def test_the_gradient_is_rounded_once(entry: Elementwise, name: str) -> None:
    """u·f′(x), exact, rounded to the format; mpmath decides where float64 cannot."""
    dtype = FORMATS[name]
    x, upstream = sample(50).astype(dtype), sample(50)[::-1].astype(dtype)
    gradient = activate(call(entry), x, dtype=dtype, upstream=upstream).input_gradient
    points, seeds = x.astype(np.float64), upstream.astype(np.float64)
    wide = activate(call(entry), points, upstream=seeds).input_gradient
    assert gradient is not None
    assert wide is not None
    got = gradient.astype(np.float64)
    low, high = (round_to(wide * (1 + side * ULPS), dtype).astype(np.float64) for side in (-1, 1))
    clear = low == high
    np.testing.assert_array_equal(got[clear], low[clear])
    for place in np.flatnonzero(~clear).tolist():
        slope = exact(entry, entry.formulas.slope, {"x": float(points[place]), **example(entry)})
        truth = simplest(fraction(slope)) * Fraction(seeds[place])
        assert same(got[place], rounded(truth, name)), points[place]


def simplest(value: Fraction) -> Fraction:
    """The simple fraction that mpmath's 220 bits round, if there is one: with x/3 + 1/2 ties occur."""
    short = value.limit_denominator(2**60)
    return short if abs(short - value) < Fraction(1, 2**180) else value


@over(LEARNABLE)
def test_no_upstream_no_gradients(entry: Elementwise) -> None:
    evaluation = activate(call(entry), sample(3))
    assert evaluation.input_gradient is None
    assert evaluation.param_gradients == {}
    learned = {each.name for each in entry.parameters if each.learnable}
    assert activate(call(entry), sample(3), upstream=np.ones(3)).param_gradients.keys() == learned


@over(LEARNABLE)
def test_gradients_of_nothing_are_zero(entry: Elementwise) -> None:
    evaluation = activate(call(entry), sample(0), upstream=np.ones(0))
    assert all(gradient == 0 for gradient in evaluation.param_gradients.values())


@over(ELEMENTWISE)
@pytest.mark.parametrize("shape", [(), (2,), (3, 1), (3, 2), (1, 2, 3), (0,)], ids=str)
def test_an_upstream_that_does_not_fit_is_refused(entry: Elementwise, shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidValue, match=r"shape of the outputs, \[2, 3\]") as caught:
        activate(call(entry), sample(2, 3), upstream=np.ones(shape))
    assert caught.value.loc == ("upstream",)


# Refusals


@pytest.mark.parametrize("order", [-1, 3, 10**9])
def test_orders_beyond_two_are_refused(order: int) -> None:
    for entry in REGISTRY.values():
        with pytest.raises(InvalidValue, match="order") as caught:
            activate(REGISTRY.resolve(entry.name), sample(4, 4), order=order)
        assert caught.value.loc == ("order",)
