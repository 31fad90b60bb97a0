"""Training as a whole: results depend on the request alone, and agree with theory where there is one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from app.core.activations import REGISTRY
from app.core.activations.definition import Elementwise
from app.core.propagation.given import GivenWeights
from app.core.propagation.initialisers import INITIALISERS
from app.core.training import run
from app.core.training.data import Examples, Split
from app.core.training.learner import Learner
from app.core.training.losses import LOSSES
from app.core.training.optimisers import SGD
from app.core.training.run import State, Stretch, Training
from tests.support.trainings import seen, trained, trainings

SMALL = {"hidden": [6, 5], "steps": 30, "runs": 3, "frames": 6, "watch": {"weights": [[0, 0, 0]]}}
KINDS: dict[str, dict[str, Any]] = {
    "plain": {"activations": ["tanh"]},
    "learned": {"activations": ["prelu"], "normalization": "layer_norm"},
    "pieces": {"activations": ["maxout"], "optimizer": {"kind": "adam", "learning_rate": 0.01, "batch": 50}},
    "batches": {
        "activations": ["elu"],
        "normalization": "batch_norm",
        "residual": {},
        "optimizer": {"learning_rate": 0.1, "momentum": 0.9, "batch": 60},
    },
    "digits": {"activations": ["relu"], "data": {"kind": "digits", "count": 100, "held_out": 0.3}},
    "formula": {
        "activations": [
            {
                "activation": "formula:x * sigmoid(beta * x) + c * sin(x)",
                "params": {"beta": 1.0, "c": 0.1},
                "learn": ["beta", "c"],
            }
        ]
    },
}


def finished(training: Training, stretches: int = 1) -> State:
    state = None
    for part in range(1, stretches + 1):
        state = Stretch(training, training.steps * part // stretches, state)(map, lambda _: None).state
    assert state is not None
    return state


def same(one: State, other: State, runs: int) -> bool:
    return all(
        np.array_equal(first[:runs], second[:runs])
        for first, second in (
            (one.values, other.values),
            (one.path, other.path),
            (one.turns, other.turns),
            (one.reached.T, other.reached.T),
            (one.update, other.update),
        )
    )


@pytest.mark.parametrize("fields", KINDS.values(), ids=KINDS)
def test_a_run_does_not_depend_on_other_runs_or_on_stretches(
    fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (three,) = trainings(**{**SMALL, **fields})
    (one,) = trainings(**{**SMALL, **fields, "runs": 1})
    whole = finished(three)
    assert same(whole, finished(three, stretches=7), 3)
    assert same(whole, finished(one), 1)
    monkeypatch.setattr(run, "CACHE", 1)  # every run by itself
    assert same(whole, finished(three), 3)


def test_a_stretch_leaves_its_state_as_it_was() -> None:
    (training,) = trainings(**SMALL, activations=["tanh"])
    half = Stretch(training, 15)(map, lambda _: None).state
    first, second = (Stretch(training, 30, half)(map, lambda _: None).state for _ in range(2))
    assert same(first, second, 3)
    assert half.step == 15


def test_frames_do_not_change_what_is_learned() -> None:
    few, many = (trained(**{**SMALL, "frames": frames}, activations=["relu"])[0][0] for frames in (1, 30))
    assert few.last.whole["loss"] == many.last.whole["loss"]


def test_activations_start_from_the_same_numbers_and_see_the_same_data() -> None:
    first, second = trainings(**SMALL, activations=["tanh", "prelu"])
    assert np.array_equal(first.split.training.inputs, second.split.training.inputs)
    for one, other in zip(first.learner.slots, second.learner.slots, strict=True):
        ours = one.weights.of(first.learner.start(0, 3))
        assert np.array_equal(ours, other.weights.of(second.learner.start(0, 3)))


@pytest.mark.parametrize(
    "entry",
    [
        entry
        for entry in REGISTRY.values()
        if isinstance(entry, Elementwise)
        and entry.smoothness >= 1
        and all(each.default is not None for each in entry.parameters)
    ],
    ids=lambda entry: entry.name,
)
def test_the_gradient_is_the_slope_of_the_loss(entry: Elementwise) -> None:
    """By central differences along a random direction, learnable parameters included."""
    agrees({"activation": entry.name, "learn": [each.name for each in entry.parameters if each.learnable]})


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("x * sigmoid(beta * x)", {"beta": 0.7}),
        ("a * x / (1 + sqrt(1 + b * x**2))", {"a": 1.5, "b": 0.3}),
        ("x * tanh(softplus(c * x)) - c", {"c": [0.5, 1.0, 1.5, 0.2, 0.9]}),
        ("(1 - t) * tanh(x) + t * gelu(x)", {"t": 0.25}),
        ("x**2 * (2 - abs(x)) * k if abs(x) <= 1 else k * abs(x)", {"k": 0.8}),
    ],
)
def test_the_gradient_of_a_formula_s_parameters_is_the_slope_of_the_loss(
    text: str, params: dict[str, Any]
) -> None:
    agrees({"activation": f"formula:{text}", "params": params, "learn": list(params)}, hidden=[5, 5])


def agrees(activation: dict[str, Any], **fields: Any) -> None:
    """The gradient is the slope that the loss has along a random direction, by central differences."""
    (training,) = trainings(activations=[activation], **{**SMALL, "normalization": "layer_norm", **fields})
    learner, examples = training.learner, training.split.training
    values = learner.start(0, 1)
    direction = np.random.default_rng(0).normal(size=values.shape)

    def loss(at: NDArray[Any]) -> float:
        return float(training.loss(learner.forward(at, examples.inputs).outputs, examples.targets).loss[0])

    passed = learner.forward(values, examples.inputs)
    upstream = training.loss(passed.outputs, examples.targets).gradient
    slope = float((learner.backward(values, passed, upstream).values * direction).sum())
    step = 1e-7
    difference = (loss(values + step * direction) - loss(values - step * direction)) / (2 * step)
    assert slope == pytest.approx(difference, rel=1e-5, abs=1e-7)


TWINS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    **{
        name: ({"activation": name}, {"activation": f"formula:{text}"})
        for name, text in {
            "tanh": "(exp(x) - exp(-x)) / (exp(x) + exp(-x))",
            "relu": "max(0, x)",
            "gelu": "0.5 * x * (1 + erf(x / sqrt(2)))",
            "silu": "x / (1 + exp(-x))",
            "selu": "1.0507009873554804934 * (x if x > 0 else 1.6732632423543772848 * (exp(x) - 1))",
            "softplus": "log(1 + exp(x))",
        }.items()
    },
    "one slope": (
        {"activation": "prelu"},
        {"activation": "formula:x if x > 0 else a * x", "params": {"a": 0.25}},
    ),
    "a slope for each unit": (
        {"activation": "prelu", "params": {"weight": [0.25, 0.1, 0.3, 0.2, 0.5, 0.4]}},
        {"activation": "formula:x if x > 0 else a * x", "params": {"a": [0.25, 0.1, 0.3, 0.2, 0.5, 0.4]}},
    ),
    "swish": (
        {"activation": "swish", "params": {"beta": 1.5}, "learn": ["beta"]},
        {"activation": "formula:x * sigmoid(a * x)", "params": {"a": 1.5}},
    ),
    "an entry inside": ({"activation": "mish"}, {"activation": "formula:mish(x)"}),
}


@pytest.mark.parametrize(
    "optimizer",
    [{"learning_rate": 0.03, "momentum": 0.9}, {"kind": "adam", "learning_rate": 0.01, "batch": 64}],
)
@pytest.mark.parametrize(("entry", "formula"), TWINS.values(), ids=TWINS)
def test_a_formula_learns_what_its_entry_does(
    entry: dict[str, Any], formula: dict[str, Any], optimizer: dict[str, Any]
) -> None:
    """Weights, biases and learned parameters alike, after 200 steps, to 1e-10."""
    if formula.get("params"):
        formula = {**formula, "learn": ["a"]}
    fields = {"hidden": [6, 6], "steps": 200, "runs": 2, "frames": 1, "optimizer": optimizer}
    own, typed = trainings(activations=[entry, formula], **fields)
    assert typed.learner.numbers == own.learner.numbers
    expected, found = finished(own).values, finished(typed).values
    assert np.abs(found - expected).max() <= 1e-10 * np.abs(expected).max()
    assert np.abs(expected - own.learner.start(0, 2)).max() > 0.1


MODE, SMALL_START, RATE = 2.0, 0.01, 0.01


def saxe(rate: float, time: float) -> float:
    """The strength of a mode that a linear network of two layers has reached at ``time``.

    The network starts balanced and aligned with the data's modes, whose inputs are white: Saxe, McClelland
    and Ganguli 2013, arXiv:1312.6120, equation 8.
    """
    inputs = np.array([[1, 1, -1, -1], [1, -1, 1, -1]], np.float64)
    examples = Examples(inputs, MODE * inputs, None)
    start = np.sqrt(SMALL_START) * np.eye(2)
    learner = Learner(
        sizes=(2, 2, 2),
        call=REGISTRY.resolve("linear"),
        weights=GivenWeights((start, start), (None, None)),
        head=INITIALISERS["lecun_normal"],
    )
    # The mean over two outputs halves the gradient of Σ (z − t)², whose own is twice that of Saxe's ½ Σ.
    training = Training(
        learner=learner,
        split=Split(examples, None),
        loss=LOSSES["squared"],
        optimiser=SGD(rate),
        steps=round(time / rate),
        runs=1,
        seed=0,
    )
    values = finished(training).values
    first, second = (slots.weights.of(values)[0] for slots in learner.slots)
    strengths = np.diag(second @ first)
    assert np.ptp(strengths) < 1e-12
    return float(strengths[0])


def test_a_deep_linear_network_follows_saxe_s_closed_form() -> None:
    """Gradient descent follows gradient flow with an error of first order in the step size."""
    for time in (0.5, 1.0, 1.5):
        growth = np.exp(2 * MODE * time)
        exact = MODE * growth / (growth - 1 + MODE / SMALL_START)
        coarse, fine = (abs(saxe(rate, time) - exact) / exact for rate in (RATE, RATE / 4))
        assert fine < 0.02
        assert coarse / fine == pytest.approx(4, rel=0.1)


def test_logistic_regression_is_its_maximum_likelihood() -> None:
    for seed in range(8):
        (training,) = trainings(
            activations=["tanh"],
            hidden=[],
            data={"kind": "line", "noise": 0.3, "count": 400},
            optimizer={"learning_rate": 8.0, "momentum": 0.9},
            steps=600,
            runs=1,
            frames=1,
            seed=seed,
        )
        (slots,) = training.learner.slots
        values = finished(training).values
        examples = training.split.training
        best = LogisticRegression(C=np.inf, tol=1e-12, max_iter=1000)
        best.fit(examples.inputs.T, examples.targets[0])
        assert slots.weights.of(values)[0, 0, 0] == pytest.approx(best.coef_[0, 0], rel=1e-6)
        assert slots.biases.of(values)[0, 0] == pytest.approx(best.intercept_[0], rel=1e-6, abs=1e-6)


def test_a_run_that_diverges_leaves_the_others_as_they_were() -> None:
    """Half of the runs start where the first step blows up."""
    (training,) = trainings(**SMALL, activations=["relu"], optimizer={"learning_rate": 3.0})
    calm = finished(training)
    start = Stretch(training, 1)(map, lambda _: None).state
    start.values[1] = 1e200
    state = Stretch(training, 30, start)(map, lambda _: None).state
    assert state.diverged.tolist() == [-1, 1, -1]
    assert np.array_equal(state.values[[0, 2]], calm.values[[0, 2]])


def test_the_watched_path_is_the_sum_of_its_steps() -> None:
    _, frames = trained(
        **{**SMALL, "frames": 30, "watch": {"weights": [[0, 0, 0], [1, 2, 3]]}}, activations=["tanh"]
    )
    places = np.stack([each.weights for (each,) in frames])
    steps = np.diff(places, axis=0)
    (training,) = trainings(
        **{**SMALL, "frames": 1, "watch": {"weights": [[0, 0, 0], [1, 2, 3]]}}, activations=["tanh"]
    )
    state = finished(training)
    np.testing.assert_allclose(state.path, np.linalg.norm(steps, axis=2).sum(axis=0), rtol=1e-9)
    turns = (steps[1:] * steps[:-1] < 0).sum(axis=0)
    np.testing.assert_array_equal(state.turns, turns)


def test_sign_agreement_by_hand() -> None:
    """With batches of one example from each example's own gradient, with full batches from their sum."""
    (training,) = trainings(**{**SMALL, "runs": 1, "data": {"count": 9}}, activations=["tanh"])
    learner, examples = training.learner, training.split.training
    values = learner.start(0, 1)
    layers = seen(training, values).layers
    shares = np.zeros((9, 3))
    for place in range(9):
        each = examples.take(np.array([place]))
        passed = learner.forward(values, each.inputs)
        upstream = training.loss(passed.outputs, each.targets).gradient
        gradient = learner.backward(values, passed, upstream).values
        for number, slots in enumerate(learner.slots):
            rows = slots.weights.of(gradient)[0]
            most = np.maximum((rows > 0).sum(axis=1), (rows < 0).sum(axis=1))
            shares[place, number] = np.mean(most / rows.shape[1])
    np.testing.assert_allclose(layers["sign_agreement_sample"][0], shares.mean(axis=0), rtol=1e-12)
