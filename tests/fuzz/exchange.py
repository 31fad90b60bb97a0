"""One connection to the server: sends a case, parses the answers strictly, and checks them."""

from __future__ import annotations

import gzip
import json
import re
import socket
import time
import zlib
from typing import NamedTuple

from tests.fuzz.kinds import MARKER, Case

IDLE = 2.0
"""Seconds after which an idle connection is not reused."""

LONGEST_PROBLEM = 10_000
"""Bytes of an error response."""

_STATUS = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) [ -~]*\r\n")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([ -~\t]*?)[ \t]*\r\n")
_CHUNK = re.compile(rb"([0-9A-Fa-f]+)\r\n")
_ALLOWED = frozenset({501, 503, 504, 505})
"""Statuses from 500 on that are not faults: unsupported features of HTTP, a busy service, a deadline."""


class Answer(NamedTuple):
    """A complete answer."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


class Broken(Exception):
    """The answer is invalid HTTP or incomplete."""


class Connection:
    """A connection that is kept open as long as the server keeps it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None
        self._left = b""
        self._last = 0.0

    def close(self) -> None:
        """Closes the connection; the next case opens another."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._left = None, b""

    def faults(self, case: Case) -> list[str]:
        """The faults of the answers to ``case``, in a word or two each; empty if there are none."""
        start = time.monotonic()
        try:
            answers = self._answers(case)
        except Broken as error:
            self.close()
            return [str(error)]
        except TimeoutError:
            self.close()
            return ["hangs"]
        found = [fault for answer in answers for fault in _wrong(answer)]
        if case.answers not in (None, len(answers)):
            found.append(f"{len(answers)} answers to {case.answers}")
        if time.monotonic() - start > case.timeout:
            found.append("slow")
        return found

    def _answers(self, case: Case) -> list[Answer]:
        if case.answers is None:
            return self._all_answers(case)
        if time.monotonic() - self._last > IDLE:  # the server closes idle connections
            self.close()
        self._send(case)
        answers = []
        for _ in range(case.answers):
            answers.append(self._answer())
            if answers[-1].headers.get(b"connection", b"").lower() == b"close":
                self.close()
                break
        self._last = time.monotonic()
        return answers

    def _all_answers(self, case: Case) -> list[Answer]:
        """All answers on a new connection, until the server closes it."""
        self.close()
        self._send(case)
        assert self._socket is not None
        self._socket.shutdown(socket.SHUT_WR)
        answers = []
        while True:
            try:
                if not self._left and not self._more():
                    break
                answers.append(self._answer())
            except ConnectionResetError:
                break
        self.close()
        return answers

    def _send(self, case: Case) -> None:
        fresh = self._socket is None
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), case.timeout)
        self._socket.settimeout(case.timeout)
        try:
            self._socket.sendall(case.sent)
        except (BrokenPipeError, ConnectionResetError):
            if not fresh:  # an idle connection that the server has closed
                self.close()
                self._send(case)
            # Otherwise the server answered before all was sent, and the answer can still be read.

    def _answer(self) -> Answer:
        line = self._read_line()
        found = _STATUS.fullmatch(line)
        if found is None:
            raise Broken("no status line" if line else "no answer")
        headers: dict[bytes, bytes] = {}
        while (line := self._read_line()) != b"\r\n":
            field = _FIELD.fullmatch(line)
            if field is None:
                raise Broken("a broken header")
            name = field[1].lower()
            if name in headers:
                raise Broken("a header twice")
            headers[name] = field[2]
        status = int(found[1])
        return Answer(status, headers, _plain(self._body(status, headers), headers))

    def _body(self, status: int, headers: dict[bytes, bytes]) -> bytes:
        if status < 200 or status in (204, 304):
            return b""
        length, coding = headers.get(b"content-length"), headers.get(b"transfer-encoding")
        if (length is None) == (coding is None):
            raise Broken("a body without one length")
        if length is not None:
            return self._read(int(length))
        pieces: list[bytes] = []
        while True:
            size = _CHUNK.fullmatch(self._read_line())
            if size is None:
                raise Broken("a broken chunk")
            piece = self._read(int(size[1], 16) + 2)
            if piece[-2:] != b"\r\n":
                raise Broken("a broken chunk")
            if piece == b"\r\n":
                return b"".join(pieces)
            pieces.append(piece[:-2])

    def _read_line(self) -> bytes:
        while (end := self._left.find(b"\n")) < 0:
            if not self._more():
                line, self._left = self._left, b""
                return line
        line, self._left = self._left[: end + 1], self._left[end + 1 :]
        return line

    def _read(self, size: int) -> bytes:
        while len(self._left) < size:
            if not self._more():
                raise Broken("an answer cut off")
        data, self._left = self._left[:size], self._left[size:]
        return data

    def _more(self) -> bool:
        if self._socket is None:
            return False
        piece = self._socket.recv(1 << 20)
        self._left += piece
        return bool(piece)


def _plain(body: bytes, headers: dict[bytes, bytes]) -> bytes:
    """The body without its compression, which a mutated request may have asked for."""
    if not body or headers.get(b"content-encoding") != b"gzip":
        return body
    try:
        return gzip.decompress(body)
    except (OSError, EOFError, zlib.error) as error:
        raise Broken("invalid gzip") from error


def _wrong(answer: Answer) -> list[str]:
    found = []
    if answer.status >= 500 and answer.status not in _ALLOWED:
        found.append(f"status {answer.status}")
    values = [value for name, value in answer.headers.items() if name != b"x-request-id"]  # it is echoed
    if any(MARKER in each for each in (answer.body, *values)):
        found.append("echo")
    if answer.status >= 400 and len(answer.body) > LONGEST_PROBLEM:
        found.append("a long problem")
    if b"json" in answer.headers.get(b"content-type", b"").partition(b";")[0] and not _is_json(answer):
        found.append("no JSON")
    return found


def _is_json(answer: Answer) -> bool:
    if answer.headers[b"content-type"] == b"application/jsonl":
        return all(map(_parses, answer.body.splitlines()))
    return _parses(answer.body)


def _parses(text: bytes) -> bool:
    def refuse(_: str) -> None:
        raise ValueError

    try:
        json.loads(text, parse_constant=refuse)
    except ValueError:
        return False
    return True
