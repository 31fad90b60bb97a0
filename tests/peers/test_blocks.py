"""Blocks against PyTorch: its own layers and its autograd, on the same weights, inputs and loss gradient."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.arithmetic import Array
from app.core.propagation import block_steps
from app.core.propagation.block import Block
from app.core.propagation.engine import block_map
from app.core.propagation.initialisers import gaussian
from app.core.propagation.linear_maps import Dense, LinearMap
from app.core.propagation.network import Network
from app.core.propagation.normalisation import EPSILON, NORMALISATIONS
from app.core.propagation.residual_block import ResidualBlock
from app.core.propagation.simulation import propagate
from app.core.propagation.statistics import Figures
from app.core.propagation.transformer_block import TransformerBlock

pytestmark = pytest.mark.peers

WIDTH, TOKENS, DEPTH = 24, 7, 3


def simulated(
    block: Block, activation: str, norm: str | None = None
) -> tuple[Figures, list[Array], Any, Any]:
    """Figures, the matrices block by block in the order of its names, inputs and loss gradient."""
    made: list[Array] = []

    def watched(*arguments: Any) -> LinearMap:
        found = block_map(*arguments)
        assert isinstance(found, Dense)
        made.extend(np.split(found.weights, len(arguments[1].names)))
        return found

    rng = np.random.default_rng(1)
    inputs, upstream = rng.standard_normal((2, WIDTH, TOKENS))
    network = Network(
        sizes=(WIDTH,) * (DEPTH + 1),
        call=REGISTRY.resolve(activation),
        weights=gaussian(1.3),
        normalisation=NORMALISATIONS[norm] if norm else None,
        block=block,
    )
    with patch.object(block_steps, "block_map", watched):
        figures = propagate(network, inputs, seed=2, engine="dense", upstream=upstream)
    return figures, made, inputs, upstream


def assert_gradients(figures: Figures, entering: list[Any], weights: list[list[Any]]) -> None:
    """dL/dh entering each block, and each matrix's own."""
    rms = [float(h.grad.square().mean().sqrt().log10()) for h in entering]
    np.testing.assert_allclose(figures.gradient_log10_rms, rms, rtol=0, atol=1e-10)
    for place, name in enumerate(figures.matrices):
        norms = [float(each[place].grad.norm().log10()) for each in weights]
        np.testing.assert_allclose(figures.matrices[name], norms, rtol=0, atol=1e-10, err_msg=name)


def followed(x: Any, blocks: list[Any], upstream: Array) -> list[Any]:
    """The streams that enter the blocks, with their gradients."""
    torch = pytest.importorskip("torch")
    entering = []
    for block in blocks:
        x.requires_grad_() if x.is_leaf else x.retain_grad()
        entering.append(x)
        x = block(x)
    x.backward(torch.tensor(upstream.T))
    return entering


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_transformer_blocks_are_pytorch_s_encoder_layers(causal: bool, norm: Any, activation: str) -> None:
    torch = pytest.importorskip("torch")
    block = TransformerBlock(heads=4, mlp_ratio=2, norm=norm, causal=causal)
    figures, made, inputs, upstream = simulated(block, activation)
    mask = torch.nn.Transformer.generate_square_subsequent_mask(TOKENS, dtype=torch.float64)
    layers, weights = [], []
    for number in range(DEPTH):
        layer = torch.nn.TransformerEncoderLayer(
            WIDTH, 4, 2 * WIDTH, 0.0, activation, norm_first=norm == "pre", bias=False, dtype=torch.float64
        )
        query, key, value, output, inner, outer = made[6 * number : 6 * (number + 1)]
        layer.self_attn.in_proj_weight.data = torch.tensor(np.concatenate([query, key, value]))
        layer.self_attn.out_proj.weight.data = torch.tensor(output)
        layer.linear1.weight.data = torch.tensor(inner)
        layer.linear2.weight.data = torch.tensor(outer)
        layers.append(layer)
    entering = followed(
        torch.tensor(inputs.T),
        [lambda x, layer=each: layer(x, src_mask=mask if causal else None) for each in layers],
        upstream,
    )
    for layer in layers:
        stacked = layer.self_attn.in_proj_weight.grad.split(WIDTH)
        own = [layer.self_attn.out_proj.weight, layer.linear1.weight, layer.linear2.weight]
        weights.append([*(_Held(each) for each in stacked), *own])
    assert_gradients(figures, entering, weights)
    correlations = [*(_cosine(h) for h in entering[1:])]
    np.testing.assert_allclose(figures.correlation[:-1], correlations, rtol=0, atol=1e-10)


class _Held:
    """A part of a tensor's gradient, as if it were a tensor's own."""

    def __init__(self, grad: Any) -> None:
        self.grad = grad


def _cosine(h: Any) -> float:
    """Mean over pairs of tokens."""
    unit = h.detach() / h.detach().norm(dim=1, keepdim=True)
    count = len(unit)
    return float(((unit @ unit.T).sum() - count) / (count * (count - 1)))


BLOCKS: list[tuple[Block, str, str | None]] = [
    (ResidualBlock(), "relu", None),
    (ResidualBlock(norm="post", skip=0.6, branch="depth_scaled"), "gelu", "rms_norm"),
    (ResidualBlock(norm=None, matrices=1, branch=0.5), "tanh", None),
    (ResidualBlock(matrices=1), "swiglu", "rms_norm"),
    (ResidualBlock(), "swiglu", None),
    (TransformerBlock(heads=3, mlp_ratio=1.5, branch="depth_scaled"), "swiglu", "rms_norm"),
    (TransformerBlock(heads=2, norm=None, branch=0.3, causal=False), "geglu", None),
]


@pytest.mark.parametrize(("block", "activation", "norm"), BLOCKS, ids=str)
def test_blocks_are_what_their_formulas_say(block: Any, activation: str, norm: str | None) -> None:
    torch = pytest.importorskip("torch")
    figures, made, inputs, upstream = simulated(block, activation, norm)
    tensors = [torch.tensor(each, requires_grad=True) for each in made]
    count = len(figures.matrices)
    weights = [tensors[count * number : count * (number + 1)] for number in range(DEPTH)]

    def phi(z: Any) -> Any:
        functional = torch.nn.functional
        gates = {"swiglu": functional.silu, "geglu": functional.gelu}
        plain = {"relu": functional.relu, "gelu": functional.gelu, "tanh": torch.tanh}
        return gates[activation](z[:, ::2]) * z[:, 1::2] if activation in gates else plain[activation](z)

    def normed(h: Any) -> Any:
        if norm == "rms_norm":
            return h / (h.square().mean(dim=1, keepdim=True) + EPSILON).sqrt()
        return torch.nn.functional.layer_norm(h, (WIDTH,), eps=EPSILON)

    def around(h: Any, branch: Any, scale: float) -> Any:
        skip = getattr(block, "skip", 1.0)
        total = skip * h + scale * branch(normed(h) if block.norm == "pre" else h)
        return normed(total) if block.norm == "post" else total

    def scale(branches: int) -> float:
        return float(branches**-0.5 if block.branch == "depth_scaled" else block.branch)

    def attended(u: Any, query: Any, key: Any, value: Any, output: Any) -> Any:
        heads = [
            (u @ each.T).reshape(TOKENS, block.heads, -1).transpose(0, 1) for each in (query, key, value)
        ]
        found = torch.nn.functional.scaled_dot_product_attention(*heads, is_causal=block.causal)
        return found.transpose(0, 1).reshape(TOKENS, WIDTH) @ output.T

    def residual(h: Any, first: Any, second: Any = None) -> Any:
        def branch(u: Any) -> Any:
            return phi(u @ first.T) if second is None else phi(u @ first.T) @ second.T

        return around(h, branch, scale(DEPTH))

    def transformer(h: Any, *given: Any) -> Any:
        h = around(h, lambda u: attended(u, *given[:4]), scale(2 * DEPTH))
        return around(h, lambda u: phi(u @ given[4].T) @ given[5].T, scale(2 * DEPTH))

    kind = residual if isinstance(block, ResidualBlock) else transformer
    blocks = [lambda h, own=own: kind(h, *own) for own in weights]
    entering = followed(torch.tensor(inputs.T), blocks, upstream)
    assert_gradients(figures, entering, weights)
