"""Answers that stay the same while the service runs: compressed once, sent to clients that lack them."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import Request, Response

from app.http.headers import accepts_gzip

HEADERS = {
    # Asked for again every time, answered by a few bytes where nothing changed.
    "Cache-Control": "no-cache",
    "Vary": "Accept-Encoding",
}


@dataclass(frozen=True)
class Fixed:
    """A body, compressed, with the tag that tells whether a client has it already."""

    compressed: bytes
    media_type: str
    tag: str

    @classmethod
    def of(cls, body: bytes, media_type: str) -> Fixed:
        """The answer with this body."""
        return cls.compact(gzip.compress(body, 9, mtime=0), media_type)

    @classmethod
    def compact(cls, compressed: bytes, media_type: str) -> Fixed:
        """The answer with this body, which gzip has compressed already."""
        return cls(compressed, media_type, f'"{hashlib.sha256(compressed).hexdigest()[:20]}"')

    def response(self, request: Request, headers: Mapping[str, str] | None = None) -> Response:
        """The body, or the news that the client's copy is right."""
        all_headers = {**HEADERS, **(headers or {}), "ETag": self.tag}
        if self.tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=all_headers)
        if not accepts_gzip(request.scope):
            return Response(gzip.decompress(self.compressed), 200, all_headers, self.media_type)
        all_headers["Content-Encoding"] = "gzip"
        return Response(self.compressed, 200, all_headers, self.media_type)
