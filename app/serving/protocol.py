"""HTTP/1.1 between a socket and ASGI: one response to each complete request, in order.

llhttp, through httptools, finds where requests begin and end, strictly by RFC 9112. This file decides the
rest:

- **Request heads** are limited. Bytes are counted before they are given to the parser, which therefore never
  holds more: 414 for a long request target, 431 for a long head or many headers.
- **Pipelining** is limited. The parser gets one message's head or body at a time; while `MOST_WAITING`
  requests wait for their responses, or a body waits for the application, the socket is not read.
- **Backpressure**: the next request is processed once the response before it has been sent. A client that
  reads next to nothing for ``send_timeout`` seconds is disconnected (`app.serving.unsent` bounds the memory).
- **Disconnects** are detected on every connection, also while its socket is not read, for every request on
  it. A half-closed connection looks the same at first: a handler that listens for disconnects stops at once;
  a response that is ready within `HALF_CLOSED` seconds is still sent.
- **Upgrades** are ignored, as RFC 9110 (7.8) allows; a body that follows belongs to the request.
- **Malformed requests** are answered after all requests before them, and the connection is then closed.
- **Unread bodies**, of requests answered before their body arrived, are read and dropped, so that the next
  request can be found. If one is long, or its client waits for ``100 Continue``, the connection is closed.

uvicorn creates one `Connection` per client; `app.serving.uvicorn_parts` adapts uvicorn's own objects.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import select
import sys
from collections import deque
from collections.abc import Callable, Iterable
from http import HTTPStatus
from math import inf
from typing import Any
from urllib.parse import unquote

import httptools
import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.serving.outbox import LARGE, outbox
from app.serving.unsent import unsent
from app.settings import settings

MOST_HEAD = 65_536
"""Bytes of a request's head: its first line and its headers."""

MOST_HEADERS = 100
LONGEST_TARGET = 16_384
"""Bytes of the request target: the path with its query string."""

MOST_WAITING = 16
"""Pipelined requests that a connection holds while the first of them is processed."""

MOST_BODY = 65_536
"""Bytes of a body that are buffered for the application before reading pauses."""

MOST_FRAMING = 65_536
"""Bytes of a chunked body besides its data, such as trailers, without `FRAMING_OF_A_CHUNK` a chunk."""

FRAMING_OF_A_CHUNK = 16
MOST_DROPPED = 1 << 20
"""Bytes of a body that are read and dropped after its request has been answered."""

LINGERING = 2.0
"""Seconds of lingering close: further input is dropped, so that the client receives the last response."""

CLIENT_POLL = 0.125
"""Seconds between two checks whether a client whose socket is not being read is still connected."""

HALF_CLOSED = 0.25
"""Seconds that a request may take whose client has closed its side: it may be gone, or wait for responses."""

LEAST_TAKEN = 1 << 20
"""Bytes that a client must read in ``send_timeout`` seconds, unless it reads all."""

OWN_DESCRIPTORS = 40
"""File descriptors of the service itself: 25 when idle, some for files while it works."""

MOST_REFUSED = 8
"""Connections beyond the limit that are answered 503; further ones are closed without a response."""

SETTLING = 0.1
"""Seconds in which a new connection may still send its request although the service is stopping."""

_BLANK_LINE = b"\r\n\r\n"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_STATUS_LINES: dict[int, bytes] = {
    each: f"HTTP/1.1 {each} {each.phrase}\r\n".encode() for each in HTTPStatus if each >= HTTPStatus.OK
}
_BODILESS = (204, 304)
_ASGI = {"version": "3.0", "spec_version": "2.3"}
_INTERPRETED = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect"})
_IN_HOST = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%!$&'()*+,;=:[]"
_PEER_CLOSED = getattr(select, "POLLRDHUP", 0)  # Linux: the client has closed its side
_DISCONNECT: Message = {"type": "http.disconnect"}
_DETAILS = {
    400: "not a valid HTTP request",
    414: f"the request target may hold at most {LONGEST_TARGET:,} bytes",
    431: f"a request's head may hold at most {MOST_HEAD:,} bytes and {MOST_HEADERS} headers",
    500: "an internal error; the request may be sent again",
    501: "this method or transfer coding is not offered",
    503: "the service has as many connections as it can hold; try again later",
    505: "this service speaks HTTP/1.1",
}
_log = logging.getLogger(__name__)


class Service:
    """What a connection needs from its server."""

    __slots__ = ("app", "connections", "idle_timeout", "root_path", "state", "tasks")

    app: ASGIApp
    root_path: str
    idle_timeout: float
    state: dict[str, Any]
    connections: set[Connection]
    tasks: set[asyncio.Task[None]]

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Headers of every response."""
        return []


def most_connections() -> int:
    """Connections at a time: as many as the descriptor limit allows, without those that the service needs."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return sys.maxsize
    return max(1, limit - OWN_DESCRIPTORS - 2 * settings().simulators)


class Connection(asyncio.Protocol):
    """One client's connection: parses its requests, and writes their responses in order.

    The parser calls the methods that begin with ``on_``.
    """

    def __init__(self, service: Service, loop: asyncio.AbstractEventLoop) -> None:
        self.service = service
        self.loop = loop
        self.write_paused = False
        self.stopping = False
        self.half_closed = False  # the client sends no more: it may be gone, or wait for its responses
        self._root_path = service.root_path
        self._receive_timeout = settings().receive_timeout
        self._send_timeout = settings().send_timeout
        self._outbox = outbox(self.loop)
        self._outgoing: list[bytes | memoryview] = []
        # Requests without a complete response, in order; the application is processing the first one.
        self._exchanges: deque[Exchange] = deque()
        self._arriving: Exchange | None = None  # the last of them, until its body is complete
        self._parser = httptools.HttpRequestParser(self)
        self._data, self._position = b"", 0  # what has been read, and how much of it has been parsed
        self._seam = b""  # the last bytes parsed, which may be the beginning of a blank line
        self._head_bytes = self._framing = self._dropped = 0
        self._refusal = 0
        self._upgrade = self._repeating = False
        self._begin_head()
        self._ended = False  # further input is dropped
        self._left = False
        self._read_paused = False
        self.idle_since = loop.time()
        self._clock = _Clock(loop, self._expired)
        self._receiving = False
        self._suspended = 0.0
        self._poll_timer: asyncio.TimerHandle | None = None
        self._send_timer: asyncio.TimerHandle | None = None
        self._watched: Exchange | None = None  # the request that a half-closed client may still wait for
        self._watched_since = 0.0

    # Called by the event loop.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Starts the receive timeout, which also closes connections that send nothing."""
        self.transport = transport
        self.service.connections.add(self)
        self._client = _address(transport.get_extra_info("peername"))
        self._server = _address(transport.get_extra_info("sockname"))
        self._receiving = True
        self._clock.set(self._receive_timeout)
        if len(self.service.connections) > most_connections():
            self._make_room()

    def _make_room(self) -> None:
        """Closes the connection that has been idle longest; where there is none, refuses this one."""
        others = (each for each in self.service.connections if each is not self)
        idle = min((each for each in others if each.is_idle), key=lambda each: each.idle_since, default=None)
        if idle is not None:
            idle.abort()
        elif len(self.service.connections) <= most_connections() + MOST_REFUSED:
            self._refuse(503)
        else:
            self.abort()

    @property
    def is_idle(self) -> bool:
        """Whether no request is being received or processed."""
        return not self._exchanges and not self._head_bytes

    def connection_lost(self, _: Exception | None) -> None:
        """Signals the disconnect to every request on the connection."""
        self.service.connections.discard(self)
        self._ended = True
        self._clock.stop()
        for timer in (self._poll_timer, self._send_timer):
            if timer is not None:
                timer.cancel()
        unsent().remove(self)
        self._abandon()
        self._data, self._outgoing = b"", []
        del self._parser  # breaks the reference cycle with this object

    def data_received(self, data: bytes) -> None:
        """Parses the data, as far as there is room for requests."""
        if not self._ended:
            self._data = self._data[self._position :] + data if self._data else data
            self._position = 0
            self._parse()

    def eof_received(self) -> bool:
        """Starts watching a client that has closed its side: it may be gone, or wait for its responses."""
        self._left = self.half_closed = True
        self._end_reading()
        if self._exchanges:
            self._exchanges[0].wake()
            self._watch()
        return bool(self._exchanges)

    def pause_writing(self) -> None:
        """The transport's write buffer is full: the client reads too slowly."""
        self.write_paused = True
        unsent().add(self)
        self._await_reader()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self.write_paused = False
        unsent().remove(self)
        if self._send_timer is not None and not self.transport.is_closing():
            self._send_timer.cancel()
            self._send_timer = None
        if self._exchanges:
            front = self._exchanges[0]
            front.wake()
            self._go_on()

    # Called by uvicorn.

    def shutdown(self) -> None:
        """Closes the connection once its requests are answered; a new one may still send its first."""
        self.stopping = True
        if not self._exchanges:
            self.loop.call_later(SETTLING, self._close_if_idle)

    # From bytes to requests.

    def _parse(self) -> None:
        """Feeds the parser one head or body at a time, while there is room for one more."""
        data, size = self._data, len(self._data)
        while self._position < size and not self._ended:
            if self._is_full():
                self._pause_reading()
                return
            start = self._position
            self._position = end = self._piece_end(data, start)
            self._feed(data if end - start == size else data[start:end])
        self._data, self._position = b"", 0
        self._resume_reading()
        if not self._receiving and not self._ended and (self._head_bytes or self._arriving is not None):
            self._receiving = True
            self._clock.set(self._receive_timeout)
        if not self._ended:
            self._settle()

    def _is_full(self) -> bool:
        if self._arriving is not None:
            return self._arriving.held > MOST_BODY
        return len(self._exchanges) >= MOST_WAITING

    def _piece_end(self, data: bytes, start: int) -> int:
        """The end of the next piece to parse; no message ends within it."""
        if self._arriving is not None and self._length is not None:
            return min(start + self._length, len(data))
        if self._seam:
            found = (self._seam + data[start : start + 3]).find(_BLANK_LINE)
            if found >= 0:
                end = start + found + 4 - len(self._seam)
                self._seam = b""
                return end
        found = data.find(_BLANK_LINE, start)
        if found >= 0:
            self._seam = b""
            return found + 4
        self._seam = (self._seam + data[max(start, len(data) - 3) :])[-3:]
        return len(data)

    def _feed(self, piece: bytes) -> None:
        if self._arriving is None:
            room = MOST_HEAD - self._head_bytes
            self._head_bytes += len(piece)
            self._parse_piece(piece[:room] if len(piece) > room else piece)
            if self._head_bytes > MOST_HEAD:
                self._refusal = self._refusal or 431
        else:
            if self._length is None:
                self._framing += len(piece)
            self._parse_piece(piece)
            if self._framing > MOST_FRAMING:
                self._refusal = self._refusal or 400
        if self._refusal:
            self._refuse(self._refusal)
        elif self._dropped > MOST_DROPPED:
            self._finish()
        elif self._arriving is None and self._is_done():
            self._advance()

    def _parse_piece(self, piece: bytes) -> None:
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            if not self._refusal:
                self._repeat()
        except httptools.HttpParserError:
            self._refusal = self._refusal or 400

    def _repeat(self) -> None:
        """Makes the parser read the body of a request whose upgrade is ignored.

        The parser stops at such a request as the end of HTTP, and then starts afresh; so it is fed a head
        with the same framing headers and no upgrade, which the body continues.
        """
        self._upgrade = False
        framing = (b"content-length", b"transfer-encoding")
        lines = (name + b": " + value + b"\r\n" for name, value in self._headers if name in framing)
        self._repeating = True
        self._parser.feed_data(b"POST / HTTP/1.1\r\n" + b"".join(lines) + b"\r\n")
        self._repeating = False

    def on_message_begin(self) -> None:
        """Called when a request begins."""
        if self._repeating:
            return
        self._begin_head()

    def _begin_head(self) -> None:
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._hosts = 0
        self._expects = False
        self._length: int | None = 0

    def on_url(self, url: bytes) -> None:
        """Called with a piece of the request target."""
        if self._repeating:
            return
        self._url += url
        if len(self._url) > LONGEST_TARGET:
            self._refusal = 414

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called with a header, or a trailer, which is ignored."""
        if self._repeating or self._arriving is not None:
            return
        name = name.lower()
        self._headers.append((name, value))
        if name in _INTERPRETED:
            self._interpret(name, value)

    def _interpret(self, name: bytes, value: bytes) -> None:
        if name == b"host":
            self._hosts += 1
            if value.translate(None, _IN_HOST):
                self._refusal = 400
        elif name == b"content-length":
            self._length = int(value)
        elif name == b"expect":
            self._expects = value.lower() == b"100-continue"
        elif value.lower() == b"chunked":
            self._length = None
        else:
            self._refusal = 501

    def on_headers_complete(self) -> None:
        """Called when a head is complete: creates the request, or notes the status that refuses it."""
        if self._repeating:
            return
        method, version = self._parser.get_method(), self._parser.get_http_version()
        self._refusal = self._refusal or self._objection(method, version)
        target = None if self._refusal else _split_target(self._url)
        if target is None:
            self._refusal = self._refusal or 400
            return
        raw_path, query = target
        path = raw_path.decode("ascii")
        scope = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "server": self._server,
            "client": self._client,
            "scheme": "http",
            "method": method.decode("ascii"),
            "root_path": self._root_path,
            "path": self._prefixed(unquote(path) if "%" in path else path),
            "raw_path": raw_path,
            "query_string": query,
            "headers": self._headers,
            "state": self.service.state.copy(),
        }
        self._head_bytes = self._framing = self._dropped = 0
        self._upgrade = self._parser.should_upgrade()
        keep_alive = version == "1.1" and self._parser.should_keep_alive()
        self._arriving = exchange = Exchange(self, scope, keep_alive=keep_alive, expects=self._expects)
        self._append(exchange)

    def _prefixed(self, path: str) -> str:
        """The path as ASGI defines it, with the root path, whether or not a proxy has removed that."""
        prefix = self._root_path
        below = not prefix or path == prefix or path.startswith(f"{prefix}/")
        return path if below else prefix + path

    def _objection(self, method: bytes, version: str) -> int:
        """The status that refuses this head, or 0."""
        if version == "2.0":
            return 505
        if version not in ("1.0", "1.1"):
            return 400
        if self._hosts > 1 or (not self._hosts and version == "1.1"):
            return 400
        if version == "1.0" and self._length is None:
            return 400  # RFC 9112, 6.1: the end of such a body is undefined
        if len(self._headers) > MOST_HEADERS:
            return 431
        return 501 if method == b"CONNECT" else 0

    def on_body(self, body: bytes) -> None:
        """Called with a piece of a body."""
        if self._length is not None:
            self._length -= len(body)
        else:
            self._framing = max(0, self._framing - len(body) - FRAMING_OF_A_CHUNK)
        if self._arriving is not None and not self._arriving.add(body):
            self._dropped += len(body)

    def on_message_complete(self) -> None:
        """Called when a request is complete."""
        exchange = self._arriving
        if self._upgrade or exchange is None:
            return
        self._arriving = None
        self._receiving = False
        self._clock.clear()
        self._ended = not exchange.keep_alive
        exchange.end()

    def _refuse(self, status: int) -> None:
        """Refuses the input with ``status``, after the requests before it, in place of an incomplete one."""
        _log.warning("a request was refused: %s", _DETAILS[status])
        broken = self._arriving
        self._end_reading()
        if broken is None or not broken.started:
            scope = {"type": "http", "method": "GET", "http_version": "1.1"}
            refusal = Exchange(self, scope, keep_alive=False, expects=False, app=_refusing(status))
            refusal.end()
            self._append(refusal)
        elif not self._exchanges:
            self._finish()

    # From requests to answers.

    def _append(self, exchange: Exchange) -> None:
        self._exchanges.append(exchange)
        if len(self._exchanges) == 1:
            self._start(exchange)

    def _start(self, exchange: Exchange) -> None:
        tasks = self.service.tasks
        task = self.loop.create_task(exchange.run(exchange.app or self.service.app))
        task.add_done_callback(tasks.discard)
        tasks.add(task)

    @property
    def is_last(self) -> bool:
        """Whether no other request has arrived after the one that is being answered."""
        return len(self._exchanges) == 1 and not self._data

    @property
    def is_long(self) -> bool:
        """Whether the rest of the arriving body is too long to be read and dropped."""
        return self._length is not None and self._length > MOST_DROPPED

    def body_taken(self) -> None:
        """Reads on, now that the application has taken the buffered part of a body."""
        if self._read_paused:
            self._parse()

    def answered(self, exchange: Exchange) -> None:
        """Goes on once the response of ``exchange`` is written."""
        if len(self.service.tasks) == 1:
            self.flush()  # no other response is being made that this one could be sent together with
        if not exchange.keep_alive:
            self._finish()
        else:
            self._go_on()

    def _go_on(self) -> None:
        """Starts the next request if the first is done, and reads on."""
        if self._is_done():
            self._advance()
        if self._read_paused:
            self._parse()

    def _is_done(self) -> bool:
        """Whether the first request is complete and its response has been sent."""
        return bool(self._exchanges) and self._exchanges[0].is_over and not self.write_paused

    def _advance(self) -> None:
        self._exchanges.popleft()
        if self._exchanges:
            self._start(self._exchanges[0])
        elif not self._data:  # else there may be another request in it
            self._settle()

    def _settle(self) -> None:
        """Where no request is left, closes the connection or waits for the next request."""
        if self._exchanges:
            return
        if self._ended or self.stopping:
            self._finish()
        elif not self._receiving:
            self.idle_since = self.loop.time()
            self._clock.set(self.service.idle_timeout)

    def write(self, data: bytes | memoryview) -> None:
        """Buffers ``data`` until the end of this iteration of the event loop; flushes what is large."""
        if not self._outgoing:
            self._outbox.add(self)
        self._outgoing.append(data)
        if len(data) > LARGE:
            self.flush()

    def flush(self) -> None:
        """Writes the buffered data, unless the connection is closing."""
        if self._outgoing and not self.transport.is_closing():
            self.transport.writelines(self._outgoing)
        self._outgoing = []

    # Closing.

    def _end_reading(self) -> None:
        """Accepts no more input; a request that is incomplete is broken off."""
        self._ended = True
        self._data, self._position = b"", 0
        self._receiving = False
        self._clock.clear()
        broken, self._arriving = self._arriving, None
        if broken is not None:
            broken.break_off()
            if broken.disconnected or broken.complete:
                self._exchanges.remove(broken)

    def _expired(self) -> None:
        """Called when a request was not received in time, or the connection was idle for too long."""
        self._end_reading()
        if not self._exchanges:
            self._close()

    def _finish(self) -> None:
        """Closes after the last response, lingering: a reset could destroy it if the client still sends."""
        self._end_reading()
        self._exchanges.clear()
        self.flush()
        if self._left or self.transport.is_closing():
            self._close()
            return
        self.transport.write_eof()
        self._await_reader()
        self._resume_reading()
        self.loop.call_later(LINGERING, self._close)

    def _close_if_idle(self) -> None:
        if not self._exchanges:
            self._close()

    def _close(self) -> None:
        self.flush()
        self.transport.close()
        self._await_reader()

    def abort(self) -> None:
        """Closes at once and drops what has not been sent."""
        self.transport.abort()

    def _abandon(self) -> None:
        """Signals the disconnect to every request."""
        exchanges, self._exchanges = self._exchanges, deque()
        self._arriving = None
        for exchange in exchanges:
            exchange.disconnect()

    # Clients that do not read, or whose socket is not read.

    def unsent(self) -> int:
        """Bytes held for the client: in the transport's write buffer, or still to be written."""
        written = self.transport.get_write_buffer_size()
        return max(written, self._exchanges[0].unsent) if self._exchanges else written

    def _await_reader(self) -> None:
        waiting = self.transport.get_write_buffer_size()
        if waiting and self._send_timer is None:
            self._send_timer = self.loop.call_later(self._send_timeout, self._check_reader, waiting)

    def _check_reader(self, before: int) -> None:
        self._send_timer = None
        waiting = self.transport.get_write_buffer_size()
        if waiting and before - waiting < LEAST_TAKEN:
            self.abort()
        else:
            self._await_reader()

    def _pause_reading(self) -> None:
        if not self._read_paused and not self._left:
            self._read_paused = True
            self.transport.pause_reading()
            if self._receiving:  # now the client waits for us, so its timeout is suspended
                self._suspended = self._clock.left()
                self._clock.clear()
            self._watch()

    def _resume_reading(self) -> None:
        if self._read_paused and not self.transport.is_closing():
            self._read_paused = False
            self.transport.resume_reading()
            if self._receiving:
                self._clock.set(self._suspended)

    def _watch(self) -> None:
        """Starts to poll for the disconnect of a client whose socket is not read."""
        if self._poll_timer is None:
            self._poll_client()

    def _poll_client(self) -> None:
        """Aborts if the client has closed its side and its current request takes too long."""
        self._poll_timer = None
        if not self._exchanges or not (self._left or self._read_paused):
            return
        front, now = self._exchanges[0], self.loop.time()
        if self._left or _peer_has_closed(self.transport):
            if not self.half_closed:
                self.half_closed = True
                front.wake()
            if front is not self._watched:
                self._watched, self._watched_since = front, now
            elif now - self._watched_since >= HALF_CLOSED:
                self._abandon()
                self.abort()
                return
        self._poll_timer = self.loop.call_later(CLIENT_POLL, self._poll_client)


class Exchange:
    """One request and its response, as ASGI defines them."""

    __slots__ = (
        "_bodiless", "_broken", "_chunked", "_connection", "_end_delivered", "_expects", "_pieces",
        "_remaining", "_waiters", "_whole", "app", "complete", "disconnected", "held", "keep_alive", "scope",
        "started",
    )  # fmt: skip

    def __init__(
        self,
        connection: Connection,
        scope: Scope,
        *,
        keep_alive: bool,
        expects: bool,
        app: ASGIApp | None = None,
    ) -> None:
        self.scope = scope
        self.keep_alive = keep_alive
        self.app = app
        self.held = 0
        self.started = self.complete = self.disconnected = False
        self._broken = False
        self._connection = connection
        self._expects = expects
        self._pieces: list[bytes] = []
        self._whole = self._end_delivered = False
        self._waiters: set[asyncio.Future[None]] = set()
        self._bodiless = self._chunked = False
        self._remaining: int | None = None  # bytes left of the response's declared length

    # Called by the connection.

    def add(self, piece: bytes) -> bool:
        """Buffers a piece of the body; False where the response is already complete."""
        if self.complete:
            return False
        self._pieces.append(piece)
        self.held += len(piece)
        self.wake()
        return True

    def end(self) -> None:
        """The body is complete."""
        self._whole = True
        self.wake()

    def disconnect(self) -> None:
        """The client has disconnected: nothing more is sent."""
        self.disconnected = True
        self.wake()

    def break_off(self) -> None:
        """The rest of the body will not arrive; a response that has started is still sent."""
        self._broken = self._whole = True
        self.disconnected = not self.started
        self.wake()

    def wake(self) -> None:
        """Wakes the waiting coroutines, which then check the state again."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    @property
    def is_over(self) -> bool:
        """Whether both the request and its response are complete."""
        return self.complete and self._whole

    @property
    def unsent(self) -> int:
        """Bytes of the response still to be written, or that the application reports to hold."""
        held: int = self.scope.get("state", {}).get("answer_bytes", 0)
        return max(held, self._remaining or 0)

    async def run(self, app: ASGIApp) -> None:
        """Runs ``app``; answers 500 if it does not respond."""
        try:
            await app(self.scope, self.receive, self.send)
        except BaseException as error:  # noqa: BLE001  whatever it is, the server goes on
            _log.error("Exception in ASGI application", exc_info=error)
        if self.complete or self.disconnected:
            return
        if self.started:
            self._connection.abort()
        else:
            self.keep_alive = False
            await _refusing(500)(self.scope, self.receive, self.send)

    # Called by the application.

    async def receive(self) -> Message:
        """The next piece of the body; after the last one, the client's disconnect."""
        if self._expects and not self._whole and not self.started:
            self._connection.write(_CONTINUE)
            self._connection.flush()
        self._expects = False
        while not (self.disconnected or self._broken or self.complete):
            if self._pieces or (self._whole and not self._end_delivered):
                pieces, self._pieces, self.held = self._pieces, [], 0
                body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
                self._end_delivered = self._whole
                message = {"type": "http.request", "body": body, "more_body": not self._whole}
                self._connection.body_taken()
                return message
            if self._whole and self._connection.half_closed:
                break  # report it as a disconnect; a response that is made nevertheless is sent
            await self._wait()
        return _DISCONNECT

    async def send(self, message: Message) -> None:
        """Writes a part of the response, and waits while the client does not keep up."""
        if self.disconnected:
            return
        if self.complete:
            raise RuntimeError("the answer is complete already")
        if not self.started:
            self._write_head(message["status"], message["headers"])
        else:
            self._write_body(message.get("body", b""), more=message.get("more_body", False))
        while self._connection.write_paused and not self.disconnected:
            await self._wait()

    def _write_head(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self.started = True
        connection = self._connection
        length: int | None = None
        close = connection.stopping
        lines = 1
        parts = [_STATUS_LINES[status]]
        for name, value in (*connection.service.headers, *headers):
            if name == b"connection":
                close = close or value == b"close"
                continue
            if name == b"content-length":
                length = int(value)
            lines += 1
            parts += (name, b": ", value, b"\r\n")
        # The connection closes only after the last request that has arrived, so that each gets its response.
        unwanted = not self._whole and (self._expects or connection.is_long)
        if not self.keep_alive or unwanted or (close and connection.is_last):
            self.keep_alive = False
            lines += 1
            parts.append(b"connection: close\r\n")
        self._bodiless = self.scope["method"] == "HEAD" or status in _BODILESS
        self._remaining = length
        self._chunked = length is None and not self._bodiless and self.scope["http_version"] == "1.1"
        if self._chunked:
            lines += 1
            parts.append(b"transfer-encoding: chunked\r\n")
        parts.append(b"\r\n")
        head = b"".join(parts)
        if not head.count(b"\n") == head.count(b"\r") == lines + 1:
            raise RuntimeError("a header holds a line break")
        connection.write(head)

    def _write_body(self, body: bytes | memoryview, *, more: bool) -> None:
        write = self._connection.write
        if self._bodiless:
            self._remaining = None
        elif self._chunked:
            if body:
                write(b"%x\r\n" % len(body))
                write(body)
                write(b"\r\n")
            if not more:
                write(b"0\r\n\r\n")
        else:
            if self._remaining is not None:
                self._remaining -= len(body)
                if self._remaining < 0:
                    raise RuntimeError("the body is longer than its Content-Length")
            write(body)
        if not more:
            if self._remaining:
                raise RuntimeError("the body is shorter than its Content-Length")
            self.complete = True
            self._pieces, self.held = [], 0
            self.wake()
            self._connection.answered(self)

    async def _wait(self) -> None:
        waiter: asyncio.Future[None] = self._connection.loop.create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)


class _Clock:
    """One deadline that moves with every request: its timer keeps running, and is restarted if it is early.

    Creating and cancelling a timer for each request would cost more than parsing its head.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, expired: Callable[[], None]) -> None:
        self._loop = loop
        self._expired = expired
        self._deadline = self._due = inf
        self._timer: asyncio.TimerHandle | None = None

    def set(self, seconds: float) -> None:
        """Calls ``expired`` in so many seconds; replaces the deadline before."""
        self._deadline = self._loop.time() + seconds
        if self._deadline < self._due:
            self._arm()

    def clear(self) -> None:
        """Removes the deadline."""
        self._deadline = inf

    def left(self) -> float:
        """Seconds to the deadline."""
        return self._deadline - self._loop.time()

    def stop(self) -> None:
        """Ends the timer."""
        self._deadline = self._due = inf
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = self._deadline
        self._timer = self._loop.call_later(self._deadline - self._loop.time(), self._on_timer)

    def _on_timer(self) -> None:
        self._timer, self._due = None, inf
        if self._deadline <= self._loop.time():
            self._deadline = inf
            self._expired()
        elif self._deadline < inf:
            self._arm()


def _split_target(target: bytes) -> tuple[bytes, bytes] | None:
    """Path and query of a request target; None for one that RFC 9112, 3.2 does not allow."""
    if b"#" in target:
        return None
    if not target.startswith(b"/"):
        if target == b"*":
            return target, b""
        try:
            absolute = httptools.parse_url(target)
        except httptools.HttpParserInvalidURLError:
            return None
        if not absolute.host:
            return None
        return absolute.path or b"/", absolute.query or b""
    path, _, query = target.partition(b"?")
    return path, query


def _refusing(status: int) -> ASGIApp:
    """An application that answers with this status.

    A malformed request has no path that determines the API: the body is both a problem document and an Open
    Inference Protocol error.
    """
    detail = _DETAILS[status]
    problem = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    body = orjson.dumps({**problem, "error": detail})
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    ]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append((b"retry-after", b"1"))

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    return refuse


def _address(name: Any) -> tuple[str, int] | None:
    return (str(name[0]), int(name[1])) if isinstance(name, tuple) else None


def _peer_has_closed(transport: asyncio.Transport) -> bool:
    """Whether the client has closed its side, found without reading from the socket."""
    poll = select.poll()
    poll.register(transport.get_extra_info("socket"), _PEER_CLOSED)
    return bool(poll.poll(0))
