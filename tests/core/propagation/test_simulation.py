"""The pass itself: determinism, memory, ranges, collapse, cancellation, bad input."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.activations.definition import Elementwise
from app.core.errors import InvalidValue, UnknownName
from app.core.propagation.blocks import Blocks
from app.core.propagation.given import GivenWeights
from app.core.propagation.initialisers import INITIALISERS, gaussian, initialiser
from app.core.propagation.network import GaussianInputs, Network, given_network
from app.core.propagation.normalisation import NORMALISATIONS, Normalisation
from app.core.propagation.simulation import propagate
from app.core.propagation.statistics import NAMES, Figures, spread, summarise
from app.core.propagation.streams import Stream

FLOAT32 = np.dtype(np.float32)
FLOAT64 = np.dtype(np.float64)


def network(
    activation: str = "tanh",
    *,
    sizes: tuple[int, ...] = (40,) * 7,
    init: str = "xavier_normal",
    **options: Any,
) -> Network:
    return Network(
        sizes=sizes,
        call=REGISTRY.resolve(activation, options.pop("params", None)),
        weights=options.pop("weights", INITIALISERS[init]),
        **options,
    )


def assert_same(first: Figures, second: Figures) -> None:
    for name in NAMES:
        assert getattr(first, name).tobytes() == getattr(second, name).tobytes(), name


VARIANTS = {
    "deferred": (network(), "deferred"),
    "dense": (network(init="he_uniform"), "dense"),
    "orthogonal": (network(init="orthogonal"), "deferred"),
    "dense orthogonal": (network(init="orthogonal"), "dense"),
    "everything": (
        network("relu", weights=gaussian(1.5, 0.3), normalisation=NORMALISATIONS["layer_norm"], residual=0.5),
        "auto",
    ),
    "batch_norm": (network("relu", normalisation=NORMALISATIONS["batch_norm"]), "auto"),
}
variants = pytest.mark.parametrize(("net", "engine"), VARIANTS.values(), ids=VARIANTS)


@variants
def test_a_network_is_a_function_of_seed_and_index(net: Network, engine: Any) -> None:
    def run(seed: int, index: int) -> Figures:
        return propagate(net, GaussianInputs(8), seed=seed, index=index, engine=engine)

    run(3, 1)  # what ran before does not matter
    assert_same(run(3, 4), run(3, 4))
    assert run(3, 4).log10_ratio != run(3, 5).log10_ratio
    assert run(3, 4).log10_ratio != run(4, 4).log10_ratio


@variants
def test_the_bytes_do_not_depend_on_the_tape(net: Network, engine: Any) -> None:
    whole = propagate(net, GaussianInputs(8), seed=1, engine=engine)
    for tape in (0.0, 1e5):
        assert_same(whole, propagate(net, GaussianInputs(8), seed=1, engine=engine, tape=tape))


@pytest.mark.parametrize("dtype", [FLOAT64, FLOAT32])
def test_the_bytes_do_not_depend_on_how_the_blocks_are_shared(dtype: np.dtype[Any]) -> None:
    # 5,000 units × 32 inputs are several blocks; the pool finishes them in any order, a list backwards.
    net = network(sizes=(300, 5000, 5000, 300), weights=gaussian(1.5, 0.1))
    serial = propagate(net, GaussianInputs(32), seed=1, dtype=dtype)

    def backwards(work: Callable[[slice], None], blocks: Iterable[slice]) -> Iterable[None]:
        return map(work, reversed(list(blocks)))

    with ThreadPoolExecutor(3) as pool:
        for map_blocks in (pool.map, backwards):
            assert_same(
                serial, propagate(net, GaussianInputs(32), seed=1, dtype=dtype, map_blocks=map_blocks)
            )


@pytest.mark.parametrize("init", ["xavier_normal", "orthogonal"])
def test_deferred_weights_agree_in_single_and_double_precision(init: str) -> None:
    # The random numbers differ between the dtypes, so the two agree as two networks of width 400 do.
    net = network(sizes=(400,) * 21, init=init)
    single, double = (
        propagate(net, GaussianInputs(16), seed=2, dtype=dtype, engine="deferred")
        for dtype in (FLOAT32, FLOAT64)
    )
    np.testing.assert_allclose(single.gradient_log10_rms, double.gradient_log10_rms, atol=0.15)
    np.testing.assert_allclose(single.preactivation_variance, double.preactivation_variance, rtol=0.4)


@pytest.mark.parametrize("normalisation", [None, *NORMALISATIONS.values()])
def test_single_precision_keeps_five_digits(normalisation: Normalisation | None) -> None:
    rng = np.random.default_rng(4)
    matrices = rng.standard_normal((8, 60, 60)) / 8
    net = given_network(
        REGISTRY.resolve("tanh"),
        GivenWeights(list(matrices), [None] * 8),
        normalisation=normalisation,
        residual=0.5,
    )
    x = rng.standard_normal((60, 16))
    single, double = (propagate(net, x, seed=0, dtype=dtype) for dtype in (FLOAT32, FLOAT64))
    for name in ("preactivation_variance", "activation_mean_square", "correlation"):
        np.testing.assert_allclose(getattr(single, name), getattr(double, name), rtol=1e-5, atol=1e-6)


def test_ten_thousand_layers_of_sigmoid_keep_their_gradient_as_a_logarithm() -> None:
    # At unit weights a layer multiplies the gradient by E σ′² ^½ ≤ 1/4: at least 6,020 decades; and the
    # pre-activations stay so small that it is hardly less than 0.2.
    net = network("sigmoid", sizes=(64,) * 10_001)
    run = propagate(net, GaussianInputs(4), seed=0, dtype=FLOAT32)
    assert -12_000 < run.log10_ratio < -6_000
    assert np.isfinite(run.gradient_log10_rms).all()
    assert np.isfinite(run.weight_gradient_log10_norm).all()
    assert run.factor_per_layer == pytest.approx(10 ** (run.log10_ratio / 9999), rel=1e-12)


@pytest.mark.parametrize("engine", ["dense", "deferred"])
@pytest.mark.parametrize("dtype", [FLOAT64, FLOAT32])
def test_a_signal_that_overflows_is_a_finding(engine: Any, dtype: np.dtype[Any]) -> None:
    net = network("relu", sizes=(30,) * 801, weights=gaussian(10.0))
    run = propagate(net, GaussianInputs(4), seed=0, engine=engine, dtype=dtype)
    # A layer multiplies the mean square by 50 on average: 10^38 is passed about layer 45, 10^308 about 363.
    assert run.overflow is not None
    assert {FLOAT32: 38, FLOAT64: 330}[dtype] < run.overflow < {FLOAT32: 55, FLOAT64: 400}[dtype]
    assert (run.activation_mean_square[run.overflow - 1 :] == np.inf).all()
    assert (run.preactivation_variance[run.overflow :] == np.inf).all()
    assert np.isfinite(run.activation_mean[: run.overflow - 1]).all()
    assert np.isnan(run.correlation[run.overflow :]).all()
    assert np.isnan(run.gradient_log10_rms).all()


@pytest.mark.parametrize("engine", ["dense", "deferred"])
def test_a_signal_beyond_the_square_root_of_the_range_is_still_followed(engine: Any) -> None:
    # Linear layers of gain 1e-10 pass 1e-160, where squares underflow, at layer 16.
    net = network("linear", sizes=(50,) * 26, weights=gaussian(1e-10))
    run = propagate(net, GaussianInputs(3), seed=0, engine=engine)
    layers = np.arange(25)
    np.testing.assert_allclose(run.gradient_log10_rms, -10.0 * layers[::-1], atol=1.0)
    # dL/dW = δ hᵀ: the gradient's decades and the signal's add up to the same everywhere.
    np.testing.assert_allclose(run.weight_gradient_log10_norm, run.weight_gradient_log10_norm[0], atol=1.0)
    assert (np.abs(run.correlation) < 0.9).all()


def dead_by_bias() -> Network:
    matrices = np.random.default_rng(0).standard_normal((3, 20, 20)) / 5
    return given_network(REGISTRY.resolve("relu"), GivenWeights(list(matrices), [np.full(20, -100.0)] * 3))


def dead_by_weights() -> Network:
    """Weights of zero, deferred: every batch after the first has rank zero."""
    return network("relu", sizes=(20,) * 4, weights=gaussian(0.0))


@pytest.mark.parametrize("make", [dead_by_bias, dead_by_weights])
@pytest.mark.parametrize("dtype", [FLOAT64, FLOAT32])
def test_a_dead_network_has_a_gradient_of_exactly_zero(
    make: Callable[[], Network], dtype: np.dtype[Any]
) -> None:
    run = propagate(make(), GaussianInputs(4), seed=0, dtype=dtype)
    assert (run.gradient_log10_rms == -np.inf).all()
    assert (run.weight_gradient_log10_norm == -np.inf).all()
    assert (run.dead_fraction == 1).all()
    assert (run.activation_mean_square == 0).all()


@pytest.mark.parametrize("batch", [2, 7, 32])
@pytest.mark.parametrize("init", ["orthogonal", "gaussian"])
@pytest.mark.parametrize("dtype", [FLOAT64, FLOAT32])
def test_identical_inputs_stay_identical_even_in_chaos(batch: int, init: str, dtype: np.dtype[Any]) -> None:
    # σ_w = 3 is deep in the chaotic phase of tanh: a difference in the last bit would be of order one after
    # some 60 layers.
    weights = initialiser("orthogonal") if init == "orthogonal" else gaussian(3.0, 0.1)
    net = network("tanh", sizes=(80,) * 201, weights=weights)
    inputs = GaussianInputs(batch, correlation=1.0)
    run = propagate(net, inputs, seed=0, engine="deferred", dtype=dtype)
    eps = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(run.correlation, 1.0, atol=16 * eps)
    assert np.isfinite(run.gradient_log10_rms).all()


def test_inputs_that_differ_in_the_twelfth_digit_separate_in_chaos() -> None:
    net = network("tanh", sizes=(200,) * 101, weights=gaussian(3.0, 0.1))
    run = propagate(net, GaussianInputs(4, correlation=1 - 1e-12), seed=0, engine="deferred")
    assert run.correlation[0] > 1 - 1e-11
    assert run.correlation[-1] < 0.5


@pytest.mark.parametrize("correlation", [-0.2, 0.0, 0.6, 1.0])
def test_gaussian_inputs_have_the_covariance_asked_for(correlation: float) -> None:
    inputs = GaussianInputs(6, variance=2.0, correlation=correlation)
    x = inputs.draw(100_000, Stream(1), Blocks(6), FLOAT64)
    expected = 2.0 * ((1 - correlation) * np.eye(6) + correlation)
    # The standard error of an entry is at most 2 √(2/100,000).
    np.testing.assert_allclose(x.T @ x / len(x), expected, atol=4.5 * 2 * math.sqrt(2e-5))


def test_progress_counts_every_step_and_can_stop_the_run() -> None:
    seen: list[tuple[int, int]] = []
    net = network(sizes=(10,) * 8)
    propagate(net, GaussianInputs(4), seed=0, progress=lambda *step: seen.append(step))
    assert seen == [(step, 14) for step in range(14)]
    seen.clear()
    propagate(net, GaussianInputs(4), seed=0, tape=0.0, progress=lambda *step: seen.append(step))
    assert [done for done, _ in seen] == list(range(seen[0][1]))

    class Stop(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done == total // 2:
            raise Stop

    with pytest.raises(Stop):
        propagate(net, GaussianInputs(4), seed=0, progress=stop)


ELEMENTWISE = [entry for entry in REGISTRY.values() if isinstance(entry, Elementwise)]


@pytest.mark.parametrize("entry", ELEMENTWISE, ids=lambda entry: entry.name)
@pytest.mark.parametrize("dtype", [FLOAT64, FLOAT32])
def test_every_elementwise_activation_runs(entry: Elementwise, dtype: np.dtype[Any]) -> None:
    net = network(entry.name, sizes=(50,) * 6, weights=gaussian(0.3, 0.1))
    run = propagate(net, GaussianInputs(8), seed=0, dtype=dtype)
    assert run.overflow is None
    for name in ("preactivation_variance", "activation_mean", "activation_mean_square", "correlation"):
        assert np.isfinite(getattr(run, name)).all()
    for name in ("saturated_fraction", "dead_fraction"):
        assert ((getattr(run, name) >= 0) & (getattr(run, name) <= 1)).all()
    assert not np.isnan(run.gradient_log10_rms).any()


def test_saturation_is_counted_from_the_slope_and_the_sides() -> None:
    # One layer of identity weights: the pre-activations are the inputs.
    z = np.array([[-8.0, -3.6, 0.0, 3.6, 3.8, 8.0]])

    def saturated(activation: str) -> float:
        net = given_network(REGISTRY.resolve(activation), GivenWeights([np.eye(1)], [None]))
        return float(propagate(net, z, seed=0).saturated_fraction[0] * z.size)

    assert saturated("sigmoid") == 3  # σ′ = 1/40 at ±3.6368…
    assert saturated("tanh") == 5
    assert saturated("relu") == 2  # the negative side, to which 0 does not belong
    assert saturated("leaky_relu") == 0


def test_a_slope_for_each_unit_is_taken_unit_by_unit() -> None:
    rng = np.random.default_rng(1)
    slopes = rng.uniform(0, 1, 12)
    matrix, x = rng.standard_normal((12, 5)), rng.standard_normal((5, 3))
    net = given_network(REGISTRY.resolve("prelu", {"weight": slopes}), GivenWeights([matrix], [None]))
    run = propagate(net, x, seed=0)
    z = matrix @ x
    assert run.activation_mean[0] == pytest.approx(np.where(z > 0, z, slopes[:, None] * z).mean(), rel=1e-12)
    with pytest.raises(InvalidValue, match="each unit"):
        given_network(REGISTRY.resolve("prelu", {"weight": slopes[:5]}), GivenWeights([matrix], [None]))


def test_residual_branches_only_where_the_sizes_agree() -> None:
    rng = np.random.default_rng(2)
    matrices = [rng.standard_normal((4, 4)), rng.standard_normal((6, 4))]
    x = rng.standard_normal((4, 3))
    run = propagate(
        given_network(REGISTRY.resolve("tanh"), GivenWeights(matrices, [None, None]), residual=0.5), x, seed=0
    )
    first = x + 0.5 * np.tanh(matrices[0] @ x)
    second = np.tanh(matrices[1] @ first)
    means = [np.mean(first), np.mean(second)]
    np.testing.assert_allclose(run.activation_mean, means, rtol=1e-12)


def test_percentiles_over_networks() -> None:
    values = np.arange(21.0)[:, None] * [1.0, -1.0]
    np.testing.assert_allclose(spread(values).median, [10, -10])
    np.testing.assert_allclose(spread(values).low, [1, -19])
    np.testing.assert_allclose(spread(values).high, [19, -1])
    dead = spread(np.array([-np.inf, -3.0, -2.0, -1.0]))
    assert (float(dead.low), float(dead.median)) == (-np.inf, -2.5)
    assert float(dead.high) == pytest.approx(-1.15)
    assert np.array_equal(spread(np.array([1.0, np.nan, 3.0])), spread(np.array([1.0, 3.0])))
    assert np.isnan(spread(np.array([np.nan, np.nan]))).all()
    opposite = spread(np.array([-np.inf, np.inf]))
    assert (float(opposite.low), float(opposite.high)) == (-np.inf, np.inf)
    assert not np.isnan(float(opposite.median))


def test_the_summary_has_every_figure_of_every_layer() -> None:
    runs = [propagate(network(), GaussianInputs(4), seed=0, index=index) for index in range(3)]
    summary = summarise(runs)
    assert tuple(summary) == NAMES
    for name, each in summary.items():
        middle = np.median([getattr(run, name) for run in runs], axis=0)
        np.testing.assert_allclose(each.median, middle)
        assert (each.low <= each.median).all()
        assert (each.median <= each.high).all()


@pytest.mark.parametrize("dtype", [FLOAT64, FLOAT32])
@pytest.mark.parametrize("exponent", [-900, 0, 900])
def test_the_backward_pass_is_linear_in_the_loss_gradient(dtype: np.dtype[Any], exponent: int) -> None:
    """The array that would be drawn, times a power of two beyond float32: only the logarithm moves."""
    net = network()
    drawn = Stream(7, (0,)).at(3).normals(40, Blocks(4, map), dtype)
    upstream = np.ldexp(drawn.astype(np.float64), exponent)
    plain = propagate(net, GaussianInputs(4), seed=7, dtype=dtype)
    scaled = propagate(net, GaussianInputs(4), seed=7, dtype=dtype, upstream=upstream)
    for name in ("gradient_log10_rms", "weight_gradient_log10_norm"):
        shift = getattr(scaled, name) - getattr(plain, name)
        np.testing.assert_allclose(shift, exponent * math.log10(2), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "make",
    [
        lambda: network(sizes=(4,)),
        lambda: network(sizes=(4, 0, 4)),
        lambda: propagate(network(), np.zeros((3, 2)), seed=0),
        lambda: propagate(network(), np.zeros(()), seed=0),
        lambda: propagate(network(), np.zeros((40, 0)), seed=0),
        lambda: propagate(network(), np.full((40, 2), np.nan), seed=0),
        lambda: propagate(network(), GaussianInputs(4), seed=0, dtype=np.dtype(np.float16)),
        lambda: propagate(network(init="he_uniform"), GaussianInputs(4), seed=0, engine="deferred"),
        lambda: propagate(network(init="orthogonal"), GaussianInputs(21), seed=0, engine="deferred"),
        lambda: propagate(network(normalisation=NORMALISATIONS["batch_norm"]), GaussianInputs(1), seed=0),
        lambda: GaussianInputs(0),
        lambda: GaussianInputs(4, variance=-1.0),
        lambda: GaussianInputs(4, correlation=-0.5),
        lambda: GaussianInputs(4, correlation=float("nan")),
        lambda: GivenWeights([], []),
        lambda: GivenWeights([np.zeros(3)], [None]),
        lambda: GivenWeights([np.zeros((3, 2))], [np.zeros(2)]),
        lambda: GivenWeights([np.zeros((3, 2))], []),
        lambda: GivenWeights([np.full((3, 2), np.nan)], [None]),
        lambda: given_network(
            REGISTRY.resolve("tanh"), GivenWeights([np.zeros((3, 2)), np.zeros((3, 2))], [None, None])
        ),
    ],
)
def test_what_does_not_fit_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(InvalidValue):
        make()


def test_an_unknown_engine_is_refused() -> None:
    unknown: Any = "fast"
    with pytest.raises(UnknownName):
        propagate(network(), GaussianInputs(4), seed=0, engine=unknown)
