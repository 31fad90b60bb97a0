"""Minimisation of a case that shows a fault."""

from __future__ import annotations

import re

from tests.fuzz.exchange import Connection
from tests.fuzz.kinds import Case

MOST_TRIES = 300

_LENGTH = re.compile(rb"(?i)content-length: [0-9]+")


def smaller(case: Case, fault: str, port: int) -> Case:
    """The smallest case that still shows ``fault``, found by leaving out pieces, halves first.

    In a valid request only the body is shortened, and its Content-Length adapted.
    """
    tries = 0
    length = _free(case) // 2
    while length and tries < MOST_TRIES:
        place = 0
        while place < _free(case) and tries < MOST_TRIES:
            tries += 1
            tried = _without(case, place, length)
            if _shows(tried, fault, port):
                case = tried
            else:
                place += length
        length //= 2
    return case


def _free(case: Case) -> int:
    """Bytes that may be left out."""
    return len(case.sent) if case.answers is None else len(case.sent.partition(b"\r\n\r\n")[2])


def _without(case: Case, place: int, length: int) -> Case:
    if case.answers is None:
        return case._replace(sent=case.sent[:place] + case.sent[place + length :])
    head, end, body = case.sent.partition(b"\r\n\r\n")
    body = body[:place] + body[place + length :]
    head = _LENGTH.sub(b"Content-Length: %d" % len(body), head)
    return case._replace(sent=head + end + body)


def _shows(case: Case, fault: str, port: int) -> bool:
    connection = Connection(port)
    try:
        return fault in connection.faults(case)
    except OSError:
        return False
    finally:
        connection.close()
