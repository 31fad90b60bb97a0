"""HTTP/1.1 over real sockets: one response to each complete request, in order, and limits on everything."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import psutil
import pytest

from app.serving.protocol import LONGEST_TARGET, MOST_HEAD, MOST_HEADERS, MOST_WAITING
from tests.conftest import Server, started
from tests.support.raw_http import Answer, answers, exchanged, first_answer, received, request

SIGMOID = b'{"function":"sigmoid","inputs":[0]}'
GET = request("GET", "/healthz")
LAST = request("GET", "/healthz", "Connection: close")
POST = request("POST", "/activate", body=SIGMOID)
SEND_TIMEOUT = 1.0
MARKER = b"mArKeR"


@pytest.fixture(scope="module")
def service() -> Iterator[Server]:
    """A server with a send timeout of a second, and 50 MB for unread answers."""
    yield from started(
        send_timeout=str(SEND_TIMEOUT),
        max_unsent_bytes=str(50 * 2**20),
        receive_timeout="2",
        simulators="2",
        max_queue="6",
        max_body_bytes=str(200 * 2**20),
    )


@pytest.fixture(autouse=True)
def alive_after_it(service: Server) -> Iterator[None]:
    yield
    assert statuses(service, LAST) == [200]


def ask(service: Server, *data: bytes) -> list[Answer]:
    return exchanged((service.host, service.port), *data)


def statuses(service: Server, *data: bytes) -> list[int]:
    return [each.status for each in ask(service, *data)]


def connected(service: Server, receive_buffer: int | None = None) -> socket.socket:
    connection = socket.socket()
    if receive_buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(20)
    connection.connect((service.host, service.port))
    return connection


def memory(service: Server) -> int:
    """Resident bytes of the server, after a first request has loaded everything."""
    ask(service, POST + LAST)
    return int(psutil.Process(service.process.pid).memory_info().rss)


def until(condition: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.02)


def running(service: Server) -> float:
    """Running simulations, from the metrics."""
    (answer,) = ask(service, request("GET", "/metrics", "Connection: close"))
    line = next(each for each in answer.body.splitlines() if b'jobs_running{pool="sim' in each)
    return float(line.split()[-1])


# Heads


@pytest.mark.parametrize("pieces", [1, 7], ids=["at once", "in pieces"])
@pytest.mark.parametrize(
    ("status", "head"),
    [
        (431, request("GET", "/healthz", "X: " + "x" * MOST_HEAD)),
        (431, request("GET", "/healthz", "X: " + "x" * (50 << 20))),
        (431, request("GET", "/healthz", *["x: y"] * MOST_HEADERS)),
        (431, request("GET", "/healthz", *["x: y"] * 1_000_000)),
        (431, request("POST", "/activate", "Accept: " + "," * (10 << 20), body=SIGMOID)),
        (414, request("GET", "/" + "x" * LONGEST_TARGET)),
        (414, request("GET", "/healthz?" + "x" * (50 << 20))),
        (414, request("GET", "http://" + "x" * LONGEST_TARGET + "/healthz")),
        (200, request("GET", "/healthz", "Connection: close", *["x: y"] * (MOST_HEADERS - 2))),
        (200, request("GET", "/healthz", "Connection: close", "X: " + "x" * (MOST_HEAD - 80))),
        (404, request("GET", "/" + "x" * (LONGEST_TARGET - 1), "Connection: close")),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else f"{value[:16]!r} {len(value)}",
)
def test_heads_have_a_limit(service: Server, status: int, head: bytes, pieces: int) -> None:
    before = memory(service)
    step = -(-len(head) // pieces)
    found = ask(service, *(head[start : start + step] for start in range(0, len(head), step)))
    assert [each.status for each in found] == [status]
    assert len(found[0].body) < 1000
    assert memory(service) - before < 20 << 20


def test_a_head_that_goes_on_and_on_is_not_held(service: Server) -> None:
    """Also after a request that is being answered, and in the trailers and extensions of a chunked body."""
    chunked = request("POST", "/activate", "Transfer-Encoding: chunked", "Content-Type: application/json")
    endless = b"x" * (20 << 20)
    before = memory(service)
    assert statuses(service, GET, b"GET / HTTP/1.1\r\nX: ", endless) == [200, 431]
    assert statuses(service, chunked, b"0\r\nX: ", endless) == [400]
    assert statuses(service, chunked, b"5;x=", endless) == [400]
    assert statuses(service, b"\r\n" * MOST_HEAD) == [431]
    assert memory(service) - before < 20 << 20


# Pipelines


def test_a_pipeline_is_answered_in_order(service: Server) -> None:
    """More requests than are held at a time, of all kinds, in one write."""
    kinds = [
        (200, GET),
        (200, POST),
        (404, request("GET", "/nothing")),
        (405, request("GET", "/activate")),
        (422, request("POST", "/activate", body=b"{}")),
    ]
    many = [kinds[number % len(kinds)] for number in range(40 * MOST_WAITING)]
    assert statuses(service, b"".join(data for _, data in many), LAST) == [*(each for each, _ in many), 200]


@pytest.mark.parametrize("step", [1, 2, 3, 5, 37])
def test_it_does_not_matter_where_the_pieces_end(service: Server, step: int) -> None:
    data = GET + POST + b"\r\n" + request("POST", "/activate", "Expect: 100-continue", body=SIGMOID) + LAST
    with connected(service) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(data), step):
            connection.sendall(data[start : start + step])
            time.sleep(0.0003)
        found = answers(received(connection))
    assert [each.status for each in found] == [200, 200, 200, 200]


def test_a_pipeline_with_unread_responses_is_not_buffered(service: Server) -> None:
    before = memory(service)
    with connected(service, 4096) as connection:
        connection.settimeout(1)
        with pytest.raises((TimeoutError, ConnectionError)):
            connection.sendall(POST * 1_000_000)
        assert memory(service) - before < 20 << 20
        until(lambda: closed(connection), 3 * SEND_TIMEOUT + 20)


def closed(connection: socket.socket) -> bool:
    """Whether the server has closed the connection, without reading what it sent."""
    try:
        connection.send(b"G")
    except (BrokenPipeError, ConnectionResetError):
        return True
    except TimeoutError:
        pass
    return False


# Slow clients


def unread(service: Server, numbers: int, accept: str) -> socket.socket:
    """A client that requests so many numbers and reads nothing."""
    connection = connected(service, 4096)
    body = b'{"function":"relu","order":0,"inputs":[' + b"0," * (numbers - 1) + b"0]}"
    connection.sendall(request("POST", "/activate", f"Accept: {accept}", body=body))
    return connection


@pytest.mark.parametrize("accept", ["application/json", "application/x-npy"])
@pytest.mark.parametrize(
    "numbers", [100_000, *(pytest.param(each, marks=pytest.mark.slow) for each in (15_000, 2_000_000))]
)
def test_a_client_that_does_not_read_is_closed(service: Server, numbers: int, accept: str) -> None:
    with unread(service, numbers, accept) as connection:
        connection.settimeout(0.1)
        until(lambda: closed(connection), 3 * SEND_TIMEOUT + 10)


@pytest.mark.slow
@pytest.mark.parametrize("accept", ["application/json", "application/x-npy"])
def test_unread_answers_hold_bounded_memory(service: Server, accept: str) -> None:
    """Sixty answers of 16 MB: those that have waited longest are aborted, clients that read are served."""
    before = memory(service)
    crowd = []
    try:
        for _ in range(60):
            crowd.append(unread(service, 2_000_000, accept))
            assert statuses(service, request("POST", "/activate", "Connection: close", body=SIGMOID)) == [200]
            time.sleep(0.05)
        assert memory(service) - before < 400 << 20
    finally:
        for each in crowd:
            each.close()


def test_a_slow_reader_gets_all_of_it(service: Server) -> None:
    """It takes twice the send timeout in all."""
    with unread(service, 1_000_000, "application/x-npy") as connection:
        data = bytearray()
        while len(data) < 8_000_000:
            piece = connection.recv(100_000)
            assert piece, len(data)
            data += piece
            time.sleep(2 * SEND_TIMEOUT * len(piece) / 8_000_000)
    answer, rest = first_answer(bytes(data) + b"")
    assert not rest
    assert answer.status == 200


# Disconnects

SWEEP = json.dumps(
    {
        "base": {"activation": "tanh", "width": 1024, "depth": 100, "networks": 4, "engine": "dense"},
        "grid": {"seed": list(range(100))},
    }
).encode()


@pytest.mark.parametrize(
    "behind",
    [b"", GET, GET * 3 * MOST_WAITING, request("POST", "/activate", body=b"x" * 10_000_000), b"GET / HT"],
    ids=["nothing", "a request", "more than is held", "a large body", "half a request"],
)
def test_a_disconnect_frees_the_workers_whatever_was_sent_after(service: Server, behind: bytes) -> None:
    with connected(service) as connection:
        connection.settimeout(0.5)
        with suppress(TimeoutError):  # it is not read while the sweep runs
            connection.sendall(request("POST", "/gradient-flow/sweep", body=SWEEP) + behind)
        until(lambda: running(service) > 0, 20)
    left = time.monotonic()
    until(lambda: running(service) == 0, 5)
    assert time.monotonic() - left < 1.0


def test_a_half_closed_client_still_gets_its_answers(service: Server) -> None:
    with connected(service) as connection:
        connection.sendall((GET + POST) * MOST_WAITING + b"GET /half")
        connection.shutdown(socket.SHUT_WR)
        found = answers(received(connection))
    assert [each.status for each in found] == [200] * 2 * MOST_WAITING


# Conformance


@pytest.mark.parametrize(
    "headers",
    [
        ("Connection: Upgrade", "Upgrade: foo"),
        ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk"),
        ("Connection: keep-alive, Upgrade", "Upgrade: websocket"),
    ],
    ids=["foo", "h2c", "websocket"],
)
@pytest.mark.parametrize("gap", [0.0, 0.2], ids=["at once", "later"])
def test_an_upgrade_is_ignored(service: Server, headers: tuple[str, ...], gap: float) -> None:
    inner = request("GET", "/readyz")
    head = request(
        "POST", "/activate", *headers, "Content-Type: application/json", f"Content-Length: {len(inner)}"
    )
    with connected(service) as connection:
        connection.sendall(head)
        time.sleep(gap)
        connection.sendall(inner + request("GET", "/healthz", *headers))
        chunked = [*headers, "Content-Type: application/json", "Transfer-Encoding: chunked"]
        connection.sendall(request("POST", "/activate", *chunked) + b"%x\r\n%b\r\n0\r\n\r\n" % (35, SIGMOID))
        connection.sendall(request("POST", "/activate", *headers, body=SIGMOID) + LAST)
        found = answers(received(connection))
    assert [each.status for each in found] == [400, 200, 200, 200, 200]
    assert json.loads(found[2].body)["outputs"] == json.loads(found[3].body)["outputs"] == [0.5]


@pytest.mark.parametrize(
    ("status", "rubbish"),
    [
        (400, MARKER + b"\r\n\r\n"),
        (400, b"\x16\x03\x01" + MARKER),
        (400, b"GET /" + MARKER + b" HTTP/1.1\r\n\r\n"),
        (400, b"GET /" + MARKER + b" HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: " + MARKER + b"/a\r\n\r\n"),
        (400, b"GET /" + MARKER + b"\r\n\r\n"),
        (400, b"GET /#" + MARKER + b" HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, b"GET / HTTP/1.1\nHost: a\n\n"),
        (400, b"GET / HTTP/1.1\r\nHost: a\r\n " + MARKER + b"\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
        (400, b"POST /activate HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (400, request("POST", "/activate", "Content-Length: 1", "Transfer-Encoding: chunked")),
        (400, request("POST", "/activate", "Content-Length: 1", "Content-Length: 1")),
        (400, request("POST", "/activate", "Transfer-Encoding: chunked") + MARKER + b"\r\n"),
        (501, request("POST", "/activate", "Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n"),
        (501, request("CONNECT", "test:80")),
        (505, request("GET", "/healthz", version="2.0")),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else repr(value[:50]),
)
@pytest.mark.parametrize("before", [[], [GET], [POST, GET, POST]], ids=len)
@pytest.mark.parametrize("after", [b"", GET], ids=["alone", "with one behind"])
def test_malformed_requests_are_answered_last(
    service: Server, status: int, rubbish: bytes, before: list[bytes], after: bytes
) -> None:
    found = ask(service, b"".join(before) + rubbish + after)
    assert [each.status for each in found] == [*(200 for _ in before), status]
    assert found[-1].headers[b"connection"] == b"close"
    assert found[-1].headers[b"content-type"] == b"application/problem+json"
    assert json.loads(found[-1].body)["status"] == status
    assert MARKER not in found[-1].body


def test_what_follows_a_closing_request_is_not_answered(service: Server) -> None:
    assert statuses(service, GET + LAST + GET) == [200, 200]
    assert statuses(service, GET + LAST + MARKER) == [200, 200]
    assert statuses(service, request("GET", "/healthz", version="1.0") + GET) == [200]


def test_an_answer_before_the_body_ends_the_connection() -> None:
    for service in started(api_keys="secret"):
        expecting = request("POST", "/activate", "Expect: 100-continue", "Content-Length: 1000")
        found = ask(service, expecting + GET)
        assert [each.status for each in found] == [401]
        assert found[0].headers[b"connection"] == b"close"
        assert statuses(service, request("POST", "/activate", body=SIGMOID) + LAST) == [401, 200]


def test_an_unread_body_is_dropped(service: Server) -> None:
    """The request is answered after its head, before its body, and the next request is found after it."""
    unknown = request("POST", "/nothing", body=b"x" * 100_000).removesuffix(b"x" * 100_000)
    chunked = request("POST", "/nothing", "Transfer-Encoding: chunked")
    for head, body in ((unknown, b"x" * 100_000), (chunked, b"5\r\nhello\r\n" * 1000 + b"0\r\n\r\n")):
        with connected(service) as connection:
            connection.sendall(head)
            answer, rest = first_answer(connection.recv(1 << 16))
            assert (answer.status, rest) == (404, b"")
            assert b"connection" not in answer.headers
            connection.sendall(body + GET + LAST)
            assert [each.status for each in answers(received(connection))] == [200, 200]
    endless = ask(service, chunked, b"100000\r\n" + b"x" * (1 << 20) + b"\r\n5\r\nhello\r\n" * 3)
    assert [each.status for each in endless] == [404]


def test_100_continue(service: Server) -> None:
    expecting = request("POST", "/activate", "Expect: 100-continue", body=SIGMOID).removesuffix(SIGMOID)
    with connected(service) as connection:
        connection.sendall(expecting)
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(SIGMOID + LAST)
        assert [each.status for each in answers(received(connection))] == [200, 200]


def test_trailers_are_no_headers(service: Server) -> None:
    head = request("POST", "/activate", "Content-Type: application/json", "Transfer-Encoding: chunked")
    trailers = b"Request-Timeout: -1\r\nX-Request-Id: trailer\r\nContent-Type: text/plain\r\nHost: b\r\n"
    chunked = head + b"%x;a=b\r\n%b\r\n0\r\n%b\r\n" % (len(SIGMOID), SIGMOID, trailers)
    found = ask(service, chunked + LAST)
    assert [each.status for each in found] == [200, 200]
    assert found[0].headers[b"x-request-id"] != b"trailer"


def test_versions_and_targets(service: Server) -> None:
    assert statuses(service, b"GET /healthz HTTP/1.0\r\n\r\n") == [200]
    absolute = request("GET", "http://other/functions?framework=torch", "Connection: close")
    assert statuses(service, absolute) == [200]
    assert statuses(service, request("GET", "http://other", "Connection: close")) == [200]
    assert statuses(service, request("OPTIONS", "*", "Connection: close"))[0] in (200, 404)
    (answer,) = ask(service, request("POST", "/activate", body=SIGMOID, version="1.0"))
    assert b"transfer-encoding" not in answer.headers
    large = b'{"function":"relu","inputs":[' + b"0," * 99_999 + b"0]}"
    (answer,) = ask(service, request("POST", "/activate", body=large, version="1.0"))
    assert b"transfer-encoding" not in answer.headers
    assert json.loads(answer.body)["shape"] == [100_000]
