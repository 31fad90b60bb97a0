"""Observability: ids, log lines and metrics of requests, mostly over real sockets."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from opentelemetry import trace
from prometheus_client.parser import text_string_to_metric_families

from app.core.activations import REGISTRY
from app.main import create_app
from app.settings import Settings
from tests.conftest import InProcess, Server, free_port, started, wait_until_ready

TEN = {"function": "torch:Tanh", "inputs": [0.1 * n for n in range(10)]}
SECRET = "zq7-nobody-else-s-business"


class Watched(NamedTuple):
    """A server and its log."""

    server: Server
    log: Path

    def lines(self) -> list[dict[str, Any]]:
        written = self.log.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in written.splitlines()]

    def line(self, request_id: str) -> dict[str, Any]:
        """The one line of the request with this id, which is logged after the answer has been sent."""
        for _ in range(100):
            if found := [each for each in self.lines() if each.get("request_id") == request_id]:
                break
            time.sleep(0.02)
        (only,) = found
        return only


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    log = tmp_path_factory.mktemp("observation") / "log"
    for server in started(log=log, max_body_bytes="100000"):
        yield Watched(server, log)


def samples(server: Server) -> dict[tuple[str, tuple[str, ...]], float]:
    """Every sample of /metrics, by name and label values."""
    text = httpx.get(f"{server.url}/metrics").text
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


# Ids


@pytest.mark.parametrize("given", ["a", "7f3c0d2e-9b1a-4c6f", "trace:01.ab_c+/=@-", "x" * 128])
def test_a_valid_id_is_returned(client: InProcess, given: str) -> None:
    assert client.get("/healthz", headers={"X-Request-ID": given}).headers["X-Request-ID"] == given


@pytest.mark.parametrize(
    "given", [b"", b" ", b"x" * 129, b'a"b', b"a b", b"a\tb", b"{}", b"<i>", "é".encode(), b"\xff\x00"]
)
def test_an_invalid_id_is_replaced(client: InProcess, given: bytes) -> None:
    got = client.get("/healthz", headers={b"X-Request-ID": given})
    assert re.fullmatch("[0-9a-f]{8}-[0-9a-f]+", got.headers["X-Request-ID"])


def test_every_answer_has_its_own_id(watched: Watched) -> None:
    url = watched.server.url
    json_type = {"Content-Type": "application/json"}
    with httpx.Client(base_url=url, timeout=60) as asking:
        answers = [
            asking.get("/healthz"),
            asking.get("/no/such/place"),
            asking.put("/activate"),
            asking.post("/activate", json=TEN),
            asking.post("/activate", content=b"{", headers=json_type),
            asking.post("/activate", content=b"x"),
            asking.post("/activate", content=b" " * 200_000, headers=json_type),
            asking.post("/activate", json={"function": "none", "inputs": 1}),
            asking.get("/static-offline-docs/swagger-ui.css"),
        ]
    assert [each.status_code for each in answers] == [200, 404, 405, 200, 400, 415, 413, 422, 200]
    assert len({each.headers["X-Request-ID"] for each in answers}) == len(answers)


# Log lines


def test_one_line_a_request(watched: Watched) -> None:
    body = json.dumps(TEN)
    answer = httpx.post(
        f"{watched.server.url}/activate",
        content=body,
        headers={"Content-Type": "application/json", "X-Request-ID": "the-line"},
    )
    line = watched.line("the-line")
    assert 0 < line.pop("duration") < 5
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line.pop("timestamp"))
    assert line == {
        "message": "request",
        "level": "info",
        "method": "POST",
        "route": "/activate",
        "status": 200,
        "function": "tanh",
        "bytes_in": len(body),
        "bytes_out": len(answer.content),
        "request_id": "the-line",
    }


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("GET", "/functions/tanh", "/functions/{name}"),
        ("GET", "/functions/none", "/functions/{name}"),
        ("GET", "/v2/models/tanh", "/v2/models/{name}"),
        ("GET", "/v2/models/tanh/versions/1", "/v2/models/{name}/versions/{version}"),
        ("PUT", "/activate", "/activate"),
        ("GET", "/no/such/place", "-"),
    ],
)
def test_routes_are_logged_by_their_templates(watched: Watched, method: str, path: str, route: str) -> None:
    own = f"route{path.replace('/', '.')}"
    httpx.request(method, watched.server.url + path, headers={"X-Request-ID": own})
    assert watched.line(own)["route"] == route


def test_nothing_that_a_client_sent_is_logged(watched: Watched) -> None:
    url = watched.server.url
    headers = {
        "Authorization": f"Bearer {SECRET}",
        "User-Agent": SECRET,
        "X-Request-ID": f"{SECRET} {SECRET}",
    }
    httpx.get(f"{url}/{SECRET}?a={SECRET}", headers=headers)
    httpx.get(f"{url}/functions/{SECRET}", headers=headers)
    httpx.post(
        f"{url}/activate?{SECRET}={SECRET}", json={"function": SECRET, SECRET: SECRET}, headers=headers
    )
    assert SECRET not in watched.log.read_text()
    assert SECRET not in httpx.get(f"{url}/metrics").text


def test_a_disconnect_is_no_server_error(watched: Watched) -> None:
    head = "POST /activate HTTP/1.1\r\nHost: test\r\nX-Request-ID: leaving\r\n"
    head += "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    with socket.create_connection((watched.server.host, watched.server.port)) as connection:
        connection.sendall(head.encode())
    assert watched.line("leaving")["status"] == 400


def test_the_server_s_own_lines_are_json_too(watched: Watched) -> None:
    assert any("startup complete" in each["message"] for each in watched.lines())


FAULT = """
import uvicorn
from app.serving.process import application

app = application()

@app.get("/fault/{secret}")
async def fault(secret: str) -> None:
    raise RuntimeError("a fault of ours")

uvicorn.run(app, port=PORT, log_config=None, access_log=False)
"""


def test_an_internal_error_is_traced_in_the_log_only(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    code = FAULT.replace("PORT", str(port))
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-c", code], stdout=output)
    server = Server("127.0.0.1", port, process)
    try:
        wait_until_ready(server)
        answer = httpx.get(f"{server.url}/fault/{SECRET}", headers={"X-Request-ID": "faulty"})
    finally:
        process.terminate()
        process.wait(timeout=30)
    assert answer.status_code == 500
    assert answer.headers["X-Request-ID"] == "faulty"
    assert "fault of ours" not in answer.text
    lines = [line for line in Watched(server, log).lines() if line.get("request_id") == "faulty"]
    assert [line["level"] for line in lines] == ["warning", "error"]
    assert lines[1]["exception"].endswith("in fault\nRuntimeError: a fault of ours")
    assert SECRET not in log.read_text()


@pytest.mark.parametrize(
    ("form", "level", "shown"),
    [("console", "info", r"request .*route=/healthz"), ("json", "warning", None)],
)
def test_the_form_and_the_level_can_be_chosen(
    tmp_path: Path, form: str, level: str, shown: str | None
) -> None:
    log = tmp_path / "log"
    for server in started(log=log, log_format=form, log_level=level):
        httpx.get(f"{server.url}/healthz")
    logged = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text())
    assert re.search(shown, logged) if shown else logged == ""
    assert '{"' not in logged


# Metrics


def test_requests_are_counted_by_route_function_and_status(watched: Watched) -> None:
    key = ("activation_lab_requests_total", ("tanh", "/activate", "200"))
    elements = ("activation_lab_elements_total", ("tanh",))
    count = ("activation_lab_request_duration_seconds_count", ("/activate",))
    before = samples(watched.server)
    for _ in range(7):
        httpx.post(f"{watched.server.url}/activate", json=TEN)
    httpx.post(f"{watched.server.url}/activate", json={**TEN, "order": 9})
    after = samples(watched.server)
    assert after[key] - before.get(key, 0) == 7
    assert after[elements] - before.get(elements, 0) == 70
    assert after[count] - before.get(count, 0) == 8
    fastest = ("activation_lab_request_duration_seconds_bucket", ("0.0005", "/activate"))
    slowest = ("activation_lab_request_duration_seconds_bucket", ("+Inf", "/activate"))
    assert after[fastest] <= after[slowest] == after[count]


def test_no_client_can_add_series(watched: Watched) -> None:
    def labels() -> set[tuple[str, tuple[str, ...]]]:
        return {key for key in samples(watched.server) if key[0].startswith("activation_lab")}

    def visit(word: str) -> None:
        url = watched.server.url
        httpx.get(f"{url}/{word}")
        httpx.get(f"{url}/functions/{word}?{word}")
        httpx.get(f"{url}/static-offline-docs/{word}")
        httpx.post(f"{url}/v2/models/{word}/infer", json={})
        httpx.post(f"{url}/activate", json={"function": word, "inputs": 1})

    visit("one")
    before = labels()
    for number in range(20):
        visit(f"word{number}")
    assert labels() == before
    functions = {key[1][0] for key in before if key[0] == "activation_lab_requests_total"}
    assert functions <= {*REGISTRY, "-"}


def test_simulations_and_theory_are_counted_by_their_activation(watched: Watched) -> None:
    url = watched.server.url
    network = {"activation": "torch:ReLU", "depth": 2, "width": 8, "networks": 1}
    theory = {"activation": "torch:ReLU", "sigma_w": 1.0}
    assert httpx.post(f"{url}/gradient-flow", json=network, timeout=60).status_code == 200
    assert httpx.post(f"{url}/mean-field", json=theory, timeout=60).status_code == 200
    found = samples(watched.server)
    for route in ("/gradient-flow", "/mean-field"):
        assert found["activation_lab_requests_total", ("relu", route, "200")] == 1


def test_pools_and_the_process_have_metrics(watched: Watched) -> None:
    found = samples(watched.server)
    for pool in ("arrays", "simulations"):
        for name in ("jobs_running", "jobs_waiting", "jobs_rejected_total"):
            assert found[f"activation_lab_{name}", (pool,)] == 0
    assert found["activation_lab_worker_restarts_total", ()] == 0
    assert 10e6 < found["process_resident_memory_bytes", ()] < 1e9
    assert found["process_cpu_seconds_total", ()] > 0


def test_rejected_requests_are_counted(application: Any) -> None:
    threads, metrics = application.state.threads, application.state.metrics
    metrics.refresh()
    before = metrics.text()
    threads.rejected += 3
    key = b'activation_lab_jobs_rejected_total{pool="arrays"} '
    assert before.count(key) == 1
    was, now = (float(text.split(key)[1].split()[0]) for text in (before, metrics.text()))
    assert now - was == 3


@pytest.mark.slow
def test_several_processes_report_one_sum(tmp_path: Path) -> None:
    """Whichever process answers; the counts of one that is killed are kept, its gauges are dropped."""
    key = ("activation_lab_requests_total", ("tanh", "/activate", "200"))
    for server in started(workers="2", log=tmp_path / "log"):
        for _ in range(40):
            httpx.post(f"{server.url}/activate", json=TEN)
        for _ in range(6):
            found = samples(server)
            assert found[key] == 40
            assert found["activation_lab_elements_total", ("tanh",)] == 400
        pids = [labels[0] for name, labels in found if name == "process_resident_memory_bytes"]
        assert len(pids) == 2
        os.kill(int(pids[0]), signal.SIGKILL)
        after = until_replaced(server, pids)
        assert after[key] == 40
        assert after["activation_lab_jobs_running", ("arrays",)] == 0


def until_replaced(server: Server, pids: list[str]) -> dict[tuple[str, tuple[str, ...]], float]:
    """The samples once another process has replaced the one that died."""
    for _ in range(200):
        time.sleep(0.1)
        try:
            found = samples(server)
        except httpx.TransportError:
            continue  # the process that died had accepted the connection
        now = [labels[0] for name, labels in found if name == "process_resident_memory_bytes"]
        if len(now) == 2 and pids[0] not in now:
            return found
    raise TimeoutError("it was not replaced")


# OpenTelemetry


class Recorder(trace.TracerProvider):
    """Records the names of spans, original and updated ones."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def get_tracer(self, *_: Any, **__: Any) -> trace.Tracer:
        names = self.names

        class Span(trace.NonRecordingSpan):
            def is_recording(self) -> bool:
                return True

            def update_name(self, name: str) -> None:
                names.append(name)

        class Tracer(trace.NoOpTracer):
            def start_span(self, name: str, *_: Any, **__: Any) -> trace.Span:
                names.append(name)
                return Span(trace.INVALID_SPAN_CONTEXT)

        return Tracer()


@pytest.mark.parametrize("on", [False, True])
def test_telemetry_is_off_by_default(monkeypatch: pytest.MonkeyPatch, on: bool) -> None:
    recorder = Recorder()
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: recorder)
    with start_blocking_portal() as portal:
        client = InProcess(portal, create_app(Settings(telemetry=on)))
        assert client.get("/healthz").status_code == 200
        assert (
            client.post("/activate", content=b"{", headers={"Content-Type": "application/json"}).status_code
            == 400
        )
    routes = {"GET /healthz", "POST /activate"}
    assert routes & set(recorder.names) == (routes if on else set())
