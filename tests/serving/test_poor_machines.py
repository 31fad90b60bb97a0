"""Deficient machines: the service works, or reports what is wrong and exits."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import numpy as np
import pytest

from app.client import Client, activate, gradient_flow, picture, verify
from tests.conftest import Server, started

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="limits and file systems are Linux's here"),
]

APP = Path(__file__).parent.parent.parent / "app"


def works(server: Server) -> None:
    """Checks that requests that need files, processes or descriptors are answered."""
    many = np.linspace(-3, 3, 300_000)
    with Client(server.url, retries=0) as lab:
        assert lab.send(activate("softplus", [0.5], order=2)).second_derivative is not None
        assert lab.send(activate("relu", many)).outputs[-1] == 3
        assert lab.send(gradient_flow("tanh", weights=[np.eye(16)] * 3)).layers
        assert lab.send(verify("relu", np.maximum(many, 0), inputs=many)).verdict.state == "correctly_rounded"
        assert lab.send(picture("gelu")).svg.startswith("<svg")
    assert httpx.get(f"{server.url}/readyz").status_code == 200


@pytest.fixture(params=["full", "read-only"])
def nothing_to_write_to(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """An unwritable file system with the program on it."""
    command = ("mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", tmp_path)
    if os.getuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        shutil.copytree(APP, tmp_path / "app", ignore=shutil.ignore_patterns("__pycache__"))
        if request.param == "full":
            with suppress(OSError), (tmp_path / "filling").open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
        else:
            subprocess.run(("mount", "-o", "remount,ro", tmp_path), check=True)
        yield tmp_path
    finally:
        subprocess.run(("umount", "--lazy", tmp_path), check=True)


def test_no_room_and_no_cache(nothing_to_write_to: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TMPDIR", "TEMP", "TMP", "HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(nothing_to_write_to))
    for server in started(folder=nothing_to_write_to, workers="2", simulators="1"):
        works(server)


def limited(descriptors: int) -> tuple[str, ...]:
    return ("sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sixty_four_descriptors(workers: str) -> None:
    for server in started(below=limited(64), workers=workers, simulators="2"):
        works(server)


@pytest.mark.parametrize("descriptors", [16, 32, 50])
def test_too_few_descriptors(descriptors: int, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with pytest.raises(AssertionError, match="ended before it was ready"):
        next(started(below=limited(descriptors), simulators="2", log=log))
    assert f"a process may have {descriptors} descriptors here, and needs 52" in log.read_text()


JUMPING = """
import itertools, time
right, days = time.time, itertools.cycle([0.0, 1.0, -1.0, 400.0])
time.time = lambda: right() + 86400.0 * next(days)
time.time_ns = lambda: int(time.time() * 1e9)
"""


def test_a_clock_that_jumps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By days, back and forth, each time the time of day is read."""
    (tmp_path / "sitecustomize.py").write_text(JUMPING)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    for server in started(workers="2", simulators="1", request_timeout="30", keep_alive="2"):
        for _ in range(3):
            works(server)
