"""``POST /verify`` over ASGI."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from httpx import Response

from app.contract.verify import VerifyResponse
from tests.conftest import InProcess


def post(client: InProcess, **fields: Any) -> Response:
    return client.post("/verify", json={"function": "sigmoid", "dtype": "float32", **fields})


def test_a_faulty_kernel_is_told_what_is_wrong(client: InProcess) -> None:
    answer = post(
        client,
        inputs=[0.0, -100.0, "Infinity", 1.0],
        outputs=[0.5, 0.0, 1.0, 0.7310586],
        derivative=[0.25, 0.0, 0.0, 0.19661193],
    ).json()
    VerifyResponse.model_validate(answer)
    value, slope = answer["orders"]
    assert answer["verdict"]["state"] == "faulty"
    assert (value["order"], slope["order"]) == (0, 1)
    assert value["false_zeros"] == slope["false_zeros"] == 1
    (worst,) = value["worst"]
    assert worst["input"] == -100
    assert worst["exact"] == "3.7200759760208359630e-44"
    assert worst["condition"] == pytest.approx(100)
    assert {each["name"]: each["wrong"] for each in value["special_values"]} == {
        "infinity": 0,
        "zero": 0,
        "subnormal_output": 1,
    }


def test_all_numbers_of_a_format_in_the_order_of_their_bits(client: InProcess) -> None:
    dtype = np.dtype(ml_dtypes.float8_e5m2)
    x = np.arange(256, dtype=np.uint8).view(dtype).astype(np.float32)
    sent = [
        each if np.isfinite(each) else str(each).replace("inf", "Infinity") for each in np.abs(x).tolist()
    ]
    sent = ["NaN" if each == "nan" else each for each in sent]
    answer = post(client, function="formula:abs(x)", dtype="float8_e5m2", outputs=sent).json()
    assert answer["verdict"]["state"] == "correctly_rounded", answer
    assert answer["count"] == 256


@pytest.mark.parametrize(
    ("fields", "loc"),
    [
        ({"inputs": [1.0], "outputs": [1.0, 2.0]}, "outputs"),
        ({"inputs": [1.0], "outputs": [1.0], "derivative": [[1.0]]}, "derivative"),
        ({"outputs": [1.0]}, "inputs"),
        ({"dtype": "bfloat16", "outputs": [1.0]}, "outputs"),
        ({"inputs": [], "outputs": []}, "outputs"),
        ({"dtype": "bfloat16", "inputs": [1.0], "outputs": [0.7310586]}, "outputs"),
        ({"dtype": "bfloat17", "inputs": [1.0], "outputs": [0.5]}, "dtype"),
        ({"compute_dtype": "bfloat17", "inputs": [1.0], "outputs": [0.5]}, "compute_dtype"),
        ({"function": "softmax", "inputs": [1.0], "outputs": [0.5]}, "function"),
        ({"function": "prelu", "inputs": [1.0], "outputs": [0.5], "params": {"weight": [1.0]}}, "weight"),
        ({"function": None, "inputs": [1.0], "outputs": [0.5], "params": {"beta": 1}}, "params"),
        ({"inputs": [1.0], "outputs": [0.5], "tolerance_ulp": -1}, "tolerance_ulp"),
        ({"inputs": [1.0]}, "outputs"),
    ],
)
def test_what_cannot_be_judged_is_refused_and_named(
    client: InProcess, fields: dict[str, Any], loc: str
) -> None:
    answer = post(client, **fields)
    assert answer.status_code == 422, answer.text
    assert loc in answer.text


@pytest.mark.parametrize("value", ["NaN", 0.0, "Infinity", -0.0, 3.0])
def test_the_same_answer_everywhere_is_faulty(client: InProcess, value: float | str) -> None:
    answer = post(client, dtype="float8_e5m2", outputs=[value] * 256).json()
    VerifyResponse.model_validate(answer)
    assert answer["verdict"]["state"] == "faulty"


def test_a_tolerance(client: InProcess) -> None:
    off = 0.5 + 2 * float(np.spacing(np.float32(0.5)))
    assert post(client, inputs=[0.0], outputs=[off]).json()["verdict"]["state"] == "faulty"
    answer = post(client, inputs=[0.0], outputs=[off], tolerance_ulp=2).json()
    assert answer["verdict"]["state"] == "within_tolerance", answer


def test_which_function_it_is(client: InProcess) -> None:
    x = np.linspace(-4, 4, 200).astype(np.float32).astype(np.float64)
    sent = (x / (1 + np.exp(-1.702 * x))).astype(np.float32).astype(np.float64)
    answer = post(client, function=None, inputs=x.tolist(), outputs=sent.tolist()).json()
    VerifyResponse.model_validate(answer)
    first, *others = answer["candidates"]
    assert first["function"] == answer["function"] == "quick_gelu"
    assert "transformers:quick_gelu" in first["frameworks"]
    assert first["apart"] == 0
    assert first["equal"] > 0.95
    assert any(each["apart"] > 100 for each in others)
    noise = np.random.default_rng(0).normal(size=200).astype(np.float32).astype(np.float64)
    answer = post(client, function=None, inputs=x.tolist(), outputs=noise.tolist()).json()
    VerifyResponse.model_validate(answer)
    assert (answer["function"], answer["candidates"], answer["orders"]) == (None, [], [])
    assert answer["verdict"]["state"] == "undecided"
