"""Training time against PyTorch's: an eager loop over all networks, and `vmap` over the runs.

Processor time of one thread each, measured in turns, so that other load affects all alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from app.core.training.run import Stretch
from tests.support.trainings import trainings

pytestmark = [pytest.mark.peers, pytest.mark.slow]

ACTIVATIONS = ("sigmoid", "tanh", "relu", "leaky_relu", "prelu", "elu", "maxout")
STEPS, RUNS = 100, 8
ROUNDS = 3
EAGER = 1.5
"""Least speed-up over the eager loop; 2.3 to 3.8 were measured, by processor and BLAS kernel."""


def seconds(work: Callable[[], Any]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def ours() -> Callable[[], Any]:
    jobs = [
        Stretch(training, STEPS)
        for training in trainings(activations=list(ACTIVATIONS), steps=STEPS, runs=RUNS, frames=10)
    ]
    return lambda: [job(map, lambda _: None) for job in jobs]


def parts(torch: Any, name: str) -> tuple[Any, int]:
    """PyTorch's activation, and the number of pre-activations per unit."""
    nn = torch.nn
    modules = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU, "leaky_relu": nn.LeakyReLU}
    modules |= {"prelu": nn.PReLU, "elu": nn.ELU}
    if name != "maxout":
        return modules[name], 1

    class Maxout(nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, z: Any) -> Any:
            return z.unflatten(-1, (-1, 2)).amax(dim=-1)

    return Maxout, 2


def network(torch: Any, name: str) -> Any:
    unit, pieces = parts(torch, name)
    layers: list[Any] = []
    for fan_in in (2, 16, 16):
        layers += [torch.nn.Linear(fan_in, 16 * pieces), unit()]
    return torch.nn.Sequential(*layers, torch.nn.Linear(16, 1)).double()


def eager(torch: Any, inputs: Any, targets: Any) -> Callable[[], Any]:
    def run() -> None:
        for name in ACTIVATIONS:
            for _ in range(RUNS):
                model = network(torch, name)
                rule = torch.optim.SGD(model.parameters(), lr=0.3)
                for _ in range(STEPS):
                    rule.zero_grad()
                    torch.nn.functional.binary_cross_entropy_with_logits(model(inputs), targets).backward()
                    rule.step()

    return run


def mapped(torch: Any, inputs: Any, targets: Any) -> Callable[[], Any]:
    def run() -> None:
        for name in ACTIVATIONS:
            models = [network(torch, name) for _ in range(RUNS)]
            params, _ = torch.func.stack_module_state(models)
            params = {key: value.detach() for key, value in params.items()}
            model = models[0]

            def loss(own: Any, model: Any = model) -> Any:
                outputs = torch.func.functional_call(model, own, (inputs,))
                return torch.nn.functional.binary_cross_entropy_with_logits(outputs, targets)

            gradient = torch.func.vmap(torch.func.grad(loss))
            for _ in range(STEPS):
                found = gradient(params)
                params = {key: value - 0.3 * found[key] for key, value in params.items()}

    return run


def test_as_fast_as_vmap_and_faster_than_a_loop() -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    (training,) = trainings(activations=["relu"], steps=1)
    examples = training.split.training
    inputs, targets = (torch.tensor(each.T.copy()) for each in (examples.inputs, examples.targets))
    contenders = [ours(), eager(torch, inputs, targets), mapped(torch, inputs, targets)]
    for each in contenders:
        each()  # compiles, and fills caches
    rounds = [[seconds(each) for each in contenders] for _ in range(ROUNDS)]
    times = [min(column) for column in zip(*rounds, strict=True)]
    own, loop, vmapped = times
    print(f"ours {own:.2f} s, eager {loop / own:.1f} times, vmap {vmapped / own:.1f} times")
    assert loop / own >= EAGER
    assert vmapped / own >= 1
