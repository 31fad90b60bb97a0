"""At the limit of file descriptors, accepted connections are served, and no request gets a 500."""

from __future__ import annotations

import resource
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import httpx
import pytest

from tests.conftest import Server, started

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of another process are Linux's")

LIMIT = 64
FLOW = {"activation": "tanh", "depth": 3, "width": 8, "networks": 1}


@pytest.fixture
def limited() -> Iterator[Server]:
    for server in started(receive_timeout="3", simulators="2"):
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
        yield server


def status(server: Server, method: str, path: str, **options: Any) -> int:
    """The status of the answer; 0 if the connection is closed without one."""
    try:
        return httpx.request(method, server.url + path, timeout=30, **options).status_code
    except (httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError):
        return 0


def starts(connection: socket.socket, start: bytes) -> bool:
    """Whether the received data begins with ``start``."""
    connection.setblocking(False)
    try:
        return connection.recv(100).startswith(start)
    except OSError:
        return False


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /healthz HTT", b"GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n"],
    ids=["nothing", "half", "keep-alive"],
)
def test_many_connections_leave_descriptors_for_the_work(limited: Server, sent: bytes) -> None:
    statuses = set()
    with ExitStack() as crowd:
        connections = []
        for _ in range(3 * LIMIT):
            connection = crowd.enter_context(
                socket.create_connection((limited.host, limited.port), timeout=5)
            )
            with suppress(ConnectionError):
                connection.sendall(sent)
            connections.append(connection)
        for _ in range(5):
            statuses.add(status(limited, "GET", "/healthz"))
            statuses.add(status(limited, "POST", "/gradient-flow", json=FLOW))
        if sent == b"GET /healthz HTT":
            assert any(starts(each, b"HTTP/1.1 503 ") for each in connections)
        else:
            assert statuses == {200}  # idle connections are closed for new ones
        assert statuses <= {0, 200, 503}
    end = time.monotonic() + 5
    while httpx.get(f"{limited.url}/healthz").status_code != 200:
        assert time.monotonic() < end
    assert httpx.post(f"{limited.url}/gradient-flow", json=FLOW, timeout=30).status_code == 200
