"""Layers that differ: an activation and an initialisation each, and weights scaled to unit variance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.errors import InvalidValue
from app.core.propagation.engine import Engine, cost, engines
from app.core.propagation.given import GivenWeights
from app.core.propagation.initialisers import LSUV, Initialiser, detailed, gaussian, initialiser
from app.core.propagation.network import GaussianInputs, Network, given_network
from app.core.propagation.residual_block import ResidualBlock
from app.core.propagation.simulation import propagate
from app.core.propagation.statistics import NAMES, Figures

TANH, RELU, LINEAR, MAXOUT = (REGISTRY.resolve(name) for name in ("tanh", "relu", "linear", "maxout"))


def assert_same(first: Figures, second: Figures) -> None:
    for name in NAMES:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)


@pytest.mark.parametrize("block", [None, ResidualBlock()])
def test_a_list_of_equals_is_the_plain_network(block: Any) -> None:
    plain = Network(sizes=(20,) * 5, call=TANH, weights=gaussian(1.5), block=block)
    listed = Network(
        sizes=(20,) * 5,
        call=TANH,
        weights=gaussian(1.5),
        block=block,
        calls=(TANH,) * 4,
        laws=(gaussian(1.5),) * 4,
    )
    assert_same(*(propagate(each, GaussianInputs(4), seed=0) for each in (plain, listed)))


def test_each_layer_has_its_own_activation() -> None:
    rng = np.random.default_rng(0)
    matrices = [rng.standard_normal(shape) for shape in ((20, 10), (24, 20), (5, 12))]
    net = given_network(RELU, GivenWeights(matrices, [None] * 3), calls=(RELU, MAXOUT, LINEAR))
    assert net.sizes == (10, 20, 12, 5)
    x, upstream = rng.standard_normal((10, 6)), rng.standard_normal((5, 6))
    run = propagate(net, x, seed=0, upstream=upstream)
    first = np.maximum(matrices[0] @ x, 0)
    z = (matrices[1] @ first).reshape(12, 2, 6)
    second = z.max(axis=1)
    np.testing.assert_allclose(
        run.activation_mean, [first.mean(), second.mean(), (matrices[2] @ second).mean()], rtol=1e-12
    )
    winners = (z == second[:, None]) * (matrices[2].T @ upstream)[:, None]
    below = (matrices[1].T @ winners.reshape(24, 6)) * (first > 0)
    rms = [np.sqrt(np.mean(each**2)) for each in (below, winners, upstream)]
    np.testing.assert_allclose(run.gradient_log10_rms, np.log10(rms), rtol=0, atol=1e-12)


def test_each_layer_has_its_own_law_and_engine() -> None:
    laws = (initialiser("he_uniform"), gaussian(1.5, 0.1), initialiser("orthogonal"))
    net = Network(sizes=(2000,) * 4, call=TANH, weights=laws[0], laws=laws)
    kinds = engines(net, 4, "auto")
    assert kinds == ("dense", "deferred", "deferred")
    plain = Network(sizes=(2000,) * 4, call=TANH, weights=laws[0])
    assert cost(net, 4, kinds, 8, 1e9).work < cost(plain, 4, engines(plain, 4, "auto"), 8, 1e9).work / 2
    run = propagate(net, GaussianInputs(4), seed=0)
    squares = run.activation_mean_square
    expected = [6 / 3, 1.5**2 * squares[0] + 0.01, squares[1]]
    np.testing.assert_allclose(run.preactivation_variance, expected, rtol=0.1)


@pytest.mark.parametrize("engine", ["dense", "deferred"])
@pytest.mark.parametrize("normalised", [False, True])
def test_unit_variance_is_that_on_the_batch(engine: Engine, normalised: bool) -> None:
    block = ResidualBlock(norm="pre" if normalised else None)
    for each in (None, block):
        net = Network(sizes=(40,) * 9, call=RELU, weights=LSUV, block=each)
        run = propagate(net, GaussianInputs(8, variance=9.0), seed=0, engine=engine)
        np.testing.assert_allclose(run.preactivation_variance, 1, rtol=1e-12)


def test_unit_variance_leaves_a_zero_signal_zero() -> None:
    net = Network(sizes=(8,) * 4, call=RELU, weights=LSUV)
    run = propagate(net, np.zeros((8, 3)), seed=0)
    assert (run.preactivation_variance == 0).all()


def test_unit_variance_is_the_gain_that_was_found() -> None:
    """Linear layers: the orthogonal matrix, divided by one number."""
    net = Network(sizes=(30,) * 2, call=LINEAR, weights=LSUV)
    x = np.random.default_rng(1).standard_normal((30, 5))
    plain = propagate(Network(sizes=(30,) * 2, call=LINEAR, weights=initialiser("orthogonal")), x, seed=0)
    gain = 1 / np.sqrt(plain.preactivation_variance[0])
    exact = propagate(
        Network(sizes=(30,) * 2, call=LINEAR, weights=detailed("orthogonal", gain, "in")), x, seed=0
    )
    np.testing.assert_allclose(
        propagate(net, x, seed=0).activation_mean_square, exact.activation_mean_square, rtol=1e-12
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"calls": (TANH,)},
        {"laws": (gaussian(1.0),) * 3},
        {"calls": (TANH, MAXOUT), "block": ResidualBlock()},
    ],
)
def test_lists_that_do_not_fit_are_refused(fields: dict[str, Any]) -> None:
    weights: Initialiser = gaussian(1.0)
    with pytest.raises(InvalidValue):
        Network(**{"sizes": (8, 8, 8), "call": TANH, "weights": weights, **fields})
