"""Who may have something computed: asked before a byte of the body is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from app.http.keys import SCHEME
from app.http.queries import StrictRoute


class ComputeRoute(StrictRoute):
    """A route that computes: where keys are set it takes one."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        extra = {"security": [{SCHEME: []}], **(options.get("openapi_extra") or {})}
        super().__init__(path, endpoint, **{**options, "openapi_extra": extra})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes those on who are admitted; raises `Problem` 401."""
        admit(scope)
        await super().handle(scope, receive, send)


def admit(scope: Scope) -> None:
    """Raises `Problem` 401 without a key where one is asked for.

    A service that is about to stop still takes work: its port closes before it stops answering.
    """
    keys = scope["app"].state.keys
    if keys:
        keys.check(Headers(scope=scope))
