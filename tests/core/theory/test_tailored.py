"""Tailored rectifiers against the correlation map of mean-field theory, which is computed by integrals."""

from __future__ import annotations

import math

import pytest

from app.core.activations import REGISTRY
from app.core.theory.duals import dual_of
from app.core.theory.tailored import CORRELATION, correlation_after, tailored_slope
from app.core.theory.trajectory import trajectory


def integrated(depth: int, slope: float) -> float:
    """The correlation of the pre-activations of the layer after the last."""
    call = REGISTRY.resolve("leaky_relu", {"negative_slope": slope})
    sigma = math.sqrt(2 / (1 + slope * slope))
    found = trajectory(dual_of(call), sigma, 0.0, depth + 1, variance=1.0, correlation=0.0).c
    assert found is not None
    return float(found[-1])


@pytest.mark.parametrize("slope", [0.0, 0.3, 0.74, 0.95])
@pytest.mark.parametrize("depth", [1, 5, 40])
def test_the_closed_form_is_the_integral(depth: int, slope: float) -> None:
    assert correlation_after(depth, slope) == pytest.approx(integrated(depth, slope), rel=1e-9)


@pytest.mark.parametrize("depth", [20, 50, 100, 300, 1000])
def test_inputs_leave_the_last_layer_with_the_correlation_that_was_chosen(depth: int) -> None:
    slope = tailored_slope(depth)
    assert slope is not None
    assert integrated(depth, slope) <= CORRELATION < integrated(depth, slope - 0.01)


def test_deeper_networks_have_slopes_nearer_to_one_and_shallow_ones_need_none() -> None:
    slopes = [tailored_slope(depth) or 1.0 for depth in (20, 50, 100, 300, 1000, 10_000)]
    assert slopes == sorted(slopes)
    assert [tailored_slope(depth) for depth in (1, 2, 10, 10**12)] == [None] * 4
