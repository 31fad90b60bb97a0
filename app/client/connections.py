"""Sends exchanges, synchronously or asynchronously: with retries, progress events and pictures of results."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar

import httpx

from app.client.exchanges import EVENTS, LINES, Exchange, Lines, ServiceError, refused
from app.client.progress import Bar
from app.client.results import Drawn, Picture
from app.contract.problems import ProblemDocument

Result = TypeVar("Result")
Line = TypeVar("Line")
_Outcome: TypeAlias = httpx.Response | Exception

BUSY = frozenset({429, 502, 503})
"""Status codes after which a request is retried. All requests are idempotent computations."""

_SHORTEST, _LONGEST, _LONGEST_ASKED = 0.5, 8.0, 60.0
"""Seconds of the first pause, of the longest, and of the longest that a ``Retry-After`` can ask for."""


class _Connection:
    """The part that both clients share: everything but I/O."""

    def __init__(self, url: str, key: str | None, retries: int) -> None:
        self._url = url
        self._key = key
        self._retries = retries

    def _options(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"base_url": self._url, "timeout": 60.0, "auth": _bearer(self._key), **given}

    @staticmethod
    def _request(client: httpx.Client | httpx.AsyncClient, exchange: Exchange[Any]) -> httpx.Request:
        return client.build_request(
            exchange.method,
            exchange.path,
            headers=dict(exchange.headers),
            params=dict(exchange.query) or None,
            content=exchange.content,
            files=exchange.files,
        )

    def _pauses(self) -> Iterator[Callable[[_Outcome], float | None]]:
        """For each attempt, a function from its outcome to the seconds before a retry, None for no retry."""
        for attempt in range(self._retries + 1):
            last = attempt == self._retries

            def pause(outcome: _Outcome, n: int = attempt, last: bool = last) -> float | None:
                return None if last or not _is_temporary(outcome) else _seconds(outcome, n)

            yield pause

    def _read(self, exchange: Exchange[Result], response: httpx.Response) -> Result:
        if not response.is_success:
            raise refused(response)
        result = exchange.read(response)
        if isinstance(result, Drawn) and exchange.picture is not None:
            drawing = exchange.picture
            result._draw = lambda: self._drawn(drawing)  # noqa: SLF001  given to the result for its display
        return result

    def _drawn(self, drawing: Exchange[Picture]) -> Picture | None:
        """The picture, or None if it cannot be drawn: a notebook then shows the result as text."""
        with contextlib.suppress(ServiceError, httpx.HTTPError), Client(self._url, key=self._key) as lab:
            return lab.send(drawing)
        return None


class Client(_Connection):
    """Sends exchanges synchronously.

    Args:
        url: the address of the service.
        key: an API key, if the service requires one.
        retries: how often a request is retried while the service is busy or unreachable; ``Retry-After`` is
            respected, otherwise the pause doubles from half a second.
        progress: whether long requests show a progress bar, in a terminal or a notebook.
        options: of `httpx.Client`; ``timeout`` is 60 seconds by default.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        key: str | None = None,
        retries: int = 2,
        progress: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(url, key, retries)
        self._progress = progress
        self._client = httpx.Client(**self._options(options))

    def send(self, exchange: Exchange[Result]) -> Result:
        """The answer to ``exchange``; raises `ServiceError` and httpx's own errors."""
        if not (exchange.streams and self._progress and Bar.has_a_place()):
            response = self._answer(exchange, stream=False)
            return self._read(exchange, response)
        with Bar() as bar, contextlib.closing(self._answer(_with(exchange, EVENTS), stream=True)) as response:
            if not response.is_success:
                response.read()
                raise refused(response)
            events = _Events(bar)
            for text in response.iter_lines():
                events.feed(text)
        return self._read(exchange, events.response(response))

    def stream(self, exchange: Lines[Any, Line]) -> Iterator[Line]:
        """The lines of the answer as they arrive; leaving the loop cancels the work. Raises like `send`."""
        with contextlib.closing(self._answer(_with(exchange, LINES), stream=True)) as response:
            if not response.is_success:
                response.read()
                raise refused(response)
            yield from map(exchange.line, response.iter_lines())

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def _answer(self, exchange: Exchange[Any], *, stream: bool) -> httpx.Response:
        for pause in self._pauses():
            outcome: _Outcome
            try:
                outcome = self._client.send(self._request(self._client, exchange), stream=stream)
            except httpx.TransportError as error:
                outcome = error
            seconds = pause(outcome)
            if seconds is None:
                break
            if isinstance(outcome, httpx.Response):
                outcome.close()
            time.sleep(seconds)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient(_Connection):
    """Sends exchanges asynchronously; arguments as for `Client`, ``options`` are of `httpx.AsyncClient`."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        key: str | None = None,
        retries: int = 2,
        progress: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(url, key, retries)
        self._progress = progress
        self._client = httpx.AsyncClient(**self._options(options))

    async def send(self, exchange: Exchange[Result]) -> Result:
        """The answer to ``exchange``; raises `ServiceError` and httpx's own errors."""
        if not (exchange.streams and self._progress and Bar.has_a_place()):
            response = await self._answer(exchange, stream=False)
            return self._read(exchange, response)
        with Bar() as bar:
            async with contextlib.aclosing(
                await self._answer(_with(exchange, EVENTS), stream=True)
            ) as response:
                if not response.is_success:
                    await response.aread()
                    raise refused(response)
                events = _Events(bar)
                async for text in response.aiter_lines():
                    events.feed(text)
        return self._read(exchange, events.response(response))

    async def stream(self, exchange: Lines[Any, Line]) -> AsyncIterator[Line]:
        """The lines of the answer as they arrive; leaving the loop cancels the work. Raises like `send`."""
        async with contextlib.aclosing(await self._answer(_with(exchange, LINES), stream=True)) as response:
            if not response.is_success:
                await response.aread()
                raise refused(response)
            async for text in response.aiter_lines():
                yield exchange.line(text)

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def _answer(self, exchange: Exchange[Any], *, stream: bool) -> httpx.Response:
        for pause in self._pauses():
            outcome: _Outcome
            try:
                outcome = await self._client.send(self._request(self._client, exchange), stream=stream)
            except httpx.TransportError as error:
                outcome = error
            seconds = pause(outcome)
            if seconds is None:
                break
            if isinstance(outcome, httpx.Response):
                await outcome.aclose()
            await asyncio.sleep(seconds)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class _Events:
    """Parses the server-sent events of a long request: shows its progress, keeps its result."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._kind = ""
        self._result: bytes | None = None

    def feed(self, text: str) -> None:
        """Parses a line; raises `ServiceError` for an ``error`` event."""
        name, _, value = text.partition(": ")
        if name == "event":
            self._kind = value
        elif name == "data" and self._kind == "result":
            self._result = value.encode()
        elif name == "data" and self._kind == "error":
            raise ServiceError(ProblemDocument.model_validate_json(value))
        elif name == "data" and self._kind == "progress":
            progress = json.loads(value)
            self._bar.show(progress["percent"] / 100, str(progress["stage"]))

    def response(self, streamed: httpx.Response) -> httpx.Response:
        """A response with just the result."""
        if self._result is None:
            raise httpx.RemoteProtocolError("the stream ended without a result", request=streamed.request)
        return httpx.Response(200, content=self._result, request=streamed.request)


def _with(exchange: Exchange[Result], accepted: str) -> Exchange[Result]:
    return replace(exchange, headers={**exchange.headers, "Accept": accepted})


def _is_temporary(outcome: _Outcome) -> bool:
    """Whether a retry may succeed; not after a read timeout, as the service is still computing."""
    if isinstance(outcome, httpx.Response):
        return outcome.status_code in BUSY
    return not isinstance(outcome, httpx.ReadTimeout)


def _seconds(outcome: _Outcome, attempt: int) -> float:
    asked = _retry_after(outcome.headers.get("retry-after")) if isinstance(outcome, httpx.Response) else None
    if asked is not None:
        return min(asked, _LONGEST_ASKED)
    # Jitter, so that clients that were refused together do not retry together.
    return float(min(_SHORTEST * 2**attempt, _LONGEST) * random.uniform(0.75, 1.25))  # noqa: S311


def _retry_after(text: str | None) -> float | None:
    """Seconds, or an HTTP date (RFC 9110, 10.2.3)."""
    if text is None:
        return None
    if text.strip().isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def _bearer(key: str | None) -> Callable[[httpx.Request], httpx.Request] | None:
    """httpx's ``auth`` that adds an API key to each request."""
    if key is None:
        return None

    def signed(request: httpx.Request) -> httpx.Request:
        request.headers["Authorization"] = f"Bearer {key}"
        return request

    return signed
