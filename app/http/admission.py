"""Who may have something computed, and when: asked before a byte of the body is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from app.http.keys import SCHEME
from app.http.problems import Problem


class ComputeRoute(APIRoute):
    """A route that computes: it takes an API key where keys are set, and nothing new during a shutdown."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        extra = {"security": [{SCHEME: []}], **(options.get("openapi_extra") or {})}
        super().__init__(path, endpoint, **{**options, "openapi_extra": extra})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes those on who are admitted; raises `Problem` 401 and 503."""
        admit(scope)
        await super().handle(scope, receive, send)


def admit(scope: Scope) -> None:
    """Raises `Problem` 401 without a key where one is asked for, and 503 during a shutdown."""
    state = scope["app"].state
    if state.keys:
        state.keys.check(Headers(scope=scope))
    if not state.ready:
        raise Problem(503, "the service is shutting down", headers={"Retry-After": "1"})
