"""Killed workers and disconnects, over real sockets: no answers are lost, and workers are freed soon."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import httpx
import psutil
import pytest

from tests.conftest import Server, started

LONG = {"activation": "tanh", "depth": 20_000, "width": 64, "networks": 2, "init": "critical"}
"""Minutes of work for both workers."""

SHORT = {"activation": "tanh", "depth": 5, "width": 32, "networks": 2}

TRAINING = {"activations": ["tanh", "relu"], "steps": 50_000, "frames": 100}
"""Minutes of training for both workers."""


@pytest.fixture(scope="module")
def service() -> Iterator[Server]:
    yield from started(simulators="2", max_queue="2")


def simulators(server: Server) -> list[psutil.Process]:
    """The worker processes: the children of the fork server."""
    own = psutil.Process(server.process.pid).children(recursive=True)
    return [each for each in own if each.ppid() != server.process.pid]


def busy(server: Server) -> int:
    """The number of workers that are computing."""
    before = {each.pid: each.cpu_times().user for each in simulators(server)}
    time.sleep(0.3)
    after = {each.pid: each.cpu_times().user for each in simulators(server)}
    return sum(after[pid] - before.get(pid, 0.0) > 0 for pid in after)


def until(condition: Callable[[], bool], seconds: float) -> None:
    """Waits for ``condition``; fails after ``seconds``."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds


def simulate(server: Server, **fields: Any) -> httpx.Response:
    return httpx.post(f"{server.url}/gradient-flow", json={**SHORT, **fields}, timeout=120)


def test_no_answer_is_lost_when_a_worker_is_killed(service: Server) -> None:
    deep = {"depth": 500, "init": "critical"}  # survives, so that no remedies are tried
    expected = simulate(service, **deep).content
    with ThreadPoolExecutor(1) as client:
        running = client.submit(simulate, service, **deep)
        until(lambda: busy(service) > 0, 20)
        simulators(service)[0].kill()
        assert running.result().content == expected


def learned(answer: httpx.Response) -> Any:
    """The answer of a training, without timings."""
    assert answer.status_code == 200, answer.text[:300]
    found = answer.json()
    for each in found["activations"]:
        del each["timing"]
    return found


@pytest.mark.slow
def test_a_killed_worker_changes_nothing_that_is_learned(service: Server) -> None:
    learn = partial(
        httpx.post, f"{service.url}/training", json={**TRAINING, "steps": 1500, "runs": 2}, timeout=120
    )
    expected = learned(learn())
    with ThreadPoolExecutor(1) as client:
        running = client.submit(learn)
        until(lambda: busy(service) > 0, 20)
        for each in simulators(service):
            each.kill()
        assert learned(running.result()) == expected


@contextmanager
def asked(server: Server, path: str, body: Any, accept: str = "application/json") -> Iterator[None]:
    """A request on a new connection, which is closed at the end without reading the answer."""
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: test\r\nAccept: {accept}\r\nContent-Type: application/json\r\n"
    with socket.create_connection((server.host, server.port)) as client:
        client.sendall(head.encode() + f"Content-Length: {len(content)}\r\n\r\n".encode() + content)
        yield


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
@pytest.mark.parametrize("path", ["/gradient-flow", "/gradient-flow/sweep", "/training"])
def test_a_disconnect_frees_the_workers_within_a_second(service: Server, path: str, accept: str) -> None:
    if path.endswith("sweep"):
        accept = accept.replace("/json", "/jsonl")
        body: dict[str, Any] = {"base": LONG, "grid": {"seed": [0, 1, 2]}}
    else:
        body = TRAINING if path == "/training" else LONG
    with asked(service, path, body, accept):
        # The faster half of a training waits for the slower one.
        until(lambda: busy(service) >= (1 if path == "/training" else 2), 20)
    time.sleep(0.7)
    assert busy(service) == 0
    assert simulate(service).status_code == 200


@pytest.mark.parametrize(("path", "long"), [("/gradient-flow", LONG), ("/training", TRAINING)])
def test_more_simulations_than_places(service: Server, path: str, long: dict[str, Any]) -> None:
    with asked(service, path, long), asked(service, path, long):
        until(lambda: busy(service) == 2, 20)
        refused = simulate(service)
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) >= 1
        events = {"Accept": "text/event-stream"}
        for route, body in (("/gradient-flow", SHORT), ("/training", TRAINING)):
            stream = httpx.post(f"{service.url}{route}", json=body, headers=events)
            assert stream.status_code == 503
        small = httpx.post(f"{service.url}/activate", json={"function": "tanh", "inputs": [0]}, timeout=2)
        assert small.json()["derivative"] == [1.0]
    until(lambda: simulate(service).status_code == 200, 5)


def test_a_deadline(service: Server) -> None:
    answer = httpx.post(f"{service.url}/gradient-flow", json=LONG, headers={"Request-Timeout": "0.5"})
    assert answer.status_code == 504
    until(lambda: busy(service) == 0, 3)


@pytest.mark.slow
def test_the_deadline_of_a_job_whose_worker_is_stopped(service: Server) -> None:
    def ask() -> httpx.Response:
        headers = {"Request-Timeout": "4"}
        return httpx.post(f"{service.url}/gradient-flow", json=LONG, headers=headers, timeout=60)

    assert simulate(service).status_code == 200  # starts the workers
    with ThreadPoolExecutor(1) as client:
        begin = time.monotonic()
        running = client.submit(ask)
        until(lambda: busy(service) > 0, 20)
        stopped = simulators(service)
        for each in stopped:
            each.suspend()
        assert running.result().status_code == 504
        assert time.monotonic() - begin < 10
    assert simulate(service).status_code == 200
    assert not {each.pid for each in stopped} & {each.pid for each in simulators(service)}


def disconnect(server: Server) -> None:
    """Requests minutes of work and disconnects."""
    with asked(server, "/gradient-flow", LONG):
        time.sleep(0.15)


@pytest.mark.slow
def test_ten_disconnects_a_second_cost_other_clients_little() -> None:
    for server in started(simulators="2"):
        for _ in range(4):
            simulate(server)
        calm, crowded = [], []
        for _ in range(5):
            begin = time.monotonic()
            assert simulate(server).status_code == 200
            calm.append(time.monotonic() - begin)
        over = threading.Event()

        def keep_disconnecting(server: Server = server, over: threading.Event = over) -> None:
            while not over.is_set():
                threading.Thread(target=disconnect, args=(server,)).start()
                time.sleep(0.1)

        crowd = threading.Thread(target=keep_disconnecting)
        crowd.start()
        time.sleep(1)
        for _ in range(5):
            begin = time.monotonic()
            answer = simulate(server)
            crowded.append(time.monotonic() - begin)
            assert answer.status_code in (200, 503)
        over.set()
        crowd.join()
        assert sorted(crowded)[2] < 2 + 3 * max(calm)


def below(server: Server) -> Any:
    """The server's descendant processes."""
    return psutil.Process(server.process.pid).children(recursive=True)


def all_there(server: Server) -> bool:
    """Whether all processes run: two servers and multiprocessing's helpers, a fork server, two simulators."""
    return len(below(server)) >= 6


@pytest.mark.slow
def test_four_server_processes_share_two_simulators(monkeypatch: pytest.MonkeyPatch) -> None:
    """They need no writable directory."""
    for name in ("TMPDIR", "TEMP", "TMP", "HOME"):
        monkeypatch.setenv(name, "/nowhere")
    for server in started(workers="4", simulators="2"):
        with ThreadPoolExecutor(8) as crowd:
            answers = [crowd.submit(simulate, server, seed=seed) for seed in range(16)]
        assert {each.result().status_code for each in answers} == {200}
        children = psutil.Process(server.process.pid).children()
        (fork_server,) = (each for each in children if "app.compute.fork_server" in each.cmdline())
        assert len(fork_server.children()) == 2
        metrics = httpx.get(f"{server.url}/metrics").text
        counted = 'activation_lab_requests_total{function="tanh",route="/gradient-flow",status="200"} 16.0'
        assert counted in metrics


@pytest.mark.slow
def test_nothing_is_left_of_a_supervisor_that_was_killed() -> None:
    """Its server processes end although they are computing, and so do the simulators."""
    for server in started(workers="2", simulators="2"):
        with ThreadPoolExecutor(1) as client:
            running = client.submit(simulate, server, **LONG)
            until(partial(all_there, server), 20)
            left = below(server)
            server.process.kill()
            _, left = psutil.wait_procs(left, timeout=5)
            ended = [each for each in left if each.status() == psutil.STATUS_ZOMBIE]  # not reaped yet
            assert left == ended
            assert running.exception() is not None
