"""Answers that come piece by piece: what a thread emits, encoded as server-sent events or JSON lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeAlias

from fastapi.responses import StreamingResponse

from app.core.errors import ActivationLabError
from app.http.computing import failures
from app.http.problems import Problem, from_core

EVENTS = "text/event-stream"
LINES = "application/jsonl"

Emit: TypeAlias = Callable[[str, bytes], None]
"""Adds a piece, its kind and its JSON, from any thread."""


def event(kind: str, data: bytes) -> bytes:
    """A server-sent event."""
    return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


def line(kind: str, data: bytes) -> bytes:
    """A line of JSON, which names its kind itself."""
    del kind
    return data + b"\n"


def streamed(
    work: Callable[[Emit], Coroutine[Any, Any, None]],
    media_type: str,
    failed: Callable[[Problem], tuple[str, bytes]],
) -> StreamingResponse:
    """Starts ``work`` and answers with what it emits; where it fails, with ``failed`` as the last piece.

    The status is sent by then, so whatever can be refused has to be refused before. A client that leaves
    cancels the work.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[str, bytes] | None] = asyncio.Queue()
    encode = event if media_type == EVENTS else line

    def emit(kind: str, data: bytes) -> None:
        loop.call_soon_threadsafe(queue.put_nowait, (kind, data))

    task = asyncio.ensure_future(_guarded(work(emit)))
    # Behind whatever the last pieces' own calls put there.
    task.add_done_callback(lambda _: loop.call_soon(queue.put_nowait, None))

    async def pieces() -> AsyncIterator[bytes]:
        try:
            while (piece := await queue.get()) is not None:
                yield encode(*piece)
            if (problem := await task) is not None:
                yield encode(*failed(problem))
        finally:
            task.cancel()

    return StreamingResponse(pieces(), media_type=media_type, headers={"Cache-Control": "no-store"})


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
