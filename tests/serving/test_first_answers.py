"""The first answers of a service that has just become ready do not wait for imports in its workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.benchmarks.processes import command_of, processor_seconds
from tests.conftest import Server, started

FORMULA = "formula:x * tanh(softplus(1.07 * x))"
FIRST: dict[str, dict[str, Any]] = {
    "/activate": {"function": FORMULA, "inputs": [0.01 * n for n in range(100)], "order": 2},
    "/activate, more": {"function": FORMULA, "inputs": [0.01 * n for n in range(3000)], "order": 2},
    "/functions/describe": {"function": FORMULA},
    "/mean-field": {"activation": FORMULA, "sigma_w": [1.0, 1.5], "sigma_b": 0.1},
    "/gradient-flow": {"activation": FORMULA, "depth": 4, "width": 32, "networks": 2},
}


def below(server: Server) -> list[psutil.Process]:
    """The server's child processes, without the short-lived one that bundles Vega."""
    found = psutil.Process(server.process.pid).children(recursive=True)
    return [each for each in found if "vega.py" not in command_of(each.pid)]


def spent(server: Server) -> float:
    """Processor seconds of the server and of the busiest worker: the time that a client waits."""
    workers = [each.pid for each in below(server) if each.ppid() != server.process.pid]
    return processor_seconds(server.process.pid) + max(map(processor_seconds, workers), default=0.0)


def test_the_fork_server_shares_memory_and_nothing_else(server: Server) -> None:
    (fork_server,) = (each for each in below(server) if each.ppid() == server.process.pid)
    assert fork_server.num_threads() == 1
    assert not fork_server.net_connections("tcp")  # or the port would stay in use after the service
    shared = fork_server.memory_full_info()
    assert shared.uss < 0.5 * shared.rss


@pytest.mark.slow
@pytest.mark.parametrize("path", FIRST)
def test_a_formula_s_first_answer(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within 0.3 s of processor time, whatever the load. SciPy is hidden: only tests install it."""
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['scipy'] = None")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    for server in started():
        before = spent(server)
        answer = httpx.post(server.url + path.partition(",")[0], json=FIRST[path], timeout=30)
        assert answer.status_code == 200, answer.text[:300]
        assert spent(server) - before < 0.3


@pytest.mark.slow
def test_several_server_processes_do_not_wait_for_the_first_job_either() -> None:
    for server in started(workers="2"):
        assert any("app.compute.fork_server" in each.cmdline() for each in below(server))
