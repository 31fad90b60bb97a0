"""The wheel, installed as a user would: the client alone, the service, the command."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app import __version__
from tests.conftest import Server
from tests.support.installed import client_alone, everything, run, serving, wheel

__all__ = ["client_alone", "everything", "wheel"]  # fixtures

pytestmark = pytest.mark.slow

CLIENT_ALONE = """
import sys
import activation_lab.client
assert "app" not in sys.modules
"""


def test_the_client_needs_nothing_that_serves(client_alone: Path, tmp_path: Path) -> None:
    run(client_alone / "python", "-c", CLIENT_ALONE, cwd=tmp_path)
    installed = run(client_alone / "python", "-m", "pip", "list", "--format=freeze", cwd=tmp_path).lower()
    for heavy in ("fastapi", "numba", "scipy", "uvicorn", "orjson"):
        assert heavy not in installed


@pytest.mark.parametrize("command", [["serve"], ["values", "tanh", "1"]])
def test_what_is_not_installed_is_named(client_alone: Path, tmp_path: Path, command: list[str]) -> None:
    script: list[str | Path] = [client_alone / "activation-lab", *command]
    done = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "activation-lab[server]" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def served(everything: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from serving(everything, tmp_path_factory.mktemp("empty"))


def test_the_service_from_the_wheel(served: Server) -> None:
    answer = httpx.post(f"{served.url}/activate", json={"function": "relu", "inputs": [-1, 2]}, timeout=60)
    assert answer.json()["outputs"] == [0.0, 2.0]
    network = {"activation": "relu", "depth": 3, "width": 16}
    assert httpx.post(f"{served.url}/gradient-flow", json=network, timeout=60).status_code == 200
    page = httpx.get(f"{served.url}/", timeout=60)
    assert page.status_code == 200
    assert "text/html" in page.headers["content-type"]
    assert httpx.get(f"{served.url}/openapi.json", timeout=60).json()["info"]["version"] == __version__
    assert httpx.get(f"{served.url}/plots/functions.svg?name=relu", timeout=60).text.startswith("<svg")


def test_the_command_asks_a_service(client_alone: Path, served: Server, tmp_path: Path) -> None:
    script = client_alone / "activation-lab"
    shown = run(script, "values", "relu", "-1", "NaN", "--server", served.url, cwd=tmp_path)
    assert shown.splitlines() == ["x     f(x)  f'(x)", "-1.0  0.0   0.0", "nan   nan   nan"]
    assert "largest slope  1.0" in run(script, "describe", "relu", "--server", served.url, cwd=tmp_path)
    report = run(script, "flow", "relu", "--depth", "3", "--server", served.url, "--json", cwd=tmp_path)
    assert '"verdict":' in report


def test_the_command_answers_by_itself(everything: Path, tmp_path: Path) -> None:
    shown = run(everything / "activation-lab", "values", "relu", "2", "--json", cwd=tmp_path)
    assert shown == '{"x": [2.0], "f(x)": [2.0], "f\'(x)": [1.0]}\n'
