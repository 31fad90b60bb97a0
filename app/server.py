"""uvicorn, with a bound on how long a request may take to arrive, and problems for what is not HTTP."""

from __future__ import annotations

import asyncio
import signal
import sys

import orjson
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.settings import Settings, settings

_MALFORMED = orjson.dumps(
    {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": "not a valid HTTP request",
    }
)


class PatientProtocol(HttpToolsProtocol):
    """HTTP/1.1 that closes connections whose request, headers or body, does not arrive whole in time.

    The clock runs from the connection's start, or from a request's first byte, to the request's last byte;
    idle time between requests is uvicorn's keep-alive.
    """

    _clock: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Starts the clock: a connection that sends nothing is closed too."""
        super().connection_made(transport)
        self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the clock."""
        self._stop_clock()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Starts the clock for a request on a connection that is kept alive."""
        super().on_message_begin()
        if self._clock is None:
            self._start_clock()

    def on_message_complete(self) -> None:
        """Stops the clock: the request is here."""
        self._stop_clock()
        super().on_message_complete()

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
    """Serves until told to stop; SIGTERM lets running requests finish and then is no failure."""
    # uvicorn raises the signal again once it has shut down, for whoever listened before it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    uvicorn.run(
        "app.main:create_app",
        factory=True,
        host=chosen.host,
        port=chosen.port,
        workers=chosen.workers,
        http=PatientProtocol,
        loop="uvloop",
        ws="none",
        access_log=False,
        server_header=False,
        timeout_keep_alive=int(chosen.keep_alive),
        timeout_graceful_shutdown=int(chosen.shutdown_grace),
    )
