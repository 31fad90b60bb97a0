"""Overflow and loss scales against casting the numbers themselves to the short formats."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.arithmetic.formats import FORMATS
from app.core.diagnosis.mixed_precision import mixed_precision
from app.core.propagation.given import GivenWeights
from app.core.propagation.initialisers import gaussian, initialiser
from app.core.propagation.network import GaussianInputs, Network, given_network
from app.core.propagation.residual_block import ResidualBlock
from app.core.propagation.simulation import propagate


def linear_layers(gain: float, depth: int) -> Network:
    return given_network(REGISTRY.resolve("linear"), GivenWeights([gain * np.eye(3)] * depth, [None] * depth))


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
@pytest.mark.parametrize("largest", [1.0, 1.9999, 65520 / 2**15, 65519.99 / 2**15, 1.99609375, 1.996])
def test_the_layer_that_overflows_is_the_first_with_an_infinity_in_the_format(
    name: str, largest: float
) -> None:
    network, inputs = linear_layers(2.0, 140), np.array([[largest], [0.5], [-0.1]])
    found = mixed_precision(network, [propagate(network, inputs, seed=0)])[name]
    with np.errstate(over="ignore"):
        signal = (largest * 2.0 ** np.arange(1, 141)).astype(FORMATS[name])
    assert found.overflow == 1 + int(np.argmax(np.isinf(signal)))
    assert found.largest_scale is None


def passed_back(matrices: Any, x: Any, upstream: Any) -> tuple[list[Any], list[Any]]:
    """dL/dz and dL/dW of tanh layers, in plain NumPy."""
    signals = [x]
    for matrix in matrices:
        signals.append(np.tanh(matrix @ signals[-1]))
    deltas, weights, gradient = [], [], upstream
    for matrix, before, after in zip(matrices[::-1], signals[-2::-1], signals[:0:-1], strict=True):
        deltas.append((1 - after**2) * gradient)
        weights.append(deltas[-1] @ before.T)
        gradient = matrix.T @ deltas[-1]
    return deltas, weights


@pytest.mark.parametrize("size", [1e-6, 1.0, 3e4])
def test_the_largest_scale_is_safe_and_twice_it_is_not(size: float) -> None:
    rng = np.random.default_rng(3)
    matrices, x = rng.standard_normal((6, 40, 40)) / 6, rng.standard_normal((40, 8))
    upstream = size * rng.standard_normal((40, 8))
    network = given_network(REGISTRY.resolve("tanh"), GivenWeights(list(matrices), [None] * 6))
    found = mixed_precision(network, [propagate(network, x, seed=0, upstream=upstream)])["float16"]
    assert found.largest_scale is not None
    assert found.smallest_scale is not None
    deltas, weights = passed_back(matrices, x, upstream)
    with np.errstate(over="ignore"):
        # The largest entry of dL/dW is that of normal numbers within a factor of 2.
        assert all(np.isfinite((found.largest_scale * each).astype(np.float16)).all() for each in deltas)
        assert all(np.isfinite((found.largest_scale / 2 * each).astype(np.float16)).all() for each in weights)
        everything = [*deltas, *weights]
        assert any(np.isinf((4 * found.largest_scale * each).astype(np.float16)).any() for each in everything)
    least = min(math.sqrt(np.mean(each**2)) for each in everything)
    normal = float(np.finfo(np.float16).smallest_normal)
    assert found.smallest_scale * least >= normal > found.smallest_scale * least / 2


def test_scales_move_with_the_loss() -> None:
    network = Network(
        sizes=(30,) * 7,
        call=REGISTRY.resolve("relu"),
        weights=initialiser("he_normal"),
        block=ResidualBlock(branch="depth_scaled"),
    )
    drawn = np.random.default_rng(0).standard_normal((30, 4))
    plain, larger = (
        mixed_precision(network, [propagate(network, GaussianInputs(4), seed=0, upstream=factor * drawn)])
        for factor in (1.0, 64.0)
    )
    for name in ("float16", "bfloat16"):
        before, after = plain[name], larger[name]
        assert before.largest_scale is not None
        assert before.smallest_scale is not None
        assert (after.largest_scale, after.smallest_scale) == (
            before.largest_scale / 64,
            before.smallest_scale / 64,
        )


def test_no_scale_is_safe_where_gradients_span_more_than_the_format() -> None:
    network = Network(sizes=(64,) * 51, call=REGISTRY.resolve("sigmoid"), weights=gaussian(1.0))
    found = mixed_precision(network, [propagate(network, GaussianInputs(4), seed=0)])
    assert (found["float16"].smallest_scale, found["float16"].largest_scale) == (None, None)
    assert found["bfloat16"].smallest_scale is not None
    assert found["bfloat16"].smallest_scale >= 2.0**-126


def test_a_dead_network_needs_no_scale() -> None:
    network = given_network(REGISTRY.resolve("relu"), GivenWeights([-np.eye(3)], [None]))
    found = mixed_precision(network, [propagate(network, np.ones((3, 2)), seed=0)])["float16"]
    assert (found.overflow, found.smallest_scale, found.largest_scale) == (None, None, None)
