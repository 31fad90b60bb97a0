"""An unmodified ``tritonclient`` against a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import ml_dtypes
import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.http import aio
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from app.core.activations import REGISTRY
from tests.conftest import Server

VALUES = np.array([[-40.0, -1.5, 0.0], [0.25, 3.0, 37.0]])


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Any]:
    with triton.InferenceServerClient(f"{server.host}:{server.port}") as connected:
        yield connected


def tensor(values: np.ndarray, name: str = "inputs", *, binary: bool = True) -> Any:
    made = triton.InferInput(name, list(values.shape), np_to_triton_dtype(values.dtype))
    return made.set_data_from_numpy(values, binary_data=binary)


def logistic(x: np.ndarray) -> np.ndarray:
    values: np.ndarray = 1 / (1 + np.exp(-x))
    return values


def test_live_ready_and_metadata(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    assert [each["name"] for each in client.get_model_repository_index()] == list(REGISTRY)
    for version in ("", "1"):
        assert client.is_model_ready("sigmoid", version)
        metadata = client.get_model_metadata("sigmoid", version)
        assert metadata["inputs"] == [{"name": "inputs", "datatype": "FP64", "shape": [-1]}]
    assert not client.is_model_ready("sigmoyd")
    assert not client.is_model_ready("sigmoid", "2")


@pytest.mark.parametrize("version", ["", "1"])
@pytest.mark.parametrize("answered_in_binary", [True, False])
@pytest.mark.parametrize("sent_in_binary", [True, False])
@pytest.mark.parametrize(("dtype", "close"), [(np.float64, 1e-15), (np.float32, 6e-8), (np.float16, 5e-4)])
def test_infer(
    client: Any, dtype: Any, close: float, sent_in_binary: bool, answered_in_binary: bool, version: str
) -> None:
    names = ("derivative", "outputs")
    asked = [triton.InferRequestedOutput(name, binary_data=answered_in_binary) for name in names]
    values = VALUES.astype(dtype)
    sent = tensor(values, binary=sent_in_binary)
    result = client.infer("sigmoid", [sent], model_version=version, outputs=asked, request_id="a-42")
    assert result.get_response()["id"] == "a-42"
    assert [each["name"] for each in result.get_response()["outputs"]] == list(names)
    outputs, derivative = result.as_numpy("outputs"), result.as_numpy("derivative")
    assert outputs.dtype == derivative.dtype == dtype
    assert outputs.shape == derivative.shape == values.shape
    # σ and e^−|x|·σ(|x|)², right to a few units in the last place; rounding adds half a unit of the format.
    x = values.astype(np.float64)
    slope = np.exp(-np.abs(x)) * logistic(np.abs(x)) ** 2
    smallest = 0.0 if dtype != np.float16 else 2.0**-24
    np.testing.assert_allclose(outputs, logistic(x), rtol=close, atol=smallest)
    np.testing.assert_allclose(derivative, slope, rtol=close, atol=smallest)


def test_bfloat16_in_binary(client: Any) -> None:
    values = np.array([-2.0, 0.5, 3.0]).astype(ml_dtypes.bfloat16)
    result = client.infer("relu", [tensor(values)])
    assert result.as_numpy("outputs").dtype == ml_dtypes.bfloat16
    assert result.as_numpy("outputs").astype(float).tolist() == [0.0, 0.5, 3.0]


def test_all_outputs_when_none_is_asked_for(client: Any) -> None:
    result = client.infer("tanh", [tensor(VALUES)])
    for name in ("outputs", "derivative", "second_derivative"):
        assert result.as_numpy(name).shape == VALUES.shape
    mixing = client.infer("softmax", [tensor(VALUES)])
    assert mixing.as_numpy("derivative").shape == (2, 3, 3)
    assert mixing.as_numpy("second_derivative") is None


def test_non_finite_numbers(client: Any) -> None:
    values = np.array([np.nan, np.inf, -np.inf])
    for binary in (True, False):
        asked = [triton.InferRequestedOutput("outputs", binary_data=binary)]
        result = client.infer("tanh", [tensor(values)], outputs=asked)
        np.testing.assert_array_equal(result.as_numpy("outputs"), [np.nan, 1.0, -1.0])


def test_empty_and_scalar_tensors(client: Any) -> None:
    for shape in ((0,), (2, 0), ()):
        assert client.infer("tanh", [tensor(np.zeros(shape))]).as_numpy("outputs").shape == shape


def test_parameters_and_further_tensors(client: Any) -> None:
    leaky = client.infer("leaky_relu", [tensor(np.array([-4.0]))], parameters={"negative_slope": 0.25})
    assert leaky.as_numpy("outputs").tolist() == [-1.0]
    slopes = tensor(np.array([0.5, 0.25, 1.0], np.float32), "weight", binary=False)
    channels = client.infer("prelu", [slopes, tensor(np.full((2, 3), -4.0))])
    assert channels.as_numpy("outputs").tolist() == [[-2.0, -1.0, -4.0]] * 2
    assert client.infer("softmax", [tensor(VALUES)], parameters={"axis": 0}).as_numpy("outputs").shape == (
        2,
        3,
    )


def test_a_million_numbers(client: Any) -> None:
    values = np.linspace(-30, 30, 1_000_000)
    result = client.infer("sigmoid", [tensor(values)], outputs=[triton.InferRequestedOutput("outputs")])
    np.testing.assert_allclose(result.as_numpy("outputs"), logistic(values), rtol=1e-15)


def test_the_timeout_it_offers(client: Any) -> None:
    large = tensor(np.zeros(3_000_000))
    with pytest.raises(InferenceServerException, match="before its deadline") as caught:
        client.infer("tanh", [large], timeout=1)
    assert caught.value.status() == "504"
    assert client.infer("tanh", [large], timeout=60_000_000).as_numpy("outputs").size == 3_000_000


def test_an_answer_may_be_asked_for_compressed(client: Any) -> None:
    result = client.infer("tanh", [tensor(np.zeros(3))], response_compression_algorithm="gzip")
    assert result.as_numpy("outputs").tolist() == [0.0] * 3


def test_errors_are_read(client: Any) -> None:
    good = tensor(np.zeros(2))
    asked = [triton.InferRequestedOutput("derivativ")]
    fat = triton.InferInput("inputs", [3], "FP64").set_data_from_numpy(np.zeros(3)).set_shape([4])
    attempts: list[tuple[str, str, Any]] = [
        ("404", "did you mean sigmoid", lambda: client.infer("sigmoyd", [good])),
        ("404", "did you mean sigmoid", lambda: client.get_model_metadata("sigmoyd")),
        ("404", "unknown version", lambda: client.infer("sigmoid", [good], model_version="2")),
        ("404", "did you mean sigmoid", lambda: client.get_model_config("sigmoyd")),
        ("400", "inputs: binary_data_size", lambda: client.infer("sigmoid", [fat])),
        ("422", "did you mean derivative", lambda: client.infer("sigmoid", [good], outputs=asked)),
        ("422", "negative_slope", lambda: client.infer("leaky_relu", [good], parameters={"slope": 1})),
        ("422", "datatype", lambda: client.infer("sigmoid", [tensor(np.zeros(2, np.int32))])),
        (
            "415",
            "Content-Encoding",
            lambda: client.infer("sigmoid", [good], request_compression_algorithm="gzip"),
        ),
        (
            "415",
            "Content-Encoding",
            lambda: client.infer("sigmoid", [good], request_compression_algorithm="deflate"),
        ),
    ]
    for status, says, attempt in attempts:
        with pytest.raises(InferenceServerException, match=says) as caught:
            attempt()
        assert caught.value.status() == status


def test_several_requests_at_once(server: Server) -> None:
    with triton.InferenceServerClient(f"{server.host}:{server.port}", concurrency=4) as connected:
        running = [connected.async_infer("tanh", [tensor(np.full(5, float(n)))]) for n in range(12)]
        for n, each in enumerate(running):
            answer = each.get_result().as_numpy("outputs")
            np.testing.assert_allclose(answer, np.tanh(np.full(5, float(n))), rtol=1e-15)


def test_asyncio(server: Server) -> None:
    async def ask() -> tuple[Any, bool, Any, str]:
        async with aio.InferenceServerClient(f"{server.host}:{server.port}") as connected:
            metadata = await connected.get_model_metadata("tanh")
            ready = await connected.is_model_ready("tanh")
            result = await connected.infer("tanh", [tensor(VALUES)], request_id="7")
            with pytest.raises(InferenceServerException, match="did you mean tanh"):
                await connected.infer("tahn", [tensor(VALUES)])
            return metadata, ready, result.as_numpy("outputs"), result.get_response()["id"]

    metadata, ready, outputs, identifier = asyncio.run(ask())
    assert metadata["name"] == "tanh"
    assert ready
    assert identifier == "7"
    np.testing.assert_allclose(outputs, np.tanh(VALUES), rtol=1e-15)


def test_configuration_and_statistics_as_a_performance_analyzer_asks(client: Any) -> None:
    configuration = client.get_model_config("tanh")
    assert configuration["max_batch_size"] == 0
    assert configuration["input"] == [{"name": "inputs", "data_type": "TYPE_FP64", "dims": [-1]}]
    names = [each["name"] for each in configuration["output"]]
    assert names == ["outputs", "derivative", "second_derivative"]

    def tally() -> Any:
        (found,) = client.get_inference_statistics("tanh")["model_stats"]
        return found

    before = tally()
    for _ in range(3):
        client.infer("tanh", [tensor(VALUES)])
    with pytest.raises(InferenceServerException):
        client.infer("tanh", [tensor(VALUES, "inputz")])
    after = tally()
    assert after["inference_count"] - before["inference_count"] == 3
    assert after["inference_stats"]["fail"]["count"] - before["inference_stats"]["fail"]["count"] == 1
    assert after["inference_stats"]["success"]["ns"] > before["inference_stats"]["success"]["ns"]
    assert after["last_inference"] > 1_700_000_000_000
    every = client.get_inference_statistics()["model_stats"]
    assert [each["name"] for each in every] == list(REGISTRY)


def test_parameters_meant_for_other_servers_are_ignored(server: Server) -> None:
    body = {
        "parameters": {"content_type": "np", "headers": "{}", "sequence_id": 7, "priority": 1},
        "inputs": [
            {
                "name": "inputs",
                "shape": [1],
                "datatype": "FP64",
                "data": [0.0],
                "parameters": {"content_type": "np"},
            }
        ],
        "outputs": [{"name": "outputs", "parameters": {"content_type": "np"}}],
    }
    answer = httpx.post(f"{server.url}/v2/models/tanh/infer", json=body)
    assert answer.json()["outputs"][0]["data"] == [0.0]
