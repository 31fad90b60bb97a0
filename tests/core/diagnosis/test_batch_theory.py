"""Mean-field theory of batch normalisation, against closed forms and simulated networks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.activations.definition import Elementwise
from app.core.diagnosis.experiment import Experiment
from app.core.diagnosis.theory import Prediction, Theory
from app.core.evaluation import FLOAT64
from app.core.propagation.initialisers import gaussian
from app.core.propagation.network import GaussianInputs, Network
from app.core.propagation.normalisation import NORMALISATIONS
from app.core.propagation.simulation import propagate
from app.core.theory.batch_moments import batch_moments


def network(activation: str, depth: int = 6, width: int = 256, **fields: Any) -> Network:
    weights = fields.pop("weights", gaussian(1.3, 0.2))
    batch = NORMALISATIONS["batch_norm"]
    sizes = (width,) * (depth + 1)
    return Network(
        sizes=sizes, call=REGISTRY.resolve(activation), weights=weights, normalisation=batch, **fields
    )


def theory(net: Network, inputs: Any) -> Theory | None:
    return Prediction(Experiment(network=net, inputs=inputs))(map, lambda _: None)


@pytest.mark.parametrize("activation", ["relu", "tanh", "hard_tanh", "elu"])
@pytest.mark.parametrize("batch", [4, 5, 16, 200])
def test_moments_are_those_of_drawn_batches(activation: str, batch: int) -> None:
    """Means over random normal batches, normalised, within five standard errors."""
    call = REGISTRY.resolve(activation)
    rng = np.random.default_rng(batch)
    z = rng.standard_normal((4000, batch))
    z -= z.mean(axis=1, keepdims=True)
    z /= z.std(axis=1, keepdims=True)
    assert isinstance(call.activation, Elementwise)
    value, slope = call.activation.orders(z, 2, **call.scalars)
    found = batch_moments(call, batch)

    def pairs(values: np.ndarray) -> np.ndarray:
        total, squares = values.sum(axis=1), (values**2).sum(axis=1)
        return np.asarray((total**2 - squares) / (batch * (batch - 1)))

    drawn = {
        "second": (value**2).mean(axis=1),
        "both": pairs(value),
        "slope": (slope**2).mean(axis=1),
        "slopes": pairs(slope),
        "pull": ((slope * z) ** 2).mean(axis=1),
        "pulls": pairs(slope * z),
    }
    for name, each in drawn.items():
        error = each.std() / math.sqrt(len(each)) + 1e-9
        assert abs(getattr(found, name) - each.mean()) < 5 * error, name


@pytest.mark.parametrize("batch", [4, 7, 64, 1000])
def test_moments_of_the_identity(batch: int) -> None:
    """Σ ẑ = 0 and Σ ẑ² = B, so that the gradient's components along 1 and ẑ vanish."""
    found = batch_moments(REGISTRY.resolve("linear"), batch)
    assert found.second == pytest.approx(1, rel=1e-9)
    assert found.both == pytest.approx(-1 / (batch - 1), rel=1e-7)
    assert found.slope == pytest.approx(1, rel=1e-9)
    assert found.projected(1.0, 0.0) == pytest.approx(1 - 2 / batch, rel=1e-8)


def test_relu_at_a_large_batch() -> None:
    """The gradient grows by √(π/(π − 1)) a layer (Yang et al. 2019)."""
    found = theory(network("relu", depth=8), GaussianInputs(10**6))
    assert found is not None
    assert float(found.path.chi[3]) == pytest.approx(math.pi / (math.pi - 1), rel=1e-4)


@pytest.mark.parametrize(("activation", "batch"), [("relu", 16), ("tanh", 32)])
def test_simulated_networks_agree_with_theory(activation: str, batch: int) -> None:
    inputs = GaussianInputs(batch, 0.7, 0.3)
    net = network(activation)
    found = theory(net, inputs)
    assert found is not None
    runs = [propagate(net, inputs, seed=1, index=index, dtype=FLOAT64) for index in range(16)]
    logarithms = np.array([each.gradient_log10_rms for each in runs])
    error = logarithms.std(axis=0) / 4
    assert np.abs(logarithms.mean(axis=0) - found.gradient_log10_rms).max() < 5 * error.max() + 0.01
    variances = np.array([each.preactivation_variance for each in runs]).mean(axis=0)
    np.testing.assert_allclose(variances, found.path.q, rtol=0.03)


@pytest.mark.parametrize(
    ("fields", "inputs"),
    [
        ({"residual": 0.5}, GaussianInputs(8)),
        ({}, GaussianInputs(3)),
        ({}, GaussianInputs(8, 1e-6)),
        ({}, GaussianInputs(8, 1.0, 1.0)),
        ({}, np.random.default_rng(0).standard_normal((256, 8))),
    ],
)
def test_networks_without_a_theory(fields: dict[str, Any], inputs: Any) -> None:
    assert theory(network("relu", **fields), inputs) is None
