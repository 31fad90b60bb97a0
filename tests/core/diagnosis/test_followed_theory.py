"""Theory layer by layer against closed forms and against simulated networks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.diagnosis.experiment import Experiment
from app.core.diagnosis.theory import Prediction, Theory
from app.core.evaluation import FLOAT64
from app.core.propagation.dropout import Dropout
from app.core.propagation.initialisers import gaussian, initialiser
from app.core.propagation.network import GaussianInputs, Network
from app.core.propagation.normalisation import EPSILON, NORMALISATIONS
from app.core.propagation.residual_block import ResidualBlock
from app.core.propagation.simulation import propagate
from app.core.propagation.transformer_block import TransformerBlock

FLOAT32 = np.dtype(np.float32)
NORMS: list[Any] = ["pre", "post", None]


def network(activation: str, width: int = 64, depth: int = 12, **fields: Any) -> Network:
    weights = fields.pop("weights", gaussian(1.4, 0.3))
    return Network(sizes=(width,) * (depth + 1), call=REGISTRY.resolve(activation), weights=weights, **fields)


def theory(net: Network, inputs: Any = None) -> Theory:
    found = Prediction(Experiment(network=net, inputs=inputs or GaussianInputs(4)))(map, lambda _: None)
    assert found is not None
    return found


KINDS: dict[str, dict[str, Any]] = {
    "residual": {"residual": 0.5},
    "layer_norm": {"normalisation": NORMALISATIONS["layer_norm"]},
    "rms_norm, residual": {"normalisation": NORMALISATIONS["rms_norm"], "residual": 0.7},
    "dropout": {"dropout": Dropout(0.3)},
    "alpha dropout": {"dropout": Dropout(0.3, "alpha")},
    "dropout, residual": {"dropout": Dropout(0.3), "residual": -0.6},
    **{
        f"{matrices} matrices, {norm}": {
            "block": ResidualBlock(matrices=matrices, norm=norm, branch=0.6, skip=0.9)
        }
        for matrices in (1, 2, 3)
        for norm in NORMS
    },
    "block, rms_norm, dropout": {
        "block": ResidualBlock(matrices=1),
        "normalisation": NORMALISATIONS["rms_norm"],
        "dropout": Dropout(0.2),
    },
    "depth_scaled": {"block": ResidualBlock(norm=None, branch="depth_scaled")},
    "layers that differ": {
        "laws": (gaussian(1.0), gaussian(1.5, 0.2)) * 6,
        "calls": (REGISTRY.resolve("relu"), REGISTRY.resolve("tanh")) * 6,
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
@pytest.mark.parametrize("kind", KINDS)
def test_wide_networks_agree_with_theory(activation: str, kind: str) -> None:
    """Of width 3,000: a layer's fluctuation is 2 %, and 0.02 decades after twelve."""
    net = network(activation, 3000, **KINDS[kind])
    found = theory(net)
    runs = [
        propagate(net, GaussianInputs(4), seed=1, index=index, dtype=FLOAT32, engine="deferred")
        for index in range(3)
    ]
    gradient, q = (
        np.mean([getattr(each, name) for each in runs], axis=0)
        for name in ("gradient_log10_rms", "preactivation_variance")
    )
    np.testing.assert_allclose(found.path.q, q, rtol=0.07)
    np.testing.assert_allclose(found.gradient_log10_rms, gradient, rtol=0, atol=0.025)


def test_linear_residual_networks_have_a_closed_form() -> None:
    found = theory(network("linear", weights=gaussian(1.2), residual=0.5))
    growth = 1 + 0.25 * 1.44
    np.testing.assert_allclose(found.path.q, 1.44 * growth ** np.arange(12), rtol=1e-12)
    np.testing.assert_allclose(found.path.chi, growth, rtol=1e-12)
    assert found.predicted_log10_ratio == pytest.approx(11 / 2 * math.log10(growth), rel=1e-12)


def test_pre_norm_relu_blocks_add_up() -> None:
    """He's weights: each block adds 2 V(2) = 2 to p = 1 + 2 l, and 4 S/(p + ε) = 2/(p + ε) to χ = 1."""
    net = network("relu", depth=24, weights=initialiser("he_normal"), block=ResidualBlock())
    found = theory(net)
    # layer_norm leaves a variance of p/(p + ε), which is 1 within 1e-5.
    before = 1 + 2 * np.arange(24)
    np.testing.assert_allclose(found.path.chi, 1 + 2 / before, rtol=1e-4)
    ratio = np.log10(found.path.chi[:-1]).sum() / 2
    assert found.predicted_log10_ratio == pytest.approx(ratio, rel=1e-12)
    # The published median of 24 blocks of width 64 (0.850) is within 0.02 of the infinite width's.
    assert abs(found.predicted_log10_ratio - 0.850) < 0.03


@pytest.mark.parametrize("name", ["layer_norm", "rms_norm"])
def test_normalised_layers_lose_what_the_activation_does(name: str) -> None:
    """χ = σ_w² S(1)/(σ_w² V(1)): ½ / ½ = 1 for ReLU, whatever σ_w, but for ε and the first layer."""
    net = network("relu", weights=gaussian(3.0), normalisation=NORMALISATIONS[name])
    chi = theory(net).path.chi
    np.testing.assert_allclose(chi[1:], 1, rtol=2e-5)
    assert chi[0] == pytest.approx(9 / 2 / (9 + EPSILON), rel=1e-5)


def test_dropout_divides_both_moments_by_what_is_kept() -> None:
    plain, dropped = (
        theory(network("relu", weights=gaussian(1.0), dropout=each, residual=0.0))
        for each in (None, Dropout(0.5))
    )
    np.testing.assert_allclose(plain.path.q[:1], dropped.path.q[:1], rtol=1e-12)
    found = theory(network("relu", weights=gaussian(1.0), dropout=Dropout(0.5)))
    np.testing.assert_allclose(found.path.chi[:-1], 1, rtol=1e-12)
    assert found.path.chi[-1] == pytest.approx(0.5, rel=1e-12)  # none after the last layer


def test_a_converged_network_has_a_fixed_point() -> None:
    found = theory(network("tanh", depth=60, weights=gaussian(2.0), dropout=Dropout(0.1)))
    assert float(found.point.q_star) == pytest.approx(float(found.path.q[-1]))
    assert float(found.point.chi_1) == pytest.approx(float(found.path.chi[-2]), rel=1e-3) or np.isnan(
        found.point.chi_1
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"normalisation": NORMALISATIONS["batch_norm"], "residual": 1.0},
        {"normalisation": NORMALISATIONS["batch_norm"], "block": ResidualBlock()},
        {"block": ResidualBlock(norm="inside")},
        {"block": TransformerBlock(heads=4)},
        {"call": REGISTRY.resolve("maxout"), "residual": 0.5},
        {"call": REGISTRY.resolve("swiglu"), "block": ResidualBlock()},
        {"call": REGISTRY.resolve("prelu", {"weight": np.full(64, 0.1)}), "residual": 0.5},
    ],
)
def test_networks_without_a_theory(fields: dict[str, Any]) -> None:
    call = fields.pop("call", REGISTRY.resolve("relu"))
    net = Network(sizes=(64,) * 5, call=call, weights=gaussian(1.0), **fields)
    assert Prediction(Experiment(network=net, inputs=GaussianInputs(4)))(map, lambda _: None) is None


def ratios(net: Network, count: int) -> Any:
    runs = [propagate(net, GaussianInputs(1), seed=4, index=index, dtype=FLOAT64) for index in range(count)]
    return np.array([each.log10_ratio for each in runs])


@pytest.mark.slow
@pytest.mark.parametrize(("activation", "sigma"), [("relu", math.sqrt(2)), ("linear", 1.0), ("relu", 1.0)])
def test_the_spread_of_a_finite_width_is_log_normal(activation: str, sigma: float) -> None:
    net = network(activation, 50, 21, weights=gaussian(sigma))
    expected = theory(net, GaussianInputs(1)).finite_width
    assert expected is not None
    assert expected.beta == pytest.approx(20 / 50)
    found = ratios(net, 3000)
    deviation = (expected.high - expected.low) / 2 / 1.6448536
    # Corrections are of the order of β/n, and the sample's own errors 2 % of a deviation.
    assert abs(found.mean() - expected.mean) < 0.1 * deviation
    assert found.std() == pytest.approx(deviation, rel=0.08)
    np.testing.assert_allclose(
        np.percentile(found, [5, 95]), [expected.low, expected.high], atol=0.2 * deviation
    )


def test_relu_at_he_has_hanin_s_mean_and_variance() -> None:
    """ln of the squared ratio: N(−5β/2, 5β)."""
    found = theory(network("relu", 40, 11, weights=initialiser("he_normal"))).finite_width
    assert found is not None
    beta = 10 / 40
    assert found.beta == pytest.approx(beta)
    assert 2 * math.log(10) * found.mean == pytest.approx(-5 * beta / 2, rel=1e-9)
    deviation = 2 * math.log(10) * (found.high - found.low) / 2 / 1.6448536269514722
    assert deviation**2 == pytest.approx(5 * beta, rel=1e-9)


@pytest.mark.parametrize(
    ("width", "depth"),
    [(2, 3), *(pytest.param(*each, marks=pytest.mark.slow) for each in ((3, 20), (5, 40)))],
)
def test_narrow_relu_networks_are_born_dead_as_often_as_predicted(width: int, depth: int) -> None:
    net = network("relu", width, depth, weights=initialiser("he_normal"))
    found = theory(net, GaussianInputs(1)).finite_width
    assert found is not None
    assert found.born_dead == pytest.approx(1 - (1 - 0.5**width) ** depth, rel=1e-12)
    dead = np.isneginf(ratios(net, 800)).mean()
    # Four standard errors of 800 networks.
    assert abs(dead - found.born_dead) < 4 * math.sqrt(found.born_dead * (1 - found.born_dead) / 800)


def test_a_smooth_activation_is_never_born_dead_and_hard_tanh_is_by_its_tails() -> None:
    smooth = theory(network("tanh", 3, 20)).finite_width
    assert smooth is not None
    assert smooth.born_dead == 0
    clipped = theory(network("hard_tanh", 1, 1, weights=gaussian(1.0))).finite_width
    assert clipped is not None
    assert clipped.born_dead == pytest.approx(math.erfc(math.sqrt(0.5)), rel=1e-12)


@pytest.mark.parametrize(
    ("fields", "inputs"),
    [
        ({"residual": 1e200}, GaussianInputs(4)),
        ({"residual": 1.0}, GaussianInputs(4, variance=1e308)),
        ({"residual": 1.0, "dropout": Dropout(0.1)}, GaussianInputs(4, variance=0.0)),
        ({"block": ResidualBlock(norm=None, skip=1e6)}, GaussianInputs(4)),
        ({"block": ResidualBlock(matrices=1, norm="post")}, GaussianInputs(4, variance=1e300)),
    ],
)
@pytest.mark.parametrize("activation", ["relu", "tanh", "sine", "gelu"])
def test_extremes_have_a_theory_or_none(activation: str, fields: dict[str, Any], inputs: Any) -> None:
    net = network(activation, 8, 60, **fields)
    Prediction(Experiment(network=net, inputs=inputs))(map, lambda _: None)
