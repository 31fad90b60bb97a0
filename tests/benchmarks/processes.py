"""Servers started for a measurement, on 127.0.0.1, and information about their processes."""

from __future__ import annotations

import http.client
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.timing import NotRun

HOST = "127.0.0.1"
REPOSITORY = Path(__file__).parents[2]
GRACE = 15.0
"""Seconds that a server has to exit after SIGTERM."""


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class Server(NamedTuple):
    """A server that is ready."""

    process: subprocess.Popen[bytes]
    port: int


@contextmanager
def activation_lab(environment: Mapping[str, str] | None = None, /, **settings: object) -> Iterator[Server]:
    """`python -m app` with these settings and additional environment variables."""
    chosen = {f"ACTIVATION_LAB_{key.upper()}": str(value) for key, value in settings.items()}
    chosen |= environment or {}
    port = free_port()
    command = [sys.executable, "-m", "app", "--port", str(port)]
    with served("the service", command, port, "/readyz", environment=chosen) as server:
        yield server


@contextmanager
def served(
    name: str,
    command: list[str],
    port: int,
    ready: str,
    *,
    environment: Mapping[str, str] | None = None,
    timeout: float = 60.0,
) -> Iterator[Server]:
    """A server, once it answers at ``ready``; raises `NotRun` if it does not in time."""
    try:
        process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env={**os.environ, **(environment or {})},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except OSError as error:
        raise NotRun(f"{name} cannot be started ({error.strerror})") from None
    try:
        _wait(name, process, port, ready, timeout)
        yield Server(process, port)
    finally:
        end(process)


def _wait(name: str, process: subprocess.Popen[bytes], port: int, ready: str, timeout: float) -> None:
    last = time.monotonic() + timeout
    while not answers(port, ready):
        if process.poll() is not None:
            raise NotRun(f"{name} ended by itself (exit code {process.returncode})")
        if time.monotonic() > last:
            raise NotRun(f"{name} did not answer within {timeout:g} s")
        time.sleep(0.005)


def answers(port: int, path: str) -> bool:
    """Whether a GET is answered with 200."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process by SIGTERM, and if that takes too long by SIGKILL."""
    process.terminate()
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(GRACE)


def descendants(process: int) -> list[int]:
    """The ids of all processes below this one."""
    below: list[int] = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        for child in map(int, _text(task).split()):
            below += [child, *descendants(child)]
    return below


def command_of(process: int) -> str:
    """The command line of a process; empty if it has ended."""
    return _text(Path(f"/proc/{process}/cmdline")).replace("\0", " ")


def parent_of(process: int) -> int:
    """The parent of a process; 0 if it has ended."""
    fields = _text(Path(f"/proc/{process}/stat")).rpartition(")")[2].split()
    return int(fields[1]) if fields else 0


def maps_of(process: int) -> str:
    """The memory mappings of a process, as the kernel lists them."""
    return _text(Path(f"/proc/{process}/maps"))


def connections_of(process: int, port: int) -> int:
    """The number of a process's established connections at ``port``."""
    own = set[str]()
    for each in Path(f"/proc/{process}/fd").glob("*"):
        with suppress(OSError):  # closed meanwhile
            own.add(str(each.readlink()))
    rows = [line.split() for line in _text(Path("/proc/net/tcp")).splitlines()[1:]]
    # local address, state (1 is established) and inode
    alike = (f"socket:[{row[9]}]" for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "01")
    return len(own.intersection(alike))


def resident(process: int) -> int:
    """Bytes of memory of a process and its descendants; shared pages are counted once."""
    kilobytes = 0
    for each in (process, *descendants(process)):
        found = re.search(r"^Pss:\s+(\d+) kB", _text(Path(f"/proc/{each}/smaps_rollup")), re.MULTILINE)
        kilobytes += int(found[1]) if found else 0
    return kilobytes * 1024


def processor_seconds(process: int) -> float:
    """Processor time that a process has used; 0 if it has ended."""
    fields = _text(Path(f"/proc/{process}/stat")).rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""  # the process has ended
