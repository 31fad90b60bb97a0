"""Shutdown after SIGTERM, over real sockets, with one server process and with two."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from tests.conftest import Server, large, started
from tests.hostile.test_hostile import post, rest

NOTICE = 1.0
GRACE = 10.0
AMPLE = 60.0
"""A grace period in which the work of these tests finishes on any machine."""

SMALL = {"function": "tanh", "inputs": [0.5]}

PROCESSES = pytest.mark.parametrize(
    "serving",
    [pytest.param("1", id="one process"), pytest.param("2", id="two processes", marks=pytest.mark.slow)],
    indirect=True,
)


@pytest.fixture
def grace() -> float:
    return GRACE


@pytest.fixture
def serving(request: pytest.FixtureRequest, grace: float) -> Iterator[Server]:
    yield from started(
        workers=getattr(request, "param", "1"), shutdown_notice=str(NOTICE), shutdown_grace=str(grace)
    )


def long(server: Server) -> httpx.Response:
    """A simulation that takes a core most of a second at least."""
    body = {
        "activation": "tanh",
        "init": "critical",  # survives, so that no remedies are tried
        "depth": 30,
        "width": 1024,
        "networks": 2,
        "engine": "dense",
    }
    return httpx.post(f"{server.url}/gradient-flow", json=body, timeout=60)


def endless(server: Server) -> httpx.Response:
    """A simulation that takes many times the grace period."""
    body = {"activation": "tanh", "depth": 400, "width": 1024, "networks": 32, "engine": "dense"}
    return httpx.post(f"{server.url}/gradient-flow", json=body, timeout=60)


def status(server: Server, path: str) -> int:
    return httpx.get(f"{server.url}{path}").status_code


def wait_until_running(server: Server) -> None:
    """Waits until the metrics report a running simulation."""
    running = 'activation_lab_jobs_running{pool="simulations"}'
    end = time.monotonic() + 60
    while time.monotonic() < end:
        lines = httpx.get(f"{server.url}/metrics", timeout=60).text.splitlines()
        if any(line.startswith(running) and float(line.split()[-1]) > 0 for line in lines):
            return
        time.sleep(0.02)
    raise TimeoutError("nothing runs")


def wait_until_not_ready(server: Server) -> None:
    """Waits until the service reports that it is not ready."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if status(server, "/readyz") == 503:
            return
        time.sleep(0.02)
    raise TimeoutError("it is still ready")


def refuses(server: Server) -> bool:
    try:
        socket.create_connection((server.host, server.port), timeout=2).close()
    except ConnectionRefusedError:
        return True
    return False


@PROCESSES
def test_it_is_not_ready_before_it_stops_listening(serving: Server) -> None:
    serving.process.terminate()
    wait_until_not_ready(serving)
    assert status(serving, "/healthz") == 200
    answered = httpx.post(f"{serving.url}/activate", json=SMALL)
    assert answered.status_code == 200
    assert answered.headers["Connection"] == "close"
    assert serving.process.wait(NOTICE + 3) == 0
    assert refuses(serving)


@PROCESSES
@pytest.mark.parametrize("grace", [AMPLE])
def test_running_requests_finish(serving: Server) -> None:
    with ThreadPoolExecutor(3) as crowd:
        simulated, *sent = [crowd.submit(send, serving) for send in (long, large, large)]
        wait_until_running(serving)
        serving.process.terminate()
        assert outcome(simulated) == 200
        assert {outcome(each) for each in sent} <= {200, 503}
    assert serving.process.wait(GRACE) == 0


def test_an_array_on_its_way_is_computed() -> None:
    for server in started():
        with socket.create_connection((server.host, server.port), timeout=20) as connection:
            body = b'{"function":"tanh","inputs":[' + b"0," * 1_000_000 + b"0]}"
            length = f"Content-Length: {len(body)}"
            connection.sendall(post(b"", "Content-Type: application/json", length, "Expect: 100-continue"))
            assert connection.recv(65536).startswith(b"HTTP/1.1 100 ")  # it is accepted
            connection.sendall(body[:1_000_000])
            server.process.terminate()
            connection.sendall(body[1_000_000:])
            assert rest(connection).startswith(b"HTTP/1.1 200 ")
        assert server.process.wait(15) == 0
        assert refuses(server)


@pytest.mark.slow
@PROCESSES
def test_a_request_beyond_the_grace_period_does_not_keep_the_process(serving: Server) -> None:
    with ThreadPoolExecutor(1) as crowd:
        running = crowd.submit(endless, serving)
        wait_until_running(serving)
        start = time.monotonic()
        serving.process.terminate()
        assert serving.process.wait(GRACE + 5) == 0
        assert time.monotonic() - start <= GRACE
        assert outcome(running) in {503, "closed"}


def test_a_second_sigterm_cuts_the_notice_short() -> None:
    for server in started(shutdown_notice="20", shutdown_grace="30"):
        server.process.terminate()
        wait_until_not_ready(server)
        server.process.terminate()
        assert server.process.wait(5) == 0


@PROCESSES
def test_sigterm_under_load(serving: Server) -> None:
    """Clients with a connection per request and clients with persistent ones see 200 or a closed port."""
    stop = threading.Event()
    seen: Counter[int | str] = Counter()

    def new_connections() -> None:
        while not stop.is_set():
            seen[answer(lambda: httpx.post(f"{serving.url}/activate", json=SMALL, timeout=60))] += 1

    def persistent_connection() -> None:
        with httpx.Client(base_url=serving.url) as client:
            while not stop.is_set():
                seen[answer(lambda: client.post("/activate", json=SMALL, timeout=60))] += 1

    with ThreadPoolExecutor(6) as crowd, ended_by(stop):
        for visit in [new_connections, persistent_connection] * 2:
            crowd.submit(visit)
        running = [crowd.submit(send, serving) for send in (long, large)]
        wait_until_running(serving)
        start = time.monotonic()
        serving.process.terminate()
        assert serving.process.wait(GRACE) == 0
        assert time.monotonic() - start <= GRACE
    assert seen[200] > 0
    assert set(seen) <= {200, "refused"}
    assert {outcome(each) for each in running} <= {200, 503}


@contextmanager
def ended_by(stop: threading.Event) -> Iterator[None]:
    """Sets ``stop`` at the end of the block, even if an assertion failed: the pool waits for its threads."""
    try:
        yield
    finally:
        stop.set()


def answer(send: Callable[[], httpx.Response]) -> int | str:
    try:
        return send().status_code
    except httpx.ConnectError:
        time.sleep(0.01)
        return "refused"
    except httpx.TransportError as error:
        return repr(error)


def outcome(running: Future[httpx.Response]) -> int | str:
    try:
        return running.result().status_code
    except httpx.TransportError:
        return "closed"
