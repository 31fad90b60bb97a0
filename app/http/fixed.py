"""Responses that stay the same while the service runs: compressed once, with an ETag for revalidation."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import Request, Response

from app.http.headers import accepts_gzip

HEADERS = {
    # Clients revalidate every time, and get a short 304 if nothing changed.
    "Cache-Control": "no-cache",
    "Vary": "Accept-Encoding",
}


@dataclass(frozen=True)
class Fixed:
    """A compressed body and its entity tag."""

    compressed: bytes
    media_type: str
    tag: str

    @classmethod
    def of(cls, body: bytes, media_type: str) -> Fixed:
        """The response with this body."""
        return cls.compact(gzip.compress(body, 9, mtime=0), media_type)

    @classmethod
    def compact(cls, compressed: bytes, media_type: str) -> Fixed:
        """The response with this body, already compressed by gzip."""
        return cls(compressed, media_type, f'"{hashlib.sha256(compressed).hexdigest()[:20]}"')

    def response(self, request: Request, headers: Mapping[str, str] | None = None) -> Response:
        """The body, or 304 if the client's copy is current."""
        all_headers = {**HEADERS, **(headers or {}), "ETag": self.tag}
        if self.tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=all_headers)
        if not accepts_gzip(request.scope):
            return Response(gzip.decompress(self.compressed), 200, all_headers, self.media_type)
        all_headers["Content-Encoding"] = "gzip"
        return Response(self.compressed, 200, all_headers, self.media_type)
