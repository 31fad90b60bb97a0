"""uvicorn with this service's protocol: started, supervised, and stopped gracefully."""

from __future__ import annotations

import os
import resource
import signal
import sys
from contextlib import closing, suppress
from functools import partial
from socket import socket, socketpair
from typing import TYPE_CHECKING

import structlog
import uvicorn

if TYPE_CHECKING:
    from fastapi import FastAPI

from app.compute.processes import ONE_THREAD
from app.compute.shared import Shared, worker_processes
from app.observation import logs
from app.observation.shared import SharedNumbers
from app.serving.protocol import MOST_REFUSED, OWN_DESCRIPTORS
from app.serving.uvicorn_parts import STARTUP_FAILURE, Server, Supervisor, configuration
from app.settings import Settings

MOST_DESCRIPTORS = 65_536
"""File descriptors that a process requests, up to the operator's hard limit."""


def serve(chosen: Settings) -> None:
    """Serves until stopped; after a SIGTERM running requests finish, and the exit code is 0."""
    logs.configure(chosen.log_format, chosen.log_level)
    descriptors = _raised_descriptor_limit()
    if (reason := _too_few(descriptors, chosen) or chosen.impossible()) is not None:
        structlog.get_logger().error(reason)
        sys.exit(STARTUP_FAILURE)
    config = configuration(chosen)
    listener = config.bind_socket()
    os.environ["ACTIVATION_LAB_WORKERS"] = str(chosen.workers)  # each process computes its share from it
    if chosen.workers == 1:
        _serve_alone(config, listener, chosen)
    else:
        _serve_together(config, listener, chosen)


def _raised_descriptor_limit() -> int:
    """Raises the soft limit, as every connection takes a descriptor; the limit that now holds."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return max(soft, most)


def _too_few(descriptors: int, chosen: Settings) -> str | None:
    """The reason why so few descriptors are not enough to serve, if they are not."""
    needed = OWN_DESCRIPTORS + 2 * chosen.simulators + MOST_REFUSED
    if descriptors > needed:
        return None
    return (
        f"a process may have {descriptors} descriptors here, and needs {needed} before anybody connects: "
        "raise the limit (ulimit -n)"
    )


def _serve_alone(config: uvicorn.Config, listener: socket, chosen: Settings) -> None:
    # uvicorn raises the signal again once it has shut down, for the handler that was installed before it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    os.environ.update(ONE_THREAD)
    _load()
    # Forked before any threads exist: workers start at once and share the memory of the loaded modules.
    with closing(worker_processes(chosen.simulators, chosen.max_worker_bytes, "forked")) as processes:
        config.app = partial(_application, Shared(processes.dispatch))
        server = Server(config)
        with suppress(KeyboardInterrupt):
            server.run([listener])
    if not server.started:
        sys.exit(STARTUP_FAILURE)


def _serve_together(config: uvicorn.Config, listener: socket, chosen: Settings) -> None:
    life, own_life = socketpair()  # open as long as this process lives
    workers = worker_processes(chosen.simulators, chosen.max_worker_bytes, "at once")
    with closing(workers) as processes, own_life:
        shared = Shared(processes.dispatch, life, _numbers(chosen.workers))
        config.app = partial(_application, shared)
        Supervisor(config, listener, chosen.shutdown_notice).run()


def _numbers(processes: int) -> SharedNumbers | None:
    try:
        return SharedNumbers(processes)
    except OSError as error:
        reason = error.strerror
        structlog.get_logger().warning("each server process tells its own metrics only", reason=reason)
        return None


def _load() -> None:
    from app.serving.process import load  # noqa: PLC0415  the supervisor needs none of it

    load()


def _application(shared: Shared) -> FastAPI:
    from app.serving.process import application  # noqa: PLC0415  the supervisor needs none of it

    return application(shared)
