"""``POST /activate`` over every entry's whole parameter space: 200 or 422, never 500."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.activations.definition import Activation
from app.core.activations.parameters import Integers, Parameter
from tests.conftest import InProcess

WITH_PARAMETERS = [entry for entry in REGISTRY.values() if entry.parameters]
SIZES = (5e-324, 2e-308, 1e-300, 1e-154, 1.0, 1e103, 9e307, 1.7976931348623157e308)
INPUTS = [
    0.0,
    5e-324,
    1e-300,
    -1.0,
    1.0,
    5e301,
    -1.7e308,
    1.7976931348623157e308,
    "Infinity",
    "-Infinity",
    "NaN",
]
SHAPES = [(), (1,), (2,), (3,), (2, 3), (3, 1), (1, 3), (0,), (3, 0), (2, 1, 3), (1, 1, 1, 1)]
SECONDS = 5.0
"""Enough for compiling loops, much less than the minute that one elementwise check once took."""

assert WITH_PARAMETERS
over_entries = pytest.mark.parametrize("entry", WITH_PARAMETERS, ids=lambda entry: entry.name)


def ends(parameter: Parameter) -> list[float]:
    """Values up to the ends of the domain, with both signs if allowed."""
    if isinstance(parameter.domain, Integers):
        return [float(parameter.domain.low), float(parameter.domain.high)]
    values = [0.0, *SIZES, *(-size for size in SIZES)]
    return [value for value in values if parameter.domain.contains(value)]


def answered(client: InProcess, **fields: Any) -> int:
    response = client.post("/activate", json=fields)
    assert response.status_code in {200, 422}, (fields, response.text[:300])
    return response.status_code


def filled(entry: Activation, rng: np.random.Generator, shape: tuple[int, ...] | None) -> dict[str, Any]:
    """Every parameter at an end of its domain, or an array of ends."""
    params: dict[str, Any] = {}
    for parameter in entry.parameters:
        axes = shape if parameter.shape is None else (2,) * len(parameter.shape)
        params[parameter.name] = rng.choice(ends(parameter), axes).tolist()
    return params


@over_entries
def test_parameters_at_the_ends_of_their_domains(client: InProcess, entry: Activation) -> None:
    rng = np.random.default_rng(len(entry.name))
    some: Mapping[str, Any] = {"function": entry.name, "inputs": INPUTS, "upstream": None}
    answers = [
        answered(client, **some, order=order, dtype=dtype, params=filled(entry, rng, ()))
        for dtype in ("float64", "float32", "bfloat16", "float8_e4m3fn")
        for order in (0, 2)
        for _ in range(6)
    ]
    assert answers


@over_entries
def test_gradients_with_parameters_at_the_ends(client: InProcess, entry: Activation) -> None:
    rng = np.random.default_rng(len(entry.name))
    for _ in range(12):
        upstream = rng.choice([*SIZES, *(-size for size in SIZES)], len(INPUTS)).tolist()
        fields = {"function": entry.name, "inputs": INPUTS, "order": 0, "params": filled(entry, rng, ())}
        answered(client, **fields, upstream=upstream)


@over_entries
def test_shapes_that_do_not_fit(client: InProcess, entry: Activation) -> None:
    rng = np.random.default_rng(len(entry.name))
    started = time.monotonic()
    for inputs in SHAPES:
        for shape in SHAPES:
            params = filled(entry, rng, ())
            one = entry.parameters[int(rng.integers(len(entry.parameters)))]
            params[one.name] = np.full(shape, ends(one)[-1]).tolist()
            axis = int(rng.integers(-3, 3))
            fields = {"function": entry.name, "inputs": np.zeros(inputs).tolist(), "axis": axis}
            answered(client, **fields, params=params)
    assert time.monotonic() - started < SECONDS * 3


def test_two_shapes_that_do_not_fit_each_other(client: InProcess) -> None:
    limits = {"min_val": [0, 0], "max_val": [1, 1, 1]}
    assert answered(client, function="hard_tanh", inputs=[0, 1], params=limits) == 422


def test_limits_are_compared_where_they_meet(client: InProcess) -> None:
    """Along the axis, the first limit has one value per row, the second one per element."""
    limits = {"min_val": [0, 2], "max_val": [[1, 1, 1], [1, 1, 3]]}
    fields: dict[str, Any] = {"function": "hard_tanh", "inputs": np.zeros((2, 3)).tolist(), "axis": 0}
    assert answered(client, **fields, params=limits) == 422
    assert answered(client, **fields, params=limits | {"max_val": [[1, 1, 1], [2, 2, 3]]}) == 200


def test_nothing_is_broadcast_before_it_is_known_to_fit(client: InProcess) -> None:
    """Thousands of lower limits and thousands of upper ones would make millions of pairs, for one number."""
    count = 4000
    limits = {"min_val": [[0]] * count, "max_val": [[1] * count]}
    started = time.monotonic()
    assert answered(client, function="hard_tanh", inputs=[0], params=limits) == 422
    assert time.monotonic() - started < 1.0
