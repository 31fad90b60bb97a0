"""``POST /verify`` over ASGI."""

from __future__ import annotations

import io
import json
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from httpx import Response
from numpy.typing import NDArray

from app.contract.verify import VerifyResponse
from tests.conftest import InProcess


def post(client: InProcess, **fields: Any) -> Response:
    return client.post("/verify", json={"function": "sigmoid", "dtype": "float32", **fields})


def test_a_faulty_kernel_s_faults_are_reported(client: InProcess) -> None:
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
        ({"function": "maxout", "inputs": [1.0, 2.0], "outputs": [2.0]}, "function"),
        ({"function": "softmax", "outputs": [0.5]}, "inputs"),
        ({"function": "softmax", "inputs": [1.0, 2.0], "outputs": [0.5]}, "outputs"),
        ({"function": "softmax", "inputs": [1.0], "outputs": [1.0], "derivative": [0.0]}, "derivative"),
        (
            {"function": "softmax", "inputs": [1.0], "outputs": [1.0], "second_derivative": [0.0]},
            "second_derivative",
        ),
        ({"function": "softmax", "inputs": [1.0], "outputs": [1.0], "axis": 1}, "axis"),
        ({"function": "softmax", "inputs": [[1.0]], "outputs": [[1.0]], "axis": [0, 0]}, "axis"),
        ({"function": "softmax", "inputs": [1.0], "outputs": [1.0], "params": {"mask": [1, 1]}}, "mask"),
        ({"function": "softmax", "inputs": [1.0], "outputs": [1.0], "params": {"mask": 2}}, "mask"),
        ({"function": "swiglu", "inputs": [1.0, 2.0, 3.0], "outputs": [1.0]}, "inputs"),
        ({"function": "swiglu", "inputs": [1.0, 2.0], "outputs": [1.0, 2.0]}, "outputs"),
        ({"function": "swiglu", "inputs": 1.0, "outputs": 1.0}, "axis"),
        ({"function": "swiglu", "inputs": [1.0, 2.0], "outputs": [1.0], "axis": [0, 1]}, "axis"),
        ({"function": "glu", "inputs": [[], []], "outputs": [[]], "axis": 0}, "outputs"),
        ({"inputs": [1.0], "outputs": [0.5], "axis": 0}, "axis"),
        ({"function": None, "inputs": [1.0], "outputs": [0.5], "axis": 0}, "axis"),
        ({"function": "prelu", "inputs": [1.0], "outputs": [1], "params": {"weight": [1, 2]}}, "weight"),
        (
            {"function": "clip", "inputs": [1, 2], "outputs": [1, 2], "params": {"min": [0, 3], "max": 2}},
            "params",
        ),
        ({"function": None, "inputs": [1.0], "outputs": [0.5], "params": {"beta": 1}}, "params"),
        ({"inputs": [1.0], "outputs": [0.5], "tolerance_ulp": -1}, "tolerance_ulp"),
        ({"inputs": [1.0]}, "outputs"),
    ],
)
def test_invalid_requests_are_refused_with_their_field(
    client: InProcess, fields: dict[str, Any], loc: str
) -> None:
    answer = post(client, **fields)
    assert answer.status_code == 422, answer.text
    assert loc in answer.text


def test_a_slope_for_each_channel(client: InProcess) -> None:
    x = np.random.default_rng(0).normal(size=(4, 4, 3)).astype(np.float32).astype(np.float64)
    weight = np.array([0.1, 0.3, 0.5, 0.7])

    def judged(slopes: NDArray[Any], **fields: Any) -> Any:
        wrong = np.where(x > 0, x, slopes * x).astype(np.float32).astype(np.float64)
        given = {"function": "prelu", "params": {"weight": weight.tolist()}, "axis": 1, **fields}
        answer = post(client, inputs=x.tolist(), outputs=wrong.tolist(), **given).json()
        VerifyResponse.model_validate(answer)
        return answer

    right = judged(weight[:, None])
    assert right["verdict"]["state"] == "correctly_rounded"
    assert right["params"] == {"weight": weight.tolist()}
    turned = judged(weight[:, None, None])
    assert (turned["causes"][0]["cause"], turned["causes"][0]["detail"]) == ("wrong_parameter", "axis=0")
    place = tuple(turned["orders"][0]["worst"][0]["place"])
    assert turned["orders"][0]["worst"][0]["input"] == x[place]
    one = judged(np.array(0.25))
    assert one["causes"][0]["detail"] == "weight 0.25 for an array"
    formula = judged(weight[:, None], function="formula:x if x > 0 else weight * x", dtype="float64")
    assert formula["orders"][0]["max_ulp"] > 1e6  # float32 numbers
    assert formula["causes"][0]["cause"] == "low_precision"


def test_a_gated_unit_whose_halves_are_swapped(client: InProcess) -> None:
    x = np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32).astype(np.float64)
    gate, value = x[12:], x[:12]
    wrong = (value * gate / (1 + np.exp(-gate))).astype(np.float32).astype(np.float64)
    answer = post(client, function="swiglu", inputs=x.tolist(), outputs=wrong.tolist(), axis=0).json()
    VerifyResponse.model_validate(answer)
    assert (answer["count"], answer["function"], answer["verdict"]["state"]) == (36, "swiglu", "faulty")
    assert (answer["causes"][0]["cause"], answer["causes"][0]["detail"]) == ("halves", "swapped")
    assert len(answer["orders"][0]["worst"][0]["place"]) == 2


def test_a_gated_unit_in_a_file(client: InProcess) -> None:
    x = np.random.default_rng(0).normal(size=(5, 8)).astype(ml_dtypes.bfloat16)
    gate, value = np.split(x.astype(np.float64), 2, axis=1)
    arrays = {"inputs": x, "outputs": (np.maximum(gate, 0) * value).astype(ml_dtypes.bfloat16)}
    body = safetensors.numpy.save(arrays)
    files = {"request": ("r.json", b'{"function": "reglu"}', "application/json"), "arrays": ("a", body)}
    answer = client.post("/verify", files=files).json()
    VerifyResponse.model_validate(answer)
    assert (answer["dtype"], answer["count"]) == ("bfloat16", 20)
    assert answer["verdict"]["state"] == "correctly_rounded"


def test_more_doubles_than_can_be_proved_are_refused(client: InProcess) -> None:
    row = [0.0] * 1000
    answer = post(client, function="softmax", dtype="float64", inputs=row, outputs=row)
    assert answer.status_code == 422
    assert "500,000" in answer.text


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


def test_the_function_is_identified(client: InProcess) -> None:
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


ALL = np.arange(65536, dtype=np.uint16).view(ml_dtypes.bfloat16)


def relu() -> NDArray[Any]:
    with np.errstate(invalid="ignore"):
        wide = ALL.astype(np.float32)
    found: NDArray[Any] = np.where(np.isnan(wide), ALL, np.where(wide > 0, ALL, ALL.dtype.type(0)))
    return found


def post_file(client: InProcess, data: bytes, **fields: Any) -> Response:
    request = ("request", json.dumps({"function": "relu", **fields}), "application/json")
    return client.post(
        "/verify", files={"request": request, "arrays": ("a", data, "application/octet-stream")}
    )


def npz(**arrays: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def wide(values: NDArray[Any], dtype: Any = np.float32) -> NDArray[Any]:
    with np.errstate(invalid="ignore"):
        return values.astype(dtype)


@pytest.mark.parametrize(
    "data",
    [
        safetensors.numpy.save({"outputs": relu()}),
        safetensors.numpy.save({"outputs": wide(relu())}),
        npz(outputs=relu()),
        npz(outputs=wide(relu()), inputs=wide(ALL, np.float64)),
    ],
    ids=["safetensors", "wider", "npz", "npz with inputs"],
)
def test_a_file_of_arrays(client: InProcess, data: bytes) -> None:
    answer = post_file(client, data, dtype="bfloat16")
    assert answer.status_code == 200, answer.text
    VerifyResponse.model_validate(answer.json())
    assert answer.json()["verdict"]["state"] == "correctly_rounded"
    assert answer.json()["count"] == 65536


def test_the_file_determines_the_format(client: InProcess) -> None:
    assert post_file(client, safetensors.numpy.save({"outputs": relu()})).json()["dtype"] == "bfloat16"
    one = np.ones((2, 2), np.float16)
    data = safetensors.numpy.save({"outputs": one, "inputs": one, "derivative": 0 * one})
    answer = post_file(client, data).json()
    assert answer["dtype"] == "float16"
    value, slope = answer["orders"]
    assert (value["correctly_rounded"], slope["correctly_rounded"]) == (1, 0)


THREE = np.ones(3, np.float32)


@pytest.mark.parametrize(
    ("data", "fields", "loc"),
    [
        (safetensors.numpy.save({"outputs": relu()}), {"dtype": "float16"}, "outputs"),
        (safetensors.numpy.save({"outputs": relu()[:7]}), {}, "outputs"),
        (safetensors.numpy.save({"outputs": relu()[:0]}), {}, "outputs"),
        (safetensors.numpy.save({"outputs": np.ones(3, np.int32)}), {}, "arrays"),
        (safetensors.numpy.save({"weights": THREE}), {}, "arrays"),
        (safetensors.numpy.save({"inputs": THREE}), {}, "arrays"),
        (npz(outputs=THREE, inputs=np.ones((3, 1), np.float32)), {}, "outputs"),
        (npz(outputs=THREE, inputs=np.ones(4, np.float32)), {}, "outputs"),
        (npz(outputs=THREE), {}, "inputs"),
        (npz(outputs=np.array(["a"])), {}, "arrays"),
        (npz(outputs=relu()), {}, "arrays"),
        (npz(outputs=THREE), {"outputs": [1, 2, 3]}, "outputs"),
        (np.random.default_rng(0).bytes(1000), {}, "arrays"),
        (b"", {}, "arrays"),
        (b"PK\x03\x04" + bytes(100), {}, "arrays"),
        (npz(outputs=np.full(3, 0.1), inputs=np.ones(3)), {"dtype": "bfloat16"}, "outputs"),
    ],
)
def test_files_that_cannot_be_judged(
    client: InProcess, data: bytes, fields: dict[str, Any], loc: str
) -> None:
    answer = post_file(client, data, **fields)
    assert answer.status_code == 422, answer.text
    assert loc in answer.text


@pytest.mark.parametrize(
    "bits",
    [np.random.default_rng(1).bytes(131072), bytes(131072), b"\xff" * 131072],
    ids=["random", "zeros", "nan"],
)
def test_random_bits_zeros_and_nan_get_an_honest_verdict(client: InProcess, bits: bytes) -> None:
    numbers = np.frombuffer(bits, ml_dtypes.bfloat16)
    answer = post_file(client, safetensors.numpy.save({"outputs": numbers, "derivative": numbers}))
    assert answer.status_code == 200, answer.text
    VerifyResponse.model_validate(answer.json())
    assert answer.json()["verdict"]["state"] == "faulty"
    answer = post_file(client, safetensors.numpy.save({"outputs": numbers}), function=None)
    assert answer.status_code == 200, answer.text
    assert answer.json()["candidates"] == []
