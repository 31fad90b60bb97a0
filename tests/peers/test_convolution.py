"""Convolutions against PyTorch's ``Conv1d`` and ``Conv2d`` and its autograd, on the same weights."""

from __future__ import annotations

from typing import Any, Literal
from unittest.mock import patch

import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.evaluation import FLOAT64
from app.core.propagation import block_steps, simulation
from app.core.propagation.convolution_block import ConvolutionBlock
from app.core.propagation.engine import block_map, drawn_biases
from app.core.propagation.initialisers import gaussian
from app.core.propagation.linear_maps import Dense, LinearMap
from app.core.propagation.network import Network
from app.core.propagation.simulation import propagate
from app.core.propagation.streams import Stream

pytestmark = pytest.mark.peers

CHANNELS, BATCH, DEPTH, SIZE, SEED = 5, 3, 3, 6, 2


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("sigma_b", [0.0, 0.4])
@pytest.mark.parametrize("kernel", [1, 2, 3, 6])
@pytest.mark.parametrize("padding", ["circular", "zeros"])
@pytest.mark.parametrize("dimensions", [1, 2])
def test_convolutions_are_pytorch_s(
    dimensions: Literal[1, 2], padding: Literal["circular", "zeros"], kernel: int, sigma_b: float
) -> None:
    torch = pytest.importorskip("torch")
    block = ConvolutionBlock(kernel=kernel, size=SIZE, dimensions=dimensions, padding=padding)
    network = Network(
        sizes=(CHANNELS,) * (DEPTH + 1),
        call=REGISTRY.resolve("tanh"),
        weights=gaussian(1.3, sigma_b),
        block=block,
    )
    made: list[Dense] = []

    def watched(*arguments: Any) -> LinearMap:
        found = block_map(*arguments)
        assert isinstance(found, Dense)
        made.append(found)
        return found

    inputs, upstream = np.random.default_rng(1).standard_normal((2, network.features, BATCH))
    with patch.object(block_steps, "block_map", watched):
        figures = propagate(network, inputs, seed=SEED, engine="dense", upstream=upstream)

    shape = (BATCH, CHANNELS, *[SIZE] * dimensions)
    kind = torch.nn.Conv1d if dimensions == 1 else torch.nn.Conv2d
    h = torch.tensor(inputs.T.reshape(shape), requires_grad=True)
    layers, entering = [], [h]
    for number, weights in enumerate(made):
        offset = drawn_biases(
            gaussian(1.3, sigma_b),
            network.matrices[0].layer,
            Stream(SEED, (0, simulation._BIASES, number, 0)),
            FLOAT64,
        )
        layer = kind(CHANNELS, CHANNELS, kernel, padding="same", padding_mode=padding, dtype=torch.float64)
        layer.weight.data = torch.tensor(weights.weights).reshape(layer.weight.shape)
        layer.bias.data = torch.zeros(CHANNELS).double() if offset is None else torch.tensor(offset)
        h = torch.tanh(layer(h))
        h.retain_grad()
        layers.append(layer)
        entering.append(h)
    h.backward(torch.tensor(upstream.T.reshape(shape)))

    def close(found: Any, expected: Any, name: str) -> None:
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10, err_msg=name)

    rms = [float(each.grad.square().mean().sqrt().log10()) for each in entering[:-1]]
    close(figures.gradient_log10_rms, rms, "dL/dh")
    close(figures.matrices["W"], [float(each.weight.grad.norm().log10()) for each in layers], "dL/dW")
    squares = [float(each.detach().square().mean()) for each in entering[1:]]
    close(figures.activation_mean_square, squares, "h")
