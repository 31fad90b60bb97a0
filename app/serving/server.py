"""uvicorn with this service's protocol: started, supervised, and stopped without cutting anybody off."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from contextlib import closing, suppress
from functools import partial
from socket import socket, socketpair
from typing import TYPE_CHECKING

import structlog
import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

if TYPE_CHECKING:
    from fastapi import FastAPI

from app.compute.shared import Shared, worker_processes
from app.machine import cores
from app.observation import logs
from app.observation.shared import SharedNumbers
from app.serving.listener import turn_away
from app.serving.protocol import Connection
from app.settings import Settings

SETTLING = 0.1
"""Seconds in which everybody is accepted whom the kernel has let in."""


def serve(chosen: Settings) -> None:
    """Serves until told to stop; a SIGTERM lets running requests finish and then is no failure."""
    logs.configure(chosen.log_format, chosen.log_level)
    patience = chosen.shutdown_grace - chosen.shutdown_notice - chosen.clearing
    config = uvicorn.Config(
        f"{__package__}.process:application",
        factory=True,
        host=chosen.host,
        port=chosen.port,
        workers=chosen.workers,
        http=Connection,
        loop="uvloop",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        # Many processes on few cores take long to start; one that is stopped is to be replaced soon.
        timeout_worker_healthcheck=max(5, chosen.workers // cores()),
        root_path=chosen.root_path,
        proxy_headers=False,  # no answer depends on who asks
        # Both go to the event loop, which takes fractions of a second.
        timeout_keep_alive=chosen.keep_alive,  # type: ignore[arg-type]
        timeout_graceful_shutdown=max(0.0, patience),  # type: ignore[arg-type]
    )
    if (reason := chosen.impossible()) is not None:
        structlog.get_logger().error(reason)
        sys.exit(STARTUP_FAILURE)
    listener = config.bind_socket()
    os.environ["ACTIVATION_LAB_WORKERS"] = str(chosen.workers)  # each process computes its share from it
    if chosen.workers == 1:
        _serve_alone(config, listener)
    else:
        _serve_together(config, listener, chosen)


def _serve_alone(config: uvicorn.Config, listener: socket) -> None:
    # uvicorn raises the signal again once it has shut down, for whoever listened before it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = _Server(config)
    with suppress(KeyboardInterrupt):
        server.run([listener])
    if not server.started:
        sys.exit(STARTUP_FAILURE)


class _Server(uvicorn.Server):
    """uvicorn's server, which accepts whoever has come before it stops listening."""

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Ends what is open and closes the port."""
        for each in sockets or ():
            turn_away(each)
        await asyncio.sleep(SETTLING)
        await super().shutdown(sockets)


def _serve_together(config: uvicorn.Config, listener: socket, chosen: Settings) -> None:
    life, own_life = socketpair()  # open as long as this process lives
    with closing(worker_processes(chosen.simulators, chosen.max_worker_bytes)) as processes, own_life:
        shared = Shared(processes.bells, life, _numbers(chosen.workers))
        config.app = partial(_application, shared)
        _Supervisor(config, listener, chosen.shutdown_notice).run()


def _numbers(processes: int) -> SharedNumbers | None:
    try:
        return SharedNumbers(processes)
    except OSError as error:
        reason = error.strerror
        structlog.get_logger().warning("each server process tells its own metrics only", reason=reason)
        return None


def _application(shared: Shared) -> FastAPI:
    from app.serving.process import application  # noqa: PLC0415  the supervisor needs none of it

    return application(shared)


class _Supervisor(Multiprocess):
    """uvicorn's supervisor of several server processes that share a port."""

    def __init__(self, config: uvicorn.Config, listener: socket, notice: float) -> None:
        super().__init__(config, [listener])
        self._notice = notice
        signal.signal(signal.SIGTERM, lambda *_: self.should_exit.set())  # uvicorn would look twice a second

    def terminate_all(self) -> None:
        """Ends the processes, and keeps the port closed to newcomers from just before they leave it."""
        super().terminate_all()
        time.sleep(max(0.0, self._notice - SETTLING))
        for each in self.sockets:
            turn_away(each)
            each.close()
