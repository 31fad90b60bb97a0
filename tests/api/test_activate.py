"""``POST /activate`` over ASGI."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from httpx import Response

from app.core.activations import REGISTRY
from app.core.activations.definition import Elementwise
from app.core.arithmetic.formats import FORMATS
from tests.conftest import InProcess
from tests.support.formats import WITH_NAN

ELEMENTWISE = [name for name, entry in REGISTRY.items() if isinstance(entry, Elementwise)]
ORDINARY = [name for name in ELEMENTWISE if all(p.default is not None for p in REGISTRY[name].parameters)]
assert ORDINARY
BAD_FIELDS = ("order=one", "params=%7B", "function=tanh", "inputs=1", "colour=1", "params=%ff")
NPY = "application/x-npy"


def post(client: InProcess, **fields: Any) -> Response:
    return client.post("/activate", json=fields)


def numbers(nested: Any) -> Any:
    """Nested lists as floats; float() parses the names of non-finite numbers too."""
    return [numbers(each) for each in nested] if isinstance(nested, list) else float(nested)


def saved(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


def test_the_answer_has_the_contract_s_fields(client: InProcess) -> None:
    answer = post(client, function="sigmoid", inputs=[[0.0, "NaN"], ["Infinity", -40]], order=2).json()
    assert list(answer) == [
        *("function", "params", "dtype", "shape", "outputs", "derivative", "second_derivative"),
        *("input_gradient", "param_gradients"),
    ]
    assert answer["function"] == "sigmoid"
    assert answer["shape"] == [2, 2]
    assert answer["outputs"][0] == [0.5, "NaN"]
    assert answer["outputs"][1][0] == 1.0
    assert answer["derivative"][0] == [0.25, "NaN"]
    assert answer["derivative"][1] == [0.0, 4.248354255291589e-18]  # e^-40 / (1 + e^-40)^2
    assert answer["input_gradient"] is None


@pytest.mark.parametrize("order", [0, 1, 2])
def test_order(client: InProcess, order: int) -> None:
    answer = post(client, function=ORDINARY[0], inputs=1.5, order=order).json()
    given = [answer[key] is not None for key in ("outputs", "derivative", "second_derivative")]
    assert given == [True, order >= 1, order >= 2]
    assert answer["shape"] == []


@pytest.mark.parametrize("inputs", [3, [], [[]], [[[[[1.0, 2.0]]]]], [[1], [2]], [5e-324], [1e308], [2**64]])
@pytest.mark.parametrize("name", ORDINARY[:3])
def test_shapes(client: InProcess, name: str, inputs: Any) -> None:
    answer = post(client, function=name, inputs=inputs).json()
    shape = np.shape(inputs)
    assert answer["shape"] == list(shape)
    assert np.shape(answer["outputs"]) == np.shape(answer["derivative"]) == shape


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("name", ORDINARY)
def test_json_and_binary_agree_bit_for_bit(client: InProcess, name: str, dtype: str) -> None:
    nan = "NaN" if dtype in WITH_NAN else 1.0
    inputs: list[list[Any]] = [[-3.3, -0.7, 0.0], [0.1, 2.5, 40.0], [nan, "Infinity", "-Infinity"]]
    values = np.array(numbers(inputs))
    in_json = post(client, function=name, inputs=inputs, order=2, dtype=dtype).json()
    parameters = {"function": name, "order": 2, "dtype": dtype}
    headers = {"Content-Type": NPY, "Accept": NPY}
    binary = client.post("/activate", params=parameters, content=saved(values), headers=headers)
    assert binary.headers["content-type"] == NPY
    stacked = np.load(io.BytesIO(binary.content)).astype(np.float64)
    assert stacked.shape == (3, 3, 3)
    for key, order in zip(("outputs", "derivative", "second_derivative"), stacked, strict=True):
        np.testing.assert_array_equal(numbers(in_json[key]), order)


@pytest.mark.parametrize("dtype", sorted(FORMATS.keys() - WITH_NAN.keys()))
@pytest.mark.parametrize("rounding", ["fast", "proved"])
@pytest.mark.parametrize("field", ["inputs", "upstream"])
def test_a_format_without_nan_refuses_it(client: InProcess, dtype: str, rounding: str, field: str) -> None:
    fields = {"inputs": [1.0, 2.0], "upstream": [1.0, 2.0], field: [1.0, "NaN"]}
    answer = post(client, function="relu", dtype=dtype, rounding=rounding, **fields)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["loc"][-1] == field
    assert f"{dtype} has none" in error["msg"]


def test_either_side_may_be_binary(client: InProcess) -> None:
    values = np.linspace(-2, 2, 5)
    parameters = {"function": ORDINARY[0], "params": "{}", "order": 1}
    mixed = client.post("/activate", params=parameters, content=saved(values), headers={"Content-Type": NPY})
    plain = post(client, function=ORDINARY[0], inputs=values.tolist())
    assert mixed.json()["outputs"] == plain.json()["outputs"]
    fields = {"function": ORDINARY[0], "inputs": values.tolist()}
    other = client.post("/activate", json=fields, headers={"Accept": NPY})
    assert np.load(io.BytesIO(other.content))[0].tolist() == mixed.json()["outputs"]


def test_large_arrays_give_what_small_ones_give(client: InProcess) -> None:
    values = np.random.default_rng(0).normal(size=60_000)
    large = post(client, function=ORDINARY[0], inputs=values.tolist()).json()
    for start in (0, 31_234, 59_000):
        part = slice(start, start + 500)
        small = post(client, function=ORDINARY[0], inputs=values[part].tolist()).json()
        assert small["outputs"] == large["outputs"][part]
        assert small["derivative"] == large["derivative"][part]


def test_upstream_gives_the_gradient_of_the_inputs(client: InProcess) -> None:
    answer = post(client, function="sigmoid", inputs=[0.0, 1.0], upstream=[4.0, 0.0]).json()
    assert answer["input_gradient"] == [1.0, 0.0]
    assert answer["param_gradients"] == {}


def test_a_deadline_too_short_is_a_504(client: InProcess) -> None:
    values = np.zeros(2_000_000)
    parameters = {"function": ORDINARY[0], "order": 2}
    headers = {"Content-Type": NPY, "Accept": NPY, "Request-Timeout": "0.000001"}
    answer = client.post("/activate", params=parameters, content=saved(values), headers=headers)
    assert answer.status_code == 504


@pytest.mark.parametrize(
    ("fields", "status", "says"),
    [
        ({"function": "sigmiod", "inputs": 1}, 422, "sigmoid"),
        ({"function": "torch:sigmiod", "inputs": 1}, 422, "torch:Sigmoid"),
        ({"function": "sigmoid", "inputs": [1, [2]]}, 422, "row"),
        ({"function": "sigmoid", "inputs": [True]}, 422, "only numbers"),
        ({"function": "sigmoid", "inputs": [None]}, 422, "only numbers"),
        ({"function": "sigmoid", "inputs": ["one"]}, 422, "only numbers"),
        ({"function": "sigmoid", "input": 1}, 422, "did you mean inputs"),
        ({"function": "sigmoid"}, 422, "required"),
        ({"inputs": 1}, 422, "required"),
        ({"function": "sigmoid", "inputs": 1, "order": 3}, 422, "2"),
        ({"function": "sigmoid", "inputs": 1, "order": True}, 422, "integer"),
        ({"function": "sigmoid", "inputs": 1, "order": 1.5}, 422, "integer"),
        ({"function": "sigmoid", "inputs": 1, "dtype": "float65"}, 422, "float64"),
        ({"function": "sigmoid", "inputs": 1, "params": {"slope": 1}}, 422, "unknown parameter"),
        ({"function": "sigmoid", "inputs": [1, 2], "upstream": [1]}, 422, "shape of the outputs"),
        ({"function": "sigmoid", "inputs": 1, "params": 3}, 422, "dict"),
        ({"function": 5, "inputs": 1}, 422, "string"),
    ],
)
def test_mistakes_are_named(client: InProcess, fields: dict[str, Any], status: int, says: str) -> None:
    answer = post(client, **fields)
    problem = answer.json()
    assert answer.status_code == status == problem["status"]
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.text
    assert {"type", "title", "detail", "errors"} <= problem.keys()


def test_input_is_never_echoed(client: InProcess) -> None:
    secret = "hunter2-hunter2"
    for fields in (
        {"function": secret, "inputs": 1},
        {"function": "sigmoid", "inputs": [secret]},
        {"function": "sigmoid", "inputs": 1, secret: 1},
        {"function": "sigmoid", "inputs": 1, "params": {secret: 1}},
        {"function": "sigmoid", "inputs": 1, "params": {secret: {"deep": 1}}},
        {"function": "sigmoid", "inputs": 1, "dtype": secret},
        {"function": "sigmoid", "inputs": 1, "order": secret},
    ):
        answer = post(client, **fields)
        assert answer.status_code == 422
        assert secret not in answer.text


def test_a_million_bad_elements_get_a_small_answer(client: InProcess) -> None:
    answer = post(client, function="sigmoid", inputs=["x"] * 1_000_000)
    assert answer.status_code == 422
    assert len(answer.content) < 10_000
    many = {f"field{index}": 1 for index in range(10_000)}
    answer = post(client, function="sigmoid", inputs=1, **many)
    assert answer.status_code == 422
    assert len(answer.content) < 10_000


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": ""}, 415),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, 415),
        ({"Content-Type": "application/json", "Accept": "image/png"}, 406),
        ({"Content-Type": "application/json", "Accept": "application/json;q=0"}, 406),
        ({"Content-Type": "application/json; charset=utf-8", "Accept": "*/*"}, 200),
        ({"Content-Type": "application/json", "Accept": "text/html, application/*;q=0.1"}, 200),
        ({"Content-Type": "application/json", "Request-Timeout": "soon"}, 422),
    ],
)
def test_media_types(client: InProcess, headers: dict[str, str], status: int) -> None:
    body = b'{"function":"sigmoid","inputs":1}'
    answer = client.post("/activate", content=body, headers=headers)
    assert answer.status_code == status
    assert status == 200 or answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("query", ["", *(f"function=sigmoid&{more}" for more in BAD_FIELDS)])
def test_bad_query_strings(client: InProcess, query: str) -> None:
    answer = client.post(f"/activate?{query}", content=saved(np.zeros(2)), headers={"Content-Type": NPY})
    assert answer.status_code == 422


@pytest.mark.parametrize("rounding", ["proved", '"proved"'])
def test_choices_in_a_query_string_are_words_or_json(client: InProcess, rounding: str) -> None:
    query = {"function": "sigmoid", "rounding": rounding, "order": "3"}
    answer = client.post("/activate", params=query, content=saved(np.ones(2)), headers={"Content-Type": NPY})
    assert answer.json()["proof"] == {"proved": 8, "unproved": 0}


@pytest.mark.parametrize("name", ["params", "parameters"])
def test_params_in_a_query_string_have_two_names(client: InProcess, name: str) -> None:
    query = {"function": "elu", name: '{"alpha": 2}', "dtype": "float16"}
    answer = client.post("/activate", params=query, content=saved(np.ones(2)), headers={"Content-Type": NPY})
    assert answer.json()["params"] == {"alpha": 2.0}
    both = {"params": "{}", "parameters": "{}", "function": "elu"}
    refused = client.post("/activate", params=both, content=saved(np.ones(2)), headers={"Content-Type": NPY})
    assert refused.status_code == 422


def test_a_query_string_beside_json_is_refused(client: InProcess) -> None:
    assert client.post("/activate?order=2", json={"function": "sigmoid", "inputs": 1}).status_code == 422


def test_too_many_numbers(client: InProcess) -> None:
    body = b'{"function":"sigmoid","order":2,"inputs":[' + b"0," * 7_000_000 + b"0]}"
    answer = client.post("/activate", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert "20,000,000" in answer.json()["detail"]


@pytest.mark.parametrize(("pieces", "units"), [(1, 30_000), (30_000, 1)])
def test_outputs_wider_than_the_inputs_are_refused_before_they_are_computed(
    client: InProcess, pieces: int, units: int
) -> None:
    """Maxout computes pieces × units candidates for each row: here 30,000 for each of 1,000 rows."""
    fields = {"function": "maxout", "order": 0, "inputs": [[0.0]] * 1000}
    params = {"weights": [[[0.0]] * units] * pieces, "biases": [[0.0] * units] * pieces}
    answer = client.post("/activate", json={**fields, "params": params})
    assert answer.status_code == 422
    assert "30,000,000 numbers; the limit is 20,000,000" in answer.json()["detail"]
