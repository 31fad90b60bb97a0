"""Large answers leave piece by piece: nothing is joined, and nobody waits for the last one to be encoded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence

import orjson
from starlette.responses import Response, StreamingResponse

from app.wire.numbers import PIECE


def encoded(pieces: Iterable[bytes], media_type: str, *, numbers: int) -> Response:
    """An answer of ``pieces`` that hold so many ``numbers``.

    Few leave whole: one write is quicker than several. Many are encoded on a thread while the client reads.
    """
    if numbers <= PIECE:
        return Response(b"".join(pieces), media_type=media_type)
    return StreamingResponse(pieces, media_type=media_type)


def ready(pieces: Sequence[bytes | memoryview], media_type: str) -> Response:
    """An answer of ``pieces`` that are there already, its length told."""

    async def each() -> AsyncIterator[bytes | memoryview]:
        for piece in pieces:
            yield piece

    length = {"Content-Length": str(sum(map(len, pieces)))}
    return StreamingResponse(each(), headers=length, media_type=media_type)


def json_object(fields: Mapping[str, Iterable[bytes]]) -> Iterator[bytes]:
    """The pieces of a JSON object, given those of each field's value."""
    opening = b"{"
    for name, value in fields.items():
        yield opening + orjson.dumps(name) + b":"
        yield from value
        opening = b","
    yield b"}" if fields else b"{}"
