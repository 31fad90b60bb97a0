"""The common parts of all kinds of requests: a case, and random damage."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

MARKER = b"zqxMarkerjv"
"""Inserted wherever clients choose a text. An answer that contains it echoes its input."""


class Case(NamedTuple):
    """The bytes to send over one connection, and the expected number of answers."""

    sent: bytes
    answers: int | None = 1
    """The number of complete answers; None if the bytes need not be valid HTTP and any number is right."""
    timeout: float = 5.0
    """Seconds after which an answer counts as slow or hung."""


Kind: TypeAlias = Callable[[random.Random], Case]
"""Draws a case, which depends only on the state of the random source."""


SIMULATED = 20.0
"""Seconds that an answer with a simulation may take; the simulation's own deadline is shorter."""


def request(path: str, body: bytes, media_type: str, *headers: str, timeout: float = 5.0) -> Case:
    """A POST that is valid HTTP, whatever its body is."""
    head = [f"POST {path} HTTP/1.1", "Host: fuzz", f"Content-Type: {media_type}", *headers]
    lines = "\r\n".join([*head, f"Content-Length: {len(body)}", "", ""])
    return Case(lines.encode("latin-1") + body, timeout=timeout)


def damaged(source: random.Random, text: bytes, most: int = 4) -> bytes:
    """``text`` with up to ``most`` random changes, deletions, duplications or truncations."""
    found = bytearray(text)
    for _ in range(source.randint(0, most)):
        place = source.randrange(len(found) + 1)
        length = min(source.choice((1, 1, 2, 4, 16, 100)), len(found) - place)
        match source.randrange(7):
            case 0:
                found[place : place + length] = source.randbytes(length)
            case 1:
                del found[place : place + length]
            case 2:
                found[place:place] = found[place : place + length]
            case 3:
                found[place:place] = source.choice(PIECES)
            case 4 if found:
                found[place % len(found)] ^= 1 << source.randrange(8)
            case 5:
                found[place : place + length] = source.choice(PIECES)
            case _ if source.random() < 0.2:
                del found[place:]
    return bytes(found)


PIECES: tuple[bytes, ...] = (
    b"\0",
    b"\xff",
    b"\r\n",
    b"{",
    b"}",
    b"[",
    b"]",
    b"[]",
    b",",
    b'"',
    b"\\",
    b":",
    b"null",
    b"true",
    b"NaN",
    b'"NaN"',
    b"-0",
    b"1e999",
    b"-1",
    b"0.1",
    b"18446744073709551616",
    b"9223372036854775807",
    b"4294967296",
    b"\xef\xbb\xbf",
    b"\\ud800",
    MARKER,
    b'"' + MARKER + b'"',
)
"""Texts that are inserted: punctuation of the formats, and extreme numbers."""
