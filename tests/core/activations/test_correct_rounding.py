"""In formats of 8 and 16 bits every answer is the correctly rounded one: proved value by value.

The exact answer comes from the entry's own formula in ball arithmetic. It is compared with the ends of the
interval that rounds to what the program answered; on an end, a tie, the answer's last bit must be even.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from app.core.activations.definition import Elementwise
from app.core.activations.registry import Call
from app.core.arithmetic.formats import FORMATS
from app.core.evaluation import activate
from tests.core.activations.test_promise import ELEMENTWISE, example, over
from tests.support.balls import Undecided, nearest, rounding_intervals, values_of, within
from tests.support.oracle import exact, nearest_float

SHORT = {name: dtype for name, dtype in FORMATS.items() if dtype.itemsize == 1}
HALF = {name: dtype for name, dtype in FORMATS.items() if dtype.itemsize == 2}
assert SHORT
assert HALF


def wrongly_rounded(entry: Elementwise, dtype: np.dtype[Any], points: np.ndarray) -> list[tuple[int, float]]:
    """Orders and inputs whose answers are not the correctly rounded ones."""
    params = example(entry)
    wrong = []
    undecided = []
    has_no_infinity = bool(np.isnan(np.array(np.inf).astype(dtype)))  # NaN answers for both of them
    orders = activate(Call(entry, dict(params)), points, order=2, dtype=dtype).orders
    for order, (expression, answers) in enumerate(zip(entry.formulas.orders, orders, strict=True)):
        low, high, even = rounding_intervals(answers, dtype)
        rows = zip(points.tolist(), low.tolist(), high.tolist(), even.tolist(), strict=True)
        for x, least, greatest, ends_too in rows:
            try:
                inside, on_an_end = within(entry, expression, x, params, least, greatest)
            except Undecided:
                undecided.append((order, x))
                continue
            if not inside and greatest == math.inf and has_no_infinity:
                inside, on_an_end = within(entry, expression, x, params, -greatest, -least)
            if not inside or (on_an_end and not ends_too and math.isfinite(least + greatest)):
                wrong.append((order, x))
    # Functions that approach √x come within e^(−10²⁶) of a tie at powers of 4, which no precision decides.
    assert len(undecided) <= 2, undecided
    return wrong


@over(ELEMENTWISE)
@pytest.mark.parametrize("dtype", SHORT.values(), ids=SHORT)
def test_every_value_of_8_bits(entry: Elementwise, dtype: np.dtype[Any]) -> None:
    assert not wrongly_rounded(entry, dtype, values_of(dtype))


@over(ELEMENTWISE)
@pytest.mark.parametrize("dtype", HALF.values(), ids=HALF)
def test_some_values_of_16_bits(entry: Elementwise, dtype: np.dtype[Any]) -> None:
    rng = np.random.default_rng(len(entry.name))
    points = values_of(dtype)
    near_zero = points[np.abs(points) < 1e-3]
    assert not wrongly_rounded(
        entry, dtype, np.concatenate([rng.choice(points, 300), rng.choice(near_zero, 200)])
    )


@pytest.mark.slow
@over(ELEMENTWISE)
@pytest.mark.parametrize("dtype", HALF.values(), ids=HALF)
def test_every_value_of_16_bits(entry: Elementwise, dtype: np.dtype[Any]) -> None:
    assert not wrongly_rounded(entry, dtype, values_of(dtype))


@over(ELEMENTWISE)
def test_mpmath_and_ball_arithmetic_agree(entry: Elementwise) -> None:
    rng = np.random.default_rng(len(entry.name))
    params = example(entry)
    for x in [*rng.uniform(-20, 20, 20).tolist(), 1e-9, -3e-40]:
        for expression in entry.formulas.orders:
            truth = nearest_float(exact(entry, expression, {"x": x, **params}))
            assert abs(nearest(entry, expression, x, params) - truth) <= 1e-15 * abs(truth)
