"""A network trained on handwritten digits: the service's gradients, layer by layer, are PyTorch's."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from tests.conftest import Server
from tests.test_readme import NETWORKS

pytestmark = pytest.mark.peers

SEED = 5
BATCH = 64
UNITS = (64, 48, 32, 24, 10)


@pytest.fixture(scope="module")
def digits() -> tuple[Any, Any]:
    """1,797 standardised images of 64 pixels, and their classes."""
    torch = pytest.importorskip("torch")
    found = load_digits()
    pixels = (found.data - found.data.mean()) / found.data.std()
    return torch.tensor(pixels), torch.tensor(found.target)


@pytest.fixture(scope="module")
def model(digits: tuple[Any, Any]) -> Any:
    """Four tanh layers, trained to an accuracy of at least 95 %."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    layers = [
        module
        for fan_in, units in pairwise(UNITS)
        for module in (torch.nn.Linear(fan_in, units, dtype=torch.float64), torch.nn.Tanh())
    ]
    network = torch.nn.Sequential(*layers)
    images, classes = digits
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(80):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(5 * network(images), classes).backward()
        optimiser.step()
    assert (network(images).argmax(dim=1) == classes).double().mean() > 0.95
    return network


def safetensors(model: Any) -> bytes:
    exported: bytes = pytest.importorskip("safetensors.torch").save(model.state_dict())
    return exported


def archive(model: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **{name: each.numpy() for name, each in model.state_dict().items()})
    return stream.getvalue()


def diagnosed(server: Server, weights: bytes, images: Any, **fields: Any) -> dict[str, Any]:
    request = {"activation": "tanh", "inputs": images.tolist(), "seed": SEED, **fields}
    files = {
        "request": ("request.json", json.dumps(request).encode(), "application/json"),
        "weights": ("weights", weights, "application/octet-stream"),
    }
    answer = httpx.post(f"{server.url}/gradient-flow", files=files, timeout=60)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def loss_gradient() -> NDArray[np.float64]:
    """dL/dh of the last layer's outputs, units × inputs, by the expression in the documentation."""
    (expression,) = re.findall(r"`(np\.random\.Generator\(.*\))`", NETWORKS)
    names = {"np": np, "seed": SEED, "i": 0, "units": UNITS[-1], "batch": BATCH}
    drawn: NDArray[np.float64] = eval(expression, names)
    return drawn


def autograd(model: Any, images: Any, loss: Callable[[Any], Any]) -> dict[str, list[float]]:
    """The service's figures, from PyTorch's own forward and backward pass."""
    model.zero_grad()
    h, signals = images, []
    for linear, activation in zip(model[::2], model[1::2], strict=True):
        z = linear(h)
        z.retain_grad()
        h = activation(z)
        signals.append((linear, z, h))
    loss(h).backward()
    return {
        "gradient_log10_rms": [z.grad.square().mean().sqrt().log10().item() for _, z, _ in signals],
        "weight_gradient_log10_norm": [linear.weight.grad.norm().log10().item() for linear, _, _ in signals],
        "preactivation_variance": [z.var(unbiased=False).item() for _, z, _ in signals],
        "activation_mean_square": [h.square().mean().item() for _, _, h in signals],
    }


@pytest.mark.parametrize("export", [safetensors, archive])
def test_its_gradients_are_autograd_s(
    server: Server, model: Any, digits: tuple[Any, Any], export: Any
) -> None:
    images = digits[0][:BATCH]
    report = diagnosed(server, export(model), images)
    shapes = [(each["fan_in"], each["fan_out"]) for each in report["layers"]]
    assert shapes == list(pairwise(UNITS))
    upstream = pytest.importorskip("torch").tensor(loss_gradient().T)
    assert_same(report, autograd(model, images, lambda outputs: (outputs * upstream).sum()))


def test_with_its_own_loss_too(server: Server, model: Any, digits: tuple[Any, Any]) -> None:
    """The cross entropy that it was trained on: its dL/d(outputs) is sent along."""
    torch = pytest.importorskip("torch")
    images, classes = (each[:BATCH] for each in digits)

    def loss(outputs: Any) -> Any:
        return torch.nn.functional.cross_entropy(5 * outputs, classes)

    outputs = model(images).detach().requires_grad_()
    (upstream,) = torch.autograd.grad(loss(outputs), outputs)
    report = diagnosed(server, safetensors(model), images, upstream=upstream.tolist())
    assert_same(report, autograd(model, images, loss))


def assert_same(report: dict[str, Any], figures: dict[str, list[float]]) -> None:
    for name, expected in figures.items():
        reported = [layer[name]["median"] for layer in report["layers"]]
        np.testing.assert_allclose(reported, expected, rtol=1e-10, atol=1e-10, err_msg=name)


def test_both_formats_give_the_same_report(server: Server, model: Any, digits: tuple[Any, Any]) -> None:
    images = digits[0][:BATCH]
    reports = [diagnosed(server, export(model), images) for export in (safetensors, archive)]
    assert reports[0] == reports[1]
