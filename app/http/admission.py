"""Authorisation of requests that compute, checked before any of the body is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from app.http.keys import SCHEME
from app.http.queries import StrictRoute


class ComputeRoute(StrictRoute):
    """A route that computes: it requires an API key where the operator has set some."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        extra = {"security": [{SCHEME: []}], **(options.get("openapi_extra") or {})}
        super().__init__(path, endpoint, **{**options, "openapi_extra": extra})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles an authorised request; raises `Problem` 401 for others."""
        admit(scope)
        await super().handle(scope, receive, send)


def admit(scope: Scope) -> None:
    """Raises `Problem` 401 if a key is required and missing.

    A service that is shutting down still accepts requests: its port closes before it stops answering.
    """
    keys = scope["app"].state.keys
    if keys:
        keys.check(Headers(scope=scope))
