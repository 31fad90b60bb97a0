"""Streamed responses: pieces that a thread emits, encoded as server-sent events or JSON lines."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import CancelledError
from typing import Any, TypeAlias

from fastapi.responses import StreamingResponse

from app.core.errors import ActivationLabError
from app.http.computing import failures
from app.http.problems import Problem, from_core

EVENTS = "text/event-stream"
LINES = "application/jsonl"

Emit: TypeAlias = Callable[[str, bytes], None]
"""Adds a piece, given by its kind and its JSON, from another thread; blocks while the client is slow."""


def event(kind: str, data: bytes) -> bytes:
    """A server-sent event."""
    return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


def line(kind: str, data: bytes) -> bytes:
    """A line of JSON, which contains its kind."""
    del kind
    return data + b"\n"


QUIET = 15.0
"""Seconds without an event after which a comment is sent: proxies close idle streams."""

COMMENT = b": nothing yet\n\n"

_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # nginx would buffer the stream

HELD = 2**22
"""Bytes that are buffered for a slow client, or one longer piece; beyond it, `Emit` blocks."""


class _Pieces:
    """A bounded queue from threads to the event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[tuple[str, bytes] | None] = asyncio.Queue()
        self._changed = threading.Condition()
        self._held = 0
        self._ended = False

    def emit(self, kind: str, data: bytes) -> None:
        """Adds a piece once there is room; raises `CancelledError` after `end`."""
        with self._changed:
            while self._held and self._held + len(data) > HELD and not self._ended:
                self._changed.wait()
            if self._ended:
                raise CancelledError
            self._held += len(data)
        self._loop.call_soon_threadsafe(self._queue.put_nowait, (kind, data))

    def end(self, *_: Any) -> None:
        """Accepts no more pieces; those emitted before are still delivered."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        # After the callbacks that enqueue the last pieces.
        self._loop.call_soon(self._queue.put_nowait, None)

    async def __aiter__(self) -> AsyncIterator[tuple[str, bytes] | None]:
        """The pieces; None after each `QUIET` seconds without one."""
        while True:
            try:
                piece = await asyncio.wait_for(self._queue.get(), QUIET)
            except TimeoutError:
                yield None
                continue
            if piece is None:
                return
            yield piece
            with self._changed:  # it has been sent
                self._held -= len(piece[1])
                self._changed.notify_all()


def streamed(
    work: Callable[[Emit], Coroutine[Any, Any, None]],
    media_type: str,
    failed: Callable[[Problem], tuple[str, bytes]],
) -> StreamingResponse:
    """Starts ``work`` and streams what it emits; if it fails, ``failed`` gives the last piece.

    By then the status has been sent, so the request must be validated before. The work is cancelled if the
    client disconnects.
    """
    encode = event if media_type == EVENTS else line
    pieces = _Pieces()
    task = asyncio.ensure_future(_guarded(work(pieces.emit)))
    task.add_done_callback(pieces.end)

    async def encoded() -> AsyncIterator[bytes]:
        try:
            async for piece in pieces:
                if piece is not None:
                    yield encode(*piece)
                elif media_type == EVENTS:
                    yield COMMENT
            if (problem := await task) is not None:
                yield encode(*failed(problem))
        finally:
            task.cancel()

    return StreamingResponse(encoded(), media_type=media_type, headers=_HEADERS)


async def _guarded(work: Coroutine[Any, Any, None]) -> Problem | None:
    """Runs ``work``; the problem if it failed."""
    try:
        with failures:
            await work
    except Problem as problem:
        return problem
    except ActivationLabError as error:
        return from_core(error)
    return None
