"""``/v2`` over ASGI: every function is a model, answering as ``/activate`` in all datatypes and forms."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from httpx import Response

from app.api.inference import OUTPUTS
from app.contract.protocol import InferParameters
from app.core.activations import REGISTRY
from app.core.activations.definition import Elementwise
from app.wire.tensors import DATATYPES
from tests.conftest import InProcess

JSON = {"Content-Type": "application/json"}
FORMATS = {"FP64": "float64", "FP32": "float32", "FP16": "float16", "BF16": "bfloat16"}
assert FORMATS.keys() == DATATYPES.keys()
LEARNED = [
    (entry.name, each.name) for entry in REGISTRY.values() for each in entry.parameters if each.learnable
]
SCALARS = [
    (entry.name, each.name, each.default + (0.125 if each.domain.contains(each.default + 0.125) else -0.125))
    for entry in REGISTRY.values()
    for each in entry.parameters
    if each.default is not None and np.isfinite(each.default)
]
assert LEARNED
assert SCALARS


def tensor(values: Any, datatype: str = "FP64", name: str = "inputs") -> dict[str, Any]:
    shape = np.shape(values)
    return {"name": name, "shape": list(shape), "datatype": datatype, "data": np.ravel(values).tolist()}


def infer(client: InProcess, model: str, *inputs: dict[str, Any], **fields: Any) -> Response:
    return client.post(f"/v2/models/{model}/infer", json={"inputs": inputs, **fields})


def infer_raw(
    client: InProcess, model: str, arrays: dict[str, np.ndarray], datatype: str, **fields: Any
) -> Response:
    """An inference request with raw tensors that requests raw tensors."""
    inputs = [
        {
            "name": name,
            "shape": array.shape,
            "datatype": datatype,
            "parameters": {"binary_data_size": array.nbytes},
        }
        for name, array in arrays.items()
    ]
    parameters = {"binary_data_output": True, **fields.pop("parameters", {})}
    head = json.dumps({"inputs": inputs, "parameters": parameters, **fields}).encode()
    headers = {
        "Content-Type": "application/octet-stream",
        "Inference-Header-Content-Length": str(len(head)),
    }
    body = head + b"".join(array.tobytes() for array in arrays.values())
    return client.post(f"/v2/models/{model}/infer", content=body, headers=headers)


def outputs(answer: Response) -> dict[str, np.ndarray]:
    """The output tensors of either form, as float64."""
    assert answer.status_code == 200, answer.text
    length = answer.headers.get("Inference-Header-Content-Length")
    document = json.loads(answer.content[: None if length is None else int(length)])
    binary = answer.content[int(length) :] if length else b""
    found = {}
    for each in document["outputs"]:
        if "data" in each:
            flat = np.array([float(value) for value in each["data"]])
        else:
            size = each["parameters"]["binary_data_size"]
            flat = np.frombuffer(binary[:size], DATATYPES[each["datatype"]]).astype(np.float64)
            binary = binary[size:]
        found[each["name"]] = flat.reshape(each["shape"])
    assert not binary
    return found


def test_server_metadata(client: InProcess) -> None:
    metadata = client.get("/v2").json()
    assert metadata.keys() == {"name", "version", "extensions"}
    assert "binary_tensor_data" in metadata["extensions"]
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}


def test_one_model_per_function_and_nothing_else(client: InProcess) -> None:
    index = client.post("/v2/repository/index").json()
    assert [each["name"] for each in index] == list(REGISTRY)
    assert {(each["version"], each["state"]) for each in index} == {("1", "READY")}


@pytest.mark.parametrize("version", ["", "/versions/1"])
@pytest.mark.parametrize("name", REGISTRY)
def test_metadata(client: InProcess, name: str, version: str) -> None:
    metadata = client.get(f"/v2/models/{name}{version}").json()
    assert client.get(f"/v2/models/{name}{version}/ready").json() == {"name": name, "ready": True}
    assert metadata["name"] == name
    assert metadata["versions"] == ["1"]
    assert [each["name"] for each in metadata["inputs"]] == ["inputs"]
    expected = OUTPUTS if isinstance(REGISTRY[name], Elementwise) else OUTPUTS[:2]
    assert [each["name"] for each in metadata["outputs"]] == list(expected)
    assert {key: float(value) for key, value in metadata["parameters"].items()} == REGISTRY[name].defaults


def test_names_of_tensors_and_of_the_protocol_are_no_parameter_s() -> None:
    reserved = {"inputs", *OUTPUTS, *InferParameters.model_fields}
    assert not reserved & {each.name for entry in REGISTRY.values() for each in entry.parameters}


@pytest.mark.parametrize("datatype", DATATYPES)
@pytest.mark.parametrize("name", REGISTRY)
def test_both_forms_answer_what_activate_answers(client: InProcess, name: str, datatype: str) -> None:
    values: list[list[Any]] = [[-3.3, -0.7, 0.0, 1.5], [0.1, 2.5, 40.0, -20.0]]
    order = 2 if isinstance(REGISTRY[name], Elementwise) else 1
    asked = {"function": name, "inputs": values, "dtype": FORMATS[datatype], "order": order}
    truth = client.post("/activate", json=asked).json()
    in_json = outputs(infer(client, name, tensor(values, datatype)))
    sent = np.array(values).astype(DATATYPES[datatype])
    binary = outputs(infer_raw(client, name, {"inputs": sent}, datatype))
    assert list(in_json) == list(binary) == [key for key in OUTPUTS if truth[key] is not None]
    for key, array in in_json.items():
        np.testing.assert_array_equal(array, np.array(truth[key], np.float64))
        np.testing.assert_array_equal(binary[key], array)


def test_non_finite_numbers_in_json(client: InProcess) -> None:
    sent = tensor([0.0, 0.0, 0.0]) | {"data": ["NaN", "Infinity", "-Infinity"]}
    answer = infer(client, "sigmoid", sent, outputs=[{"name": "outputs"}]).json()
    assert answer["outputs"][0]["data"] == ["NaN", 1.0, 0.0]


@pytest.mark.parametrize("size", [0, 1, 30_000])
def test_sizes(client: InProcess, size: int) -> None:
    values = np.linspace(-9, 9, size)
    found = outputs(infer_raw(client, "tanh", {"inputs": values}, "FP64"))
    # tanh, 1 − tanh² and −2 tanh (1 − tanh²), to the accuracy of these plain forms.
    np.testing.assert_allclose(found["outputs"], np.tanh(values), rtol=1e-15)
    np.testing.assert_allclose(found["derivative"], 1 - np.tanh(values) ** 2, atol=1e-15)
    in_json = outputs(infer(client, "tanh", tensor(values)))
    for key, array in found.items():
        np.testing.assert_array_equal(in_json[key], array)


def test_only_the_outputs_asked_for_in_their_order(client: InProcess) -> None:
    asked = [{"name": "second_derivative"}, {"name": "outputs", "parameters": {"binary_data": False}}]
    answer = infer(client, "sigmoid", tensor([0.0]), outputs=asked).json()
    assert [(each["name"], each["data"]) for each in answer["outputs"]] == [
        ("second_derivative", [0.0]),
        ("outputs", [0.5]),
    ]


def test_each_output_in_its_own_form(client: InProcess) -> None:
    asked = [
        {"name": "outputs"},
        {"name": "derivative", "parameters": {"binary_data": False}},
        {"name": "second_derivative", "parameters": {"binary_data": True}},
    ]
    answer = infer_raw(client, "sigmoid", {"inputs": np.zeros(2)}, "FP64", outputs=asked)
    length = int(answer.headers["Inference-Header-Content-Length"])
    described = json.loads(answer.content[:length])["outputs"]
    assert [each.get("parameters") for each in described] == [
        {"binary_data_size": 16},
        None,
        {"binary_data_size": 16},
    ]
    assert [array.tolist() for array in outputs(answer).values()] == [[0.5, 0.5], [0.25, 0.25], [0.0, 0.0]]


def test_the_request_s_id_is_returned(client: InProcess) -> None:
    assert infer(client, "relu", tensor([1.0]), id="a-42").json()["id"] == "a-42"
    answer = infer(client, "relu", tensor([1.0])).json()
    assert "id" not in answer
    assert (answer["model_name"], answer["model_version"]) == ("relu", "1")


@pytest.mark.parametrize(("name", "parameter", "chosen"), SCALARS)
def test_parameters_by_name(client: InProcess, name: str, parameter: str, chosen: float) -> None:
    values = [-1.5, 0.25, 3.0, 0.5]
    found = outputs(infer(client, name, tensor(values), parameters={parameter: chosen}))
    truth = client.post("/activate", json={"function": name, "inputs": values, "params": {parameter: chosen}})
    np.testing.assert_array_equal(found["derivative"], np.array(truth.json()["derivative"], np.float64))


def test_array_parameters_are_input_tensors(client: InProcess) -> None:
    slopes = tensor([0.25, 0.5], name="weight")
    found = outputs(infer(client, "prelu", tensor([[-2.0, -2.0], [4.0, -4.0]], "FP32"), slopes))
    assert found["outputs"].tolist() == [[-0.5, -1.0], [4.0, -2.0]]
    along = outputs(
        infer(client, "prelu", tensor([[-2.0, -2.0], [4.0, -4.0]]), slopes, parameters={"axis": 0})
    )
    assert along["outputs"].tolist() == [[-0.5, -0.5], [4.0, -2.0]]


def test_maxout_with_its_weights_in_binary(client: InProcess) -> None:
    draw = np.random.default_rng(5)
    arrays = {
        "biases": draw.normal(size=(3, 2)),
        "inputs": draw.normal(size=(5, 4)),
        "weights": draw.normal(size=(3, 2, 4)),
    }
    found = outputs(infer_raw(client, "maxout", arrays, "FP64"))
    pieces = np.einsum("poi,bi->bpo", arrays["weights"], arrays["inputs"]) + arrays["biases"]
    np.testing.assert_allclose(found["outputs"], pieces.max(axis=1), rtol=1e-13)
    winners = pieces.argmax(axis=1)
    expected = arrays["weights"][winners, np.arange(2)]
    np.testing.assert_array_equal(found["derivative"], expected)


def test_the_axis_of_functions_that_mix(client: InProcess) -> None:
    values = np.array([[1.0, 2.0, 4.0], [1.0, 5.0, 0.0]])
    across = outputs(infer(client, "softmax", tensor(values), parameters={"axis": 0}))
    np.testing.assert_allclose(across["outputs"].sum(axis=0), 1, rtol=1e-15)
    assert across["derivative"].shape == (3, 2, 2)


def test_infinite_parameters_have_their_names(client: InProcess) -> None:
    bound = {"max_val": "Infinity", "min_val": 0}
    assert outputs(infer(client, "hard_tanh", tensor([9.0]), parameters=bound))["outputs"].tolist() == [9.0]


def test_a_timeout_in_microseconds(client: InProcess) -> None:
    values = np.zeros(3_000_000)
    assert infer_raw(client, "tanh", {"inputs": values}, "FP64", parameters={"timeout": 0}).status_code == 200
    answer = infer_raw(client, "tanh", {"inputs": values}, "FP64", parameters={"timeout": 1})
    assert answer.status_code == 504
    assert answer.json().keys() == {"error"}


GOOD = tensor([1.0, 2.0])


@pytest.mark.parametrize(
    ("model", "fields", "status", "says"),
    [
        ("sigmoyd", {"inputs": [GOOD]}, 404, "did you mean sigmoid"),
        ("torch:Sigmoid", {"inputs": [GOOD]}, 404, "unknown model"),
        ("x" * 5000, {"inputs": [GOOD]}, 404, "unknown model"),
        ("sigmoid/versions/2", {"inputs": [GOOD]}, 404, "unknown version"),
        ("sigmoid", {"inputs": [GOOD | {"shape": [3]}]}, 400, "inputs: data"),
        ("sigmoid", {"inputs": [GOOD | {"shape": [-2]}]}, 400, "inputs: shape"),
        ("sigmoid", {"inputs": [GOOD | {"shape": [2**32, 2**32]}]}, 400, "inputs: data"),
        ("sigmoid", {"inputs": [GOOD | {"shape": [2.0]}]}, 400, "inputs: shape"),
        ("sigmoid", {"inputs": [GOOD | {"parameters": {"binary_data_size": 16}}]}, 400, "binary_data_size"),
        ("sigmoid", {"inputs": [GOOD | {"parameters": {"binary_data_size": "x"}}]}, 400, "binary_data_size"),
        ("sigmoid", {"inputs": [GOOD | {"data": None}]}, 400, "either data"),
        ("sigmoid", {"inputs": []}, 400, "inputs is required"),
        ("sigmoid", {"inputs": [GOOD, GOOD]}, 400, "twice"),
        ("sigmoid", {"inputs": [GOOD], "outputs": [{"name": "outputs"}] * 2}, 400, "twice"),
        ("elu", {"inputs": [GOOD, tensor(1.0, name="alpha")], "parameters": {"alpha": 1}}, 400, "twice"),
        ("sigmoid", {}, 422, "inputs: Field required"),
        ("sigmoid", {"inputs": [GOOD | {"datatype": "FP46"}]}, 422, "FP64"),
        ("sigmoid", {"inputs": [GOOD | {"datatype": "INT64"}]}, 422, "FP64"),
        ("sigmoid", {"inputs": [GOOD | {"name": "input"}]}, 422, "did you mean inputs"),
        ("sigmoid", {"inputs": [GOOD | {"data": [True, 1]}]}, 422, "inputs[0].data: only numbers"),
        ("sigmoid", {"inputs": [GOOD | {"data": [[1], 2]}]}, 422, "inputs[0].data"),
        ("sigmoid", {"inputs": [GOOD | {"shapes": [2]}]}, 422, "did you mean shape"),
        ("sigmoid", {"input": [GOOD], "inputs": [GOOD]}, 422, "did you mean inputs"),
        ("sigmoid", {"inputs": [GOOD], "outputs": [{"name": "output"}]}, 422, "did you mean outputs"),
        ("softmax", {"inputs": [GOOD], "outputs": [{"name": "second_derivative"}]}, 422, "derivative"),
        ("sigmoid", {"inputs": [GOOD], "parameters": {"slope": 1}}, 422, "unknown parameter"),
        ("leaky_relu", {"inputs": [GOOD], "parameters": {"slope": 1}}, 422, "negative_slope"),
        (
            "celu",
            {"inputs": [GOOD], "parameters": {"alpha": 0}},
            422,
            "alpha: must be a real number other than 0",
        ),
        ("celu", {"inputs": [GOOD], "parameters": {"alpha": True}}, 422, "alpha: must be a real number"),
        ("celu", {"inputs": [GOOD], "parameters": {"alpha": [1]}}, 422, "parameters."),
        ("softmax", {"inputs": [GOOD], "parameters": {"axis": 1}}, 422, "axis: axis must be from -1 to 0"),
        ("softmax", {"inputs": [GOOD], "parameters": {"axis": "0"}}, 422, "parameters.axis"),
        ("sigmoid", {"inputs": [GOOD], "parameters": {"binary_data_output": 1}}, 422, "binary_data_output"),
        ("sigmoid", {"inputs": [GOOD], "parameters": {"timeout": -1}}, 422, "timeout"),
        ("prelu", {"inputs": [GOOD, tensor([1.0] * 3, name="weight")]}, 422, "weight: must broadcast"),
        ("sigmoid", {"inputs": [GOOD], "id": 5}, 422, "id"),
    ],
)
def test_mistakes_are_named(
    client: InProcess, model: str, fields: dict[str, Any], status: int, says: str
) -> None:
    answer = client.post(f"/v2/models/{model}/infer", json=fields)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.json().keys() == {"error"}
    assert says in answer.json()["error"]


def test_input_is_never_echoed(client: InProcess) -> None:
    secret = "hunter2-hunter2"
    for fields in (
        {"inputs": [GOOD | {"name": secret}]},
        {"inputs": [GOOD | {"datatype": secret}]},
        {"inputs": [GOOD | {"data": [secret, 1]}]},
        {"inputs": [GOOD | {"shape": [secret]}]},
        {"inputs": [GOOD | {secret: 1}]},
        {"inputs": [GOOD | {"parameters": {secret: 1}}]},
        {"inputs": [GOOD], "outputs": [{"name": secret}]},
        {"inputs": [GOOD], "parameters": {secret: 1}},
        {"inputs": [GOOD], "parameters": {secret: {"deep": 1}}},
        {"inputs": [GOOD], secret: 1},
        {"inputs": [GOOD], "id": {secret: 1}},
    ):
        answer = client.post("/v2/models/sigmoid/infer", json=fields)
        assert answer.status_code in {400, 422}
        assert secret not in answer.text
    assert secret not in client.get(f"/v2/models/{secret}").text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        (JSON, 200),
        ({"Content-Type": "application/json; charset=utf-8", "Accept": "*/*"}, 200),
        ({"Content-Type": "application/octet-stream", "Accept": "application/json"}, 200),
        ({**JSON, "Inference-Header-Content-Length": "{length}"}, 200),
        ({**JSON, "Inference-Header-Content-Length": "1{length}"}, 400),
        ({**JSON, "Inference-Header-Content-Length": "-1"}, 400),
        ({**JSON, "Accept": "image/png"}, 406),
        ({"Content-Type": "text/plain"}, 415),
        ({**JSON, "Content-Encoding": "gzip"}, 415),
        ({**JSON, "Content-Encoding": "deflate"}, 415),
        ({**JSON, "Request-Timeout": "soon"}, 422),
    ],
)
def test_headers(client: InProcess, headers: dict[str, str], status: int) -> None:
    body = json.dumps({"inputs": [GOOD]}).encode()
    filled = {name: value.replace("{length}", str(len(body))) for name, value in headers.items()}
    answer = client.post("/v2/models/sigmoid/infer", content=body, headers=filled)
    assert answer.status_code == status
    assert status == 200 or answer.json().keys() == {"error"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/nothing", 404),
        ("GET", "/v2/models/sigmoid/configuration", 404),
        ("GET", "/v2/models/sigmoid/infer", 405),
        ("GET", "/v2/models/nothing", 404),
        ("GET", "/v2/models/nothing/ready", 404),
        ("GET", "/v2/models/sigmoid/versions/0", 404),
    ],
)
def test_every_error_below_v2_has_the_protocol_s_shape(
    client: InProcess, method: str, path: str, status: int
) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.json().keys() == {"error"}


def test_server_errors_have_it_too(
    client: InProcess, application: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("app.api.inference.activate", broken)
    unexpected = infer(client, "sigmoid", GOOD)
    monkeypatch.setattr(application.state, "ready", False)
    for answer, status in (
        (unexpected, 500),
        (client.get("/v2/health/ready"), 503),
        (client.get("/v2/models/sigmoid/ready"), 503),
    ):
        assert answer.status_code == status
        assert answer.json().keys() == {"error"}
        assert "a fault of ours" not in answer.text


def test_the_document_promises_that_shape(application: FastAPI) -> None:
    paths = application.openapi()["paths"]
    errors = [
        answer["content"]
        for path in paths
        if path.startswith("/v2")
        for operation in paths[path].values()
        for status, answer in operation["responses"].items()
        if status != "200"
    ]
    assert errors
    schema = {"$ref": "#/components/schemas/ProtocolError"}
    assert all(list(each) == ["application/json"] for each in errors)
    assert all(each["application/json"]["schema"] == schema for each in errors)


def test_only_paths_below_v2_have_it(client: InProcess) -> None:
    assert client.get("/v22/models").json()["status"] == 404


def test_too_many_numbers(client: InProcess) -> None:
    answer = infer_raw(client, "sigmoid", {"inputs": np.zeros(7_000_000)}, "FP64")
    assert answer.status_code == 422
    assert "20,000,000" in answer.json()["error"]


def test_a_jacobian_too_large_is_refused_and_the_values_alone_are_not(client: InProcess) -> None:
    values = {"inputs": np.zeros(3000)}
    answer = infer_raw(client, "softmax", values, "FP64")
    assert answer.status_code == 422
    assert "9,000,000" in answer.json()["error"]
    asked = [{"name": "outputs"}]
    assert infer_raw(client, "softmax", values, "FP64", outputs=asked).status_code == 200
