"""``POST /gradient-flow`` for a network of the caller's own weights."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from anyio.from_thread import start_blocking_portal
from httpx import Response
from safetensors.numpy import save

from app.contract.gradient_flow import REPLACED_BY_WEIGHTS
from app.main import create_app
from app.settings import Settings
from tests.conftest import InProcess
from tests.support.sent import OCTETS, form

RANDOM = np.random.default_rng(0)
SIZES = (5, 8, 8, 3)
MATRICES = [RANDOM.normal(size=(rows, columns)) / math.sqrt(columns) for columns, rows in pairwise(SIZES)]
BIASES = [RANDOM.normal(size=rows) for rows in SIZES[1:]]
BATCH = RANDOM.normal(size=(4, 5))


def tensors(matrices: Sequence[np.ndarray], biases: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    named = {f"{number}.weight": each for number, each in enumerate(matrices)}
    return named | {f"{number}.bias": each for number, each in enumerate(biases)}


def archive(*arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, *arrays)
    return stream.getvalue()


SAFETENSORS = save(tensors(MATRICES, BIASES))
ARCHIVE = archive(*(each for pair in zip(MATRICES, BIASES, strict=True) for each in pair))


def post(client: InProcess, weights: bytes = SAFETENSORS, /, **fields: Any) -> Response:
    return client.post("/gradient-flow", **form(weights, {"activation": "tanh", **fields}))


def figures(answer: Response, name: str) -> list[float]:
    assert answer.status_code == 200, answer.text[:300]
    return [layer[name]["median"] for layer in answer.json()["layers"]]


def forward(phi: Callable[[np.ndarray], np.ndarray], h: np.ndarray) -> Iterator[np.ndarray]:
    """Each layer's activations by the formula h ← φ(h Wᵀ + b)."""
    for matrix, bias in zip(MATRICES, BIASES, strict=True):
        h = phi(h @ matrix.T + bias)
        yield h


@pytest.mark.parametrize("weights", [SAFETENSORS, ARCHIVE], ids=["safetensors", "npz"])
def test_every_layer_s_signal_is_the_formula_s(client: InProcess, weights: bytes) -> None:
    answer = post(client, weights, inputs=BATCH.tolist())
    squares = [float(np.mean(h**2)) for h in forward(np.tanh, BATCH)]
    np.testing.assert_allclose(figures(answer, "activation_mean_square"), squares, rtol=1e-12)
    shapes = [(each["fan_in"], each["fan_out"]) for each in answer.json()["layers"]]
    assert shapes == list(pairwise(SIZES))


def test_a_network_of_one_unit_a_layer_by_hand(client: InProcess) -> None:
    """δ₁/δ_L = ∏ w_{l+1} φ′(z_l): with one unit and one input it does not depend on the loss."""
    weights, x = [0.7, -1.9, 0.3, 2.5], 0.4
    expected = 0.0
    for weight, behind in zip(weights, [*weights[1:], None], strict=True):
        x = math.tanh(weight * x)
        if behind is not None:
            expected += math.log10(abs(behind) * (1 - x * x))
    answer = post(client, save(tensors([np.array([[each]]) for each in weights], [])), inputs=[[0.4]])
    assert answer.json()["gradient"]["log10_ratio"]["median"] == pytest.approx(expected, rel=1e-12)
    assert figures(answer, "activation_mean")[-1] == pytest.approx(x, rel=1e-12)


def test_orthogonal_matrices_scale_the_gradient_exactly(client: InProcess) -> None:
    """h(x) = x and W = cQ: every layer multiplies every gradient's length by c."""
    factors = [2.0, 0.5, 3.0]
    matrices = [c * np.linalg.qr(RANDOM.normal(size=(6, 6)))[0] for c in factors]
    answer = post(client, save(tensors(matrices, [])), activation="linear")
    rms = figures(answer, "gradient_log10_rms")
    np.testing.assert_allclose(np.diff(rms), -np.log10(factors[1:]), atol=1e-12)


def test_maxout_has_a_row_for_every_piece(client: InProcess) -> None:
    matrix, bias = RANDOM.normal(size=(12, 5)), RANDOM.normal(size=12)
    z = BATCH @ matrix.T + bias
    params = {"pieces": 3}
    weights = archive(matrix, bias)
    answer = post(client, weights, activation="maxout", params=params, inputs=BATCH.tolist())
    largest = z.reshape(4, 4, 3).max(axis=2)
    assert figures(answer, "activation_mean") == [pytest.approx(float(largest.mean()), rel=1e-12)]
    assert answer.json()["layers"][0]["fan_out"] == 4


def test_prelu_s_slope_is_a_parameter(client: InProcess) -> None:
    answer = post(client, activation="prelu", params={"weight": 0.2}, inputs=BATCH.tolist())
    means = [float(h.mean()) for h in forward(lambda z: np.where(z > 0, z, 0.2 * z), BATCH)]
    np.testing.assert_allclose(figures(answer, "activation_mean"), means, rtol=1e-12)


def test_there_is_one_network_and_the_seed_draws_the_loss_gradient(client: InProcess) -> None:
    answers = [post(client, seed=seed, batch=6).json() for seed in (1, 1, 2)]
    assert answers[0] == answers[1]
    assert answers[0] != answers[2]
    assert [answers[0][key] for key in ("networks", "engine", "theory")] == [1, "dense", None]


def test_options_beside_weights(client: InProcess) -> None:
    answer = post(client, dtype="float32", normalization="layer_norm", residual={"scale": 0.5})
    assert len(figures(answer, "correlation")) == 3


def test_events(client: InProcess) -> None:
    sent = form(ARCHIVE, {"activation": "tanh"})
    answer = client.post("/gradient-flow", headers={"Accept": "text/event-stream"}, **sent)
    name, data = answer.text.split("\n\n")[-2].split("\n")
    assert name == "event: result"
    assert json.loads(data.removeprefix("data: ")) == post(client, ARCHIVE).json()


VALUES = {"depth": 3, "width": 8, "init": "he_normal", "sigma_b": 0.1, "networks": 2}


def assert_refused(answer: Response, said: str, loc: Sequence[str] | None = None) -> None:
    assert answer.status_code == 422, answer.text[:300]
    document = answer.json()
    messages = [document["detail"], *(each["msg"] for each in document.get("errors", ()))]
    assert any(said in each for each in messages), messages
    assert loc is None or document["errors"][0]["loc"] == ["body", *loc]


@pytest.mark.parametrize("name", REPLACED_BY_WEIGHTS)
def test_fields_that_the_weights_replace_are_refused(client: InProcess, name: str) -> None:
    assert_refused(
        post(client, SAFETENSORS, **{name: VALUES[name]}), "must not be given with weights", [name]
    )


@pytest.mark.parametrize(
    ("weights", "fields", "said"),
    [
        (archive(np.ones((4, 5)), np.ones((2, 3))), {}, "layer 2 must have 2 rows and 4 columns"),
        (archive(np.ones((4, 5)), np.ones(3)), {}, "the bias of layer 1 must have 4 numbers"),
        (archive(np.ones((2, 2)), np.full((2, 2), np.nan)), {}, "layer 2 has a number that is not finite"),
        (archive(np.ones((2, 2)), np.full(2, -np.inf)), {}, "layer 1 has a number that is not finite"),
        (archive(np.ones((2, 0))), {}, "none of them empty"),
        (archive(np.ones((0, 2))), {}, "none of them empty"),
        (archive(np.ones((5, 2))), {"activation": "maxout"}, "layer 1 must have a multiple of 2 rows"),
        (archive(np.ones((2, 2), int)), {}, "float64, float32, float16"),
        (b"0.1 0.2\n0.3 0.4\n", {}, "neither a safetensors file nor a NumPy archive"),
    ],
)
def test_weights_that_are_no_network(
    client: InProcess, weights: bytes, fields: dict[str, Any], said: str
) -> None:
    assert_refused(post(client, weights, **fields), said, ["weights"])


@pytest.mark.parametrize(
    ("fields", "loc"),
    [
        ({"inputs": [[1.0, 2.0]]}, "inputs"),
        ({"inputs": BATCH.tolist(), "batch": 3}, "batch"),
        ({"engine": "deferred"}, "engine"),
        ({"activation": "tahn"}, "activation"),
        ({"colour": 1}, "…"),
    ],
)
def test_bad_fields(client: InProcess, fields: dict[str, Any], loc: str) -> None:
    answer = post(client, **fields)
    assert answer.status_code == 422, answer.text[:300]
    assert answer.json()["errors"][0]["loc"][1] == loc


def test_weights_are_no_json(client: InProcess) -> None:
    for given in ([[1.0]], None):
        assert_refused(post(client, SAFETENSORS, weights=given), "must not be in the part request")
    answer = client.post("/gradient-flow", json={"activation": "tanh", "weights": [[[1.0]]]})
    assert_refused(answer, "the part of that name in a multipart form", ["weights"])


@pytest.mark.parametrize("media_type", ["image/png", "application/x-npy", "application/xml"])
def test_the_request_part_is_json(client: InProcess, media_type: str) -> None:
    files = {"request": ("r", b'{"activation":"tanh"}', media_type), "weights": ("w", ARCHIVE, OCTETS)}
    assert_refused(client.post("/gradient-flow", files=files), "the part request must be application/json")


def test_a_part_without_a_type_is_read(client: InProcess) -> None:
    """Browsers send text fields of forms this way."""
    files = {"request": (None, b'{"activation":"tanh"}'), "weights": ("w", ARCHIVE)}
    assert client.post("/gradient-flow", files=files).status_code == 200


@pytest.mark.parametrize("text", [b"", b"{", b'{"activation":NaN}', b"\xef\xbb\xbf{}", b"\xff"])
def test_a_request_part_of_broken_json(client: InProcess, text: bytes) -> None:
    files = {"request": ("r", text, "application/json"), "weights": ("w", ARCHIVE, OCTETS)}
    assert client.post("/gradient-flow", files=files).status_code == 400


@pytest.mark.parametrize("text", [b"[]", b"null", b"1", b'"tanh"', b"{}"])
def test_a_request_part_of_something_else(client: InProcess, text: bytes) -> None:
    files = {"request": ("r", text, "application/json"), "weights": ("w", ARCHIVE, OCTETS)}
    assert client.post("/gradient-flow", files=files).status_code == 422


def test_no_field_stands_in_the_query_string(client: InProcess) -> None:
    answer = client.post("/gradient-flow?seed=1", **form(ARCHIVE, {"activation": "tanh"}))
    assert_refused(answer, "no field may be in the query string")


@pytest.mark.parametrize("path", ["/activate", "/mean-field"])
def test_other_routes_refuse_forms(client: InProcess, path: str) -> None:
    answer = client.post(path, **form(ARCHIVE, {"activation": "tanh"}))
    assert answer.status_code == 415
    assert "multipart" not in answer.headers["accept"]


def test_other_routes_refuse_npy_bodies(client: InProcess) -> None:
    for path in ("/gradient-flow", "/mean-field"):
        answer = client.post(path, content=b"", headers={"Content-Type": "application/x-npy"})
        assert answer.status_code == 415
        assert answer.headers["accept"].startswith("application/json")


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ({"max_elements": 146}, "147 numbers; the limit is 146"),
        ({"max_flow_work": 1e3}, "operations; the limit is 1,000"),
        ({"max_flow_bytes": 1e3}, "bytes; the limit is 1,000"),
    ],
)
def test_limits(limit: dict[str, Any], said: str) -> None:
    assert sum(each.size for each in (*MATRICES, *BIASES)) == 147
    application = create_app(Settings(**limit))
    with start_blocking_portal() as portal:
        lifespan = application.router.lifespan_context(application)
        with portal.wrap_async_context_manager(lifespan):
            assert_refused(post(InProcess(portal, application)), said, ["weights"])


def test_the_form_is_documented(client: InProcess) -> None:
    document = client.get("/openapi.json").json()
    content = document["paths"]["/gradient-flow"]["post"]["requestBody"]["content"]
    assert list(content) == ["application/json", "multipart/form-data"]
    described = content["multipart/form-data"]
    assert described["schema"]["required"] == ["request", "weights"]
    reference = described["schema"]["properties"]["request"]["$ref"]
    schema = document["components"]["schemas"][reference.rpartition("/")[2]]
    assert "activation" in schema["properties"]
    assert "weights" not in schema["properties"]
    example = described["schema"]["properties"]["request"]["example"]
    assert post(client, **example).status_code == 200
