"""Data sets: what they promise, and the digits compared with scikit-learn's copy and its networks."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from app.core.errors import InvalidValue, UnknownName
from app.core.training import data
from app.core.training.data import Split, drawn
from app.core.training.run import Stretch
from tests.support.trainings import seen, trainings


def test_the_digits_are_scikit_learn_s() -> None:
    found = load_digits()
    images, labels = data.digits()
    pixels = found.data.T
    np.testing.assert_array_equal(labels, found.target)
    np.testing.assert_allclose(images, (pixels - pixels.mean()) / pixels.std(), rtol=1e-12)


@pytest.mark.parametrize("kind", data.KINDS)
def test_a_data_set_depends_on_its_seed_and_has_the_size_asked_for(kind: str) -> None:
    one, again, other = (drawn(kind, seed, count=90, held_out=0.2) for seed in (5, 5, 6))
    assert np.array_equal(one.training.inputs, again.training.inputs)
    assert not np.array_equal(one.training.inputs, other.training.inputs)
    assert one.held_out is not None
    assert (one.training.count, one.held_out.count) == (72, 18)
    features, outputs, _ = data.shape(kind, data.BLOBS)
    assert (one.training.features, one.training.outputs) == (features, outputs)
    assert np.isin(one.training.targets, (0, 1)).all()
    if outputs > 1:
        assert (one.training.targets.sum(axis=0) == 1).all()


def clean(kind: str) -> Split:
    return drawn(kind, 1, count=400, noise=0.0)


def test_shapes_without_noise() -> None:
    inputs, targets = clean("rings").training.inputs, clean("rings").training.targets[0]
    np.testing.assert_allclose(np.hypot(*inputs), np.where(targets, 1.0, 0.5), rtol=1e-12)
    inputs, targets = clean("xor").training.inputs, clean("xor").training.targets[0]
    assert np.array_equal(inputs[0] * inputs[1] > 0, targets == 1)
    inputs, targets = clean("line").training.inputs, clean("line").training.targets[0]
    assert np.array_equal(inputs[0] > 0, targets == 1)
    inputs, targets = clean("moons").training.inputs, clean("moons").training.targets[0]
    centres = np.where(targets, 0.25, -0.25), np.where(targets, 0.125, -0.125)
    np.testing.assert_allclose(np.hypot(inputs[0] - centres[0], inputs[1] - centres[1]), 0.5, rtol=1e-12)
    inputs, targets = clean("spirals").training.inputs, clean("spirals").training.targets[0]
    radius = np.hypot(*inputs)
    turned = np.arctan2(inputs[1], inputs[0]) - 3.5 * np.pi * (radius - 0.1) / 0.9 - np.pi * targets
    np.testing.assert_allclose(np.cos(turned), 1.0, rtol=1e-9)


def test_classes_are_balanced() -> None:
    for kind, classes in (("rings", 2), ("moons", 2), ("spirals", 2), ("xor", 2), ("blobs", 5)):
        targets = drawn(kind, 0, count=101, classes=classes).training.targets
        counts = targets.sum(axis=1) if len(targets) > 1 else [targets.sum(), 101 - targets.sum()]
        assert max(counts) - min(counts) <= 1


def test_what_is_refused() -> None:
    with pytest.raises(UnknownName, match="did you mean spirals"):
        drawn("spiral", 0)
    with pytest.raises(InvalidValue, match="1797"):
        drawn("digits", 0, count=1798)
    with pytest.raises(InvalidValue, match="examples to train on"):
        drawn("rings", 0, count=1, held_out=0.9)


EPOCHS, BATCH, SEEDS = 30, 200, 8


@pytest.mark.slow
@pytest.mark.parametrize(("activation", "theirs"), [("relu", "relu"), ("tanh", "tanh")])
def test_digits_are_learned_as_well_as_by_scikit_learn(activation: str, theirs: str) -> None:
    """On the held-out fifth, eight seeds each: the means differ by less than three of their standard errors.

    Were both the same, they would differ by more once in 300 times.
    """
    optimizer = {"kind": "adam", "learning_rate": 1e-3, "batch": BATCH}
    (training,) = trainings(
        activations=[activation],
        data={"kind": "digits"},
        hidden=[64, 64, 64],
        init="xavier_uniform",
        optimizer=optimizer,
        steps=EPOCHS * -(-1438 // BATCH),
        frames=1,
        runs=SEEDS,
    )
    examples, held_out = training.split
    assert held_out is not None
    assert examples.count == 1438
    state = Stretch(training, training.steps)(map, lambda _: None).state
    ours = seen(training, state.values).held_out_accuracy
    other = np.array([scikit_learn(theirs, seed, training.split) for seed in range(SEEDS)])
    error = np.sqrt((ours.var(ddof=1) + other.var(ddof=1)) / SEEDS)
    assert min(ours.min(), other.min()) > 0.9
    assert abs(ours.mean() - other.mean()) < 3 * error, (ours, other)


def scikit_learn(activation: str, seed: int, split: Split) -> float:
    """The held-out accuracy of `MLPClassifier` with the same settings."""
    examples, held_out = split
    assert held_out is not None
    network = MLPClassifier(
        (64, 64, 64),
        activation=activation,
        alpha=0.0,
        batch_size=BATCH,
        max_iter=EPOCHS,
        tol=0.0,
        n_iter_no_change=EPOCHS,
        random_state=seed,
    )
    with pytest.warns(match="Maximum iterations"):
        network.fit(examples.inputs.T, examples.targets.argmax(axis=0))
    return float(network.score(held_out.inputs.T, held_out.targets.argmax(axis=0)))
