"""The outputs of a layer's units, and which of them count as saturated or dead."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.activations.definition import Elementwise
from app.core.evaluation import activate
from app.core.propagation.units import SATURATED, Units, has_flat_piece

ENTRIES = [
    entry
    for entry in REGISTRY.values()
    if isinstance(entry, Elementwise) and len(entry.defaults) == len(entry.parameters)
]


CASES = [(entry, np.float64) for entry in ENTRIES] + [
    (REGISTRY.resolve(name).activation, np.float32) for name in ("relu", "tanh", "elu")
]


@pytest.mark.parametrize(("entry", "dtype"), CASES)
def test_outputs_are_the_activation_and_counts_agree_with_their_definition(
    entry: Elementwise, dtype: Any
) -> None:
    z = np.random.default_rng(3).normal(0, 4, (40, 9)).astype(dtype)
    z[7], z[8], z[9, :5], z[10] = -100, 100, -100, 0
    call = REGISTRY.resolve(entry.name)
    outputs, slopes = np.full((2, *z.shape), np.nan, dtype)
    with np.errstate(all="ignore"):
        counts = Units(call).respond(z, slice(0, 40), outputs, slopes)
    exact = activate(call, z.astype(np.float64), dtype=np.dtype(dtype)).orders
    np.testing.assert_array_equal(outputs, exact[0])
    np.testing.assert_array_equal(slopes, exact[1])

    largest = entry.number(entry.largest_slope)
    faint = np.abs(slopes) < SATURATED * (largest if 0 < largest < np.inf else 1)
    sides = {"negative": z < 0, "positive": z > 0}
    flat = [sides[side] for side in entry.saturates]
    inside = flat[0] if len(flat) == 1 else np.full(z.shape, bool(flat))
    assert counts.saturated == np.count_nonzero(faint & inside)
    dead = np.count_nonzero((slopes == 0).all(axis=1))
    assert counts.dead == (dead if has_flat_piece(call) else 0)
