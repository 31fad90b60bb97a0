"""Large answers in pieces, sent one by one: joining forty megabytes first costs as much as encoding them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

JOINED = 2**18
"""Bytes up to which an answer is sent whole: one write is quicker than several."""


def response(pieces: Sequence[bytes | memoryview], media_type: str) -> Response:
    """An answer whose body is the concatenation of ``pieces``."""
    if sum(map(len, pieces)) <= JOINED:
        return Response(b"".join(pieces), media_type=media_type)
    return PiecewiseResponse(pieces, media_type)


class PiecewiseResponse(Response):
    """An answer whose body is the concatenation of ``pieces``; its length is known, it is not chunked."""

    def __init__(self, pieces: Sequence[bytes | memoryview], media_type: str) -> None:
        super().__init__(media_type=media_type)
        self._pieces = pieces
        self.headers["Content-Length"] = str(sum(map(len, self._pieces)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's
        """Sends the head, then piece after piece, each when the one before is on its way."""
        head = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        await send(head)
        for piece in self._pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def json_object(fields: Mapping[str, Iterable[bytes]]) -> list[bytes]:
    """The pieces of a JSON object, given those of each field's value."""
    pieces = []
    opening = b"{"
    for name, value in fields.items():
        pieces += [opening + orjson.dumps(name) + b":", *value]
        opening = b","
    return [*pieces, b"}" if pieces else b"{}"]
