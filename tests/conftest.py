"""The application in process, and a real server on a real socket for what only a socket shows."""

from __future__ import annotations

import gc
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import structlog
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI

from app.main import create_app
from app.settings import Settings

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))  # in this process


BOUNDS = "test_*_bounds.py"
"""Files whose requests, some thousands, are made when they are collected, and which are all slow."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves them out where no slow test runs."""
    light = "not slow" in config.option.markexpr
    return True if light and collection_path.match(BOUNDS) else None


def pytest_collection_finish() -> None:
    """Keeps the garbage collector from searching 24,000 tests again and again."""
    gc.freeze()


class InProcess:
    """The application over ASGI, without a socket. An unexpected exception shows as its 500."""

    def __init__(self, portal: BlockingPortal, app: FastAPI) -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._portal = portal
        self._client = httpx.AsyncClient(transport=transport, base_url="http://test", timeout=60)

    def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        return self._portal.call(partial(self._client.request, method, url, **options))

    def get(self, url: str, **options: Any) -> httpx.Response:
        return self.request("GET", url, **options)

    def post(self, url: str, **options: Any) -> httpx.Response:
        return self.request("POST", url, **options)

    def begun(self, url: str, **options: Any) -> httpx.Response:
        """A stream that its deadline ends once it has started: longer deadlines are tried until it does."""
        headers = options.pop("headers")
        for seconds in ("1", "4", "16"):
            answer = self.post(url, headers={**headers, "Request-Timeout": seconds}, **options)
            if answer.status_code == 200:
                break
        return answer


@pytest.fixture(scope="session")
def application() -> FastAPI:
    return create_app(Settings())


@pytest.fixture(scope="session")
def client(application: FastAPI) -> Iterator[InProcess]:
    with start_blocking_portal() as portal:
        lifespan = application.router.lifespan_context(application)
        with portal.wrap_async_context_manager(lifespan):
            yield InProcess(portal, application)


class Server(NamedTuple):
    """A server started as a user would start it."""

    host: str
    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def started(
    *,
    log: Path | None = None,
    sign: str = "/readyz",
    below: Sequence[str] = (),
    folder: Path | None = None,
    **settings: str,
) -> Iterator[Server]:
    """`python -m app` with these settings in its environment and its log there, stopped by SIGTERM.

    It has started once ``sign`` is answered with 200. It runs in ``folder``, and ``below`` is a command to
    run it under, such as one that lowers a limit.
    """
    port = free_port()
    prompt = {"shutdown_notice": "0", **settings}
    chosen = {f"ACTIVATION_LAB_{key.upper()}": value for key, value in prompt.items()}
    environment = {**os.environ, **chosen}
    command = [*below, sys.executable, "-m", "app", "--port", str(port)]
    with Path(log or os.devnull).open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, cwd=folder)
    server = Server("127.0.0.1", port, process)
    try:
        wait_until_ready(server, sign=sign)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=30)


def wait_until_ready(server: Server, seconds: float = 120.0, sign: str = "/readyz") -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert server.process.poll() is None, "the server ended before it was ready"
        try:
            if httpx.get(f"{server.url}{sign}", timeout=30).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise TimeoutError("the server is not ready")


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A real server with a receive timeout short enough to test and a small body limit."""
    yield from started(receive_timeout="2", max_body_bytes=str(32 * 2**20))


ZEROS = ",".join(["0"] * 3_000_000)


def large(server: Server) -> httpx.Response:
    """An array whose answer takes longer to compute than its request to send: 6 MB there, 72 MB back."""
    body = f'{{"function":"snake","order":2,"inputs":[{ZEROS}]}}'
    headers = {"Content-Type": "application/json", "Accept": "application/x-npy"}
    return httpx.post(f"{server.url}/activate", content=body, headers=headers, timeout=60)
