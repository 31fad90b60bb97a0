"""Theory of convolutions: it is the dense mean field, and wide convolutions follow it."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.diagnosis.experiment import Experiment, simulate, unwatched
from app.core.diagnosis.theory import Prediction, Theory
from app.core.jobs import ignore, in_turn
from app.core.propagation.block import Block
from app.core.propagation.convolution_block import ConvolutionBlock
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


def test_edges_of_zeros_have_no_theory() -> None:
    assert theory(ConvolutionBlock(size=4, padding="zeros"), "tanh", gaussian(1.0)) is None
