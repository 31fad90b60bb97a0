"""Hostile inference requests over a real socket, each followed by a valid one that must be answered."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest

from tests.conftest import ZEROS, Server, started
from tests.hostile.test_hostile import connect, exchange, rest

GOOD = {"name": "inputs", "shape": [2], "datatype": "FP64", "data": [0, 0]}
RAW = GOOD | {"data": None, "parameters": {"binary_data_size": 16}}


@pytest.fixture(autouse=True)
def alive_after_it(server: Server) -> Iterator[None]:
    yield
    answer = httpx.post(f"{server.url}/v2/models/sigmoid/infer", json={"inputs": [GOOD]})
    assert answer.json()["outputs"][0]["data"] == [0.5, 0.5]


def post(body: bytes, *headers: str, path: str = "/v2/models/sigmoid/infer") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: test", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def sent(body: bytes, *headers: str) -> bytes:
    return post(body, f"Content-Length: {len(body)}", *headers)


def raw(binary: bytes, *, length: Any = None, **fields: Any) -> bytes:
    """A request with raw bytes after its JSON object, whose header may declare another ``length``."""
    head = json.dumps({"inputs": [RAW], **fields}).encode()
    header = f"Inference-Header-Content-Length: {len(head) if length is None else length}"
    return sent(head + binary, header, "Content-Type: application/octet-stream")


def assert_error(body: bytes) -> None:
    assert json.loads(body).keys() == {"error"}
    assert json.loads(body)["error"]
    assert len(body) < 10_000


@pytest.mark.parametrize(
    "request_bytes",
    [
        raw(bytes(15)),
        raw(bytes(17)),
        raw(b""),
        raw(bytes(16), length=-1),
        raw(bytes(16), length="many"),
        raw(bytes(16), length="1e3"),
        raw(bytes(16), length=0),
        raw(bytes(16), length=10),
        raw(bytes(16), length=10**6),
        raw(bytes(16), length=2**64),
        raw(bytes(16), length="9" * 4000),
        sent(json.dumps({"inputs": [RAW]}).encode() + bytes(16)),
        sent(json.dumps({"inputs": [GOOD]}).encode(), "Inference-Header-Content-Length: 1000000000000"),
    ],
    ids=lambda request: repr(request[60:160]),
)
def test_headers_and_bytes_that_disagree(server: Server, request_bytes: bytes) -> None:
    status, answer = exchange(server, request_bytes)
    assert status == 400
    assert_error(answer)


@pytest.mark.parametrize("size", [-16, 15, 17, 2**63, 2**64, 10**40, 1.5, "16", True, [16], {}])
def test_an_invalid_binary_data_size(server: Server, size: Any) -> None:
    tensor = RAW | {"parameters": {"binary_data_size": size}}
    status, answer = exchange(server, raw(bytes(16), inputs=[tensor]))
    assert status == 400
    assert_error(answer)


@pytest.mark.parametrize(
    "shape",
    [
        *([3], [1], [2, 2], [-2], [-1, -2], [2, -1], [0], [2**32, 2**32], [2**63, 2], [10**300], [10**12]),
        *([1] * 33, [1] * 100_000, [2.0], ["2"], [True, 2], [[2]], [None], None, 2, "2", {}),
    ],
    ids=lambda shape: repr(shape)[:30],
)
def test_an_invalid_shape(server: Server, shape: Any) -> None:
    for request in (
        raw(bytes(16), inputs=[RAW | {"shape": shape}]),
        sent(json.dumps({"inputs": [GOOD | {"shape": shape}]}).encode()),
    ):
        status, answer = exchange(server, request)
        assert status == 400
        assert_error(answer)


def test_raw_tensors_that_overlap_or_leave_gaps(server: Server) -> None:
    for sizes in ((16, 16), (8, 16), (0, 16)):
        tensors = [RAW | {"parameters": {"binary_data_size": size}} for size in sizes]
        status, answer = exchange(server, raw(bytes(16), inputs=tensors))
        assert status == 400
        assert_error(answer)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        json.dumps({"inputs": [GOOD]}).encode()[:-2],
        json.dumps({"inputs": [GOOD | {"data": [float("nan"), 0]}]}).encode(),
        json.dumps({"inputs": [GOOD | {"data": [0, float("-inf")]}]}).encode(),
        b'{"inputs":[{"name":"inputs","shape":[1],"datatype":"FP64","data":[1e999]}]}',
        b'{"inputs":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"inputs":' + b'[{"data":' * 900 + b"1" + b"}]" * 900 + b"}",
        b'{"id":' + b"[" * 900 + b"]" * 900 + b"}",
        json.dumps({"inputs": [GOOD]}).encode("utf-16"),
        b"\xef\xbb\xbf" + json.dumps({"inputs": [GOOD]}).encode(),
        b'{"inputs":[],"inputs":[]}',
        b'{"inputs":[{"name":"a","name":"b"}]}',
        b'{"id":"\\ud800","inputs":[]}',
        b"\x00" * 100,
        json.dumps({"inputs": [GOOD] * 100_000}).encode(),
        json.dumps({"inputs": [GOOD], "id": [[]] * 1_000_000}).encode(),
    ],
    ids=lambda body: repr(body[:40]),
)
def test_malformed_json(server: Server, body: bytes) -> None:
    status, answer = exchange(server, sent(body, "Content-Type: application/json"))
    assert status == 400
    assert_error(answer)


@pytest.mark.parametrize(
    "fields",
    [
        {"inputs": [GOOD | {"data": [True, 0]}]},
        {"inputs": [GOOD | {"data": [None, 0]}]},
        {"inputs": [GOOD | {"data": ["x"] * 1_000_000}]},
        {"inputs": [GOOD | {"data": [[1], 2]}]},
        {"inputs": [GOOD | {"data": {"a": 1}}]},
        {"inputs": [GOOD | {"datatype": "FP" * 500_000}]},
        {"inputs": [GOOD | {"name": "k" * 1_000_000}]},
        {"inputs": [GOOD | {"k" * 1_000_000: 1}]},
        {"inputs": [GOOD] * 1000},
        {"inputs": GOOD},
        {"inputs": [None, 1, "x"]},
        {"inputs": [GOOD], "outputs": [{"name": "k" * 1_000_000}]},
        {"inputs": [GOOD], "outputs": [{"name": "outputs"}] * 1000},
        {"inputs": [GOOD], "parameters": {"k" * 1_000_000: 1}},
        {"inputs": [GOOD], "parameters": {"alpha": "k" * 1_000_000}},
        {"inputs": [GOOD], "parameters": {str(index): [] for index in range(150)}},
        {"inputs": [GOOD], "parameters": []},
        {"inputs": [GOOD], "id": "k" * 1_000_000},
        [],
        None,
        "x",
    ],
    ids=lambda fields: repr(fields)[:60],
)
def test_well_formed_and_wrong(server: Server, fields: Any) -> None:
    status, answer = exchange(server, sent(json.dumps(fields).encode(), "Content-Type: application/json"))
    assert status == 422
    assert_error(answer)
    assert b"kkkk" not in answer
    assert b"FPFP" not in answer


def test_a_name_as_long_as_a_url_may_be(server: Server) -> None:
    for path in ("/v2/models/" + "k" * 16_000, "/v2/models/%00%ff", "/v2/models/..%2f..%2fetc/infer"):
        answer = httpx.get(server.url + path)
        assert answer.status_code == 404
        assert_error(answer.content)
        assert b"kkkk" not in answer.content


@pytest.mark.parametrize("more", ["Transfer-Encoding: chunked", "Content-Length: 3", "Content-Length: many"])
def test_ambiguous_length(server: Server, more: str) -> None:
    status, answer = exchange(server, sent(json.dumps({"inputs": [GOOD]}).encode(), more))
    assert status == 400
    assert json.loads(answer)["error"]


@pytest.mark.parametrize("length", ["Content-Length: 1099511627776", "Content-Length: 40000000"])
def test_a_declared_body_over_the_limit(server: Server, length: str) -> None:
    status, answer = exchange(server, post(b"{", length))
    assert status == 413
    assert_error(answer)


def test_a_chunked_body_over_the_limit(server: Server) -> None:
    chunk = b"100000\r\n" + b" " * 2**20 + b"\r\n"
    with connect(server) as connection:
        connection.sendall(post(b"", "Transfer-Encoding: chunked"))
        try:
            for _ in range(64):
                connection.sendall(chunk)
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer = rest(connection)
    assert answer == b"" or answer.split()[1] == b"413"


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Content-Type: text/plain", 415),
        ("Content-Type: application/x-www-form-urlencoded", 415),
        ("Content-Encoding: gzip", 415),
        ("Content-Encoding: deflate", 415),
        ("Accept: image/png", 406),
        ("Request-Timeout: -1", 422),
    ],
)
def test_media_types(server: Server, header: str, status: int) -> None:
    answered, body = exchange(server, sent(json.dumps({"inputs": [GOOD]}).encode(), header))
    assert answered == status
    assert_error(body)


@pytest.mark.parametrize("values", [[], [-0.0], [5e-324], [1e308], [2**64]])
def test_numbers_at_the_edge(server: Server, values: list[float]) -> None:
    tensor = GOOD | {"shape": [len(values)], "data": values}
    answer = httpx.post(f"{server.url}/v2/models/linear/infer", json={"inputs": [tensor]})
    assert answer.status_code == 200
    data = answer.json()["outputs"][0]["data"]
    assert list(map(str, data)) == list(map(str, map(float, values)))


def test_a_body_cut_off_before_its_end(server: Server) -> None:
    request = raw(bytes(8_000_000), inputs=[RAW | {"shape": [1_000_000]}])
    for part in (len(request) // 2, len(request) - 1, 300):
        with connect(server) as connection:
            connection.sendall(request[:part])
    with connect(server) as connection:  # within the receive timeout of two seconds
        connection.sendall(request[:300])
        start = time.monotonic()
        rest(connection)
        assert time.monotonic() - start < 5


def test_disconnects_before_the_answer(server: Server) -> None:
    values = np.zeros(1_000_000)
    tensor = {"name": "inputs", "shape": [values.size], "datatype": "FP64"}
    inputs = [tensor | {"parameters": {"binary_data_size": values.nbytes}}]
    request = raw(values.tobytes(), inputs=inputs, parameters={"binary_data_output": True})
    for _ in range(4):
        with connect(server) as connection:
            connection.sendall(request)


@pytest.fixture(scope="module")
def narrow() -> Iterator[Server]:
    """A server that admits one large request at a time."""
    yield from started(max_queue="1")


def test_more_than_it_can_hold(narrow: Server) -> None:
    tensor = f'{{"name":"inputs","shape":[3000000],"datatype":"FP64","data":[{ZEROS}]}}'
    body = f'{{"inputs":[{tensor}],"parameters":{{"binary_data_output":true}}}}'

    def ask(_: int = 0) -> httpx.Response:
        # Snake is slow: while one is computed, others arrive.
        return httpx.post(f"{narrow.url}/v2/models/snake/infer", content=body, timeout=60)

    with ThreadPoolExecutor(4) as crowd:
        answers = list(crowd.map(ask, range(8)))
    assert {each.status_code for each in answers} == {200, 503}
    for refused in (each for each in answers if each.status_code == 503):
        assert int(refused.headers["Retry-After"]) >= 1
        assert_error(refused.content)
    assert ask().status_code == 200
