"""``POST /gradient-flow`` for blocks of the caller's own weights, sent as a state dict."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from anyio.from_thread import start_blocking_portal
from httpx import Response
from safetensors.numpy import save

from app.contract.gradient_flow import GradientFlowResponse
from app.core.errors import InvalidValue
from app.core.propagation.block_kinds import BLOCKS, block
from app.core.propagation.given import StateDict
from app.core.propagation.state_dict import adopted
from app.main import create_app
from app.settings import Settings
from tests.conftest import InProcess
from tests.support.sent import form

ENCODER_LAYER = "torch.nn.TransformerEncoderLayer"
DECODER_LAYER = "torch.nn.TransformerDecoderLayer"
Tensors = dict[str, np.ndarray]
RANDOM = np.random.default_rng(0)
WIDTH, INNER = 8, 12


def drawn(*shape: int) -> np.ndarray:
    return np.asarray(RANDOM.normal(size=shape) / np.sqrt(shape[-1]))


def affine(name: str, units: int) -> Tensors:
    return {f"{name}.weight": drawn(units), f"{name}.bias": drawn(units)}


def linear(name: str, rows: int, columns: int) -> Tensors:
    return {f"{name}.weight": drawn(rows, columns), f"{name}.bias": drawn(rows)}


def prefixed(prefix: str, tensors: Tensors) -> Tensors:
    return {f"{prefix}{name}": each for name, each in tensors.items()}


def encoder_layer() -> Tensors:
    return {
        "self_attn.in_proj_weight": drawn(3 * WIDTH, WIDTH),
        "self_attn.in_proj_bias": drawn(3 * WIDTH),
        **linear("self_attn.out_proj", WIDTH, WIDTH),
        **linear("linear1", INNER, WIDTH),
        **linear("linear2", WIDTH, INNER),
        **affine("norm1", WIDTH),
        **affine("norm2", WIDTH),
    }


def decoder_layer() -> Tensors:
    return {
        **encoder_layer(),
        "multihead_attn.in_proj_weight": drawn(3 * WIDTH, WIDTH),
        "multihead_attn.in_proj_bias": drawn(3 * WIDTH),
        **linear("multihead_attn.out_proj", WIDTH, WIDTH),
        **affine("norm3", WIDTH),
    }


def gpt_2_layer() -> Tensors:
    plain = {
        **linear("attn.c_attn", 3 * WIDTH, WIDTH),
        **linear("attn.c_proj", WIDTH, WIDTH),
        **linear("mlp.c_fc", INNER, WIDTH),
        **linear("mlp.c_proj", WIDTH, INNER),
    }
    turned = {name: np.ascontiguousarray(each.T) for name, each in plain.items()}
    masks: Tensors = {"attn.bias": np.tril(np.ones((1, 1, 4, 4), bool)), "attn.masked_bias": np.array(-1e4)}
    return {**turned, **masks, **affine("ln_1", WIDTH), **affine("ln_2", WIDTH)}


def stack(layer: Callable[[], Tensors], prefix: str = "layers.", count: int = 2) -> Tensors:
    return {
        name: each
        for number in range(count)
        for name, each in prefixed(f"{prefix}{number}.", layer()).items()
    }


def recurrent(gates: int, features: int = 3, layers: int = 1) -> Tensors:
    rows = gates * WIDTH
    found: Tensors = {}
    for layer in range(layers):
        found |= {
            f"weight_ih_l{layer}": drawn(rows, WIDTH if layer else features),
            f"weight_hh_l{layer}": drawn(rows, WIDTH),
            f"bias_ih_l{layer}": drawn(rows),
            f"bias_hh_l{layer}": drawn(rows),
        }
    return found


def both_ways(tensors: Tensors) -> Tensors:
    """With a second direction in each layer, and from the second layer on the inputs of both."""
    found: Tensors = {}
    for name, each in tensors.items():
        wider = name.startswith("weight_ih") and not name.endswith("_l0")
        for end in ("", "_reverse"):
            found[f"{name}{end}"] = drawn(len(each), 2 * WIDTH) if wider else drawn(*each.shape)
    return found


def gpt_2_decoder_layer() -> Tensors:
    plain = {
        **linear("crossattention.q_attn", WIDTH, WIDTH),
        **linear("crossattention.c_attn", 2 * WIDTH, WIDTH),
        **linear("crossattention.c_proj", WIDTH, WIDTH),
    }
    turned = {name: np.ascontiguousarray(each.T) for name, each in plain.items()}
    masks: Tensors = {"crossattention.bias": np.ones((1, 1, 4, 4), bool)}
    return {**gpt_2_layer(), **turned, **masks, **affine("ln_cross_attn", WIDTH)}


def of_other_width() -> Tensors:
    """A decoder layer whose second attention was made with kdim and vdim."""
    apart = {f"multihead_attn.{name}_proj_weight": drawn(WIDTH, WIDTH - 3) for name in "kv"}
    whole = {name: each for name, each in decoder_layer().items() if name != "multihead_attn.in_proj_weight"}
    return {**whole, "multihead_attn.q_proj_weight": drawn(WIDTH, WIDTH), **apart}


ENCODER = {**stack(encoder_layer), **affine("norm", WIDTH), "head.weight": drawn(10, WIDTH)}
DECODER = {**stack(decoder_layer), **affine("norm", WIDTH)}
GPT_2 = {"wte.weight": drawn(50, WIDTH), **stack(gpt_2_layer, "transformer.h."), **affine("ln_f", WIDTH)}
GPT_2_DECODER = stack(gpt_2_decoder_layer, "transformer.h.")
OTHER_WIDTH = stack(of_other_width)
TRANSFORMER: dict[str, Any] = {"kind": "transformer", "heads": 2}
CONVOLUTION: dict[str, Any] = {"kind": "convolution", "size": 5}
CONVOLUTIONS = {
    f"{2 * k}.{name}": each
    for k in range(3)
    for name, each in {"weight": drawn(4, 4, 3), "bias": drawn(4)}.items()
}
RESIDUAL = stack(
    lambda: {**linear("fc1", INNER, WIDTH), **linear("fc2", WIDTH, INNER), **affine("norm", WIDTH)}
)
LSTM: dict[str, Any] = {"kind": "recurrent", "cell": "lstm"}


def post(client: InProcess, tensors: Tensors, block: dict[str, Any], **fields: Any) -> Response:
    return client.post(
        "/gradient-flow", **form(save(tensors), {"activation": "tanh", "block": block, **fields})
    )


@pytest.mark.parametrize(
    ("tensors", "block", "expected"),
    [
        (ENCODER, TRANSFORMER, (ENCODER_LAYER, 2, 12, ["norm.weight", "norm.bias", "head.weight"])),
        (encoder_layer(), TRANSFORMER, (ENCODER_LAYER, 1, 12, [])),
        (DECODER, TRANSFORMER, (DECODER_LAYER, 2, 18, ["norm.weight", "norm.bias"])),
        (GPT_2, TRANSFORMER, ("GPT-2", 2, 12, ["wte.weight", "ln_f.weight", "ln_f.bias"])),
        (GPT_2_DECODER, TRANSFORMER, ("GPT-2 with crossattention", 2, 20, [])),
        (CONVOLUTIONS, CONVOLUTION, ("torch.nn.Conv1d, torch.nn.Conv2d", 3, 2, [])),
        ({"0.weight": drawn(4, 4, 2, 2)}, CONVOLUTION, ("torch.nn.Conv1d, torch.nn.Conv2d", 1, 1, [])),
        (prefixed("model.lstm.", recurrent(4)), LSTM, ("torch.nn.LSTM", 1, 4, [])),
        (recurrent(1), {"kind": "recurrent"}, ("torch.nn.RNN", 1, 4, [])),
        (recurrent(4, layers=3), LSTM, ("torch.nn.LSTM", 1, 12, [])),
        (both_ways(recurrent(4, layers=2)), LSTM, ("torch.nn.LSTM", 1, 16, [])),
        (recurrent(3), {"kind": "recurrent", "cell": "gru"}, ("torch.nn.GRU", 1, 4, [])),
        (
            {name.removesuffix("_l0"): each for name, each in recurrent(4).items()},
            LSTM,
            ("torch.nn.LSTMCell", 1, 4, []),
        ),
    ],
)
def test_each_tensor_s_role_is_reported(
    client: InProcess, tensors: Tensors, block: dict[str, Any], expected: tuple[str, int, int, list[str]]
) -> None:
    depth = {"depth": 3} if block["kind"] == "recurrent" else {}
    answer = post(client, tensors, block, **depth)
    assert answer.status_code == 200, answer.text[:500]
    GradientFlowResponse.model_validate(answer.json())
    weights = answer.json()["weights"]
    assert (weights["module"], weights["blocks"], len(weights["tensors"])) == expected[:3]
    assert sorted(weights["left_out"]) == sorted(expected[3])
    for each in weights["tensors"]:
        assert each["transposed"] == (expected[0].startswith("GPT-2") and each["kind"] == "weight")
    assert answer.json()["engine"] == "dense"
    assert len(answer.json()["layers"]) == (3 if depth else expected[1])


def test_fields_that_the_weights_determine_are_optional(client: InProcess) -> None:
    answer = post(client, ENCODER, TRANSFORMER).json()
    shapes = {each["name"]: (each["rows"], each["columns"]) for each in answer["layers"][0]["matrices"]}
    assert shapes["query"] == (WIDTH, WIDTH)
    assert shapes["mlp_1"] == (INNER, WIDTH)
    assert post(client, ENCODER, {**TRANSFORMER, "mlp_ratio": INNER / WIDTH}).json() == answer


def test_transposed_matrices_give_the_same_answer(client: InProcess) -> None:
    """OpenAI's Conv1D stores inputs × outputs, nanoGPT's Linear outputs × inputs."""
    for tensors in (GPT_2, GPT_2_DECODER):
        turned = {
            name: np.ascontiguousarray(each.T) if each.ndim == 2 else each for name, each in tensors.items()
        }
        first, second = (post(client, each, TRANSFORMER).json() for each in (tensors, turned))
        assert first["layers"] == second["layers"]


PYTORCH = {
    "attn.c_attn": "self_attn.in_proj_",
    "attn.c_proj": "self_attn.out_proj.",
    "crossattention.c_proj": "multihead_attn.out_proj.",
    "mlp.c_fc": "linear1.",
    "mlp.c_proj": "linear2.",
    "ln_1": "norm1.",
    "ln_cross_attn": "norm2.",
    "ln_2": "norm3.",
}
"""GPT-2's names, and those of `torch.nn.TransformerDecoderLayer` for the same."""


def as_pytorch(tensors: Tensors) -> Tensors:
    """GPT-2's decoder by PyTorch's names, queries over keys over values."""
    found: Tensors = {}
    for name, each in tensors.items():
        parts = name.split(".")
        place, own, kind = parts[2], ".".join(parts[3:-1]), parts[-1]
        if own in PYTORCH and each.dtype.kind == "f":
            found[f"layers.{place}.{PYTORCH[own]}{kind}"] = each.T
    for k in range(2):
        for kind in ("weight", "bias"):
            queries, others = (
                tensors[f"transformer.h.{k}.crossattention.{each}.{kind}"] for each in ("q_attn", "c_attn")
            )
            found[f"layers.{k}.multihead_attn.in_proj_{kind}"] = np.concatenate([queries.T, others.T])
    return {name: np.ascontiguousarray(each) for name, each in found.items()}


@pytest.mark.parametrize("memory", [{}, {"memory": drawn(5, WIDTH).tolist()}])
def test_gpt_2_s_decoder_is_pytorch_s_of_the_same_numbers(client: InProcess, memory: dict[str, Any]) -> None:
    names, theirs = (
        post(client, each, TRANSFORMER, **memory).json()
        for each in (GPT_2_DECODER, as_pytorch(GPT_2_DECODER))
    )
    assert names["weights"]["module"] != theirs["weights"]["module"]
    assert names["layers"] == theirs["layers"]
    assert names["layers"][0]["cross_attention_entropy"]["median"] > 0


def test_keys_and_values_apart_are_those_together(client: InProcess) -> None:
    """kdim and vdim that happen to be the width."""
    apart = dict(DECODER)
    for k in range(2):
        whole = apart.pop(f"layers.{k}.multihead_attn.in_proj_weight")
        for name, own in zip("qkv", np.split(whole, 3), strict=True):
            apart[f"layers.{k}.multihead_attn.{name}_proj_weight"] = own
    one, other = (post(client, each, TRANSFORMER).json() for each in (DECODER, apart))
    assert one["layers"] == other["layers"]
    assert len(other["weights"]["tensors"]) == len(one["weights"]["tensors"]) + 2


def test_a_memory_of_another_width(client: InProcess) -> None:
    """Zeros added to the memory and weights for them change nothing of the signal."""
    memory = drawn(5, WIDTH - 3)
    wider = {
        name: np.ascontiguousarray(np.pad(each, ((0, 0), (0, 3))))
        if name.endswith(("k_proj_weight", "v_proj_weight"))
        else each
        for name, each in OTHER_WIDTH.items()
    }
    narrow = post(client, OTHER_WIDTH, TRANSFORMER, memory=memory.tolist())
    padded = post(client, wider, TRANSFORMER, memory=np.pad(memory, ((0, 0), (0, 3))).tolist())
    assert narrow.status_code == padded.status_code == 200, narrow.text
    shapes = {
        each["name"]: (each["rows"], each["columns"]) for each in narrow.json()["layers"][0]["matrices"]
    }
    assert shapes["cross_key"] == shapes["cross_value"] == (WIDTH, WIDTH - 3)
    assert shapes["cross_query"] == (WIDTH, WIDTH)
    for name in ("gradient_log10_rms", "correlation", "cross_attention_entropy"):
        one, other = (
            [each[name]["median"] for each in answer.json()["layers"]] for answer in (narrow, padded)
        )
        assert one == pytest.approx(other, rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_formats(client: InProcess, dtype: Any) -> None:
    assert post(client, {name: each.astype(dtype) for name, each in ENCODER.items()}, TRANSFORMER).is_success


def test_blocks_are_in_the_order_of_their_numbers(client: InProcess) -> None:
    """Of twelve blocks the second has the largest weights, and safetensors sorts it after the tenth."""
    layers = [{"linear1.weight": drawn(WIDTH, WIDTH) * (9 if number == 1 else 1)} for number in range(12)]
    tensors = {
        f"b.{number}.{name}": each for number, layer in enumerate(layers) for name, each in layer.items()
    }
    answer = post(client, tensors, {"kind": "residual", "norm": None}, activation="linear").json()
    squares = [each["activation_mean_square"]["median"] for each in answer["layers"]]
    growth = np.diff(np.log(squares))
    assert growth.argmax() == 0
    assert len(answer["layers"]) == 12


def test_a_residual_block_by_hand(client: InProcess) -> None:
    """h + W₂ tanh(W₁ n(h) + b₁) + b₂ with n(h)'s gain and offset, for each block."""
    h = drawn(5, WIDTH)
    answer = post(client, RESIDUAL, {"kind": "residual"}, inputs=h.tolist())
    for number, layer in enumerate(answer.json()["layers"]):
        prefix = f"layers.{number}."
        own = {name.removeprefix(prefix): each for name, each in RESIDUAL.items() if name.startswith(prefix)}
        unit = (h - h.mean(axis=1, keepdims=True)) / np.sqrt(h.var(axis=1, keepdims=True) + 1e-5)
        u = unit * own["norm.weight"] + own["norm.bias"]
        h = h + np.tanh(u @ own["fc1.weight"].T + own["fc1.bias"]) @ own["fc2.weight"].T + own["fc2.bias"]
        assert layer["activation_mean_square"]["median"] == pytest.approx(float(np.mean(h**2)), rel=1e-12)


def test_real_inputs_of_a_recurrent_network(client: InProcess) -> None:
    """Batch × times × features; the times are the depth."""
    tensors, x = recurrent(1), drawn(2, 6, 3)
    answer = post(client, tensors, {"kind": "recurrent"}, inputs=x.tolist()).json()
    h = np.zeros((2, WIDTH))
    for time, layer in enumerate(answer["layers"]):
        given = x[:, time] @ tensors["weight_ih_l0"].T + tensors["bias_ih_l0"]
        h = np.tanh(given + h @ tensors["weight_hh_l0"].T + tensors["bias_hh_l0"])
        assert layer["activation_mean_square"]["median"] == pytest.approx(float(np.mean(h**2)), rel=1e-12)
    assert len(answer["layers"]) == 6


def test_stacked_layers_by_hand(client: InProcess) -> None:
    """The h of a layer is the x of the next; figures are over both."""
    tensors, x = recurrent(1, layers=2), drawn(2, 6, 3)
    answer = post(client, tensors, {"kind": "recurrent"}, inputs=x.tolist()).json()
    states = [np.zeros((2, WIDTH)) for _ in range(2)]
    for time, step in enumerate(answer["layers"]):
        below = x[:, time]
        for layer in range(2):
            given = below @ tensors[f"weight_ih_l{layer}"].T + tensors[f"bias_ih_l{layer}"]
            kept = states[layer] @ tensors[f"weight_hh_l{layer}"].T + tensors[f"bias_hh_l{layer}"]
            below = states[layer] = np.tanh(given + kept)
        mean_square = float(np.mean(np.square(states)))
        assert step["activation_mean_square"]["median"] == pytest.approx(mean_square, rel=1e-12)
    assert [each["name"] for each in answer["layers"][0]["matrices"]] == [
        "W_hh",
        "W_ih",
        "W_hh_l1",
        "W_ih_l1",
    ]


def test_both_directions_by_hand(client: InProcess) -> None:
    """Step k is time k of the one and time K + 1 − k of the other; the layer above reads both at its time."""
    tensors, x = both_ways(recurrent(1, layers=2)), drawn(2, 6, 3)
    answer = post(client, tensors, {"kind": "recurrent"}, inputs=x.tolist()).json()
    squares, below = np.zeros(6), x.transpose(1, 0, 2)
    for layer in range(2):
        outputs = []
        for end in ("", "_reverse"):
            h, states = np.zeros((2, WIDTH)), []
            of_x, of_h = (tensors[f"weight_{side}_l{layer}{end}"] for side in ("ih", "hh"))
            bias = tensors[f"bias_ih_l{layer}{end}"] + tensors[f"bias_hh_l{layer}{end}"]
            for step, given in enumerate(below[::-1] if end else below):
                h = np.tanh(given @ of_x.T + h @ of_h.T + bias)
                states.append(h)
                squares[step] += np.mean(h**2) / 4
            outputs.append(np.array(states[::-1] if end else states))
        below = np.concatenate(outputs, axis=2)
    reported = [each["activation_mean_square"]["median"] for each in answer["layers"]]
    np.testing.assert_allclose(reported, squares, rtol=1e-12)
    assert [each["fan_out"] for each in answer["layers"]] == [2 * WIDTH] * 6


def test_random_recurrent_networks_may_have_other_features(client: InProcess) -> None:
    fields = {"activation": "tanh", "width": 8, "depth": 5, "networks": 2, "block": {**LSTM, "features": 3}}
    for inputs in ({}, {"inputs": drawn(4, 5, 3).tolist()}):
        answer = client.post("/gradient-flow", json={**fields, **inputs})
        assert answer.status_code == 200, answer.text[:300]
        columns = {each["name"]: each["columns"] for each in answer.json()["layers"][0]["matrices"]}
        assert (columns["W_hi"], columns["W_ii"]) == (8, 3)


def without(tensors: Tensors, *names: str) -> Tensors:
    return {name: each for name, each in tensors.items() if name not in names}


def without_layer(tensors: Tensors, layer: int) -> Tensors:
    return {name: each for name, each in tensors.items() if not name.endswith(f"_l{layer}")}


def with_nan(tensors: Tensors, name: str) -> Tensors:
    broken = tensors[name].copy()
    broken.flat[1] = np.nan
    return {**tensors, name: broken}


RESIDUAL_BLOCK: dict[str, Any] = {"kind": "residual"}

REFUSED: dict[str, tuple[Tensors, dict[str, Any], str]] = {
    "no block": ({"0.weight": drawn(4, 4)}, TRANSFORMER, "no tensor has the name of such a block's first"),
    "another kind's": (ENCODER, LSTM, "weight_hh_l0"),
    "two modules": ({**ENCODER, **GPT_2}, TRANSFORMER, "two modules"),
    "half a decoder": (
        {**ENCODER, "layers.0.multihead_attn.in_proj_weight": drawn(3 * WIDTH, WIDTH)},
        TRANSFORMER,
        "block 2 has no multihead_attn.in_proj_weight",
    ),
    "a decoder without an output": (
        {name: each for name, each in DECODER.items() if "multihead_attn.out_proj" not in name},
        TRANSFORMER,
        "block 1 has no multihead_attn.out_proj.weight",
    ),
    "a decoder's second attention": (
        {**DECODER, "layers.1.multihead_attn.in_proj_weight": drawn(2 * WIDTH, WIDTH)},
        TRANSFORMER,
        "block 2's multihead_attn.in_proj_weight must be 24 × 8",
    ),
    "NaN in a second attention": (
        with_nan(DECODER, "layers.1.multihead_attn.in_proj_bias"),
        TRANSFORMER,
        "block 2's multihead_attn.in_proj_bias has a number",
    ),
    "widths of their own": (
        {**OTHER_WIDTH, "layers.0.multihead_attn.v_proj_weight": drawn(WIDTH, WIDTH)},
        TRANSFORMER,
        "keys and values of the second attention must have as many inputs",
    ),
    "keys without queries": (
        {**ENCODER, "layers.0.multihead_attn.q_proj_weight": drawn(WIDTH, WIDTH)},
        TRANSFORMER,
        "block 2 has no multihead_attn.q_proj_weight",
    ),
    "keys missing": (
        without(OTHER_WIDTH, *(f"layers.{k}.multihead_attn.k_proj_weight" for k in range(2))),
        TRANSFORMER,
        "block 1 has no multihead_attn.k_proj_weight",
    ),
    "both forms": (
        {**DECODER, **{name: each for name, each in OTHER_WIDTH.items() if "q_proj" in name}},
        TRANSFORMER,
        "two forms of the same",
    ),
    "GPT-2's second attention": (
        {**GPT_2, "transformer.h.0.crossattention.c_attn.weight": drawn(WIDTH, 2 * WIDTH)},
        TRANSFORMER,
        "block 2 has no crossattention.c_attn.weight",
    ),
    "half of GPT-2's second attention": (
        without(GPT_2_DECODER, *(f"transformer.h.{k}.crossattention.q_attn.weight" for k in range(2))),
        TRANSFORMER,
        "block 1 has no crossattention.q_attn.weight",
    ),
    "GPT-2's keys without values": (
        {**GPT_2_DECODER, "transformer.h.1.crossattention.c_attn.weight": drawn(WIDTH, WIDTH)},
        TRANSFORMER,
        f"block 2's crossattention.c_attn.weight must be {WIDTH} × {2 * WIDTH}",
    ),
    "encoder and decoder": (
        {**prefixed("encoder.", stack(encoder_layer)), **prefixed("decoder.", stack(decoder_layer))},
        TRANSFORMER,
        "send those of one stack",
    ),
    "two stacks": ({**ENCODER, **stack(encoder_layer, "others.")}, TRANSFORMER, "send those of one stack"),
    "missing in one": (without(ENCODER, "layers.1.linear2.weight"), TRANSFORMER, "block 2 has no linear2"),
    "missing in all": (
        without(ENCODER, "layers.0.linear2.weight", "layers.1.linear2.weight"),
        TRANSFORMER,
        "block 1 has no linear2.weight",
    ),
    "a bias missing in one": (
        without(ENCODER, "layers.0.linear1.bias"),
        TRANSFORMER,
        "1 has no linear1.bias",
    ),
    "no norm": (
        without(ENCODER, *(f"layers.{k}.norm1.{each}" for k in (0, 1) for each in ("weight", "bias"))),
        TRANSFORMER,
        "block 1 has no norm1.weight",
    ),
    "a gap": (
        {name.replace("layers.1.", "layers.2."): each for name, each in ENCODER.items()},
        TRANSFORMER,
        "numbers between theirs are missing",
    ),
    "twice": (
        {**RESIDUAL, "layers.0.linear1.weight": drawn(INNER, WIDTH)},
        RESIDUAL_BLOCK,
        "linear1.weight twic",
    ),
    "the same number": (
        {**ENCODER, **prefixed("layers.01.", encoder_layer())},
        TRANSFORMER,
        "two blocks have the same number",
    ),
    "misshapen": (
        {**ENCODER, "layers.1.linear1.weight": drawn(INNER, WIDTH + 1)},
        TRANSFORMER,
        "must be 12 × 8",
    ),
    "misshapen first": (
        {**ENCODER, "layers.0.self_attn.in_proj_weight": drawn(3 * WIDTH, 3)},
        TRANSFORMER,
        "one matrix of the width",
    ),
    "a vector": (
        {**ENCODER, "layers.0.self_attn.in_proj_weight": drawn(WIDTH)},
        TRANSFORMER,
        "one matrix of the width",
    ),
    "a bias's shape": (
        {**ENCODER, "layers.0.linear1.bias": drawn(WIDTH)},
        TRANSFORMER,
        "linear1.bias must be 12",
    ),
    "a gain's shape": ({**ENCODER, "layers.0.norm1.weight": drawn(3)}, TRANSFORMER, "norm1.weight must be 8"),
    "NaN": (with_nan(ENCODER, "layers.1.norm2.bias"), TRANSFORMER, "block 2's norm2.bias has a number"),
    "NaN in a matrix": (
        with_nan(GPT_2, "transformer.h.0.mlp.c_fc.weight"),
        TRANSFORMER,
        "block 1's mlp.c_fc",
    ),
    "whole numbers": (
        {**ENCODER, "layers.0.linear1.weight": np.ones((INNER, WIDTH), np.int64)},
        TRANSFORMER,
        "must be float64, float32, float16 or bfloat16",
    ),
    "empty": ({"0.weight": np.zeros((0, 0, 3))}, CONVOLUTION, "as many channels"),
    "no tensor of a block": ({**ENCODER, "layers.1.gamma": drawn(WIDTH)}, TRANSFORMER, "none of its own"),
    "channels": ({"0.weight": drawn(4, 3, 3)}, CONVOLUTION, "as many channels going in as coming out"),
    "a kernel": ({"0.weight": drawn(4, 4, 3, 2)}, CONVOLUTION, "as long in both dimensions"),
    "normalisation between": (
        {**CONVOLUTIONS, **affine("1", 4)},
        CONVOLUTION,
        "a vector belongs to no block",
    ),
    "half a layer": ({**recurrent(4), "weight_hh_l1": drawn(4 * WIDTH, WIDTH)}, LSTM, "has no weight_ih_l1"),
    "a layer left out": (
        without_layer(recurrent(4, layers=3), 1),
        LSTM,
        "the last here is weight_hh_l2",
    ),
    "the first layer left out": (
        without_layer(recurrent(4, layers=2), 0),
        LSTM,
        "the last here is weight_hh_l1",
    ),
    "too many layers": (recurrent(4, layers=101), LSTM, "there are 101 layers; the most is 100"),
    "a layer of another width": (
        {**recurrent(4, layers=2), "weight_ih_l1": drawn(4 * WIDTH, 3)},
        LSTM,
        f"weight_ih_l1 must be {4 * WIDTH} × {WIDTH}",
    ),
    "a bias missing in one layer": (
        without(recurrent(4, layers=2), "bias_hh_l1"),
        LSTM,
        "there is a bias_hh_l0 and no bias_hh_l1",
    ),
    "two cells": (
        {
            f"{place}.{name.removesuffix('_l0')}": each
            for place in range(2)
            for name, each in recurrent(4, WIDTH).items()
        },
        LSTM,
        "send one of them",
    ),
    "half of the other way": (
        {**recurrent(4), "weight_hh_l0_reverse": drawn(4 * WIDTH, WIDTH)},
        LSTM,
        "has no weight_ih_l0_reverse",
    ),
    "one layer of two both ways": (
        {**recurrent(4, layers=2), **both_ways(recurrent(4))},
        LSTM,
        "has no weight_hh_l1_reverse",
    ),
    "a layer that reads one way": (
        {**both_ways(recurrent(4, layers=2)), "weight_ih_l1": drawn(4 * WIDTH, WIDTH)},
        LSTM,
        "weight_ih_l1 must be 32 × 16",
    ),
    "only the other way": (
        {f"{name}_reverse": each for name, each in recurrent(4).items()},
        LSTM,
        "no tensor has the name",
    ),
    "a bias of one way": (
        without(both_ways(recurrent(4)), "bias_hh_l0_reverse"),
        LSTM,
        "there is a bias_hh_l0 and no bias_hh_l0_reverse",
    ),
    "NaN of the other way": (
        with_nan(both_ways(recurrent(4)), "weight_hh_l0_reverse"),
        LSTM,
        "weight_hh_l0_reverse has a number",
    ),
    "projections": ({**recurrent(4), "weight_hr_l0": drawn(3, WIDTH)}, LSTM, "projected"),
    "another cell": (recurrent(3), LSTM, "have 4 rows for each unit"),
    "a matrix left out": (
        {name.replace("fc2", "fc3"): each for name, each in RESIDUAL.items()},
        RESIDUAL_BLOCK,
        "linear1 and linear2",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_state_dicts_that_do_not_match_the_block(client: InProcess, name: str) -> None:
    tensors, block, said = REFUSED[name]
    answer = post(client, tensors, block)
    assert answer.status_code == 422, answer.text[:300]
    (error,) = answer.json()["errors"]
    assert said in error["msg"]
    assert error["loc"][:2] in (["body", "weights"], ["body", "block"])


@pytest.mark.parametrize(
    ("tensors", "block", "fields", "loc"),
    [
        (ENCODER, {**TRANSFORMER, "mlp_ratio": 4}, {}, ["block", "mlp_ratio"]),
        (ENCODER, {**TRANSFORMER, "norm": None}, {}, ["block", "norm"]),
        (ENCODER, {**TRANSFORMER, "heads": 3}, {}, ["block", "heads"]),
        (CONVOLUTIONS, {**CONVOLUTION, "kernel": 2}, {}, ["block", "kernel"]),
        (CONVOLUTIONS, {**CONVOLUTION, "size": 2}, {}, ["block", "kernel"]),
        (CONVOLUTIONS, {**CONVOLUTION, "dimensions": 2}, {}, ["block", "dimensions"]),
        (recurrent(4), {**LSTM, "forget_bias": 1.0}, {}, ["block", "forget_bias"]),
        (recurrent(4), {**LSTM, "features": 8}, {}, ["block", "features"]),
        (recurrent(4, layers=3), {**LSTM, "layers": 2}, {}, ["block", "layers"]),
        (RESIDUAL, {"kind": "residual", "matrices": 3}, {}, ["block", "matrices"]),
        (RESIDUAL, {"kind": "residual", "ratio": 1.0}, {}, ["block", "ratio"]),
        (RESIDUAL, {"kind": "residual", "norm": None}, {}, ["block", "norm"]),
        (DECODER, TRANSFORMER, {"memory": [[1.0] * (WIDTH + 1)]}, ["memory"]),
        (DECODER, TRANSFORMER, {"memory": [1.0] * WIDTH}, ["memory"]),
        (GPT_2_DECODER, TRANSFORMER, {"memory": [[1.0] * (WIDTH - 3)]}, ["memory"]),
        (OTHER_WIDTH, TRANSFORMER, {}, ["memory"]),
        (OTHER_WIDTH, TRANSFORMER, {"memory": [[1.0] * WIDTH]}, ["memory"]),
        (DECODER, TRANSFORMER, {"memory": [[[1.0] * WIDTH]]}, ["memory"]),
        (DECODER, TRANSFORMER, {"memory": []}, ["memory"]),
        (DECODER, TRANSFORMER, {"memory": 1.0}, ["memory"]),
        (DECODER, TRANSFORMER, {"memory": [["NaN"] * WIDTH]}, ["memory"]),
        (DECODER, {**TRANSFORMER, "cross_attention": False}, {}, ["block", "cross_attention"]),
        (ENCODER, {**TRANSFORMER, "cross_attention": True}, {}, ["block", "cross_attention"]),
        (ENCODER, TRANSFORMER, {"memory": [[1.0] * WIDTH]}, ["memory"]),
        (RESIDUAL, RESIDUAL_BLOCK, {"memory": [[1.0] * WIDTH]}, ["memory"]),
        (ENCODER, TRANSFORMER, {"depth": 2}, ["depth"]),
        (ENCODER, TRANSFORMER, {"width": 8}, ["width"]),
        (ENCODER, TRANSFORMER, {"networks": 2}, ["networks"]),
        (ENCODER, TRANSFORMER, {"activation": ["tanh"] * 3}, ["activation"]),
        (ENCODER, TRANSFORMER, {"engine": "deferred"}, ["engine"]),
        (ENCODER, TRANSFORMER, {"inputs": [[1.0, 2.0]]}, ["inputs"]),
        (ENCODER, TRANSFORMER, {"upstream": [[1.0, 2.0]], "batch": 1}, ["upstream"]),
        (ENCODER, TRANSFORMER, {"train": True}, ["train"]),
        (recurrent(4), LSTM, {"inputs": [[1.0, 2.0, 3.0]]}, ["inputs"]),
        (recurrent(4), LSTM, {"inputs": [[[1.0, 2.0]]]}, ["inputs"]),
        (recurrent(4), LSTM, {"inputs": [[[1.0, 2.0, 3.0]]], "depth": 2}, ["depth"]),
        (recurrent(4), LSTM, {"depth": 10**9}, ["depth"]),
        (both_ways(recurrent(4)), LSTM, {"depth": 10**9}, ["depth"]),
        (both_ways(recurrent(4)), LSTM, {"depth": 10**7}, ["depth"]),
        (both_ways(recurrent(4)), {**LSTM, "bidirectional": False}, {}, ["block", "bidirectional"]),
        (recurrent(4), {**LSTM, "bidirectional": True}, {}, ["block", "bidirectional"]),
        (both_ways(recurrent(4)), LSTM, {"upstream": [[1.0] * WIDTH], "batch": 1, "depth": 2}, ["upstream"]),
    ],
)
def test_fields_that_contradict_the_weights(
    client: InProcess, tensors: Tensors, block: dict[str, Any], fields: dict[str, Any], loc: list[str]
) -> None:
    answer = post(client, tensors, block, **fields)
    assert answer.status_code == 422, answer.text[:300]
    assert answer.json()["errors"][0]["loc"] == ["body", *loc]


def test_nothing_is_read_before_all_names_and_shapes_are_known() -> None:
    """If the last tensor is refused, none of the others has been read."""

    class Declared:
        def __init__(self, name: str, shape: tuple[int, ...]) -> None:
            self.name, self.shape, self.dtype = name, shape, np.dtype(np.float64)

        def read(self) -> np.ndarray:
            raise AssertionError

    def declared(tensors: Tensors, **others: tuple[int, ...]) -> StateDict:
        return StateDict(
            [Declared(name, others.get(name, each.shape)) for name, each in tensors.items()], 10**9
        )

    wrong = {"layers.1.norm2.bias": (WIDTH + 1,)}
    refused: list[tuple[StateDict, dict[str, Any]]] = [
        (declared(ENCODER, **wrong), {}),
        (declared({**ENCODER, "layers.1.last": drawn(2)}), {}),
        (declared(DECODER), {"memory": np.ones((3, WIDTH + 1))}),
    ]
    tracemalloc.start()
    for given, options in refused:
        with pytest.raises(InvalidValue):
            adopted(block("transformer", {"heads": 2, **options}), given, 1, ())
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_the_limit_on_numbers() -> None:
    application = create_app(Settings(max_elements=1000))
    with start_blocking_portal() as portal:
        lifespan = application.router.lifespan_context(application)
        with portal.wrap_async_context_manager(lifespan):
            answer = post(InProcess(portal, application), ENCODER, TRANSFORMER)
    assert answer.status_code == 422
    assert "numbers; the limit is 1,000" in answer.json()["errors"][0]["msg"]


@pytest.mark.parametrize("kind", BLOCKS)
def test_every_kind_of_block_is_made_of_weights(kind: str) -> None:
    made = block(kind, {})
    assert made.layouts
    names = {each.names[0] for each in made.shapes(16, 1)}
    for layout in made.layouts:
        parts = {entry.part for entry in layout.entries if entry.kind == "weight"}
        assert names <= parts
        assert {name for name, _ in made.norms(16)} <= {entry.part for entry in layout.entries}
