"""Requests that bypass FastAPI are answered as through FastAPI."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from fastapi import FastAPI

from app.api import activate
from app.main import create_app
from app.settings import Settings
from tests.conftest import InProcess

JSON = {"Content-Type": "application/json"}
GOOD = b'{"function":"tanh","inputs":[0.5]}'
CHANGING = {"x-request-id", "server-timing"}


@pytest.fixture(scope="module")
def both() -> Iterator[list[InProcess]]:
    """An application in which some requests bypass FastAPI, and one in which none do, as it has telemetry."""
    with ExitStack() as stack:
        portal = stack.enter_context(start_blocking_portal())
        clients = []
        for telemetry in (False, True):
            application = create_app(Settings(telemetry=telemetry, max_body_bytes=1000))
            lifespan = application.router.lifespan_context(application)
            stack.enter_context(portal.wrap_async_context_manager(lifespan))
            clients.append(InProcess(portal, application))
        yield clients


def comparable(answer: httpx.Response) -> tuple[int, dict[str, str], bytes]:
    headers = {name: value for name, value in answer.headers.items() if name not in CHANGING}
    return answer.status_code, headers, answer.content


async def chunks() -> AsyncIterator[bytes]:
    yield b'{"function":"tanh","inputs":['
    for _ in range(300):
        yield b"0.5,"
    yield b"1]}"


@pytest.mark.parametrize(
    ("status", "method", "path", "options"),
    [
        (200, "POST", "/activate", {"content": GOOD, "headers": JSON}),
        (200, "POST", "/mean-field", {"json": {"activation": "tanh", "sigma_w": 1.5}}),
        (400, "POST", "/activate", {"content": b"{", "headers": JSON}),
        (400, "POST", "/activate", {"headers": JSON}),
        (405, "GET", "/activate", {}),
        (405, "DELETE", "/activate", {}),
        (404, "POST", "/activate/", {"content": GOOD, "headers": JSON}),
        (404, "POST", "/activat", {"content": GOOD, "headers": JSON}),
        (406, "POST", "/activate", {"content": GOOD, "headers": {**JSON, "Accept": "text/html"}}),
        (413, "POST", "/activate", {"content": GOOD + b" " * 1000, "headers": JSON}),
        (413, "POST", "/activate", {"content": chunks, "headers": JSON}),
        (415, "POST", "/activate", {"content": GOOD, "headers": {"Content-Type": "text/plain"}}),
        (422, "POST", "/activate", {"json": {"function": "tanh", "inputs": [1], "order": 9}}),
        (422, "POST", "/activate", {"json": {"function": "tahn", "inputs": [1]}}),
        (422, "POST", "/activate?function=tanh", {"content": GOOD, "headers": JSON}),
        (422, "POST", "/activate", {"json": {"function": "tanh", "inputs": [[1], [1, 2]]}}),
    ],
)
def test_both_ways_answer_alike(
    both: list[InProcess], status: int, method: str, path: str, options: dict[str, Any]
) -> None:
    answers = []
    for client in both:
        content = options.get("content")
        fresh = {**options, "content": content()} if callable(content) else options
        answers.append(comparable(client.request(method, path, **fresh)))
    assert answers[0] == answers[1]
    assert answers[0][0] == status


def test_an_internal_error_is_a_problem_and_reaches_the_server(
    application: FastAPI, client: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(*_: Any, **__: Any) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(activate, "negotiate", fault)
    answer = client.post("/activate", content=GOOD, headers=JSON)
    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "fault of ours" not in answer.text

    async def post() -> None:
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as raising:
            await raising.post("/activate", content=GOOD, headers=JSON)

    with start_blocking_portal() as portal, pytest.raises(RuntimeError, match="a fault of ours"):
        portal.call(post)
