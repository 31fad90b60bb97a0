"""API keys: which requests require one, and how others are refused."""

from __future__ import annotations

import hmac
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from anyio.from_thread import start_blocking_portal
from pydantic import SecretStr, ValidationError
from starlette.datastructures import Headers

from app.client import Client, ServiceError, activate
from app.http import keys
from app.http.problems import Problem
from app.main import create_app
from app.settings import Settings
from tests.conftest import InProcess, Server, started

FIRST, SECOND = "first-secret-of-two", "zweites/Geheimnis+1="

DIAGRAM = {"activation": "tanh", "sigma_w": [1.0, 1.5], "sigma_b": [[0.0], [0.1]]}
COMPUTING = [
    ("POST", "/activate", {"function": "tanh", "inputs": [0.5]}),
    ("POST", "/gradient-flow", {"activation": "tanh", "depth": 2, "width": 8, "networks": 1}),
    ("POST", "/gradient-flow/sweep", {"base": {"activation": "tanh", "width": 8}, "grid": {"depth": [2]}}),
    ("POST", "/mean-field", {"activation": "tanh", "sigma_w": 1.5}),
    ("GET", "/plots/functions.vl.json?name=tanh", None),
    ("POST", "/plots/gradient-flow.vl.json", {"activation": "tanh", "depth": 2, "width": 8, "networks": 1}),
    ("POST", "/plots/mean-field.vl.json", DIAGRAM),
    (
        "POST",
        "/v2/models/tanh/infer",
        {"inputs": [{"name": "inputs", "shape": [1], "datatype": "FP64", "data": [0.5]}]},
    ),
]
OPEN = [
    "/",
    "/docs",
    "/openapi.json",
    "/healthz",
    "/readyz",
    "/metrics",
    "/functions",
    "/functions/tanh",
    "/v2",
    "/v2/health/live",
    "/v2/health/ready",
    "/v2/models/tanh",
    "/v2/models/tanh/ready",
]


@pytest.fixture(scope="module")
def guarded() -> Iterator[InProcess]:
    """The application with two keys, in process."""
    app = create_app(Settings(api_keys=(SecretStr(FIRST), SecretStr(SECOND))))
    lifespan = app.router.lifespan_context(app)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(lifespan):
        yield InProcess(portal, app)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    """The service with two keys, and its log."""
    log = tmp_path_factory.mktemp("keys") / "log"
    for server in started(log=log, api_keys=f"{FIRST}, {SECOND}", log_level="debug"):
        yield server, log


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize(("method", "path", "body"), COMPUTING, ids=lambda value: str(value)[:40])
def test_computing_requires_a_key(guarded: InProcess, method: str, path: str, body: Any) -> None:
    for headers in ({}, bearer("wrong"), {"Authorization": f"Basic {FIRST}"}, {"Authorization": FIRST}):
        refused = guarded.request(method, path, json=body, headers=headers)
        assert refused.status_code == 401
        assert refused.headers["WWW-Authenticate"] == "Bearer"
        document = refused.json()
        if path.startswith("/v2"):
            assert list(document) == ["error"]
        else:
            assert refused.headers["Content-Type"] == "application/problem+json"
            assert document["status"] == 401
    for key in (FIRST, SECOND):
        assert guarded.request(method, path, json=body, headers=bearer(key)).status_code == 200
    scheme = {"Authorization": f"bearer  {FIRST}"}  # RFC 9110: any case, one or more spaces
    assert guarded.request(method, path, json=body, headers=scheme).status_code == 200


@pytest.mark.parametrize("path", OPEN)
def test_other_paths_require_none(guarded: InProcess, path: str) -> None:
    assert guarded.get(path).status_code == 200


def test_without_keys_nothing_requires_one(client: InProcess) -> None:
    assert client.post("/activate", json=COMPUTING[0][2]).status_code == 200
    document = client.get("/openapi.json").json()
    assert "securitySchemes" not in document["components"]
    assert document["security"] == []
    assert "security" not in json.dumps(document["paths"])


def test_operations_that_require_a_key_declare_it(guarded: InProcess) -> None:
    document = guarded.get("/openapi.json").json()
    assert document["components"]["securitySchemes"] == {"bearer": {"type": "http", "scheme": "bearer"}}
    declared = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if operation.get("security") == [{"bearer": []}]
    }
    assert {(method, template(path)) for method, path, _ in COMPUTING} <= declared
    for method, path in declared:
        assert "401" in document["paths"][path][method.lower()]["responses"]
        assert method == "POST" or path.startswith("/plots/")


def template(path: str) -> str:
    return path.partition("?")[0].replace("tanh", "{name}").replace("vl.json", "{form}")


@pytest.mark.parametrize("wrong", ["wrong", FIRST[:-1], FIRST + "x", "", SECOND.upper()])
def test_every_key_is_compared_even_after_a_match(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    compared: list[tuple[int, int]] = []

    def counted(left: bytes, right: bytes) -> bool:
        compared.append((len(left), len(right)))
        return compare(left, right)

    compare = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", counted)
    own = keys.Keys([SecretStr(FIRST), SecretStr(SECOND)])
    for given in (wrong, FIRST):
        compared.clear()
        try:
            own.check(Headers(bearer(given)))
        except Problem:
            assert given == wrong
        assert compared == [(32, 32), (32, 32)]


def test_the_refusal_comes_before_the_body(served: tuple[Server, Path]) -> None:
    server, _ = served
    head = (
        "POST /activate HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
        "Authorization: Bearer wrong\r\nContent-Length: 1000000\r\n\r\n"
    )
    with socket.create_connection((server.host, server.port), timeout=10) as connection:
        connection.sendall(head.encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 401 ")


def test_the_refusal_comes_before_what_is_wrong_with_the_request(guarded: InProcess) -> None:
    wrong = {"Content-Type": "text/plain", "Content-Encoding": "gzip", "Accept": "image/png"}
    assert guarded.post("/activate", content=b"{", headers=wrong).status_code == 401


def test_no_key_is_logged_or_shown(served: tuple[Server, Path]) -> None:
    server, log = served
    for key in (FIRST, SECOND, "guessed-secret"):
        answer = httpx.post(f"{server.url}/activate", json=COMPUTING[0][2], headers=bearer(key))
        assert key not in answer.text
        assert answer.status_code == (401 if key == "guessed-secret" else 200)
    for path in ("/metrics", "/openapi.json", "/docs"):
        assert FIRST not in httpx.get(server.url + path).text
    logged = log.read_text()
    assert '"status":401' in logged
    assert not any(key in logged for key in (FIRST, SECOND, "guessed-secret"))
    own = Settings(api_keys=(SecretStr(FIRST),))
    assert FIRST not in f"{own!r}{own}{own.model_dump()}"


def test_the_client_carries_a_key(served: tuple[Server, Path]) -> None:
    server, _ = served
    with Client(server.url, key=SECOND) as lab:
        for size in (3, 3000):  # JSON, then binary
            assert lab.send(activate("tanh", np.zeros(size))).outputs.shape == (size,)
    with Client(server.url) as lab, pytest.raises(ServiceError, match="401"):
        lab.send(activate("tanh", 0.5))


@pytest.mark.parametrize("text", ["", " ", "\t", ",", "a,,b", "a b", "ключ", "a,\tb\x7f"])
def test_blank_keys_and_those_that_no_header_can_carry_are_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("ACTIVATION_LAB_API_KEYS", text)
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert "input_value" not in str(caught.value)


@pytest.mark.parametrize(("text", "count"), [("a", 1), ("a,b", 2), (" a , b ", 2)])
def test_keys_stand_between_commas(monkeypatch: pytest.MonkeyPatch, text: str, count: int) -> None:
    monkeypatch.setenv("ACTIVATION_LAB_API_KEYS", text)
    assert len(Settings().api_keys) == count
