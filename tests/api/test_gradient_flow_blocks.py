"""``POST /gradient-flow`` with blocks, over ASGI."""

from __future__ import annotations

import math
from typing import Any

import pytest
from httpx import Response

from app.contract.gradient_flow import GradientFlowResponse
from tests.conftest import InProcess

SMALL = {"activation": "relu", "init": "he_normal", "depth": 4, "width": 16, "batch": 4, "networks": 2}

SECOND = {"kind": "transformer", "cross_attention": True}
LSTM = {"kind": "recurrent", "cell": "lstm"}


def post(client: InProcess, **fields: Any) -> Response:
    return client.post("/gradient-flow", json={**SMALL, **fields})


@pytest.mark.parametrize("engine", ["dense", "deferred"])
@pytest.mark.parametrize(
    ("block", "names"),
    [
        ({"kind": "residual"}, ["W1", "W2"]),
        ({"kind": "residual", "matrices": 1, "norm": None, "branch": "depth_scaled"}, ["W1"]),
        ({"kind": "residual", "norm": "post", "skip": 0.5, "branch": 2}, ["W1", "W2"]),
        ({"kind": "residual", "norm": "inside", "matrices": 3, "ratio": 0.25}, ["W1", "W2", "W3"]),
        (
            {"kind": "transformer", "heads": 4, "causal": False},
            ["query", "key", "value", "output", "mlp_1", "mlp_2"],
        ),
        (
            {"kind": "transformer", "heads": 4, "cross_attention": True},
            [
                "query",
                "key",
                "value",
                "output",
                "cross_query",
                "cross_key",
                "cross_value",
                "cross_output",
                "mlp_1",
                "mlp_2",
            ],
        ),
        ({"kind": "convolution", "size": 5}, ["W"]),
        ({"kind": "convolution", "size": 4, "kernel": 2, "dimensions": 2, "padding": "zeros"}, ["W"]),
        ({"kind": "recurrent"}, ["W_hh", "W_ih"]),
        (
            {"kind": "recurrent", "cell": "lstm", "forget_bias": 0.5},
            ["W_hi", "W_hf", "W_hg", "W_ho", "W_ii", "W_if", "W_ig", "W_io"],
        ),
        (
            {"kind": "recurrent", "layers": 2, "bidirectional": True},
            [
                "W_hh",
                "W_ih",
                "W_hh_reverse",
                "W_ih_reverse",
                "W_hh_l1",
                "W_ih_l1",
                "W_hh_l1_reverse",
                "W_ih_l1_reverse",
            ],
        ),
        ({"kind": "recurrent", "cell": "gru"}, ["W_hr", "W_hz", "W_hn", "W_ir", "W_iz", "W_in"]),
    ],
)
def test_a_block_s_figures(client: InProcess, engine: str, block: dict[str, Any], names: list[str]) -> None:
    answer = post(client, block=block, engine=engine).json()
    GradientFlowResponse.model_validate(answer)
    assert (answer["engine"], len(answer["layers"])) == (engine, 4)
    for layer in answer["layers"]:
        assert [each["name"] for each in layer["matrices"]] == names
        positions = block["size"] ** block.get("dimensions", 1) if "size" in block else 1
        directions = 2 if block.get("bidirectional") else 1
        assert layer["fan_in"] == layer["fan_out"] == 16 * positions * directions
        assert layer["weight_gradient_log10_norm"]["median"] is not None
        assert (layer.get("cell_gradient_log10_rms") is not None) == (block.get("cell") == "lstm")
    assert answer["theory"] is None or answer["theory"]["layers"]


@pytest.mark.parametrize(
    ("fields", "loc"),
    [
        ({"block": {"kind": "recursive"}}, ["body", "block"]),
        ({"block": {"norm": "pre"}}, ["body", "block"]),
        ({"block": {"kind": "residual", "matrices": 4}}, ["body", "block"]),
        ({"block": {"kind": "residual", "ratio": 0.01}}, ["body", "block", "ratio"]),
        ({"block": {"kind": "residual", "matrices": 1, "ratio": 2}}, ["body", "block", "ratio"]),
        ({"block": {"kind": "residual", "norm": "inside"}, "activation": "swiglu"}, ["body", "activation"]),
        ({"block": {"kind": "residual"}, "normalization": "batch_norm", "batch": 1}, ["body", "batch"]),
        ({"block": {"kind": "residual", "norm": "before"}}, ["body", "block"]),
        ({"block": {"kind": "residual", "branch": "scaled"}}, ["body", "block"]),
        ({"block": {"kind": "residual", "heads": 4}}, ["body", "block"]),
        ({"block": {"kind": "residual"}, "width": [8, 8, 9], "depth": None}, ["body", "width"]),
        ({"block": {"kind": "residual"}, "residual": {"scale": 1}}, ["body", "residual"]),
        ({"block": {"kind": "transformer"}, "normalization": "batch_norm"}, ["body", "normalization"]),
        (
            {"block": {"kind": "residual", "norm": None}, "normalization": "rms_norm"},
            ["body", "normalization"],
        ),
        ({"block": {"kind": "residual"}, "inputs": [[1.0, 2.0]], "batch": None}, ["body", "width"]),
        ({"block": {"kind": "residual"}, "train": True}, ["body", "train"]),
        (
            {"block": {"kind": "transformer"}, "activation": "prelu", "params": {"weight": [0.1] * 16}},
            ["body", "params"],
        ),
        ({"block": {"kind": "transformer", "heads": 3}}, ["body", "block", "heads"]),
        ({"block": {"kind": "transformer"}, "memory": [[1.0] * 16]}, ["body", "memory"]),
        ({"block": SECOND, "memory": [[1.0] * 15]}, ["body", "memory"]),
        ({"block": SECOND, "memory": [[1.0] * 16] * 3, "width": 10**12}, ["body", "memory"]),
        ({"block": SECOND, "width": 10**12}, ["body", "width"]),
        ({"block": SECOND, "memory": [["Infinity"] * 16]}, ["body", "memory"]),
        ({"memory": [[1.0] * 16]}, ["body", "memory"]),
        ({"block": LSTM, "memory": [[1.0] * 16]}, ["body", "memory"]),
        ({"block": {**SECOND, "cross_attention": 1}}, ["body", "block", "transformer", "cross_attention"]),
        ({"block": {"kind": "transformer", "heads": 0}}, ["body", "block", "transformer", "heads"]),
        ({"block": {"kind": "transformer", "mlp_ratio": 1e9}}, ["body", "block", "transformer", "mlp_ratio"]),
        ({"block": {"kind": "transformer"}, "width": 65536, "engine": "dense"}, ["body", "width"]),
        ({"block": {"kind": "transformer"}, "width": 10**12}, ["body", "width"]),
        ({"block": {"kind": "transformer"}, "batch": 10**6}, ["body", "width"]),
        ({"block": {"kind": "residual"}, "depth": 10**9}, ["body", "width"]),
        ({"block": LSTM, "depth": 10**9}, ["body", "width"]),
        ({"block": {"kind": "convolution", "kernel": 33}}, ["body", "block", "kernel"]),
        ({"block": {"kind": "convolution", "kernel": 0}}, ["body", "block", "convolution", "kernel"]),
        ({"block": {"kind": "convolution", "size": 10**9}}, ["body", "block", "convolution", "size"]),
        (
            {"block": {"kind": "convolution", "dimensions": 3}},
            ["body", "block", "convolution", "dimensions"],
        ),
        (
            {"block": {"kind": "convolution", "padding": "reflect"}},
            ["body", "block", "convolution", "padding"],
        ),
        ({"block": {"kind": "convolution", "size": 10**6, "dimensions": 2}}, ["body", "width"]),
        ({"block": {"kind": "convolution"}, "width": 10**12}, ["body", "width"]),
        ({"block": {"kind": "convolution"}, "init": "lsuv"}, ["body", "init"]),
        ({"block": {"kind": "convolution"}, "inputs": [[1.0] * 16], "batch": None}, ["body", "inputs"]),
        ({"block": {"kind": "convolution"}, "normalization": "batch_norm"}, ["body", "normalization"]),
        ({"block": LSTM, "init": "lsuv"}, ["body", "init"]),
        ({"block": LSTM, "dropout": {"rate": 0.1}}, ["body", "dropout"]),
        ({"block": LSTM, "activation": ["tanh"] * 4}, ["body", "activation"]),
        ({"block": LSTM, "depth": 10**5, "width": 4096}, ["body", "width"]),
        ({"block": LSTM, "width": 10**12}, ["body", "width"]),
        ({"block": LSTM, "width": 16384, "engine": "dense"}, ["body", "width"]),
        ({"block": LSTM, "batch": 10**6}, ["body", "width"]),
        ({"block": LSTM, "width": [8, 8, 9], "depth": None}, ["body", "width"]),
        ({"block": LSTM, "inputs": [[1.0] * 16], "batch": None}, ["body", "inputs"]),
        ({"block": LSTM, "normalization": "layer_norm"}, ["body", "normalization"]),
        ({"block": LSTM, "activation": "swiglu"}, ["body", "activation"]),
        ({"block": LSTM, "init": "orthogonal", "engine": "deferred"}, ["body", "engine"]),
        ({"block": {**LSTM, "cell": "elman"}}, ["body", "block", "recurrent", "cell"]),
        ({"block": {**LSTM, "forget_bias": 1e9}}, ["body", "block", "recurrent", "forget_bias"]),
        ({"block": {**LSTM, "forget_bias": "NaN"}}, ["body", "block", "recurrent", "forget_bias"]),
        ({"block": {"kind": "residual"}, "width": 10**12}, ["body", "width"]),
        ({"block": {"kind": "residual", "matrices": True}}, ["body", "block", "residual", "matrices"]),
        (
            {"block": {"kind": "convolution", "dimensions": True}},
            ["body", "block", "convolution", "dimensions"],
        ),
        ({"block": {**LSTM, "layers": 0}}, ["body", "block", "recurrent", "layers"]),
        ({"block": {**LSTM, "layers": 101}}, ["body", "block", "recurrent", "layers"]),
        ({"block": {**LSTM, "layers": 100}, "depth": 10**5}, ["body", "width"]),
        ({"block": {**LSTM, "bidirectional": True}, "depth": 10**9}, ["body", "width"]),
        ({"block": {**LSTM, "bidirectional": True}, "width": 10**12}, ["body", "width"]),
        ({"block": {**LSTM, "bidirectional": 1}}, ["body", "block", "recurrent", "bidirectional"]),
    ],
)
def test_invalid_blocks(client: InProcess, fields: dict[str, Any], loc: list[str]) -> None:
    answer = post(client, **fields)
    assert answer.status_code == 422, answer.text
    error = answer.json()["errors"][0]
    assert error["loc"][: len(loc)] == loc
    assert "recursive" not in answer.text
    assert len(answer.content) < 10_000


def test_a_field_of_another_kind_is_not_taken_for_a_misspelling(client: InProcess) -> None:
    for block, said in (
        ({"kind": "residual", "heads": 2}, "belongs to another part"),
        ({"kind": "transformer", "head": 2}, "did you mean heads?"),
    ):
        (error,) = post(client, block=block).json()["errors"]
        assert said in error["msg"]


def test_layers_that_differ(client: InProcess) -> None:
    fields = {
        "activation": ["relu", {"activation": "leaky_relu", "params": {"negative_slope": 0.2}}, "identity"],
        "init": ["he_normal", "orthogonal", {"sigma_w": 1.0}],
        "width": [12, 16, 16, 3],
        "depth": None,
    }
    answer = post(client, **fields)
    assert answer.status_code == 200, answer.text
    GradientFlowResponse.model_validate(answer.json())
    assert [each["fan_out"] for each in answer.json()["layers"]] == [16, 16, 3]
    assert answer.json()["layers"][2]["saturated_fraction"]["median"] == 0


def test_a_list_determines_the_depth(client: InProcess) -> None:
    answer = post(client, activation=["relu"] * 6 + ["linear"], depth=None, init="lsuv")
    assert len(answer.json()["layers"]) == 7
    for layer in answer.json()["layers"]:
        assert layer["preactivation_variance"]["median"] == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("kind", ["standard", "alpha"])
@pytest.mark.parametrize("block", [None, {"kind": "transformer"}, {"kind": "residual"}])
def test_dropout(client: InProcess, kind: str, block: dict[str, Any] | None) -> None:
    with_it, without = (
        post(client, block=block, dropout=each) for each in ({"rate": 0.3, "kind": kind}, None)
    )
    assert with_it.status_code == 200, with_it.text
    assert with_it.json()["layers"] != without.json()["layers"]
    assert (
        post(client, block=block, dropout={"rate": 0.0, "kind": kind}).json()["layers"]
        == without.json()["layers"]
    )


@pytest.mark.parametrize(
    ("fields", "loc"),
    [
        ({"activation": ["relu"] * 3}, "activation"),
        ({"activation": []}, "activation"),
        ({"activation": ["relu", "tahn", "relu", "relu"]}, "activation"),
        ({"activation": ["leaky_relu"] * 4, "params": {"negative_slope": 0.1}}, "params"),
        ({"init": ["he_normal"] * 5}, "init"),
        ({"init": ["he_normal", "clever", "lsuv", "lsuv"]}, "init"),
        ({"activation": ["relu"] * 3, "init": ["he_normal"] * 4}, "init"),
        ({"activation": ["relu"] * 10_001, "depth": None}, "activation"),
        ({"activation": ["relu", "swiglu"] * 2, "block": {"kind": "residual"}}, "activation"),
        ({"dropout": {"rate": 1.0}}, "dropout"),
        ({"dropout": {"rate": 0.1, "kind": "spatial"}}, "dropout"),
        ({"dropout": 0.1}, "dropout"),
        ({"dropout": {"rate": 0.1}, "train": True}, "train"),
        ({"init": "lsuv", "train": True}, "train"),
        ({"activation": ["relu"] * 4, "train": True}, "train"),
    ],
)
def test_invalid_lists_and_dropout(client: InProcess, fields: dict[str, Any], loc: str) -> None:
    answer = post(client, **fields)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["loc"][:2] == ["body", loc]
    assert len(answer.content) < 10_000
    assert "clever" not in answer.text


@pytest.mark.parametrize(
    "block", [LSTM, {"kind": "recurrent"}, {"kind": "convolution", "size": 4, "padding": "zeros"}]
)
def test_a_sick_network_of_either_kind_gets_remedies(client: InProcess, block: dict[str, Any]) -> None:
    sick = {"activation": "tanh", "init": {"sigma_w": 0.5}, "depth": 40}
    answer = post(client, block=block, **sick)
    assert answer.status_code == 200, answer.text
    fields = answer.json()
    GradientFlowResponse.model_validate(fields)
    assert fields["verdict"]["state"] == "vanishing"
    theory = fields["theory"]
    if block["kind"] == "recurrent":
        assert theory is None
    else:  # of every position on its own: there is no fixed point of one number
        assert [theory[name] for name in ("q_star", "c_star", "chi_1", "critical_sigma_w")] == [None] * 4
        assert theory["predicted_log10_ratio"] < -5
        assert all(each["q"] > 0 and each["chi"] < 0.5 for each in theory["layers"])
    for remedy in fields["remedies"]:
        again = post(client, **{"block": block, **sick, **remedy["change"]})
        assert again.status_code == 200, again.text


def test_a_wide_lstm_is_within_the_limits(client: InProcess) -> None:
    """It is refused with the dense engine (above), but not with the deferred one."""
    wide = {
        "block": LSTM,
        "width": 16384,
        "depth": 3,
        "networks": 1,
        "dtype": "float32",
        "activation": "tanh",
    }
    answer = post(client, **wide).json()
    assert answer["engine"] == "deferred"
    assert len(answer["layers"]) == 3


@pytest.mark.parametrize("engine", ["dense", "deferred"])
def test_a_second_attention_looks_at_the_inputs_or_at_a_memory(client: InProcess, engine: str) -> None:
    tokens = [[math.sin(16 * row + column) for column in range(16)] for row in range(4)]
    fields = {"block": SECOND, "inputs": tokens, "batch": None, "engine": engine}
    plain, same, longer = (
        post(client, **fields, **memory).json()
        for memory in ({}, {"memory": tokens}, {"memory": tokens * 3 + tokens[:1]})
    )
    assert [each["memory"] for each in (plain, same, longer)] == ["inputs", "given", "given"]
    assert plain["layers"] == same["layers"] != longer["layers"]
    for answer, most in ((plain, 4), (longer, 13)):
        GradientFlowResponse.model_validate(answer)
        for layer in answer["layers"]:
            assert 0 < layer["cross_attention_entropy"]["median"] <= math.log(most)
            assert 0 < layer["attention_entropy"]["median"] < math.log(4)
    assert "memory" not in post(client, block={"kind": "transformer"}).json()


def test_remedies_repeat_no_memory(client: InProcess) -> None:
    answer = post(client, block={**SECOND, "norm": None}, memory=[[1.0] * 16], depth=12).json()
    changed = [each["change"]["block"] for each in answer["remedies"] if "block" in each["change"]]
    assert changed
    for each in changed:
        assert "memory" not in each
        assert post(client, block=each, memory=[[1.0] * 16]).is_success
