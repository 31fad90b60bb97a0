"""Hostile inputs over a real socket, each followed by a valid request that must be answered."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.conftest import Server, large, started

RECEIVE_TIMEOUT = 2.0
"""The server's receive timeout in these tests, in seconds."""

GOOD = b'{"function":"sigmoid","inputs":[0]}'


@pytest.fixture(autouse=True)
def alive_after_it(server: Server) -> Iterator[None]:
    yield
    headers = {"Content-Type": "application/json"}
    answer = httpx.post(f"{server.url}/activate", content=GOOD, headers=headers, timeout=60)
    assert answer.json()["outputs"] == [0.5]


def connect(server: Server) -> socket.socket:
    return socket.create_connection((server.host, server.port), timeout=20)


def rest(connection: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    received = b""
    try:
        while piece := connection.recv(65536):
            received += piece
    except ConnectionResetError:
        pass
    return received


def exchange(server: Server, data: bytes) -> tuple[int, bytes]:
    """The status and body of the answer to raw bytes."""
    with connect(server) as connection:
        connection.sendall(data)
        answer = rest(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def post(body: bytes, *headers: str) -> bytes:
    lines = ["POST /activate HTTP/1.1", "Host: test", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def json_post(body: bytes) -> bytes:
    return post(body, "Content-Type: application/json", f"Content-Length: {len(body)}")


def assert_problem(status: int, body: bytes) -> None:
    document = json.loads(body)
    assert document["status"] == status
    assert document["detail"]
    assert len(body) < 10_000


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        GOOD[:-3],
        b'{"function":"sigmoid","inputs":[NaN]}',
        b'{"function":"sigmoid","inputs":[-Infinity]}',
        b'{"function":"sigmoid","inputs":[1e999]}',
        b'{"function":"sigmoid","inputs":[' + b"7" * 5000 + b"]}",
        b'{"function":"sigmoid","inputs":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        GOOD.decode().encode("utf-16"),
        b"\xef\xbb\xbf" + GOOD,
        b'{"function":"sigmoid","inputs":[0],"inputs":[1]}',
        b'{"function":"\\ud800","inputs":[0]}',
        b'{"\\udfff":1,"function":"sigmoid","inputs":[0]}',
    ],
    ids=lambda body: repr(body[:40]),
)
def test_malformed_json(server: Server, body: bytes) -> None:
    status, answer = exchange(server, json_post(body))
    assert status == 400
    assert_problem(status, answer)


@pytest.mark.parametrize(
    "body",
    [
        b'{"function":"sigmoid","inputs":' + b"[" * 60 + b"]" * 60 + b"}",
        b'{"function":"sigmoid","inputs":[' + b'"x",' * 1_000_000 + b'"x"]}',
        b'{"function":"' + b"s" * 1_000_000 + b'","inputs":[0]}',
        b'{"function":"sigmoid","inputs":[0],"' + b"k" * 1_000_000 + b'":1}',
        b'{"function":"sigmoid","inputs":[0],"params":{"' + b"k" * 1_000_000 + b'":1}}',
        b"[]",
        b"null",
        b'"x"',
    ],
    ids=lambda body: repr(body[:40]),
)
def test_well_formed_and_wrong(server: Server, body: bytes) -> None:
    status, answer = exchange(server, json_post(body))
    assert status == 422
    assert_problem(status, answer)
    assert b"kkkk" not in answer
    assert b"ssss" not in answer


def test_a_declared_body_over_the_limit(server: Server) -> None:
    headers = ("Content-Type: application/json", f"Content-Length: {2**40}")
    status, answer = exchange(server, post(b"{", *headers))
    assert status == 413
    assert_problem(status, answer)


def test_a_chunked_body_over_the_limit(server: Server) -> None:
    head = post(b"", "Content-Type: application/json", "Transfer-Encoding: chunked")
    chunk = b"100000\r\n" + b" " * 2**20 + b"\r\n"
    with connect(server) as connection:
        connection.sendall(head)
        try:
            for _ in range(64):
                connection.sendall(chunk)
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer = rest(connection)
    # A server that answers early may reset the connection during sending; it must not read the whole body.
    assert answer == b"" or answer.split()[1] == b"413"


@pytest.mark.parametrize(
    "headers",
    [
        ("Content-Length: 35", "Transfer-Encoding: chunked"),
        ("Content-Length: 35", "Content-Length: 36"),
        ("Content-Length: -1",),
        ("Content-Length: many",),
    ],
)
def test_ambiguous_length(server: Server, headers: tuple[str, ...]) -> None:
    status, answer = exchange(server, post(GOOD, "Content-Type: application/json", *headers))
    assert status == 400
    assert_problem(status, answer)


@pytest.mark.parametrize("data", [b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", b"hello there\r\n\r\n"])
def test_not_http(server: Server, data: bytes) -> None:
    status, answer = exchange(server, data)
    assert status == 400
    assert_problem(status, answer)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n",
        b"POST /activate HTTP/1.1\r\nHost: test\r\nX-Slow: ",
        post(b'{"function":', "Content-Type: application/json", "Content-Length: 35"),
        post(b"5\r\n{", "Content-Type: application/json", "Transfer-Encoding: chunked"),
    ],
    ids=["nothing", "newline", "headers", "body", "chunk"],
)
def test_an_incomplete_request_is_closed_in_time(server: Server, data: bytes) -> None:
    with connect(server) as connection:
        connection.sendall(data)
        start = time.monotonic()
        rest(connection)
        assert RECEIVE_TIMEOUT - 0.5 < time.monotonic() - start < RECEIVE_TIMEOUT + 3


@pytest.mark.parametrize("data", [b"\r\n", b"POST /activate"])
def test_an_incomplete_second_request_is_closed_in_time(server: Server, data: bytes) -> None:
    with connect(server) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        start = time.monotonic()
        connection.sendall(data)
        rest(connection)
        assert RECEIVE_TIMEOUT - 0.5 < time.monotonic() - start < RECEIVE_TIMEOUT + 3


def test_a_trickle_is_closed_in_time(server: Server) -> None:
    with connect(server) as connection:
        start = time.monotonic()
        try:
            while time.monotonic() - start < RECEIVE_TIMEOUT + 5:
                connection.sendall(b"X" if time.monotonic() - start > 0.1 else b"GET / HTTP/1.1\r\nX: ")
                time.sleep(0.05)
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert time.monotonic() - start < RECEIVE_TIMEOUT + 3


def test_disconnects_in_the_middle(server: Server) -> None:
    body = b'{"function":"sigmoid","inputs":[' + b"0.5," * 500_000 + b"0]}"
    for _ in range(5):
        with connect(server) as connection:
            connection.sendall(json_post(body))
    with connect(server) as connection:
        connection.sendall(json_post(body)[:100_000])


@pytest.fixture(scope="module")
def narrow() -> Iterator[Server]:
    """A server that admits one large request at a time."""
    yield from started(max_queue="1")


def test_more_than_it_can_hold(narrow: Server) -> None:
    with ThreadPoolExecutor(6) as crowd:
        answers = list(crowd.map(lambda _: large(narrow), range(12)))
    assert {each.status_code for each in answers} == {200, 503}
    for refused in (each for each in answers if each.status_code == 503):
        assert int(refused.headers["Retry-After"]) >= 1
        assert_problem(503, refused.content)
    assert large(narrow).status_code == 200


def test_small_requests_are_served_while_large_ones_run(narrow: Server) -> None:
    with ThreadPoolExecutor(2) as crowd:
        running = [crowd.submit(large, narrow) for _ in range(4)]
        while not all(each.done() for each in running):
            answer = httpx.post(f"{narrow.url}/activate", json={"function": "sigmoid", "inputs": [0]})
            assert answer.json()["outputs"] == [0.5]


@pytest.mark.parametrize("count", [1, 2])
def test_kept_alive_connections_serve_again(server: Server, count: int) -> None:
    with httpx.Client(base_url=server.url) as client:
        for _ in range(count + 1):
            assert client.post("/activate", json={"function": "sigmoid", "inputs": [0]}).status_code == 200
