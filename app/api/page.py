"""``GET /``: the page, its files from memory, compressed once."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request, Response

from app import vega
from app.api.problems import Problem

router = APIRouter(include_in_schema=False)

FILES = Path(__file__).parent.parent / "page"

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",  # a plot that was asked for with an API key
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""What the page may do: run its own files and talk to its own host."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # Asked for again at every visit, answered by a few bytes where nothing changed.
    "Cache-Control": "no-cache",
    "Vary": "Accept-Encoding",
}


@dataclass(frozen=True)
class Asset:
    """A file of the page, compressed, with the tag that tells whether a browser has it already."""

    compressed: bytes
    media_type: str
    tag: str

    @classmethod
    def of(cls, compressed: bytes, suffix: str) -> Asset:
        """The asset with this content and a media type by the file's suffix."""
        tag = hashlib.sha256(compressed).hexdigest()[:20]
        return cls(compressed, MEDIA_TYPES[suffix], f'"{tag}"')

    def response(self, request: Request) -> Response:
        """The file, or the news that the browser's copy is right."""
        headers = {**HEADERS, "ETag": self.tag}
        if self.tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(gzip.decompress(self.compressed), 200, headers, self.media_type)
        headers["Content-Encoding"] = "gzip"
        return Response(self.compressed, 200, headers, self.media_type)


class Page:
    """The page's files by name. Vega's script is made beside, from the start of the service."""

    def __init__(self) -> None:
        self._assets = {
            path.name: Asset.of(gzip.compress(path.read_bytes(), 9, mtime=0), path.suffix)
            for path in sorted(FILES.iterdir())
            if path.suffix in MEDIA_TYPES
        }
        self._vega = asyncio.create_task(vega.bundle())

    async def asset(self, name: str) -> Asset:
        """The file called ``name``; raises `Problem` where there is none."""
        if name == "vega.js" and name not in self._assets:
            self._assets[name] = Asset.of(await asyncio.shield(self._vega), ".js")
        if name not in self._assets:
            raise Problem(404, "the page has no such file")
        return self._assets[name]

    async def close(self) -> None:
        """Ends what was begun."""
        self._vega.cancel()
        with suppress(asyncio.CancelledError, RuntimeError):
            await self._vega


@router.api_route("/", methods=["GET", "HEAD"])
async def get_page(request: Request) -> Response:
    """The page itself."""
    return await get_file("index.html", request)


@router.api_route("/page/{name}", methods=["GET", "HEAD"])
async def get_file(name: str, request: Request) -> Response:
    """One of its files."""
    page: Page = request.app.state.page
    return (await page.asset(name)).response(request)
