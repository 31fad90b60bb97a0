"""Theory of convolutions: it is the dense mean field, and wide convolutions follow it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.arithmetic import Array
from app.core.diagnosis.experiment import Experiment, simulate, unwatched
from app.core.diagnosis.theory import Prediction, Theory
from app.core.jobs import ignore, in_turn
from app.core.propagation.block import Block
from app.core.propagation.convolution_block import ConvolutionBlock
from app.core.propagation.dropout import Dropout
from app.core.propagation.initialisers import Initialiser, gaussian, initialiser
from app.core.propagation.network import GaussianInputs, Network
from app.core.propagation.residual_block import ResidualBlock

DEPTH, WIDTH, NETWORKS = 8, 128, 24


def experiment(block: Block, activation: str, weights: Initialiser, width: int) -> Experiment:
    call = REGISTRY.resolve(activation)
    network = Network(sizes=(width,) * (DEPTH + 1), call=call, weights=weights, block=block)
    return Experiment(network=network, inputs=GaussianInputs(4, 1.5), networks=NETWORKS)


def theory(block: Block, activation: str, weights: Initialiser, width: int = 64) -> Theory | None:
    return Prediction(experiment(block, activation, weights, width))(map, ignore)


@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu"])
@pytest.mark.parametrize(("kernel", "dimensions"), [(1, 1), (3, 1), (3, 2), (4, 2)])
def test_it_is_the_dense_mean_field(activation: str, kernel: int, dimensions: Literal[1, 2]) -> None:
    """A dense network whose layers φ(W h) are blocks without a skip connection."""
    convolution = theory(
        ConvolutionBlock(kernel=kernel, size=4, dimensions=dimensions), activation, gaussian(1.4, 0.2)
    )
    dense = theory(ResidualBlock(matrices=1, norm=None, skip=0.0), activation, gaussian(1.4, 0.2))
    assert convolution is not None
    assert dense is not None
    np.testing.assert_allclose(convolution.path.q, dense.path.q, rtol=1e-13)
    np.testing.assert_allclose(convolution.gradient_log10_rms, dense.gradient_log10_rms, rtol=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("activation", "weights"),
    [
        ("tanh", gaussian(1.4, 0.2)),
        ("relu", initialiser("he_normal")),
        ("tanh", initialiser("xavier_uniform")),
    ],
)
def test_wide_convolutions_follow_it(activation: str, weights: Initialiser) -> None:
    """Means of squares over networks: 4.5 standard errors, and 5/width for what finite width shifts."""
    block = ConvolutionBlock(size=8)
    found = theory(block, activation, weights, WIDTH)
    assert found is not None
    networks = simulate(experiment(block, activation, weights, WIDTH), in_turn, unwatched)
    for squares, expected in (
        ([each.preactivation_variance for each in networks], found.path.q),
        ([10 ** (2 * each.gradient_log10_rms) for each in networks], 10 ** (2 * found.gradient_log10_rms)),
    ):
        shares = np.array(squares) / expected
        error = shares.std(axis=0, ddof=1) / np.sqrt(len(networks))
        assert (np.abs(shares.mean(axis=0) - 1) < 4.5 * error + 5 / WIDTH).all()
        assert error.max() < 0.15


EDGED = [
    *(
        ConvolutionBlock(kernel=kernel, size=size, padding="zeros")
        for kernel, size in ((3, 5), (4, 6), (5, 5))
    ),
    *(ConvolutionBlock(kernel=each, size=each + 1, dimensions=2, padding="zeros") for each in (3, 2)),
]


def mixing(block: ConvolutionBlock) -> Array:
    """The share of each position (columns) in each output (rows), tap by tap as it is defined."""
    left = (block.kernel - 1) // 2
    line = np.zeros((block.size, block.size))
    for place in range(block.size):
        for tap in range(block.kernel):
            if 0 <= place + tap - left < block.size:
                line[place, place + tap - left] += 1 / block.kernel
    return line if block.dimensions == 1 else np.kron(line, line)


@pytest.mark.parametrize("block", EDGED)
def test_linear_convolutions_with_edges_are_powers_of_a_matrix(block: ConvolutionBlock) -> None:
    found = theory(block, "linear", gaussian(1.3, 0.4))
    assert found is not None
    matrix = 1.69 * mixing(block)
    squares, variances = np.full(len(matrix), 1.5), []
    for _ in range(DEPTH):
        squares = matrix @ squares + 0.16
        variances.append(squares.mean())
    np.testing.assert_allclose(found.path.q, variances, rtol=1e-11)
    back = [np.linalg.matrix_power(matrix.T, DEPTH - layer).sum(axis=1).mean() for layer in range(DEPTH)]
    np.testing.assert_allclose(found.gradient_log10_rms, np.log10(back) / 2, rtol=0, atol=1e-11)
    expected = found.gradient_log10_rms[0] - found.gradient_log10_rms[-1]
    assert found.predicted_log10_ratio == pytest.approx(expected, rel=1e-12)
    assert np.isnan(found.point.q_star)  # a profile has no fixed point of one number
    assert np.isnan(found.critical_sigma_w)
    assert found.basins == []


@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu"])
def test_far_from_the_edges_it_is_the_mean_field_without_them(activation: str) -> None:
    """What is missing is the two ends' share, 1/3 of the weights at each end of 3,000 positions at first."""
    weights = gaussian(1.4, 0.2)
    edged = theory(ConvolutionBlock(size=3000, padding="zeros"), activation, weights)
    whole = theory(ConvolutionBlock(size=3000), activation, weights)
    assert edged is not None
    assert whole is not None
    gap = 1 - edged.path.q / whole.path.q
    assert gap[0] == pytest.approx(2 / 3 / 3000 * (1 - 0.04 / whole.path.q[0]), rel=1e-9)
    assert (np.abs(gap) < DEPTH * 2 / 3000).all()
    np.testing.assert_allclose(edged.path.chi, whole.path.chi, rtol=DEPTH * 2 / 3000)


@pytest.mark.parametrize(
    ("block", "activation", "fields"),
    [
        *((block, "linear", {}) for block in EDGED),
        *((block, "tanh", {}) for block in EDGED[:4]),
        (EDGED[0], "relu", {}),
        (EDGED[0], "tanh", {"dropout": Dropout(0.3)}),
        (EDGED[1], "relu", {"laws": (gaussian(1.0, 0.5), gaussian(2.0)) * (DEPTH // 2)}),
    ],
)
def test_simulated_edges_follow_it(block: ConvolutionBlock, activation: str, fields: dict[str, Any]) -> None:
    """Means of squares over networks of 96 channels, in standard errors; linear ones have no other error."""
    width, count = 96, 40
    network = Network(
        sizes=(width,) * (DEPTH + 1),
        call=REGISTRY.resolve(activation),
        weights=gaussian(1.3, 0.4),
        block=block,
        **fields,
    )
    run = Experiment(network=network, inputs=GaussianInputs(2, 1.5), networks=count)
    found = Prediction(run)(map, ignore)
    assert found is not None
    networks = simulate(run, in_turn, unwatched)
    # The variance is about the mean over the channels, whose square is added back where it is known.
    q = [
        each.preactivation_variance + each.activation_mean**2 * (activation == "linear") for each in networks
    ]
    slack = 0.0 if activation == "linear" else 6 / width
    for squares, expected in (
        (q, found.path.q),
        ([10 ** (2 * each.gradient_log10_rms) for each in networks], 10 ** (2 * found.gradient_log10_rms)),
    ):
        shares = np.array(squares) / expected
        error = shares.std(axis=0, ddof=1) / np.sqrt(count)
        assert (np.abs(shares.mean(axis=0) - 1) < 4.5 * error + slack).all()
        assert error.max() < 0.1
    # Without its edges the network would be another one.
    whole = theory(replace(block, padding="circular"), activation, gaussian(1.3, 0.4), width)
    assert whole is not None
    assert fields or abs(whole.predicted_log10_ratio - found.predicted_log10_ratio) > 0.05


def test_a_batch_of_your_own_is_followed_from_each_position_s_size() -> None:
    """All of the signal in one corner reaches the far end last."""
    block = ConvolutionBlock(kernel=3, size=6, padding="zeros")
    call = REGISTRY.resolve("linear")
    network = Network(sizes=(4,) * 4, call=call, weights=gaussian(1.0), block=block)
    inputs = np.zeros((4, 6, 3))
    inputs[:, 0] = 2.0
    found = Prediction(Experiment(network=network, inputs=inputs.reshape(24, 3)))(map, ignore)
    assert found is not None
    start = np.array([4.0, 0, 0, 0, 0, 0])
    powers = [np.linalg.matrix_power(mixing(block), layer) @ start for layer in (1, 2, 3)]
    np.testing.assert_allclose(found.path.q, [each.mean() for each in powers], rtol=1e-12)


def test_a_signal_of_too_many_positions_has_no_theory() -> None:
    block = ConvolutionBlock(kernel=3, size=2000, dimensions=2, padding="zeros")
    assert theory(block, "tanh", gaussian(1.0)) is None


@pytest.mark.parametrize("variance", [0.0, 1e-300, 1e300])
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "sine"])
def test_edges_at_the_ends_of_the_range(activation: str, variance: float) -> None:
    call = REGISTRY.resolve(activation)
    network = Network(sizes=(4,) * 41, call=call, weights=gaussian(0.1), block=EDGED[0])
    found = Prediction(Experiment(network=network, inputs=GaussianInputs(2, variance)))(map, ignore)
    assert found is None or not np.isnan(found.path.q).all()
