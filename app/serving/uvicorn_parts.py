"""What is used of uvicorn beyond what it documents, in one place.

uvicorn makes one object for each connection, by the keywords of `connection`, with its own lists of
connections and tasks, which it waits for when it stops. ``tests/serving/test_uvicorn_parts.py`` fails with a
sentence when one of these changes; pyproject.toml holds uvicorn below the next version that may.
"""

from __future__ import annotations

import asyncio
import signal
import time
from socket import socket
from typing import Any

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.server import ServerState
from uvicorn.supervisors import Multiprocess

from app.machine import cores
from app.serving.listener import turn_away
from app.serving.protocol import Connection, Service
from app.settings import Settings

__all__ = ["STARTUP_FAILURE", "Server", "Supervisor", "configuration", "connection"]

SETTLING = 0.1
"""Seconds in which everybody is accepted whom the kernel has let in."""


def configuration(chosen: Settings) -> uvicorn.Config:
    """uvicorn's configuration: this service's protocol, and nothing that uvicorn would add to an answer."""
    patience = chosen.shutdown_grace - chosen.shutdown_notice - chosen.clearing
    return uvicorn.Config(
        f"{__package__}.process:application",
        factory=True,
        host=chosen.host,
        port=chosen.port,
        workers=chosen.workers,
        http=_CALLED,
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


def connection(
    *,
    config: uvicorn.Config,
    server_state: ServerState,
    app_state: dict[str, Any],
    _loop: asyncio.AbstractEventLoop | None = None,
) -> Connection:
    """One client's connection."""
    loop = _loop or asyncio.get_running_loop()
    return Connection(_Uvicorn(config, server_state, app_state), loop)


class _Uvicorn(Service):
    """uvicorn's objects, as a connection wants them."""

    __slots__ = ("_server_state",)

    def __init__(self, config: uvicorn.Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        self.app = config.loaded_app
        self.root_path = config.root_path
        self.idle_timeout = config.timeout_keep_alive
        self.state = app_state
        self.connections = server_state.connections  # type: ignore[assignment]
        self.tasks = server_state.tasks
        self._server_state = server_state

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The headers of every answer: the date, renewed every second."""
        return self._server_state.default_headers


_CALLED: Any = connection  # uvicorn asks for a class, and calls it


class Server(uvicorn.Server):
    """uvicorn's server, which accepts whoever has come before it stops listening."""

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Ends what is open and closes the port."""
        for each in sockets or ():
            turn_away(each)
        await asyncio.sleep(SETTLING)
        await super().shutdown(sockets)


class Supervisor(Multiprocess):
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
