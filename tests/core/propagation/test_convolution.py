"""Convolutions: both engines have one distribution, and are the same network for the same matrices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.arithmetic import Array
from app.core.errors import InvalidValue
from app.core.evaluation import FLOAT64
from app.core.propagation import block_steps
from app.core.propagation.convolution_block import Convolution, ConvolutionBlock, Patches
from app.core.propagation.engine import Engine, block_map, cost, engines
from app.core.propagation.initialisers import LSUV, Initialiser, gaussian, initialiser
from app.core.propagation.linear_maps import Dense, LinearMap
from app.core.propagation.network import GaussianInputs, Network
from app.core.propagation.simulation import propagate
from app.core.propagation.statistics import Figures
from tests.core.propagation.test_blocks import FLOAT32, assert_same, own
from tests.core.propagation.test_exactness import (
    COMPARED,
    FARTHEST,
    NETWORKS,
    THRESHOLD,
    Recorder,
    farthest,
    largest_z,
)


@dataclass(frozen=True)
class Case:
    """A network small enough for the conditioning to matter."""

    block: ConvolutionBlock
    activation: str = "tanh"
    weights: Initialiser = gaussian(1.5)  # noqa: RUF009  frozen
    width: int = 6
    depth: int = 3
    batch: int = 2

    @property
    def network(self) -> Network:
        return Network(
            sizes=(self.width,) * (self.depth + 1),
            call=REGISTRY.resolve(self.activation),
            weights=self.weights,
            block=self.block,
        )

    def figures(self, engine: Engine = "auto", seed: int = 1, index: int = 0, **options: Any) -> Figures:
        inputs = GaussianInputs(self.batch)
        return propagate(self.network, inputs, seed=seed, index=index, engine=engine, **options)


CASES = {
    "one dimension": Case(ConvolutionBlock(size=5)),
    "zeros": Case(ConvolutionBlock(size=5, padding="zeros"), "leaky_relu", gaussian(1.5, 0.3)),
    "even kernel": Case(ConvolutionBlock(size=4, kernel=2, padding="zeros"), width=8),
    "two dimensions": Case(ConvolutionBlock(size=3, dimensions=2), "gelu", width=4),
    "two dimensions, zeros": Case(ConvolutionBlock(size=3, dimensions=2, padding="zeros"), width=4),
    "as large as the input": Case(ConvolutionBlock(size=4, kernel=4), width=3),
    "gated": Case(ConvolutionBlock(size=4), "swiglu"),
}


def recorded(case: Case, engine: Engine, seed: int, index: int = 0) -> tuple[Figures, list[Recorder]]:
    recorders: list[Recorder] = []

    def recording(*arguments: Any) -> LinearMap:
        recorders.append(Recorder(block_map(*arguments)))
        return recorders[-1]

    with patch.object(block_steps, "block_map", recording):
        return case.figures(engine, seed, index), recorders


def statistics(case: Case, engine: Engine, seed: int, index: int) -> Array:
    figures, recorders = recorded(case, engine, seed, index)
    pairs = [(each.h, each.back[1]) for each in recorders if each.back is not None]
    along = [np.log(np.linalg.norm(h.T @ gradient) / np.linalg.norm(gradient)) for h, gradient in pairs]
    return np.concatenate([*(getattr(figures, name) for name in COMPARED), along])


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_deferred_and_dense_have_the_same_distribution(name: str) -> None:
    def sample(engine: Engine, seed: int) -> Array:
        return np.array([statistics(CASES[name], engine, seed, index) for index in range(NETWORKS)])

    first, second = sample("deferred", 1), sample("dense", 2)
    assert np.isfinite(first).all()
    assert largest_z(first, second) < THRESHOLD
    assert farthest(first, second) < FARTHEST


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("width", [None, 24])
def test_the_completed_matrices_give_the_same_network(name: str, width: int | None) -> None:
    """The deferred engine applies them to patches, the dense one tap by tap."""
    case = Case(**{**vars(CASES[name]), "width": width or CASES[name].width})
    figures, recorders = recorded(case, "deferred", 5)
    matrices = iter([each.completed() for each in recorders])

    def completed(*arguments: Any) -> LinearMap:
        return Dense(next(matrices), arguments[4])

    with patch.object(block_steps, "block_map", completed):
        replayed = case.figures("dense", 5)
    assert next(matrices, None) is None
    for (figure, one), (_, other) in zip(own(replayed), own(figures), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10, err_msg=figure)


@pytest.mark.parametrize("name", CASES)
def test_patches_and_their_sum_are_transposes(name: str) -> None:
    block, rng = CASES[name].block, np.random.default_rng(0)
    patches = Patches(block, 3)
    h = rng.standard_normal((3 * block.places, 2))
    found = patches.forward(h)
    assert found.shape == (3 * block.taps, 2 * block.places)
    delta = rng.standard_normal(found.shape)
    np.testing.assert_allclose(np.sum(delta * found), np.sum(patches.backward(delta) * h), rtol=1e-12)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("engine", ["dense", "deferred"])
@pytest.mark.parametrize("dtype", [FLOAT64, FLOAT32])
def test_the_bytes_do_not_depend_on_the_tape(name: str, engine: Engine, dtype: np.dtype[Any]) -> None:
    assert_same(*(CASES[name].figures(engine, dtype=dtype, tape=tape) for tape in (1e9, 0.0)))


def test_a_kernel_of_one_is_a_layer_at_every_position() -> None:
    """Positions are then inputs of a plain network, with the same weights and figures."""
    case = Case(ConvolutionBlock(kernel=1, size=5), width=12, depth=4)
    made: list[Array] = []

    def watched(*arguments: Any) -> LinearMap:
        found = block_map(*arguments)
        assert isinstance(found, Dense)
        made.append(found.weights)
        return found

    rng = np.random.default_rng(3)
    inputs, upstream = rng.standard_normal((2, 12 * 5, 2))
    with patch.object(block_steps, "block_map", watched):
        run = propagate(case.network, inputs, seed=1, engine="dense", upstream=upstream)
    h, slopes = inputs.reshape(12, 10), []
    for weights in made:
        z = weights @ h
        h = np.tanh(z)
        slopes.append(1 - h**2)
    delta = upstream.reshape(12, 10)
    for number in reversed(range(4)):
        delta = made[number].T @ (slopes[number] * delta)
        np.testing.assert_allclose(
            run.gradient_log10_rms[number], np.log10(np.mean(delta**2)) / 2, rtol=0, atol=1e-12
        )
    np.testing.assert_allclose(run.activation_mean_square[-1], np.mean(h**2), rtol=1e-12)


def test_a_wide_convolution_has_the_dense_mean_field() -> None:
    """Xiao et al. 2018 (arXiv:1806.05393): with fan_in channels · kernel, away from edges."""
    run = Case(ConvolutionBlock(size=8), "relu", initialiser("he_normal"), 400, 6, 4).figures("dense", 2)
    assert abs(run.log10_ratio) < 0.03
    np.testing.assert_allclose(run.preactivation_variance, 2.0, rtol=0.15)


def test_fans_are_those_of_pytorch() -> None:
    case = Case(
        ConvolutionBlock(size=4, kernel=3, dimensions=2), weights=initialiser("xavier_normal"), width=30
    )
    made: list[Array] = []

    def watched(*arguments: Any) -> LinearMap:
        found = block_map(*arguments)
        assert isinstance(found, Dense)
        made.append(found.weights)
        return found

    with patch.object(block_steps, "block_map", watched):
        case.figures("dense")
    assert made[0].shape == (30, 270)
    np.testing.assert_allclose(np.var(made[0]), 1 / 270, rtol=0.05)


@pytest.mark.parametrize("name", ["orthogonal", "torch_default"])
def test_initialisations(name: str) -> None:
    run = Case(ConvolutionBlock(size=4), weights=initialiser(name)).figures()
    assert np.isfinite(run.gradient_log10_rms).all()


def test_extreme_signals_are_findings() -> None:
    run = Case(ConvolutionBlock(size=4), "relu", gaussian(1e6), depth=30).figures("dense", dtype=FLOAT32)
    assert run.overflow is not None
    small = Case(ConvolutionBlock(size=4), "linear", gaussian(1e-6), depth=30)
    for dtype in (FLOAT32, FLOAT64):
        assert not np.isnan(small.figures("dense", dtype=dtype).weight_gradient_log10_norm).any()


@pytest.mark.parametrize(
    "fields",
    [
        {"block": ConvolutionBlock(kernel=9, size=8)},
        {"sizes": (8, 8, 9)},
        {"weights": LSUV},
        {"residual": 0.5},
    ],
)
def test_what_does_not_fit_is_refused(fields: dict[str, Any]) -> None:
    plain: dict[str, Any] = {
        "sizes": (8, 8, 8),
        "call": REGISTRY.resolve("tanh"),
        "weights": gaussian(1.0),
        "block": ConvolutionBlock(),
    }
    Network(**plain)
    with pytest.raises(InvalidValue):
        Network(**{**plain, **fields})


def test_inputs_have_a_number_for_each_position() -> None:
    network = Case(ConvolutionBlock(size=4)).network
    propagate(network, np.ones((24, 2)), seed=0)
    with pytest.raises(InvalidValue, match="24"):
        propagate(network, np.ones((6, 2)), seed=0)


def test_few_positions_of_many_channels_are_deferred_and_many_are_not() -> None:
    few = Case(ConvolutionBlock(size=8), width=8192, batch=2).network
    many = Case(ConvolutionBlock(size=32, dimensions=2), width=64).network
    assert engines(few, 2, "auto") == ("deferred",)
    assert engines(many, 32, "auto") == ("dense",)
    assert cost(many, 32, ("dense",), 4, 2.0**31).bytes < 2.0**30


def test_made_weights_need_no_patches() -> None:
    case = Case(ConvolutionBlock(size=5))
    with patch.object(Patches, "forward", side_effect=AssertionError):
        case.figures("dense")
    with patch.object(Convolution, "forward", side_effect=AssertionError):
        case.figures("deferred")
