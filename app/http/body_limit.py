"""A bound on bodies, declared or chunked, answered with a problem document and a closed connection."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http.headers import header
from app.http.problems import Problem


class BodyLimit:
    """ASGI middleware: 413 for a body over ``limit`` bytes, before or while it is read."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on; where it does not declare its length, its bytes are counted."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = header(scope, b"content-length")
        if length is None or not length.isdecimal():
            await self._app(scope, self._counted(receive), send)
        elif int(length) <= self._limit:
            await self._app(scope, receive, send)  # the server hands on no more than was declared
        else:
            await self._problem().response()(scope, receive, send)

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
