"""A small transformer trained on handwritten digits: the service's gradients are autograd's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import httpx
import numpy as np
import pytest
from sklearn.datasets import load_digits

from tests.conftest import Server
from tests.support.sent import form

pytestmark = [pytest.mark.peers, pytest.mark.slow]

WIDTH, HEADS, BLOCKS = 32, 4, 3
PATCH = 2
TOKENS = (8 // PATCH) ** 2
STEPS, BATCH = 150, 64


def patches(images: Any) -> Any:
    """8 × 8 pixels as 16 tokens of 2 × 2."""
    squares = images.reshape(-1, 8 // PATCH, PATCH, 8 // PATCH, PATCH).transpose(2, 3)
    return squares.reshape(-1, TOKENS, PATCH * PATCH)


class Trained(NamedTuple):
    """The model, and images and classes that it was not trained on."""

    model: Any
    images: Any
    classes: Any


@pytest.fixture(scope="module")
def trained() -> Iterator[Trained]:
    """The model, trained on one thread: threads that wait for each other are slow on a busy machine."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield fitted()
    torch.set_num_threads(threads)


def fitted() -> Trained:
    """An embedding with positions, three pre-norm encoder layers and a head; a few seconds of Adam."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    found = load_digits()
    pixels = torch.tensor((found.data - found.data.mean()) / found.data.std(), dtype=torch.float32)
    images, classes = patches(pixels), torch.tensor(found.target)

    class Model(torch.nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Linear(PATCH * PATCH, WIDTH)
            self.positions = torch.nn.Parameter(0.5 * torch.randn(TOKENS, WIDTH))
            layer = torch.nn.TransformerEncoderLayer(
                WIDTH, HEADS, 2 * WIDTH, 0.0, "gelu", batch_first=True, norm_first=True
            )
            self.encoder = torch.nn.TransformerEncoder(layer, BLOCKS, enable_nested_tensor=False)
            self.norm = torch.nn.LayerNorm(WIDTH)
            self.head = torch.nn.Linear(WIDTH, 10)

        def embedded(self, images: Any) -> Any:
            return self.embedding(images) + self.positions

        def read(self, stream: Any) -> Any:
            return self.head(self.norm(stream).mean(dim=-2))

        def forward(self, images: Any) -> Any:
            return self.read(self.encoder(self.embedded(images)))

    model = Model()
    order = torch.randperm(len(images))
    training, others = order[:1500], order[1500:]
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    for step in range(STEPS):
        chosen = training[torch.randint(len(training), (BATCH,))]
        for group in optimiser.param_groups:
            group["lr"] = 3e-3 * (1 - step / STEPS)
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(images[chosen]), classes[chosen]).backward()
        optimiser.step()
    model.double()
    images = images.double()
    with torch.no_grad():
        right = (model(images[others]).argmax(dim=1) == classes[others]).double().mean()
    assert right > 0.9
    return Trained(model, images[others], classes[others])


@pytest.mark.parametrize("number", [0, 1])
def test_its_gradients_are_autograd_s(server: Server, trained: Trained, number: int) -> None:
    """One image is one sequence; the loss is the cross entropy that the model was trained on."""
    torch = pytest.importorskip("torch")
    model, image, label = trained.model, trained.images[number], trained.classes[number]
    model.zero_grad()
    entering, stream = [], model.embedded(image)
    for layer in model.encoder.layers:
        stream.retain_grad()
        entering.append(stream)
        stream = layer(stream[None])[0]
    stream.retain_grad()
    torch.nn.functional.cross_entropy(model.read(stream)[None], label[None]).backward()

    block = {"kind": "transformer", "heads": HEADS, "causal": False}
    request = {"activation": "gelu", "block": block, "inputs": entering[0].tolist()}
    state = {name: each.detach().contiguous() for name, each in model.state_dict().items()}
    sent = pytest.importorskip("safetensors.torch").save(state)
    post = partial(httpx.post, f"{server.url}/gradient-flow", timeout=60)
    reply = post(**form(sent, {**request, "upstream": stream.grad.tolist()}))
    assert reply.status_code == 200, reply.text
    answer = json.loads(reply.text)

    rms = [float(each.grad.square().mean().sqrt().log10()) for each in entering]
    reported = [layer["gradient_log10_rms"]["median"] for layer in answer["layers"]]
    np.testing.assert_allclose(reported, rms, rtol=0, atol=1e-10)
    for layer, own in zip(answer["layers"], model.encoder.layers, strict=True):
        query, key, value = own.self_attn.in_proj_weight.grad.split(WIDTH)
        rest = own.self_attn.out_proj, own.linear1, own.linear2
        norms = [
            float(each.norm().log10()) for each in (query, key, value, *(each.weight.grad for each in rest))
        ]
        reported = [each["weight_gradient_log10_norm"]["median"] for each in layer["matrices"]]
        np.testing.assert_allclose(reported, norms, rtol=0, atol=1e-10)
    left_out = {
        "embedding.weight",
        "embedding.bias",
        "positions",
        "norm.weight",
        "norm.bias",
        "head.weight",
        "head.bias",
    }
    assert set(answer["weights"]["left_out"]) == left_out
