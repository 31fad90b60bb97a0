"""``POST /gradient-flow`` over ASGI."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from httpx import Response

from app.api.experiments import described
from app.api.trials import planned_trial, tried
from app.contract.gradient_flow import GradientFlowRequest, GradientFlowResponse, TrialFields
from app.core.jobs import in_turn
from app.core.training.trial import STEPS
from app.settings import Settings
from tests.conftest import InProcess

SMALL = {"activation": "tanh", "depth": 4, "width": 32, "batch": 4, "networks": 2}


def post(client: InProcess, **fields: Any) -> Response:
    return client.post("/gradient-flow", json={**SMALL, **fields})


def test_the_answer_has_the_contract_s_fields(client: InProcess) -> None:
    answer = post(client).json()
    assert list(answer) == [
        *("engine", "seed", "networks", "networks_dead", "dtype", "layers"),
        *("gradient", "theory", "verdict", "remedies"),
    ]
    assert list(answer["layers"][0]) == [
        *("layer", "fan_in", "fan_out", "preactivation_variance", "activation_mean"),
        *("activation_mean_square", "correlation", "saturated_fraction", "dead_fraction"),
        *("gradient_log10_rms", "weight_gradient_log10_norm"),
    ]
    assert [each["layer"] for each in answer["layers"]] == [1, 2, 3, 4]
    assert list(answer["gradient"]) == ["log10_ratio", "factor_per_layer", "underflow", "mixed_precision"]
    assert len(answer["theory"]["layers"]) == 4


def test_only_the_activation_is_required(client: InProcess) -> None:
    answer = client.post("/gradient-flow", json={"activation": "relu"}).json()
    assert len(answer["layers"]) == 50
    assert answer["networks"] == 8
    assert answer["verdict"]["state"] == "healthy"


@pytest.mark.parametrize(
    ("activation", "init"),
    [
        *((name, "he_normal") for name in ("relu", "leaky_relu", "prelu", "relu6", "elu", "gelu", "silu")),
        *((name, "he_normal") for name in ("torch:Mish", "keras:leaky_relu", "formula:max(x, 0)")),
        *((name, "xavier_normal") for name in ("sigmoid", "tanh", "selu", "linear", "softsign", "maxout")),
        *((name, "xavier_normal") for name in ("formula:tanh(2 * x)", "formula:log(x)")),
    ],
)
def test_the_initialisation_suits_the_activation_by_default(
    client: InProcess, activation: str, init: str
) -> None:
    said: list[dict[str, Any]] = [{}, {"init": init}, {"init": None}]
    answers = [post(client, activation=activation, **each) for each in said]
    assert answers[0].status_code == 200
    assert answers[0].content == answers[1].content == answers[2].content


def test_each_layer_has_the_default_initialisation_of_its_activation(client: InProcess) -> None:
    listed = {"activation": ["relu", "tanh", "gelu", "sigmoid"]}
    said = {"init": ["he_normal", "xavier_normal", "he_normal", "xavier_normal"]}
    fields = {key: value for key, value in SMALL.items() if key not in ("activation", "depth")}
    answers = [client.post("/gradient-flow", json={**fields, **listed, **init}) for init in ({}, said)]
    assert answers[0].status_code == 200
    assert answers[0].content == answers[1].content


@pytest.mark.parametrize(
    ("block", "init"),
    [("convolution", "he_normal"), ("residual", "xavier_normal"), ("transformer", "xavier_normal")],
)
def test_blocks_with_branches_keep_glorots_initialisation(client: InProcess, block: str, init: str) -> None:
    fields: dict[str, Any] = {"activation": "relu", "block": {"kind": block}, "networks": 1}
    answers = [post(client, **fields), post(client, **fields, init=init)]
    assert answers[0].status_code == 200
    assert answers[0].content == answers[1].content


@pytest.mark.parametrize("engine", ["dense", "deferred", "auto"])
def test_the_same_seed_gives_the_same_bytes(client: InProcess, engine: str) -> None:
    answers = [post(client, engine=engine, seed=seed).content for seed in (2**64 - 1, 2**64 - 1, 0)]
    assert answers[0] == answers[1]
    assert answers[0] != answers[2]


def test_a_real_batch(client: InProcess) -> None:
    batch = [[0.5, -1.0, 2.0], [1.0, 0.0, 0.5]]
    fields = {"activation": "tanh", "width": [3, 16, 4], "inputs": batch, "networks": 1}
    answer = client.post("/gradient-flow", json=fields).json()
    assert [(each["fan_in"], each["fan_out"]) for each in answer["layers"]] == [(3, 16), (16, 4)]


@pytest.mark.parametrize("init", ["orthogonal", "critical", {"sigma_w": 1.5, "sigma_b": 0.05}])
@pytest.mark.parametrize(
    "extra",
    [{"normalization": "layer_norm"}, {"residual": {"scale": 0.5}}, {"normalization": "batch_norm"}, {}],
)
def test_variants_of_a_network(client: InProcess, init: Any, extra: dict[str, Any]) -> None:
    answer = post(client, init=init, **extra)
    assert answer.status_code == 200, answer.text
    theory = answer.json()["theory"]
    assert theory is not None
    assert (theory["finite_width"] is None) == bool(extra)
    assert len(theory["layers"]) == 4


@pytest.mark.parametrize(
    ("fields", "loc"),
    [
        ({"depth": 10**9}, "width"),
        ({"width": 10**12}, "width"),
        ({"depth": 10**9, "width": 1, "batch": 1}, "width"),
        ({"depth": 0}, "depth"),
        ({"activation": "tahn"}, "activation"),
        ({"width": [8, 8]}, "depth"),
        ({"init": "critical", "activation": "silu"}, "init"),
        ({"init": "clever"}, "init"),
        ({"sigma_b": 0.1}, "sigma_b"),
        ({"inputs": [[1.0, "NaN"]], "batch": 1}, "inputs"),
        ({"inputs": [1.0, 2.0]}, "inputs"),
        ({"seed": 2**64}, "seed"),
        ({"engine": "deferred", "init": "he_uniform"}, "engine"),
    ],
)
def test_bad_fields(client: InProcess, fields: dict[str, Any], loc: str) -> None:
    answer = post(client, **fields)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["loc"][1] == loc


def test_the_limit_is_named(client: InProcess) -> None:
    detail = post(client, depth=10**9).json()["detail"]
    assert "operations; the limit is 10,000,000,000,000" in detail


def test_events(client: InProcess) -> None:
    answer = client.post("/gradient-flow", json=SMALL, headers={"Accept": "text/event-stream"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [
        dict(line.split(": ", 1) for line in each.split("\n")) for each in answer.text.split("\n\n")[:-1]
    ]
    assert {each["event"] for each in events[:-1]} == {"progress"}
    assert events[-1]["event"] == "result"
    assert json.loads(events[-1]["data"]) == post(client).json()


def test_errors_after_the_start_are_events(client: InProcess) -> None:
    answer = client.begun(
        "/gradient-flow", json={**SMALL, "depth": 50_000}, headers={"Accept": "text/event-stream"}
    )
    name, data = answer.text.split("\n\n")[-2].split("\n")
    assert name == "event: error"
    assert json.loads(data.removeprefix("data: "))["status"] == 504


def test_the_deadline(client: InProcess) -> None:
    answer = client.post("/gradient-flow", json={**SMALL, "depth": 2000}, headers={"Request-Timeout": "0.05"})
    assert answer.status_code == 504


BLAS_THREADS = """
from threadpoolctl import threadpool_info
import app.main
from app.compute.threads import ComputeThreads
threads = ComputeThreads(2, 1)
print([each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"])
"""


def test_blas_keeps_to_one_thread() -> None:
    """With its own threads the last bits would depend on the number of cores.

    In a separate process: the limit is global to a process, and other tests change it.
    """
    run = subprocess.run([sys.executable, "-c", BLAS_THREADS], capture_output=True, check=True, text=True)
    counts = json.loads(run.stdout)
    assert counts
    assert all(count == 1 for count in counts)


TRIED = {"depth": 6, "width": 32, "networks": 2, "train": True}


def test_a_verdict_that_is_tried(client: InProcess) -> None:
    answer = client.post("/gradient-flow", json={**TRIED, "activation": "relu", "init": "he_normal"}).json()
    GradientFlowResponse.model_validate(answer)
    assert (answer["verdict"]["state"], answer["training"]["state"]) == ("healthy", "learns")
    assert answer["training"]["accuracy"]["median"] > 0.5
    assert str(answer["training"]["steps"]) in answer["training"]["summary"]["ko"]


def test_a_network_whose_gradient_vanishes_does_not_learn() -> None:
    body = GradientFlowRequest.model_validate({**TRIED, "activation": "sigmoid", "init": "lecun_normal"})
    trial = planned_trial(body, described(body, Settings()).network, 1e9)
    assert trial is not None
    found = tried(trial, in_turn)
    assert found["state"] == "does_not_learn"
    assert found["accuracy"]["median"] < 0.2


def test_a_large_network_is_tried_narrower_and_as_deep() -> None:
    body = GradientFlowRequest.model_validate({"activation": "relu", "train": True})
    trial = planned_trial(body, described(body, Settings()).network, 8e9)
    assert trial is not None
    assert trial.training is not None
    assert trial.narrowed
    assert trial.training.learner.sizes == (64, *[128] * 50, 10)
    assert (trial.training.runs, trial.training.steps) == (1, STEPS)


def test_only_wide_layers_are_narrowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.core.training.trial.MOST_WORK", 1.2e10)
    asked = {"activation": "relu", "width": [64, 256, 20, 256], "train": True}
    body = GradientFlowRequest.model_validate(asked)
    trial = planned_trial(body, described(body, Settings()).network, 8e9)
    assert trial is not None
    assert trial.training is not None
    wide, narrow, last = trial.training.learner.sizes[1:-1]
    assert 32 <= wide == last < 256
    assert narrow == 20
    found = TrialFields.model_validate(tried(trial, in_turn))
    assert found.width == wide
    assert str(wide) in found.summary.ko


@pytest.mark.parametrize(("depth", "memory"), [(2000, 8e9), (64, 1e5)], ids=["too long", "too large"])
def test_a_network_that_cannot_be_tried_is_still_judged(depth: int, memory: float) -> None:
    body = GradientFlowRequest.model_validate({"activation": "relu", "depth": depth, "train": True})
    trial = planned_trial(body, described(body, Settings()).network, memory)
    assert trial is not None
    found = TrialFields.model_validate(tried(trial, in_turn))
    assert (found.state, found.steps, trial.bytes) == ("not_tried", 0, 0)
    assert str(STEPS) in found.summary.en


def test_nothing_is_trained_without_a_request(client: InProcess) -> None:
    assert "training" not in post(client).json()


def test_an_initialiser_in_detail_is_the_one_of_that_name(client: InProcess) -> None:
    detail = {"distribution": "uniform", "gain": 1.0, "fan": "average"}
    assert post(client, init=detail).json() == post(client, init="xavier_uniform").json()


@pytest.mark.parametrize(
    "init",
    [
        {"distribution": "cauchy"},
        {"distribution": "normal", "gain": -1},
        {"distribution": "normal", "fan": "both"},
        {"distribution": "normal", "sigma_w": 1.0},
        {"gain": 1.0},
    ],
)
def test_an_invalid_initialiser_in_detail(client: InProcess, init: dict[str, Any]) -> None:
    answer = post(client, init=init)
    assert answer.status_code == 422
    assert len(answer.content) < 10_000


def test_a_name_that_means_one_thing_to_all_frameworks_needs_no_prefix(client: InProcess) -> None:
    assert post(client, activation="identity").json() == post(client, activation="linear").json()
