"""Blocks against PyTorch's own layers and its autograd, on the same weights, inputs and loss gradient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.arithmetic import Array
from app.core.propagation import block_steps
from app.core.propagation.block import Block
from app.core.propagation.dropout import Dropout
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


class Simulated(NamedTuple):
    """Figures, the matrices block by block in the order of their names, inputs, loss gradient, masks."""

    figures: Figures
    made: list[Array]
    inputs: Any
    upstream: Any
    masks: list[Any]


def simulated(
    block: Block, activation: str, norm: str | None = None, dropout: Dropout | None = None
) -> Simulated:
    """Simulates a network of such blocks with the dense engine, and records its weights and masks."""
    made: list[Array] = []
    masks: list[Any] = []
    draw = Dropout.mask

    def watched(*arguments: Any) -> LinearMap:
        found = block_map(*arguments)
        assert isinstance(found, Dense)
        made.extend(np.split(found.weights, len(arguments[1].names)))
        return found

    def masked(self: Dropout, *arguments: Any) -> Any:
        masks.append(draw(self, *arguments))
        return masks[-1]

    rng = np.random.default_rng(1)
    inputs, upstream = rng.standard_normal((2, WIDTH, TOKENS))
    network = Network(
        sizes=(WIDTH,) * (DEPTH + 1),
        call=REGISTRY.resolve(activation),
        weights=gaussian(1.3),
        normalisation=NORMALISATIONS[norm] if norm else None,
        block=block,
        dropout=dropout,
    )
    with patch.object(block_steps, "block_map", watched), patch.object(Dropout, "mask", masked):
        figures = propagate(network, inputs, seed=2, engine="dense", upstream=upstream)
    return Simulated(figures, made, inputs, upstream, masks)


def assert_gradients(figures: Figures, entering: list[Any], weights: list[list[Any]]) -> None:
    """Compares dL/dh at the input of each block and dL/dW of each matrix."""
    rms = [float(h.grad.square().mean().sqrt().log10()) for h in entering]
    np.testing.assert_allclose(figures.gradient_log10_rms, rms, rtol=0, atol=1e-10)
    for place, name in enumerate(figures.matrices):
        norms = [float(each[place].grad.norm().log10()) for each in weights]
        np.testing.assert_allclose(figures.matrices[name], norms, rtol=0, atol=1e-10, err_msg=name)


def followed(x: Any, blocks: list[Any], upstream: Array) -> list[Any]:
    """The inputs of the blocks, with their gradients."""
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
    figures, made, inputs, upstream, _ = simulated(block, activation)
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
        weights.append([*(_Part(each) for each in stacked), *own])
    assert_gradients(figures, entering, weights)
    correlations = [*(_cosine(h) for h in entering[1:])]
    np.testing.assert_allclose(figures.correlation[:-1], correlations, rtol=0, atol=1e-10)


class _Part:
    """A slice of a tensor's gradient, with the interface of a tensor."""

    def __init__(self, grad: Any) -> None:
        self.grad = grad


def _cosine(h: Any) -> float:
    """Cosine similarity, mean over pairs of tokens."""
    unit = h.detach() / h.detach().norm(dim=1, keepdim=True)
    count = len(unit)
    return float(((unit @ unit.T).sum() - count) / (count * (count - 1)))


BLOCKS: list[tuple[Block, str, str | None, float]] = [
    (ResidualBlock(), "relu", None, 0.0),
    (ResidualBlock(norm="post", skip=0.6, branch="depth_scaled"), "gelu", "rms_norm", 0.0),
    (ResidualBlock(norm=None, matrices=1, branch=0.5), "tanh", None, 0.0),
    (ResidualBlock(matrices=1), "swiglu", "rms_norm", 0.0),
    (ResidualBlock(), "swiglu", None, 0.0),
    (TransformerBlock(heads=3, mlp_ratio=1.5, branch="depth_scaled"), "swiglu", "rms_norm", 0.0),
    (TransformerBlock(heads=2, norm=None, branch=0.3, causal=False), "geglu", None, 0.0),
    (ResidualBlock(), "relu", None, 0.3),
    (ResidualBlock(norm="post", matrices=1), "swiglu", None, 0.2),
    (TransformerBlock(heads=3, mlp_ratio=1.5), "gelu", None, 0.3),
    (TransformerBlock(heads=2, norm="post", causal=False, branch=0.5), "swiglu", None, 0.1),
    (TransformerBlock(heads=3, cross_attention=True, branch="depth_scaled"), "gelu", "rms_norm", 0.0),
    (TransformerBlock(heads=2, norm="post", causal=False, cross_attention=True), "swiglu", None, 0.2),
]


class Formulas:
    """The blocks' docstrings in PyTorch's elementary functions, tokens × features."""

    memory: Any
    """The tokens of a second attention."""

    def __init__(self, block: Any, activation: str, norm: str | None, masks: Iterator[Any]) -> None:
        self.torch = pytest.importorskip("torch")
        self.block, self.activation, self.norm, self.masks = block, activation, norm, masks

    def dropped(self, values: Any) -> Any:
        """Times the next dropout mask, features × tokens, if there is one."""
        mask = next(self.masks, None)
        return values if mask is None else values * mask.T

    def phi(self, z: Any) -> Any:
        functional = self.torch.nn.functional
        gates = {"swiglu": functional.silu, "geglu": functional.gelu}
        if self.activation in gates:
            return self.dropped(gates[self.activation](z[:, ::2]) * z[:, 1::2])
        plain = {"relu": functional.relu, "gelu": functional.gelu, "tanh": self.torch.tanh}
        return self.dropped(plain[self.activation](z))

    def normed(self, h: Any) -> Any:
        if self.norm == "rms_norm":
            return h / (h.square().mean(dim=1, keepdim=True) + EPSILON).sqrt()
        return self.torch.nn.functional.layer_norm(h, (WIDTH,), eps=EPSILON)

    def around(self, h: Any, branch: Any, branches: int) -> Any:
        scale = branches**-0.5 if self.block.branch == "depth_scaled" else self.block.branch
        skip = getattr(self.block, "skip", 1.0)
        total = skip * h + scale * branch(self.normed(h) if self.block.norm == "pre" else h)
        return self.normed(total) if self.block.norm == "post" else total

    def attended(self, u: Any, m: Any, query: Any, key: Any, value: Any, output: Any) -> Any:
        heads = [
            (tokens @ each.T).reshape(TOKENS, self.block.heads, -1).transpose(0, 1)
            for tokens, each in ((u, query), (m, key), (m, value))
        ]
        scores = heads[0] @ heads[1].transpose(1, 2) / (WIDTH / self.block.heads) ** 0.5
        if self.block.causal and m is u:
            scores = scores.masked_fill(self.torch.ones(TOKENS, TOKENS).triu(1).bool(), -self.torch.inf)
        shares, mask = scores.softmax(dim=-1), next(self.masks, None)
        if mask is not None:
            shares = shares * mask.reshape(shares.shape).transpose(1, 2)
        return self.dropped((shares @ heads[2]).transpose(0, 1).reshape(TOKENS, WIDTH) @ output.T)

    def residual(self, h: Any, first: Any, second: Any = None) -> Any:
        def branch(u: Any) -> Any:
            return self.phi(u @ first.T) if second is None else self.phi(u @ first.T) @ second.T

        return self.around(h, branch, DEPTH)

    def transformer(self, h: Any, *given: Any) -> Any:
        *cross, inner, outer = given[4:]
        branches = (3 if cross else 2) * DEPTH
        h = self.around(h, lambda u: self.attended(u, u, *given[:4]), branches)
        if cross:
            h = self.around(h, lambda u: self.attended(u, self.memory, *cross), branches)
        return self.around(h, lambda u: self.dropped(self.phi(u @ inner.T) @ outer.T), branches)


@pytest.mark.parametrize(("block", "activation", "norm", "rate"), BLOCKS, ids=str)
def test_blocks_agree_with_their_formulas(block: Any, activation: str, norm: str | None, rate: float) -> None:
    torch = pytest.importorskip("torch")
    figures, made, inputs, upstream, masks = simulated(
        block, activation, norm, Dropout(rate) if rate else None
    )
    left = iter([torch.tensor(each).double() / (1 - rate) for each in masks])
    formulas = Formulas(block, activation, norm, left)
    formulas.memory = torch.tensor(inputs.T)
    tensors = [torch.tensor(each, requires_grad=True) for each in made]
    count = len(figures.matrices)
    weights = [tensors[count * number : count * (number + 1)] for number in range(DEPTH)]
    kind = getattr(formulas, block.kind)
    blocks = [lambda h, own=own: kind(h, *own) for own in weights]
    entering = followed(torch.tensor(inputs.T), blocks, upstream)
    assert next(left, None) is None
    assert_gradients(figures, entering, weights)
