"""``GET /healthz`` and ``GET /readyz``: probes for orchestrators and load balancers."""

from __future__ import annotations

from fastapi import APIRouter, Request

from app.contract.health import Health
from app.http.problems import Problem, responses
from app.http.queries import StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["health"])


@router.get("/healthz", summary="Is the process alive?")
async def get_healthz() -> Health:
    """Answers as long as the event loop turns."""
    return Health(status="ok")


@router.get("/readyz", summary="Is the server ready?", responses=responses(503))
async def get_readyz(request: Request) -> Health:
    """Answers 503 before the service is up, while it shuts down, and while its cluster does not answer."""
    check_ready(request)
    if not request.app.state.simulations.executor.available:
        raise Problem(503, "the cluster that simulates does not answer", headers={"Retry-After": "5"})
    return Health(status="ok")


def check_ready(request: Request) -> None:
    """Raises `Problem` 503 before the service is up and once it is shutting down."""
    if not request.app.state.ready:
        raise Problem(503, "not accepting requests", headers={"Retry-After": "1"})
