"""Dropout: what the masks do, how often, and that nothing else changes."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from numpy.typing import NDArray

from app.core.activations import REGISTRY
from app.core.errors import InvalidValue
from app.core.evaluation import FLOAT64
from app.core.propagation.blocks import Blocks
from app.core.propagation.dropout import Dropout
from app.core.propagation.given import GivenWeights
from app.core.propagation.initialisers import gaussian, initialiser
from app.core.propagation.network import GaussianInputs, Network, given_network
from app.core.propagation.simulation import propagate
from app.core.propagation.statistics import NAMES
from app.core.propagation.streams import Stream


def network(activation: str = "tanh", depth: int = 4, **fields: Any) -> Network:
    return Network(
        sizes=(60,) * (depth + 1), call=REGISTRY.resolve(activation), weights=gaussian(1.5), **fields
    )


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
def test_as_many_are_kept_as_the_rate_says(rate: float) -> None:
    kept = Dropout(rate).mask(Stream(1), 20_000, Blocks(10))
    # 200,000 independent draws: four standard errors.
    assert abs(kept.mean() - (1 - rate)) <= 4 * math.sqrt(rate * (1 - rate) / kept.size)


def test_a_rate_of_zero_changes_nothing() -> None:
    for kind in ("standard", "alpha"):
        found, plain = (
            propagate(network(dropout=each), GaussianInputs(4), seed=0) for each in (Dropout(0.0, kind), None)
        )
        for name in NAMES:
            np.testing.assert_array_equal(getattr(found, name), getattr(plain, name), err_msg=name)


@pytest.mark.parametrize("tape", [0.0, 1e9])
def test_the_bytes_do_not_depend_on_the_tape(tape: float) -> None:
    net = network(dropout=Dropout(0.4))
    found, plain = (propagate(net, GaussianInputs(4), seed=0, tape=each) for each in (tape, 1e5))
    for name in NAMES:
        np.testing.assert_array_equal(getattr(found, name), getattr(plain, name), err_msg=name)


def _followed(
    matrices: list[NDArray[Any]], x: NDArray[Any], upstream: NDArray[Any], masks: list[Any], dropout: Dropout
) -> list[NDArray[Any]]:
    """dL/dz of tanh layers with these masks, in plain NumPy: the last layer has none."""
    keep, alpha = 1 - dropout.rate, -1.7580993408473766
    a = (keep + alpha**2 * keep * dropout.rate) ** -0.5 if dropout.kind == "alpha" else 1 / keep
    h, slopes = x, []
    for number, matrix in enumerate(matrices):
        value = np.tanh(matrix @ h)
        slope = 1 - value**2
        if number < len(matrices) - 1:
            mask = masks[number]
            slope = slope * a * mask
            kept = a * value * mask
            h = kept + a * alpha * (1 - mask) - a * alpha * dropout.rate if dropout.kind == "alpha" else kept
        slopes.append(slope)
    deltas = [slopes[-1] * upstream]
    for slope, (_, matrix) in zip(slopes[-2::-1], list(pairwise(matrices))[::-1], strict=True):
        deltas.append(slope * (matrix.T @ deltas[-1]))
    return deltas[::-1]


@pytest.mark.parametrize("kind", ["standard", "alpha"])
def test_the_gradient_is_that_of_the_masked_network(kind: Any) -> None:
    rng = np.random.default_rng(2)
    matrices = list(rng.standard_normal((4, 30, 30)) / 5)
    x, upstream = rng.standard_normal((2, 30, 6))
    masks: list[Any] = []
    draw, dropout = Dropout.mask, Dropout(0.3, kind)

    def recording(self: Dropout, *arguments: Any) -> Any:
        masks.append(draw(self, *arguments))
        return masks[-1]

    net = given_network(REGISTRY.resolve("tanh"), GivenWeights(matrices, [None] * 4), dropout=dropout)
    with patch.object(Dropout, "mask", recording):
        run = propagate(net, x, seed=0, upstream=upstream)
    deltas = _followed(matrices, x, upstream, masks, dropout)
    rms = [math.log10(math.sqrt(np.mean(each**2))) for each in deltas]
    np.testing.assert_allclose(run.gradient_log10_rms, rms, rtol=0, atol=1e-12)


def test_alpha_dropout_keeps_mean_and_variance_of_selu() -> None:
    net = Network(
        sizes=(2000,) * 11,
        call=REGISTRY.resolve("selu"),
        weights=initialiser("lecun_normal"),
        dropout=Dropout(0.2, "alpha"),
    )
    run = propagate(net, GaussianInputs(16), seed=0, engine="deferred")
    # The fluctuations of a width of 2,000 over ten layers.
    np.testing.assert_allclose(run.activation_mean[:-1], 0, atol=0.05)
    np.testing.assert_allclose(run.activation_mean_square[:-1], 1, atol=0.1)


def test_standard_dropout_adds_its_own_variance() -> None:
    # E (φ m / (1 − p))² = E φ² / (1 − p).
    net = network("linear", 2, dropout=Dropout(0.5))
    runs = [propagate(net, GaussianInputs(50), seed=0, index=index) for index in range(40)]
    plain = [propagate(network("linear", 2), GaussianInputs(50), seed=0, index=index) for index in range(40)]
    ratio = np.mean([each.activation_mean_square[0] for each in runs]) / np.mean(
        [each.activation_mean_square[0] for each in plain]
    )
    assert abs(ratio - 2) < 0.03


@pytest.mark.parametrize("rate", [-0.1, 1.0, math.nan])
def test_an_impossible_rate_is_refused(rate: float) -> None:
    with pytest.raises(InvalidValue):
        Dropout(rate)


def test_float64_masks_are_float32_s() -> None:
    runs = [
        propagate(network(depth=2, dropout=Dropout(0.5)), np.eye(60)[:, :4], seed=0, dtype=each)
        for each in (FLOAT64, np.dtype(np.float32))
    ]
    assert all(np.isfinite(each.gradient_log10_rms).all() for each in runs)
