"""Textbook claims about activations in deep networks, each with its number, checked against the service."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from app.client import Client, activate, gradient_flow, mean_field
from app.contract.gradient_flow import GradientFlowResponse
from tests.conftest import Server

WIDTH, DEPTH, BATCH = 1024, 30, 16
RNG = np.random.default_rng(2)


@pytest.fixture(scope="module")
def lab(server: Server) -> Iterator[Client]:
    with Client(server.url) as connected:
        yield connected


def deep(lab: Client, activation: str, init: Any) -> GradientFlowResponse:
    shape = {"depth": DEPTH, "width": WIDTH, "batch": BATCH, "networks": 1}
    return lab.send(gradient_flow(activation, init=init, seed=11, **shape))  # type: ignore[arg-type]


def figure(report: GradientFlowResponse, name: str) -> NDArray[np.float64]:
    """One figure, layer by layer."""
    return np.array([getattr(layer, name).median for layer in report.layers])


def factors(report: GradientFlowResponse) -> NDArray[np.float64]:
    """The factor by which each layer multiplies the root mean square of the gradient in the backward pass."""
    steps: NDArray[np.float64] = 10 ** -np.diff(figure(report, "gradient_log10_rms"))
    return steps


def test_a_stack_of_linear_layers_is_one_layer_of_slope_c_to_the_depth(lab: Client) -> None:
    c, depth = 0.7, 12
    x = RNG.standard_normal((8, 64))
    h = x
    for _ in range(depth):
        h = lab.send(activate("linear", h, params={"slope": c})).outputs
    np.testing.assert_allclose(h, c**depth * x, rtol=1e-14)
    # With matrices between, it is one layer with their product.
    matrices = [RNG.standard_normal((64, 64)) / 8 for _ in range(depth)]
    product = np.linalg.multi_dot(matrices[::-1])
    stack = lab.send(gradient_flow("linear", weights=matrices, params={"slope": c}, inputs=x))
    one = lab.send(gradient_flow("linear", weights=[product], params={"slope": c**depth}, inputs=x))
    for name in ("activation_mean", "activation_mean_square"):
        assert figure(stack, name)[-1] == pytest.approx(figure(one, name)[0], rel=1e-10)
    # And orthogonal ones keep every length, so that each layer is a factor of c.
    orthogonal = lab.send(
        gradient_flow("linear", params={"slope": c}, init="orthogonal", depth=depth, width=64, networks=1)
    )
    np.testing.assert_allclose(factors(orthogonal), c, rtol=1e-10)


def test_sigmoid_s_gradient_falls_by_a_factor_of_four_a_layer_at_unit_weights(lab: Client) -> None:
    # σ′ ≤ 1/4. The sampling error of a layer of 1,024 units and 16 inputs is 1/√(2 · 1024 · 16) = 0.6 %.
    report = deep(lab, "sigmoid", {"sigma_w": 1.0})
    assert (factors(report) < 0.25 * 1.02).all()
    assert report.gradient.log10_ratio.median is not None
    assert report.gradient.log10_ratio.median < -(DEPTH - 1) * math.log10(4) + 0.1
    assert report.verdict.state == "vanishing"


def test_tanh_vanishes_too_at_small_weights(lab: Client) -> None:
    # tanh′ ≤ 1: at σ_w = 1/2 a layer loses at least a factor of two.
    report = deep(lab, "tanh", {"sigma_w": 0.5})
    assert (factors(report) < 0.5 * 1.02).all()
    assert report.verdict.state == "vanishing"


def test_relu_keeps_its_gradient_with_he_where_xavier_halves_its_mean_square(lab: Client) -> None:
    """He et al. 2015 (arXiv:1502.01852): E φ′² = 1/2, and it is the square that a layer halves."""
    he, xavier = (deep(lab, "relu", name) for name in ("he_normal", "xavier_normal"))
    assert he.gradient.log10_ratio.median == pytest.approx(0, abs=0.2)
    assert he.verdict.state == "healthy"
    assert np.median(factors(xavier) ** 2) == pytest.approx(0.5, rel=0.05)
    halvings = -(DEPTH - 1) * math.log10(2) / 2
    assert xavier.gradient.log10_ratio.median == pytest.approx(halvings, abs=0.2)
    assert xavier.verdict.state == "vanishing"
    # The same two at infinite width, where they are exact.
    theory = lab.send(mean_field("relu", [math.sqrt(2), 1.0]))
    np.testing.assert_allclose(theory.chi_1, [1.0, 0.5], rtol=1e-12)


def with_bias(bias: float) -> list[Any]:
    """Three layers, ``bias`` in the second."""
    matrices = RNG.standard_normal((3, 100, 100)) / 10
    return [matrices[0], (matrices[1], np.full(100, bias)), matrices[2]]


def test_a_relu_layer_with_a_strongly_negative_bias_is_dead_and_leaky_relu_s_is_not(lab: Client) -> None:
    x, weights = RNG.standard_normal((32, 100)), with_bias(-30.0)
    relu, leaky = (
        lab.send(gradient_flow(name, weights=weights, inputs=x)) for name in ("relu", "leaky_relu")
    )
    assert figure(relu, "dead_fraction")[1] == 1
    assert (figure(relu, "gradient_log10_rms")[:2] == -np.inf).all()
    assert (relu.verdict.state, relu.verdict.layer) == ("dead", 2)
    assert [each.state for each in relu.verdict.findings] == ["dead", "dying"]
    assert (figure(leaky, "dead_fraction") == 0).all()
    # Every unit of the layer passes its slope on, 0.01, and what mixes the gradients keeps their size.
    gradient = figure(leaky, "gradient_log10_rms")
    assert gradient[1] - gradient[2] == pytest.approx(-2, abs=0.15)


def test_maxout_has_no_dead_units(lab: Client) -> None:
    x = RNG.standard_normal((32, 100))
    halves = [(RNG.standard_normal((200, 100)) / 10, np.full(200, -30.0)) for _ in range(3)]
    maxout = lab.send(gradient_flow("maxout", weights=halves, inputs=x))
    assert (figure(maxout, "dead_fraction") == 0).all()
    assert np.isfinite(figure(maxout, "gradient_log10_rms")).all()
    relu = lab.send(gradient_flow("relu", weights=[(w[:100], b[:100]) for w, b in halves], inputs=x))
    assert (figure(relu, "dead_fraction") == 1).all()


def test_elu_s_mean_is_nearer_to_zero_than_relu_s(lab: Client) -> None:
    """E relu(Z) = 1/√2π; E elu(Z) = 1/√2π + √e Φ(−1) − 1/2 (Clevert et al. 2016, arXiv:1511.07289)."""
    relu_mean = 1 / math.sqrt(2 * math.pi)
    elu_mean = relu_mean + math.sqrt(math.e) * math.erfc(1 / math.sqrt(2)) / 2 - 0.5
    elu, relu = (deep(lab, name, {"sigma_w": 1.0}) for name in ("elu", "relu"))
    # The first layer's pre-activations are standard normal; the mean over its 16,384 has an error below 0.01.
    assert figure(elu, "activation_mean")[0] == pytest.approx(elu_mean, abs=0.03)
    assert figure(relu, "activation_mean")[0] == pytest.approx(relu_mean, abs=0.03)
    relative = [
        np.abs(figure(each, "activation_mean")) / np.sqrt(figure(each, "activation_mean_square"))
        for each in (elu, relu)
    ]
    assert (relative[0] < relative[1] / 2).all()


def test_selu_holds_mean_zero_and_variance_one(lab: Client) -> None:
    """Klambauer et al. 2017 (arXiv:1706.02515): the fixed point (0, 1) for weights of variance 1/fan_in."""
    report = deep(lab, "selu", "lecun_normal")
    mean, square = figure(report, "activation_mean"), figure(report, "activation_mean_square")
    np.testing.assert_allclose(mean, 0, atol=0.1)
    np.testing.assert_allclose(square - mean**2, 1, atol=0.15)
    assert lab.send(mean_field("selu", 1.0)).q_star == pytest.approx(1.0, rel=1e-12)


def weight_gradients(lab: Client, activation: str) -> NDArray[np.float64]:
    """dL/dW = δ hᵀ of one input, units × inputs, for the layer after one of ``activation``."""
    h = lab.send(activate(activation, RNG.standard_normal(200))).outputs
    return np.outer(RNG.standard_normal(50), h)


def test_sigmoid_s_positive_outputs_give_all_weights_of_a_unit_gradients_of_one_sign(lab: Client) -> None:
    """LeCun et al. 1998, "Efficient BackProp", 4.3: they rise together or fall together, and zigzag."""
    signs = np.sign(weight_gradients(lab, "sigmoid"))
    assert (signs == signs[:, :1]).all()
    mixed = np.sign(weight_gradients(lab, "tanh"))
    assert (np.abs(mixed.mean(axis=1)) < 0.5).all()


def test_prelu_s_slope_is_learned_from_its_negative_inputs(lab: Client) -> None:
    """dL/da = Σ u x over x < 0 (He et al. 2015, arXiv:1502.01852, eq. 8)."""
    x, upstream = RNG.standard_normal((2, 500))
    learned = lab.send(activate("prelu", x, upstream=upstream))
    assert learned.param_gradients is not None
    assert learned.param_gradients["weight"] == pytest.approx(np.sum((upstream * x)[x < 0]), rel=1e-12)
    assert not lab.send(activate("relu", x, upstream=upstream)).param_gradients
