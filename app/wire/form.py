"""A strict parser of ``multipart/form-data`` (RFC 7578) bodies in memory.

The names of the parts are known beforehand, and each occurs once. So the number of searches in a form is
bounded by the number of these names, whatever it contains. Starlette's parser accepts parts of any name and
number, and writes files of more than a megabyte to disk.
"""

from __future__ import annotations

from collections.abc import Collection
from email.message import Message
from email.parser import BytesHeaderParser
from typing import NamedTuple

from app.wire.errors import Malformed, Unsuitable

LONGEST_HEAD = 4096
"""Bytes of one part's headers; those of real clients stay below 300."""


WINDOW = 2**20
"""Bytes searched at a time."""


class Part(NamedTuple):
    """One part: its media type, if it has one, and its bytes, a view of the body."""

    media_type: str | None
    data: memoryview


def loads(body: bytes, content_type: str, names: Collection[str]) -> dict[str, Part]:
    """The parts of ``body``, one for each of ``names``.

    Raises:
        Malformed: no boundary, or none where one must be; headers without an end.
        Unsuitable: a part that has an unknown name or none, occurs twice, or is missing.
    """
    delimiter = b"\r\n--" + _boundary(content_type)
    if not body.startswith(delimiter[2:]):
        raise Malformed("the form does not begin with its boundary")
    parts: dict[str, Part] = {}
    place = len(delimiter) - 2
    while body[place : place + 2] != b"--":
        name, part, end = _part(body, place, delimiter)
        if name is None or name not in names:
            raise Unsuitable(f"the parts of the form are {' and '.join(names)}, each with its name")
        if name in parts:
            raise Unsuitable(f"the part {name} is given twice")
        parts[name] = part
        place = end + len(delimiter)
    missing = [name for name in names if name not in parts]
    if missing:
        raise Unsuitable(f"the form has no part {missing[0]}")
    return parts


def _boundary(content_type: str) -> bytes:
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_param("boundary")
    # RFC 2046, 5.1.1: 1 to 70 characters, all of them ASCII.
    if not isinstance(boundary, str) or not 1 <= len(boundary) <= 70 or not boundary.isascii():
        raise Malformed("the Content-Type of a form names its boundary, of at most 70 characters")
    return boundary.encode()


def _find(body: bytes, delimiter: bytes, start: int) -> int:
    """`bytes.find` over `WINDOW` bytes at a time, as it holds the GIL until it returns."""
    for begin in range(start, len(body), WINDOW):
        place = body.find(delimiter, begin, begin + WINDOW + len(delimiter) - 1)
        if place >= 0:
            return place
    return -1


def _part(body: bytes, start: int, delimiter: bytes) -> tuple[str | None, Part, int]:
    """The name and the content of the part whose boundary ends at ``start``, and where the part ends."""
    if body[start : start + 2] != b"\r\n":
        raise Malformed("the form is incomplete, or a boundary is followed by other characters")
    head = body.find(b"\r\n\r\n", start, start + LONGEST_HEAD)
    if head < 0:
        raise Malformed(f"a part's headers do not end within {LONGEST_HEAD:,} bytes")
    end = _find(body, delimiter, head + 4)
    if end < 0:
        raise Malformed("the form does not end with its boundary")
    headers = BytesHeaderParser().parsebytes(body[start + 2 : head])
    name = headers.get_param("name", header="content-disposition")
    media_type = headers.get_content_type() if "content-type" in headers else None
    part = Part(media_type, memoryview(body)[head + 4 : end])
    return name if isinstance(name, str) else None, part, end
