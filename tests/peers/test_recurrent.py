"""Recurrent networks against PyTorch's own cells and its autograd, on the same weights, inputs and loss."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.evaluation import FLOAT64
from app.core.propagation import recurrent_steps, simulation
from app.core.propagation.blocks import Blocks
from app.core.propagation.engine import drawn_biases
from app.core.propagation.initialisers import gaussian
from app.core.propagation.linear_maps import Dense, LinearMap
from app.core.propagation.network import GaussianInputs, Network
from app.core.propagation.recurrent_block import Cell, RecurrentBlock
from app.core.propagation.recurrent_steps import tied_map
from app.core.propagation.simulation import propagate
from app.core.propagation.streams import Stream

pytestmark = pytest.mark.peers

WIDTH, BATCH, STEPS, SEED = 20, 5, 6, 2
INPUTS = GaussianInputs(BATCH, 1.7, 0.2)


@pytest.mark.parametrize("sigma_b", [0.0, 0.4])
@pytest.mark.parametrize(
    ("cell", "activation"), [("rnn", "tanh"), ("rnn", "relu"), ("lstm", "tanh"), ("gru", "tanh")]
)
def test_recurrent_networks_are_pytorch_s(cell: Cell, activation: str, sigma_b: float) -> None:
    torch = pytest.importorskip("torch")
    made: list[Dense] = []

    def watched(*arguments: Any) -> LinearMap:
        found = tied_map(*arguments)
        assert isinstance(found, Dense)
        made.append(found)
        return found

    network = Network(
        sizes=(WIDTH,) * (STEPS + 1),
        call=REGISTRY.resolve(activation),
        weights=gaussian(1.3, sigma_b),
        block=RecurrentBlock(cell=cell, forget_bias=0.7),
    )
    upstream = np.random.default_rng(1).standard_normal((WIDTH, BATCH))
    with patch.object(recurrent_steps, "tied_map", watched):
        figures = propagate(network, INPUTS, seed=SEED, engine="dense", upstream=upstream)

    stream = Stream(SEED, (0,))
    offset = drawn_biases(
        gaussian(1.3, sigma_b), network.matrices[1].layer, stream.at(simulation._BIASES, 0), FLOAT64
    )
    bias = torch.zeros(len(made[0].weights), dtype=torch.float64) if offset is None else torch.tensor(offset)
    if cell == "lstm":
        bias[WIDTH : 2 * WIDTH] += 0.7
    kinds = {"rnn": torch.nn.RNNCell, "lstm": torch.nn.LSTMCell, "gru": torch.nn.GRUCell}
    options = {"nonlinearity": activation} if cell == "rnn" else {}
    hidden = torch.zeros(BATCH, WIDTH, dtype=torch.float64)
    memory = hidden.clone()
    cells, hiddens, memories = [], [], []
    for step in range(STEPS):
        # One module per time step, with the same weights, to get each step's share of their gradient.
        module = kinds[cell](WIDTH, WIDTH, dtype=torch.float64, **options)
        module.weight_hh.data, module.weight_ih.data = (torch.tensor(each.weights) for each in made)
        module.bias_ih.data, module.bias_hh.data = bias, torch.zeros_like(bias)
        x = INPUTS.draw(WIDTH, stream.at(simulation._INPUTS, step), Blocks(BATCH), FLOAT64)
        if cell == "lstm":
            hidden, memory = module(torch.tensor(x.T), (hidden, memory))
            memory.retain_grad()
        else:
            hidden = module(torch.tensor(x.T), hidden)
        hidden.retain_grad()
        cells.append(module)
        hiddens.append(hidden)
        memories.append(memory)
    hidden.backward(torch.tensor(upstream.T))

    def rms(states: list[Any]) -> list[float]:
        return [float(each.grad.square().mean().sqrt().log10()) for each in states]

    def close(found: Any, expected: Any, name: str) -> None:
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10, err_msg=name)

    close(figures.gradient_log10_rms, rms(hiddens), "dL/dh")
    if cell == "lstm":
        close(figures.own["cell_gradient_log10_rms"], rms(memories), "dL/dc")
    close(figures.activation_mean, [float(each.detach().mean()) for each in hiddens], "h")
    for weight, letter in (("weight_hh", "h"), ("weight_ih", "i")):
        names = [name for name in figures.matrices if name.startswith(f"W_{letter}")]
        for place, name in enumerate(names):
            gates = [getattr(each, weight).grad.chunk(len(names))[place] for each in cells]
            close(figures.matrices[name], [float(each.norm().log10()) for each in gates], name)
    together = [
        sum(float(each.grad.square().sum()) for each in (module.weight_hh, module.weight_ih))
        for module in cells
    ]
    close(figures.weight_gradient_log10_norm, np.log10(together) / 2, "all")
