"""Raw HTTP: several requests on one connection, valid but unusual, or damaged anywhere."""

from __future__ import annotations

import random

from tests.fuzz.kinds import MARKER, PIECES, Case, damaged

SMALL = b'{"function":"sigmoid","inputs":[0]}'
PATHS = ("/healthz", "/readyz", "/functions/tanh", "/v2/models/relu", "/nothing", "/activate", "/v2", "/docs")
HEADERS = (
    b"Connection: keep-alive",
    b"Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk",
    b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket",
    b"Upgrade: foo",
    b"Accept: */*;q=0.5, application/json",
    b"Accept-Encoding: gzip;q=0",
    b"X-Request-Id: " + MARKER * 20,
    b"X-Empty:",
    b"x-TAB:\ta\tb\t",
    b"Cookie: " + b"c" * 5000,
    b"Range: bytes=0-1",
    b"If-None-Match: *",
    b"Trailer: X-Trailer",
    b"TE: trailers",
)
BROKEN = (
    b"Content-Length: 5",
    b"Content-Length: -1",
    b"Content-Length: 18446744073709551616",
    b"Content-Length: 0x10",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding : chunked",
    b"Host: " + MARKER,
    b"Expect: 100-continue",
    b"Expect: " + MARKER,
    b"Connection: close",
    b" folded: " + MARKER,
    b"X: " + b"y" * 70_000,
    b"\r\n",
    MARKER,
)
METHODS = (
    b"GET",
    b"POST",
    b"PUT",
    b"DELETE",
    b"OPTIONS",
    b"PATCH",
    b"TRACE",
    b"CONNECT",
    b"get",
    b"PRI",
    MARKER,
)
VERSIONS = (
    b"HTTP/1.1",
    b"HTTP/1.1",
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"HTTP/2.0",
    b"HTTP/0.9",
    b"HTTP/1.2",
    b"RTSP/1.0",
    b"",
)


def pipeline(source: random.Random) -> Case:
    """Valid requests in one write, each of which must be answered."""
    count = source.choice((1, 2, 3, 5, 40))
    return Case(b"".join(_valid(source) for _ in range(count)), count)


def raw(source: random.Random) -> Case:
    """Damaged or invalid requests: whatever the answers are, they must be valid HTTP."""
    requests = [source.choice((_valid, _broken))(source) for _ in range(source.choice((1, 2, 3, 8)))]
    text = b"".join(requests)
    for _ in range(source.choice((0, 1, 1, 3))):
        text = damaged(source, text) if source.random() < 0.7 else _with_a_moved_line(source, text)
    return Case(text, None)


def _valid(source: random.Random) -> bytes:
    headers = [b"Host: fuzz", *source.sample(HEADERS, source.randrange(4))]
    if sum(each.startswith(b"Connection") for each in headers) > 1:
        headers = headers[:1]
    empty = b"\r\n" * source.choice((0, 0, 0, 1))
    if source.random() < 0.5:
        path = source.choice(PATHS).encode()
        target = source.choice((path, path, b"http://other" + path, path + b"?" + MARKER + b"=1"))
        return empty + _head(b"GET", target, b"HTTP/1.1", headers)
    body = source.choice((SMALL, SMALL, damaged(source, SMALL)))
    headers.append(b"Content-Type: application/json")
    if source.random() < 0.5:
        return (
            empty
            + _head(b"POST", b"/activate", b"HTTP/1.1", [*headers, b"Transfer-Encoding: chunked"])
            + _chunks(source, body)
        )
    headers.append(b"Content-Length: %d" % len(body))
    return empty + _head(b"POST", b"/activate", b"HTTP/1.1", headers) + body


def _broken(source: random.Random) -> bytes:
    headers = source.sample((b"Host: fuzz", *HEADERS, *BROKEN), source.randrange(6))
    path = source.choice(PATHS).encode()
    target = source.choice((path, b"*", b"", MARKER, path + b"#" + MARKER, b"//" + path, b"/%ff%00" + MARKER))
    head = _head(source.choice(METHODS), target, source.choice(VERSIONS), headers)
    return head + source.choice((b"", SMALL, MARKER, _chunks(source, SMALL), source.choice(PIECES)))


def _head(method: bytes, target: bytes, version: bytes, headers: list[bytes]) -> bytes:
    return b"\r\n".join([b" ".join((method, target, version)), *headers, b"", b""])


def _chunks(source: random.Random, body: bytes) -> bytes:
    """``body`` in chunks, sometimes with extensions and trailers."""
    found = b""
    while body:
        size = source.randint(1, len(body))
        extension = source.choice((b"", b"", b";a=b", b";" + MARKER))
        found += b"%x%b\r\n%b\r\n" % (size, extension, body[:size])
        body = body[size:]
    trailers = source.choice(
        (b"", b"", b"X-Trailer: " + MARKER + b"\r\n", b"Host: other\r\nRequest-Timeout: -1\r\n")
    )
    return found + b"0\r\n" + trailers + b"\r\n"


def _with_a_moved_line(source: random.Random, text: bytes) -> bytes:
    """``text`` with a line moved, duplicated or left out."""
    lines = text.split(b"\r\n")
    place = source.randrange(len(lines))
    line = lines.pop(place)
    for _ in range(source.choice((0, 1, 2))):
        lines.insert(source.randrange(len(lines) + 1), line)
    return b"\r\n".join(lines)
