"""What textbooks say of activations in deep networks, each claim with its number."""

from __future__ import annotations

import math

import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.activations.parameters import Array
from app.core.propagation.initialisers import Initialiser, gaussian, initialiser
from app.core.propagation.network import GaussianInputs, Network, given_network
from app.core.propagation.simulation import propagate
from app.core.propagation.statistics import Figures

WIDTH, DEPTH, BATCH = 2048, 30, 16
FLOAT32 = np.dtype(np.float32)


def deep(activation: str, weights: Initialiser, **params: float) -> Figures:
    net = Network(sizes=(WIDTH,) * (DEPTH + 1), call=REGISTRY.resolve(activation, params), weights=weights)
    return propagate(net, GaussianInputs(BATCH), seed=11, dtype=FLOAT32)


def factors(run: Figures) -> Array:
    """What each layer multiplies the gradient by, on its way back."""
    steps: Array = 10 ** -np.diff(run.gradient_log10_rms)
    return steps


def test_linear_layers_are_one_layer_of_slope_c_to_the_depth() -> None:
    # h(x) = c x through orthogonal weights, depth layers: lengths grow by c^depth, exactly, both ways.
    c, depth = 0.7, 12
    net = Network(
        sizes=(64,) * (depth + 1),
        call=REGISTRY.resolve("linear", {"slope": c}),
        weights=initialiser("orthogonal"),
    )
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 8))
    run = propagate(net, x, seed=0)
    np.testing.assert_allclose(run.activation_mean_square[-1], c ** (2 * depth) * np.mean(x**2), rtol=1e-11)
    np.testing.assert_allclose(factors(run), c, rtol=1e-11)
    # And with matrices of any kind, the network is the product of the matrices with slope c^depth.
    matrices = rng.standard_normal((depth, 64, 64)) / 8
    stacked = propagate(given_network(net.call, matrices, [None] * depth), x, seed=0)
    single = c**depth * np.linalg.multi_dot(matrices[::-1]) @ x
    np.testing.assert_allclose(stacked.activation_mean_square[-1], np.mean(single**2), rtol=1e-11)


def test_sigmoid_loses_at_least_a_factor_of_four_a_layer_at_unit_weights() -> None:
    # σ′ ≤ 1/4; the sampling error of a layer of 2,048 units is 1/√(2 · 2048 · 16) = 0.4 %.
    assert (factors(deep("sigmoid", gaussian(1.0))) < 0.25 * 1.02).all()


def test_tanh_vanishes_too_at_small_weights() -> None:
    # tanh′ ≤ 1: at σ_w = 0.5 a layer loses at least a factor of two.
    run = deep("tanh", gaussian(0.5))
    assert (factors(run) < 0.5 * 1.02).all()
    assert run.log10_ratio < -(DEPTH - 1) * math.log10(2) + 0.2


def test_relu_keeps_its_gradient_with_he_and_loses_half_of_its_square_with_xavier() -> None:
    # E φ′² = 1/2, so that σ_w² = 2 keeps the mean square and σ_w² = 1 halves it (He et al. 2015).
    he, xavier = (deep("relu", initialiser(name)) for name in ("he_normal", "xavier_normal"))
    assert he.log10_ratio == pytest.approx(0, abs=0.15)
    assert xavier.log10_ratio == pytest.approx(-(DEPTH - 1) / 2 * math.log10(2), abs=0.15)
    assert xavier.activation_mean_square[-1] / he.activation_mean_square[-1] == pytest.approx(
        2.0**-DEPTH, rel=0.5
    )


def test_a_relu_layer_with_a_strongly_negative_bias_is_dead_and_leaky_relu_is_not() -> None:
    rng = np.random.default_rng(3)
    matrices = rng.standard_normal((3, 100, 100)) / 10
    offsets = [None, np.full(100, -30.0), None]
    x = rng.standard_normal((100, 32))
    relu, leaky = (
        propagate(given_network(REGISTRY.resolve(name), matrices, offsets), x, seed=0)
        for name in ("relu", "leaky_relu")
    )
    assert relu.dead_fraction[1] == 1
    assert (relu.gradient_log10_rms[:2] == -np.inf).all()
    assert (leaky.dead_fraction == 0).all()
    assert np.isfinite(leaky.gradient_log10_rms).all()


def test_elu_is_nearer_to_zero_mean_than_relu() -> None:
    elu, relu = (deep(name, initialiser("lecun_normal")) for name in ("elu", "relu"))
    size_elu, size_relu = (np.sqrt(run.activation_mean_square) for run in (elu, relu))
    assert (np.abs(elu.activation_mean) / size_elu < 0.5 * np.abs(relu.activation_mean) / size_relu).all()


def test_selu_holds_mean_zero_and_variance_one() -> None:
    # Klambauer et al. 2017: (0, 1) is the fixed point for weights of variance 1/fan_in.
    run = deep("selu", initialiser("lecun_normal"))
    variance = run.activation_mean_square - run.activation_mean**2
    np.testing.assert_allclose(run.activation_mean, 0, atol=0.1)
    np.testing.assert_allclose(variance, 1, atol=0.15)
    np.testing.assert_allclose(run.preactivation_variance, 1, atol=0.15)
