"""Verdicts on networks whose behaviour is known, and remedies that help."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.diagnosis.experiment import Experiment
from app.core.diagnosis.remedies import Remedies
from app.core.diagnosis.report import diagnose, underflow
from app.core.diagnosis.theory import Prediction, critical
from app.core.errors import InvalidValue
from app.core.jobs import ignore
from app.core.propagation.block import Block
from app.core.propagation.convolution_block import ConvolutionBlock
from app.core.propagation.dropout import Dropout
from app.core.propagation.given import GivenWeights
from app.core.propagation.initialisers import Initialiser, gaussian, initialiser
from app.core.propagation.network import GaussianInputs, Network, given_network
from app.core.propagation.normalisation import NORMALISATIONS
from app.core.propagation.recurrent_block import Cell, RecurrentBlock
from app.core.propagation.residual_block import ResidualBlock
from app.core.propagation.transformer_block import TransformerBlock
from app.core.propagation.units import has_flat_piece


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
    assert 7 <= report.verdict.usable_depth <= 11  # a decade is 6.6 halvings of the square


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
    """Slopes of tanh at ±1e6 round to 0; the units are not dead for that."""
    report = diagnose(experiment("tanh", gaussian(1.0, 1e6), depth=10), remedies=False)
    assert (report.verdict.state, report.verdict.layer) == ("saturated", 1)
    assert (report.layers["dead_fraction"].high == 0).all()


def test_overflow_is_an_explosion() -> None:
    verdict = diagnose(experiment("exponential", gaussian(30.0))).verdict
    assert verdict.state == "exploding"
    assert verdict.layer is not None
    assert verdict.usable_depth == 0


@pytest.mark.parametrize(
    ("formula", "gap"),
    [("log(x)", -0.25), ("sqrt(x)", -0.25), ("acos(x)", -1.25), ("sqrt(1 - x**2)", -1.25)],
)
def test_a_formula_without_a_value_somewhere_is_named_and_has_no_theory(formula: str, gap: float) -> None:
    """Every network has negative pre-activations, and some beyond one."""
    asked = experiment(f"formula:{formula}", initialiser("xavier_normal"), depth=5)
    started = time.process_time()
    assert Prediction(asked)(map, ignore) is None
    assert time.process_time() - started < 1  # integrals over what has no value took half a minute
    report = diagnose(asked)
    (finding,) = report.verdict.findings
    assert (finding.state, finding.layer, finding.evidence) == ("exploding", 1, {"undefined_at": gap})
    assert "NaN" in report.summary.en
    assert "NaN" in report.summary.ko
    assert report.theory is None


def test_a_network_that_no_gradient_passes_is_dead_and_the_dying_layer_is_named() -> None:
    inputs = np.ones((4, 8))
    network = Network(
        sizes=(4, 1, 1, 1, 1, 1, 1), call=REGISTRY.resolve("relu"), weights=initialiser("he_normal")
    )
    verdict = diagnose(Experiment(network=network, inputs=inputs, networks=9)).verdict
    # One unit a layer, each dead with probability one half.
    assert [each.state for each in verdict.findings] == ["dead", "dying"]
    assert all(each.layer is not None for each in verdict.findings)


def test_the_sentence_gives_the_reason() -> None:
    summary = diagnose(experiment("sigmoid", initialiser("xavier_normal"))).summary
    assert "0.25" in summary.en
    assert "0.25" in summary.ko
    assert "centred" in summary.en


def shaped(sizes: tuple[int, ...], weights: Initialiser, **more: Any) -> Experiment:
    network = Network(sizes=sizes, call=REGISTRY.resolve("relu"), weights=weights, **more)
    return Experiment(network=network, inputs=GaussianInputs(8), networks=4)


@pytest.mark.parametrize(
    ("sizes", "init"),
    [
        ((784, 2048, 10), "he_normal"),
        ((10, 256, 1), "he_normal"),
        ((784, 512, 512, 10), "torch_default"),  # PyTorch's quickstart
        ((784, 2, 784), "he_normal"),
    ],
)
def test_layers_of_different_widths_are_healthy(sizes: tuple[int, ...], init: str) -> None:
    """The root mean square of dL/dz differs a decade and more; norms do not, and such networks train."""
    report = diagnose(shaped(sizes, initialiser(init)))
    assert report.verdict.state == "healthy"
    assert report.verdict.usable_depth == len(sizes) - 1
    assert abs(float(report.log10_ratio.median)) > 1


def test_a_deep_residual_network_with_layer_norm_is_healthy() -> None:
    """dL/dz grows as the stream's norm does, dL/dW does not."""
    more = {"normalisation": NORMALISATIONS["layer_norm"], "residual": 1.0}
    report = diagnose(shaped((64,) * 101, initialiser("he_normal"), **more), remedies=False)
    assert float(report.log10_ratio.median) > 1.5
    weights = report.layers["weight_gradient_log10_norm"].median
    assert abs(weights[0] - weights[-1]) < 0.6
    assert report.verdict.state == "healthy"


def test_a_deep_network_can_make_up_for_less_of_a_gradient() -> None:
    """Rates of learning fall as 1/depth: 10^-1.6 is little of four layers and much of thirty."""
    for depth, expected in ((4, "healthy"), (30, "vanishing")):
        loss = 10 ** (-1.6 / (depth - 1))
        run = Experiment(
            network=Network(
                sizes=(256,) * (depth + 1), call=REGISTRY.resolve("linear"), weights=gaussian(loss)
            ),
            inputs=GaussianInputs(8),
            networks=4,
        )
        verdict = diagnose(run, remedies=False).verdict
        assert float(verdict.figures.gradients[0]) == pytest.approx(-1.6, abs=0.15)
        assert verdict.state == expected


@pytest.mark.parametrize(
    ("width", "change", "state"),
    [
        (16, {}, "vanishing"),
        (64, {}, "healthy"),
        (16, {"weights": initialiser("orthogonal")}, "healthy"),
        (16, {"residual": 0.25}, "healthy"),
        (16, {"normalisation": NORMALISATIONS["batch_norm"]}, "healthy"),
    ],
)
def test_layers_too_narrow_for_their_number(width: int, change: dict[str, Any], state: str) -> None:
    """Σ 1/width, which sets the directions of a product of random matrices apart (arXiv:1803.01719)."""
    fields = {"weights": initialiser("lecun_normal"), **change}
    network = Network(sizes=(width,) * 25, call=REGISTRY.resolve("selu"), **fields)
    report = diagnose(Experiment(network=network, inputs=GaussianInputs(8), networks=4))
    assert report.verdict.state == state
    if state != "healthy":
        (finding,) = report.verdict.findings
        assert finding.evidence == {"depth_over_width": pytest.approx(23 / 16)}
        assert report.verdict.usable_depth == 14  # thirteen sixteenths are 0.81
        assert "1.44" in report.summary.en
        assert "critical" not in report.summary.en
        assert report.remedies
        assert all(each.state == "healthy" for each in report.remedies)


def test_one_unit_between_wide_layers_is_a_bottleneck_by_design() -> None:
    network = Network(sizes=(64, 1, 64, 64), call=REGISTRY.resolve("tanh"), weights=gaussian(1.0))
    verdict = diagnose(
        Experiment(network=network, inputs=GaussianInputs(8), networks=4), remedies=False
    ).verdict
    assert "depth_over_width" not in {name for each in verdict.findings for name in each.evidence}


def test_a_caller_s_own_narrow_network_is_judged_by_its_figures() -> None:
    weights = GivenWeights([np.eye(4)] * 20, [None] * 20)
    verdict = diagnose(
        Experiment(network=given_network(REGISTRY.resolve("linear"), weights), inputs=GaussianInputs(4)),
        remedies=False,
    ).verdict
    assert verdict.state == "healthy"


def test_a_dead_branch_is_no_end_of_what_can_learn() -> None:
    """Every other layer leaves out its one unit, and the gradient goes past it."""
    network = Network(
        sizes=(1,) * 61,
        call=REGISTRY.resolve("mish"),
        weights=initialiser("he_normal"),
        residual=0.1,
        dropout=Dropout(0.5, "standard"),
    )
    verdicts = [
        diagnose(
            Experiment(network=network, inputs=GaussianInputs(1), networks=1, seed=seed), remedies=False
        ).verdict
        for seed in range(8)
    ]
    healthy = [each for each in verdicts if each.state == "healthy"]
    assert healthy
    assert any((each.figures.gradients == -math.inf).any() for each in healthy)
    assert all(each.usable_depth == 60 for each in healthy)


@pytest.mark.parametrize(
    ("activation", "width", "init", "residual", "batch"),
    [
        ("relu6", 1, initialiser("he_normal"), -1.0, 2),  # dead branches, in the last layer too
        ("hard_sigmoid", 2, gaussian(6.0), -1.0, 3),
        ("gelu", 3, gaussian(0.1), None, 3),  # the signal rounds to 0 on its way
    ],
)
def test_a_layer_without_gradient_makes_no_infinite_ratio(
    activation: str, width: int, init: Initialiser, residual: float | None, batch: int
) -> None:
    network = Network(sizes=(width,) * 61, call=REGISTRY.resolve(activation), weights=init, residual=residual)
    run = Experiment(
        network=network, inputs=GaussianInputs(batch), networks=5, dtype=np.dtype(np.float32), engine="dense"
    )
    report = diagnose(run, remedies=False)
    assert "inf" not in report.summary.en
    assert all(math.isfinite(value) for each in report.verdict.findings for value in each.evidence.values())


@pytest.mark.parametrize("variance", [0.0, 5e-324, 1e-200, 1e-6])
def test_a_signal_that_small_inputs_do_not_make_has_not_exploded(variance: float) -> None:
    """A sigmoid's outputs are a half whatever comes in."""
    network = Network(sizes=(16,) * 4, call=REGISTRY.resolve("sigmoid"), weights=initialiser("he_normal"))
    report = diagnose(
        Experiment(network=network, inputs=GaussianInputs(8, variance), networks=3), remedies=False
    )
    assert report.verdict.state == "healthy"
    assert "inf" not in report.summary.en


def test_rank_collapse_is_found() -> None:
    """ReLU at He's initialisation keeps the gradient, while all inputs converge to one: 1 − c ~ 1/l²."""
    report = diagnose(shaped((256,) * 301, initialiser("he_normal")), remedies=False)
    assert report.verdict.state == "collapsed"
    assert report.verdict.layer is not None
    assert float(report.layers["correlation"].median[-1]) > 0.99
    shallow = diagnose(shaped((256,) * 31, initialiser("he_normal")), remedies=False)
    assert shallow.verdict.state == "healthy"


@pytest.mark.parametrize("width", [64, pytest.param(256, marks=pytest.mark.slow)])
def test_inputs_that_become_one_are_kept_apart_by_what_experts_try(width: int) -> None:
    """A tailored slope (arXiv:2203.08120), branches whose means do not add up, normalising blocks."""
    network = Network(sizes=(width,) * 301, call=REGISTRY.resolve("relu"), weights=initialiser("he_normal"))
    report = diagnose(Experiment(network=network, inputs=GaussianInputs(16), networks=2))
    assert "collapsed" in {each.state for each in report.verdict.findings}
    assert [each.state for each in report.remedies] == ["healthy"] * 3
    function, branch, blocks = (each.change for each in report.remedies)
    assert function["activation"] == "leaky_relu"
    slope = function["params"]["negative_slope"]
    # Σ 1/width is above 0.85: of drawn weights only orthogonal ones keep all directions.
    assert function["init"]["distribution"] == "orthogonal"
    assert function["init"]["gain"] == pytest.approx(math.sqrt(2 / (1 + slope**2)))
    assert branch == {"residual": {"scale": 1 / 300}}
    assert (blocks["block"]["kind"], blocks["block"]["norm"]) == ("residual", "pre")


def test_wide_layers_need_no_orthogonal_weights() -> None:
    wide = shaped((512,) * 101, initialiser("he_normal")).network
    found = Remedies(wide, 8, frozenset({"collapsed"}))(map, ignore)
    changes = [each.change for each in found if "negative_slope" in each.change.get("params", {})]
    assert [each["init"] for each in changes] == ["critical"]
    (weights,) = (each.network.weights for each in found if each.change in changes)
    assert isinstance(weights, Initialiser)
    made = critical(REGISTRY.resolve("leaky_relu", changes[0]["params"]), 0.0)
    assert weights.sigma_w(512, 512) == pytest.approx(made.sigma_w(512, 512), rel=1e-12)
    assert not Remedies(wide, 8, frozenset({"vanishing"}))(map, ignore)[-1].change.get("params")


def test_blocks_are_no_remedy_where_they_are_not_possible() -> None:
    for fields in ({"residual": 1.0}, {"normalisation": NORMALISATIONS["layer_norm"]}):
        network = shaped((64,) * 101, initialiser("he_normal"), **fields).network
        found = Remedies(network, 8, frozenset({"collapsed"}))(map, ignore)
        assert not any("block" in each.change for each in found)
    tapered = shaped((64, *(32,) * 100), initialiser("he_normal")).network
    assert not any(
        "block" in each.change for each in Remedies(tapered, 8, frozenset({"collapsed"}))(map, ignore)
    )


def test_identical_inputs_are_no_collapse() -> None:
    network = Network(sizes=(64,) * 20, call=REGISTRY.resolve("relu"), weights=initialiser("he_normal"))
    alike = Experiment(network=network, inputs=GaussianInputs(8, correlation=1.0), networks=2)
    assert diagnose(alike).verdict.state == "healthy"


def test_one_finding_does_not_hide_another() -> None:
    """A chaotic network whose units are saturated: both are reported, the gradient first."""
    verdict = diagnose(experiment("tanh", gaussian(20.0)), remedies=False).verdict
    assert [each.state for each in verdict.findings] == ["exploding", "saturated"]
    lost = diagnose(experiment("sigmoid", gaussian(6.0, 6.0), depth=50), remedies=False)
    assert {"vanishing", "saturated"} <= {each.state for each in lost.verdict.findings}
    assert "below" not in lost.summary.en  # larger weights would saturate it the more


@pytest.mark.parametrize(("sizes", "residual"), [((20, 64, 1), None), ((3,) * 41, None), ((16,) * 11, 0.0)])
def test_no_figure_and_no_sentence_is_nan(sizes: tuple[int, ...], residual: float | None) -> None:
    network = Network(
        sizes=sizes, call=REGISTRY.resolve("relu"), weights=initialiser("he_normal"), residual=residual
    )
    report = diagnose(Experiment(network=network, inputs=GaussianInputs(4), networks=12), remedies=False)
    for name in ("log10_ratio", "factor_per_layer"):
        assert not np.isnan(getattr(report, name)).any()
    assert not any(np.isnan(each).any() for each in report.layers["gradient_log10_rms"])
    assert not {"nan", "NaN"} & set(report.summary.en.split())
    assert report.verdict.figures.dead > 0
    assert (float(report.log10_ratio.median) == -np.inf) == (report.verdict.state == "dead")


def test_half_of_the_networks_may_overflow_and_the_others_are_still_judged() -> None:
    network = Network(sizes=(4,) * 71, call=REGISTRY.resolve("linear"), weights=gaussian(4.0))
    run = Experiment(network=network, inputs=GaussianInputs(8), networks=16, dtype=np.dtype(np.float32))
    report = diagnose(run, remedies=False)
    assert report.verdict.state == "exploding"
    assert np.isfinite(report.log10_ratio.median)


def test_the_layer_that_overflows_is_that_in_which_the_values_do() -> None:
    """σ_w = 16 √2: ReLU's signal grows sixteenfold a layer, float32 holds 16³² = 2¹²⁸."""
    network = Network(sizes=(128,) * 41, call=REGISTRY.resolve("relu"), weights=gaussian(16 * math.sqrt(2)))
    for engine in ("dense", "deferred"):
        run = Experiment(
            network=network, inputs=GaussianInputs(8), networks=3, dtype=np.dtype(np.float32), engine=engine
        )
        verdict = diagnose(run, remedies=False).verdict
        assert verdict.layer in (31, 32)


def test_theory_starts_where_the_network_does_and_tells_the_other_basin() -> None:
    """GELU at σ_w = 1.4832 has a repelling fixed point: below it signals die out, above they grow."""
    network = Network(sizes=(64,) * 201, call=REGISTRY.resolve("gelu"), weights=gaussian(1.4832))
    theory = Prediction(Experiment(network=network, inputs=GaussianInputs(4)))(map, ignore)
    assert theory is not None
    assert (float(theory.point.q_star), str(theory.point.phase)) == (math.inf, "chaotic")
    assert [each.q_star for each in theory.basins] == [0.0, math.inf]
    border = theory.basins[0].high
    assert border == theory.basins[1].low
    quiet = replace(Experiment(network=network, inputs=GaussianInputs(4, variance=0.7 * border / 1.4832**2)))
    theory = Prediction(quiet)(map, ignore)
    assert theory is not None
    assert float(theory.point.q_star) == 0.0
    assert theory.path.q[-1] < theory.path.q[0]


@pytest.mark.parametrize("sigma_b", [0.0, 0.5])
def test_theory_without_weights(sigma_b: float) -> None:
    network = Network(sizes=(8,) * 4, call=REGISTRY.resolve("tanh"), weights=gaussian(0.0, sigma_b))
    theory = Prediction(Experiment(network=network, inputs=GaussianInputs(4)))(map, ignore)
    assert theory is not None
    assert float(theory.point.q_star) == pytest.approx(sigma_b**2)
    assert theory.predicted_log10_ratio == -math.inf
    assert not np.isnan(theory.gradient_log10_rms).any()


def test_remedies_help_and_the_best_comes_first() -> None:
    report = diagnose(experiment("tanh", gaussian(0.5)))
    ratios = [abs(each.log10_ratio) for each in report.remedies]
    assert 1 <= len(ratios) <= 3
    assert ratios == sorted(ratios)
    assert all(each.state == "healthy" for each in report.remedies)
    assert max(ratios) <= max(1.0, abs(float(report.log10_ratio.median)) / 2)


def test_a_remedy_that_overshoots_a_little_has_helped() -> None:
    report = diagnose(experiment("sigmoid", initialiser("xavier_normal"), depth=200))
    assert float(report.log10_ratio.median) < -100
    assert report.remedies
    for each in report.remedies:
        assert each.state == "healthy" or abs(each.log10_ratio) <= abs(float(report.log10_ratio.median)) / 2


def test_a_residual_branch_is_scaled_down_before_anything_else_is_changed() -> None:
    """1/√L: the variances of all branches add up to that of one layer (Zhang et al., arXiv:1901.09321)."""
    network = Network(
        sizes=(64,) * 41, call=REGISTRY.resolve("relu"), weights=initialiser("he_normal"), residual=1.0
    )
    report = diagnose(Experiment(network=network, inputs=GaussianInputs(8), networks=2))
    assert report.verdict.state == "exploding"
    assert {"residual": {"scale": 1 / math.sqrt(40)}} in [each.change for each in report.remedies]


def test_units_that_die_are_given_an_activation_whose_units_cannot() -> None:
    network = Network(sizes=(2,) * 31, call=REGISTRY.resolve("relu"), weights=initialiser("he_normal"))
    found = Remedies(network, 8, frozenset({"dead"}))(map, ignore)
    names = [each.change["activation"] for each in found if "activation" in each.change]
    assert {"elu", "leaky_relu"} & set(names)
    assert not any(has_flat_piece(REGISTRY.resolve(name)) for name in names)


def test_layers_scaled_one_by_one_heal_a_network_that_loses_its_signal() -> None:
    """LSUV (Mishkin and Matas, arXiv:1511.06422) gives each layer the variance 1, whatever the activation."""
    sick = experiment("tanh", gaussian(0.3))
    found = Remedies(sick.network, 8, frozenset({"vanishing"}))(map, ignore)
    (scaled,) = (each.network for each in found if each.change == {"init": "lsuv"})
    report = diagnose(replace(sick, network=scaled, networks=2), remedies=False)
    assert report.layers["preactivation_variance"].median == pytest.approx(np.ones(30), abs=0.05)
    assert report.verdict.state == "healthy"


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


def test_underflow_counts_layers_from_the_loss() -> None:
    """Half of the smallest subnormals: 2^-25 = 3.0e-8 (IEEE 754 binary16), 2^-150 (binary32), 2^-134."""
    gradient = np.array([-50.0, -42.0, -10.0, -7.0, 0.0])
    assert underflow(gradient) == {"float32": 5, "bfloat16": 4, "float16": 3}
    assert underflow(np.zeros(3)) == {"float32": None, "bfloat16": None, "float16": None}


def test_critical_is_on_the_edge_or_refused() -> None:
    assert critical(REGISTRY.resolve("relu"), 0.0).sigma_w(100, 100) == pytest.approx(math.sqrt(2))
    with pytest.raises(InvalidValue, match=r"no critical .* there is one for sigma_b = 0\.") as refused:
        critical(REGISTRY.resolve("gelu"), 0.0)
    near = float(refused.value.message.rpartition(" ")[2])
    assert math.isfinite(critical(REGISTRY.resolve("gelu"), near).sigma_w(10, 10))


def test_a_signal_whose_squares_leave_float64_has_still_grown() -> None:
    network = Network(
        sizes=(64,) * 401, call=REGISTRY.resolve("relu"), weights=initialiser("xavier_normal"), residual=3.0
    )
    plain = Experiment(network=network, inputs=GaussianInputs(4))
    verdict = diagnose(plain, remedies=False).verdict
    assert verdict.figures.overflow is None
    assert verdict.state == "exploding"
    assert verdict.figures.growth > 150


def recurrent(cell: Cell, forget_bias: float = 1.0, steps: int = 40) -> Experiment:
    network = Network(
        sizes=(16,) * (steps + 1),
        call=REGISTRY.resolve("tanh"),
        weights=initialiser("torch_default"),
        block=RecurrentBlock(cell=cell, forget_bias=forget_bias),
    )
    return Experiment(network=network, inputs=GaussianInputs(4), networks=2)


def test_an_lstm_is_judged_by_what_its_cells_hand_on() -> None:
    """With its forget gates open it remembers, though the loss's own step has the largest dL/dh by far."""
    report = diagnose(recurrent("lstm", math.log(60), 60))
    assert report.verdict.state == "healthy"
    assert report.verdict.usable_depth == 60
    assert report.layers["gradient_log10_rms"].median.min() < -1.2
    assert "at the first step that of the cells" in report.summary.en
    assert "첫 시점에서 셀 상태의 그래디언트가" in report.summary.ko


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_open_forget_gates_are_the_remedy_of_what_forgets(cell: Cell) -> None:
    report = diagnose(recurrent(cell, steps=30))
    assert report.verdict.state == "vanishing"
    assert "from the last step to the first" in report.summary.en
    assert "Steps that can be learned from" in report.summary.en
    changes = [each.change.get("block", {}) for each in report.remedies if each.state == "healthy"]
    assert {"cell": "lstm", "forget_bias": 3.4}.items() <= changes[0].items()


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (
            TransformerBlock(heads=2, norm="post", causal=False),
            ("The tokens become one: from block", "토큰들이"),
        ),
        (ResidualBlock(norm=None), ("to the last block", "마지막 블록까지")),
        (TransformerBlock(heads=2), ("The tokens' mean cosine is", "토큰 간 코사인")),
        (ResidualBlock(), ("in the first block that of the weights", "스트림의 그래디언트")),
        (ConvolutionBlock(size=4), ("layer", "층")),
    ],
    ids=["tokens", "blocks", "tokens apart", "blocks apart", "convolution"],
)
def test_the_words_are_those_for_what_the_network_is_made_of(block: Block, words: tuple[str, str]) -> None:
    network = Network(
        sizes=(16,) * 31, call=REGISTRY.resolve("relu"), weights=initialiser("he_normal"), block=block
    )
    summary = diagnose(
        Experiment(network=network, inputs=GaussianInputs(12), networks=1), remedies=False
    ).summary
    for language, each in zip(summary, words, strict=True):
        assert each in language
