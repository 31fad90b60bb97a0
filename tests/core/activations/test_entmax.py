"""α-entmax for α without a compiled loop, and 1.5-entmax of two scores for every number of a format."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.activations.entmax import MOST_ELEMENTS
from app.core.arithmetic import Array
from app.core.arithmetic.formats import FORMATS
from app.core.errors import InvalidValue, LimitExceeded
from app.core.evaluation import activate
from app.core.verification.exact import doubles, every_number
from tests.support.oracle import exact, ulps

ENTMAX = REGISTRY["entmax"]
BOUND = 2.0


def outputs(row: list[float] | Array, alpha: float, **params: Array) -> Array:
    return activate(REGISTRY.resolve("entmax", {"alpha": alpha, **params}), np.array(row), order=0).orders[0]


@pytest.mark.parametrize("alpha", [1.1, 4 / 3, 2.5])
def test_values_and_jacobians_are_the_formulas(alpha: float) -> None:
    for row in ([0.3, -1.2, 0.9], [0.5, 0.5, 0.4999999], [300.0, -1e-300]):
        x = np.array(row)
        value, jacobian = activate(REGISTRY.resolve("entmax", {"alpha": alpha}), x).orders
        names = {"x": x, "n": x.size, "m": x.size, "alpha": alpha}
        for i, y in enumerate(value.tolist()):
            assert ulps(y, exact(ENTMAX, ENTMAX.formulas.value, {**names, "i": i})) <= BOUND
            slope = exact(ENTMAX, ENTMAX.formulas.slope, {**names, "i": i, "k": 0})
            assert ulps(float(jacobian[i, 0]), slope) <= BOUND


@pytest.mark.parametrize("alpha", [1 + 2.0**-40, 1.2, 1.75, 3.0, 30.0])
def test_of_two_scores_the_shares_satisfy_their_equation(alpha: float) -> None:
    """p^(α−1) − (1 − p)^(α−1) = (α − 1)·t for the scores t and 0, inside the support."""
    for t in (1e-12, 0.01, 0.9 / (alpha - 1) if alpha > 1.1 else 5.0):
        p, rest = outputs([t, 0.0], alpha).tolist()
        with mpmath.workdps(60):
            beta = mpmath.mpf(alpha) - 1
            ends = [mpmath.mpf(p) + side * BOUND * np.spacing(p) for side in (-1, 1)]
            below, above = (each**beta - (1 - each) ** beta - beta * mpmath.mpf(t) for each in ends)
        assert below < 0 < above
        assert p + rest == pytest.approx(1, abs=2.0**-52)


def test_special_cases_agree_with_their_loops() -> None:
    x = np.random.default_rng(0).normal(size=(4, 6))
    for alpha, name in ((1.5, "entmax15"), (2.0, "sparsemax")):
        for got, own in zip(
            activate(REGISTRY.resolve("entmax", {"alpha": alpha}), x).orders,
            activate(REGISTRY.resolve(name), x).orders,
            strict=True,
        ):
            np.testing.assert_array_equal(got, own)
    close = outputs(x, 1 + 2.0**-52)
    np.testing.assert_allclose(close, activate(REGISTRY.resolve("softmax"), x).orders[0], rtol=1e-14)


def test_a_product_with_one_element_is_a_row_of_the_jacobian() -> None:
    x, call = np.array([0.3, -0.4, 0.9, -9.0]), REGISTRY.resolve("entmax", {"alpha": 1.3})
    jacobian = activate(call, x).orders[1]
    for i, unit in enumerate(np.eye(4)):
        np.testing.assert_array_equal(activate(call, x, upstream=unit).input_gradient, jacobian[i])


def test_ties_ends_masks_and_limits() -> None:
    inf, nan = np.inf, np.nan
    assert outputs([4.0, 0.0], 1.25).tolist() == [1, 0]  # just on the threshold
    assert outputs([inf, 1.0, -inf], 1.25).tolist() == [1, 0, 0]
    assert np.isnan(outputs([inf, inf], 1.25)).all()
    assert np.isnan(outputs([0.0, nan], 1.25)).all()
    assert outputs([0.0, 0.0, -1e308], 40.0).tolist() == [0.5, 0.5, 0]
    mask = np.array([1.0, 0.0, 1.0])
    assert outputs([0.1, 9.0, 0.2], 1.25, mask=mask)[[0, 2]].tolist() == outputs([0.1, 0.2], 1.25).tolist()
    assert outputs([0.1, 9.0, 0.2], 1.25, mask=0 * mask).tolist() == [0, 0, 0]
    with pytest.raises(LimitExceeded):
        outputs(np.zeros(MOST_ELEMENTS + 1), 1.25)
    with pytest.raises(InvalidValue):
        outputs([0.0], 1.0)


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "bfloat16"])
def test_of_two_scores_every_number_is_correctly_rounded(dtype: str) -> None:
    """1.5-entmax of t and 0 is 1/2 + t√(8 − t²)/8 inside the support: compared with the midpoints."""
    numbers = every_number(FORMATS[dtype])
    assert numbers is not None
    t = numbers[np.isfinite(numbers)]
    rows = np.stack([t, np.zeros_like(t)], axis=1)
    call = REGISTRY.resolve("entmax15")
    got = doubles(activate(call, rows, order=0, dtype=FORMATS[dtype]).orders[0])[:, 0]
    assert (got[t >= 2] == 1).all()
    assert (got[t <= -2] == 0).all()
    inside = np.abs(t) < 2
    values = np.unique(numbers[(numbers >= 0) & (numbers <= 2)])
    place = np.searchsorted(values, got[inside])
    below, above = values[np.maximum(place - 1, 0)], values[place + 1]
    for at, p, less, more in zip(
        *(each.tolist() for each in (t[inside], got[inside], below, above)), strict=True
    ):
        low, high = (Fraction(p) + Fraction(each) for each in (less, more))  # twice the ends
        assert _at_least(at, low)
        assert not _at_least(at, high) or _is(at, high)


def _twice(at: float, end: Fraction) -> tuple[Fraction, Fraction]:
    """Twice p is 1 + t√(8 − t²)/4: what to compare, t√(8 − t²) and 4·(end − 1), squared with their signs."""
    t, other = Fraction(at), 4 * (end - 1)
    square = t * t * (8 - t * t)
    return (square if t >= 0 else -square), (other * other if other >= 0 else -other * other)


def _at_least(at: float, end: Fraction) -> bool:
    own, other = _twice(at, end)
    return own >= other


def _is(at: float, end: Fraction) -> bool:
    own, other = _twice(at, end)
    return own == other
