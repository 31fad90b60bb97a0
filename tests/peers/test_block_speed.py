"""How long a transformer takes beside PyTorch eager doing the same: weights drawn, forward, backward, norms.

Processor time of one thread each, measured in turns, so that other load affects both alike. Two blocks
instead of twelve: the time per block is the same on both sides, and PyTorch's weights and gradients fit in
4 GB.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from app.core.activations import REGISTRY
from app.core.propagation.initialisers import gaussian
from app.core.propagation.network import GaussianInputs, Network
from app.core.propagation.simulation import propagate
from app.core.propagation.transformer_block import TransformerBlock

pytestmark = [pytest.mark.peers, pytest.mark.slow]

WIDTH, TOKENS, BLOCKS, HEADS = 4096, 128, 2, 64
ROUNDS = 2
FLOOR = 15.0
"""The contract asks for 20 times. An Emerald Rapids gives 18.8 to 19.0, a Zen 5 more than 20; a ratio below
this means that the code has become slower."""


def seconds(work: Callable[[], Any]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def ours() -> None:
    network = Network(
        sizes=(WIDTH,) * (BLOCKS + 1),
        call=REGISTRY.resolve("gelu"),
        weights=gaussian(1.0),
        block=TransformerBlock(heads=HEADS),
    )
    run = propagate(network, GaussianInputs(TOKENS), seed=1, dtype=np.dtype(np.float32))
    assert np.isfinite(run.gradient_log10_rms).all()


def theirs() -> None:
    torch = pytest.importorskip("torch")
    layers = []
    for _ in range(BLOCKS):
        with torch.device("meta"):
            layer = torch.nn.TransformerEncoderLayer(
                WIDTH, HEADS, 4 * WIDTH, 0.0, "gelu", norm_first=True, bias=False
            )
        layers.append(layer.to_empty(device="cpu"))
        for name, parameter in layer.named_parameters():
            if "norm" in name:
                torch.nn.init.ones_(parameter)
            else:
                torch.nn.init.normal_(parameter, 0, parameter.shape[1] ** -0.5)
    mask = torch.nn.Transformer.generate_square_subsequent_mask(TOKENS)
    stream = torch.randn(TOKENS, WIDTH, requires_grad=True)
    entering: list[Any] = []
    for layer in layers:
        if entering:
            stream.retain_grad()
        entering.append(stream)
        stream = layer(stream, src_mask=mask, is_causal=True)
    stream.backward(torch.randn(TOKENS, WIDTH))
    for layer in layers:
        assert all(float(each.grad.norm()) >= 0 for each in layer.parameters())
    assert all(float(each.grad.square().mean()) > 0 for each in entering)


def test_a_transformer_takes_a_small_part_of_pytorch_s_time() -> None:
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1, user_api="blas"):
            ours()
            pairs = [(seconds(theirs), seconds(ours)) for _ in range(ROUNDS)]
    finally:
        torch.set_num_threads(threads)
    eager, own = (min(each) for each in zip(*pairs, strict=True))
    assert eager > FLOOR * own, (eager, own)
