"""Units that take the maximum of several pre-activations: both engines, Gaussian and orthogonal weights."""

from __future__ import annotations

import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.errors import InvalidValue
from app.core.propagation.blocks import Blocks
from app.core.propagation.engine import linear_map
from app.core.propagation.given import GivenWeights
from app.core.propagation.initialisers import INITIALISERS, Initialiser, Orthogonal, gaussian
from app.core.propagation.linear_maps import Interleaved
from app.core.propagation.network import GaussianInputs, Network, given_network
from app.core.propagation.simulation import propagate
from app.core.propagation.streams import Stream
from app.core.propagation.units import Units
from tests.core.propagation.test_exactness import NETWORKS, Case, assert_alike

CASES = {
    "gaussian": Case("maxout", gaussian(1.2)),
    "biases and layer_norm": Case(
        "maxout", gaussian(1.2, 0.5), sizes=(9, 12, 8, 12), normalisation="layer_norm"
    ),
    "orthogonal": Case("maxout", Initialiser(Orthogonal(1.1))),
}


@pytest.mark.parametrize("name", CASES)
def test_deferred_and_dense_have_the_same_distribution(name: str) -> None:
    assert_alike(CASES[name], NETWORKS, 1)


@pytest.mark.parametrize("pieces", [2, 3, 5])
def test_a_unit_has_as_many_pre_activations_as_pieces(pieces: int) -> None:
    call = REGISTRY.resolve("maxout", {"pieces": pieces})
    assert Units(call).pieces == pieces
    net = Network(sizes=(30, 20), call=call, weights=INITIALISERS["xavier_normal"])
    assert net.layers[0].rows == 20 * pieces


def test_the_maximum_is_taken_over_consecutive_rows_and_its_slope_is_one() -> None:
    z = np.array([[1.0, -4.0], [3.0, -5.0], [-1.0, 0.0], [-2.0, 2.0]])
    outputs, slopes = np.empty((2, 2)), np.empty((4, 2))
    counts = Units(REGISTRY.resolve("maxout", {"pieces": 2})).respond(z, slice(0, 2), outputs, slopes)
    np.testing.assert_array_equal(outputs, [[3, -4], [-1, 2]])
    np.testing.assert_array_equal(slopes, [[0, 1], [1, 0], [1, 0], [0, 1]])
    assert counts == (0, 0)


def test_maxout_has_no_dead_units_where_relu_has() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((50, 32))
    matrices = [rng.standard_normal((80, 50)) / 7, rng.standard_normal((80, 40)) / 6]
    call = REGISTRY.resolve("maxout", {"pieces": 2})
    run = propagate(given_network(call, GivenWeights(matrices, [np.full(80, -100.0)] * 2)), x, seed=0)
    assert (run.dead_fraction == 0).all()
    assert np.isfinite(run.gradient_log10_rms).all()
    relu = given_network(
        REGISTRY.resolve("relu"), GivenWeights([each[:40] for each in matrices], [np.full(40, -100.0)] * 2)
    )
    assert (propagate(relu, x, seed=0).dead_fraction == 1).all()


def test_the_mean_square_of_the_gradient_changes_by_sigma_w_squared() -> None:
    # One piece of each unit is active, with slope 1: χ₁ = σ_w², whatever the number of pieces.
    call = REGISTRY.resolve("maxout", {"pieces": 3})
    net = Network(sizes=(2048,) * 21, call=call, weights=gaussian(0.8))
    run = propagate(net, GaussianInputs(8), seed=0, dtype=np.dtype(np.float32))
    assert run.log10_ratio == pytest.approx(19 * np.log10(0.8), abs=0.1)


def test_orthogonal_pieces_are_independent_matrices_interleaved() -> None:
    call = REGISTRY.resolve("maxout", {"pieces": 2})
    net = Network(sizes=(20, 20), call=call, weights=INITIALISERS["orthogonal"])
    for kind in ("dense", "deferred"):
        drawn = linear_map(net, 0, kind, Stream(1), Blocks(4), np.dtype(np.float64))
        assert isinstance(drawn, Interleaved)


def test_what_mixes_a_whole_layer_is_refused() -> None:
    for name in ("softmax", "sparsemax"):
        with pytest.raises(InvalidValue, match="cannot activate units"):
            Units(REGISTRY.resolve(name))
    weights = np.ones((3, 1, 4))
    with pytest.raises(InvalidValue, match="each unit"):
        Network(sizes=(5, 5), call=REGISTRY.resolve("maxout", {"weights": weights}), weights=gaussian(1.0))


def test_gated_units_take_their_two_pre_activations() -> None:
    # GLU: a · σ(b); neighbouring rows of W make one unit.
    rng = np.random.default_rng(1)
    matrix, x = rng.standard_normal((6, 4)), rng.standard_normal((4, 5))
    run = propagate(given_network(REGISTRY.resolve("glu"), GivenWeights([matrix], [None])), x, seed=0)
    z = matrix @ x
    expected = np.mean(z[::2] / (1 + np.exp(-z[1::2])))
    assert run.activation_mean[0] == pytest.approx(expected, rel=1e-12)
