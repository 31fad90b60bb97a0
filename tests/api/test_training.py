"""``POST /training`` over ASGI."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from httpx import Response
from safetensors.numpy import save

from app.contract.training import TrainingLine, TrainingResponse
from tests.conftest import InProcess

SMALL = {"activations": ["tanh", "relu"], "hidden": [6, 5], "steps": 20, "runs": 3, "frames": 4}


def post(client: InProcess, **fields: Any) -> Response:
    return client.post("/training", json={**SMALL, **fields})


def lines(client: InProcess, **fields: Any) -> list[dict[str, Any]]:
    answer = client.post("/training", json={**SMALL, **fields}, headers={"Accept": "application/jsonl"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/jsonl")
    return [json.loads(each) for each in answer.text.splitlines()]


def untimed(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer without timings."""
    for each in answer["activations"]:
        each.pop("timing", None)
    return answer


def test_the_answer_is_the_result_with_all_frames(client: InProcess) -> None:
    answer = post(client).json()
    TrainingResponse.model_validate(answer)
    assert [each["step"] for each in answer["frames"]] == [0, 5, 10, 15, 20]
    for part in (answer, *answer["frames"]):
        assert [each["activation"] for each in part["activations"]] == ["tanh", "relu"]
    layers = answer["frames"][-1]["activations"][0]["layers"]
    assert [each["layer"] for each in layers] == [1, 2, 3]
    assert layers[-1]["dead_fraction"]["median"] is None


def test_the_stream_has_the_same_content_as_the_answer(client: InProcess) -> None:
    answer = post(client).json()
    found = lines(client)
    for each in found:
        TrainingLine.model_validate(each)
    assert [each["type"] for each in found] == ["start", *["frame"] * 5, "result"]
    assert found[0] == answer["start"]
    assert found[1:-1] == answer["frames"]
    assert untimed(found[-1])["activations"] == untimed(answer)["activations"]


def test_events(client: InProcess) -> None:
    answer = client.post("/training", json=SMALL, headers={"Accept": "text/event-stream"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [
        dict(line.split(": ", 1) for line in each.split("\n")) for each in answer.text.split("\n\n")[:-1]
    ]
    assert [each["event"] for each in events] == ["start", *["frame"] * 5, "result"]
    assert json.loads(events[1]["data"])["step"] == 0


def test_the_same_seed_gives_the_same_figures_and_another_seed_others(client: InProcess) -> None:
    batches = {"optimizer": {"kind": "adam", "learning_rate": 0.01, "batch": 32}}
    first, again, other = (
        untimed(post(client, **batches, seed=seed).json()) for seed in (2**64 - 1, 2**64 - 1, 0)
    )
    assert first == again
    assert first["frames"] != other["frames"]


def test_what_is_watched(client: InProcess) -> None:
    watch = {"boundary": 5, "weights": [[0, 0, 0], [2, 0, 4]]}
    answer = post(client, watch=watch).json()
    assert answer["start"]["boundary"]["points"] == 5
    last = answer["frames"][-1]["activations"][0]
    assert len(last["boundary"]) == len(last["boundary"][0]) == 5
    assert all(0 <= value <= 1 for row in last["boundary"] for value in row)
    assert [len(each) for each in last["weights"]] == [2, 2, 2]
    assert answer["activations"][0]["zigzag"]["path_over_distance"]["median"] >= 1


def test_a_run_that_diverges_is_a_finding(client: InProcess) -> None:
    answer = post(client, optimizer={"learning_rate": 1e300}).json()
    for each in answer["activations"]:
        assert [found["run"] for found in each["diverged"]] == [0, 1, 2]
        assert all(0 < found["step"] <= 20 for found in each["diverged"])
        assert each["loss"] == {"median": None, "low": None, "high": None}
    assert answer["frames"][0]["activations"][0]["loss"]["median"] > 0


DATA = {"inputs": [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], "targets": [0, 1, 2]}


def test_own_data(client: InProcess) -> None:
    start = post(client, data=DATA).json()["start"]
    assert (start["examples"], start["classes"]) == (3, 3)
    assert [each["sizes"] for each in start["networks"]] == [[2, 6, 5, 3]] * 2
    numbers = {**DATA, "targets": [[0.5, 1.0], [1.5, 0.0], [2.0, 2.0]]}
    answer = post(client, data=numbers, loss="squared").json()
    assert answer["start"]["classes"] is None
    assert answer["activations"][0]["accuracy"]["median"] is None


def test_a_formula_s_parameters_are_learned(client: InProcess) -> None:
    text = "formula:x * sigmoid(beta * x)"
    choice = {"activation": text, "params": {"beta": 1.0}, "learn": ["beta"]}
    answer = post(client, activations=[choice, {**choice, "learn": []}]).json()
    TrainingResponse.model_validate(answer)
    learned, fixed = answer["start"]["networks"]
    assert (learned["activation"], learned["learned"], fixed["learned"]) == (text, ["beta"], [])
    assert learned["parameters"] == fixed["parameters"] + 2  # one for each hidden layer
    slopes = [each["beta"]["median"] for each in answer["activations"][0]["learned"]]
    assert len(slopes) == 2
    assert all(slope != 1 and abs(slope - 1) < 1 for slope in slopes)
    assert answer["frames"][0]["activations"][0]["layers"][0]["learned"]["beta"]["median"] == 1.0


@pytest.mark.parametrize(
    ("choice", "loc", "said"),
    [
        ({"activation": "formula:x * sigmoid(beta * x)"}, ["params"], "column 13"),
        ({"activation": "formula:x ^ 2"}, ["activation"], "powers are written with **"),
        ({"activation": "formula:beta * x", "params": {"beta": 1}, "learn": ["alpha"]}, ["learn"], "beta"),
        ({"activation": "formula:beta * x", "params": {"beta": [1, 2]}}, ["params", "beta"], ""),
    ],
)
def test_formulas_that_are_refused(
    client: InProcess, choice: dict[str, Any], loc: list[str], said: str
) -> None:
    answer = post(client, activations=["tanh", choice])
    assert answer.status_code == 422, answer.text[:300]
    error = answer.json()["errors"][0]
    assert error["loc"] == ["body", "activations", 1, *loc]
    assert said in error["msg"]


def test_digits_hold_a_fifth_out(client: InProcess) -> None:
    answer = post(client, data={"kind": "digits"}, steps=2, frames=1, runs=1).json()
    assert (answer["start"]["examples"], answer["start"]["held_out"]) == (1438, 359)
    assert answer["activations"][0]["held_out_accuracy"]["median"] > 0


def form(client: InProcess, matrices: dict[str, Any], **fields: Any) -> Response:
    request = {"activations": ["tanh"], "steps": 3, "runs": 2, "frames": 3, **fields}
    files = {
        "request": ("request.json", json.dumps(request).encode(), "application/json"),
        "weights": ("weights.safetensors", save(matrices), "application/octet-stream"),
    }
    return client.post("/training", files=files)


OWN = {"0.weight": np.full((4, 2), 0.5), "0.bias": np.arange(4.0), "2.weight": np.ones((1, 4))}


def test_all_runs_start_from_the_weights_of_a_form(client: InProcess) -> None:
    watch = {"weights": [[0, 0, 0], [1, 0, 3]]}
    answer = form(client, OWN, watch=watch).json()
    assert answer["start"]["networks"][0]["sizes"] == [2, 4, 1]
    assert answer["frames"][0]["activations"][0]["weights"] == [[0.5, 1.0]] * 2
    loss = answer["frames"][-1]["activations"][0]["loss"]
    assert loss["low"] == loss["high"]


@pytest.mark.parametrize(
    ("fields", "matrices", "loc"),
    [
        ({"hidden": [4]}, OWN, "hidden"),
        ({"init": "he_normal"}, OWN, "init"),
        ({"data": {"kind": "digits"}}, OWN, "weights"),
        ({}, {**OWN, "2.weight": np.ones((2, 4))}, "weights"),
    ],
)
def test_weights_that_do_not_fit(
    client: InProcess, fields: dict[str, Any], matrices: dict[str, Any], loc: str
) -> None:
    answer = form(client, matrices, **fields)
    assert answer.status_code == 422, answer.text[:300]
    assert answer.json()["errors"][0]["loc"][1] == loc


@pytest.mark.parametrize(
    ("fields", "loc", "said"),
    [
        ({"activations": []}, ["activations"], "at least 1"),
        ({"activations": ["rleu"]}, ["activations", 0, "activation"], "did you mean relu"),
        ({"activations": ["softmax"]}, ["activations", 0, "activation"], "cannot activate units"),
        (
            {"activations": ["relu", {"activation": "elu", "params": {"alhpa": 1}}]},
            ["activations", 1, "params"],
            "did you mean alpha",
        ),
        ({"activations": [{"activation": "elu", "learn": ["beta"]}]}, ["activations", 0, "learn"], "alpha"),
        ({"data": {"kind": "ring"}}, ["data", "kind"], "did you mean rings"),
        ({"data": {"kind": "digits", "count": 1798}}, ["data", "count"], "1797"),
        ({"data": {**DATA, "targets": [0, 1]}}, ["data", "targets"], "one for each of the 3 inputs"),
        ({"data": {**DATA, "targets": [0, 1, 0.5]}}, ["data", "targets"], "class numbers"),
        ({"data": {**DATA, "targets": [0, 1, -1]}}, ["data", "targets"], "class numbers"),
        ({"data": {**DATA, "targets": [0, 1, 1e300]}}, ["data", "targets"], "below 100"),
        ({"data": {**DATA, "targets": [0, 1, 100]}}, ["data", "targets"], "below 100"),
        ({"data": {**DATA, "targets": [0, 1, "NaN"]}}, ["data", "targets"], "finite"),
        ({"data": {**DATA, "inputs": [[0, "NaN"], [0, 1], [1, 1]]}}, ["data", "inputs"], "finite"),
        ({"data": {**DATA, "inputs": [[0], [0, 1], [1, 1]]}}, ["data", "inputs"], ""),
        ({"data": {"inputs": DATA["inputs"]}}, ["data", "targets"], "given together"),
        ({"data": {**DATA, "kind": "rings"}}, ["data", "kind"], "with inputs"),
        ({"data": {"classes": 3}}, ["data", "classes"], "blobs"),
        ({"data": {"kind": "blobs", "classes": 101}}, ["data", "classes"], "100"),
        ({"data": {"count": 10**9}}, ["data"], "the limit is"),
        ({"loss": "logistics"}, ["loss"], "did you mean logistic"),
        ({"optimizer": {"kind": "adams"}}, ["optimizer", "kind"], "did you mean adam"),
        ({"optimizer": {"learning_rate": 0}}, ["optimizer", "learning_rate"], "greater than 0"),
        ({"optimizer": {"learning_rate": -1}}, ["optimizer", "learning_rate"], "greater than 0"),
        ({"optimizer": {"momentum": 1}}, ["optimizer", "momentum"], "less than 1"),
        ({"optimizer": {"batch": 257}}, ["optimizer", "batch"], "at most 256"),
        (
            {"optimizer": {"batch": 1}, "normalization": "batch_norm"},
            ["optimizer", "batch"],
            "2 examples or more",
        ),
        ({"watch": {"weights": [[3, 0, 0]]}}, ["watch", "weights", 0], "below 3"),
        ({"watch": {"weights": [[0, 6, 0]]}}, ["watch", "weights", 0], "6 rows"),
        ({"watch": {"weights": [[0, -1, 0]]}}, ["watch", "weights", 0], ""),
        ({"watch": {"boundary": 9}, "data": {"kind": "digits"}}, ["watch", "boundary"], "two features"),
        ({"steps": 10**9}, ["steps"], "the limit is"),
        ({"steps": 10**13}, ["steps"], ""),
        ({"runs": 1001}, ["runs"], "1000"),
        ({"hidden": [10**6, 10**6], "runs": 1}, ["steps"], "the limit is"),
        ({"hidden": [20_000, 20_000], "runs": 1, "steps": 1, "data": {"count": 1}}, ["hidden"], "bytes"),
        ({"frames": 1000, "steps": 1000, "watch": {"boundary": 1000}}, ["frames"], "numbers"),
        ({"seed": -1}, ["seed"], ""),
        ({"init": "faire"}, ["init"], "did you mean"),
        ({"init": "critical", "activations": ["silu"]}, ["init"], "no critical"),
        ({"normalization": "layernorm"}, ["normalization"], "did you mean layer_norm"),
    ],
)
def test_what_is_refused(client: InProcess, fields: dict[str, Any], loc: list[Any], said: str) -> None:
    answer = post(client, **fields)
    assert answer.status_code == 422, answer.text[:300]
    error = answer.json()["errors"][0]
    assert error["loc"][1 : 1 + len(loc)] == loc
    assert said in error["msg"]


def test_the_deadline(client: InProcess) -> None:
    long = {"steps": 100_000, "frames": 10}
    headers = {"Request-Timeout": "0.5"}
    assert client.post("/training", json={**SMALL, **long}, headers=headers).status_code == 504
    headers = {"Accept": "application/jsonl"}
    answer = client.begun("/training", json={**SMALL, **long}, headers=headers)
    last = json.loads(answer.text.splitlines()[-1])
    assert last["type"] == "error"
    assert last["problem"]["status"] == 504
