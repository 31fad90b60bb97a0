"""Large answers leave piece by piece: nothing is joined, and nobody waits for the last one to be encoded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from starlette.responses import Response, StreamingResponse

from app.api.bodies import JSON
from app.wire.numbers import PIECE, json_pieces, to_json


def encoded(fields: Mapping[str, Any], headers: Mapping[str, str], *, numbers: int) -> Response:
    """A JSON object of these ``fields``, whose arrays hold so many ``numbers``.

    Few leave whole: one write is quicker than several. Many are encoded on a thread while the client reads.
    """
    if numbers <= PIECE:
        return Response(orjson.dumps(fields, _fragment), headers=headers, media_type=JSON)
    return StreamingResponse(json_object(fields), headers=headers, media_type=JSON)


def ready(pieces: Sequence[bytes | memoryview], media_type: str, headers: Mapping[str, str]) -> Response:
    """An answer of ``pieces`` that are there already, its length told."""

    async def each() -> AsyncIterator[bytes | memoryview]:
        for piece in pieces:
            yield piece

    length = {"Content-Length": str(sum(map(len, pieces)))}
    return StreamingResponse(each(), headers={**headers, **length}, media_type=media_type)


def json_object(fields: Mapping[str, Any]) -> Iterator[bytes]:
    """The pieces of a JSON object whose values may be arrays, or objects of such values."""
    opening = b"{"
    for name, value in fields.items():
        yield opening + orjson.dumps(name) + b":"
        if isinstance(value, np.ndarray):
            yield from json_pieces(value)
        elif isinstance(value, dict):
            yield from json_object(value)
        else:
            yield orjson.dumps(value, _fragment)
        opening = b","
    yield b"}" if fields else b"{}"


def _fragment(array: NDArray[Any]) -> orjson.Fragment:
    return orjson.Fragment(to_json(array))
