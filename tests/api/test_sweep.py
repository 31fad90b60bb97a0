"""``POST /gradient-flow/sweep`` over ASGI."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.conftest import InProcess

BASE = {"activation": "tanh", "depth": 4, "width": 32, "batch": 4, "networks": 2}
GRID = {"init.sigma_w": [0.5, 1.5], "depth": [3, 5], "activation": ["tanh", "relu"]}


def lines(client: InProcess, body: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    answer = client.post("/gradient-flow/sweep", json=body, **options)
    assert answer.status_code == 200, answer.text
    return [json.loads(each) for each in answer.text.splitlines()]


def kinds(found: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [each for each in found if each["type"] == kind]


def test_every_cell_is_sent_once_and_equals_the_answer_of_gradient_flow(client: InProcess) -> None:
    found = lines(client, {"base": BASE, "grid": GRID})
    assert found[0] == {"type": "start", "cells": 8}
    assert found[-1] == {"type": "end", "completed": 8, "failed": 0}
    cells = kinds(found, "cell")
    assert sorted(each["index"] for each in cells) == list(range(8))
    for each in cells:
        place = each["point"]
        single = {
            **BASE,
            "init": {"sigma_w": place["init.sigma_w"]},
            "depth": place["depth"],
            "activation": place["activation"],
        }
        answer = client.post("/gradient-flow", json=single).json()
        assert each["gradient"] == answer["gradient"]
        assert each["verdict"] == answer["verdict"]


def test_the_last_field_changes_fastest(client: InProcess) -> None:
    found = lines(client, {"base": BASE, "grid": {"depth": [2, 3], "seed": [0, 1, 2]}})
    points = {each["index"]: each["point"] for each in kinds(found, "cell")}
    assert [points[index] for index in range(6)] == [
        {"depth": depth, "seed": seed} for depth in (2, 3) for seed in (0, 1, 2)
    ]


def test_a_cut_off_sweep_is_resumed_by_its_missing_cells(client: InProcess) -> None:
    whole = {each["index"]: each for each in kinds(lines(client, {"base": BASE, "grid": GRID}), "cell")}
    rest = lines(client, {"base": BASE, "grid": GRID, "cells": [6, 1]})
    assert rest[0]["cells"] == 2
    assert {each["index"]: each for each in kinds(rest, "cell")} == {1: whole[1], 6: whole[6]}


def test_cells_that_cannot_be_computed_are_reported(client: InProcess) -> None:
    grid = {"activation": ["tahn", "tanh", "softmax"], "depth": [3, 0, 10**9]}
    found = lines(client, {"base": BASE, "grid": grid})
    failed = {each["index"]: each["problem"] for each in kinds(found, "failed")}
    assert [each["index"] for each in kinds(found, "cell")] == [3]
    assert "did you mean tanh" in failed[0]["detail"]
    assert failed[4]["errors"][0]["loc"] == ["depth"]
    assert "the limit is" in failed[5]["detail"]
    assert set(failed) == {0, 1, 2, 4, 5, 6, 7, 8}
    assert found[-1] == {"type": "end", "completed": 1, "failed": 8}


def test_a_path_creates_the_object_it_needs(client: InProcess) -> None:
    base = {**BASE, "activation": "leaky_relu", "residual": None}
    grid = {"params.negative_slope": [0.0, 0.5], "residual.scale": [0.1]}
    assert kinds(lines(client, {"base": base, "grid": grid}), "end") == [
        {"type": "end", "completed": 2, "failed": 0}
    ]


def test_events(client: InProcess) -> None:
    headers = {"Accept": "text/event-stream"}
    body = {"base": BASE, "grid": {"depth": [2, 3]}}
    answer = client.post("/gradient-flow/sweep", json=body, headers=headers)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [each.split("\n") for each in answer.text.split("\n\n")[:-1]]
    assert events[0] == ["event: start", 'data: {"type":"start","cells":2}']
    assert events[-1] == ["event: end", 'data: {"type":"end","completed":2,"failed":0}']
    assert [each[0] for each in events].count("event: cell") == 2


@pytest.mark.parametrize(
    ("fields", "loc", "said"),
    [
        ({"grid": {"activaton": ["tanh"]}}, ["grid"], "did you mean activation"),
        ({"grid": {"weights": [1]}}, ["grid"], "unknown field"),
        ({"grid": {"init.a.b": [1]}}, ["grid"], "at most two parts"),
        ({"grid": {"depth": []}}, ["grid"], "at least 1"),
        ({"grid": {}}, ["grid"], "at least 1"),
        ({"grid": {"depth": [1] * 10_001}}, ["grid"], "10,001 cells; the limit is 10,000"),
        ({"grid": {"depth": [2] * 1000, "seed": [0] * 1000, "batch": [2] * 1000}}, ["grid"], "1,000,000,000"),
        ({"cells": [4]}, ["cells"], "below 4"),
        ({"cells": [-1]}, ["cells"], "greater than or equal to 0"),
        ({"grid": {"width": [4096], "seed": list(range(1000)), "networks": [1000]}}, ["grid"], "operations"),
    ],
)
def test_what_is_refused_before_the_stream_begins(
    client: InProcess, fields: dict[str, Any], loc: list[str], said: str
) -> None:
    body = {"base": {**BASE, "depth": 50}, "grid": {"depth": [3, 4], "seed": [0, 1]}, **fields}
    answer = client.post("/gradient-flow/sweep", json=body)
    assert answer.status_code == 422, answer.text[:300]
    error = answer.json()["errors"][0]
    assert error["loc"][1 : 1 + len(loc)] == loc
    assert said in error["msg"]


def test_the_deadline_ends_the_stream_with_an_error(client: InProcess) -> None:
    body = {"base": BASE, "grid": {"depth": [3000], "seed": list(range(20))}}
    found = lines(client, body, headers={"Request-Timeout": "3"})
    assert found[0]["type"] == "start"
    assert found[-1]["type"] == "error"
    assert found[-1]["problem"]["status"] == 504


def test_a_long_value_is_not_repeated(client: InProcess) -> None:
    """A line has its index in the grid's list instead, whatever its type."""
    long = "x" * 100_000
    inputs = [[0.5] * 8] * 200
    grid = {"activation": ["tanh", long], "inputs": [inputs], "seed": [0, 1]}
    base = {name: value for name, value in BASE.items() if name != "batch"}
    answer = client.post("/gradient-flow/sweep", json={"base": base, "grid": grid})
    found = [json.loads(each) for each in answer.text.splitlines()]
    points = {each["index"]: each["point"] for each in found if "point" in each}
    assert points == {
        index: {"activation": name, "inputs": {"value": 0}, "seed": index % 2}
        for index, name in enumerate(["tanh", "tanh", {"value": 1}, {"value": 1}])
    }
    assert long not in answer.text
    assert all(len(json.dumps(each)) < 20_000 for each in found if each["type"] == "failed")


def test_a_path_is_short(client: InProcess) -> None:
    answer = client.post("/gradient-flow/sweep", json={"base": BASE, "grid": {"init." + "x" * 1000: [1]}})
    assert answer.status_code == 422
    assert "at most 100 characters" in answer.text
    assert len(answer.content) < 1000


def test_many_estimates_do_not_block_other_requests(client: InProcess) -> None:
    """Estimates of several sweeps alternate cell by cell, and end at the deadline."""
    body = {"base": {**BASE, "depth": 500}, "grid": {"seed": list(range(5000))}}
    headers = {"Request-Timeout": "4"}
    with ThreadPoolExecutor(9) as crowd:
        sweeps = [
            crowd.submit(client.post, "/gradient-flow/sweep", json=body, headers=headers) for _ in range(8)
        ]
        time.sleep(0.5)
        begin = time.monotonic()
        assert client.post("/gradient-flow", json=BASE).status_code == 200
        assert time.monotonic() - begin < 4
        assert all(each.result().status_code in (200, 503, 504) for each in sweeps)
    assert time.monotonic() - begin < 15
