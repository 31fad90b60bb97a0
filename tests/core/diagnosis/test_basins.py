"""Networks whose signals go two ways: told in words, counted, and no longer called inputs that become one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.arithmetic import Array
from app.core.diagnosis.experiment import Experiment, simulate, unwatched
from app.core.diagnosis.report import Report, diagnose
from app.core.diagnosis.theory import length_basins
from app.core.diagnosis.verdict import judge
from app.core.jobs import in_turn
from app.core.propagation.convolution_block import ConvolutionBlock
from app.core.propagation.dropout import Dropout
from app.core.propagation.initialisers import gaussian
from app.core.propagation.network import GaussianInputs, Network

KINDS = [
    ("gelu", 1.4832, math.inf),
    ("silu", 1.65, math.inf),
    ("mish", 1.5, math.inf),
    ("formula:x * tanh(softplus(x))", 1.5, math.inf),
    ("formula:tanh(x)**3", 3.0, None),  # what does not die out settles
]

PLAINLY: dict[str, Callable[[Array], Array]] = {
    "gelu": lambda x: x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "formula:x * tanh(softplus(x))": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "formula:tanh(x)**3": lambda x: np.tanh(x) ** 3,
}


def network(activation: str, sigma_w: float, depth: int = 40, width: int = 128, **more: Any) -> Network:
    call = REGISTRY.resolve(activation)
    return Network(sizes=(width,) * (depth + 1), call=call, weights=gaussian(sigma_w), **more)


def border(activation: str, sigma_w: float) -> float:
    """The variance that σ_w² E φ(√q Z)² = q keeps and moves away from, by plain sums and bisection."""
    places = np.linspace(-12, 12, 4001)
    density = np.exp(-(places**2) / 2)
    density /= density.sum()

    def grows(q: float) -> bool:
        return bool(sigma_w**2 * np.sum(density * PLAINLY[activation](math.sqrt(q) * places) ** 2) > q)

    low, high = 1e-3, 1.0 if "**" in activation else 8.0
    assert grows(high)
    assert not grows(low)
    while high / low > 1 + 1e-9:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if grows(middle) else (middle, high)
    return low


def asked(net: Network, variances: list[float], networks: int = 3) -> Report:
    """Inputs whose first pre-activations have these variances, in networks as wide as the first layer."""
    rng = np.random.default_rng(5)
    sigma = net.weights_at(0).sigma_w(1, 1)  # type: ignore[union-attr]
    inputs: Array = rng.normal(size=(net.input_features, len(variances)))
    inputs *= np.sqrt(np.array(variances)) / sigma / np.sqrt(np.mean(inputs**2, axis=0))
    return diagnose(Experiment(network=net, inputs=inputs, networks=networks), remedies=False)


@pytest.mark.parametrize(("activation", "sigma_w", "upper"), KINDS)
def test_inputs_on_both_sides_of_the_border_end_in_both_basins(
    activation: str, sigma_w: float, upper: float | None
) -> None:
    edge = border(activation, sigma_w)
    small, large = edge / 10, edge * 10
    net = network(activation, sigma_w, width=512)
    report = asked(net, [small, large] * 4)
    ways = report.verdict.division
    assert ways is not None
    assert ways.border == pytest.approx(edge, rel=1e-4)
    assert (ways.lower, ways.upper if upper else None) == (0.0, upper)
    assert (ways.below, ways.above, ways.both) == (0, 0, 3)
    assert ways.rising == 0.5
    found = next(each for each in report.verdict.findings if "basin_border" in each.evidence)
    assert found.state == "vanishing"  # half of the inputs grow, and half is not most
    assert found.evidence["networks_in_both"] == 3
    assert all(math.isfinite(each) for each in found.evidence.values())
    assert "two basins" in report.summary.en
    assert "in 3 they end on both sides: 50 % of all inputs end above" in report.summary.en
    assert "끌림 영역이 둘입니다" in report.summary.ko
    assert "3개에서는 입력마다 갈립니다" in report.summary.ko
    assert "become one" not in report.summary.en
    assert "붕괴" not in report.summary.ko


@pytest.mark.parametrize(("activation", "sigma_w", "upper"), KINDS)
@pytest.mark.parametrize("factor", [0.1, 10.0])
def test_networks_that_all_end_in_one_basin_are_reported_with_the_other(
    activation: str, sigma_w: float, upper: float | None, factor: float
) -> None:
    report = asked(network(activation, sigma_w, width=512), [factor * border(activation, sigma_w)] * 8)
    side, korean = ("below", "작은") if factor < 1 else ("above", "큰")
    assert f"In all 3 networks every input ends {side}." in report.summary.en
    assert f"신경망 3개 모두에서 모든 입력이 {korean} 쪽으로 갑니다." in report.summary.ko
    assert "die out" in report.summary.en
    assert ("grow without bound" if upper else "settle at") in report.summary.en
    assert ("한없이 커집니다" if upper else "가까워집니다") in report.summary.ko
    assert not any("basin_border" in each.evidence for each in report.verdict.findings)


@pytest.mark.parametrize(("activation", "sigma_w", "upper"), KINDS)
def test_networks_are_counted_by_where_their_own_signal_ends(
    activation: str, sigma_w: float, upper: float | None
) -> None:
    """One input each, near the border: chance decides, and the variance in the last layer says which way."""
    edge = border(activation, sigma_w)
    start = GaussianInputs(1, edge / sigma_w**2)
    experiment = Experiment(network=network(activation, sigma_w, 60, 64), inputs=start, networks=24)
    report = diagnose(experiment, remedies=False)
    ends = [
        each.preactivation_variance[-1] for each in simulate(experiment, in_turn, unwatched)
    ]  # of one input, but for the square of the mean
    below = sum(each < edge for each in ends)
    assert 0 < below < 24
    assert (
        f"In {below} of 24 networks all inputs end below, in {24 - below} all end above" in report.summary.en
    )
    assert f"{100 * (24 - below) / 24:.0f} % of all inputs end above" in report.summary.en
    assert f"{below}개에서는 모든 입력이 작은 쪽으로" in report.summary.ko
    (found,) = (each for each in report.verdict.findings if "basin_border" in each.evidence)
    grow = upper is not None and 2 * below < 24
    assert found.state == ("exploding" if grow else "vanishing")
    assert found.evidence["networks_below"] == below


@pytest.mark.parametrize("block", [ConvolutionBlock(kernel=3, size=8), ConvolutionBlock(kernel=1, size=4)])
def test_convolutions_have_the_basins_of_dense_layers(block: ConvolutionBlock) -> None:
    edge = border("gelu", 1.4832)
    report = asked(network("gelu", 1.4832, 40, 64, block=block), [edge / 30, 30 * edge] * 2)
    assert report.theory is not None
    assert [each.q_star for each in report.theory.basins] == [0.0, math.inf]
    assert report.theory.basins[0].high == pytest.approx(edge, rel=1e-4)
    assert "in 3 they end on both sides: 50 %" in report.summary.en


def test_dropout_moves_the_border() -> None:
    """What is kept is made larger: its mean square is that of weights larger by 1/√kept."""
    dropped = network("gelu", 1.4832 * math.sqrt(0.9), dropout=Dropout(0.1))
    found = length_basins(Experiment(network=dropped, inputs=GaussianInputs(4)))
    assert found[0].high == pytest.approx(border("gelu", 1.4832), rel=1e-4)


def test_one_basin_is_not_reported() -> None:
    for activation, sigma_w in (("relu", 1.0), ("tanh", 2.0), ("gelu", 1.0), ("selu", 1.0)):
        experiment = Experiment(
            network=network(activation, sigma_w, 10), inputs=GaussianInputs(4), networks=2
        )
        assert "basin" not in diagnose(experiment, remedies=False).summary.en


def test_an_overflow_hides_no_division() -> None:
    """float32 holds 10³⁸: signals that grow leave it, the others die out."""
    edge = border("gelu", 1.7)
    net = network("gelu", 1.7, depth=800, width=64)
    inputs = np.random.default_rng(0).normal(size=(64, 4)) * math.sqrt(edge) / 1.7 * np.array([0.1, 9, 9, 9])
    run = Experiment(network=net, inputs=inputs, networks=3, dtype=np.dtype(np.float32))
    report = diagnose(run, remedies=False)
    assert [each.state for each in report.verdict.findings] == ["exploding", "exploding"]
    assert "overflows" in report.summary.en
    assert "75 % of all inputs end above" in report.summary.en


def test_a_verdict_without_theory_looks_for_basins_itself() -> None:
    """Remedies are judged by figures alone."""
    experiment = Experiment(network=network("gelu", 1.4832, 60, 64), inputs=GaussianInputs(8), networks=4)
    networks = simulate(experiment, in_turn, unwatched)
    assert (
        judge(experiment, networks).findings
        == judge(experiment, networks, length_basins(experiment)).findings
    )


def test_one_network_is_not_counted() -> None:
    net = network("gelu", 1.4832, 20)
    summary = asked(net, [10 * border("gelu", 1.4832)] * 4, networks=1).summary
    assert "grow without bound. All inputs end above." in summary.en
    assert "커집니다. 모든 입력이 큰 쪽으로 갑니다." in summary.ko


def test_a_signal_that_has_died_out_altogether_is_no_number_of_decades() -> None:
    """tanh³ cubes what is small: ten layers take 0.1 to 10^-59,049."""
    net = network("formula:tanh(x)**3", 3.0, 12)
    edge = border("formula:tanh(x)**3", 3.0)
    report = asked(net, [edge / 50, edge * 10] * 4)
    (found,) = (each for each in report.verdict.findings if "basin_border" in each.evidence)
    assert "signals_log10_gap" not in found.evidence
    assert report.verdict.division is not None
    assert report.verdict.division.gap == math.inf


def test_remedies_of_parted_inputs_are_those_of_inputs_that_have_become_one() -> None:
    """Both are lost to the network; a slope tailored to the depth keeps them, and has one basin."""
    run = Experiment(network=network("gelu", 1.4832, 60), inputs=GaussianInputs(16), networks=2)
    report = diagnose(run)
    assert any("basin_border" in each.evidence for each in report.verdict.findings)
    tailored = [each for each in report.remedies if "negative_slope" in each.change.get("params", {})]
    assert [each.state for each in tailored] == ["healthy"]
