"""What one server process runs: the application, its logs, and a SIGTERM that ends it in steps."""

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

from app.compute.memory import made_to_stay
from app.compute.shared import Shared
from app.observation import logs
from app.observation.metrics import Metrics
from app.settings import settings

REFRESH = 1.0
"""Seconds after which another process's running and waiting jobs are told anew."""

ORPHANED = 3.0
"""Seconds in which running requests may finish once the supervisor has died."""

EXIT_GRACE = 0.1
"""Seconds in which requests that ran out of the grace period are still told so."""


def application(shared: Shared | None = None) -> FastAPI:
    """The application for uvicorn, with the environment's settings and what server processes share."""
    own = settings()
    logs.configure(own.log_format, own.log_level)
    with made_to_stay():
        from app.main import create_app  # noqa: PLC0415  a thousand modules come with it

        app = create_app(own, shared)
    lifespan = app.router.lifespan_context

    @asynccontextmanager
    async def ending_in_steps(app: FastAPI) -> AsyncIterator[None]:
        async with lifespan(app):
            _take_sigterm(app, own.shutdown_notice, own.shutdown_grace - own.clearing / 2)
            if shared is not None and shared.life is not None:
                _end_with(shared.life)
            telling = asyncio.create_task(_tell(app.state.metrics))
            yield
            telling.cancel()
            await asyncio.sleep(EXIT_GRACE)

    app.router.lifespan_context = ending_in_steps
    return app


def load() -> None:
    """Has the application's modules in memory, a thousand of them."""
    with made_to_stay():
        import app.main  # noqa: F401, PLC0415


async def _tell(metrics: Metrics) -> None:
    """Keeps the numbers up to date that another server process may be asked for."""
    while True:
        metrics.refresh()
        await asyncio.sleep(REFRESH)


def _take_sigterm(app: FastAPI, notice: float, end: float) -> None:
    """Puts a step before and one after uvicorn's own, which are to stop listening and to wait for what runs.

    Before, for ``notice`` seconds, ``/readyz`` says no while everything is still answered, so that load
    balancers turn away before connections are refused. After, ``end`` seconds from the signal, the process
    ends, whatever still runs. A second SIGTERM cuts the notice short.
    """
    loop = asyncio.get_running_loop()
    stop = signal.getsignal(signal.SIGTERM)
    assert callable(stop)

    def leave() -> None:
        if not app.state.ready:
            stop(signal.SIGTERM, None)
            return
        app.state.ready = False
        loop.call_later(notice, stop, signal.SIGTERM, None)
        _end_after(end)

    signal.signal(signal.SIGTERM, _from_signal(loop, leave))


def _end_with(life: socket) -> None:
    """Ends this process soon after the supervisor, at whose end ``life`` closes, however that ended."""
    loop = asyncio.get_running_loop()

    def leave() -> None:
        loop.remove_reader(life)
        structlog.get_logger().warning("the supervisor has died: this server process ends too")
        _end_after(ORPHANED)
        signal.raise_signal(signal.SIGTERM)

    loop.add_reader(life, leave)


def _from_signal(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> Callable[..., None]:
    """A signal handler that runs ``callback`` on the loop: a handler itself may interrupt anything."""

    def handle(*_: Any) -> None:
        loop.call_soon_threadsafe(callback)

    return handle


def _end_after(seconds: float) -> None:
    """Ends this process then, whatever its threads are doing: a running computation is no reason to stay."""

    def end() -> None:
        structlog.get_logger().warning("the grace period is over: work was left unfinished")
        logs.flush()
        os._exit(0)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
