"""The error bounds of double-double arithmetic, each checked with mpmath."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import mpmath
import numpy as np
import pytest

from app.core.arithmetic import Array
from app.core.arithmetic.double_double import (
    ROUGH,
    DoubleDouble,
    Scaled,
    add,
    add_double,
    exp,
    exp_scaled,
    expm1,
    fast_two_sum,
    inverse_of_sum,
    inverse_unnormalised,
    log1p,
    product,
    product_unnormalised,
    quotient,
    rounded_product,
    scalar,
    scaled,
    square_root,
    two_product,
    two_sum,
)
from app.core.arithmetic.loops import Kernel
from app.core.arithmetic.scaled import exactly, mantissa

RANDOM = np.random.default_rng(20)
COUNT = 2000
DIGITS = 100


def mantissas() -> Array:
    return np.asarray(RANDOM.uniform(0.5, 1, COUNT) * RANDOM.choice([-1, 1], COUNT))


WIDE = np.ldexp(mantissas(), RANDOM.integers(-200, 200, COUNT))
OTHER = np.ldexp(mantissas(), RANDOM.integers(-200, 200, COUNT))
CLOSE = np.ldexp(mantissas(), np.frexp(WIDE)[1] + RANDOM.integers(-60, 60, COUNT))
"""Each within 2⁶⁰ of its neighbour in `WIDE`, so that sums of the two overlap."""

SHIFT = RANDOM.uniform(-0.5, 0.5, 2 * COUNT)
EXPONENTS = np.concatenate([RANDOM.uniform(-700, 700, COUNT), RANDOM.uniform(-1, 1, COUNT)])
NEGATIVE = -np.concatenate([RANDOM.uniform(0, 60, COUNT), np.geomspace(1e-300, 60, COUNT)])
UP_TO_ONE = np.concatenate([RANDOM.uniform(0, 1, COUNT), np.geomspace(1e-290, 1, COUNT)])
LOW = 2.0**-54
"""The low part of a pair, relative to its high part."""


@scalar
def _parts(pair: DoubleDouble) -> tuple[Scaled, Scaled]:
    return exactly(pair.high), exactly(pair.low)


@scalar
def _normalised(pair: DoubleDouble) -> DoubleDouble:
    return fast_two_sum(pair.high, pair.low)


@Kernel
def _two_sum(x: float, y: float) -> tuple[Scaled, Scaled]:
    return _parts(two_sum(x, y))


@Kernel
def _two_product(x: float, y: float) -> tuple[Scaled, Scaled]:
    return _parts(two_product(x, y))


@Kernel
def _plus(x: float, y: float) -> tuple[Scaled, Scaled]:
    return _parts(add_double(DoubleDouble(x, x * LOW), y))


@Kernel
def _total(x: float, y: float) -> tuple[Scaled, Scaled]:
    return _parts(add(DoubleDouble(x, x * LOW), DoubleDouble(y, -y * LOW)))


@Kernel
def _times(x: float, y: float) -> tuple[Scaled, Scaled]:
    return _parts(product(DoubleDouble(x, x * LOW), DoubleDouble(y, -y * LOW)))


@Kernel
def _quotient(x: float, y: float) -> tuple[Scaled, Scaled]:
    return _parts(quotient(DoubleDouble(x, x * LOW), DoubleDouble(y, -y * LOW)))


@Kernel
def _product(x: float, y: float) -> tuple[Scaled, Scaled]:
    return _parts(_normalised(product_unnormalised(DoubleDouble(x, x * LOW), DoubleDouble(y, -y * LOW))))


@Kernel
def _inverse(x: float, y: float) -> tuple[Scaled, Scaled]:
    return _parts(_normalised(inverse_unnormalised(DoubleDouble(x, x * y * LOW))))


@Kernel
def _inverse_of_sum(x: float, y: float) -> tuple[Scaled, Scaled]:
    return _parts(_normalised(inverse_of_sum(2.0, DoubleDouble(x, x * y * LOW))))


@Kernel
def _rounded(x: float, y: float) -> tuple[Scaled, Scaled]:
    result = rounded_product(DoubleDouble(x, x * LOW), DoubleDouble(y, -y * LOW))
    return exactly(result), exactly(0.0)


@Kernel
def _square_root(x: float, y: float) -> tuple[Scaled, Scaled]:
    return _parts(_normalised(square_root(DoubleDouble(x, x * y * LOW))))


@Kernel
def _exp(x: float, y: float) -> tuple[Scaled, Scaled]:
    return _parts(_normalised(exp(x, x * y * LOW)))


@Kernel
def _expm1(x: float, y: float) -> tuple[Scaled, Scaled]:
    return _parts(_normalised(expm1(x, x * y * LOW)))


@Kernel
def _log1p(x: float, y: float) -> tuple[Scaled, Scaled]:
    return _parts(_normalised(log1p(DoubleDouble(x, x * y * LOW))))


@scalar
def _high(pair: DoubleDouble) -> tuple[Scaled, Scaled]:
    return exactly(pair.high), exactly(0.0)


@Kernel
def _rough_exp(x: float, y: float) -> tuple[Scaled, Scaled]:  # noqa: ARG001 - it has no low part
    return _high(mantissa(exp_scaled(x, 0.0, ROUGH)))


@Kernel
def _rough_expm1(x: float, y: float) -> tuple[Scaled, Scaled]:  # noqa: ARG001
    return _high(expm1(x, 0.0, ROUGH))


@Kernel
def _rough_log1p(x: float, y: float) -> tuple[Scaled, Scaled]:  # noqa: ARG001
    return _high(log1p(DoubleDouble(x, 0.0), ROUGH))


@Kernel
def _power_times(x: float, y: float) -> tuple[Scaled, Scaled]:
    e = exp_scaled(x)
    result = scaled(rounded_product(DoubleDouble(e.high, e.low), DoubleDouble(y, 0.0)), e.exponent)
    return exactly(result), exactly(0.0)


@Kernel
def _end(x: float) -> tuple[Scaled, Scaled]:
    return exactly(exp(x, np.nan).high + expm1(x, np.nan).high), exactly(0.0)


class Claim(NamedTuple):
    """``kernel`` is ``formula`` with an error up to 2^``bound`` of ``size``, by default of the result."""

    kernel: Kernel
    formula: Callable[..., Any]
    x: Array
    y: Array
    bound: float
    size: Callable[..., Any] | None = None


def larger(x: Any, y: Any) -> Any:
    return max(abs(x), abs(y))


CLAIMS = {
    "sums are exact": Claim(_two_sum, lambda x, y: x + y, WIDE, CLOSE, -np.inf),
    "products are exact": Claim(_two_product, lambda x, y: x * y, WIDE, OTHER, -np.inf),
    "pair + double": Claim(_plus, lambda x, y: (x + x * LOW) + y, WIDE, CLOSE, -104, larger),
    "pair + pair": Claim(_total, lambda x, y: (x + x * LOW) + (y - y * LOW), WIDE, CLOSE, -103, larger),
    "pair x pair": Claim(_times, lambda x, y: (x + x * LOW) * (y - y * LOW), WIDE, OTHER, -102),
    "pair / pair": Claim(_quotient, lambda x, y: (x + x * LOW) / (y - y * LOW), WIDE, OTHER, -100),
    "loose pair x pair": Claim(
        _product, lambda x, y: (x + x * LOW) * (y - y * LOW), WIDE, OTHER, -100
    ),
    "1 / pair": Claim(_inverse, lambda x, y: 1 / (x * (1 + y * LOW)), WIDE, SHIFT[:COUNT], -100),
    "1 / (2 + pair)": Claim(
        _inverse_of_sum, lambda x, y: 1 / (2 + x * (1 + y * LOW)), UP_TO_ONE, SHIFT, -100
    ),
    "pair x pair, rounded": Claim(_rounded, lambda x, y: (x + x * LOW) * (y - y * LOW), WIDE, OTHER, -52.99),
    "square root": Claim(
        _square_root, lambda x, y: mpmath.sqrt(x * (1 + y * LOW)), np.abs(WIDE), SHIFT[:COUNT], -103
    ),
    "exp": Claim(_exp, lambda x, y: mpmath.exp(x + x * y * LOW), EXPONENTS, SHIFT, -56),
    "expm1": Claim(_expm1, lambda x, y: mpmath.expm1(x + x * y * LOW), NEGATIVE, SHIFT, -56),
    "log1p": Claim(_log1p, lambda x, y: mpmath.log1p(x + x * y * LOW), UP_TO_ONE, SHIFT, -57),
    "rough exp": Claim(_rough_exp, lambda x, _: mpmath.exp(x), EXPONENTS, SHIFT, -45),
    "rough expm1": Claim(_rough_expm1, lambda x, _: mpmath.expm1(x), NEGATIVE, SHIFT, -48),
    "rough log1p": Claim(_rough_log1p, lambda x, _: mpmath.log1p(x), UP_TO_ONE, SHIFT, -43),
}  # fmt: skip


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_pairs_keep_their_bounds(claim: Claim) -> None:
    rows = np.empty((2, claim.x.size))
    claim.kernel.write(claim.x, rows, {"y": claim.y})
    with mpmath.workdps(DIGITS):
        for x, y, high, low in zip(claim.x, claim.y, *rows, strict=True):
            numbers = mpmath.mpf(float(x)), mpmath.mpf(float(y))
            exact = claim.formula(*numbers)
            error = abs(mpmath.mpf(float(high)) + mpmath.mpf(float(low)) - exact)
            assert error <= mpmath.mpf(2.0**claim.bound) * abs((claim.size or claim.formula)(*numbers)), (
                x,
                y,
            )
            assert high + low == high


def test_an_underflowed_power_times_a_huge_factor_keeps_its_digits() -> None:
    x = np.linspace(-1400, -760, 500)
    y = np.exp(np.linspace(690, 700, 500))
    rows = np.empty((1, x.size))
    _power_times.write(x, rows, {"y": y})
    for a, b, got in zip(x.tolist(), y.tolist(), rows[0].tolist(), strict=True):
        exact = mpmath.mpf(b) * mpmath.exp(mpmath.mpf(a))
        assert abs(got - exact) <= 2.0**-52 * exact + 2.0**-1075


@pytest.mark.parametrize("kernel", [_exp, _expm1, _log1p], ids=["exp", "expm1", "log1p"])
def test_nan_stays_nan(kernel: Kernel) -> None:
    rows = np.empty((1, 1))
    kernel.write(np.array([np.nan]), rows, {"y": 0.0})
    assert np.isnan(rows).all()


def test_an_overflown_argument_has_no_low_part() -> None:
    """x/α and β·x are pairs whose low part is ∞ − ∞ where the high one overflows."""
    rows = np.empty((1, 2))
    _end.write(np.array([-np.inf, -1e300]), rows, {})
    assert rows[0].tolist() == [-1, -1]


def test_the_ends_of_exp() -> None:
    x = np.array([-np.inf, -745.2, -745.1, 709.8, np.inf])
    rows = np.empty((1, x.size))
    _power_times.write(x, rows, {"y": 1.0})
    assert rows[0].tolist() == [0, 0, 5e-324, np.inf, np.inf]
