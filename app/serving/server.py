"""uvicorn, with a bound on how long a request may take to arrive, and problems for what is not HTTP."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from contextlib import closing, suppress
from functools import partial
from socket import socket, socketpair
from typing import TYPE_CHECKING

import orjson
import structlog
import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.supervisors import Multiprocess

if TYPE_CHECKING:
    from fastapi import FastAPI

from app.compute.shared import Shared, worker_processes
from app.observation import logs
from app.observation.shared import SharedNumbers
from app.serving.listener import turn_away
from app.serving.outbox import Joining, outbox
from app.settings import Settings, settings

SETTLING = 0.1
"""Seconds in which everybody is accepted whom the kernel has let in, and in which the newest speak."""

_MALFORMED = orjson.dumps(
    {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": "not a valid HTTP request",
        "error": "not a valid HTTP request",
    }
)
"""What is no HTTP has no path: this reads as a problem document and as an Open Inference Protocol error."""


class PatientProtocol(HttpToolsProtocol):
    """HTTP/1.1 that closes connections whose request, headers or body, does not arrive whole in time.

    The clock runs from the connection's start, or from a request's first bytes, to the request's last byte;
    idle time between requests is uvicorn's keep-alive.
    """

    _arriving = False
    _clock: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Starts the clock: a connection that sends nothing is closed too."""
        super().connection_made(transport)
        self.transport = self._outgoing = Joining(transport, outbox(self.loop))
        self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the clock."""
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Starts the clock where something is still to come, which mostly it is not."""
        super().data_received(data)
        idle = self.cycle is None or self.cycle.response_complete
        if self._clock is None and (self._arriving or idle):
            self._start_clock()

    def on_message_begin(self) -> None:
        """Notes that a request has begun."""
        super().on_message_begin()
        self._arriving = True

    def on_message_complete(self) -> None:
        """Stops the clock: the request is here."""
        self._arriving = False
        self._stop_clock()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Sends the answer at once where no other is in the making that it could leave with."""
        if len(self.tasks) == 1:
            self._outgoing.flush()
        super().on_response_complete()

    def shutdown(self) -> None:
        """Closes the connection once it is done; one that has just been made is heard first."""
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(SETTLING, self._close_if_idle)
        else:
            super().shutdown()

    def _close_if_idle(self) -> None:
        super().shutdown()

    def send_400_response(self, msg: str) -> None:
        """Answers bytes that are no HTTP request; ``msg`` is uvicorn's own sentence."""
        del msg
        head = "HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\n"
        head += f"content-length: {len(_MALFORMED)}\r\nconnection: close\r\n\r\n"
        self.transport.write(head.encode() + _MALFORMED)
        self.transport.close()

    def _start_clock(self) -> None:
        self._clock = self.loop.call_later(settings().receive_timeout, self.transport.close)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None


def serve(chosen: Settings) -> None:
    """Serves until told to stop; a SIGTERM lets running requests finish and then is no failure."""
    logs.configure(chosen.log_format, chosen.log_level)
    patience = chosen.shutdown_grace - chosen.shutdown_notice - chosen.clearing
    config = uvicorn.Config(
        "app.serving.process:application",
        factory=True,
        host=chosen.host,
        port=chosen.port,
        workers=chosen.workers,
        http=PatientProtocol,
        loop="uvloop",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        # Both go to the event loop, which takes fractions of a second.
        timeout_keep_alive=chosen.keep_alive,  # type: ignore[arg-type]
        timeout_graceful_shutdown=max(0.0, patience),  # type: ignore[arg-type]
    )
    listener = config.bind_socket()
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
