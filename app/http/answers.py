"""JSON responses: large ones are encoded and sent in pieces, so that the text is never held as a whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from starlette.responses import Response, StreamingResponse

from app.http.media_types import JSON
from app.wire.numbers import Piece, json_pieces, to_json

FEW = 65_536
"""Numbers up to which a response is sent as a whole: a millisecond of encoding, and a single write."""

MESSAGE = 1_048_576
"""Bytes that a thread encodes at a time: a few milliseconds of work, worth a switch of threads."""


def encoded(fields: Mapping[str, Any], headers: Mapping[str, str], *, numbers: int) -> Response:
    """A JSON object of these ``fields``, whose arrays hold so many ``numbers``.

    Up to `FEW` are sent as a whole; more are encoded while the client reads.
    """
    if numbers <= FEW:
        return _Small(whole(fields), headers=headers)
    return StreamingResponse(_messages(in_pieces(fields)), headers=headers, media_type=JSON)


def whole(value: Any) -> bytes:
    """The JSON of ``value``, which may be an array, or an object or list of such values."""
    return orjson.dumps(value, _fragment)


def in_pieces(value: Any) -> Iterator[Piece]:
    """The same, arrays in pieces."""
    if isinstance(value, np.ndarray):
        yield from json_pieces(value)
    elif isinstance(value, dict):
        yield from _joined(b"{", ((orjson.dumps(name) + b":", each) for name, each in value.items()), b"}")
    elif isinstance(value, list):
        yield from _joined(b"[", ((b"", each) for each in value), b"]")
    else:
        yield whole(value)


def _joined(opening: bytes, values: Iterable[tuple[bytes, Any]], closing: bytes) -> Iterator[Piece]:
    comma = b""
    yield opening
    for name, value in values:
        yield comma + name
        yield from in_pieces(value)
        comma = b","
    yield closing


async def _messages(pieces: Iterator[Piece]) -> AsyncIterator[bytes]:
    """The ``pieces`` in messages of about `MESSAGE` bytes; a thread encodes each while the last is sent."""
    loop = asyncio.get_running_loop()
    following = loop.run_in_executor(None, _message, pieces)
    while message := await following:
        following = loop.run_in_executor(None, _message, pieces)
        yield message


def _message(pieces: Iterator[Piece]) -> bytes:
    """The next pieces, joined; empty after the last."""
    waiting: list[Piece] = []
    length = 0
    for piece in pieces:
        waiting.append(piece)
        length += len(piece)
        if length >= MESSAGE:
            break
    return b"".join(waiting)


def ready(pieces: Sequence[bytes | memoryview], media_type: str, headers: Mapping[str, str]) -> Response:
    """A response of existing ``pieces``, with its Content-Length."""

    async def each() -> AsyncIterator[bytes | memoryview]:
        for piece in pieces:
            yield piece

    length = {"Content-Length": str(sum(map(len, pieces)))}
    return StreamingResponse(each(), headers={**headers, **length}, media_type=media_type)


_JSON = JSON.encode()


class _Small(Response):
    """A JSON response that encodes its headers itself, faster than starlette does."""

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        """Sets the headers."""
        others = headers or {}
        self.raw_headers = [
            (b"content-length", b"%d" % len(self.body)),
            (b"content-type", _JSON),
            *[(name.lower().encode(), value.encode()) for name, value in others.items()],
        ]


def _fragment(array: NDArray[Any]) -> orjson.Fragment:
    return orjson.Fragment(to_json(array))
