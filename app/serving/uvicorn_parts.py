"""The adapter to uvicorn: everything that is used beyond its documented interface.

uvicorn creates an object for each connection by calling `connection` with these keywords, and passes its own
sets of connections and tasks, which it awaits when it stops. ``tests/serving/test_uvicorn_parts.py`` fails
with an explanation when one of these changes; pyproject.toml excludes the next version that may change them.
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
from app.serving.listener import drop_new_connections
from app.serving.protocol import Connection, Service
from app.settings import Settings

__all__ = ["STARTUP_FAILURE", "Server", "Supervisor", "configuration", "connection"]

SETTLING = 0.1
"""Seconds in which the connections in the backlog are accepted."""


def configuration(chosen: Settings) -> uvicorn.Config:
    """uvicorn's configuration: this service's protocol, and no headers that uvicorn would add."""
    timeout = chosen.shutdown_grace - chosen.shutdown_notice - chosen.clearing
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
        # Many processes on few cores take long to start; one that hangs should be replaced soon.
        timeout_worker_healthcheck=max(5, chosen.workers // cores()),
        root_path=chosen.root_path,
        proxy_headers=False,  # no answer depends on who asks
        # Both are only passed to the event loop, which takes fractions of a second.
        timeout_keep_alive=chosen.keep_alive,  # type: ignore[arg-type]
        timeout_graceful_shutdown=max(0.0, timeout),  # type: ignore[arg-type]
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
    """uvicorn's objects as the `Service` of a connection."""

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
        """Headers of every response: the date, renewed every second."""
        return self._server_state.default_headers


_CALLED: Any = connection  # typed as a class by uvicorn, which only calls it


class Server(uvicorn.Server):
    """uvicorn's server, which accepts the backlog before it stops listening."""

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Closes the port and the open connections."""
        for each in sockets or ():
            drop_new_connections(each)
        await asyncio.sleep(SETTLING)
        await super().shutdown(sockets)


class Supervisor(Multiprocess):
    """uvicorn's supervisor of several server processes that share a port."""

    def __init__(self, config: uvicorn.Config, listener: socket, notice: float) -> None:
        super().__init__(config, [listener])
        self._notice = notice
        signal.signal(signal.SIGTERM, lambda *_: self.should_exit.set())  # uvicorn polls only twice a second

    def terminate_all(self) -> None:
        """Ends the processes, and drops new connections from just before they stop listening."""
        super().terminate_all()
        time.sleep(max(0.0, self._notice - SETTLING))
        for each in self.sockets:
            drop_new_connections(each)
            each.close()
