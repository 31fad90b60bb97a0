"""Creates the application: routers, error handlers, documentation, middleware, lifespan."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager, nullcontext
from itertools import chain
from socket import socket
from typing import Any

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from app import __version__
from app.api import (
    activate,
    bodies,
    catalogue,
    describe,
    docs,
    gradient_flow,
    health,
    inference,
    mean_field,
    metrics,
    page,
    plots,
    reference,
    sweep,
    training,
    verify,
)
from app.api.examples import picture_examples
from app.compute.shared import PICTURES, SIMULATIONS, Shared, worker_processes
from app.compute.simulations import Simulations
from app.compute.threads import ComputeThreads
from app.compute.workers import Executor, Workers
from app.http import fastapi_parts, keys, openapi, problems
from app.http.body_limit import BodyLimit
from app.http.direct import Direct
from app.http.head import Head
from app.http.observed import Observed
from app.observation.metrics import Metrics
from app.observation.models import Models
from app.pictures.render import Renderer
from app.settings import Settings, settings

DESCRIPTION = """\
Four questions about activation functions: **what is the value**, to the last bit, **does the gradient
survive** a deep network, **which one learns**, and **is my kernel right**? Every example below can be run as
it is: press *Execute*.
"""


_CROSS_ORIGIN: dict[str, Any] = {
    "allow_methods": ("GET", "HEAD", "POST"),
    "allow_headers": ("Authorization", "Content-Type", "Request-Timeout", "X-Request-Id"),
    "expose_headers": ("Content-Language", "ETag", "Retry-After", "Server-Timing", "X-Request-Id"),
}
"""What a page of another origin may do, where an operator names that origin."""

ROUTES = (
    activate,
    verify,
    gradient_flow,
    sweep,
    training,
    mean_field,
    catalogue,
    reference,
    describe,
    docs,
    plots,
    inference,
    health,
    metrics,
    page,
)


def create_app(chosen: Settings | None = None, shared: Shared | None = None) -> FastAPI:
    """The application with these settings, or with those from the environment.

    It uses the workers that are ``shared`` by several server processes, or its own.
    """
    own = settings() if chosen is None else chosen
    app = FastAPIOffline(
        title="Activation Lab",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,  # app.api.docs serves it, with a Content-Security-Policy
        redoc_url=None,
        lifespan=_lifespan,
        separate_input_output_schemas=False,  # arrays have the same schema in requests and responses
        telemetry=_telemetry(on=own.telemetry),
    )
    fastapi_parts.set_state(
        app,
        settings=own,
        shared=shared,
        ready=False,
        keys=keys.Keys(own.api_keys),
        metrics=Metrics(None if shared is None else shared.numbers),
        models=Models(),
        references=OrderedDict(),
        document=None,
    )
    problems.install(app)
    fastapi_parts.add_routes(app, chain.from_iterable(module.router.routes for module in ROUTES))
    openapi.install(app, bodies.BODIES, picture_examples())
    stack: ASGIApp = Head(fastapi_parts.middleware_stack(app))
    if not own.telemetry:  # which instruments FastAPI's own request handling
        stack = Direct(stack, app.routes, own.root_path)
    stack = BodyLimit(stack, own.max_body_bytes)
    if own.cors_origins:
        stack = CORSMiddleware(stack, own.cors_origins, **_CROSS_ORIGIN)
    fastapi_parts.set_middleware_stack(app, Observed(stack, app.state.metrics))
    return app


def _telemetry(*, on: bool) -> TelemetryConfig:
    """FastAPI's OpenTelemetry: all signals, with exporters from the environment, or none."""
    return {"tracing": on, "metrics": on, "logs": on, "auto_configure": on}


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    own, shared = app.state.settings, app.state.shared
    with nullcontext(shared.dispatch) if shared is not None else _own_workers(own) as dispatch:
        app.state.threads = ComputeThreads(own.threads, own.max_queue, 2 * own.max_elements)
        app.state.simulations = Simulations(
            _executor(own, dispatch[SIMULATIONS]),
            places=own.max_queue,
            max_bytes=own.max_flow_bytes,
            threads=max(own.threads, own.simulators),
        )
        app.state.renderer = Renderer(Workers(dispatch[PICTURES], 1), own.max_queue, own.picture_cache_bytes)
        app.state.page = page.Page()
        app.state.metrics.watch("arrays", app.state.threads)
        app.state.metrics.watch("simulations", app.state.simulations)
        app.state.ready = True
        yield
        app.state.ready = False
        await app.state.page.close()
        app.state.renderer.close()
        app.state.simulations.close()
        app.state.threads.close()


@contextmanager
def _own_workers(own: Settings) -> Iterator[Mapping[str, socket]]:
    with closing(worker_processes(own.simulators, own.max_worker_bytes)) as processes:
        yield processes.dispatch


def _executor(own: Settings, dispatch: socket) -> Executor:
    """The cluster, if one is set, else local worker processes."""
    if own.dask_scheduler is None:
        return Workers(dispatch, own.simulators)
    from app.compute.cluster import Cluster  # noqa: PLC0415  Dask is an extra, and slow to import

    return Cluster(own.dask_scheduler)
