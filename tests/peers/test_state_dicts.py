"""Diagnoses of state dicts against autograd in the PyTorch modules that they come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.conftest import InProcess
from tests.support.sent import form

pytestmark = pytest.mark.peers

WIDTH, TOKENS, DEPTH, HEADS = 24, 7, 3, 4


class Autograd(NamedTuple):
    """PyTorch's gradients: dL/dh at the input of each block, and its dL/dW by the matrices' names."""

    entering: list[Any]
    weights: list[dict[str, Any]]


def randomised(module: Any) -> Any:
    """The module with all parameters drawn at random, so that no gain is 1 and no bias 0."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    for each in module.parameters():
        spread = each.shape[-1] ** -0.5 if each.ndim > 1 else 0.5
        each.data = spread * torch.randn(each.shape, dtype=torch.float64) + (each.ndim == 1)
    return module


def answered(client: InProcess, state: dict[str, Any], inputs: Any, upstream: Any, **fields: Any) -> Any:
    save = pytest.importorskip("safetensors.torch").save
    kept = {name: each.contiguous() for name, each in state.items()}
    request = {"inputs": inputs.tolist(), "upstream": upstream.tolist(), **fields}
    answer = client.post("/gradient-flow", **form(save(kept), request))
    assert answer.status_code == 200, answer.text[:500]
    return answer.json()


def assert_same(answer: dict[str, Any], found: Autograd) -> None:
    rms = [float(h.grad.square().mean().sqrt().log10()) for h in found.entering]
    reported = [layer["gradient_log10_rms"]["median"] for layer in answer["layers"]]
    np.testing.assert_allclose(reported, rms, rtol=0, atol=1e-10)
    for layer, weights in zip(answer["layers"], found.weights, strict=True):
        # −∞ comes as a string: the gradient of W_hh, or of a forget gate, is 0 while h and c are.
        reported_norms = {
            each["name"]: float(each["weight_gradient_log10_norm"]["median"]) for each in layer["matrices"]
        }
        norms = {name: float(each.norm().log10()) for name, each in weights.items()}
        assert reported_norms == pytest.approx(norms, rel=0, abs=1e-10)


def followed(blocks: Sequence[Callable[[Any], Any]], inputs: Any, upstream: Any) -> list[Any]:
    """The inputs of the blocks, with the gradients of L = Σ upstream · outputs."""
    x = inputs.clone().requires_grad_()
    entering: list[Any] = []
    for block in blocks:
        if entering:
            x.retain_grad()
        entering.append(x)
        x = block(x)
    x.backward(upstream)
    return entering


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("norm", "activation"), [("pre", "gelu"), ("post", "relu")])
def test_transformer_encoder(client: InProcess, norm: str, activation: str, causal: bool) -> None:
    torch = pytest.importorskip("torch")
    layer = torch.nn.TransformerEncoderLayer(
        WIDTH, HEADS, 40, 0.0, activation, norm_first=norm == "pre", dtype=torch.float64
    )
    encoder = randomised(torch.nn.TransformerEncoder(layer, DEPTH, enable_nested_tensor=False))
    inputs, upstream = torch.randn(2, TOKENS, WIDTH, dtype=torch.float64)
    mask = torch.nn.Transformer.generate_square_subsequent_mask(TOKENS, dtype=torch.float64)
    blocks = [partial(each, src_mask=mask if causal else None) for each in encoder.layers]
    entering = followed(blocks, inputs, upstream)
    weights = []
    for each in encoder.layers:
        query, key, value = each.self_attn.in_proj_weight.grad.split(WIDTH)
        own = {"query": query, "key": key, "value": value, "output": each.self_attn.out_proj.weight.grad}
        weights.append({**own, "mlp_1": each.linear1.weight.grad, "mlp_2": each.linear2.weight.grad})
    block = {"kind": "transformer", "heads": HEADS, "norm": norm, "causal": causal}
    answer = answered(client, encoder.state_dict(), inputs, upstream, activation=activation, block=block)
    assert_same(answer, Autograd(entering, weights))


@pytest.mark.parametrize("memory", [None, 2, 12])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("norm", "activation"), [("pre", "gelu"), ("post", "relu")])
def test_transformer_decoder(
    client: InProcess, norm: str, activation: str, causal: bool, memory: int | None
) -> None:
    """With a norm after the last layer, through which the loss's gradient has come to the last block."""
    torch = pytest.importorskip("torch")
    layer = torch.nn.TransformerDecoderLayer(
        WIDTH, HEADS, 40, 0.0, activation, norm_first=norm == "pre", dtype=torch.float64
    )
    last = torch.nn.LayerNorm(WIDTH, dtype=torch.float64)
    decoder = randomised(torch.nn.TransformerDecoder(layer, DEPTH, last))
    inputs, upstream = torch.randn(2, TOKENS, WIDTH, dtype=torch.float64)
    given = inputs if memory is None else torch.randn(memory, WIDTH, dtype=torch.float64)
    mask = torch.nn.Transformer.generate_square_subsequent_mask(TOKENS, dtype=torch.float64)
    blocks = [
        partial(each, memory=given.detach(), tgt_mask=mask if causal else None) for each in decoder.layers
    ]
    *entering, end = followed([*blocks, decoder.norm], inputs, upstream)
    with torch.no_grad():
        whole = decoder(inputs, given, tgt_mask=mask if causal else None)
        torch.testing.assert_close(decoder.norm(end), whole, rtol=1e-12, atol=1e-12)
    weights = []
    for each in decoder.layers:
        own: dict[str, Any] = {}
        for prefix, attention in (("", each.self_attn), ("cross_", each.multihead_attn)):
            parts = attention.in_proj_weight.grad.split(WIDTH)
            own |= dict(zip((f"{prefix}{name}" for name in ("query", "key", "value")), parts, strict=True))
            own[f"{prefix}output"] = attention.out_proj.weight.grad
        weights.append({**own, "mlp_1": each.linear1.weight.grad, "mlp_2": each.linear2.weight.grad})
    block = {"kind": "transformer", "heads": HEADS, "norm": norm, "causal": causal}
    fields = {"activation": activation, "block": block}
    sent = {} if memory is None else {"memory": given.tolist()}
    answer = answered(client, decoder.state_dict(), inputs, end.grad, **fields, **sent)
    assert_same(answer, Autograd(entering, weights))
    assert answer["memory"] == ("inputs" if memory is None else "given")
    assert sorted(answer["weights"]["left_out"]) == ["norm.bias", "norm.weight"]


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_memory_of_another_width(client: InProcess, norm: str) -> None:
    """nn.MultiheadAttention's kdim and vdim: what an encoder of other width hands on."""
    torch = pytest.importorskip("torch")
    layers = torch.nn.ModuleList()
    for _ in range(DEPTH):
        layer = torch.nn.TransformerDecoderLayer(
            WIDTH, HEADS, 40, 0.0, "gelu", norm_first=norm == "pre", dtype=torch.float64
        )
        layer.multihead_attn = torch.nn.MultiheadAttention(
            WIDTH, HEADS, kdim=17, vdim=17, dtype=torch.float64
        )
        layers.append(layer)
    randomised(layers)
    inputs, upstream = torch.randn(2, TOKENS, WIDTH, dtype=torch.float64)
    memory = torch.randn(5, 17, dtype=torch.float64)
    entering = followed([partial(each, memory=memory) for each in layers], inputs, upstream)
    weights = []
    for each in layers:
        own = dict(
            zip(("query", "key", "value"), each.self_attn.in_proj_weight.grad.split(WIDTH), strict=True)
        )
        own |= {
            f"cross_{name}": getattr(each.multihead_attn, f"{name[0]}_proj_weight").grad
            for name in ("query", "key", "value")
        }
        own |= {"output": each.self_attn.out_proj.weight.grad, "mlp_1": each.linear1.weight.grad}
        own |= {"cross_output": each.multihead_attn.out_proj.weight.grad, "mlp_2": each.linear2.weight.grad}
        weights.append(own)
    block = {"kind": "transformer", "heads": HEADS, "norm": norm, "causal": False}
    fields = {"activation": "gelu", "block": block, "memory": memory.tolist()}
    answer = answered(client, layers.state_dict(), inputs, upstream, **fields)
    assert_same(answer, Autograd(entering, weights))


def conv1d(x: Any, weight: Any, bias: Any) -> Any:
    """GPT-2's linear layer: weights are inputs × outputs."""
    return x @ weight + bias


class Gpt2:
    """GPT-2's block as its paper and OpenAI's code describe it, with their names of the tensors."""

    def __init__(self, others: Any = None) -> None:
        """``others`` are tokens that a second attention looks at, by transformers' names (crossattention)."""
        torch = pytest.importorskip("torch")
        torch.manual_seed(1)
        second = {
            "crossattention.q_attn": (WIDTH, WIDTH),
            "crossattention.c_attn": (WIDTH, 2 * WIDTH),
            "crossattention.c_proj": (WIDTH, WIDTH),
        }
        self.others = others
        shapes = {
            "attn.c_attn": (WIDTH, 3 * WIDTH),
            "attn.c_proj": (WIDTH, WIDTH),
            "mlp.c_fc": (WIDTH, 4 * WIDTH),
            "mlp.c_proj": (4 * WIDTH, WIDTH),
            **({} if others is None else second),
        }
        self.own: dict[str, Any] = {}
        for name, (fan_in, units) in shapes.items():
            self.own[f"{name}.weight"] = torch.randn(fan_in, units, dtype=torch.float64) / fan_in**0.5
            self.own[f"{name}.bias"] = torch.randn(units, dtype=torch.float64)
        for name in ("ln_1", "ln_2", *(() if others is None else ("ln_cross_attn",))):
            self.own[f"{name}.weight"] = 1 + torch.randn(WIDTH, dtype=torch.float64) / 3
            self.own[f"{name}.bias"] = torch.randn(WIDTH, dtype=torch.float64)
        for each in self.own.values():
            each.requires_grad_()
        self.torch = torch

    def linear(self, name: str, x: Any) -> Any:
        return conv1d(x, self.own[f"{name}.weight"], self.own[f"{name}.bias"])

    def norm(self, name: str, x: Any) -> Any:
        own = self.own[f"{name}.weight"], self.own[f"{name}.bias"]
        return self.torch.nn.functional.layer_norm(x, (WIDTH,), *own, eps=1e-5)

    def __call__(self, x: Any) -> Any:
        query, key, value = (
            each.reshape(TOKENS, HEADS, -1).transpose(0, 1)
            for each in self.linear("attn.c_attn", self.norm("ln_1", x)).split(WIDTH, dim=1)
        )
        attended = self.torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.linear("attn.c_proj", attended.transpose(0, 1).reshape(TOKENS, WIDTH))
        if self.others is not None:
            x = x + self.crossed(x)
        inner = self.torch.nn.functional.gelu(
            self.linear("mlp.c_fc", self.norm("ln_2", x)), approximate="tanh"
        )
        return x + self.linear("mlp.c_proj", inner)

    def crossed(self, x: Any) -> Any:
        """As `transformers.GPT2Block` with add_cross_attention: keys and values are one matrix, unmasked."""
        key, value = self.linear("crossattention.c_attn", self.others).split(WIDTH, dim=1)
        query = self.linear("crossattention.q_attn", self.norm("ln_cross_attn", x))
        parts = (each.reshape(len(each), HEADS, -1).transpose(0, 1) for each in (query, key, value))
        attended = self.torch.nn.functional.scaled_dot_product_attention(*parts)
        return self.linear("crossattention.c_proj", attended.transpose(0, 1).reshape(TOKENS, WIDTH))


@pytest.mark.parametrize("others", [0, 5])
def test_gpt_2(client: InProcess, others: int) -> None:
    torch = pytest.importorskip("torch")
    memory = torch.randn(others, WIDTH, dtype=torch.float64) if others else None
    blocks = [Gpt2(memory) for _ in range(DEPTH)]
    inputs, upstream = torch.randn(2, TOKENS, WIDTH, dtype=torch.float64)
    entering = followed(blocks, inputs, upstream)
    weights = []
    for each in blocks:
        grads = {name: tensor.grad for name, tensor in each.own.items()}
        query, key, value = grads["attn.c_attn.weight"].split(WIDTH, dim=1)
        own = {"query": query, "key": key, "value": value, "output": grads["attn.c_proj.weight"]}
        if others:
            key, value = grads["crossattention.c_attn.weight"].split(WIDTH, dim=1)
            own |= {
                "cross_query": grads["crossattention.q_attn.weight"],
                "cross_key": key,
                "cross_value": value,
            }
            own |= {"cross_output": grads["crossattention.c_proj.weight"]}
        weights.append({**own, "mlp_1": grads["mlp.c_fc.weight"], "mlp_2": grads["mlp.c_proj.weight"]})
    state = {f"h.{k}.{name}": each.detach() for k, own in enumerate(blocks) for name, each in own.own.items()}
    buffers = {"wte.weight": torch.randn(9, WIDTH), "h.0.attn.bias": torch.ones(1, 1, 9, 9).tril().bool()}
    block = {"kind": "transformer", "heads": HEADS}
    fields = {"activation": "gelu_tanh", "block": block}
    if memory is not None:
        fields["memory"] = memory.tolist()
    answer = answered(client, {**state, **buffers}, inputs, upstream, **fields)
    assert_same(answer, Autograd(entering, weights))
    assert answer["weights"]["left_out"] == ["wte.weight"]


@pytest.mark.parametrize("padding", ["circular", "zeros"])
@pytest.mark.parametrize("dimensions", [1, 2])
def test_convolutions(client: InProcess, dimensions: int, padding: str) -> None:
    torch = pytest.importorskip("torch")
    kind = torch.nn.Conv1d if dimensions == 1 else torch.nn.Conv2d
    layers = [kind(4, 4, 3, padding=1, padding_mode=padding, dtype=torch.float64) for _ in range(DEPTH)]
    network = torch.nn.Sequential(
        *(each for layer in layers for each in (randomised(layer), torch.nn.Tanh()))
    )
    shape = (5, 4, *[6] * dimensions)
    inputs, upstream = torch.randn(2, *shape, dtype=torch.float64)
    entering = followed([torch.nn.Sequential(each, torch.nn.Tanh()) for each in layers], inputs, upstream)
    block = {"kind": "convolution", "size": 6, "padding": padding}
    flat = inputs.reshape(5, -1), upstream.reshape(5, -1)
    answer = answered(client, network.state_dict(), *flat, activation="tanh", block=block)
    assert_same(answer, Autograd(entering, [{"W": each.weight.grad} for each in layers]))


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", ["RNN", "LSTM", "GRU"])
def test_recurrent_networks(client: InProcess, cell: str, layers: int) -> None:
    """Each step's share of the gradients of the shared weights: one cell per step, with equal weights."""
    torch = pytest.importorskip("torch")
    features, times, batch = 3, 6, 5
    module = randomised(
        getattr(torch.nn, cell)(features, WIDTH, layers, batch_first=True, dtype=torch.float64)
    )
    x = torch.randn(batch, times, features, dtype=torch.float64)
    upstream = torch.randn(batch, WIDTH, dtype=torch.float64)
    steps, hiddens, memories = [], [], []
    hidden = [torch.zeros(batch, WIDTH, dtype=torch.float64)] * layers
    memory = list(hidden)
    for time in range(times):
        below, cells = x[:, time], {}
        for layer in range(layers):
            state = {
                name.removesuffix(f"_l{layer}"): each
                for name, each in module.state_dict().items()
                if name.endswith(f"_l{layer}")
            }
            step = getattr(torch.nn, f"{cell}Cell")(below.shape[1], WIDTH, dtype=torch.float64)
            step.load_state_dict(state)
            if cell == "LSTM":
                hidden[layer], memory[layer] = step(below, (hidden[layer], memory[layer]))
                memory[layer].retain_grad()
            else:
                hidden[layer] = step(below, hidden[layer])
            hidden[layer].retain_grad()
            below = hidden[layer]
            cells[f"_l{layer}" if layer else ""] = step
        steps.append(cells)
        hiddens.append(list(hidden))
        memories.append(list(memory))
    torch.testing.assert_close(module(x)[0][:, -1], hidden[-1], rtol=1e-12, atol=1e-12)
    hidden[-1].backward(upstream)
    block = {"kind": "recurrent", "cell": cell.lower()}
    answer = answered(client, module.state_dict(), x, upstream, activation="tanh", block=block)
    assert_same_steps(answer, cell, hiddens, memories, steps)
    by_module = [each["tensor"] for each in answer["weights"]["tensors"]]
    assert sorted(by_module) == sorted(module.state_dict())


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", ["RNN", "LSTM", "GRU"])
def test_bidirectional_networks(client: InProcess, cell: str, layers: int) -> None:
    """A cell for each step and direction, and the loss at the last states of both: PyTorch's h_n."""
    torch = pytest.importorskip("torch")
    features, times, batch = 3, 6, 5
    module = randomised(
        getattr(torch.nn, cell)(
            features, WIDTH, layers, batch_first=True, bidirectional=True, dtype=torch.float64
        )
    )
    x = torch.randn(batch, times, features, dtype=torch.float64)
    upstream = torch.randn(batch, 2 * WIDTH, dtype=torch.float64)
    hiddens: list[list[Any]] = [[] for _ in range(times)]
    memories: list[list[Any]] = [[] for _ in range(times)]
    cells: list[dict[str, Any]] = [{} for _ in range(times)]
    inputs = list(x.unbind(1))
    for layer in range(layers):
        outputs = []
        for end in ("", "_reverse"):
            own = {
                name.removesuffix(f"_l{layer}{end}"): each
                for name, each in module.state_dict().items()
                if name.endswith(f"_l{layer}{end}")
            }
            hidden = memory = torch.zeros(batch, WIDTH, dtype=torch.float64)
            made = []
            for step, below in enumerate(reversed(inputs) if end else inputs):
                each = getattr(torch.nn, f"{cell}Cell")(below.shape[1], WIDTH, dtype=torch.float64)
                each.load_state_dict(own)
                if cell == "LSTM":
                    hidden, memory = each(below, (hidden, memory))
                    memory.retain_grad()
                else:
                    hidden = each(below, hidden)
                hidden.retain_grad()
                hiddens[step].append(hidden)
                memories[step].append(memory)
                cells[step][f"{f'_l{layer}' if layer else ''}{end}"] = each
                made.append(hidden)
            outputs.append(made[::-1] if end else made)
        inputs = [torch.cat(pair, dim=1) for pair in zip(*outputs, strict=True)]
    states = module(x)[1]
    last = torch.cat(hiddens[-1][-2:], dim=1)
    theirs = torch.cat((states[0] if cell == "LSTM" else states)[-2:].unbind(0), dim=1)
    torch.testing.assert_close(theirs, last, rtol=1e-12, atol=1e-12)
    last.backward(upstream)
    block = {"kind": "recurrent", "cell": cell.lower()}
    answer = answered(client, module.state_dict(), x, upstream, activation="tanh", block=block)
    assert_same_steps(answer, cell, hiddens, memories, cells)
    assert sorted(each["tensor"] for each in answer["weights"]["tensors"]) == sorted(module.state_dict())


def assert_same_steps(
    answer: Any,
    cell: str,
    hiddens: Sequence[Sequence[Any]],
    memories: Sequence[Sequence[Any]],
    steps: Sequence[Mapping[str, Any]],
) -> None:
    """Compares each step's gradients with those of its cells, by the ends of their matrices' names."""
    letters = {"RNN": "h", "LSTM": "ifgo", "GRU": "rzn"}[cell]
    weights = [
        {
            f"W_{side}{letter}{mark}": part
            for mark, each in step.items()
            for side, whole in (("h", each.weight_hh.grad), ("i", each.weight_ih.grad))
            for letter, part in zip(letters, whole.split(WIDTH), strict=True)
        }
        for step in steps
    ]
    assert_same(answer, Autograd([StackedStates(each) for each in hiddens], weights))
    if cell == "LSTM":
        reported = [layer["cell_gradient_log10_rms"]["median"] for layer in answer["layers"]]
        rms = [float(StackedStates(each).grad.square().mean().sqrt().log10()) for each in memories]
        np.testing.assert_allclose(reported, rms, rtol=0, atol=1e-10)


class StackedStates:
    """The states of several layers, with the interface of one tensor."""

    def __init__(self, states: Sequence[Any]) -> None:
        torch = pytest.importorskip("torch")
        grads = [torch.zeros_like(each) if each.grad is None else each.grad for each in states]
        self.grad = torch.stack(grads)


@pytest.mark.parametrize(
    ("norm", "normalization"), [("pre", "layer_norm"), ("post", "batch_norm"), ("inside", "batch_norm")]
)
@pytest.mark.parametrize("matrices", [1, 2, 3])
def test_residual_blocks(client: InProcess, matrices: int, norm: str, normalization: str) -> None:
    torch = pytest.importorskip("torch")
    inner = WIDTH if matrices == 1 else 10
    sizes = [WIDTH, *[inner] * (matrices - 1), WIDTH]
    kind = {"layer_norm": torch.nn.LayerNorm, "batch_norm": torch.nn.BatchNorm1d}[normalization]

    def made() -> Any:
        block = torch.nn.Module()
        for place in range(1, matrices + 1):
            setattr(
                block, f"linear{place}", torch.nn.Linear(sizes[place - 1], sizes[place], dtype=torch.float64)
            )
            if norm == "inside":
                setattr(block, f"bn{place}", kind(sizes[place], dtype=torch.float64))
        if norm != "inside":
            block.norm = kind(WIDTH, dtype=torch.float64)
        return randomised(block)

    def run(block: Any, h: Any) -> Any:
        u = block.norm(h) if norm == "pre" else h
        for place in range(1, matrices + 1):
            u = getattr(block, f"linear{place}")(u)
            if norm == "inside":
                u = getattr(block, f"bn{place}")(u)
            if place < matrices or (matrices == 1 and norm != "inside"):
                u = u.relu()
        total = 0.8 * h + 0.5 * u
        if norm == "inside":
            return total.relu()
        return block.norm(total) if norm == "post" else total

    network = torch.nn.ModuleList(made() for _ in range(DEPTH))
    inputs, upstream = torch.randn(2, 9, WIDTH, dtype=torch.float64)
    entering = followed([partial(run, each) for each in network], inputs, upstream)
    weights = [
        {f"W{place}": getattr(each, f"linear{place}").weight.grad for place in range(1, matrices + 1)}
        for each in network
    ]
    block = {"kind": "residual", "norm": norm, "skip": 0.8, "branch": 0.5}
    fields = {"activation": "relu", "block": block, "normalization": normalization}
    answer = answered(client, network.state_dict(), inputs, upstream, **fields)
    assert_same(answer, Autograd(entering, weights))
