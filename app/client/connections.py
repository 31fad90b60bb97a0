"""Sending exchanges: retries, events that tell how far the work is, pictures of results; sync and async."""

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
from typing import Any, Self, TypeVar

import httpx

from app.client.exchanges import EVENTS, LINES, Exchange, Lines, ServiceError, refused
from app.client.progress import Bar
from app.client.results import Drawn, Picture
from app.contract.problems import ProblemDocument

Result = TypeVar("Result")
Line = TypeVar("Line")

BUSY = frozenset({429, 502, 503})
"""Answers that say: not now. Every request is a computation, so that asking again does no harm."""

_SHORTEST, _LONGEST, _LONGEST_ASKED = 0.5, 8.0, 60.0
"""Seconds of the first pause, of the longest one, and of the longest that a ``Retry-After`` is heeded for."""


class _Connection:
    """What both clients share: everything but waiting."""

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

    def _pauses(self) -> Iterator[Callable[[httpx.Response | Exception], float | None]]:
        """For each attempt, a function from what came of it to the seconds before the next, or None."""
        for attempt in range(self._retries + 1):
            last = attempt == self._retries

            def pause(came: httpx.Response | Exception, n: int = attempt, last: bool = last) -> float | None:
                return None if last or not _may_pass(came) else _seconds(came, n)

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
        """The picture, or None where there is none: a notebook then shows the result as text."""
        with contextlib.suppress(ServiceError, httpx.HTTPError), Client(self._url, key=self._key) as lab:
            return lab.send(drawing)
        return None


class Client(_Connection):
    """Sends exchanges and waits.

    Args:
        url: where the service is.
        key: an API key, where it asks for one.
        retries: how often a request is sent again that found the service busy or away; a ``Retry-After`` is
            heeded, else the pause doubles from half a second.
        progress: whether long work shows a bar, where there is a terminal or a notebook to show it.
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
                events.hear(text)
        return self._read(exchange, events.response(response))

    def stream(self, exchange: Lines[Any, Line]) -> Iterator[Line]:
        """The lines of the answer as they come; leaving the loop ends the work. Raises as `send` does."""
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
            came: httpx.Response | Exception
            try:
                came = self._client.send(self._request(self._client, exchange), stream=stream)
            except httpx.TransportError as error:
                came = error
            seconds = pause(came)
            if seconds is None:
                break
            if isinstance(came, httpx.Response):
                came.close()
            time.sleep(seconds)
        if isinstance(came, Exception):
            raise came
        return came

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient(_Connection):
    """Sends exchanges and awaits; arguments as `Client`'s, ``options`` go to `httpx.AsyncClient`."""

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
                    events.hear(text)
        return self._read(exchange, events.response(response))

    async def stream(self, exchange: Lines[Any, Line]) -> AsyncIterator[Line]:
        """The lines of the answer as they come; leaving the loop ends the work. Raises as `send` does."""
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
            came: httpx.Response | Exception
            try:
                came = await self._client.send(self._request(self._client, exchange), stream=stream)
            except httpx.TransportError as error:
                came = error
            seconds = pause(came)
            if seconds is None:
                break
            if isinstance(came, httpx.Response):
                await came.aclose()
            await asyncio.sleep(seconds)
        if isinstance(came, Exception):
            raise came
        return came

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class _Events:
    """Server-sent events of long work: shows how far it is, keeps the result."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._kind = ""
        self._result: bytes | None = None

    def hear(self, text: str) -> None:
        """Takes in a line; raises `ServiceError` for an event that says the work failed."""
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
        """The result as if it had come alone."""
        if self._result is None:
            raise httpx.RemoteProtocolError("the stream ended without a result", request=streamed.request)
        return httpx.Response(200, content=self._result, request=streamed.request)


def _with(exchange: Exchange[Result], accepted: str) -> Exchange[Result]:
    return replace(exchange, headers={**exchange.headers, "Accept": accepted})


def _may_pass(came: httpx.Response | Exception) -> bool:
    """Whether the same request may fare better later; after a read timeout the service is still at work."""
    if isinstance(came, httpx.Response):
        return came.status_code in BUSY
    return not isinstance(came, httpx.ReadTimeout)


def _seconds(came: httpx.Response | Exception, attempt: int) -> float:
    asked = _retry_after(came.headers.get("retry-after")) if isinstance(came, httpx.Response) else None
    if asked is not None:
        return min(asked, _LONGEST_ASKED)
    # Some clients earlier, some later: those that were refused together do not come again together.
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
    """What puts an API key into each request."""
    if key is None:
        return None

    def signed(request: httpx.Request) -> httpx.Request:
        request.headers["Authorization"] = f"Bearer {key}"
        return request

    return signed
