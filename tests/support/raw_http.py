"""Bytes sent to a server as they are, and its answers parsed as strictly as RFC 9112 requires."""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from typing import NamedTuple

_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([2-5][0-9][0-9]) ([ -~]*)")
_HEADER = re.compile(rb"([!#$%&'*+\-.^_`|~0-9a-z]+): ([!-~](?:[ -~]*[!-~])?)?")
_BODILESS = (204, 304)


class Malformed(Exception):
    """The bytes received are not a sequence of HTTP responses."""


class Answer(NamedTuple):
    """One answer; its headers' names are in lower case."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


def request(method: str, path: str, *headers: str, body: bytes | None = None, version: str = "1.1") -> bytes:
    """A request's bytes, with a Host; with a ``body``, its type JSON and its length."""
    lines = [f"{method} {path} HTTP/{version}", "Host: test", *headers]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b"")


def received(connection: socket.socket) -> bytes:
    """Everything until the server closes."""
    data = b""
    try:
        while piece := connection.recv(1 << 20):
            data += piece
    except ConnectionResetError:
        pass
    return data


def exchanged(address: tuple[str, int], *data: bytes, seconds: float = 20.0) -> list[Answer]:
    """The answers to ``data`` on one connection, which the server has to close."""
    with socket.create_connection(address, timeout=seconds) as connection:
        try:
            for piece in data:
                connection.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass  # answered, and closed, before it was all sent
        return answers(received(connection))


def answers(data: bytes, methods: Sequence[str] = ()) -> list[Answer]:
    """The answers in ``data``, to requests with these ``methods`` (GET where there are fewer)."""
    found: list[Answer] = []
    while data:
        method = methods[len(found)] if len(found) < len(methods) else "GET"
        answer, data = first_answer(data, method)
        found.append(answer)
    return found


def first_answer(data: bytes, method: str = "GET") -> tuple[Answer, bytes]:
    """The first answer in ``data`` and what follows it; raises `Malformed` where it is not whole."""
    while data.startswith(b"HTTP/1.1 100 Continue\r\n\r\n"):
        data = data[25:]
    head, blank, rest = data.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    status_line = _STATUS_LINE.fullmatch(first)
    fields = [_HEADER.fullmatch(each) for each in lines]
    if not blank or status_line is None or None in fields:
        raise Malformed(f"no head: {head[:200]!r}")
    named = [(each[1], each[2] or b"") for each in fields if each is not None]
    headers = dict(named)
    if len(headers) < len(named):
        raise Malformed(f"a header twice: {head[:200]!r}")
    status = int(status_line[1])
    body, rest = _body(method, status, headers, rest)
    return Answer(status, headers, body), rest


def _body(method: str, status: int, headers: dict[bytes, bytes], rest: bytes) -> tuple[bytes, bytes]:
    if method == "HEAD" or status in _BODILESS:
        return b"", rest
    if headers.get(b"transfer-encoding") == b"chunked":
        return _chunked(rest)
    if b"content-length" not in headers:
        return rest, b""
    length = int(headers[b"content-length"])
    if len(rest) < length:
        raise Malformed(f"{len(rest)} bytes of {length}")
    return rest[:length], rest[length:]


def _chunked(rest: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        size, line_end, rest = rest.partition(b"\r\n")
        if not line_end or not re.fullmatch(rb"[0-9a-f]+", size):
            raise Malformed(f"no chunk: {size[:50]!r}")
        length = int(size, 16)
        if rest[length : length + 2] != b"\r\n":
            raise Malformed("a chunk that does not end")
        body += rest[:length]
        rest = rest[length + 2 :]
        if not length:
            return body, rest
