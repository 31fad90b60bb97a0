"""``GET /``: the page, served from memory."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

from fastapi import APIRouter, Request, Response

from app.http.fixed import Fixed
from app.http.problems import Problem
from app.pictures import vega

router = APIRouter(include_in_schema=False)

FILES = Path(__file__).parent.parent / "page"

SCRIPT = "text/javascript; charset=utf-8"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": SCRIPT,
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
    )
)
"""Content-Security-Policy of the page: its own files, and requests to its own host."""


def _headers(ancestors: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": f"{POLICY}; frame-ancestors {ancestors}",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
    }


HEADERS = _headers("'none'")

EMBEDDED = _headers("*")
"""For ``/?embed=1``, which shows scenes and asks for no key: any page may frame it."""


class Page:
    """The page's files by name. Vega's script is bundled in the background, when the service starts."""

    def __init__(self) -> None:
        self._files = {
            path.relative_to(FILES).as_posix(): Fixed.of(path.read_bytes(), MEDIA_TYPES[path.suffix])
            for path in sorted(FILES.rglob("*"))
            if path.suffix in MEDIA_TYPES
        }
        self._vega = asyncio.create_task(vega.bundle())

    async def file(self, name: str) -> Fixed:
        """The file called ``name``; raises `Problem` where there is none."""
        if name == "vega.js" and name not in self._files:
            self._files[name] = Fixed.compact(await asyncio.shield(self._vega), SCRIPT)
        if name not in self._files:
            raise Problem(404, "there is no such file")
        return self._files[name]

    async def close(self) -> None:
        """Cancels the bundling of Vega's script."""
        self._vega.cancel()
        with suppress(asyncio.CancelledError, RuntimeError):
            await self._vega


@router.get("/")
async def get_page(request: Request) -> Response:
    """The page itself; with ``embed=1`` the form that other pages may frame."""
    page: Page = request.app.state.page
    headers = EMBEDDED if request.query_params.get("embed") == "1" else HEADERS
    return (await page.file("index.html")).response(request, headers)


@router.get("/llms.txt")
async def get_summary(request: Request) -> Response:
    """The service in a page of plain text, for programs that read (llmstxt.org)."""
    return await get_file("llms.txt", request)


@router.get("/page/{name:path}")
async def get_file(name: str, request: Request) -> Response:
    """One of the page's files."""
    page: Page = request.app.state.page
    return (await page.file(name)).response(request, HEADERS)
