"""No more descriptors than the process may have: whoever is let in is served, nobody gets a 500."""

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
def poor() -> Iterator[Server]:
    for server in started(receive_timeout="3", simulators="2"):
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
        yield server


def status(server: Server, method: str, path: str, **options: Any) -> int:
    """The answer's status; 0 where the connection is closed without a word."""
    try:
        return httpx.request(method, server.url + path, timeout=30, **options).status_code
    except (httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError):
        return 0


def starts(connection: socket.socket, start: bytes) -> bool:
    """Whether what has come begins so."""
    connection.setblocking(False)
    try:
        return connection.recv(100).startswith(start)
    except OSError:
        return False


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /healthz HTT", b"GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n"],
    ids=["nothing", "half", "kept"],
)
def test_a_crowd_of_connections_leaves_descriptors_to_work_with(poor: Server, sent: bytes) -> None:
    statuses = set()
    with ExitStack() as crowd:
        connections = []
        for _ in range(3 * LIMIT):
            connection = crowd.enter_context(socket.create_connection((poor.host, poor.port), timeout=5))
            with suppress(ConnectionError):
                connection.sendall(sent)
            connections.append(connection)
        for _ in range(5):
            statuses |= {status(poor, "GET", "/healthz"), status(poor, "POST", "/gradient-flow", json=FLOW)}
        if sent == b"GET /healthz HTT":
            assert any(starts(each, b"HTTP/1.1 503 ") for each in connections)
        else:
            assert statuses == {200}  # silent connections make room
        assert statuses <= {0, 200, 503}
    end = time.monotonic() + 5
    while httpx.get(f"{poor.url}/healthz").status_code != 200:
        assert time.monotonic() < end
    assert httpx.post(f"{poor.url}/gradient-flow", json=FLOW, timeout=30).status_code == 200
