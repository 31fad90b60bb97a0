"""Media types of requests and answers, and their negotiation."""

from __future__ import annotations

from collections.abc import Collection

from fastapi import Request
from starlette.types import Scope

from app.http.headers import header
from app.http.problems import Problem

JSON = "application/json"
NPY = "application/x-npy"
FORM = "multipart/form-data"
OCTETS = "application/octet-stream"


def plain_body(scope: Scope) -> None:
    """Raises `Problem` 415 for a compressed body: a small one may expand to any size."""
    given = header(scope, b"content-encoding")
    if given is not None and given.strip().lower() != "identity":
        offer = {"Accept-Encoding": "identity"}
        raise Problem(415, "send the body without a Content-Encoding", headers=offer)


def media_type(content_type: str, accepted: Collection[str]) -> str:
    """The media type of a Content-Type; raises `Problem` 415 unless it is ``accepted``."""
    given = content_type.partition(";")[0].strip().lower()
    if given not in accepted:
        offer = {"Accept": ", ".join(accepted)}
        raise Problem(415, f"the Content-Type must be {' or '.join(accepted)}", headers=offer)
    return given


def negotiate(request: Request, *offered: str) -> str:
    """The first of ``offered`` that the client's Accept header ranks highest; raises `Problem` 406."""
    given = header(request.scope, b"accept")
    if given is None:
        return offered[0]
    ranges = [_media_range(part) for part in given.split(",")]
    weights = {media: _weight(media, ranges) for media in offered}
    best = max(offered, key=lambda media: weights[media])
    if weights[best] <= 0:
        raise Problem(406, f"this answer is offered as {' or '.join(offered)}")
    return best


def _media_range(text: str) -> tuple[str, float]:
    name, *parameters = (part.strip().lower() for part in text.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return name, float(parameter[2:])
            except ValueError:
                return name, 0.0
    return name, 1.0


def _weight(media: str, ranges: list[tuple[str, float]]) -> float:
    """The weight of the most specific range that covers ``media`` (RFC 9110, 12.5.1)."""
    given = dict(ranges)
    for candidate in (media, media.split("/", maxsplit=1)[0] + "/*", "*/*"):
        if candidate in given:
            return given[candidate]
    return 0.0
