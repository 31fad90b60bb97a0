"""What the server processes of a service share: its worker processes, its supervisor and its metrics."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass

from app.compute.processes import Pool, Start, WorkerProcesses
from app.observation.shared import SharedNumbers

SIMULATIONS, PICTURES = "simulations", "pictures"

PICTURE_BYTES = 2 * 2.0**30
"""Bytes of memory that the process that draws pictures may take."""

_PACKAGE = __name__.partition(".")[0]

PRELOADED = (
    f"{_PACKAGE}.core.diagnosis.report",
    f"{_PACKAGE}.core.theory.diagram",
    f"{_PACKAGE}.core.training.run",
)
"""Modules whose jobs the workers run: imported before the first fork."""


@dataclass(frozen=True)
class Shared:
    """What a server process is given: dispatch sockets, and one that closes when its supervisor ends.

    It can be sent to a process that is being started. Without a supervisor it has the dispatch sockets only.
    """

    dispatch: Mapping[str, socket.socket]
    life: socket.socket | None = None
    numbers: SharedNumbers | None = None


def worker_processes(count: int, max_bytes: float, start: Start = "with the first job") -> WorkerProcesses:
    """The workers of a service: ``count`` simulators of ``max_bytes`` each, and one that draws pictures."""
    simulators = Pool(count, max_bytes)
    pools = {SIMULATIONS: simulators, PICTURES: Pool(1, PICTURE_BYTES)}
    return WorkerProcesses(pools, PRELOADED, start)
