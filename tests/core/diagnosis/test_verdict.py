"""Verdicts on networks whose fate is known, and remedies that really help."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.diagnosis.experiment import Experiment
from app.core.diagnosis.report import diagnose, underflow
from app.core.diagnosis.theory import critical
from app.core.errors import InvalidValue
from app.core.propagation.initialisers import Initialiser, gaussian, initialiser
from app.core.propagation.network import GaussianInputs, Network


def experiment(activation: str, weights: Initialiser, depth: int = 30) -> Experiment:
    network = Network(sizes=(128,) * (depth + 1), call=REGISTRY.resolve(activation), weights=weights)
    return Experiment(network=network, inputs=GaussianInputs(8), networks=4)


def test_relu_loses_half_its_square_gradient_a_layer_at_unit_weights() -> None:
    """He et al. 2015 (arXiv:1502.01852): 29 halvings of the square from layer 30 to layer 1."""
    report = diagnose(experiment("relu", initialiser("lecun_normal")))
    expected = -29 * math.log10(2) / 2
    assert report.theory is not None
    assert report.theory.predicted_log10_ratio == pytest.approx(expected, abs=1e-10)
    assert float(report.log10_ratio.median) == pytest.approx(expected, abs=0.5)
    assert report.verdict.state == "vanishing"
    assert 5 <= report.verdict.usable_depth <= 9  # a decade is 6.6 halvings of the square


def test_relu_survives_with_he() -> None:
    report = diagnose(experiment("relu", initialiser("he_normal")))
    assert report.verdict.state == "healthy"
    assert report.verdict.usable_depth == 30
    assert report.remedies == []


@pytest.mark.parametrize(
    ("activation", "sigma_w", "state"),
    [("tanh", 0.5, "vanishing"), ("tanh", 2.0, "exploding"), ("tanh", 20.0, "exploding")],
)
def test_states(activation: str, sigma_w: float, state: str) -> None:
    assert diagnose(experiment(activation, gaussian(sigma_w))).verdict.state == state


def test_saturation_is_named_with_its_layer() -> None:
    verdict = diagnose(experiment("sigmoid", gaussian(15.0, 15.0), depth=3)).verdict
    assert verdict.state == "saturated"
    assert verdict.layer == 1


def test_overflow_is_an_explosion() -> None:
    verdict = diagnose(experiment("exponential", gaussian(30.0))).verdict
    assert verdict.state == "exploding"
    assert verdict.layer is not None
    assert verdict.usable_depth == 0


def test_a_dead_layer_is_named() -> None:
    inputs = np.ones((4, 8))
    network = Network(
        sizes=(4, 1, 1, 1, 1, 1, 1), call=REGISTRY.resolve("relu"), weights=initialiser("he_normal")
    )
    verdict = diagnose(Experiment(network=network, inputs=inputs, networks=9)).verdict
    assert verdict.state == "dying"  # one unit a layer: each is dead with probability one half
    assert verdict.layer is not None


def test_the_sentence_gives_the_reason() -> None:
    summary = diagnose(experiment("sigmoid", initialiser("xavier_normal"))).verdict.summary
    assert "0.25" in summary.en
    assert "0.25" in summary.ko
    assert "centred" in summary.en


def test_remedies_help_and_the_best_comes_first() -> None:
    report = diagnose(experiment("tanh", gaussian(0.5)))
    ratios = [abs(each.log10_ratio) for each in report.remedies]
    assert 1 <= len(ratios) <= 3
    assert ratios == sorted(ratios)
    assert all(each.state == "healthy" for each in report.remedies)
    assert max(ratios) <= max(1.0, abs(float(report.log10_ratio.median)) / 2)


def test_what_turns_a_lost_gradient_into_one_a_little_too_large_has_helped() -> None:
    report = diagnose(experiment("sigmoid", initialiser("xavier_normal"), depth=200))
    assert float(report.log10_ratio.median) < -100
    assert report.remedies
    for each in report.remedies:
        assert each.state == "healthy" or abs(each.log10_ratio) <= abs(float(report.log10_ratio.median)) / 2
    assert any(each.state == "exploding" for each in report.remedies)


def test_remedies_are_such_as_the_batch_allows() -> None:
    """One input has no batch to be normalised over."""
    alone = replace(experiment("sigmoid", initialiser("xavier_normal")), inputs=GaussianInputs(1))
    report = diagnose(alone)
    assert report.verdict.state == "vanishing"
    assert report.remedies
    assert {"normalization": "batch_norm"} not in [each.change for each in report.remedies]


def test_theory_gives_the_gradient_of_each_layer() -> None:
    """ReLU under He halves E δ² once, at the loss: E φ′² = 1/2; δ sums over the units of the layer above."""
    network = Network(sizes=(64, 64, 256, 64), call=REGISTRY.resolve("relu"), weights=gaussian(math.sqrt(2)))
    theory = diagnose(Experiment(network=network, inputs=GaussianInputs(8)), remedies=False).theory
    assert theory is not None
    last = math.log10(1 / 2) / 2
    assert theory.gradient_log10_rms == pytest.approx([last, last - math.log10(2), last], abs=1e-12)


def test_theory_of_maxout_counts_the_pre_activations_that_lost() -> None:
    """One of three pre-activations has the gradient of its unit: E δ² = 1/3, measured and predicted."""
    call = REGISTRY.resolve("maxout", {"pieces": 3.0})
    network = Network(sizes=(300,) * 3, call=call, weights=gaussian(1.0))
    report = diagnose(Experiment(network=network, inputs=GaussianInputs(8), networks=2), remedies=False)
    assert report.theory is not None
    assert report.theory.gradient_log10_rms[-1] == pytest.approx(math.log10(1 / 3) / 2, abs=1e-12)
    measured = float(report.layers["gradient_log10_rms"].median[-1])
    assert measured == pytest.approx(math.log10(1 / 3) / 2, abs=0.02)


def test_theory_starts_from_the_caller_s_own_loss_gradient() -> None:
    """h(x) = x and σ_w = 1: its root mean square stays that of the loss."""
    network = Network(sizes=(8, 8, 8), call=REGISTRY.resolve("linear"), weights=gaussian(1.0))
    experiment = Experiment(network=network, inputs=GaussianInputs(2), upstream=np.full((8, 2), -1e200))
    theory = diagnose(experiment, remedies=False).theory
    assert theory is not None
    assert theory.gradient_log10_rms == pytest.approx([200.0, 200.0], abs=1e-12)


def test_the_loss_gradient_counts_towards_memory() -> None:
    network = Network(sizes=(8, 8, 8), call=REGISTRY.resolve("linear"), weights=gaussian(1.0))
    plain, own = (
        Experiment(network=network, inputs=GaussianInputs(2), upstream=upstream)
        for upstream in (None, np.ones((8, 2)))
    )
    assert own.cost.bytes - plain.cost.bytes == 8 * 8 * 2


def test_no_theory_for_normalised_networks() -> None:
    plain = experiment("tanh", gaussian(1.0), depth=3)
    assert diagnose(plain).theory is not None
    network = Network(
        sizes=plain.network.sizes, call=plain.network.call, weights=plain.network.weights, residual=0.5
    )
    assert diagnose(Experiment(network=network, inputs=plain.inputs)).theory is None


def test_underflow_counts_layers_from_the_loss() -> None:
    """Half of the smallest subnormals: 2^-25 = 3.0e-8 (IEEE 754 binary16), 2^-150 (binary32), 2^-134."""
    gradient = np.array([-50.0, -42.0, -10.0, -7.0, 0.0])
    assert underflow(gradient) == {"float32": 5, "bfloat16": 4, "float16": 3}
    assert underflow(np.zeros(3)) == {"float32": None, "bfloat16": None, "float16": None}


def test_critical_is_on_the_edge_or_refused() -> None:
    assert critical(REGISTRY.resolve("relu"), 0.0).sigma_w(100, 100) == pytest.approx(math.sqrt(2))
    with pytest.raises(InvalidValue, match="no critical"):
        critical(REGISTRY.resolve("silu"), 0.0)
