"""uvicorn with this service's protocol: started, supervised, and stopped without cutting anybody off."""

from __future__ import annotations

import os
import resource
import signal
import sys
from contextlib import closing, suppress
from functools import partial
from socket import socket, socketpair
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from fastapi import FastAPI

from app.compute.shared import Shared, worker_processes
from app.observation import logs, metrics
from app.serving.uvicorn_parts import STARTUP_FAILURE, Server, Supervisor, configuration
from app.settings import Settings

MOST_DESCRIPTORS = 65_536
"""Descriptors that are asked for, where the operator's hard limit lets a process have them."""


def serve(chosen: Settings) -> None:
    """Serves until told to stop; a SIGTERM lets running requests finish and then is no failure."""
    logs.configure(chosen.log_format, chosen.log_level)
    _raise_descriptor_limit()
    config = configuration(chosen)
    listener = config.bind_socket()
    if chosen.workers == 1:
        _serve_alone(config, listener)
    else:
        _serve_together(config, listener, chosen)


def _raise_descriptor_limit() -> None:
    """Every connection takes a descriptor, and the soft limit is low for the sake of old programs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _serve_alone(config: uvicorn.Config, listener: socket) -> None:
    # uvicorn raises the signal again once it has shut down, for whoever listened before it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = Server(config)
    with suppress(KeyboardInterrupt):
        server.run([listener])
    if not server.started:
        sys.exit(STARTUP_FAILURE)


def _serve_together(config: uvicorn.Config, listener: socket, chosen: Settings) -> None:
    life, own_life = socketpair()  # open as long as this process lives
    with (
        TemporaryDirectory(prefix="activation-lab-") as directory,
        closing(worker_processes(chosen.simulators, chosen.max_worker_bytes)) as processes,
        own_life,
    ):
        os.environ[metrics.SHARED] = directory
        config.app = partial(_application, Shared(processes.bells, life))
        Supervisor(config, listener, chosen.shutdown_notice).run()


def _application(shared: Shared) -> FastAPI:
    from app.serving.process import application  # noqa: PLC0415  the supervisor needs none of it

    return application(shared)
