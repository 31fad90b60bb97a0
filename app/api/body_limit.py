"""A bound on bodies, declared or chunked, answered with a problem document and a closed connection."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import Problem


class BodyLimit:
    """ASGI middleware: 413 for a body over ``limit`` bytes, before or while it is read."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on with its bytes counted."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif self._declared(scope) > self._limit:
            await self._problem().response()(scope, receive, send)
        else:
            await self._app(scope, self._counted(receive), send)

    def _declared(self, scope: Scope) -> int:
        length = dict(scope["headers"]).get(b"content-length", b"0")
        return int(length) if length.isdigit() else 0

    def _counted(self, receive: Receive) -> Receive:
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit:
                raise self._problem()
            return message

        return counted

    def _problem(self) -> Problem:
        # Without closing, the server would go on reading what nobody wants.
        detail = f"the body may hold at most {self._limit:,} bytes"
        return Problem(413, detail, headers={"Connection": "close"})
