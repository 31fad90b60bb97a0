"""Answers that come piece by piece: what a thread emits, encoded as server-sent events or JSON lines."""

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
"""Adds a piece, its kind and its JSON, from a thread of its own; waits where the reader is slow."""


def event(kind: str, data: bytes) -> bytes:
    """A server-sent event."""
    return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


def line(kind: str, data: bytes) -> bytes:
    """A line of JSON, which names its kind itself."""
    del kind
    return data + b"\n"


QUIET = 15.0
"""Seconds without a piece after which a comment is sent among events: proxies close quiet streams."""

COMMENT = b": nothing yet\n\n"

_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # nginx would hold pieces back

HELD = 2**22
"""Bytes that wait for a slow reader, or one piece if it is longer; then whoever emits more waits."""


class _Pieces:
    """A bounded queue from threads to the event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[tuple[str, bytes] | None] = asyncio.Queue()
        self._changed = threading.Condition()
        self._held = 0
        self._ended = False

    def emit(self, kind: str, data: bytes) -> None:
        """Adds a piece once there is room; raises `CancelledError` where no more are wanted."""
        with self._changed:
            while self._held and self._held + len(data) > HELD and not self._ended:
                self._changed.wait()
            if self._ended:
                raise CancelledError
            self._held += len(data)
        self._loop.call_soon_threadsafe(self._queue.put_nowait, (kind, data))

    def end(self, *_: Any) -> None:
        """No more are wanted; those that were emitted are still there."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        # Behind whatever the last pieces' own calls put there.
        self._loop.call_soon(self._queue.put_nowait, None)

    async def __aiter__(self) -> AsyncIterator[tuple[str, bytes] | None]:
        """The pieces; None whenever there was none for `QUIET` seconds."""
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
    """Starts ``work`` and answers with what it emits; where it fails, with ``failed`` as the last piece.

    The status is sent by then, so whatever can be refused has to be refused before. A client that leaves
    cancels the work.
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
    """None, or what went wrong."""
    try:
        with failures:
            await work
    except Problem as problem:
        return problem
    except ActivationLabError as error:
        return from_core(error)
    return None
