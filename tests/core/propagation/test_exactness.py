"""The deferred engine against made weights: the same distribution of everything a network reports.

Two-sample tests. The samples are the figures of every layer, of n networks of either engine.

Moments: compared are all means and, through the products of the standardised figures, all variances and
covariances, each by a z-test. A difference of d standard deviations in one of them gives z = d √(n/2). At
n = 600 and a threshold of 4.5 the power against d = 0.4 is Φ(6.9 − 4.5) = 0.99; at n = 6,000 (marked slow)
against d = 0.13 it is Φ(7.1 − 4.5) = 0.995. The seeds are fixed, so a test that passes always passes; had
they been drawn, one of about 6,000 comparisons would exceed 4.5 with probability 0.04.

Shapes: each figure's two distributions by Kolmogorov and Smirnov's D, the largest difference of the two
empirical distribution functions. D √(n/2) exceeds 2.7 by chance with probability 2 e^(−2 · 2.7²) = 1e-6.
Where the true functions differ by g at one point, D there is g with a standard deviation of √(1/2n) at most:
at n = 600 the power against g = 0.23 is at least Φ((0.23 − 0.156)/0.029) = 0.99, at n = 6,000 the same
against g = 0.07.

The norms alone would not do: an engine that draws a fresh matrix for the backward pass, as the assumption of
gradient independence does, gives nearly the same ones. What it gets wrong is the correlation of gradient and
signal, so ‖hᵀ dL/dh‖ is compared too, and a test shows that this detects such an engine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from scipy.stats import ks_2samp

from app.core.activations import REGISTRY
from app.core.arithmetic import Array
from app.core.propagation import engine as engine_module
from app.core.propagation import plain_layers, simulation
from app.core.propagation.blocks import Blocks
from app.core.propagation.engine import Engine, biases
from app.core.propagation.given import GivenWeights
from app.core.propagation.initialisers import (
    Gaussian,
    Initialiser,
    Orthogonal,
    Scaled,
    Uniform,
    gaussian,
    initialiser,
)
from app.core.propagation.linear_maps import DeferredGaussian, DeferredOrthogonal, LinearMap
from app.core.propagation.network import GaussianInputs, Network, given_network
from app.core.propagation.normalisation import NORMALISATIONS
from app.core.propagation.simulation import propagate
from app.core.propagation.statistics import NAMES, Figures
from app.core.propagation.streams import Stream
from app.core.propagation.tall import Batch, root, times

THRESHOLD = 4.5
FARTHEST = 2.7
NETWORKS = 600
COMPARED = (
    "preactivation_variance",
    "correlation",
    "activation_mean_square",
    "gradient_log10_rms",
    "weight_gradient_log10_norm",
)


@dataclass(frozen=True)
class Case:
    """A network small enough for the conditioning to matter: the batch spans a third of the units or more."""

    activation: str
    weights: Initialiser
    sizes: tuple[int, ...] = (12, 12, 12, 12)
    batch: int = 4
    normalisation: str | None = None
    residual: float | None = None
    correlation: float = 0.0

    @property
    def network(self) -> Network:
        return Network(
            sizes=self.sizes,
            call=REGISTRY.resolve(self.activation),
            weights=self.weights,
            normalisation=NORMALISATIONS[self.normalisation] if self.normalisation else None,
            residual=self.residual,
        )

    @property
    def inputs(self) -> GaussianInputs:
        return GaussianInputs(self.batch, correlation=self.correlation)


HAAR = Initialiser(Orthogonal(1.3))
CASES = {
    "tanh": Case("tanh", gaussian(1.5)),
    "relu": Case("relu", initialiser("he_normal"), sizes=(20, 20, 20, 20), batch=7),
    "sigmoid, biases": Case("sigmoid", gaussian(4.0, 1.0)),
    "rectangular": Case("leaky_relu", initialiser("xavier_normal"), sizes=(9, 16, 7, 12)),
    "uniform biases": Case("tanh", Initialiser(Scaled(Gaussian, 2, "in"), Scaled(Uniform, 0.3, "none"))),
    "batch beyond width": Case("tanh", gaussian(1.5), sizes=(6, 5, 6, 5), batch=8),
    "collapsed": Case("tanh", gaussian(2.0, 0.3), correlation=1.0),
    "layer_norm": Case("tanh", gaussian(1.5), normalisation="layer_norm"),
    "rms_norm": Case("leaky_relu", gaussian(1.5), normalisation="rms_norm"),
    "batch_norm": Case("relu", gaussian(1.5, 0.5), normalisation="batch_norm"),
    "residual": Case("tanh", gaussian(1.5), residual=0.7),
    "rectangular, all": Case(
        "elu", gaussian(1.3, 0.4), sizes=(9, 12, 12, 8), normalisation="batch_norm", residual=0.5
    ),
    "orthogonal": Case("tanh", HAAR),
    "orthogonal, 2B = N": Case("leaky_relu", HAAR, batch=6),
    "orthogonal, rms_norm": Case("gelu", HAAR, normalisation="rms_norm"),
    "orthogonal, batch_norm": Case("leaky_relu", HAAR, normalisation="batch_norm"),
    "orthogonal, all": Case(
        "tanh",
        Initialiser(Orthogonal(1.3), gaussian(1, 0.4).biases),
        normalisation="layer_norm",
        residual=0.7,
    ),
}


def sample(case: Case, engine: Engine, networks: int, seed: int) -> Array:
    """networks × statistics."""
    rows = np.array([statistics(case, engine, seed, index) for index in range(networks)])
    assert np.isfinite(rows).all()
    return rows


def statistics(case: Case, engine: Engine, seed: int, index: int) -> Array:
    """The figures compared, and log ‖hᵀ dL/dh‖ for the input h of every layer but the first."""
    run, recorders = recorded(case, engine, seed, index)
    pairs = [(each.h, each.back[1]) for each in recorders if each.back is not None]
    along = [np.log(np.linalg.norm(h.T @ gradient) / np.linalg.norm(gradient)) for h, gradient in pairs]
    return np.concatenate([*(getattr(run, name) for name in COMPARED), along])


def standardised(first: Array, second: Array) -> Array:
    """Both samples stacked and standardised; constant columns are left out."""
    both = np.concatenate([first, second])
    moving = both.std(axis=0) > 1e-9 * np.abs(both.mean(axis=0)).clip(1)
    scaled: Array = ((both - both.mean(axis=0)) / both.std(axis=0))[:, moving]
    return scaled


def largest_z(first: Array, second: Array) -> float:
    """The largest z over all means, variances and covariances of the columns."""
    scaled = standardised(first, second)
    pairs = np.triu_indices(scaled.shape[1])
    features = np.hstack([scaled, scaled[:, pairs[0]] * scaled[:, pairs[1]]])
    a, b = features[: len(first)], features[len(first) :]
    error = np.sqrt(a.var(axis=0) / len(a) + b.var(axis=0) / len(b))
    return float(np.max(np.abs(a.mean(axis=0) - b.mean(axis=0)) / error))


def farthest(first: Array, second: Array) -> float:
    """The largest D √(n/2) over all columns."""
    scaled = standardised(first, second)
    a, b = scaled[: len(first)], scaled[len(first) :]
    distances = [ks_2samp(*pair, method="asymp").statistic for pair in zip(a.T, b.T, strict=True)]
    return float(max(distances) * np.sqrt(len(a) * len(b) / (len(a) + len(b))))


def assert_alike(case: Case, networks: int, seed: int) -> None:
    deferred, dense = sample(case, "deferred", networks, seed), sample(case, "dense", networks, seed + 1)
    assert largest_z(deferred, dense) < THRESHOLD
    assert farthest(deferred, dense) < FARTHEST


QUICK = (
    "tanh",
    "sigmoid, biases",
    "batch beyond width",
    "collapsed",
    "rectangular, all",
    "orthogonal, 2B = N",
    "orthogonal, rms_norm",
    "orthogonal, all",
)
"""Cases in which every part of a network occurs; below, all have ten times as many networks."""


@pytest.mark.parametrize("name", QUICK)
def test_deferred_and_dense_have_the_same_distribution(name: str) -> None:
    assert_alike(CASES[name], NETWORKS, 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_distributions_agree_over_ten_times_as_many_networks(name: str) -> None:
    assert_alike(CASES[name], 10 * NETWORKS, 3)


def test_the_tests_have_the_power_stated() -> None:
    rng = np.random.default_rng(1)
    shifted = skewed = alarms = 0
    for _ in range(100):
        first, second = rng.standard_normal((2, NETWORKS, 17))
        alarms += largest_z(first, second) > THRESHOLD or farthest(first, second) > FARTHEST
        second[:, 3] += 0.4
        shifted += largest_z(first, second) > THRESHOLD
        # Bimodal, with the normal's mean and variance; the distribution functions differ by 0.27 at ±0.8.
        second[:, 3] = rng.choice([-1, 1], NETWORKS) * np.sqrt(0.99) + 0.1 * rng.standard_normal(NETWORKS)
        skewed += farthest(first, second) > FARTHEST
    assert shifted >= 96  # 0.99 of 100, and three standard deviations below
    assert skewed >= 96
    assert alarms <= 1


class Forgetful(DeferredGaussian):
    """A map whose backward product ignores the forward one."""

    def backward(self, delta: Batch) -> Array:
        factor = root(delta.gram)
        fresh = Stream(7, self._stream.path).generator().standard_normal((self._fan_in, len(factor)))
        return times(fresh, self._std * factor, delta.blocks)


@pytest.mark.parametrize("name", ["tanh", "relu"])
def test_an_engine_that_forgets_the_forward_product_is_detected(name: str) -> None:
    case = CASES[name]
    dense = sample(case, "dense", NETWORKS, 2)
    with patch.object(engine_module, "DeferredGaussian", Forgetful):
        forgetful = sample(case, "deferred", NETWORKS, 1)
    assert largest_z(forgetful, dense) > THRESHOLD


class Recorder:
    """A map that records its inputs and products."""

    def __init__(self, inner: LinearMap) -> None:
        self.inner = inner
        self.back: tuple[Array, Array] | None = None

    def forward(self, h: Batch) -> Array:
        self.h, self.z = h.values, self.inner.forward(h)
        return self.z.copy()

    def backward(self, delta: Batch) -> Array:
        answer = self.inner.backward(delta)
        self.back = delta.values.copy(), answer.copy()
        return answer

    def completed(self) -> Array:
        """The smallest W with W h = z and Wᵀ δ = answer: one exists only if δᵀz = answerᵀh."""
        inverse = np.linalg.pinv(self.h, rcond=1e-12)
        forward: Array = self.z @ inverse
        if self.back is None:
            return forward
        delta, answer = self.back
        outside = answer - inverse.T @ (self.h.T @ answer)
        backward: Array = np.linalg.pinv(delta, rcond=1e-12).T @ outside.T
        return forward + backward

    def isometry(self) -> Array:
        """An orthogonal W as far as the products determine it, and 0 beyond."""
        assert self.back is not None
        delta, answer = self.back
        along = np.linalg.pinv(self.z) @ delta
        rest, image = delta - self.z @ along, answer - self.h @ (np.linalg.pinv(self.h) @ answer)
        matrix: Array = self.z @ np.linalg.pinv(self.h) + (image @ np.linalg.pinv(rest)).T
        return matrix


def recorded(
    case: Case, engine: Engine = "deferred", seed: int = 5, index: int = 0
) -> tuple[Figures, list[Recorder]]:
    recorders: list[Recorder] = []
    make: Callable[..., LinearMap] = engine_module.linear_map

    def recording(*arguments: Any) -> LinearMap:
        recorders.append(Recorder(make(*arguments)))
        return recorders[-1]

    with patch.object(plain_layers, "linear_map", recording):
        figures = propagate(case.network, case.inputs, seed=seed, index=index, engine=engine)
    return figures, recorders


WIDE = (40, 40, 40, 40, 40)


@pytest.mark.parametrize(
    "case",
    [
        Case("tanh", gaussian(1.5), sizes=WIDE),
        Case("tanh", gaussian(2.0, 0.3), sizes=(30, 50, 35, 40), batch=7),
        Case("tanh", gaussian(2.0, 0.3), sizes=WIDE, correlation=1.0),
        Case("tanh", gaussian(2.0), sizes=WIDE, correlation=1 - 1e-7),
        Case("sigmoid", gaussian(1.0), sizes=WIDE),
        Case("relu", gaussian(1.5), sizes=WIDE, normalisation="layer_norm", residual=0.5),
        Case("tanh", gaussian(1.5), sizes=WIDE, normalisation="batch_norm"),
        Case("gelu", gaussian(1.5, 0.3), sizes=(30, 50, 35, 40), batch=7, normalisation="rms_norm"),
        Case("maxout", gaussian(1.2, 0.3), sizes=(30, 40, 40, 35), residual=0.5),
        Case("tanh", gaussian(1.5), sizes=(6, 5, 6, 5), batch=8),
        Case("tanh", HAAR, sizes=WIDE),
        Case("selu", HAAR, sizes=WIDE, normalisation="layer_norm"),
        Case("elu", HAAR, sizes=WIDE, normalisation="batch_norm"),
        Case("maxout", HAAR, sizes=WIDE),
        Case("tanh", HAAR, sizes=WIDE, batch=20),
        Case("relu", HAAR, sizes=WIDE, normalisation="rms_norm", residual=0.5),
    ],
    ids=str,
)
def test_the_completed_matrices_give_the_same_network(case: Case) -> None:
    figures, recorders = recorded(case)
    network = case.network
    offsets = [
        biases(network, number, Stream(5, (0, simulation._BIASES, number)), np.dtype(np.float64))
        for number in range(network.depth)
    ]
    given = given_network(
        network.call,
        GivenWeights([each.completed() for each in recorders], offsets),
        normalisation=network.normalisation,
        residual=network.residual,
    )
    replayed = propagate(given, case.inputs, seed=5)
    for name in NAMES:
        np.testing.assert_allclose(
            getattr(replayed, name), getattr(figures, name), rtol=1e-10, atol=1e-10, err_msg=name
        )


@pytest.mark.parametrize("batch", [1, 5, 20])
def test_the_completed_orthogonal_matrix_is_orthogonal(batch: int) -> None:
    _, (_, *later) = recorded(Case("tanh", HAAR, sizes=WIDE, batch=batch))
    assert later
    for recorder in later:
        singular = np.linalg.svd(recorder.isometry(), compute_uv=False)
        np.testing.assert_allclose(singular[: 2 * batch], 1.3, rtol=1e-10)
        np.testing.assert_allclose(singular[2 * batch :], 0, atol=1e-10)


def test_an_orthogonal_map_keeps_lengths_both_ways() -> None:
    rng = np.random.default_rng(0)
    h, delta = rng.standard_normal((2, 30, 6))
    blocks = Blocks(6)
    drawn = DeferredOrthogonal(30, 1.0, Stream(9))
    z = drawn.forward(Batch(h, blocks))
    np.testing.assert_allclose(z.T @ z, h.T @ h, rtol=1e-11, atol=1e-11)
    back = drawn.backward(Batch(delta, blocks))
    np.testing.assert_allclose(back.T @ back, delta.T @ delta, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(delta.T @ z, back.T @ h, rtol=1e-11, atol=1e-11)
