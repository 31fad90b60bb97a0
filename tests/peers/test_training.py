"""Training against PyTorch: same data, same start, same batches, 200 steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from app.core.training.learner import Learner
from app.core.training.run import Batches, Stretch, Training
from tests.support.trainings import trainings

pytestmark = pytest.mark.peers

STEPS = 200
RUNS = 2
AGREEMENT = 1e-10
"""Largest difference of a run's weights, relative to the largest of them."""

SGD = {"kind": "sgd", "learning_rate": 0.1}
MOMENTUM = {"kind": "sgd", "learning_rate": 0.05, "momentum": 0.9}
SLOW = {"kind": "sgd", "learning_rate": 0.01}
"""For networks that at the other rates amplify rounding errors of the first step a millionfold."""
ADAM = {"kind": "adam", "learning_rate": 0.01}
NUMBERS = {
    "inputs": np.random.default_rng(3).normal(size=(40, 3)).tolist(),
    "targets": np.random.default_rng(4).normal(size=(40, 2)).tolist(),
}
BASE = {"activations": ["tanh"], "hidden": [9, 9, 7], "steps": STEPS, "runs": RUNS, "frames": 1}

CASES: dict[str, dict[str, Any]] = {
    **{
        f"{name}-{kind}": {"activations": [name], "optimizer": rule}
        for name in ("sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus")
        for kind, rule in (("sgd", SGD), ("momentum", MOMENTUM), ("adam", ADAM))
    },
    "prelu": {"activations": ["prelu"], "optimizer": MOMENTUM},
    "prelu per unit": {
        "activations": [{"activation": "prelu", "params": {"weight": [0.25, 0.1, 0.3, 0.2, 0.5]}}],
        "hidden": [5, 5],
        "optimizer": ADAM,
    },
    "prelu normalised": {"activations": ["prelu"], "optimizer": SLOW, "normalization": "rms_norm"},
    "maxout": {"activations": ["maxout"], "optimizer": MOMENTUM},
    "maxout of three": {
        "activations": [{"activation": "maxout", "params": {"pieces": 3}}],
        "optimizer": ADAM,
    },
    "torch's own start": {"init": "torch_default", "optimizer": SGD},
    "mini batches": {"optimizer": {**MOMENTUM, "batch": 48}},
    "sample by sample": {"optimizer": {"kind": "sgd", "learning_rate": 0.02, "batch": 1}},
    "mini batches normalised": {"optimizer": {**SLOW, "batch": 64}, "normalization": "batch_norm"},
    "residual": {"residual": {"scale": 0.5}, "optimizer": SGD},
    "residual normalised": {"residual": {}, "normalization": "layer_norm", "optimizer": ADAM},
    **{name: {"normalization": name, "optimizer": SLOW} for name in ("layer_norm", "rms_norm", "batch_norm")},
    "softmax": {"data": {"kind": "blobs", "classes": 4}, "optimizer": MOMENTUM},
    "digits": {"data": {"kind": "digits"}, "hidden": [16, 16], "optimizer": {**ADAM, "batch": 200}},
    "squared on classes": {"loss": "squared", "optimizer": SLOW},
    "squared on many": {"loss": "squared", "data": {"kind": "blobs"}, "optimizer": ADAM},
    "squared on numbers": {"loss": "squared", "data": NUMBERS, "optimizer": MOMENTUM},
    "no hidden layer": {"hidden": [], "data": {"kind": "line"}, "optimizer": SGD},
}


@pytest.mark.parametrize("fields", CASES.values(), ids=CASES)
def test_the_numbers_are_pytorch_s_after_200_steps(fields: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    (training,) = trainings(**{**BASE, **fields})
    start = training.learner.start(training.seed, RUNS)
    found = Stretch(training, STEPS)(map, lambda _: None).state.values
    for run in range(RUNS):
        expected = by_pytorch(torch, training, start[run : run + 1], run)
        assert np.abs(found[run] - expected[0]).max() <= AGREEMENT * np.abs(expected).max()
        assert np.abs(expected - start[run]).max() > 0.01


def by_pytorch(torch: Any, training: Training, start: NDArray[Any], run: int) -> NDArray[Any]:
    """The run's weights after all steps, by autograd and PyTorch's own optimisers."""
    learner = training.learner
    slots = [slot for each in learner.slots for slot in (each.weights, each.biases, *each.params.values())]
    tensors = [torch.tensor(slot.of(start)[0].copy(), requires_grad=True) for slot in slots]
    rule = optimiser(torch, training, tensors)
    batches = Batches(training)
    for step in range(training.steps):
        inputs, targets = (
            torch.tensor(np.ascontiguousarray((each if each.ndim == 2 else each[run]).T))
            for each in batches.of(step)
        )
        rule.zero_grad()
        loss(torch, training, forward(torch, learner, iter(tensors), inputs), targets).backward()
        rule.step()
    values = np.empty_like(start)
    for slot, tensor in zip(slots, tensors, strict=True):
        slot.of(values)[0] = tensor.detach().numpy()
    return values


def optimiser(torch: Any, training: Training, tensors: list[Any]) -> Any:
    rule: Any = training.optimiser
    if rule.memories == 2:
        return torch.optim.Adam(tensors, lr=rule.learning_rate)
    return torch.optim.SGD(tensors, lr=rule.learning_rate, momentum=rule.momentum)


def loss(torch: Any, training: Training, outputs: Any, targets: Any) -> Any:
    functional = torch.nn.functional
    if training.loss.meets_numbers:
        return functional.mse_loss(outputs, targets)
    if training.split.training.outputs == 1:
        return functional.binary_cross_entropy_with_logits(outputs, targets)
    return functional.cross_entropy(outputs, targets.argmax(dim=1))


def forward(torch: Any, learner: Learner, tensors: Any, h: Any) -> Any:
    functional = torch.nn.functional
    normalise: dict[Any, Callable[[Any], Any]] = {
        None: lambda z: z,
        ("units", True): lambda z: functional.layer_norm(z, z.shape[1:]),
        ("units", False): lambda z: functional.rms_norm(z, z.shape[1:], eps=1e-5),
        ("batch", True): lambda z: functional.batch_norm(z, None, None, training=True),
    }
    kind = learner.normalisation
    for number, layer in enumerate(learner.layers):
        weights, biases = next(tensors), next(tensors)
        z = functional.linear(h, weights, biases)
        if number == len(learner.layers) - 1:
            return z
        z = normalise[None if kind is None else (kind.over, kind.centred)](z)
        outputs = activated(torch, learner, z, layer.pieces, [next(tensors) for _ in learner.learned])
        scale = learner.branch(number)
        h = outputs if scale is None else h + scale * outputs
    raise AssertionError


def activated(torch: Any, learner: Learner, z: Any, pieces: int, learned: list[Any]) -> Any:
    name = learner.call.activation.name
    if pieces > 1:
        return z.reshape(len(z), -1, pieces).max(dim=2).values
    if learned:
        return torch.nn.functional.prelu(z, learned[0].reshape(-1))
    return getattr(torch.nn.functional if name != "tanh" else torch, name)(z)
