"""One server process: the application, its logs, and a graceful shutdown on SIGTERM."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from socket import socket
from typing import Any

import structlog
from fastapi import FastAPI

from app.compute.memory import gc_frozen
from app.compute.shared import Shared
from app.observation import logs
from app.observation.metrics import Metrics
from app.settings import settings

REFRESH = 1.0
"""Seconds between two updates of the gauges that this process shares with the others."""

ORPHANED = 3.0
"""Seconds that running requests have to finish once the supervisor has died."""

EXIT_GRACE = 0.1
"""Seconds left to send an error to requests that outlived the grace period."""


def application(shared: Shared | None = None) -> FastAPI:
    """The application for uvicorn, with the settings from the environment and what server processes share."""
    own = settings()
    logs.configure(own.log_format, own.log_level)
    with gc_frozen():
        from app.main import create_app  # noqa: PLC0415  a thousand modules come with it

        app = create_app(own, shared)
    lifespan = app.router.lifespan_context

    @asynccontextmanager
    async def with_graceful_shutdown(app: FastAPI) -> AsyncIterator[None]:
        async with lifespan(app):
            _handle_sigterm(app, own.shutdown_notice, own.shutdown_grace - own.clearing / 2)
            if shared is not None and shared.life is not None:
                _exit_with_supervisor(shared.life)
            refreshing = asyncio.create_task(_refresh_gauges(app.state.metrics))
            yield
            refreshing.cancel()
            await asyncio.sleep(EXIT_GRACE)

    app.router.lifespan_context = with_graceful_shutdown
    return app


def load() -> None:
    """Imports the application's modules, about a thousand."""
    with gc_frozen():
        import app.main  # noqa: F401, PLC0415


async def _refresh_gauges(metrics: Metrics) -> None:
    """Keeps this process's gauges up to date: any other server process may have to report them."""
    while True:
        metrics.refresh()
        await asyncio.sleep(REFRESH)


def _handle_sigterm(app: FastAPI, notice: float, end: float) -> None:
    """Adds steps around uvicorn's shutdown, which stops listening and waits for running requests.

    Before it, for ``notice`` seconds, ``/readyz`` reports that the service is not ready, but all requests are
    still answered, so that load balancers can stop sending before connections are refused. After it, ``end``
    seconds from the signal, the process exits, whatever is still running. A second SIGTERM ends the notice.
    """
    loop = asyncio.get_running_loop()
    stop = signal.getsignal(signal.SIGTERM)
    assert callable(stop)

    def shut_down() -> None:
        if not app.state.ready:
            stop(signal.SIGTERM, None)
            return
        app.state.ready = False
        loop.call_later(notice, stop, signal.SIGTERM, None)
        _end_after(end)

    signal.signal(signal.SIGTERM, _from_signal(loop, shut_down))


def _exit_with_supervisor(life: socket) -> None:
    """Ends this process soon after the supervisor, however that ended: ``life`` is closed when it does."""
    loop = asyncio.get_running_loop()

    def shut_down() -> None:
        loop.remove_reader(life)
        structlog.get_logger().warning("the supervisor has died: this server process ends too")
        _end_after(ORPHANED)
        signal.raise_signal(signal.SIGTERM)

    loop.add_reader(life, shut_down)


def _from_signal(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> Callable[..., None]:
    """A signal handler that only schedules ``callback`` on the loop: handlers may interrupt any statement."""

    def handle(*_: Any) -> None:
        loop.call_soon_threadsafe(callback)

    return handle


def _end_after(seconds: float) -> None:
    """Exits this process after so many ``seconds``, whatever its threads are computing."""

    def end() -> None:
        structlog.get_logger().warning("the grace period is over: work was left unfinished")
        logs.flush()
        os._exit(0)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
