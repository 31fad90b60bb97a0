"""Recurrent networks: both engines have one distribution, and are the same network for the same matrices.

The two-sample tests are those of `test_exactness`, with its thresholds and their stated power.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.arithmetic import Array
from app.core.errors import InvalidValue
from app.core.evaluation import FLOAT64
from app.core.propagation import recurrent_steps
from app.core.propagation.blocks import Blocks
from app.core.propagation.engine import Engine, cost, engines
from app.core.propagation.initialisers import Initialiser, Orthogonal, gaussian, initialiser
from app.core.propagation.linear_maps import Dense, LinearMap
from app.core.propagation.network import GaussianInputs, Network
from app.core.propagation.normalisation import NORMALISATIONS
from app.core.propagation.recurrent_block import Cell, RecurrentBlock
from app.core.propagation.recurrent_steps import tied_map
from app.core.propagation.simulation import propagate
from app.core.propagation.statistics import Figures
from app.core.propagation.tall import Batch
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

    cell: Cell
    activation: str = "tanh"
    weights: Initialiser = gaussian(1.5)  # noqa: RUF009  frozen
    width: int = 12
    steps: int = 4
    batch: int = 2
    forget_bias: float = 1.0
    layers: int = 1
    bidirectional: bool = False
    inputs: GaussianInputs | None = None

    @property
    def network(self) -> Network:
        return Network(
            sizes=(self.width,) * (self.steps + 1),
            call=REGISTRY.resolve(self.activation),
            weights=self.weights,
            block=RecurrentBlock(
                cell=self.cell,
                layers=self.layers,
                bidirectional=self.bidirectional,
                forget_bias=self.forget_bias,
            ),
        )

    def figures(self, engine: Engine = "auto", seed: int = 1, index: int = 0, **options: Any) -> Figures:
        inputs = self.inputs or GaussianInputs(self.batch)
        return propagate(self.network, inputs, seed=seed, index=index, engine=engine, **options)


CASES = {
    "rnn": Case("rnn"),
    "rnn, kinks and biases": Case("rnn", "leaky_relu", gaussian(1.2, 0.3)),
    "lstm": Case("lstm"),
    "lstm, biases": Case("lstm", "gelu", gaussian(1.5, 0.3), forget_bias=-0.5, steps=3),
    "gru": Case("gru", weights=gaussian(2.0, 0.3)),
    "more columns than units": Case("rnn", width=6, steps=5),
    "lstm, more columns than units": Case("lstm", width=5),
    "rnn, two layers": Case("rnn", layers=2, width=8),
    "lstm, three layers": Case("lstm", layers=3, weights=gaussian(1.5, 0.3), steps=3),
    "gru, two layers": Case("gru", layers=2, weights=gaussian(2.0, 0.3)),
    "rnn, both ways": Case("rnn", "leaky_relu", gaussian(1.2, 0.3), bidirectional=True),
    "lstm, both ways, two layers": Case("lstm", layers=2, bidirectional=True, steps=3),
    "gru, both ways, two layers": Case(
        "gru", weights=gaussian(2.0, 0.3), layers=2, bidirectional=True, width=8
    ),
    "inputs alike": Case("gru", inputs=GaussianInputs(3, 2.0, 1.0)),
}


class TiedRecorder:
    """A map with tied weights that records all its inputs and products, and combines them in a `Recorder`."""

    def __init__(self, inner: LinearMap) -> None:
        self.inner = inner
        self.forwards: list[tuple[Array, Array]] = []
        self.backwards: list[tuple[Array, Array]] = []

    def forward(self, h: Batch) -> Array:
        self.forwards.append((h.values.copy(), self.inner.forward(h)))
        return self.forwards[-1][1].copy()

    def backward(self, delta: Batch) -> Array:
        self.backwards.append((delta.values.copy(), self.inner.backward(delta)))
        return self.backwards[-1][1].copy()

    def completed(self) -> Array:
        recorder = Recorder(self.inner)
        recorder.h, recorder.z = (np.hstack(each) for each in zip(*self.forwards, strict=True))
        if self.backwards:
            # Normalised: the directions differ by many orders of magnitude.
            sizes = np.concatenate([np.linalg.norm(delta, axis=0) for delta, _ in self.backwards])
            delta, answer = (np.hstack(each) / sizes for each in zip(*self.backwards, strict=True))
            recorder.back = delta, answer
        return recorder.completed()

    @property
    def along(self) -> list[float]:
        """log ‖hᵀ dL/dh‖ for each input h and its gradient in the backward pass."""
        pairs = zip(reversed(self.forwards), self.backwards, strict=False)
        return [
            float(np.log(np.linalg.norm(h.T @ answer) / np.linalg.norm(answer)))
            for (h, _), (_, answer) in pairs
        ]


def recorded(case: Case, engine: Engine, seed: int, index: int = 0) -> tuple[Figures, list[TiedRecorder]]:
    recorders: list[TiedRecorder] = []

    def recording(*arguments: Any) -> LinearMap:
        recorders.append(TiedRecorder(tied_map(*arguments)))
        return recorders[-1]

    with patch.object(recurrent_steps, "tied_map", recording):
        return case.figures(engine, seed, index), recorders


def statistics(case: Case, engine: Engine, seed: int, index: int) -> Array:
    figures, (state, *_) = recorded(case, engine, seed, index)
    columns = [*(getattr(figures, name) for name in COMPARED), *figures.own.values()]
    # h and c are 0 at first, and so is what that step adds to some gradients.
    columns += [each[1:] for each in figures.matrices.values()]
    return np.concatenate([*columns, state.along])


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
@pytest.mark.parametrize("width", [None, 48])
def test_the_completed_matrices_give_the_same_network(name: str, width: int | None) -> None:
    case = Case(**{**vars(CASES[name]), "width": width or CASES[name].width})
    figures, recorders = recorded(case, "deferred", 5)
    matrices = iter([each.completed() for each in recorders])

    def completed(*arguments: Any) -> LinearMap:
        return Dense(next(matrices), arguments[5].blocks)

    with patch.object(recurrent_steps, "tied_map", completed):
        replayed = case.figures("dense", 5)
    assert next(matrices, None) is None
    for (figure, one), (_, other) in zip(own(replayed), own(figures), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10, err_msg=figure)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("engine", ["dense", "deferred"])
@pytest.mark.parametrize("dtype", [FLOAT64, FLOAT32])
def test_the_bytes_do_not_depend_on_the_tape(name: str, engine: Engine, dtype: np.dtype[Any]) -> None:
    assert_same(*(CASES[name].figures(engine, dtype=dtype, tape=tape) for tape in (1e9, 0.0)))


@pytest.mark.parametrize(
    ("cell", "engine"),
    [
        ("lstm", "deferred"),
        ("rnn", "dense"),
        pytest.param("rnn", "deferred", marks=pytest.mark.slow),
        pytest.param("lstm", "dense", marks=pytest.mark.slow),
        pytest.param("gru", "dense", marks=pytest.mark.slow),
        pytest.param("gru", "deferred", marks=pytest.mark.slow),
    ],
)
def test_the_bytes_do_not_depend_on_how_the_blocks_are_shared(cell: Cell, engine: Engine) -> None:
    case = Case(cell, width=400, batch=128, steps=2)

    def backwards(work: Any, blocks: Any) -> Any:
        return map(work, reversed(list(blocks)))

    assert_same(*(case.figures(engine, dtype=FLOAT32, map_blocks=each) for each in (map, backwards)))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["dense", "deferred"])
def test_the_published_median_of_an_rnn(engine: Engine) -> None:
    """PyTorch's over 200 networks; ours is over 800, so half as uncertain."""
    case = Case("rnn", weights=gaussian(0.9), width=64, steps=30, batch=4)
    ratios = [case.figures(engine, 3, index).log10_ratio for index in range(800)]
    assert abs(np.median(ratios) + 6.49) < 3 * 0.02 * math.sqrt(1 + 1 / 4)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["dense", "deferred"])
def test_the_published_median_of_an_lstm(engine: Engine) -> None:
    """The same for dL/dc; the batch was not published, and is taken to be the rnn's."""
    case = Case("lstm", weights=gaussian(1.0), width=64, steps=60, batch=4, forget_bias=0.0)
    ratios = []
    for index in range(800):
        gradient = case.figures(engine, 3, index).own["cell_gradient_log10_rms"]
        ratios.append(gradient[0] - gradient[-1])
    assert abs(np.median(ratios) + 11.60) < 3 * 0.03 * math.sqrt(1 + 1 / 4)


@pytest.mark.parametrize("engine", ["dense", "deferred"])
@pytest.mark.parametrize("dtype", [FLOAT64, FLOAT32])
@pytest.mark.parametrize("bias", [1.0, -20.0])
def test_without_weights_a_cell_passes_on_what_its_forget_gate_lets_through(
    engine: Engine, dtype: np.dtype[Any], bias: float
) -> None:
    """dL/dc_t = σ(forget_bias) dL/dc_{t+1}, over a thousand decades as well."""
    run = Case("lstm", forget_bias=bias, weights=gaussian(0.0), steps=120).figures(engine, dtype=dtype)
    steps = np.diff(run.own["cell_gradient_log10_rms"])
    np.testing.assert_allclose(steps, np.log10(1 + np.exp(-bias)), rtol=1e-5 if dtype == FLOAT32 else 1e-11)
    assert (run.gradient_log10_rms[:-1] == -math.inf).all()


def test_a_signal_that_overflows_is_a_finding() -> None:
    for cell in ("rnn", "gru", "lstm"):
        run = Case(cell, "linear", gaussian(1e3), steps=400).figures("dense", dtype=FLOAT32)
        assert run.overflow is not None or cell == "gru"


@pytest.mark.parametrize("name", ["orthogonal", "torch_default", "he_normal"])
def test_initialisations(name: str) -> None:
    run = Case("lstm", weights=initialiser(name)).figures()
    assert np.isfinite(run.gradient_log10_rms).all()


def test_orthogonal_weights_are_orthogonal_gate_by_gate() -> None:
    _, (state, inputs) = recorded(Case("gru", weights=Initialiser(Orthogonal())), "dense", 1)
    for recorder in (state, inputs):
        matrix = recorder.inner.forward(Batch(np.eye(12), Blocks(12)))
        for gate in np.split(matrix, 3):
            np.testing.assert_allclose(gate.T @ gate, np.eye(12), atol=1e-12)


@pytest.mark.parametrize(
    "fields",
    [
        {"sizes": (8, 8, 9)},
        {"residual": 0.5},
        {"normalisation": NORMALISATIONS["layer_norm"]},
        {"call": REGISTRY.resolve("swiglu")},
    ],
)
def test_what_does_not_fit_is_refused(fields: dict[str, Any]) -> None:
    plain = vars(Case("lstm", width=8, steps=2).network)
    names = ("sizes", "call", "weights", "block")
    with pytest.raises(InvalidValue):
        Network(**{**{name: plain[name] for name in names}, **fields})


def test_inputs_are_of_all_times() -> None:
    with pytest.raises(InvalidValue, match="48 features"):
        propagate(Case("rnn").network, np.ones((12, 2)), seed=0)


def test_orthogonal_weights_are_not_deferred() -> None:
    network = Case("rnn", weights=initialiser("orthogonal")).network
    assert engines(network, 2, "auto") == ("dense", "dense")
    with pytest.raises(InvalidValue):
        engines(network, 2, "deferred")


def test_a_wide_network_is_deferred_at_less_cost() -> None:
    network = Case("lstm", width=16_384, steps=50).network
    assert engines(network, 32, "auto") == ("deferred", "deferred")
    deferred = cost(network, 32, ("deferred", "deferred"), 4, 2.0**31)
    dense = cost(network, 32, ("dense", "dense"), 4, 2.0**31)
    assert deferred.bytes < 4 * 2**30 < 8 * 2**30 < dense.bytes
    assert deferred.work < dense.work / 2


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_the_figures_of_a_step_are_over_all_its_layers(cell: Cell) -> None:
    """At the first step there is no previous state: the layers are a stack of cells."""
    one, two = (Case(cell, steps=1, layers=layers).figures("dense") for layers in (1, 2))
    assert list(two.matrices) == [*one.matrices, *(f"{name}_l1" for name in one.matrices)]
    assert one.preactivation_variance[0] != two.preactivation_variance[0]
    candidate = {"rnn": "W_ih", "lstm": "W_ig", "gru": "W_in"}[cell]
    assert two.matrices[candidate][0] > -math.inf < two.matrices[f"{candidate}_l1"][0]


def test_a_stack_costs_what_its_layers_do() -> None:
    """The inputs of all but the first layer have a backward pass as well."""
    one, four = (Case("gru", width=64, steps=10, layers=layers).network for layers in (1, 4))
    single, piled = (cost(each, 8, engines(each, 8, "dense"), 8, 2.0**31) for each in (one, four))
    assert 4 * single.work < piled.work < 5 * single.work
    assert 3 * single.bytes < piled.bytes < 5 * single.bytes


@pytest.mark.parametrize("engine", ["dense", "deferred"])
@pytest.mark.parametrize("dtype", [FLOAT64, FLOAT32])
def test_both_ways_over_a_thousand_decades(engine: Engine, dtype: np.dtype[Any]) -> None:
    """The two directions of one layer meet nowhere; above them, what comes late comes from far and near."""
    both, one = (
        Case("lstm", forget_bias=-20.0, weights=gaussian(0.0), steps=120, bidirectional=bidirectional)
        for bidirectional in (True, False)
    )
    here, there = (each.figures(engine, dtype=dtype).own["cell_gradient_log10_rms"] for each in (both, one))
    np.testing.assert_allclose(np.diff(here), np.diff(there), rtol=1e-5 if dtype == FLOAT32 else 1e-11)
    assert here[0] < -1000
    stacked = Case("rnn", weights=gaussian(1e-6), steps=150, layers=2, bidirectional=True)
    run = stacked.figures(engine, dtype=dtype)
    assert np.isfinite(run.gradient_log10_rms).all()
    # Each layer but the last step's costs a factor of about 1e-6, and the lower one is read at all times.
    assert run.gradient_log10_rms[0] - run.gradient_log10_rms[-1] < -5


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_either_direction_by_itself_is_a_network_of_one(cell: Cell) -> None:
    """The second one reads the times turned round."""
    rng = np.random.default_rng(3)
    times, upstream = rng.standard_normal((4, 12, 3)), rng.standard_normal((24, 3))
    made: list[Array] = []

    def recording(*arguments: Any) -> LinearMap:
        found = tied_map(*arguments)
        assert isinstance(found, Dense)
        made.append(found.weights)
        return found

    both, one = (Case(cell, bidirectional=each).network for each in (True, False))
    with patch.object(recurrent_steps, "tied_map", recording):
        whole = propagate(both, times.reshape(48, 3), seed=0, engine="dense", upstream=upstream)
    alone = {"": (times, upstream[:12]), "_reverse": (times[::-1], upstream[12:])}
    squares = []
    for end, (inputs, gradient) in alone.items():
        weights = iter(made[2:] if end else made[:2])

        def given(*arguments: Any, weights: Iterator[Array] = weights) -> LinearMap:
            return Dense(next(weights), arguments[5].blocks)

        with patch.object(recurrent_steps, "tied_map", given):
            single = propagate(one, inputs.reshape(48, 3), seed=0, engine="dense", upstream=gradient)
        for name, column in single.matrices.items():
            np.testing.assert_allclose(whole.matrices[f"{name}{end}"], column, rtol=0, atol=1e-12)
        squares.append(10 ** (2 * single.gradient_log10_rms))
    rms = np.log10(np.mean(squares, axis=0)) / 2
    np.testing.assert_allclose(whole.gradient_log10_rms, rms, rtol=0, atol=1e-12)
