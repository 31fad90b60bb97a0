"""A real Dask scheduler and workers, in separate processes; one is killed in the middle of a sweep."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from distributed import Client

from app.compute.cluster import Cluster
from app.compute.workers import Unavailable
from app.core.evaluation import Mapper
from app.core.jobs import Progress
from tests.conftest import free_port, started

pytestmark = pytest.mark.slow

SWEEP = {
    "base": {"activation": "tanh", "depth": 30, "width": 256, "batch": 16, "networks": 2},
    "grid": {"init.sigma_w": [0.8, 1.0, 1.2, 1.5], "seed": [0, 1, 2, 3]},
}


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    running = subprocess.Popen([sys.executable, "-m", "distributed.cli." + arguments[0], *arguments[1:]])
    try:
        yield running
    finally:
        running.terminate()
        running.wait(timeout=60)


@contextmanager
def cluster(workers: int) -> Iterator[str]:
    """The address of a scheduler with workers, each under a nanny that restarts it when it dies."""
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    scheduler = ["dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    worker = ["dask_worker", address, "--host", "127.0.0.1", "--nthreads", "1", "--no-dashboard"]
    with process(*scheduler), process(*worker, "--nworkers", str(workers)):
        with Client(address, set_as_default=False) as client:  # type: ignore[no-untyped-call]
            client.wait_for_workers(workers, timeout=60)
        yield address


def kill_one(address: str) -> None:
    with Client(address, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        pids = client.run(os.getpid)
    os.kill(next(iter(pids.values())), signal.SIGKILL)


def cells(url: str, address: str | None = None) -> dict[int, Any]:
    """The sweep's cells; with an address, a worker is killed after the second."""
    found: dict[int, Any] = {}
    with httpx.stream("POST", f"{url}/gradient-flow/sweep", json=SWEEP, timeout=300) as answer:
        for each in map(json.loads, answer.iter_lines()):
            if each["type"] != "cell":
                assert each["type"] in ("start", "progress", "end"), each
                continue
            assert each["index"] not in found
            found[each.pop("index")] = each
            if address and len(found) == 2:
                kill_one(address)
    return found


def test_a_sweep_survives_a_worker_s_death_and_is_the_same_to_the_last_bit() -> None:
    for server in started():
        here = cells(server.url)
    with cluster(2) as address:
        for server in started(dask_scheduler=address):
            begun = time.monotonic()
            there = cells(server.url, address)
            assert time.monotonic() - begun < 240
    assert sorted(there) == list(range(16))
    assert there == here


def simulated(url: str, **fields: Any) -> httpx.Response:
    body = {"activation": "tanh", "depth": 5, "width": 32, "networks": 2, **fields}
    return httpx.post(f"{url}/gradient-flow", json=body, timeout=120)


def until(url: str, path: str, status: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    while httpx.get(f"{url}{path}").status_code != status:
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])
def test_a_scheduler_may_be_lost_and_return(fault: signal.Signals) -> None:
    """Without a scheduler requests get a 503 at once; when it is back, they succeed again."""
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    scheduler = ["dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    worker = [
        "dask_worker",
        address,
        "--host",
        "127.0.0.1",
        "--nthreads",
        "1",
        "--no-dashboard",
        "--no-nanny",
    ]
    for server in started(dask_scheduler=address, sign="/healthz"):
        assert httpx.get(f"{server.url}/readyz").status_code == 503
        assert simulated(server.url).status_code == 503
        with process(*scheduler) as first, process(*worker):
            until(server.url, "/readyz", 200, 60)
            assert simulated(server.url).status_code == 200
            with ThreadPoolExecutor(1) as client:
                running = client.submit(simulated, server.url, depth=20_000, width=64, init="critical")
                time.sleep(1)
                first.send_signal(fault)
                lost = running.result(timeout=20)
            assert lost.status_code == 503
            assert int(lost.headers["Retry-After"]) >= 1
            until(server.url, "/readyz", 503, 10)
            small = httpx.post(f"{server.url}/activate", json={"function": "tanh", "inputs": [0]})
            assert small.status_code == 200
            first.kill()
        with process(*scheduler), process(*worker):
            until(server.url, "/readyz", 200, 60)
            assert simulated(server.url).status_code == 200


def test_workers_of_another_version_get_no_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    with cluster(1) as address:
        monkeypatch.setattr("app.compute.cluster.__version__", "another")
        engine = Cluster(address)
        assert not engine.available
        with pytest.raises(Unavailable):
            engine.submit(Nothing(), 1).future.result(timeout=5)
        engine.close()


def test_a_job_whose_workers_have_all_died_is_abandoned() -> None:
    """The nanny starts another worker, at another address; Dask would wait for the old one."""
    with cluster(1) as address, closing(Cluster(address)) as engine:
        running = engine.submit(Sleep(60), 1)
        time.sleep(1)
        kill_one(address)
        with pytest.raises(Unavailable):
            running.future.result(timeout=15)
        end = time.monotonic() + 20
        while not engine.available:
            assert time.monotonic() < end
            time.sleep(0.1)
        assert engine.submit(Sleep(0), 1).future.result(timeout=20) is None


@dataclass(frozen=True)
class Sleep:
    seconds: float

    def __call__(self, _map_blocks: Mapper, _progress: Progress) -> None:
        time.sleep(self.seconds)


@dataclass(frozen=True)
class Nothing:
    def __call__(self, _map_blocks: Mapper, _progress: Progress) -> None:
        return None
