"""Gives each request an id, counts, times and logs it; never logs its body, query string or key."""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http.fastapi_parts import template
from app.http.problems import Problem
from app.observation.logs import Lines, request_id
from app.observation.metrics import Metrics

HEADER = b"x-request-id"
SANE = re.compile(rb"[A-Za-z0-9._:+/=@-]{1,128}")
"""Request ids that are accepted from clients: short, without spaces, quotes and control characters."""

NOSNIFF = (b"x-content-type-options", b"nosniff")
"""Keeps browsers from guessing a media type other than the Content-Type."""

NONE = "-"
"""The label where none applies: the route of an unknown path, the function of a health check."""

_PROCESS = secrets.token_hex(4)
_NUMBERS = itertools.count(1)


class Observed:
    """ASGI middleware around all others, so that it also sees the responses to unexpected errors.

    Handlers report what they computed in ``request.state``: ``function``, a canonical name, and ``elements``.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self._metrics = metrics
        self._lines = Lines()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on; counts and logs it afterwards."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except asyncio.CancelledError:
            await exchange.refuse_unfinished()
        finally:
            self._report(exchange)

    def _report(self, exchange: _Exchange) -> None:
        seconds = time.perf_counter() - exchange.start
        state = exchange.scope["state"]
        route = template(exchange.scope) or NONE
        function = state.get("function", NONE)
        self._metrics.count(route, function, exchange.status, seconds, state.get("elements", 0))
        line = {
            "event": "request",
            "method": exchange.scope["method"],
            "route": route,
            "status": exchange.status,
            "duration": round(seconds, 6),
            "bytes_in": exchange.bytes_in,
            "bytes_out": exchange.bytes_out,
        }
        if function != NONE:
            line["function"] = function
        self._lines.write("info" if exchange.status < 500 else "warning", line)


class _Exchange:
    """One request and its response, as their messages pass through the middleware."""

    __slots__ = ("_id", "_receive", "_send", "bytes_in", "bytes_out", "scope", "start", "status")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.start = time.perf_counter()
        self.scope = scope
        self.status = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self._receive = receive
        self._send = send
        self._id = _id(scope["headers"])
        scope.setdefault("state", {})
        request_id.set(self._id.decode())

    async def receive(self) -> Message:
        message = await self._receive()
        self.bytes_in += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message["headers"], *self._own_headers()]
        else:
            self.bytes_out += len(message.get("body", b""))
        await self._send(message)

    async def refuse_unfinished(self) -> None:
        """Answers 503 to a request that the server cancelled at the end of the grace period."""
        if not self.status:
            detail = "the service ended before this was done; send it again"
            refusal = Problem(503, detail, headers={"Retry-After": "1"})
            await refusal.response()(self.scope, self.receive, self.send)

    def _own_headers(self) -> list[tuple[bytes, bytes]]:
        headers = [(HEADER, self._id), NOSNIFF]
        if not self.scope["app"].state.ready:
            headers.append((b"connection", b"close"))  # the next request goes to another instance
        return headers


def _id(headers: list[tuple[bytes, bytes]]) -> bytes:
    for name, value in headers:
        if name == HEADER and SANE.fullmatch(value):
            return value
    return f"{_PROCESS}-{next(_NUMBERS):x}".encode()
