"""The service installed from the wheel, behind nginx under /lab/: the page, a client in Node, a notebook."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from getpass import getuser
from pathlib import Path

import httpx
import pytest

from tests.conftest import Server, free_port
from tests.peers.test_generated_clients import PACKAGES, TYPESCRIPT
from tests.support.installed import PACKAGES as PRINT_PURELIB
from tests.support.installed import everything, run, serving, wheel
from tests.test_readme import ADDRESS, PYTHON

__all__ = ["everything", "wheel"]  # fixtures

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed"),
]

NGINX = """
daemon off;
user {user};
pid {folder}/pid;
error_log {folder}/errors;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    client_max_body_size 0;
    location /lab/ {{ proxy_pass http://127.0.0.1:{behind}; proxy_set_header Host $http_host; }}
  }}
}}
"""


@pytest.fixture(scope="module")
def behind(everything: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from serving(everything, tmp_path_factory.mktemp("empty"), root_path="/lab")


@pytest.fixture(scope="module")
def address(behind: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The service's address behind nginx with a minimal configuration."""
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    (folder / "nginx.conf").write_text(
        NGINX.format(folder=folder, port=port, behind=behind.port, user=getuser())
    )
    process = subprocess.Popen(("nginx", "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "errors"))
    shown = f"http://127.0.0.1:{port}/lab"
    try:
        for _ in range(100):
            try:
                httpx.get(f"{shown}/healthz")
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield shown
    finally:
        process.terminate()
        process.wait(timeout=10)


def test_everything_is_found_below_the_prefix(address: str) -> None:
    page = httpx.get(f"{address}/")
    assert page.status_code == 200
    assert 'src="/' not in page.text
    assert httpx.head(f"{address}/functions").status_code == 200
    assert httpx.get(f"{address}/openapi.json").json()["servers"][0]["url"] == "/lab"
    assert httpx.get(f"{address}/docs").status_code == 200
    assert httpx.get(f"{address}/plots/functions.svg?name=relu", timeout=60).text.startswith("<svg")


def test_a_stream_is_not_buffered(address: str) -> None:
    """nginx buffers responses, except those that ask it not to: each line arrives when it is sent."""
    network = {"activation": "tanh", "depth": 300, "width": 256, "networks": 8}
    body = {"base": network, "grid": {"seed": [1, 2, 3, 4, 5, 6]}}
    with httpx.stream("POST", f"{address}/gradient-flow/sweep", json=body, timeout=120) as answer:
        seen = [(time.monotonic(), json.loads(line)["type"]) for line in answer.iter_lines() if line]
    kinds = [kind for _, kind in seen if kind != "progress"]
    assert kinds == ["start", *["cell"] * 6, "end"]
    assert seen[-1][0] - seen[0][0] > 0.2


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm, which brings the generator, is not installed")
def test_the_typescript_client_in_node(address: str, tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text('{"type": "module"}')
    run("npm", "install", "--no-audit", "--no-fund", "--silent", *PACKAGES, cwd=tmp_path)
    run("npx", "openapi-typescript", f"{address}/openapi.json", "-o", "schema.ts", cwd=tmp_path)
    (tmp_path / "use.ts").write_text(TYPESCRIPT.format(url=address))
    compiled = ("npx", "tsc", "--strict", "--module", "nodenext", "--target", "es2022", "use.ts", "schema.ts")
    run(*compiled, cwd=tmp_path)
    assert run("node", "use.js", cwd=tmp_path).strip() == '[0,"NaN"]'


def test_the_readme_s_python_in_a_notebook(
    everything: Path, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Executed by nbclient, with the client from the wheel; a result is displayed as its drawing."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    monkeypatch.setenv("PYTHONPATH", run(everything / "python", "-c", PRINT_PURELIB, cwd=tmp_path).strip())
    shown = (
        "from app.client import Client, gradient_flow\n"
        f"Client('{ADDRESS}').send(gradient_flow('relu', depth=3, width=8))"
    )
    here = {
        ADDRESS.removeprefix("http://"): address.removeprefix("http://"),
        "app.client": CLIENT,
        "asyncio.run(follow())": "await follow()",  # a notebook has its own event loop
    }
    cells = [nbformat.v4.new_code_cell(replaced(code, here)) for code in [*PYTHON, shown]]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert "<svg" in notebook.cells[-1]["outputs"][0]["data"]["image/svg+xml"]


CLIENT = "activation_lab.client"
"""The client's name once installed."""


def replaced(text: str, names: Mapping[str, str]) -> str:
    for name, other in names.items():
        text = text.replace(name, other)
    return text
