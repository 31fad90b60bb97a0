"""The wheel in environments of its own, as a user would install it."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import __version__
from tests.conftest import Server, free_port, wait_until_ready

ROOT = Path(__file__).parent.parent.parent


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", out, cwd=ROOT)
    (built,) = out.glob("*.whl")
    assert __version__ in built.name
    return built


@pytest.fixture(scope="module")
def client_alone(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts of an environment with nothing but the wheel and its dependencies."""
    home = tmp_path_factory.mktemp("client")
    run(sys.executable, "-m", "venv", home, cwd=home)
    run(home / "bin" / "python", "-m", "pip", "install", "--quiet", wheel, cwd=home)
    return home / "bin"


@pytest.fixture(scope="module")
def everything(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts of an environment with the wheel, and the libraries of this one."""
    home = tmp_path_factory.mktemp("service")
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=home)
    packages = Path(run(home / "bin" / "python", "-c", PACKAGES, cwd=home).strip())
    command = (
        sys.executable,
        "-m",
        "pip",
        "--python",
        home / "bin" / "python",
        "install",
        "--no-deps",
        "--quiet",
    )
    run(*command, wheel, cwd=home)
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    return home / "bin"


PACKAGES = "import sysconfig; print(sysconfig.get_path('purelib'))"


def serving(scripts: Path, folder: Path, **settings: str) -> Iterator[Server]:
    """``activation-lab serve`` of an environment, started in a ``folder`` with settings, ended afterwards."""
    port = free_port()
    script: list[str | Path] = [scripts / "activation-lab", "serve", "--port", str(port)]
    named = {f"ACTIVATION_LAB_{name.upper()}": value for name, value in settings.items()}
    with Path(os.devnull).open("wb") as output:
        process = subprocess.Popen(script, cwd=folder, stdout=output, env={**os.environ, **named})
    server = Server("127.0.0.1", port, process)
    try:
        wait_until_ready(server)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=30)
