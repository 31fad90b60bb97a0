"""HTTP semantics of every route: methods, redirects, headers, query fields, other origins, a root path."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from fastapi import FastAPI

from app.api import activate
from app.http import streaming
from app.http.headers import accepts_gzip
from app.main import create_app
from app.settings import Settings
from tests.conftest import InProcess

GETS = (
    "/",
    "/page/style.css",
    "/docs",
    "/openapi.json",
    "/static-offline-docs/swagger-ui.css",
    "/healthz",
    "/readyz",
    "/metrics",
    "/functions",
    "/functions/tanh",
    "/plots/functions.svg?name=tanh",
    "/plots/functions.vl.json?name=tanh",
    "/v2",
    "/v2/health/live",
    "/v2/models/tanh",
)
CHANGING = {"x-request-id", "server-timing", "date", "content-length"}
FOREIGN = "https://evil.example"


@contextmanager
def served(**settings: Any) -> Iterator[InProcess]:
    with ExitStack() as stack:
        portal = stack.enter_context(start_blocking_portal())
        application = create_app(Settings(**settings))
        lifespan = application.router.lifespan_context(application)
        stack.enter_context(portal.wrap_async_context_manager(lifespan))
        yield InProcess(portal, application)


@pytest.mark.parametrize("path", GETS)
def test_head_is_get_without_the_body(client: InProcess, path: str) -> None:
    got, head = client.get(path), client.request("HEAD", path)
    assert (head.status_code, head.content) == (200, b"")
    kept = [
        {name: value for name, value in each.headers.items() if name not in CHANGING} for each in (got, head)
    ]
    assert kept[0] == kept[1]
    if path != "/metrics":  # it has changed in between
        assert head.headers.get("content-length") == got.headers.get("content-length")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/activate", "POST"),
        ("HEAD", "/activate", "POST"),
        ("PUT", "/healthz", "GET, HEAD"),
        ("OPTIONS", "/functions", "GET, HEAD"),
        ("DELETE", "/plots/gradient-flow.svg", "GET, HEAD, POST"),
        ("PUT", "/plots/mean-field.svg", "GET, HEAD, POST"),
        ("POST", "/v2/models/tanh", "GET, HEAD"),
        ("POST", "/docs", "GET, HEAD"),
        ("POST", "/openapi.json", "GET, HEAD"),
        ("POST", "/static-offline-docs/swagger-ui.css", "GET, HEAD"),
    ],
)
def test_allow_names_all_methods_of_a_path(client: InProcess, method: str, path: str, allowed: str) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)


@pytest.mark.parametrize(
    "path",
    ["/activate/", "/functions/", "/docs/", "/v2/", "/static-offline-docs", "/functions//", "/healthz/?a=b"],
)
def test_there_are_no_redirects(client: InProcess, path: str) -> None:
    for method in ("GET", "POST"):
        answer = client.request(method, path, headers={"Host": FOREIGN.removeprefix("https://")})
        assert answer.status_code in (404, 405)
        assert "location" not in answer.headers


@pytest.mark.parametrize("path", [*GETS, "/nothing", "/static-offline-docs/nothing", "/functions/nothing"])
def test_every_answer_has_nosniff_and_pages_have_a_policy(client: InProcess, path: str) -> None:
    answer = client.get(path)
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    kind = answer.headers["content-type"].partition(";")[0]
    if kind in ("text/html", "image/svg+xml") and not path.startswith("/page"):
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "script-src 'self' 'unsafe-inline'" not in policy


@pytest.mark.parametrize(
    ("given", "accepted"),
    [
        ("gzip", True),
        ("gzip, deflate, br", True),
        ("br;q=1.0, gzip;q=0.5", True),
        ("*", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000, *", False),
        ("*;q=0", False),
        ("identity", False),
        ("notgzip", False),
        ("gzip;q=x", False),
        ("", False),
    ],
)
def test_gzip_is_sent_to_clients_that_accept_it(client: InProcess, given: str, *, accepted: bool) -> None:
    assert accepts_gzip({"headers": [(b"accept-encoding", given.encode())]}) is accepted
    answer = client.get("/functions", headers={"Accept-Encoding": given})
    assert ("content-encoding" in answer.headers) is accepted
    assert answer.json()["functions"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/metrics"),
        ("GET", "/functions"),
        ("GET", "/functions/tanh"),
        ("GET", "/plots/functions.svg?name=tanh"),
        ("POST", "/activate"),
        ("POST", "/gradient-flow"),
        ("POST", "/gradient-flow/sweep"),
        ("POST", "/mean-field"),
        ("POST", "/training"),
        ("POST", "/plots/gradient-flow.svg"),
        ("GET", "/v2"),
        ("GET", "/v2/health/live"),
        ("GET", "/v2/models/tanh"),
        ("POST", "/v2/models/tanh/infer"),
        ("POST", "/v2/repository/index"),
    ],
)
@pytest.mark.parametrize("field", ["mArKeR=1", "mArKeR", "a=b&mArKeR="])
def test_unknown_query_fields_are_refused(client: InProcess, method: str, path: str, field: str) -> None:
    separator = "&" if "?" in path else "?"
    options: dict[str, Any] = {"json": {"function": "tanh", "inputs": [1]}} if method == "POST" else {}
    answer = client.request(method, f"{path}{separator}{field}", **options)
    assert answer.status_code == 422
    assert "mArKeR" not in answer.text


def test_other_origins_are_allowed_by_a_setting(client: InProcess) -> None:
    preflight = {
        "Origin": FOREIGN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,authorization",
    }
    closed = client.request("OPTIONS", "/activate", headers=preflight)
    assert closed.status_code == 405
    assert not any(name.startswith("access-control") for name in closed.headers)
    with served(cors_origins=FOREIGN, api_keys="secret") as opened:
        answer = opened.request("OPTIONS", "/activate", headers=preflight)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == FOREIGN
        asked = opened.post(
            "/activate", json={"function": "tanh", "inputs": [0]}, headers={"Origin": FOREIGN}
        )
        assert asked.status_code == 401
        assert asked.headers["access-control-allow-origin"] == FOREIGN
        other = opened.get("/healthz", headers={"Origin": "https://other.example"})
        assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENFILE])
def test_no_descriptor_left_is_a_503(client: InProcess, monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    def exhausted(*_: Any, **__: Any) -> None:
        raise OSError(error, "Too many open files")

    monkeypatch.setattr(activate, "negotiate", exhausted)
    answer = client.post("/activate", json={"function": "tanh", "inputs": [0]})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"


def test_an_idle_stream_sends_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "QUIET", 0.02)

    async def sent() -> tuple[list[bytes], dict[str, str]]:
        async def work(emit: streaming.Emit) -> None:
            await asyncio.sleep(0.1)
            await asyncio.to_thread(emit, "result", b"{}")

        response = streaming.streamed(work, streaming.EVENTS, lambda _: ("error", b""))
        return [bytes(piece) async for piece in response.body_iterator], dict(response.headers)  # type: ignore[arg-type]

    pieces, headers = asyncio.run(sent())
    assert pieces[-1] == b"event: result\ndata: {}\n\n"
    assert len(pieces) >= 3
    assert set(pieces[:-1]) == {streaming.COMMENT}
    assert headers["x-accel-buffering"] == "no"


async def below_prefix(application: FastAPI, method: str, path: str, **options: Any) -> httpx.Response:
    transport = httpx.ASGITransport(application, root_path="/lab")
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as asking:
        return await asking.request(method, path, **options)


def test_below_a_prefix() -> None:
    application = create_app(Settings(root_path="/lab"))

    async def asked(method: str, path: str, **options: Any) -> httpx.Response:
        async with application.router.lifespan_context(application):
            return await below_prefix(application, method, path, **options)

    assert asyncio.run(asked("GET", "/lab/healthz")).status_code == 200
    answer = asyncio.run(asked("POST", "/lab/activate", json={"function": "tanh", "inputs": [0]}))
    assert answer.json()["outputs"] == [0.0]
    assert asyncio.run(asked("GET", "/lab/v2/models/nothing")).json().keys() == {"error"}
    servers = asyncio.run(asked("GET", "/lab/openapi.json")).json()["servers"]
    assert [each["url"] for each in servers] == ["/lab"]
    page = asyncio.run(asked("GET", "/lab/docs")).text
    assert 'src="static-offline-docs/' in page
    assert 'href="/' not in page
