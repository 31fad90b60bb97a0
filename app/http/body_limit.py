"""A limit on the size of request bodies, with or without a declared length."""

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
        """Passes the request on; counts the bytes of a body that does not declare its length."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = header(scope, b"content-length")
        if length is None or not length.isdecimal():
            await self._app(scope, self._counted(receive), send)
        elif int(length) <= self._limit:
            await self._app(scope, receive, send)  # the server passes on no more bytes than declared
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
        # Otherwise the server would read the rest of the body only to drop it.
        detail = f"the body may hold at most {self._limit:,} bytes"
        return Problem(413, detail, headers={"Connection": "close"})
